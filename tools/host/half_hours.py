"""A tariff of 48 half hours, as China's operators publish it: a name such as "peak", "flat",
"valley" or "sharp" for each half hour of the day, and for each name a price of the energy and one
of the service.

OCPP 2.1 has one price a kWh, so the tariff's is the sum of both; which part of it was service
follows from the table. `tariff` is a TariffType for SetDefaultTariff.
"""

DAY = 24 * 60


def tariff(slots, prices, tariff_id, currency="CNY"):
    """`slots`: 48 names, from midnight; `prices`: {name: (energy, service)} in ten-thousandths of
    the currency a kWh. Neighbours of one name make one price; the name with most spans is the last
    price, without a condition.

    Raises ValueError for another number of slots or a name without a price.
    """
    if len(slots) != 48:
        raise ValueError("expected 48 half hours, found %d" % len(slots))
    for slot in slots:
        if slot not in prices:
            raise ValueError("no prices for %r; expected one of %s" % (slot, sorted(prices)))
    spans = []  # [name, first minute, minute after the last]
    for i, slot in enumerate(slots):
        if spans and spans[-1][0] == slot:
            spans[-1][2] += 30
        else:
            spans.append([slot, i * 30, i * 30 + 30])
    if len(spans) > 1 and spans[0][0] == spans[-1][0]:
        spans[0][1] = spans.pop()[1]
    counts = {}
    for name, _, _ in spans:
        counts[name] = counts.get(name, 0) + 1
    rest = max(sorted(counts), key=lambda name: counts[name])
    elements = []
    for name, start, end in spans:
        if name != rest:
            conditions = {"startTimeOfDay": _time(start), "endTimeOfDay": _time(end)}
            elements.append({"priceKwh": _price(prices[name]), "conditions": conditions})
    elements.append({"priceKwh": _price(prices[rest])})
    return {"tariffId": tariff_id, "currency": currency, "energy": {"prices": elements}}


def _price(pair):
    energy, service = pair
    return (energy + service) / 10000


def _time(minute):
    minute %= DAY
    return "%02d:%02d" % (minute // 60, minute % 60)
