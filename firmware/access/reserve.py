"""Reservations: an outlet, or one of the station's, is kept for a token or its group until a time.

Imported for a request and let go of; what looks after the times stays while there is one. As many
as the station has outlets. They outlive a power cut in the store, with digests only.
"""

import struct

from micropython import const

from firmware.ticks import diff

FILE = "access.reserved"
RESERVED = const(11)  # of firmware.staged
_FORMAT = "<IB10s10sI"  # id, evseId or 0, digest, group's digest or zeros, Unix time in s
_SIZE = const(29)
_NOBODY = bytes(10)
_LOOK_MS = const(1000)
_UNDATED_MS = const(3600000)  # it outlives so much of a boot that does not know the date


def reserve(door, number, evse_id, digest, group, expires_s):
    """Keep an outlet; returns OCPP's ReserveNowStatusEnumType. The same `number` replaces."""
    others = [kept for kept in door.reservations if kept[0] != number]
    taken = [kept[1] for kept in others if kept[1]]
    working = []
    free = []
    out = []
    for i, session in enumerate(door.sessions, 1):
        if session.outlet.inoperative:
            out.append(i)
            continue
        if session.outlet.faulted:
            continue
        working.append(i)
        if session.free and not session.outlet.plugged and i not in taken:
            free.append(i)
    if evse_id in out or len(out) == len(door.sessions):
        return "Unavailable"
    if not working or evse_id and evse_id not in working:
        return "Faulted"
    # One must be left for each who reserved any of them.
    if evse_id and evse_id not in free or len(free) <= len(others) - len(taken):
        return "Occupied"
    keep(door, others + [(number, evse_id, digest, group, expires_s)])
    return "Accepted"


def cancel(door, number):
    """Whether there was such a reservation."""
    left = [kept for kept in door.reservations if kept[0] != number]
    if len(left) == len(door.reservations):
        return False
    keep(door, left)
    return True


def commit(door, data):
    """What firmware.staged does with reservations when no contactor is closed. Raises OSError."""
    door.store.save(FILE, data)


def places(door, free, digest, group):
    """Of the outlets `free` those that a token may use now: the one that is kept for it, else what
    is kept for nobody.
    """
    mine, others = _whose(door, digest, group)
    taken = [kept[1] for kept in others if kept[1]]
    own = [i for i in free if i in [kept[1] for kept in mine]]
    if own:
        return own
    left = [i for i in free if i not in taken]
    any_outlet = len(others) - len(taken)
    every = [
        i for i, session in enumerate(door.sessions, 1)
        if session.free and not session.outlet.faulted and i not in taken
    ]  # fmt: skip
    return left if 0 in [kept[1] for kept in mine] or len(every) > any_outlet else []


def using(door, evse_id, digest, group):
    """The number of the reservation that a session of theirs at `evse_id` uses up; None: of none.
    Once it has begun it is to be cancelled.
    """
    mine, _ = _whose(door, digest, group)
    for wanted in (evse_id, 0):
        for kept in mine:
            if kept[1] == wanted:
                return kept[0]
    return None


def _whose(door, digest, group):
    mine, others = [], []
    for kept in door.reservations:
        own = kept[2] == digest or group and kept[3] == group
        (mine if own else others).append(kept)
    return mine, others


def keep(door, reservations):
    """From now on these, as (id, evseId or 0, digest, group or None, Unix time in s)."""
    watched = bool(door.reservations)
    door.reservations = reservations
    kept = [
        struct.pack(_FORMAT, number, evse_id, digest, group or _NOBODY, expires_s)
        for number, evse_id, digest, group, expires_s in reservations
    ]
    try:
        door.station.staged.put(RESERVED, b"".join(kept))
    except OSError as error:  # they hold until the power is cut
        door.record("error", problem=repr(error))
    if reservations and not watched:
        watch(door)


def restore(door, data=None):
    """After a boot: what was kept, as `data` or else in the store."""
    if data is None:
        data = door.store.load(FILE) or b""
    if len(data) % _SIZE:
        return
    for at in range(0, len(data), _SIZE):
        number, evse_id, digest, group, expires_s = struct.unpack_from(_FORMAT, data, at)
        group = None if group == _NOBODY else group
        door.reservations.append((number, evse_id, digest, group, expires_s))
    if data:
        watch(door)


def watch(door):
    """Let go of each reservation at its time, and say so."""
    looked_ms = door.now_ms

    def tick(now_ms):
        nonlocal looked_ms
        if diff(now_ms, looked_ms) >= _LOOK_MS:
            looked_ms = now_ms
            now_s = door.now_s()
            undated = now_s is None and door.station.wall.uptime_ms >= _UNDATED_MS
            backend = door.station.backend
            for kept in door.reservations:
                over = undated if now_s is None else now_s >= kept[4]
                # In a long outage there may be no room to tell it, and nobody comes to use it.
                if over and (
                    backend.outbox.add("ReservationStatusUpdate", _update, kept[0])
                    or not backend.ready
                ):
                    cancel(door, kept[0])
                    break
        return bool(door.reservations)

    door.chores.append(tick)


def _update(number):
    return {"reservationId": number, "reservationUpdateStatus": "Expired"}
