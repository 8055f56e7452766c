"""Takes an OCPP 2.1 TariffType: judges it, and makes the few bytes of it that
firmware.ledger.cost reckons with. Imported for that only, see firmware.let_go.

    data = tariff.check(payload["tariff"])      raises TariffError, which names the field

**Numbers.** Prices and bounds come as JSON numbers. A whole one is exact; any other is taken with
six significant digits and at most six decimals, rounded half up: as much as the 24 bits of a
board's float hold for certain, so that every interpreter takes the same number. (Only one with
more digits, of which the seventh is about to be rounded, may fall either way on such a board.)

**What is taken.** Everything that TariffType's schema has, but the texts of `description`, which
are not kept. Prices are from 0 to 1,000,000: no discount, no discharging. A price for the other
kind of EVSE (`evseKind`), or for a `paymentBrand` or `paymentRecognition`, which a pile cannot
see, never holds. Of minCost and maxCost what is missing of exclTax and inclTax follows from the
other by its taxRates, or else by those of the energy. At most 49 prices a list (48 half hours and
one for the rest), and 960 bytes in all, of which 48 half hours take less than half.

**The bytes**: 1 (the format), 3 of currency, length of tariffId, tariffId in UTF-8, then numbers
as cost.pack has them: validFrom (Unix time in s, 0: at once); minCost without and with tax,
maxCost likewise (each 1 + micro, 0: none); six parts (fixed fee, time and fee of a reservation,
energy, charging time, idle time), each: how many numbers it has, this one too; how many levels of
tax; of each 10^8 + its rates' sum (1 %: 10^6); how many prices; of each the price in micro (a kWh,
a minute), a mask of its conditions, and their values: bit 0 time of day (start * 2048 + end in
minutes), 1 days of the week (Monday: 1), then pairs of least and first too great: day since 1970,
mWh, mA, mW, ms of the transaction, charging, idle.
"""

from micropython import const

from firmware import let_go

MOST_PRICES = 49  # a list; TariffCostCtrlr.MaxElements
_MOST_BYTES = const(960)  # with its head it fits a record of the journal
_MOST = const(1000000)
_PERCENT = const(1000000)  # of 10^8
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PARTS = (
    ("fixedFee", "priceFixed"),
    ("reservationTime", "priceMinute"),
    ("reservationFixed", "priceFixed"),
    ("energy", "priceKwh"),
    ("chargingTime", "priceMinute"),
    ("idleTime", "priceMinute"),
)
_ENERGY = const(3)
# of bits 4 and 5 and so on; Wh, A, W and s become thousandths
_BOUNDS = ("Energy", "Current", "Power", "Time", "ChargingTime", "IdleTime")
_MOST_BOUND = const(4000000)  # 4 MWh, 46 days
_FIXED_CONDITIONS = "startTimeOfDay endTimeOfDay dayOfWeek validFromDate validToDate evseKind"


class TariffError(ValueError):
    """`status` is OCPP's TariffSetStatusEnumType; the text names the field."""

    def __init__(self, text, status="Rejected"):
        super().__init__(text)
        self.status = status


def check(tariff, kind="AC"):
    """The bytes of `tariff`, a TariffType as json.loads gives it; `kind`: "AC" or "DC". Raises
    TariffError.
    """
    names = "tariffId currency description validFrom minCost maxCost"
    for name, _ in _PARTS:
        names += " " + name
    _object(tariff, "tariff", names, ("tariffId", "currency"))
    tariff_id = _text(tariff["tariffId"], "tariff.tariffId", 1, 60).encode()
    currency = _text(tariff["currency"], "tariff.currency", 3, 3).encode()
    if len(currency) != 3 or not currency.isalpha():
        raise _wrong("tariff.currency", "three letters", tariff["currency"])
    _texts(tariff)
    valid_from = _date_time(tariff.get("validFrom"), "tariff.validFrom")
    parts = []
    levels = {}
    for name, price in _PARTS:
        numbers = [0, 0]
        if name in tariff:
            where = "tariff." + name
            part = tariff[name]
            _object(part, where, "prices taxRates", ("prices",))
            levels[name] = _taxes(part, where)
            prices = _prices(part["prices"], where + ".prices", price, kind)
            numbers = [len(levels[name])] + levels[name] + prices
        parts += [len(numbers) + 1] + numbers
    bounds = []
    for name in ("minCost", "maxCost"):
        bounds += _bound(tariff, name, levels.get("energy", []))
    if 0 < bounds[2] < bounds[0] or 0 < bounds[3] < bounds[1]:
        raise TariffError("tariff.maxCost: expected no less than minCost")
    data = b"\1" + currency + bytes((len(tariff_id),)) + tariff_id
    data += _cost().pack([valid_from] + bounds + parts)
    if len(data) > _MOST_BYTES:
        raise TariffError(
            "tariff: expected prices and conditions of %d bytes in all, found %d"
            % (_MOST_BYTES, len(data)),
            "TooManyElements",
        )
    return data


