"""What the backend may ask about tariffs. Imported for one request and let go of, see
firmware.uplink.commands.

A default tariff is installed from when it is valid (`validFrom`): until then the one before it
holds. A request that may be an old one installs nothing, for its prices may be old. GetTariffs
tells no tokens: a pile keeps none.
"""

from firmware import borrow, let_go

shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_SET = {"evseId": (int, True, 0), "tariff": (dict, True, None), "customData": _CUSTOM}
_GET = {"evseId": (int, True, 0), "customData": _CUSTOM}
_CLEAR = {
    "tariffIds": ([str, 60], False, 100),
    "evseId": (int, False, 0),
    "customData": _CUSTOM,
}
_CHANGE = {
    "transactionId": (str, True, 36),
    "tariff": (dict, True, None),
    "customData": _CUSTOM,
}
_HEAD = 5  # bytes of a tariff before its id


def _set(backend, payload, fresh):
    if payload["evseId"] > len(backend.sessions):
        return shapes.told("Rejected", "UnknownEvse")
    data = _checked(payload["tariff"])
    if isinstance(data, dict):
        return data
    door = backend.doorman
    return shapes.told(*door.get("prices").put(door, payload["evseId"], data, fresh))


def _get(backend, payload, fresh):
    evse_id = payload["evseId"]
    sessions = backend.sessions
    if evse_id > len(sessions):
        return shapes.told("Rejected", "UnknownEvse")
    door = backend.doorman
    prices = door.get("prices")
    named = prices.ids(door, prices.defaults(door))
    assigned = []
    for key in sorted(named):
        evse, since = key
        if evse_id and evse and evse != evse_id:
            continue
        told = {"tariffId": named[key], "tariffKind": "DefaultTariff"}
        told["evseIds"] = [evse] if evse else list(range(1, len(sessions) + 1))
        if since:
            from firmware.clock import render

            told["validFrom"] = render(since * 1000)
        assigned.append(told)
    for session in sessions:
        budget = session.budget
        if budget and budget.driver and evse_id in (0, session.evse_id):
            assigned.append({
                "tariffId": _id(budget.tariff),
                "tariffKind": "DriverTariff",
                "evseIds": [session.evse_id],
            })  # fmt: skip
    if not assigned:
        return {"status": "NoTariff"}
    return {"status": "Accepted", "tariffAssignments": assigned}


def _clear(backend, payload, fresh):
    door = backend.doorman
    wanted = payload.get("tariffIds")
    evse_id = payload.get("evseId")
    prices = door.get("prices")
    found = prices.defaults(door)
    named = prices.ids(door, found)
    gone = []
    results = {}
    for key in sorted(found):  # one that is damaged has no name
        if evse_id in (None, key[0]) and (wanted is None or named.get(key) in wanted):
            gone.append(key)
            if key in named:
                results[named[key]] = shapes.told("Accepted")
    if gone and wanted is None and not fresh:
        return {"clearTariffsResult": [shapes.told("Rejected", "StaleCommand")]}
    if gone and not prices.clear(door, gone):
        for tariff_id in results:
            results[tariff_id] = shapes.told("Rejected", "NotKept")
    for session in backend.sessions:
        # A driver's is forgotten with his transaction, which goes on with it.
        if session.budget and session.budget.driver:
            tariff_id = _id(session.budget.tariff)
            if evse_id in (None, session.evse_id) and (wanted is None or tariff_id in wanted):
                results.setdefault(tariff_id, shapes.told("Accepted"))
    for tariff_id in wanted or ():
        results.setdefault(tariff_id, shapes.told("NoTariff"))
    told = [dict(results[tariff_id], tariffId=tariff_id) for tariff_id in sorted(results)]
    return {"clearTariffsResult": told or [shapes.told("NoTariff")]}


def _change(backend, payload, fresh):
    for session in backend.sessions:
        # One that ends is billed as it is.
        if session.transaction_id == payload["transactionId"] and not session._closing:
            data = _checked(payload["tariff"])
            if isinstance(data, dict):
                return data
            if not fresh:
                return shapes.told("Rejected", "StaleCommand")
            return shapes.told(*_bounds().change(session, data))
    return shapes.told("TxNotFound")


def _checked(tariff):
    # The bytes of a tariff, or the answer that says what is wrong with it.
    try:
        from firmware.ledger import tariff as checks
    finally:
        let_go("firmware.ledger.tariff")
    try:
        return checks.check(tariff)
    except checks.TariffError as error:
        info = {"reasonCode": "InvalidValue", "additionalInfo": str(error)[:1024]}
        return {"status": error.status, "statusInfo": info}


def _bounds():
    try:
        from firmware.ledger import bounds
    finally:
        let_go("firmware.ledger.bounds")
    return bounds


def _id(tariff):
    return str(tariff[_HEAD : _HEAD + tariff[4]], "utf-8")


ACTIONS = {
    "SetDefaultTariff": (_SET, _set),
    "GetTariffs": (_GET, _get),
    "ClearTariffs": (_CLEAR, _clear),
    "ChangeTransactionTariff": (_CHANGE, _change),
}
