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
    # json.dumps differs between interpreters, and MicroPython's passes on a lone surrogate as
    # bytes that are no UTF-8.
    parts = []
    for c in text:
        n = ord(c)
        if c in '"\\':
            parts.append("\\" + c)
        elif 32 <= n < 127:
            parts.append(c)
        elif n < 0x10000:
            parts.append("\\u%04x" % n)
        else:
            n -= 0x10000
            parts.append("\\u%04x\\u%04x" % (0xD800 | n >> 10, 0xDC00 | n & 0x3FF))
    return '"%s"' % "".join(parts)
