"""What a receipt tells of a session that ends; imported for that only, see firmware.let_go."""

from micropython import const

from firmware import let_go
from firmware.clock import DATED

_SILENT_MS = const(2000)


def begin(session, age_ms):
    """The receipt's generator, see firmware.ledger.receipt.make. `age_ms`: of the last reading."""
    try:
        from firmware.ledger import receipt
    finally:
        let_go("firmware.ledger.receipt")
    signs = session.signs
    wall = session.wall
    flags, boot, time = session._began
    if flags & DATED or wall.is_set and boot == wall.boot:
        # A clock that the backend sets is one for information, not a certified one.
        start_ms = time if flags & DATED else wall.unix_ms(time)
        end_ms = wall.unix_ms(wall.uptime_ms)
        status = "I"
    else:
        start_ms = 0
        end_ms = session.spent_s * 1000
        status = "U"
    good = "G" if age_ms <= _SILENT_MS else "T"
    told = {
        "page": session.tx,
        "evse": session.evse_id,
        "transaction": session.transaction_id,
        "user": session.user,
        "readings": (
            (start_ms, status, "B", session._start_mwh, "G", ""),
            (end_ms, status, receipt.ending(session._ending[0]), session.register.mwh, good, ""),
        ),
    }
    told.update(signs["told"])
    return receipt.make(told, signs["key"])
