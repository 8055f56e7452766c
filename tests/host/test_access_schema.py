"""What the pile takes of the backend's requests about access is what OCPP's own schemas say."""

import importlib.resources
import json

import pytest

from firmware.uplink import access_commands

SCHEMAS = importlib.resources.files("ocpp") / "v21" / "schemas"
KINDS = {"string": str, "integer": int}
# Where a shape takes less than the schema, and why: lists are bounded, a list of no entry is left
# out by the schema too; a date-time has no length there.
DATES = 40


def schema(action):
    return json.loads((SCHEMAS / ("%sRequest.json" % action)).read_text())


def differences(shape, type_, definitions, where):
    """In words, how `shape` differs from the schema `type_`."""
    properties = type_["properties"]
    if set(shape) != set(properties):
        yield "%s: fields %s" % (where, sorted(set(shape) ^ set(properties)))
        return
    for name, (kind, required, bound) in shape.items():
        field = "%s.%s" % (where, name)
        wanted = properties[name]
        if required != (name in type_.get("required", ())):
            yield "%s: required %s" % (field, required)
        if name != "customData":
            yield from _kind(kind, bound, wanted, definitions, field)


def _kind(kind, bound, wanted, definitions, field):
    if "$ref" in wanted:
        wanted = definitions[wanted["$ref"].rpartition("/")[2]]
    if isinstance(kind, dict):
        yield from differences(kind, wanted, definitions, field)
    elif isinstance(kind, tuple):
        if sorted(kind) != sorted(wanted["enum"]):
            yield "%s: words %s" % (field, sorted(set(kind) ^ set(wanted["enum"])))
    elif isinstance(kind, list):
        if wanted["type"] != "array" or wanted.get("minItems") != 1:
            yield "%s: expected an array of at least one" % field
        yield from _kind(kind[0], None, wanted["items"], definitions, field + "[]")
    elif kind is not KINDS[wanted["type"]]:
        yield "%s: kind %s" % (field, kind)
    elif wanted.get("format") == "date-time":
        if bound != DATES:
            yield "%s: length %s" % (field, bound)
    elif kind is str and bound != wanted["maxLength"]:
        yield "%s: length %s" % (field, bound)
    elif kind is int and "minimum" in wanted and not field.endswith("[]"):
        if bound != wanted["minimum"]:
            yield "%s: least %s" % (field, bound)


@pytest.mark.parametrize("action", sorted(access_commands.ACTIONS))
def test_a_shape_is_the_schemas(action):
    type_ = schema(action)
    found = differences(
        access_commands.ACTIONS[action][0], type_, type_.get("definitions", {}), action
    )
    assert not list(found)
