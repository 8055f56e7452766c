"""docs/asyncapi.yaml says what the code sends and serves, and how."""

import ast
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from firmware import VERSION
from firmware.uplink import commands
from tests.pile import charging, simulate, step
from tools.host import ocpp_schemas

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document():
    return yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())


def _resolved(node, document):
    # With what it refers to in its place.
    if isinstance(node, list):
        return [_resolved(one, document) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {name: _resolved(node[name], document) for name in node}
    found = document
    for name in node["$ref"].split("/")[1:]:
        found = found[name]
    return found


def _named():
    """Every action of OCPP that a call, a comparison or a return of the firmware names."""
    found = set()
    for path in (ROOT / "firmware").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Call, ast.Compare, ast.Return)):
                found.update(one.value for one in ast.walk(node)
                             if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return {word for word in found if ocpp_schemas.validator(word + "Request")}


def test_what_it_names_as_served_is_what_is_served(document):
    served = {*commands._ACTIONS, *commands._ELSEWHERE}
    assert document["operations"]["serve"]["x-ocpp-actions"] == sorted(served)
    for action in served:
        table = commands._elsewhere(action)
        assert action in table and ocpp_schemas.validator(action + "Request")


def test_what_it_names_as_sent_is_what_can_be_sent(document):
    named = document["operations"]["tell"]["x-ocpp-actions"]
    assert named == sorted(named)
    served = {*commands._ACTIONS, *commands._ELSEWHERE}
    assert set(named) == _named() - served


def test_every_message_of_a_session_is_as_it_says(document):
    steps = charging(
        step(5000, "backend", message=[2, "m1", "TriggerMessage",
                                       {"requestedMessage": "MeterValues"}]),
        step(6000, "backend", message=[2, "m2", "Nothing", {}]),
        step(20000, "unplug"),
    )
    trace, _ = simulate(40000, steps)
    messages = document["components"]["messages"]
    kinds = {2: "call", 3: "result", 4: "error"}
    seen = set()
    for line in trace.of("uplink"):
        message = line["message"]
        kind = kinds[message[0]]
        seen.add(kind)
        schema = _resolved(messages[kind]["payload"], document)
        jsonschema.Draft6Validator(schema).validate(message)
        if kind == "call":
            assert message[2] in document["operations"]["tell"]["x-ocpp-actions"]
    assert seen == {"call", "result", "error"}


def test_topics_state_and_version(document):
    from firmware.uplink.link import Link

    link = Link("CP-1")
    names = {"root": "ocpp", "stationId": "CP-1"}
    for channel, topic in (("up", link._up_topic), ("down", link._down_topic),
                           ("state", link._state_topic)):
        assert document["channels"][channel]["address"].format(**names) == topic.decode()
    schema = document["components"]["messages"]["state"]["payload"]
    for text in (b'{"online": false}', b'{"online": true}'):
        jsonschema.Draft6Validator(schema).validate(json.loads(text))
    assert document["info"]["version"] == VERSION
