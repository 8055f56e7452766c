"""Random tariffs and sessions, for the tests of cost on every interpreter."""

from firmware.ledger import bill

START_MS = 1767225600000  # 2026-01-01T00:00:00Z, a Thursday
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS = ("fixedFee", "reservationTime", "reservationFixed", "energy", "chargingTime", "idleTime")


def details(tariff, state, ended):
    """The CostDetailsType, by way of the text of a record."""
    return bill.told(bill.text((0, 0, 0), tariff, state, ended))[2]


def price(random):
    """A price with up to six digits."""
    return random.below(1000) / (1, 10, 100, 1000)[random.below(4)] if random.below(9) else 0


def time_of_day(random):
    return "%02d:%02d" % (random.below(24), (0, 30, 0, 15, random.below(60))[random.below(5)])


def conditions(random, fixed):
    found = {}
    if random.below(2):
        found["startTimeOfDay"] = time_of_day(random)
    if random.below(2):
        found["endTimeOfDay"] = time_of_day(random)
    if not random.below(4):
        found["dayOfWeek"] = [day for day in DAYS if random.below(2)] or ["Sunday"]
    if not random.below(8):
        found["validFromDate"] = "2026-01-%02d" % (1 + random.below(9))
    if not random.below(8):
        found["validToDate"] = "2026-01-%02d" % (1 + random.below(9))
    if not random.below(9):
        found["evseKind"] = ("AC", "DC")[random.below(2)]
    if fixed:
        return found
    for name, most in (
        ("Energy", 30000),
        ("Current", 40),
        ("Power", 25000),
        ("Time", 20000),
        ("ChargingTime", 15000),
        ("IdleTime", 9000),
    ):
        for end in ("min", "max"):
            if not random.below(7):
                found[end + name] = random.below(most)
                if name[0] in "EC" and name != "ChargingTime" and random.below(2):
                    found[end + name] += 0.5
    return found


def tax_rates(random):
    return [
        {
            "type": "T%d" % i,
            "tax": (19, 7.5, 8.875, 0, 100, 0.01)[random.below(6)],
            "stack": random.below(3),
        }
        for i in range(1 + random.below(5))
    ]


def tariff(random):
    """A TariffType that `tariff.check` takes."""
    found = {"tariffId": "T%d" % random.below(1000), "currency": "EUR"}
    for name in PARTS:
        if not random.below(3) and name != "energy":
            continue
        field = (
            "priceKwh" if name == "energy" else "priceMinute" if "Time" in name else "priceFixed"
        )
        prices = []
        for _ in range(1 + random.below(4)):
            element = {field: price(random)}
            if random.below(5):
                element["conditions"] = conditions(random, field == "priceFixed")
            prices.append(element)
        found[name] = {"prices": prices}
        if random.below(2):
            found[name]["taxRates"] = tax_rates(random)
    if not random.below(4):
        found["minCost"] = {"inclTax": random.below(300) / 100}
    if not random.below(4):
        found["maxCost"] = {
            "exclTax": 5 + random.below(500) / 10,
            "inclTax": 60 + random.below(50),
        }
    return found


def session(random, steps):
    """Steps (unix_ms, ms, mwh, charging, ma, mw), one after the other."""
    now_ms = START_MS + random.below(5 * 24 * 60) * 60000 + random.below(60000)
    found = []
    for _ in range(steps):
        ms = (60000, 1 + random.below(1 << 20), 900000, 1 + random.below(1 << 23))[random.below(4)]
        charging = random.below(3) != 0
        mw = random.below(1 << 14) * 1345 if charging else 0
        mwh = mw * ms // 3600000 + random.below(1000) if charging else random.below(2)
        found.append((now_ms, ms, mwh, charging, mw // 230, mw))
        now_ms += ms
    return found
