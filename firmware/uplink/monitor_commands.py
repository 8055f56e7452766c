"""What the backend may ask of the monitors of variables; the monitors are those of
firmware.uplink.monitors. Imported for one request and let go of, see firmware.uplink.commands.

What is set is durable at once and holds at once. There are no preconfigured monitors: each base
but "All" clears those that were set. Faults are told of whatever is set, down to the level.
"""

import json

from firmware import borrow

monitors = borrow("firmware.uplink.monitors")
pages = borrow("firmware.uplink.pages")
shapes = borrow("firmware.uplink.shapes")
variables = borrow("firmware.uplink.variables")

_MOST = 16  # monitors
_LONGEST = 960  # of the field that has them, as firmware.config has it
_AT_ONCE = 4  # monitors in one NotifyMonitoringReport
_BIGGEST = 1000000  # a value

_CUSTOM = shapes.CUSTOM
_WANTED = {
    "component": (shapes.COMPONENT, True, None),
    "variable": (shapes.VARIABLE, False, None),
    "customData": _CUSTOM,
}
_STREAM = {
    "interval": (int, False, 0),
    "values": (int, False, 0),
    "customData": _CUSTOM,
}
_NAMES = (
    "UpperThreshold",
    "LowerThreshold",
    "Delta",
    "Periodic",
    "PeriodicClockAligned",
    "TargetDelta",
    "TargetDeltaRelative",
)
_DATA = {
    "id": (int, False, 0),
    "periodicEventStream": (_STREAM, False, None),
    "transaction": (bool, False, None),
    "value": (float, True, None),
    "type": (_NAMES, True, None),
    "severity": (int, True, 0),
    "component": (shapes.COMPONENT, True, None),
    "variable": (shapes.VARIABLE, True, None),
    "customData": _CUSTOM,
}
_CRITERIA = {
    "ThresholdMonitoring": "UL",
    "DeltaMonitoring": "D",
    "PeriodicMonitoring": "PC",
}


def _set(backend, payload, fresh):
    station = backend.doorman.station
    results = []
    kept = _kept(station)
    for given in payload["setMonitoringData"]:
        result = {"type": given["type"], "severity": given["severity"]}
        result["component"], result["variable"] = given["component"], given["variable"]
        made = _made(station, given, kept)
        status, why = made if isinstance(made, tuple) else ("Accepted", None)
        if not why and status == "Accepted" and not fresh and made not in kept:
            status, why = "Rejected", "StaleCommand"  # it would undo what came after it
        if status == "Accepted":
            changed = [one for one in kept if one[0] != made[0]] + [made]
            if len(changed) > _MOST:
                status, why = "Rejected", "TooManyElements"
            elif not _keep(station, kept, changed):
                status, why = "Rejected", "OutOfStorage"
            else:
                kept = changed
                result["id"] = made[0]
        result.update(shapes.told(status, why))
        results.append(result)
    return {"setMonitoringResult": results}


def _made(station, given, kept):
    # The monitor, or (status, reason).
    component, variable = given["component"], given["variable"]
    found = variables.find(station, component, variable)
    if isinstance(found, str):
        return found, None
    entry, evse_id = found
    kinds = [kind for kind in monitors.TYPES if monitors.TYPES[kind] == given["type"]]
    if not kinds or not variables.watchable(entry):
        return "UnsupportedMonitorType", None
    if "periodicEventStream" in given:
        return "Rejected", "UnsupportedParam"
    if given["severity"] > 9 or not -_BIGGEST <= given["value"] <= _BIGGEST:
        return "Rejected", "ValueOutOfRange"
    value = int(given["value"] * 1000 + (0.5 if given["value"] > 0 else -0.5))
    if kinds[0] in "DPC" and value < (1 if kinds[0] == "D" else 1000):
        return "Rejected", "ValueTooLow"
    name = ".".join([part for part in entry[:3] if part])
    running = 1 if given.get("transaction") else 0
    rest = [name, evse_id, kinds[0], value, given["severity"], running]
    number = given.get("id")
    if number is None:
        number = max([0] + [one[0] for one in kept]) + 1
        same = [one for one in kept if one[1:4] + one[5:6] == rest[:3] + rest[4:5]]
        if same and same[0][1:] != rest:
            return "Duplicate", None
        if same:
            number = same[0][0]  # it is there already
    elif not any(one[0] == number and one[1:3] == rest[:2] for one in kept):
        return "Rejected", "NotFound"
    return [number] + rest


def _kept(station):
    return monitors.parse(station.config["monitors"])


def _keep(station, before, after):
    # Whether they are kept: at most _MOST, and within the bounds of the field.
    if before == after:
        return True
    text = ";".join([",".join([str(field) for field in one]) for one in after])
    if len(text) > _LONGEST or not _save(station, "monitors", text):
        return False
    if text and not before:
        borrow("firmware.uplink.monitors").watch(station.cards)
    return True


