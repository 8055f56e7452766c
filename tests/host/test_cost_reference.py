"""Costs against a second computation: fractions and datetime, from the JSON itself, price by price
and moment by moment; schemas of OCPP; a board's floats.
"""

import functools
import itertools
import json
import struct
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import jsonschema
import pytest

from firmware import clock
from firmware.ledger import bill, cost, tariff
from firmware.uplink.ocpp import encode
from hal.virtual.random import Random
from tests import pile, tariffs
from tests.support import Kept
from tools.host import half_hours
from tools.host.ocpp_schemas import FORMATS, payload_problem, validator

SESSIONS = 1000
UTC_OFFSET_MIN = 330


@pytest.fixture(autouse=True)
def kept():
    """What is let go would be compiled anew for each tariff."""
    with Kept(bill, tariff, clock):
        yield


@functools.cache
def exact(number):
    return Fraction(Decimal(repr(number)))


def half_up(amount):
    """Whole millionths."""
    return int(amount * 1000000 + Fraction(1, 2))


def local(moment):
    """`moment`: Unix ms, a fraction."""
    since = timedelta(seconds=int(moment // 1000) + UTC_OFFSET_MIN * 60)
    return datetime(1970, 1, 1) + since


class Moment:
    """Where a session stands: what conditions ask for."""

    def __init__(self, unix_ms, mwh, ma, mw, charging_ms, idle_ms):
        self.local = local(unix_ms)
        self.values = {
            "Energy": mwh / 1000, "Current": Fraction(ma, 1000), "Power": Fraction(mw, 1000),
            "Time": (charging_ms + idle_ms) / 1000, "ChargingTime": charging_ms / 1000,
            "IdleTime": idle_ms / 1000,
        }  # fmt: skip

    def fits(self, conditions):
        if not conditions:
            return True
        clock = self.local.isoformat()[11:16]
        start = conditions.get("startTimeOfDay", "00:00")
        end = conditions.get("endTimeOfDay", "00:00")
        if end == "00:00":
            end = "24:00"
        if start < end:
            held = [start <= clock < end]
        else:
            held = [clock >= start or clock < end]
        if "dayOfWeek" in conditions:
            held.append(tariffs.DAYS[self.local.weekday()] in conditions["dayOfWeek"])
        date = self.local.isoformat()[:10]
        held.append(conditions.get("validFromDate", "0") <= date)
        held.append(date < conditions.get("validToDate", "9"))
        held.append(conditions.get("evseKind", "AC") == "AC")
        for name, value in conditions.items():
            if name[3:] in self.values:
                value = exact(value)
                have = self.values[name[3:]]
                held.append(value <= have if name[:3] == "min" else have < value)
        return all(held)


def price(part, moment):
    for element in part["prices"]:
        if moment.fits(element.get("conditions", {})):
            return exact(next(value for name, value in element.items() if "price" in name))
    return Fraction(0)


def every_condition(given):
    for part in tariffs.PARTS:
        for element in given.get(part, {"prices": []})["prices"]:
            yield element.get("conditions", {})


def cuts(given, step, charging_ms, idle_ms, mwh):
    """Where in a step, from 0 to 1, a price may change."""
    unix_ms, ms, energy, charging, _, _ = step
    own = ("ChargingTime", charging_ms) if charging else ("IdleTime", idle_ms)
    found = {Fraction(0), Fraction(1)}
    minutes = {0}
    for conditions in every_condition(given):
        for name, value in conditions.items():
            if name.endswith("TimeOfDay"):
                minutes.add(int(value[:2]) * 60 + int(value[3:]))
            elif name[3:] == "Energy" and energy:
                found.add((exact(value) * 1000 - mwh) / energy)
            elif name[3:] == "Time" and ms:
                found.add((Fraction(value) * 1000 - charging_ms - idle_ms) / ms)
            elif name[3:] == own[0] and ms:
                found.add((Fraction(value) * 1000 - own[1]) / ms)
    day = unix_ms // 86400000 - 2
    while day * 86400000 < unix_ms + ms + 2 * 86400000:
        for minute in minutes:
            at = day * 86400000 + (minute - UTC_OFFSET_MIN) * 60000
            if 0 < at - unix_ms < ms:
                found.add(Fraction(at - unix_ms, ms))
        day += 1
    return sorted(at for at in found if 0 <= at <= 1)


def taxed(part, amount):
    levels = {}
    for rate in part.get("taxRates", []):
        stack = rate.get("stack", 0)
        levels[stack] = levels.get(stack, 0) + exact(rate["tax"]) / 100
    for rate in levels.values():
        amount *= 1 + rate
    return amount


def reference(given, steps):
    """({part: (without, with tax)}, (without, with tax)) in micro, as the session ends."""
    sums = dict.fromkeys(tariffs.PARTS, Fraction(0))
    start = Moment(steps[0][0], Fraction(0), 0, 0, Fraction(0), Fraction(0))
    if "fixedFee" in given:
        sums["fixedFee"] = price(given["fixedFee"], start)
    charging_ms = idle_ms = mwh = 0
    for step in steps:
        unix_ms, ms, energy, charging, ma, mw = step
        at = cuts(given, step, charging_ms, idle_ms, mwh)
        for since, until in itertools.pairwise(at):
            middle = (since + until) / 2
            moment = Moment(
                unix_ms + middle * ms, mwh + middle * energy, ma, mw,
                charging_ms + middle * ms * charging, idle_ms + middle * ms * (not charging),
            )  # fmt: skip
            # whole mWh and ms at a cut
            taken_mwh = int(until * energy) - int(since * energy)
            taken_ms = int(until * ms) - int(since * ms)
            name = "chargingTime" if charging else "idleTime"
            if name in given:
                sums[name] += price(given[name], moment) * Fraction(taken_ms, 60000)
            sums["energy"] += price(given["energy"], moment) * Fraction(taken_mwh, 1000000)
        mwh += energy
        charging_ms += ms * charging
        idle_ms += ms * (not charging)
    parts = {
        name: (half_up(amount), half_up(taxed(given.get(name, {}), amount)))
        for name, amount in sums.items()
    }
    total = [sum(part[0] for part in parts.values()), sum(part[1] for part in parts.values())]
    least = given.get("minCost")
    most = given.get("maxCost")
    over = most and (
        total[0] > half_up(exact(most["exclTax"])) or total[1] > half_up(exact(most["inclTax"]))
    )
    if over:
        total[0] = min(total[0], half_up(exact(most["exclTax"])))
        total[1] = min(total[1], half_up(exact(most["inclTax"])))
    elif least:
        bound = exact(least["inclTax"])
        total[1] = max(total[1], half_up(bound))
        total[0] = max(total[0], half_up(bound / taxed(given["energy"], Fraction(1))))
    return parts, tuple(total)


def cost_details():
    definitions = validator("TransactionEventRequest").schema["definitions"]
    schema = {"$ref": "#/definitions/CostDetailsType", "definitions": definitions}
    return jsonschema.Draft6Validator(schema, format_checker=FORMATS)


def test_random_sessions_cost_what_the_reference_says():
    judge = cost_details()
    seen = set()
    nothing = 0
    for seed in range(SESSIONS):
        random = Random(seed)
        given = tariffs.tariff(random)
        steps = tariffs.session(random, 1 + random.below(6))
        data = tariff.check(json.loads(json.dumps(given)))
        state = cost.begin(data, UTC_OFFSET_MIN, steps[0][0])
        for step in steps:
            state = cost.step(data, state, UTC_OFFSET_MIN, *step)[0]
        parts, total = reference(given, steps)
        session = cost.Cost(data, state)
        assert dict(zip(tariffs.PARTS, session.parts())) == parts, seed
        assert session.total()[:2] == total, seed
        seen.add(session.total()[2])
        nothing += total == (0, 0)
        details = json.loads(encode(tariffs.details(data, state, True)))
        if seed % 10 == 0:
            problem = payload_problem("SetDefaultTariffRequest", {"evseId": 0, "tariff": given})
            assert problem is None, (seed, problem)
            for error in judge.iter_errors(details):
                raise AssertionError((seed, error.message))
        assert half_up(exact(details["totalCost"]["total"]["inclTax"])) == total[1]
    assert seen == {"NormalCost", "MinCost", "MaxCost"}
    assert nothing < SESSIONS // 4


TABLE = ["valley"] * 14 + ["flat"] * 3 + ["peak"] * 7 + ["flat"] * 24


def test_a_session_over_a_price_border_costs_what_the_reference_says(monkeypatch):
    # It is 08:29 in China when it begins; each step of the reckoning is told.
    monkeypatch.setattr(sys.modules[__name__], "UTC_OFFSET_MIN", 480)
    prices = {"peak": (9000, 8000), "flat": (6500, 5000), "valley": (3000, 2500)}
    given = half_hours.tariff(TABLE, prices, "CN")
    given["energy"]["taxRates"] = [{"type": "VAT", "tax": 6}]
    message = [2, "m", "SetDefaultTariff", {"evseId": 1, "tariff": given}]
    steps = [pile.step(0, "clock", jump_s=1740), pile.step(600, "backend", message=message)]
    steps += pile.charging(pile.step(110000, "unplug"))
    config = pile.settings(utc_offset_min=480, running_cost_interval_s=7)
    trace, _ = pile.simulate(120000, steps, config)
    events = trace.messages("TransactionEvent")
    for event in events:
        assert payload_problem("TransactionEventRequest", event) is None, event
    told = [event for event in events if "costDetails" in event]
    assert len(told) == 16 and told[-1]["eventType"] == "Ended"
    now_ms = clock.parse(events[0]["timestamp"])
    done = taken = 0
    made = []
    for event in told:
        ms = clock.parse(event["timestamp"]) - now_ms
        usage = event["costDetails"]["totalUsage"]
        mwh = round(usage["energy"] * 1000)
        made.append((now_ms + done, ms - done, mwh - taken, True, 0, 0))
        done, taken = ms, mwh
        parts, total = reference(given, made)
        cost = event["costDetails"]["totalCost"]
        assert half_up(exact(cost["total"]["exclTax"])) == total[0]
        assert half_up(exact(cost["total"]["inclTax"])) == total[1]
        assert half_up(exact(cost["energy"]["inclTax"])) == parts["energy"][1]
    # Both prices were paid.
    assert taken * 1.15 < total[0] < taken * 1.7
    assert payload_problem("SetDefaultTariffRequest", message[3]) is None


def test_reservations_cost_what_the_reference_says():
    for seed in range(200):
        random = Random(seed)
        given = tariffs.tariff(random)
        for name in ("reservationTime", "reservationFixed"):
            given.setdefault(name, {"prices": [{"priceMinute": 1}]} if "Time" in name else
                             {"prices": [{"priceFixed": 2}]})  # fmt: skip
        start_ms, ms = tariffs.session(random, 1)[0][:2]
        data = tariff.check(given)
        session = cost.Cost(data, b"", UTC_OFFSET_MIN)
        session.reserve(start_ms, ms)
        # a reservation's time is what minTime and maxTime mean; the rest stands at 0
        same = {"energy": {"prices": [{"priceKwh": 0}]}, "idleTime": given["reservationTime"]}
        same = json.loads(json.dumps(same))
        for element in same["idleTime"]["prices"]:
            conditions = element.get("conditions", {})
            for name in ("minIdleTime", "maxIdleTime"):
                if name in conditions:
                    # what 0 is judged as, for good
                    value = conditions.pop(name)
                    if (name == "minIdleTime") == (value > 0):
                        conditions["maxTime"] = 0
        parts, _ = reference(same, [(start_ms, ms, 0, False, 0, 0)])
        assert session.parts()[1] == parts["idleTime"], seed
        moment = Moment(start_ms, Fraction(0), 0, 0, Fraction(0), Fraction(0))
        fee = price(given["reservationFixed"], moment)
        assert session.parts()[2] == (
            half_up(fee), half_up(taxed(given["reservationFixed"], fee))
        ), seed  # fmt: skip


def test_half_hours_fit_the_schema_and_any_table():
    for seed in range(100):
        random = Random(seed)
        prices = {name: (random.below(20000), random.below(9000)) for name in "SPFV"}
        slots = []
        while len(slots) < 48:
            slots += ["SPFV"[random.below(4)]] * (1 + random.below(8))
        given = half_hours.tariff(slots[:48], prices, "CN")
        assert payload_problem("SetDefaultTariffRequest", {"evseId": 1, "tariff": given}) is None
        data = tariff.check(given)
        now_ms = tariffs.START_MS + random.below(86400000)
        ms = random.below(3 * 86400000)
        session = cost.Cost(data, b"", 480)
        session.add(now_ms, ms, ms, True)  # a mWh each ms
        expected = 0
        at = now_ms
        zone = timezone(timedelta(hours=8))
        while at < now_ms + ms:
            until = min(at // 1800000 * 1800000 + 1800000, now_ms + ms)
            clock = datetime.fromtimestamp(at // 1000, zone)
            expected += (until - at) * sum(prices[slots[clock.hour * 2 + clock.minute // 30]])
            at = until
        assert session.parts()[3][0] == (2 * expected + 10000) // 20000


def single(number):
    """As a board's float."""
    return struct.unpack("f", struct.pack("f", number))[0]


class Single(float):
    """A board's float: 24 bits, after each step of arithmetic."""

    def __new__(cls, number):
        return super().__new__(cls, single(number))

    def __mul__(self, other):
        return Single(float(self) * single(other))

    def __add__(self, other):
        return Single(float(self) + single(other))


def test_a_board_takes_the_same_number():
    random = Random(1)
    for _ in range(5000):
        digits = random.below(1000000)
        places = random.below(7)
        number = digits / 10**places
        expected = digits * 10 ** (6 - places)
        assert tariff.micro(number) == expected
        # its reading of decimals may be off by one in the last of 24 bits
        raw = struct.unpack("I", struct.pack("f", number))[0] + random.below(3) - 1
        near = struct.unpack("f", struct.pack("I", max(0, raw)))[0]
        assert tariff.micro(Single(near)) == expected, number
