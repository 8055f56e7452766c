"""Messages that were refused are counted, and the backend hears of them where they look hostile.
Imported for each and let go of; the counts stay, see Backend.refused.

No honest backend sends what is oversized, too deep, of two meanings or no UTF-8: the first such
message is told of. Anything else may be an error: the fifth within a minute is told of. After that
nothing is for an hour, but counted: a flood of them costs the journal one record an hour, and the
log one line for each power of two.
"""

from micropython import const

from firmware import borrow

_HOSTILE = ("deep", "encoding", "fields", "packet", "twice")
_MANY = const(5)
_SOON_MS = const(60000)
_PAUSE_MS = const(3600000)


def note(backend, kind):
    """One more of this kind: "packet" for what is no MQTT or too long, "encoding", "syntax",
    "deep", "fields", "twice", "frame" for no array of OCPP-J, "payload" for what is not as the
    schemas have it.
    """
    refused = backend.refused
    refused[kind] = refused.get(kind, 0) + 1
    count = refused[kind]
    if count & (count - 1) == 0:
        backend._record("refused", kind=kind, count=count)
    # Beside the counts: when the last event was told (0: none yet), since when the next few are
    # counted, and how many these are.
    now_ms = backend.wall.uptime_ms
    told_ms, since_ms, few = refused.get("", (None, 0, 0))
    if now_ms - since_ms >= _SOON_MS:
        since_ms, few = now_ms, 0
    few += 1
    if kind in _HOSTILE or few >= _MANY:
        if told_ms is None or now_ms - told_ms >= _PAUSE_MS:
            told_ms = now_ms
            counts = ["%s %d" % (name, refused[name]) for name in sorted(refused) if name]
            borrow("firmware.access.report").security(
                backend.doorman, "InvalidMessages", ", ".join(counts) + " since the start"
            )
    refused[""] = told_ms, since_ms, few


def total(refused):
    """How many have been refused since the start."""
    return sum([refused[kind] for kind in refused if kind])
