"""What arrives from the backend, read with care: it may be anything. Imported when something does
and let go of, see Backend._message.

A message is looked through byte by byte before json.loads gets it, which on MicroPython takes text
that is no JSON, and of two fields of one name the last. What is refused changes nothing, is
answered by the CALLERROR that it earns where it may be a CALL, and is counted, see `refused`.
"""

import json

from micropython import const

from firmware import borrow
from firmware.uplink.ocpp import CALL, CALLERROR, CALLRESULT, CallError

_ID_LENGTH = const(36)  # messageId, OCPP-J 2.1
_DEEPEST = const(16)  # arrays and objects in one another: a charging profile needs 9
_FIELDS = const(64)  # of one object

# The second byte that may follow a first: RFC 3629, section 4. Others make a character too long,
# half a one of UTF-16, or one behind Unicode's end.
_SECOND = (
    (b"\xc0", 1, 0),
    (b"\xc1", 1, 0),
    (b"\xe0", 0xA0, 0xBF),
    (b"\xed", 0x80, 0x9F),
    (b"\xf0", 0x90, 0xBF),
    (b"\xf4", 0x80, 0x8F),
    (b"\xf5", 1, 0),
    (b"\xf6", 1, 0),
    (b"\xf7", 1, 0),
)

_BACKLOG_MS = const(1000)
_ANSWERS = const(32)  # that may wait for the line
_BYTES = const(4096)  # of those, and then one more

_HEX = b"0123456789abcdefABCDEF"

# What may come next.
_VALUE = const(0)
_FIRST = const(1)  # a value, or the array's end
_NAME = const(2)
_FIRST_NAME = const(3)  # or the object's end
_COLON = const(4)
_NEXT = const(5)  # a comma, or the end
_OVER = const(6)


_held = {}  # what else was needed for a message: as long as this, for many may come at a time


class Bad(CallError):
    """A message that is refused before anybody looks at its payload; `kind` in a word."""

    def __init__(self, kind, code, description, message_id="-1"):
        super().__init__(code, description, message_id)
        self.kind = kind


def take(backend, payload, replayed):
    """Do what the message `payload` (bytes) asks for; `replayed`: it may be an old one. While too
    many answers wait for the line, nothing of what wants one is done: it may be asked again.
    """
    waiting = backend._answers
    busy = len(waiting) >= _ANSWERS or sum(map(len, waiting)) >= _BYTES
    try:
        message = decode(payload)
        uptime_ms = backend.wall.uptime_ms
        if message[0] == CALL and uptime_ms < backend._replay_until_uptime_ms:
            # What comes closely upon it is of the same backlog, which may take long on a bad line.
            until_ms = max(backend._replay_until_uptime_ms, uptime_ms + _BACKLOG_MS)
            backend._replay_until_uptime_ms = until_ms
        if busy and message[0] == CALL:
            count = backend.unserved = getattr(backend, "unserved", 0) + 1
            if count & (count - 1) == 0:
                backend._record("refused", kind="busy", count=count)
            return
        if message[0] == CALLRESULT:
            backend.outbox.result(message[1], message[2])
        elif message[0] == CALLERROR:
            backend.outbox.result(message[1], None, message[2])
        else:
            answer = _serve(backend, message, replayed)
            if answer is not None:
                backend.answer([CALLRESULT, message[1], answer])
    except CallError as error:
        if isinstance(error, Bad):
            refused(backend, error.kind)
        # Nor may an answer, or what wants none, get one when it cannot be read.
        if not busy and payload.lstrip()[:2] not in (b"[3", b"[4", b"[5", b"[6"):
            # OCPP-J allows 255 characters; it may quote a field's name of any length.
            description = error.description[:255]
            backend.answer([CALLERROR, error.message_id, error.code, description, {}])


def _serve(backend, message, replayed):
    try:
        return _get("commands").serve(backend, message, replayed)
    except CallError as error:
        # What names things that this firmware does not know comes from an honest backend, too.
        if error.code not in ("NotImplemented", "NotSupported", "InternalError"):
            refused(backend, "payload")
        raise
    except Exception as error:  # no memory for it, not whole on the board, an error of ours
        backend._record("error", problem=repr(error))
        raise CallError("InternalError", repr(error), message[1])


def refused(backend, kind):
    """A message was refused: count it, and say so where it looks hostile."""
    _get("hostile").note(backend, kind)


def _get(name):
    if name not in _held:
        _held[name] = borrow("firmware.uplink." + name)
    return _held[name]


def decode(payload):
    """The message in `payload` (bytes) as a list: [2, id, action, {}], [3, id, {}] or [4, id,
    code, description, {}].

    Raises Bad; its message_id is "-1" where none could be read.
    """
    message_id = _early_id(payload)
    try:
        text = str(payload, "utf-8")
        if not _is_utf8(payload):
            raise ValueError
    except ValueError:
        raise Bad("encoding", "RpcFrameworkError", "expected UTF-8", message_id)
    kind, description = wrong(payload) or ("", "")
    if kind:
        code = "RpcFrameworkError" if kind == "syntax" else "FormatViolation"
        raise Bad(kind, code, description, message_id)
    try:
        message = json.loads(text)
    except (ValueError, RuntimeError):
        raise Bad("syntax", "RpcFrameworkError", "expected JSON", message_id)
    if not isinstance(message, list) or len(message) < 3:
        raise _frame("RpcFrameworkError", "expected an array of at least three elements")
    kind, message_id = message[0], message[1]
    if not isinstance(message_id, str) or not 0 < len(message_id) <= _ID_LENGTH:
        raise _frame(
            "RpcFrameworkError", "expected a message id of 1 to 36 characters as second element"
        )
    if not isinstance(kind, int) or isinstance(kind, bool) or not CALL <= kind <= CALLERROR:
        raise _frame("MessageTypeNotSupported", "expected message type 2, 3 or 4", message_id)
    if kind == CALL:
        if len(message) != 4 or not isinstance(message[2], str):
            raise _frame("RpcFrameworkError", "expected [2, id, action, payload]", message_id)
        if not isinstance(message[3], dict):
            raise _frame("FormatViolation", "expected an object as payload", message_id)
    elif not _is(message[2:], (dict,) if kind == CALLRESULT else (str, str, dict)):
        raise _frame("RpcFrameworkError", "expected [3, id, payload] or [4, id, code, ...]")
    return message