def _texts(tariff):
    # What drivers may be shown; it is looked at and not kept.
    if "description" not in tariff:
        return
    given = tariff["description"]
    _list(given, "tariff.description", 10)
    for i, text in enumerate(given):
        name = "tariff.description[%d]" % i
        _object(text, name, "format language content", ("format", "content"))
        if text["format"] not in ("ASCII", "HTML", "URI", "UTF8", "QRCODE"):
            raise _wrong(name + ".format", "ASCII, HTML, URI, UTF8 or QRCODE", text["format"])
        _text(text["content"], name + ".content", 0, 1024)
        _text(text.get("language", ""), name + ".language", 0, 8)


def micro(number, name="price"):
    """A JSON number from 0 to 1,000,000 in millionths, as above. Raises TariffError."""
    return _number(number, name, _MOST, 6)


def _cost():
    try:
        from firmware.ledger import cost
    finally:
        let_go("firmware.ledger.cost")
    return cost


def _number(value, name, most, places):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise _wrong(name, "a number from 0 to %d" % most, value)
    if isinstance(value, int):
        return value * 10**places
    # At most six digits before the point: the product has a float's precision left to be rounded.
    shift = places
    while shift and value * 10**shift >= 1000000:
        shift -= 1
    return int(value * 10**shift + 0.5) * 10 ** (places - shift)


def _prices(prices, where, price, kind):
    # How many prices, and their numbers.
    _list(prices, where, MOST_PRICES)
    numbers = []
    count = 0
    for i, element in enumerate(prices):
        name = "%s[%d]" % (where, i)
        _object(element, name, price + " conditions", (price,))
        amount = micro(element[price], "%s.%s" % (name, price))
        conditions = element.get("conditions", {})
        found = _conditions(conditions, name + ".conditions", price == "priceFixed", kind)
        if found:
            numbers.append(amount)
            numbers += found
            count += 1
    return [count] + numbers


def _conditions(given, where, fixed, kind):
    # The mask and the values, None for what never holds.
    names = _FIXED_CONDITIONS
    if fixed:
        names += " paymentBrand paymentRecognition"
    else:
        for name in _BOUNDS:
            names += " min%s max%s" % (name, name)
    _object(given, where, names)
    mask = 0
    values = []
    if "startTimeOfDay" in given or "endTimeOfDay" in given:
        start = _time(given.get("startTimeOfDay", "00:00"), where + ".startTimeOfDay")
        end = _time(given.get("endTimeOfDay", "00:00"), where + ".endTimeOfDay")
        mask = 1
        values.append(start * 2048 + end)  # an end of 0 is midnight, or the whole day
    if "dayOfWeek" in given:
        mask |= 2
        values.append(_week(given["dayOfWeek"], where + ".dayOfWeek"))
    bit = 4
    for name in ("validFromDate", "validToDate"):
        if name in given:
            mask |= bit
            values.append(_date(given[name], "%s.%s" % (where, name)))
        bit *= 2
    for name in _BOUNDS:
        for end in ("min", "max"):
            field = end + name
            if field in given:
                field = "%s.%s" % (where, field)
                value = given[end + name]
                if name.endswith("Time") and not isinstance(value, int):
                    raise _wrong(field, "a whole number", value)
                mask |= bit
                values.append(_number(value, field, _MOST_BOUND, 3))
            bit *= 2
    evse_kind = given.get("evseKind", kind)
    if evse_kind not in ("AC", "DC"):
        raise _wrong(where + ".evseKind", "AC or DC", evse_kind)
    seen = True
    for name in ("paymentBrand", "paymentRecognition"):
        if name in given:
            _text(given[name], "%s.%s" % (where, name), 0, 20)
            seen = False
    return [mask] + values if seen and evse_kind == kind else None


