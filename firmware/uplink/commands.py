"""What the backend may ask of the station: each request with its shape and its handler. Imported
for each request anew and let go of, see firmware.let_go.

Payloads are checked against shapes, small tables of the fields that the schema names.
"""

from micropython import const

from firmware import borrow
from firmware.clock import parse
from firmware.uplink.ocpp import CallError

_REPEATS = const(32)  # message ids that are remembered
_ISSUED_MS = const(60000)  # a request that carries issuedAt is honoured for so long
DATE = "date-time"  # a kind of field, see check
_CUSTOM = (dict, False, None)

_MORE = {
    "additionalIdToken": (str, True, 255),
    "type": (str, True, 50),
    "customData": _CUSTOM,
}
_TOKEN = {
    "idToken": (str, True, 255),
    "type": (str, True, 20),
    "additionalInfo": ([_MORE], False, 100),
    "customData": _CUSTOM,
}
_START = {
    "idToken": (_TOKEN, True, None),
    "remoteStartId": (int, True, None),
    "evseId": (int, False, 1),
    "groupIdToken": (_TOKEN, False, None),
    "chargingProfile": (dict, False, None),
    "customData": _CUSTOM,
}
_RESET = {
    "type": (("Immediate", "OnIdle"), True, None),
    "evseId": (int, False, 0),
    "customData": _CUSTOM,
}
_STOP = {"transactionId": (str, True, 36), "customData": _CUSTOM}


def serve(backend, message, replayed):
    """The answer's payload to the CALL `message`, which came by the line of `backend`; None where
    it comes later. `replayed`: it may be an old one. Raises CallError and then changes nothing.
    """
    _, message_id, action, payload = message
    table = _elsewhere(action)
    if action not in table:
        if action in UNSUPPORTED:
            raise CallError("NotSupported", "not of this pile: %s" % action, message_id)
        raise CallError("NotImplemented", "no such action: %s" % action[:36], message_id)
    shape, handler = table[action]
    try:
        check(payload, shape)
        if handler is _start and "chargingProfile" in payload:
            profile = borrow("firmware.uplink.charging_commands").PROFILE
            check(payload["chargingProfile"], profile, "payload.chargingProfile")
    except CallError as error:
        error.message_id = message_id
        raise
    seen = backend.seen
    repeated = message_id in seen
    if not repeated:
        seen.append(message_id)
        del seen[:-_REPEATS]
    return handler(backend, payload, not repeated and _fresh(backend, payload, replayed))


def _elsewhere(action):
    # The table with an action that has a module of its own, imported for it only.
    if action not in _ELSEWHERE:
        return _ACTIONS
    return borrow("firmware.uplink." + _ELSEWHERE[action]).ACTIONS


def _fresh(backend, payload, replayed):
    # MQTT 3.1.1 has no expiry and OCPP requests no time: what may be a replay is not fresh,
    # unless it says when it was issued. What comes before the link is up is the replay of its
    # last session.
    if not backend.ready:
        return False
    issued = payload.get("customData", {}).get("issuedAt")
    if issued is None:
        return not replayed
    wall = backend.wall
    try:
        return abs(wall.unix_ms(wall.uptime_ms) - parse(issued)) <= _ISSUED_MS
    except ValueError:
        return False


def _start(backend, payload, fresh):
    # A stale or repeated start would energise an outlet that nobody stands at.
    if not fresh:
        return _rejected("StaleCommand")
    wanted = payload.get("evseId", 0)
    if wanted > len(backend.sessions):
        return _rejected("UnknownEvse")
    if "chargingProfile" in payload:
        charging = borrow("firmware.uplink.charging_commands")
        return charging.start(backend, payload, _begin)
    return _begin(backend, payload)[0]


def _begin(backend, payload):
    # The answer to a start, and the session that has begun, or None.
    wanted = payload.get("evseId", 0)
    token = payload["idToken"]
    group = payload.get("groupIdToken", {}).get("idToken")
    begun = backend.doorman.get("remote").start(
        backend.doorman, token["idToken"], token["type"], wanted, payload["remoteStartId"], group
    )
    if isinstance(begun, str):
        return _rejected(begun), None
    if begun is None or begun.transaction_id is None:
        return {"status": "Accepted"}, begun
    return {"status": "Accepted", "transactionId": begun.transaction_id}, begun


def _stop(backend, payload, fresh):
    # Stopping is safe however old the request is: it names its transaction.
    for session in backend.sessions:
        if session.transaction_id == payload["transactionId"]:
            session.stop("Remote", "RemoteStop")
            return {"status": "Accepted"}
    return _rejected("TxNotFound")


def _reset(backend, payload, fresh):
    # What is reset opens first, so an old one could only annoy; but it would do so twice.
    if not fresh:
        return _rejected("StaleCommand")
    evse_id = payload.get("evseId")
    sessions = backend.sessions
    if evse_id is not None:
        if not 1 <= evse_id <= len(sessions):
            return _rejected("UnknownEvse")
        sessions = sessions[evse_id - 1 : evse_id]
    busy = any(session.transaction_id is not None for session in sessions)
    at_once = payload["type"] == "Immediate"
    backend.upkeep.reset(evse_id, at_once)
    return {"status": "Scheduled" if busy and not at_once else "Accepted"}


def _rejected(reason):
    return {"status": "Rejected", "statusInfo": {"reasonCode": reason}}


