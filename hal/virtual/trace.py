"""The trace: one JSON line an event, with sorted keys, so that every interpreter writes the same
bytes.
"""

import json


class Trace:
    """Lines to the open `file`. `clock()` tells the plant's microseconds."""

    def __init__(self, file, clock):
        self._file = file
        self._clock = clock

    def record(self, what, **fields):
        """Write `what` with its `fields`, at the plant's time."""
        self.at(self._clock(), what, fields)

    def at(self, t_us, what, fields):
        """Write `what` with its `fields` as of `t_us`. A field `message` is JSON text already."""
        parts = ['{"t_us": %d, "what": "%s"' % (t_us, what)]
        for key in sorted(fields):
            value = fields[key]
            parts.append(', "%s": %s' % (key, value if key == "message" else _text(value)))
        parts.append("}\n")
        self._file.write("".join(parts))

    def flush(self):
        """Let readers see every line so far."""
        self._file.flush()


def _text(value):
    if isinstance(value, dict):
        return "{%s}" % ", ".join(
            ["%s: %s" % (json.dumps(key), _text(value[key])) for key in sorted(value)]
        )
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join([_text(item) for item in value])
    return json.dumps(value)
