"""The grammar of OCPP-J: arrays to text and back, and the right CALLERROR for what does not fit.

Payloads are checked against shapes, small tables of the fields that the schema names. The
vocabulary is OCPP 2.1.
"""

import json

from micropython import const

CALL = const(2)
CALLRESULT = const(3)
CALLERROR = const(4)

_ID_LENGTH = const(36)  # messageId, OCPP-J 2.1


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


def decode(payload):
    """The message in `payload` (bytes) as a list: [2, id, action, {}], [3, id, {}] or [4, id,
    code, ...].

    Raises CallError; its message_id is "-1" where none could be read.
    """
    try:
        message = json.loads(str(payload, "utf-8"))
    except (ValueError, RuntimeError):  # RuntimeError: nested beyond the stack
        raise CallError("RpcFrameworkError", "expected a JSON array, found no JSON")
    if not isinstance(message, list) or len(message) < 3:
        raise CallError("RpcFrameworkError", "expected an array of at least three elements")
    kind, message_id = message[0], message[1]
    if not isinstance(message_id, str) or not 0 < len(message_id) <= _ID_LENGTH:
        raise CallError(
            "RpcFrameworkError", "expected a message id of 1 to 36 characters as second element"
        )
    if not isinstance(kind, int) or isinstance(kind, bool) or not CALL <= kind <= CALLERROR:
        raise CallError("MessageTypeNotSupported", "expected message type 2, 3 or 4", message_id)
    if kind == CALL:
        if len(message) != 4 or not isinstance(message[2], str):
            raise CallError("RpcFrameworkError", "expected [2, id, action, payload]", message_id)
        if not isinstance(message[3], dict):
            raise CallError("FormatViolation", "expected an object as payload", message_id)
    return message
