"""The trace: one JSON line an event, with sorted keys, so that every interpreter writes the same
bytes.
"""

import json

from hal import log


class Trace:
    """Lines to the open `file`. `clock()` tells the plant's microseconds. Lines of an `outlet`
    beyond the first say which.
    """

    def __init__(self, file, clock, outlet=1):
        self._file = file
        self._clock = clock
        self._outlet = outlet

    def record(self, what, **fields):
        """Write `what` with its `fields`, at the plant's time."""
        self.at(self._clock(), what, fields)

    def at(self, t_us, what, fields):
        """Write `what` with its `fields` as of `t_us`. A field `message` is JSON text already."""
        parts = ['{"t_us": %d, "what": "%s"' % (t_us, what)]
        if self._outlet > 1:
            parts.append(', "outlet": %d' % self._outlet)
        for key in sorted(fields):
            value = fields[key]
            parts.append(', "%s": %s' % (key, value if key == "message" else _text(value)))
        parts.append("}\n")
        self._file.write("".join(parts))

    def flush(self):
        """Let readers see every line so far."""
        self._file.flush()


class Kept:
    """A file for a trace that goes where a board's log goes; without the plant, ten times a second
    in real time.
    """

    def write(self, line):
        """Keep one line."""
        if '"what": "plant"' not in line:
            log.write(line)

    def flush(self):
        """Nothing is held back."""


def _text(value):
    if isinstance(value, dict):
        return "{%s}" % ", ".join(
            ["%s: %s" % (_quote(key), _text(value[key])) for key in sorted(value)]
        )
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join([_text(item) for item in value])
    if isinstance(value, float) and -1e9 < value < 1e9:
        # Interpreters differ in a float's last digits; microseconds are the finest that is meant.
        whole, part = divmod(int(abs(value) * 1000 + 0.5), 1000)
        return "%s%d.%03d" % ("-" if value < 0 else "", whole, part)
    if isinstance(value, str):
        return _quote(value)
    return json.dumps(value)


def _quote(text):
    # In ASCII: json.dumps differs between interpreters.
    parts = []
    for c in text:
        n = ord(c)
        if 32 <= n < 127 and c not in '"\\':
            parts.append(c)
        elif n < 0x10000:
            parts.append("\\u%04x" % n)
        else:
            n -= 0x10000
            parts.append("\\u%04x\\u%04x" % (0xD800 | n >> 10, 0xDC00 | n & 0x3FF))
    return '"%s"' % "".join(parts)