def _is(found, kinds):
    return len(found) == len(kinds) and all(map(isinstance, found, kinds))


def _frame(code, description, message_id="-1"):
    return Bad("frame", code, description, message_id)


def _is_utf8(data):
    # MicroPython takes all that has UTF-8's pattern.
    for lead, least, most in _SECOND:
        at = data.find(lead)
        while at >= 0:
            if not least <= data[at + 1] <= most:
                return False
            at = data.find(lead, at + 1)
    return True


def _early_id(data):
    # The id of a CALL that cannot be read to its end, where it is plain.
    if data[:4] == b'[2,"':
        end = data.find(b'"', 4)
        found = data[4:end]
        if 0 < len(found) <= _ID_LENGTH and end > 0:
            if all(32 <= c < 127 and c != 92 for c in found):
                return str(found, "utf-8")
    return "-1"


def wrong(data):
    """(kind, description) of what is wrong with the JSON text `data`: "syntax", "deep", "fields"
    for too many of them, "twice" for two fields of one name. None: nothing.
    """
    names: list = []  # of each open object the fields that it has, None for an array
    expected = _VALUE
    n = len(data)
    at = 0
    while at < n:
        c = data[at]
        if c == 0x22:  # "
            end = _end(data, at)
            if not end or expected >= _COLON or not _is_text(data[at + 1 : end - 1]):
                break
            if expected >= _NAME:
                name = data[at:end]
                if b"\\" in name:
                    try:
                        name = json.loads(name)
                    except ValueError:
                        break
                else:
                    name = str(name[1:-1], "utf-8")
                if name in names[-1]:
                    return "twice", "a field stands there twice"
                if len(names[-1]) >= _FIELDS:
                    return "fields", "expected at most %d fields" % _FIELDS
                names[-1].add(name)
                expected = _COLON
            else:
                expected = _NEXT if names else _OVER
            at = end
            continue
        at += 1
        if c in b" \t\r\n":
            continue
        if c in b"{[":
            if expected > _FIRST:
                break
            if len(names) >= _DEEPEST:
                return "deep", "expected at most %d levels" % _DEEPEST
            names.append(set() if c == 0x7B else None)
            expected = _FIRST_NAME if c == 0x7B else _FIRST
        elif c in b"}]":
            first = _FIRST_NAME if c == 0x7D else _FIRST
            array = names[-1:] == [None]
            if not names or expected not in (first, _NEXT) or array != (c == 0x5D):
                break
            names.pop()
            expected = _NEXT if names else _OVER
        elif c == 0x3A:  # :
            if expected != _COLON:
                break
            expected = _VALUE
        elif c == 0x2C:  # ,
            if expected != _NEXT:
                break
            expected = _VALUE if names[-1:] == [None] else _NAME
        else:  # a number, true, false, null
            if expected > _FIRST or c not in b"-0123456789tfn":
                break
            begin = at - 1
            while at < n and data[at] in b"+-.0123456789Eaeflrsu":
                at += 1
            if not _is_plain(str(data[begin:at], "utf-8")):
                break
            expected = _NEXT if names else _OVER
    else:
        if expected == _OVER:
            return None
    return "syntax", "expected JSON, found something else at byte %d" % at


def _is_text(inner):
    # What stands between the quotes: no control characters, and JSON's own escapes.
    if inner and min(inner) < 32:
        return False
    at = inner.find(b"\\")
    while at >= 0:
        c = inner[at + 1]
        if c not in b'"\\/bfnrtu':
            return False
        if c == 0x75:
            digits = inner[at + 2 : at + 6]
            if len(digits) < 4 or not all(c in _HEX for c in digits):
                return False
        at = inner.find(b"\\", at + 2)
    return True


def _is_plain(word):
    # Whether it is a number as JSON has it, or one of its words.
    if word in ("true", "false", "null"):
        return True
    number, e, exponent = word.lower().partition("e")
    if number[:1] == "-":
        number = number[1:]
    if exponent[:1] in ("+", "-"):
        exponent = exponent[1:]
    whole, point, rest = number.partition(".")
    return (
        whole.isdigit()
        and (whole[0] != "0" or whole == "0")
        and rest.isdigit() == bool(point)
        and exponent.isdigit() == bool(e)
    )


def _end(data, at):
    # Where the text that begins at `at` is over; 0: nowhere.
    end = at
    while True:
        end = data.find(b'"', end + 1)
        if end < 0:
            return 0
        back = end
        while data[back - 1] == 0x5C:
            back -= 1
        if (end - back) & 1 == 0:
            return end + 1