_ACTIONS = {
    "RequestStartTransaction": (_START, _start),
    "RequestStopTransaction": (_STOP, _stop),
    "Reset": (_RESET, _reset),
}
# action: the module of this room whose ACTIONS has it
_ELSEWHERE = {
    "SendLocalList": "access_commands",
    "GetLocalListVersion": "access_commands",
    "ClearCache": "access_commands",
    "ReserveNow": "access_commands",
    "CancelReservation": "access_commands",
    "GetVariables": "variable_commands",
    "SetVariables": "variable_commands",
    "GetBaseReport": "variable_commands",
    "GetReport": "variable_commands",
    "TriggerMessage": "control_commands",
    "DataTransfer": "control_commands",
    "SetDefaultTariff": "tariff_commands",
    "GetTariffs": "tariff_commands",
    "ClearTariffs": "tariff_commands",
    "ChangeTransactionTariff": "tariff_commands",
    "ChangeAvailability": "outlet_commands",
    "UnlockConnector": "outlet_commands",
    "GetTransactionStatus": "outlet_commands",
    "CustomerInformation": "customer_commands",
    "SetVariableMonitoring": "monitor_commands",
    "SetMonitoringLevel": "monitor_commands",
    "SetMonitoringBase": "monitor_commands",
    "GetMonitoringReport": "monitor_commands",
    "ClearVariableMonitoring": "monitor_commands",
    "SetChargingProfile": "charging_commands",
    "GetChargingProfiles": "charging_reports",
    "ClearChargingProfile": "charging_commands",
    "GetCompositeSchedule": "charging_reports",
    "UpdateDynamicSchedule": "charging_commands",
    "GetLog": "log_commands",
    "UpdateFirmware": "log_commands",
    "InstallCertificate": "certificate_commands",
    "GetInstalledCertificateIds": "certificate_commands",
    "DeleteCertificate": "certificate_commands",
}
# What OCPP 2.1 has and this pile has not; README says why. Who takes one over moves its line.
UNSUPPORTED = (
    # no inverter, no direct current, no battery to be swapped
    "AFRRSignal",
    "ClearDERControl",
    "GetDERControl",
    "NotifyAllowedEnergyTransfer",
    "RequestBatterySwap",
    "SetDERControl",
    # no profile of that purpose is taken
    "UsePriorityCharging",
    # no display
    "ClearDisplayMessage",
    "CostUpdated",
    "GetDisplayMessages",
    "NotifyWebPaymentStarted",
    "SetDisplayMessage",
    # no local controller that keeps firmware for others
    "PublishFirmware",
    "UnpublishFirmware",
    # values are told by transactions and monitors, not as streams
    "AdjustPeriodicEventStream",
    "GetPeriodicEventStream",
    # not yet
    "CertificateSigned",
    "SetNetworkProfile",
)


def check(value, shape, where="payload"):
    """Check an object against a shape; raise CallError naming the field.

    A shape maps each allowed field to (kind, required, bound): kind str with its greatest length,
    int with its least value, bool, float for any number, a tuple of the words allowed, DATE for an
    RFC 3339 date-time, a nested shape, a list of one such kind (and its bound) with the most
    elements that are taken, list or dict of any content, or object for anything.
    """
    for name in shape:
        if shape[name][1] and name not in value:
            raise CallError("OccurrenceConstraintViolation", "%s.%s: missing" % (where, name))
    for name in value:
        field = "%s.%s" % (where, name)
        if name not in shape:
            raise CallError("FormatViolation", "%s: no such field" % field)
        kind, _, bound = shape[name]
        if kind is object:
            continue
        found = value[name]
        expected = str if kind == DATE else (int, float) if kind is float else kind
        for made_of, of in ((dict, dict), (tuple, str), (list, list)):
            if isinstance(kind, made_of):
                expected = of
        if not isinstance(found, expected) or isinstance(found, bool) != (kind is bool):
            raise CallError(
                "TypeConstraintViolation", "%s: expected %s" % (field, _KINDS[expected])
            )
        if name == "customData" and not isinstance(found.get("vendorId"), str):
            raise CallError("OccurrenceConstraintViolation", "%s.vendorId: missing" % field)
        if isinstance(kind, dict):
            check(found, kind, field)
        elif isinstance(kind, list):
            if not 1 <= len(found) <= bound:
                raise CallError(
                    "OccurrenceConstraintViolation", "%s: expected 1 to %d" % (field, bound)
                )
            of = kind[1] if len(kind) > 1 else None
            for i, one in enumerate(found):
                check({"[%d]" % i: one}, {"[%d]" % i: (kind[0], True, of)}, field)
        elif isinstance(kind, tuple):
            if found not in kind:
                raise CallError(
                    "PropertyConstraintViolation", "%s: expected %s" % (field, " or ".join(kind))
                )
        elif kind == DATE:
            try:
                parse(found)
            except ValueError as error:
                raise CallError("PropertyConstraintViolation", "%s: %s" % (field, error))
        elif kind is str and bound is not None and len(found) > bound:
            raise CallError("PropertyConstraintViolation", "%s: longer than %d" % (field, bound))
        elif kind is int and bound is not None and found < bound:
            raise CallError("PropertyConstraintViolation", "%s: less than %d" % (field, bound))


_KINDS = {
    str: "a text",
    int: "a whole number",
    (int, float): "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}
