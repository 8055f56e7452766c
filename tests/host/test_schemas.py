"""What the pile takes of the backend's requests is what OCPP's own schemas say."""

import importlib.resources
import json

import pytest

from firmware import borrow
from firmware.uplink import (
    access_commands,
    certificate_commands,
    charging_commands,
    charging_reports,
    control_commands,
    customer_commands,
    log_commands,
    monitor_commands,
    network_commands,
    outlet_commands,
    signed_commands,
    variable_commands,
)
from tests import pile
from tools.host import ocpp_schemas

shapes = borrow("firmware.uplink.shapes")
SCHEMAS = importlib.resources.files("ocpp") / "v21" / "schemas"
KINDS = {"string": str, "integer": int, "number": float, "boolean": bool}
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
        if name != "customData" and kind is not object:
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
        yield from _kind(kind[0], (*kind, None)[1], wanted["items"], definitions, field + "[]")
    elif kind == shapes.DATE:
        if wanted.get("format") != "date-time":
            yield "%s: no date" % field
    elif kind is not KINDS[wanted["type"]]:
        yield "%s: kind %s" % (field, kind)
    elif wanted.get("format") == "date-time":
        if bound != DATES:
            yield "%s: length %s" % (field, bound)
    elif kind is str and bound != wanted["maxLength"]:
        yield "%s: length %s" % (field, bound)
    elif kind is int and "minimum" in wanted:
        if bound != wanted["minimum"]:
            yield "%s: least %s" % (field, bound)


ACTIONS = {}
for module in (
    access_commands,
    certificate_commands,
    charging_commands,
    charging_reports,
    control_commands,
    customer_commands,
    log_commands,
    network_commands,
    monitor_commands,
    outlet_commands,
    signed_commands,
    variable_commands,
):
    ACTIONS.update(module.ACTIONS)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_shape_is_the_schemas(action):
    type_ = schema(action)
    found = differences(ACTIONS[action][0], type_, type_.get("definitions", {}), action)
    assert not list(found)


def _asked(requests, until_ms, *steps, **fields):
    """The trace of a pile that is asked these (action, payload), from 1 s on. What it is asked,
    answers and tells is as the schemas have it.
    """
    steps = [pile.step(1000 + 500 * i, "backend", message=[2, str(i), action, payload])
             for i, (action, payload) in enumerate(requests)] + list(steps)
    trace, _ = pile.simulate(until_ms, steps, **fields)
    requests = [(line["step"]["message"][2], line["step"]["message"][3])
                for line in trace.of("step") if line["step"]["do"] == "backend"]
    answers = trace.answers()
    assert len(answers) == len(requests)
    for (action, request), (_, _, payload) in zip(requests, answers):
        assert ocpp_schemas.payload_problem(action + "Request", request) is None
        assert ocpp_schemas.payload_problem(action + "Response", payload) is None
    for message in [line["message"] for line in trace.of("uplink")]:
        if message[0] == 2:
            assert ocpp_schemas.payload_problem(message[2] + "Request", message[3]) is None
    return trace


def test_what_is_told_of_variables_is_what_the_schemas_say():
    named = [{"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}},
             {"component": {"name": "Nothing"}, "variable": {"name": "Nothing"}},
             {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}]
    requests = [
        ("GetVariables", {"getVariableData": named}),
        ("SetVariables", {"setVariableData": [dict(one, attributeValue="x") for one in named]}),
        ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
        ("GetReport", {"requestId": 2}),
    ]
    trace = _asked(requests, 10000)
    assert len(trace.messages("NotifyReport")) > 10


def _names(component, variable, **fields):
    return {"component": dict({"name": component}, **fields), "variable": {"name": variable}}


def test_what_is_answered_and_told_is_what_the_schemas_say():
    heat = _names("TemperatureSensor", "Temperature", evse={"id": 1})
    limit = dict(heat, type="UpperThreshold", value=50.5, severity=5)
    below = dict(heat, type="LowerThreshold", value=-5.5, severity=5)
    entries = dict(_names("LocalAuthListCtrlr", "Entries"), type="Delta", value=1, severity=9)
    requests = [
        ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}}),
        ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 9}}),
        ("UnlockConnector", {"evseId": 1, "connectorId": 1}),
        ("UnlockConnector", {"evseId": 2, "connectorId": 1}),
        ("GetTransactionStatus", {}),
        ("GetTransactionStatus", {"transactionId": "x"}),
        ("SetVariableMonitoring", {"setMonitoringData": [limit, below, entries]}),
        ("SetVariableMonitoring", {"setMonitoringData": [dict(limit, value=60)]}),
        ("GetMonitoringReport", {"requestId": 1}),
        ("SetMonitoringLevel", {"severity": 9}),
        ("SetMonitoringLevel", {"severity": 10}),
        ("ClearVariableMonitoring", {"id": [3, 4]}),
    ]
    base = [2, "m", "SetMonitoringBase", {"monitoringBase": "FactoryDefault"}]
    trace = _asked(
        requests, 30000,
        pile.step(10000, "temperature", c=55), pile.step(12000, "temperature", c=-10),
        pile.step(15000, "door"), pile.step(17000, "door", fault=False),
        pile.step(20000, "backend", message=base),
    )  # fmt: skip
    assert len(trace.messages("NotifyEvent")) == 5
    assert len(trace.messages("NotifyMonitoringReport")) == 1


