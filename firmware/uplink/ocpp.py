"""The grammar of OCPP-J: arrays to text. The way back is firmware.uplink.incoming."""

import json

from micropython import const

CALL = const(2)
CALLRESULT = const(3)
CALLERROR = const(4)


class CallError(Exception):
    """What is answered to a message that cannot be served: an OCPP-J error code and a description
    in words.
    """

    def __init__(self, code, description, message_id="-1"):
        super().__init__(code)
        self.code = code
        self.description = description
        self.message_id = message_id


def encode(value):
    """JSON text in ASCII with sorted keys, so that every interpreter sends the same bytes.

    A tuple (whole, thousandths) or (whole, millionths, 6) becomes a decimal number: a board's
    floats have 24 bits, too few for an energy register.
    """
    if isinstance(value, dict):
        return "{%s}" % ",".join(
            ["%s:%s" % (_quote(key), encode(value[key])) for key in sorted(value)]
        )
    if isinstance(value, list):
        return "[%s]" % ",".join([encode(item) for item in value])
    if isinstance(value, tuple):
        return ("%d.%06d" if len(value) > 2 else "%d.%03d") % value[:2]
    if isinstance(value, str):
        return _quote(value)
    return json.dumps(value)


def _quote(text):
    # json.dumps differs between interpreters in what is not ASCII, and MicroPython's passes on a
    # lone surrogate as bytes that are no UTF-8. All else it does twenty times as fast.
    quoted = json.dumps(text)
    if len(quoted.encode()) == len(text) + 2 and "\x7f" not in text:
        return quoted
    parts = []
    for c in text:
        n = ord(c)
        if n > 0xFFFF:
            parts.append("\\u%04x" % (0xD800 | n - 0x10000 >> 10))
            n = 0xDC00 | n & 0x3FF
        if c in '"\\':
            c = "\\" + c
        elif not 31 < n < 127:
            c = "\\u%04x" % n
        parts.append(c)
    return '"%s"' % "".join(parts)
