"""The last lines of the log, in memory, for `pile.py log`; lost at a reset. A console is no place
for them: writing to one that nobody reads can stop Python for 0.5 s.
"""

from collections import deque
from time import ticks_ms

from micropython import const

_LINES = const(48)
_LENGTH = const(200)

kept = deque((), _LINES)  # noqa: RUF037 (MicroPython needs both)


def record(what, **fields):
    """As hal.roles.Log: the clock's milliseconds, `what`, and the fields by name. Of a message of
    the line only what is before its payload, which may name a token.
    """
    parts = ["%d %s" % (ticks_ms(), what)]
    for name in sorted(fields):
        parts.append("%s=%s" % (name, fields[name]))
        if name == "message":
            parts[-1] = parts[-1].partition("{")[0]
    write(" ".join(parts))


def write(line):
    """Keep `line`, cut to 200 characters; it may end in a newline."""
    kept.append(line[:_LENGTH].rstrip())
