"""Tells what a session cost, to the backend and on a display; imported for that only, see
firmware.let_go.

In a record of the journal it is a text, base64 of: length of what follows u8; of the tariff its
currency, the length of its id, the id, as the bytes of the tariff begin; then numbers as cost.pack
has them: what there is (1 greatest cost, 2 energy, 4 time, 8 a cost), those limits (micro, mWh,
s), and of the cost: an index into _KINDS; whether a date was missing; a mask of the parts that are
told; of the total, then of each such part, micro without and with tax; mWh; s charging, idle,
reserved.
"""

from binascii import a2b_base64, b2a_base64

from micropython import const

from firmware import let_go

# TotalCostType's names, in the order of Cost.parts
_NAMES = ("fixed", "reservationTime", "reservationFixed", "energy", "chargingTime", "idleTime")
_KINDS = ("NormalCost", "MinCost", "MaxCost")
_LIMITS = ("maxCost", "maxEnergy", "maxTime")
_COST = const(8)
_MICRO = const(1000000)
_ABSENT = const(3)  # the length of a part that a tariff has not
_RESERVED_MS = const(6)  # numbers of Cost's state
_UNDATED = const(7)
# ISO 4217: currencies whose smallest unit is not a hundredth
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"


def text(limits, tariff, state=None, ended=False):
    """What an event tells, for its record: of the `limits` (mWh, s, micro) those that are not 0;
    the id of the `tariff`, bytes or None; what is due by a `state` of firmware.ledger.cost, if it
    `ended` now.
    """
    cost = _cost()
    head = tariff[: 5 + tariff[4]] if tariff else b""
    mwh, s, micro = limits
    numbers = [0]
    for bit, limit in enumerate((micro, mwh, s)):
        if limit:
            numbers[0] |= 1 << bit
            numbers.append(limit)
    if state is not None:
        numbers[0] |= _COST
        found = cost.Cost(tariff, state)
        without, taxed, kind = found.total(ended)
        parts = [without, taxed]
        mask = 0
        for part, amounts in enumerate(found.parts()):
            if any(amounts) or found.numbers[found.at[part] - 1] > _ABSENT:
                mask |= 1 << part
                parts += amounts
        numbers += [_KINDS.index(kind), found.state[_UNDATED], mask] + parts + found.state[:1]
        numbers += [ms // 1000 for ms in found.state[1:3] + [found.state[_RESERVED_MS]]]
    data = bytes((len(head),)) + head[1:] + cost.pack(numbers)
    return str(b2a_base64(data).strip(), "utf-8")


def told(text):
    """(tariffId or "", OCPP's TransactionLimitType or None, CostDetailsType or None) of such a
    text, for ocpp.encode: whole numbers, and tuples that it makes decimals of. Amounts to a
    millionth, energy in Wh, times in s.

    `chargingPeriods` is left out: their number has no bound. What a tariff has not is left out.
    """
    data = a2b_base64(text.encode())
    end = max(1, data[0])
    currency = str(data[1:4], "utf-8") if data[0] else ""
    numbers = iter(_cost().unpack(data[end:]))
    what = next(numbers)
    limit = {}
    for bit, name in enumerate(_LIMITS):
        if what >> bit & 1:
            value = next(numbers)
            limit[name] = (_amount(value), divmod(value, 1000), value)[bit]
    tariff_id = str(data[5:end], "utf-8")
    return tariff_id, limit or None, _details(currency, numbers) if what & _COST else None


def _details(currency, numbers):
    total: dict = {"currency": currency, "typeOfCost": _KINDS[next(numbers)]}
    undated = next(numbers)
    mask = next(numbers)
    total["total"] = _both(numbers)
    for part, name in enumerate(_NAMES):
        if mask >> part & 1:
            total[name] = _both(numbers)
    usage = {
        "energy": divmod(next(numbers), 1000),
        "chargingTime": next(numbers),
        "idleTime": next(numbers),
    }
    reserved = next(numbers)
    if reserved:
        usage["reservationTime"] = reserved
    found: dict = {"totalCost": total, "totalUsage": usage}
    if undated:
        found["failureToCalculate"] = True
        found["failureReason"] = "the date was not known: prices that depend on it were left out"
    return found


def total(tariff, state, ended=False):
    """What is due, with tax, in the currency's smallest unit, such as "1.23 EUR"."""
    cost = _cost().Cost(tariff, state)
    places = 0 if cost.currency in _WHOLE else 3 if cost.currency in _THOUSANDTHS else 2
    unit = 10 ** (6 - places)
    whole, rest = divmod((2 * cost.total(ended)[1] + unit) // (2 * unit), 10**places)
    rest = "." + str(rest + 10**places)[1:] if places else ""
    return "%d%s %s" % (whole, rest, cost.currency)


def _cost():
    try:
        from firmware.ledger import cost
    finally:
        let_go("firmware.ledger.cost")
    return cost


def _both(numbers):
    return {"exclTax": _amount(next(numbers)), "inclTax": _amount(next(numbers))}


def _amount(micro):
    return divmod(micro, _MICRO) + (6,)