def test_what_is_told_of_a_customer_is_what_the_schemas_say():
    token = {"idToken": pile.CARD, "type": "ISO14443"}
    payloads = [
        {"requestId": 0, "report": True, "clear": True, "idToken": token},
        {"requestId": 1, "report": True, "clear": False, "customerIdentifier": "C"},
        {"requestId": 2, "report": True, "clear": False},
    ]
    steps = pile.charging(pile.step(9000, "unplug"))
    steps += [
        pile.step(40000 + 3000 * i, "backend", message=[2, str(i), "CustomerInformation", one])
        for i, one in enumerate(payloads)
    ]
    trace = _asked([], 60000, *steps, config=pile.settings(customer_info=1), tick_ms=20)
    assert len(trace.messages("NotifyCustomerInformation")) == 2


def test_what_is_told_of_charging_profiles_is_what_the_schemas_say():
    daily = {
        "id": 1, "stackLevel": 2, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring", "recurrencyKind": "Daily",
        "validFrom": "2025-01-01T00:00:00Z", "validTo": "2030-01-01T00:00:00Z",
        "maxOfflineDuration": 60, "invalidAfterOfflineDuration": True,
        "chargingSchedule": [{
            "id": 3, "chargingRateUnit": "W", "duration": 80000, "minChargingRate": 1400.5,
            "startSchedule": "2025-06-01T00:00:00+08:00",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4140, "numberPhases": 3}],
        }],
    }  # fmt: skip
    dynamic = {
        "id": -2, "stackLevel": 0, "chargingProfilePurpose": "ChargingStationMaxProfile",
        "chargingProfileKind": "Dynamic", "dynUpdateInterval": 5,
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "A",
                              "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20}]}],
    }  # fmt: skip
    requests = [
        ("SetChargingProfile", {"evseId": 1, "chargingProfile": daily}),
        ("SetChargingProfile", {"evseId": 0, "chargingProfile": dynamic}),
        ("SetChargingProfile", {"evseId": 1, "chargingProfile": dynamic}),
        ("GetChargingProfiles", {"requestId": 1, "chargingProfile": {}}),
        ("GetChargingProfiles", {"requestId": 2, "chargingProfile": {"stackLevel": 7}}),
        ("GetCompositeSchedule", {"evseId": 1, "duration": 90000}),
        ("GetCompositeSchedule", {"evseId": 0, "duration": 90000, "chargingRateUnit": "W"}),
        ("GetCompositeSchedule", {"evseId": 1, "duration": 0}),
        ("UpdateDynamicSchedule", {"chargingProfileId": -2, "scheduleUpdate": {"limit": 10}}),
        ("UpdateDynamicSchedule", {"chargingProfileId": 1, "scheduleUpdate": {"limit": 10}}),
        ("ClearChargingProfile", {"chargingProfileId": 5}),
        ("ClearChargingProfile", {"chargingProfileId": 1}),
    ]
    trace = _asked(requests, 16000)
    assert len(trace.messages("ReportChargingProfiles")) == 2
    assert len(trace.messages("PullDynamicScheduleUpdate")) == 1


def test_what_is_told_of_a_grid_operators_limit_is_what_the_schemas_say():
    steps = pile.charging(pile.step(20000, "limit_input"),
                          pile.step(30000, "limit_input", active=False))
    trace = _asked([], 100000, *steps, limit_input=True)
    assert len(trace.messages("NotifyChargingLimit")) == 1
    assert len(trace.messages("ClearedChargingLimit")) == 1