def _taxes(given, where):
    # Of each level of taxRates, from the lowest, what it multiplies by, of 10^8.
    rates = given.get("taxRates")
    if rates is None:
        return []
    where += ".taxRates"
    _list(rates, where, 5)
    sums = {}
    for i, rate in enumerate(rates):
        name = "%s[%d]" % (where, i)
        _object(rate, name, "type tax stack", ("type", "tax"))
        _text(rate["type"], name + ".type", 0, 20)
        stack = rate.get("stack", 0)
        if isinstance(stack, bool) or not isinstance(stack, int) or stack < 0:
            raise _wrong(name + ".stack", "a whole number from 0", stack)
        sums[stack] = sums.get(stack, 0) + _number(rate["tax"], name + ".tax", 1000, 6)
    return [100 * _PERCENT + sums[stack] for stack in sorted(sums)]


def _bound(tariff, name, levels):
    # minCost or maxCost without and with tax, each 1 + micro, 0: none.
    if name not in tariff:
        return [0, 0]
    where = "tariff." + name
    given = tariff[name]
    _object(given, where, "exclTax inclTax taxRates")
    above = below = 1
    for level in _taxes(given, where) or levels:
        above *= level
        below *= 100 * _PERCENT
    without = taxed = None
    if "exclTax" in given:
        without = micro(given["exclTax"], where + ".exclTax")
        taxed = (2 * without * above + below) // (2 * below)
    if "inclTax" in given:
        taxed = micro(given["inclTax"], where + ".inclTax")
        if without is None:
            without = (2 * taxed * below + above) // (2 * above)
    if without is None or taxed is None:
        raise TariffError("%s: expected exclTax, inclTax or both" % where)
    return [without + 1, taxed + 1]


def _week(value, name):
    _list(value, name, 7)
    mask = 0
    for day in value:
        if day not in _DAYS:
            raise _wrong(name, "days such as Monday", day)
        mask |= 1 << _DAYS.index(day)
    return mask


def _time(value, name):
    if isinstance(value, str) and len(value) == 5 and value[2] == ":":
        digits = value[:2] + value[3:]
        if digits.isdigit() and int(digits[:2]) < 24 and int(digits[2:]) < 60:
            return int(digits[:2]) * 60 + int(digits[2:])
    raise _wrong(name, "a time of day such as 07:30", value)


def _date(value, name):
    if isinstance(value, str) and len(value) == 10:
        try:
            from firmware.clock import parse, render

            unix_ms = parse(value + "T00:00:00Z")
            if render(unix_ms)[:10] == value:
                return unix_ms // 86400000
        except ValueError:
            pass
    raise _wrong(name, "a date such as 2026-01-31", value)


def _date_time(value, name):
    if value is None:
        return 0
    from firmware.clock import parse

    try:
        # not before it, by less than a second
        return (parse(value) + 999) // 1000
    except ValueError as error:
        raise TariffError("%s: %s" % (name, error))


def _object(value, name, fields, required=()):
    if not isinstance(value, dict):
        raise _wrong(name, "an object", value)
    for field in sorted(value):
        if field != "customData" and field not in fields.split():
            raise TariffError(
                "%s.%s: no such field" % (name, field),
                "ConditionNotSupported" if name.endswith("conditions") else "Rejected",
            )
    for field in required:
        if field not in value:
            raise TariffError("%s.%s: missing" % (name, field))
    custom = value.get("customData", {"vendorId": ""})
    if not isinstance(custom, dict) or not isinstance(custom.get("vendorId"), str):
        raise _wrong(name + ".customData", "an object with a vendorId", custom)


def _list(value, name, most):
    if not isinstance(value, list) or not value:
        raise _wrong(name, "a list of 1 to %d" % most, value)
    if len(value) > most:
        raise TariffError(
            "%s: expected at most %d, found %d" % (name, most, len(value)), "TooManyElements"
        )


def _text(value, name, least, most):
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise _wrong(name, "a text of %d to %d characters" % (least, most), value)
    return value


def _wrong(name, expected, found):
    return TariffError("%s: expected %s, found %s" % (name, expected, repr(found)[:40]))
