"""What the backend may ask of the station: each request with its shape and its handler. Imported
for each request anew and let go of, see firmware.let_go.

Payloads are checked against shapes, see firmware.uplink.check.
"""

from micropython import const

from firmware import borrow
from firmware.clock import parse
from firmware.uplink.ocpp import CallError

_REPEATS = const(32)  # message ids that are remembered
_ISSUED_MS = const(60000)  # a request that carries issuedAt is honoured for so long

_check = borrow("firmware.uplink.check").check
shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_START = {
    "idToken": (shapes.TOKEN, True, None),
    "remoteStartId": (int, True, None),
    "evseId": (int, False, 1),
    "groupIdToken": (shapes.TOKEN, False, None),
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
        _check(payload, shape)
        if handler is _start and "chargingProfile" in payload:
            profile = borrow("firmware.uplink.charging_commands").PROFILE
            _check(payload["chargingProfile"], profile, "payload.chargingProfile")
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
    # last session. A backend that answers Pending to the boot has things to set before.
    if not backend.link.up or backend.only:
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
        return shapes.rejected("StaleCommand")
    if not backend.accepted:
        return shapes.rejected("CSNotAccepted")
    wanted = payload.get("evseId", 0)
    if wanted > len(backend.sessions):
        return shapes.rejected("UnknownEvse")
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
        return shapes.rejected(begun), None
    if begun is None or begun.transaction_id is None:
        return {"status": "Accepted"}, begun
    return {"status": "Accepted", "transactionId": begun.transaction_id}, begun


def _stop(backend, payload, fresh):
    # Stopping is safe however old the request is: it names its transaction.
    for session in backend.sessions:
        if session.transaction_id == payload["transactionId"]:
            session.stop("Remote", "RemoteStop")
            return {"status": "Accepted"}
    return shapes.rejected("TxNotFound")


def _reset(backend, payload, fresh):
    # What is reset opens first, so an old one could only annoy; but it would do so twice.
    if not fresh:
        return shapes.rejected("StaleCommand")
    evse_id = payload.get("evseId")
    sessions = backend.sessions
    if evse_id is not None:
        if not 1 <= evse_id <= len(sessions):
            return shapes.rejected("UnknownEvse")
        sessions = sessions[evse_id - 1 : evse_id]
    busy = any(session.transaction_id is not None for session in sessions)
    at_once = payload["type"] == "Immediate"
    backend.upkeep.reset(evse_id, at_once)
    return {"status": "Scheduled" if busy and not at_once else "Accepted"}


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
    "SetNetworkProfile": "network_commands",
    "GetLog": "log_commands",
    "UpdateFirmware": "log_commands",
    "InstallCertificate": "certificate_commands",
    "GetInstalledCertificateIds": "certificate_commands",
    "DeleteCertificate": "certificate_commands",
    "CertificateSigned": "signed_commands",
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
)