def _save(station, field, value):
    # As firmware.uplink.variables does, but it holds at once, and from the next start on.
    if station.config[field] != value:
        if station.journal.crowded:
            return False  # the room that is left is for transactions
        try:
            data = json.dumps({field: value}).encode()
            station.journal.append(bytes((6, variables.SETTING)) + data)
        except OSError:
            return False
        station.config[field] = value
    return True


def _clear(backend, payload, fresh):
    station = backend.doorman.station
    kept = _kept(station)
    results = []
    for number in payload["id"]:
        left = [one for one in kept if one[0] != number]
        if len(left) == len(kept):
            result = shapes.told("NotFound")
        elif not fresh:
            result = shapes.told("Rejected", "StaleCommand")
        elif not _keep(station, kept, left):
            result = shapes.told("Rejected", "NotKept")
        else:
            kept = left
            result = shapes.told("Accepted")
        result["id"] = number
        results.append(result)
    return {"clearMonitoringResult": results}


def _base(backend, payload, fresh):
    station = backend.doorman.station
    kept = _kept(station)
    if payload["monitoringBase"] != "All" and kept:
        if not fresh:
            return shapes.told("Rejected", "StaleCommand")
        if not _keep(station, kept, []):
            return shapes.told("Rejected", "NotKept")
    return shapes.told("Accepted")


def _level(backend, payload, fresh):
    station = backend.doorman.station
    severity = payload["severity"]
    if severity > 9:
        return shapes.told("Rejected", "ValueOutOfRange")
    if not fresh and severity != station.config["monitoring_level"]:
        return shapes.told("Rejected", "StaleCommand")
    if not _save(station, "monitoring_level", severity):
        return shapes.told("Rejected", "NotKept")
    return shapes.told("Accepted")


def _report(backend, payload, fresh):
    station = backend.doorman.station
    wanted = payload.get("componentVariable", ())
    criteria = payload.get("monitoringCriteria")
    kinds = "".join([_CRITERIA[name] for name in criteria or _CRITERIA])
    found = [one for one in _kept(station) if one[3] in kinds]
    if wanted:
        found = [one for one in found if any(_is(one, what) for what in wanted)]
    if not found:
        return shapes.told("EmptyResultSet")

    def page(part, seq, more):
        told = pages.head(backend.wall, payload["requestId"], seq, more)
        told["monitor"] = [_described(one) for one in part]
        return told

    if not pages.tell(backend, "NotifyMonitoringReport", _AT_ONCE, page, found):
        return shapes.told("Rejected", "Busy")
    return shapes.told("Accepted")


def _is(monitor, wanted):
    component, variable = monitors.names(monitor[1])
    asked = wanted["component"]
    if asked["name"].lower() != component["name"].lower() or asked.get("instance"):
        return False
    if "evse" in asked and asked["evse"]["id"] != monitor[2]:
        return False
    named = wanted.get("variable", variable)
    if named["name"].lower() != variable["name"].lower():
        return False
    return named.get("instance", "").lower() == variable.get("instance", "").lower()


def _described(monitor):
    number, name, evse_id, kind, value, severity, running = monitor
    component, variable = monitors.names(name)
    if evse_id:
        component["evse"] = {"id": evse_id}
    about = {
        "id": number,
        "transaction": running == 1,
        # A tuple is a decimal number, see firmware.uplink.ocpp; there are none below 0.
        "value": value // 1000 if value % 1000 == 0 else value / 1000,
        "type": monitors.TYPES[kind],
        "severity": severity,
        "eventNotificationType": "CustomMonitor",
    }
    if value % 1000 and value > 0:
        about["value"] = divmod(value, 1000)
    return {"component": component, "variable": variable, "variableMonitoring": [about]}


ACTIONS = {
    "SetVariableMonitoring": (
        {"setMonitoringData": ([_DATA], True, variables.ITEMS), "customData": _CUSTOM}, _set
    ),
    "ClearVariableMonitoring": (
        {"id": ([int, 0], True, _MOST), "customData": _CUSTOM}, _clear
    ),
    "SetMonitoringBase": (
        {
            "monitoringBase": (("All", "FactoryDefault", "HardWiredOnly"), True, None),
            "customData": _CUSTOM,
        },
        _base,
    ),
    "SetMonitoringLevel": ({"severity": (int, True, 0), "customData": _CUSTOM}, _level),
    "GetMonitoringReport": (
        {
            "requestId": (int, True, None),
            "componentVariable": ([_WANTED], False, variables.ITEMS),
            "monitoringCriteria": ([tuple(_CRITERIA)], False, 3),
            "customData": _CUSTOM,
        },
        _report,
    ),
}  # fmt: skip
