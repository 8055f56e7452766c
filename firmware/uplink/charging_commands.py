"""What the backend may have done about charging profiles: set, cleared, updated. Imported for one
request and let go of, see firmware.uplink.commands.

A request that may be an old one neither sets nor clears nor updates anything: what it says may be
less, or more, than what came after it.
"""

from firmware import borrow

profile = borrow("firmware.energy.profile")
shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_ANY = (object, False, None)
_PURPOSES = (
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
    "PriorityCharging",
    "LocalGeneration",
)
_LIMITS = (
    "dischargeLimit",
    "dischargeLimit_L2",
    "dischargeLimit_L3",
    "limit_L2",
    "limit_L3",
    "setpoint",
    "setpointReactive",
    "setpointReactive_L2",
    "setpointReactive_L3",
    "setpoint_L2",
    "setpoint_L3",
)
_UPDATE = {"limit": (float, False, None), "customData": _CUSTOM}
_PERIOD = {
    "startPeriod": (int, True, None),
    "limit": (float, False, None),
    "numberPhases": (int, False, 0),
    "customData": _CUSTOM,
}
for _name in _LIMITS:
    _UPDATE[_name] = _PERIOD[_name] = (float, False, None)
for _name in (
    "phaseToUse", "evseSleep", "operationMode", "preconditioningRequest", "v2xBaseline",
    "v2xFreqWattCurve", "v2xSignalWattCurve",
):  # fmt: skip
    _PERIOD[_name] = _ANY
_SCHEDULE = {
    "id": (int, True, None),
    "chargingRateUnit": (("A", "W"), True, None),
    "chargingSchedulePeriod": ([_PERIOD], True, 1024),
    "startSchedule": (shapes.DATE, False, None),
    "duration": (int, False, None),
    "minChargingRate": (float, False, None),
    "useLocalTime": (bool, False, None),
    "customData": _CUSTOM,
}
for _name in (
    "absolutePriceSchedule", "digestValue", "limitAtSoC", "powerTolerance", "priceLevelSchedule",
    "randomizedDelay", "salesTariff", "signatureId",
):  # fmt: skip
    _SCHEDULE[_name] = _ANY
PROFILE = {
    "id": (int, True, None),
    "stackLevel": (int, True, 0),
    "chargingProfilePurpose": (_PURPOSES, True, None),
    "chargingProfileKind": (("Absolute", "Recurring", "Relative", "Dynamic"), True, None),
    "chargingSchedule": ([_SCHEDULE], True, 3),
    "recurrencyKind": (("Daily", "Weekly"), False, None),
    "validFrom": (shapes.DATE, False, None),
    "validTo": (shapes.DATE, False, None),
    "transactionId": (str, False, 36),
    "maxOfflineDuration": (int, False, None),
    "invalidAfterOfflineDuration": (bool, False, None),
    "dynUpdateInterval": (int, False, None),
    "dynUpdateTime": (shapes.DATE, False, None),
    "priceScheduleSignature": (str, False, 256),
    "customData": _CUSTOM,
}
_CLEAR = {
    "evseId": (int, False, 0),
    "chargingProfilePurpose": (_PURPOSES, False, None),
    "stackLevel": (int, False, 0),
    "customData": _CUSTOM,
}


def _set(backend, payload, fresh):
    evse_id = payload["evseId"]
    given = payload["chargingProfile"]
    if evse_id > len(backend.sessions):
        return shapes.rejected("UnknownEvse")
    data = checked(backend, given, evse_id)
    if isinstance(data, dict):
        return data
    if given["chargingProfilePurpose"] == "TxProfile":
        if "transactionId" not in given:
            return shapes.rejected("MissingParam", "transactionId")
        if backend.sessions[evse_id - 1].transaction_id != given["transactionId"]:
            return shapes.rejected("TxNotFound")
    return install(backend, data, fresh)


