"""Check OCPP-J 2.1 messages against the JSON schemas that PyPI's `ocpp` ships."""

import functools
import json
import re
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import jsonschema

CALL, CALLRESULT, CALLERROR = 2, 3, 4
# OCPP 2.1 part 4 (OCPP-J), section 4.3, valid error codes.
ERROR_CODES = (
    "FormatViolation", "GenericError", "InternalError", "MessageTypeNotSupported",
    "NotImplemented", "NotSupported", "OccurrenceConstraintViolation",
    "PropertyConstraintViolation", "ProtocolError", "RpcFrameworkError", "SecurityError",
    "TypeConstraintViolation",
)
FRAMES = {CALL: (str, str, dict), CALLRESULT: (str, dict), CALLERROR: (str, str, str, dict)}
RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_date_time(value):
    """RFC 3339, with the offset that it demands; other types are the schema's own business."""
    if not isinstance(value, str):
        return True
    if not RFC3339.fullmatch(value):
        return False
    try:
        datetime.strptime(value[:19].upper(), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    return True


@functools.cache
def folder():
    """Where OCPP's schemas lie."""
    return Path(find_spec("ocpp").origin).parent / "v21" / "schemas"


@functools.cache
def validator(name):
    """The validator of a schema such as "HeartbeatRequest"; None when OCPP has none."""
    path = folder() / (name + ".json")
    # the name comes from the line: it shall not lead out of the folder
    if not re.fullmatch(r"[A-Za-z0-9]{1,60}", name) or not path.exists():
        return None
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return jsonschema.Draft6Validator(schema, format_checker=FORMATS)


def payload_problem(name, payload):
    """What is wrong with a payload as one sentence, or None; `name` is the schema's."""
    schema = validator(name)
    if schema is None:
        return "OCPP 2.1 has no %s" % name
    error = next(schema.iter_errors(payload), None)
    if error is None:
        return None
    return "%s%s: %s" % (name, error.json_path.lstrip("$"), error.message)


def parse(payload):
    """Split a message of the line into its array; returns (array, None) or (None, problem).

    The array has a known type, a message id of 1 to 36 characters, and the fields of its type.
    """
    try:
        message = json.loads(payload)
    except (UnicodeDecodeError, ValueError) as error:
        return None, "no JSON: %s" % error
    if not isinstance(message, list) or len(message) < 3:
        return None, "no OCPP-J array: %.80r" % (message,)
    shape = FRAMES.get(message[0]) if type(message[0]) is int else None
    if shape is None:
        return None, "unknown message type %.80r" % (message[0],)
    if len(message) != 1 + len(shape) or not all(map(isinstance, message[1:], shape)):
        return None, "wrong fields for message type %d: %.200r" % (message[0], message)
    if not 1 <= len(message[1]) <= 36:
        return None, "message id of %d characters, expected 1 to 36" % len(message[1])
    if message[0] == CALLERROR and (message[2] not in ERROR_CODES or len(message[3]) > 255):
        return None, "no CALLERROR of OCPP 2.1: %.200r" % (message,)
    return message, None


def problem(message, action=None):
    """What is wrong with a parsed message, or None; a CALLRESULT needs its CALL's `action`."""
    if message[0] == CALL:
        return payload_problem(message[2] + "Request", message[3])
    if message[0] == CALLRESULT:
        return payload_problem(action + "Response", message[2])
    return None
