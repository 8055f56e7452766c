"""Tells what a session cost, to the backend and on a display; imported for that only, see
firmware.let_go.
"""

from micropython import const

from firmware import let_go

# TotalCostType's names, in the order of Cost.parts
_NAMES = ("fixed", "reservationTime", "reservationFixed", "energy", "chargingTime", "idleTime")
_MICRO = const(1000000)
_ABSENT = const(3)  # the length of a part that a tariff has not
_RESERVED_MS = const(6)  # numbers of Cost's state
_UNDATED = const(7)
# ISO 4217: currencies whose smallest unit is not a hundredth
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"


def details(tariff, state, ended):
    """OCPP's CostDetailsType for ocpp.encode, of a `state` of firmware.ledger.cost: whole numbers,
    and tuples that it makes decimals of. Amounts to a millionth, energy in Wh, times in s.
    `ended`: whether the transaction has.

    `chargingPeriods` is left out: their number has no bound. What a tariff has not is left out.
    """
    cost = _cost(tariff, state)
    without, taxed, kind = cost.total(ended)
    total = {"currency": cost.currency, "typeOfCost": kind, "total": _both(without, taxed)}
    parts = cost.parts()
    for part, name in enumerate(_NAMES):
        if any(parts[part]) or cost.numbers[cost.at[part] - 1] > _ABSENT:
            total[name] = _both(*parts[part])
    mwh, charging_ms, idle_ms = cost.state[:3]
    usage = {
        "energy": divmod(mwh, 1000),
        "chargingTime": charging_ms // 1000,
        "idleTime": idle_ms // 1000,
    }
    if cost.state[_RESERVED_MS]:
        usage["reservationTime"] = cost.state[_RESERVED_MS] // 1000
    told = {}
    told["totalCost"] = total
    told["totalUsage"] = usage
    if cost.state[_UNDATED]:
        told["failureToCalculate"] = True
        told["failureReason"] = "the date was not known: prices that depend on it were left out"
    return told


def text(tariff, state, ended=False):
    """What is due, with tax, in the currency's smallest unit, such as "1.23 EUR"."""
    cost = _cost(tariff, state)
    places = 0 if cost.currency in _WHOLE else 3 if cost.currency in _THOUSANDTHS else 2
    unit = 10 ** (6 - places)
    whole, rest = divmod((2 * cost.total(ended)[1] + unit) // (2 * unit), 10**places)
    rest = "." + str(rest + 10**places)[1:] if places else ""
    return "%d%s %s" % (whole, rest, cost.currency)


def _cost(tariff, state):
    try:
        from firmware.ledger import cost
    finally:
        let_go("firmware.ledger.cost")
    return cost.Cost(tariff, state)


def _both(without, taxed):
    return {"exclTax": divmod(without, _MICRO) + (6,), "inclTax": divmod(taxed, _MICRO) + (6,)}