def start(backend, payload, begin):
    """The answer to a RequestStartTransaction with a profile, which holds for its transaction;
    `begin` starts it.
    """
    given = payload["chargingProfile"]
    if backend.doorman.config["authorize_remote_start"]:
        # Nobody knows yet who will charge, and where; faster than asked would be worse than not.
        return shapes.rejected("UnsupportedParam", "chargingProfile with AuthorizeRemoteStart")
    if given["chargingProfilePurpose"] != "TxProfile" or "transactionId" in given:
        return shapes.rejected("InvalidProfile", "expected a TxProfile without transactionId")
    # Where it begins is not known yet: any outlet tells whether the profile is one.
    data = checked(backend, given, payload.get("evseId", 0) or 1)
    if isinstance(data, dict):
        return data
    try:
        profile.place(_kept(backend), data, backend.doorman.now_s())
    except profile.ProfileError as error:
        return shapes.rejected(error.reason, str(error)[:1024])
    answer, session = begin(backend, payload)
    if session:
        given = dict(given, transactionId=session.transaction_id or "")
        kept = install(backend, checked(backend, given, session.evse_id))
        if kept["status"] != "Accepted":
            session.stop("Other", "AbnormalCondition")
            return kept
    return answer


def checked(backend, given, evse_id):
    """The bytes of the profile `given`, or the answer that says what is wrong with it."""
    try:
        return profile.check(given, evse_id, backend.doorman.config["utc_offset_min"])
    except profile.ProfileError as error:
        return shapes.rejected(error.reason, str(error)[:1024])


def install(backend, data, fresh=True):
    """Have the profile `data` hold from now on; the answer that says whether it does."""
    kept = _kept(backend)
    dynamic = data[6] == profile.composite.DYNAMIC
    if data in kept and not (dynamic and fresh):
        return {"status": "Accepted"}
    if not fresh:
        return shapes.rejected("StaleCommand")
    station = backend.doorman.station
    try:
        gone = profile.place(kept, data, backend.doorman.now_s())
        _service(station).change(profile.composite, gone, data)
    except profile.ProfileError as error:
        return shapes.rejected(error.reason, str(error)[:1024])
    except OSError as error:
        return _not_kept(backend, "Rejected", error)
    return {"status": "Accepted"}


def _clear(backend, payload, fresh):
    composite = profile.composite
    gone = []
    criteria = payload.get("chargingProfileCriteria", {})
    for data in _kept(backend):
        fields = composite.unpack(data)
        if "chargingProfileId" in payload:
            wanted = fields[composite.ID] == payload["chargingProfileId"]
        else:
            wanted = composite.matches(fields, criteria, criteria.get("evseId"))
        if wanted and fields[composite.PURPOSE] != composite.EXTERNAL:
            gone.append(fields[composite.ID])
    if not gone:
        return {"status": "Unknown"}
    if not fresh:
        return shapes.told("Unknown", "StaleCommand")
    try:
        backend.doorman.station.profiles.change(composite, gone)
    except OSError as error:
        return _not_kept(backend, "Unknown", error)
    return {"status": "Accepted"}


def _update(backend, payload, fresh):
    service = backend.doorman.station.profiles
    if not service:
        return shapes.rejected("NotFound")
    if not fresh:
        return shapes.rejected("StaleCommand")
    reason = service.update(payload["chargingProfileId"], payload["scheduleUpdate"])
    return shapes.rejected(reason) if reason else {"status": "Accepted"}


def _kept(backend):
    service = backend.doorman.station.profiles
    return service.kept if service else []


def _service(station):
    return station.profiles or borrow("firmware.energy.profiles").Profiles(station)


def _not_kept(backend, status, error):
    if error.args:
        backend.doorman.record("error", problem="charging profiles: %r" % error)
    return shapes.told(status, "NotKept")


_ID = (int, True, None)
ACTIONS = {
    "SetChargingProfile": (
        {
            "evseId": (int, True, 0),
            "chargingProfile": (PROFILE, True, None),
            "customData": _CUSTOM,
        },
        _set,
    ),
    "ClearChargingProfile": (
        {
            "chargingProfileId": (int, False, None),
            "chargingProfileCriteria": (_CLEAR, False, None),
            "customData": _CUSTOM,
        },
        _clear,
    ),
    "UpdateDynamicSchedule": (
        {"chargingProfileId": _ID, "scheduleUpdate": (_UPDATE, True, None), "customData": _CUSTOM},
        _update,
    ),
}
