"""What whoever looks after the security of a network should hear of. Imported for that and let go
of.
"""

from firmware import let_go


def security(door, kind, detail):
    """`kind` and `detail` become type and techInfo of OCPP's SecurityEventNotification; neither
    names a token.
    """
    try:
        from firmware.ledger import events
    finally:
        let_go("firmware.ledger.events")
    station = door.station
    door.record("security", type=kind, detail=detail)
    try:
        station.journal.append(events.security(station.wall, kind, detail))
    except OSError as error:
        door.record("error", problem=repr(error))
