"""What whoever looks after the security of a network should hear of. Imported for that and let go
of.
"""

from micropython import const

from firmware import let_go

_PAUSE_MS = const(3600000)


def security(door, kind, detail, moment=None):
    """`kind` and `detail` become type and techInfo of OCPP's SecurityEventNotification; neither
    names a token. `moment`: flags, boot and time as in a record of the journal; None: now.
    """
    try:
        from firmware.ledger import events
    finally:
        let_go("firmware.ledger.events")
    station = door.station
    door.record("security", type=kind, detail=detail)
    try:
        station.journal.append(events.security(moment or station.wall.now(), kind, detail))
    except OSError as error:
        door.record("error", problem=repr(error))


def seldom(door, kind, detail):
    """As `security`, of what an outsider can bring about: each kind once an hour at most."""
    told = getattr(door, "told_ms", None)
    if told is None:
        told = door.told_ms = {}
    now_ms = door.station.wall.uptime_ms
    if kind not in told or now_ms - told[kind] >= _PAUSE_MS:
        told[kind] = now_ms
        security(door, kind, detail)
