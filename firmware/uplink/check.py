"""Holds what came against its shape, a small table of the fields that the schema names. Imported
for that only, see firmware.borrow; firmware.uplink.shapes has those that messages share.
"""

from firmware.clock import parse
from firmware.uplink.ocpp import CallError

_MOST = (1 << 53) - 1  # in case a backend counts in ms: what every JSON reader has exactly
_DATE = "date-time"  # as firmware.uplink.shapes has it


def check(value, shape, where="payload"):
    """Check an object against a shape; raise CallError naming the field.

    A shape maps each allowed field to (kind, required, bound): kind str with its greatest length,
    int with its least value, bool, float for any number, a tuple of the words allowed,
    "date-time" for one of RFC 3339, a nested shape, a list of one such kind (and its bound) with
    the most elements that are taken, list or dict of any content, or object for anything.
    """
    for name in shape:
        if shape[name][1] and name not in value:
            raise CallError("OccurrenceConstraintViolation", "%s.%s: missing" % (where, name))
    for name in value:
        field = "%s.%s" % (where, name)
        if name not in shape:
            raise CallError("FormatViolation", "%s: no such field" % field)
        kind, _, bound = shape[name]
        if kind is object:
            continue
        found = value[name]
        expected = str if kind == _DATE else (int, float) if kind is float else kind
        for made_of, of in ((dict, dict), (tuple, str), (list, list)):
            if isinstance(kind, made_of):
                expected = of
        if not isinstance(found, expected) or isinstance(found, bool) != (kind is bool):
            raise CallError(
                "TypeConstraintViolation", "%s: expected %s" % (field, _KINDS[expected])
            )
        if name == "customData" and not isinstance(found.get("vendorId"), str):
            raise CallError("OccurrenceConstraintViolation", "%s.vendorId: missing" % field)
        if isinstance(kind, dict):
            check(found, kind, field)
        elif isinstance(kind, list):
            if not 1 <= len(found) <= bound:
                raise CallError(
                    "OccurrenceConstraintViolation", "%s: expected 1 to %d" % (field, bound)
                )
            of = kind[1] if len(kind) > 1 else None
            for i, one in enumerate(found):
                check({"[%d]" % i: one}, {"[%d]" % i: (kind[0], True, of)}, field)
        elif isinstance(kind, tuple):
            if found not in kind:
                raise CallError(
                    "PropertyConstraintViolation", "%s: expected %s" % (field, " or ".join(kind))
                )
        elif kind == _DATE:
            try:
                parse(found)
            except ValueError as error:
                raise CallError("PropertyConstraintViolation", "%s: %s" % (field, error))
        elif kind is str and bound is not None and len(found) > bound:
            raise CallError("PropertyConstraintViolation", "%s: longer than %d" % (field, bound))
        elif kind is int and not -_MOST <= found <= _MOST:
            # OCPP's have 32 bits; one of a thousand digits would be told again, and kept.
            raise CallError("PropertyConstraintViolation", "%s: expected 32 bits" % field)
        elif kind is int and bound is not None and found < bound:
            raise CallError("PropertyConstraintViolation", "%s: less than %d" % (field, bound))


_KINDS = {
    str: "a text",
    int: "a whole number",
    (int, float): "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}
