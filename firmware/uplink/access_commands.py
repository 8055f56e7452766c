"""What the backend may ask about access: the local list, the cache, reservations. Imported for one
request and let go of, see firmware.uplink.commands.

A local list of more entries than one message takes comes as a full update and differential ones
after it.
"""

from firmware import borrow

entries = borrow("firmware.access.entries")
shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_DATA = {
    "idToken": (shapes.TOKEN, True, None),
    "idTokenInfo": (shapes.token_info(), False, None),
    "customData": _CUSTOM,
}
_LIST = {
    "versionNumber": (int, True, None),
    "updateType": (("Full", "Differential"), True, None),
    "localAuthorizationList": ([_DATA], False, 38),  # update.AT_ONCE
    "customData": _CUSTOM,
}
_RESERVE = {
    "id": (int, True, 0),
    "expiryDateTime": (str, True, 40),
    "idToken": (shapes.TOKEN, True, None),
    "groupIdToken": (shapes.TOKEN, False, None),
    "evseId": (int, False, 0),
    "connectorType": (str, False, 20),
    "customData": _CUSTOM,
}


def _send_list(backend, payload, fresh):
    door = backend.doorman
    update = door.get("update")
    version = payload["versionNumber"]
    current = update.current(door)
    full = payload["updateType"] == "Full"
    if not door.config["local_list"]:
        return _failed("NotEnabled")
    if not 0 < version < 1 << 31:
        return _failed("InvalidValue")
    # An old full update must not take the place of what came after it.
    if version <= current and not (full and fresh):
        return {"status": "Accepted" if version == current else "VersionMismatch"}
    changed = []
    for given in payload.get("localAuthorizationList", ()):
        info = given.get("idTokenInfo")
        if info is None and full:
            return _failed("MissingParam")
        entry = _entry(door, given["idToken"]["idToken"], info)
        if entry is None:
            return _failed("InvalidValue")
        changed.append(entry)
    try:
        changes = update.batch(current, version, full, changed)
    except ValueError:
        return _failed("DuplicateToken")
    if not update.fits(door, changes):
        return _failed("NoSpace")
    if len(door.waiting) >= update.WAITING or not update.send(door, changes):
        return _failed("NotKept")
    return {"status": "Accepted"}


def _entry(door, token, info):
    # The packed entry; None for what cannot be one.
    try:
        digest = door.digest(token)
    except ValueError:
        return None
    if info is None:
        return entries.pack(digest, 0)
    cache = door.get("cache")
    expires_s = 0
    if "cacheExpiryDateTime" in info:
        expires_s = cache.seconds(info["cacheExpiryDateTime"])
        if not 0 < expires_s < 1 << 32:
            return None
    status = entries.STATUSES.index(info["status"])
    group = cache.group_of(door, info)
    return entries.pack(digest, status, group, cache.bits(info.get("evseId")), expires_s)


def _list_version(backend, payload, fresh):
    door = backend.doorman
    enabled = door.config["local_list"]
    return {"versionNumber": door.get("update").current(door) if enabled else 0}


def _clear_cache(backend, payload, fresh):
    door = backend.doorman
    if not door.config["auth_cache"]:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NotEnabled"}}
    door.get("cache").clear(door)
    return {"status": "Accepted"}


def _reserve(backend, payload, fresh):
    door = backend.doorman
    evse_id = payload.get("evseId", 0)
    token, group = payload["idToken"], payload.get("groupIdToken")
    if not door.config["reservations"]:
        return shapes.rejected("NotEnabled")
    if not fresh:
        return shapes.rejected("StaleCommand")
    if "connectorType" in payload:
        return shapes.rejected("UnsupportedParam")
    if evse_id > len(door.sessions):
        return shapes.rejected("UnknownEvse")
    expires_s = door.get("cache").seconds(payload["expiryDateTime"])
    if not (door.now_s() or 0) < expires_s < 1 << 32 or payload["id"] >= 1 << 32:
        return shapes.rejected("InvalidValue")
    try:
        digest = door.digest(token["idToken"])
        group = door.digest(group["idToken"]) if group else None
    except ValueError:
        return shapes.rejected("InvalidValue")
    reserve = door.get("reserve")
    return {"status": reserve.reserve(door, payload["id"], evse_id, digest, group, expires_s)}


def _cancel(backend, payload, fresh):
    door = backend.doorman
    if door.get("reserve").cancel(door, payload["reservationId"]):
        return {"status": "Accepted"}
    return shapes.rejected("UnknownReservation")


def _failed(reason):
    return {"status": "Failed", "statusInfo": {"reasonCode": reason}}


ACTIONS = {
    "SendLocalList": (_LIST, _send_list),
    "GetLocalListVersion": ({"customData": _CUSTOM}, _list_version),
    "ClearCache": ({"customData": _CUSTOM}, _clear_cache),
    "ReserveNow": (_RESERVE, _reserve),
    "CancelReservation": ({"reservationId": (int, True, 0), "customData": _CUSTOM}, _cancel),
}
