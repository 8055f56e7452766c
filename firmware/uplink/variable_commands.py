"""What the backend may ask of the pile's variables; the model is firmware.uplink.variables.
Imported for one request and let go of, see firmware.uplink.commands.
"""

from firmware import borrow

pages = borrow("firmware.uplink.pages")
shapes = borrow("firmware.uplink.shapes")
variables = borrow("firmware.uplink.variables")

_AT_ONCE = 6  # variables in one NotifyReport

_CUSTOM = shapes.CUSTOM
_TYPE = (("Actual", "Target", "MinSet", "MaxSet"), False, None)
_GET = {
    "attributeType": _TYPE,
    "component": (shapes.COMPONENT, True, None),
    "variable": (shapes.VARIABLE, True, None),
    "customData": _CUSTOM,
}
_SET = dict(_GET)
_SET["attributeValue"] = (str, True, 2500)
_WANTED = {
    "component": (shapes.COMPONENT, True, None),
    "variable": (shapes.VARIABLE, False, None),
    "customData": _CUSTOM,
}
_CRITERIA = ("Active", "Available", "Enabled", "Problem")
_BASES = ("ConfigurationInventory", "FullInventory", "SummaryInventory")


def _get(backend, payload, fresh):
    station = backend.doorman.station
    results = []
    for given in payload["getVariableData"]:
        status, entry, evse_id = _find(station, given)
        result = _result(given, status)
        if entry:
            found = variables.value(station, entry, evse_id)
            if found is None:
                _refuse(result, "WriteOnly")
            else:
                result["attributeValue"] = found
        results.append(result)
    return {"getVariableResult": results}


def _set(backend, payload, fresh):
    station = backend.doorman.station
    results = []
    for given in payload["setVariableData"]:
        status, entry, _ = _find(station, given)
        result = _result(given, status)
        if entry:
            # An old one would undo what was set since.
            why = "StaleCommand"
            if fresh:
                try:
                    why = variables.change(station, entry, given["attributeValue"])
                except (OSError, ValueError):  # ValueError: longer than a record
                    why = "NotKept"
            if why:
                _refuse(result, why)
            else:
                result["attributeStatus"] = "RebootRequired"
        results.append(result)
    return {"setVariableResult": results}


def _find(station, given):
    found = variables.find(station, given["component"], given["variable"])
    if isinstance(found, str):
        return found, None, 0
    if given.get("attributeType", "Actual") != "Actual":
        return "NotSupportedAttributeType", None, 0
    return "Accepted", found[0], found[1]


def _result(given, status):
    result: dict = {"attributeStatus": status}
    for name in ("attributeType", "component", "variable"):
        if name in given:
            result[name] = given[name]
    return result


def _refuse(result, why):
    result["attributeStatus"] = "Rejected"
    result["attributeStatusInfo"] = {"reasonCode": why}


def _base(backend, payload, fresh):
    numbers = variables.chosen(backend.doorman.station, payload["reportBase"])
    return {"status": _report(backend, payload["requestId"], numbers)}


def _some(backend, payload, fresh):
    station = backend.doorman.station
    if "componentCriteria" in payload:
        return {"status": "NotSupported"}
    wanted = payload.get("componentVariable", ())
    numbers = []
    for number in variables.chosen(station, "FullInventory"):
        if not wanted or any(_is(station, number, one) for one in wanted):
            numbers.append(number)
    return {"status": _report(backend, payload["requestId"], numbers)}


def _is(station, number, wanted):
    entry = variables.VARIABLES[number // len(station.outlets)]
    variable = wanted.get("variable", {"name": entry[1], "instance": entry[2]})
    found = variables.find(station, wanted["component"], variable)
    if isinstance(found, str):
        return False
    return found[0] is entry and found[1] in (0, number % len(station.outlets) + 1)


def _report(backend, request_id, numbers):
    if not numbers:
        return "EmptyResultSet"
    station = backend.doorman.station

    def page(part, seq, more):
        told = pages.head(station.wall, request_id, seq, more)
        told["reportData"] = [variables.describe(station, number) for number in part]
        return told

    taken = pages.tell(backend, "NotifyReport", _AT_ONCE, page, numbers)
    return "Accepted" if taken else "Rejected"


_ID = (int, True, None)
ACTIONS = {
    "GetVariables": (
        {"getVariableData": ([_GET], True, variables.ITEMS), "customData": _CUSTOM}, _get
    ),
    "SetVariables": (
        {"setVariableData": ([_SET], True, variables.ITEMS), "customData": _CUSTOM}, _set
    ),
    "GetBaseReport": (
        {"requestId": _ID, "reportBase": (_BASES, True, None), "customData": _CUSTOM}, _base
    ),
    "GetReport": (
        {
            "requestId": _ID,
            "componentVariable": ([_WANTED], False, variables.ITEMS),
            "componentCriteria": ([_CRITERIA], False, 4),
            "customData": _CUSTOM,
        },
        _some,
    ),
}  # fmt: skip
