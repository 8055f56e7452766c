"""What a receipt tells of a session that ends; imported for that only, see firmware.let_go."""

from micropython import const

from firmware import let_go
from firmware.clock import DATED

_SILENT_MS = const(2000)


def begin(session, age_ms, cut=None):
    """The receipt's generator, see firmware.ledger.receipt.make. `age_ms`: of the last reading.
    `cut`: of a session that a power cut or a reset has ended ((flags, boot, time) of what was
    kept last, seconds spent until then).
    """
    try:
        from firmware.ledger import receipt
    finally:
        let_go("firmware.ledger.receipt")
    signs = session.signs
    wall = session.wall
    last, spent_s = cut or (wall.now(), session.spent_s)
    # A clock that the backend sets is one for information, not a certified one.
    status = "I"
    start_ms = _unix_ms(wall, session._began)
    end_ms = _unix_ms(wall, last)
    if start_ms is None or end_ms is None:
        status = "U"
        start_ms = 0
        end_ms = spent_s * 1000
    good = "G" if age_ms <= _SILENT_MS else "T"
    errors = ""
    if cut:
        # No more than what flowed, and nobody saw when it ended.
        good = "S"
        errors = "t"
    named = signs["nameplate"]
    told = {
        "meter": (
            named.get("vendor", ""),
            named.get("model", ""),
            named.get("serial") or _number(signs["chip"]),
            named.get("firmware", ""),
        ),
        "page": session.tx,
        "evse": session.evse_id,
        "transaction": session.transaction_id,
        "user": session.user,
        "readings": (
            (start_ms, status, "B", session._start_mwh, "G", ""),
            (
                end_ms,
                status,
                receipt.ending(session._ending[0]),
                session.register.mwh,
                good,
                errors,
            ),
        ),
    }
    told.update(signs["told"])
    return receipt.make(told, signs["key"])


def _number(chip):
    # What a meter tells as its own number.
    number = getattr(chip, "number", None) or b""
    return "".join(["%02x" % number[i] for i in range(len(number) - 1, -1, -1)])


def _unix_ms(wall, moment):
    # Unix time in ms of a record's (flags, boot, time); None: the date was not known.
    flags, boot, time = moment
    if flags & DATED:
        return time
    if boot == wall.boot:
        return wall.unix_ms(time) if wall.is_set else None
    for known, start_ms, _ in wall.boots:
        if known == boot and start_ms is not None:
            return start_ms + time
    return None
