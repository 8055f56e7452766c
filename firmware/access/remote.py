"""The backend starts a session. Imported for that and let go of."""


def start(door, token, kind, evse_id, remote_id, group):
    """For `token` at outlet `evse_id` (0: any), `group` the plain token of its group or None. The
    session that has begun; None when the token is to be authorised first; a reason for OCPP's
    StatusInfo when it cannot.
    """
    try:
        if min((token + kind).encode() or b" ") < 32:
            return "InvalidToken"  # no OCPP identifier, nor one that a record can hold
        digest = door.digest(token)
        group = door.digest(group) if group else None
    except ValueError:
        return "InvalidToken"
    decide = door.get("decide")
    master = door.config["master_pass_group"]
    if master and door.digest(master) in (group, digest):
        return "MasterPass"
    free = decide.free(door, evse_id)
    if not free:
        asked = door.sessions[evse_id - 1 : evse_id] if evse_id else door.sessions
        if all(one.outlet.inoperative and not one.tx for one in asked):
            return "Inoperative"
        return "TxInProgress"
    if door.reservations:
        free = door.get("reserve").places(door, free, digest, group)
        if not free:
            return "Reserved"
    if door.config["authorize_remote_start"]:
        if door.asked or door.expected:
            return "Busy"
        decide.present(door, token, kind, evse_id, remote_id, group)
        return None
    free = decide.working(door, free)
    i = ([i for i in free if door.sessions[i - 1].outlet.plugged] or free)[0]
    if not decide.begin(door, (token, kind, evse_id, remote_id, digest, group), group, i):
        return "Other"
    return door.sessions[i - 1]
