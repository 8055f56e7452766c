"""What the backend hears of without asking: faults, and the numbers that it has watched."""

from tests import pile
from tests.pile import charging, power_cut, settings, step


def simulate(until_ms, steps, config=None, **fields):
    return pile.simulate(until_ms, steps, config, tick_ms=20, **fields)


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _monitor(kind, value, component, variable, evse_id=1, **fields):
    made = {"type": kind, "value": value, "severity": fields.pop("severity", 5)}
    made["component"] = {"name": component}
    made["variable"] = {"name": variable}
    if evse_id:
        made["component"]["evse"] = {"id": evse_id}
    made.update(fields)
    return made


def _set(at_ms, *monitors, **fields):
    payload = {"setMonitoringData": list(monitors)}
    return _call(at_ms, "SetVariableMonitoring", payload, **fields)


def _results(trace, name="setMonitoringResult"):
    found = []
    for answer in trace.answers():
        assert answer[0] == 3, answer
        for one in answer[2].get(name, ()):
            why = one.get("statusInfo", {}).get("reasonCode")
            found.append((one["status"] + ("/" + why if why else ""), one.get("id")))
    return found


def _statuses(trace):
    found = []
    for answer in trace.answers():
        if "status" in answer[2]:
            why = answer[2].get("statusInfo", {}).get("reasonCode")
            found.append(answer[2]["status"] + ("/" + why if why else ""))
    return found


def _events(trace, kind="CustomMonitor"):
    """Of each: trigger, value, whether it is over, by whom, and when, in s since the start."""
    found = []
    for page in trace.messages("NotifyEvent"):
        assert page["tbc"] is False and page["seqNo"] == 0
        for one in page["eventData"]:
            if one["eventNotificationType"] == kind:
                hour, minute, second = one["timestamp"][11:-1].split(":")
                at_s = int(hour) * 3600 + int(minute) * 60 + float(second)
                who = one.get("variableMonitoringId", one.get("techCode"))
                cleared = one.get("cleared")
                found.append((one["trigger"], one["actualValue"], cleared, who, at_s))
    return found


_HOT = ("UpperThreshold", 50.5, "TemperatureSensor", "Temperature")


def test_a_fault_is_told_at_its_begin_and_end():
    steps = charging(step(8000, "door"), step(20000, "door", fault=False))
    trace, station = simulate(60000, steps)
    told = _events(trace, "HardWiredNotification")
    assert [one[:4] for one in told] == [
        ("Alerting", "true", False, "EnclosureOpen"),
        ("Alerting", "false", True, "EnclosureOpen"),
    ]
    assert 7.5 < told[0][4] < 8.5 and 20 < told[1][4] < 22
    (first, _) = [page["eventData"][0] for page in trace.messages("NotifyEvent")]
    assert first["component"] == {"name": "EVSE", "evse": {"id": 1}}
    assert first["variable"] == {"name": "Problem"} and first["severity"] == 4
    assert first["techInfo"] == "the enclosure is open"
    numbers = [page["eventData"][0]["eventId"] for page in trace.messages("NotifyEvent")]
    assert len(set(numbers)) == 2 and all(0 <= one < 1 << 30 for one in numbers)


def test_a_fault_without_a_line_is_told_once_there_is_one():
    steps = [
        step(2000, "link", up=False),
        step(5000, "door"),
        step(6000, "estop"),
        step(9000, "door", fault=False),
        step(20000, "link", up=True),
    ]
    trace, _ = simulate(60000, steps)
    told = _events(trace, "HardWiredNotification")
    assert [one[1:4] for one in told] == [("true", False, "EmergencyStop")]


def test_thresholds():
    steps = [
        _set(1000, _monitor(*_HOT), _monitor("LowerThreshold", 0, *_HOT[2:])),
        step(5000, "temperature", c=55),
        step(9000, "temperature", c=50),
        step(12000, "temperature", c=-5.5),
        step(15000, "temperature", c=20),
    ]
    trace, station = simulate(20000, steps)
    assert _results(trace) == [("Accepted", 1), ("Accepted", 2)]
    assert [one[:4] for one in _events(trace)] == [
        ("Alerting", "55", False, 1),
        ("Alerting", "50", True, 1),
        ("Alerting", "-5.5", False, 2),
        ("Alerting", "20", True, 2),
    ]
    assert 4.5 < _events(trace)[0][4] < 7.5
    assert not station.errors
    about = trace.messages("NotifyEvent")[0]["eventData"][0]
    assert about["component"] == {"name": "TemperatureSensor", "evse": {"id": 1}}
    assert about["variable"] == {"name": "Temperature"} and about["severity"] == 5


def test_a_change_by_so_much():
    steps = [
        _set(1000, _monitor("Delta", 2, "ElectricalFeed", "ACVoltage")),
        step(5000, "mains", v=231),
        step(8000, "mains", v=233),
        step(12000, "mains", v=229),
    ]
    trace, _ = simulate(20000, steps)
    found = _events(trace)
    assert [one[0] for one in found] == ["Delta", "Delta"]
    assert 8 < found[0][4] < 11 and 12 < found[1][4] < 15


def test_each_so_many_seconds():
    steps = [
        _set(
            1000,
            _monitor("Periodic", 7, "ElectricalFeed", "ACCurrent"),
            _monitor("PeriodicClockAligned", 10, "EVSE", "Power"),
        )
    ]
    trace, _ = simulate(33000, charging(*steps))
    by = {1: [], 2: []}
    for trigger, value, cleared, who, at_s in _events(trace):
        assert trigger == "Periodic" and cleared is None
        by[who].append((value, at_s))
    assert len(by[1]) == 4
    for (_, at_s), expected in zip(by[1], (9, 16, 23, 30)):
        assert expected - 0.5 < at_s < expected + 1.5, by
    assert [round(at_s - 0.45) // 10 * 10 for _, at_s in by[2]] == [10, 20, 30]
    assert [value for value, _ in by[2]] == ["7360"] * 3


def test_only_in_a_transaction():
    monitor = _monitor("Periodic", 2, "EVSE", "Power", transaction=True)
    trace, station = simulate(30000, charging(_set(500, monitor), step(12000, "unplug"))[:])
    (tx,) = trace.transactions()
    pages = [page["eventData"][0] for page in trace.messages("NotifyEvent")]
    assert pages and all(one["transactionId"] == tx for one in pages)
    found = [one[4] for one in _events(trace)]
    assert 3 < found[0] and found[-1] < 13.5


def test_the_level_leaves_out_what_matters_less():
    steps = [
        _call(1000, "SetMonitoringLevel", {"severity": 3}),
        _set(1500, _monitor("Periodic", 1, "EVSE", "Power", severity=4)),
        _set(2000, _monitor("Periodic", 5, "EVSE", "Power", severity=3)),
        step(3000, "door"),
        step(5000, "estop"),
    ]
    trace, station = simulate(20000, steps)
    assert {one[3] for one in _events(trace)} == {2}
    told = _events(trace, "HardWiredNotification")
    assert [one[3] for one in told] == ["EmergencyStop"]
    station = power_cut(station, 30000)
    assert station.config["monitoring_level"] == 3
    trace, _ = simulate(
        5000,
        [
            _call(1000, "SetMonitoringLevel", {"severity": 10}),
            _call(2000, "SetMonitoringLevel", {"severity": 2}, replayed=True),
            _call(3000, "SetMonitoringLevel", {"severity": 9}, replayed=True),
        ],
    )
    assert _statuses(trace) == ["Rejected/ValueOutOfRange", "Rejected/StaleCommand", "Accepted"]


def test_they_outlive_power_cuts():
    for cut_ms in (1100, 20000):
        trace, station = simulate(cut_ms, [_set(1000, _monitor(*_HOT))])
        station = power_cut(station, cut_ms + 30000, step(cut_ms + 15000, "temperature", c=60))
        assert [one[:4] for one in _events(trace)] == [("Alerting", "60", False, 1)]
        clear = _call(cut_ms + 45000, "ClearVariableMonitoring", {"id": [1, 2]})
        station = power_cut(station, cut_ms + 60000, clear)
        assert _results(trace, "clearMonitoringResult") == [("Accepted", 1), ("NotFound", 2)]
        assert station.config["monitors"] == "" and not station.cards.chores
        before = len(_events(trace))
        power_cut(station, cut_ms + 90000)
        assert len(_events(trace)) == before


def _report(at_ms, **payload):
    payload["requestId"] = 7
    return _call(at_ms, "GetMonitoringReport", payload)


def test_a_report():
    limits = [_monitor("UpperThreshold", 10.25 + i, *_HOT[2:], severity=i) for i in range(5)]
    others = [_monitor("Delta", 1, "LocalAuthListCtrlr", "Entries", 0)]
    others.append(_monitor("LowerThreshold", -1.5, *_HOT[2:], transaction=True))
    steps = [
        _report(500),
        _set(1000, *limits + others),
        _report(3000),
        _report(5000, monitoringCriteria=["DeltaMonitoring"]),
        _report(6000, componentVariable=[{"component": {"name": "localauthlistctrlr"}}]),
        _report(7000, monitoringCriteria=["PeriodicMonitoring"]),
    ]
    trace, _ = simulate(9000, steps)
    assert _results(trace) == [("Accepted", i + 1) for i in range(7)]
    assert _statuses(trace) == ["EmptyResultSet"] + ["Accepted"] * 3 + ["EmptyResultSet"]
    pages = trace.messages("NotifyMonitoringReport")
    assert [(page["seqNo"], page["tbc"], len(page["monitor"])) for page in pages] == [
        (0, True, 4),
        (1, False, 3),
        (0, False, 1),
        (0, False, 1),
    ]
    found = [one["variableMonitoring"][0] for page in pages[:2] for one in page["monitor"]]
    assert [one["id"] for one in found] == [1, 2, 3, 4, 5, 6, 7]
    assert found[1] == {
        "id": 2,
        "value": 11.25,
        "type": "UpperThreshold",
        "severity": 1,
        "transaction": False,
        "eventNotificationType": "CustomMonitor",
    }
    assert found[5]["value"] == 1 and found[6]["value"] == -1.5 and found[6]["transaction"]
    assert pages[2]["monitor"] == pages[3]["monitor"]


def test_what_is_set_again():
    steps = [
        _set(1000, _monitor(*_HOT)),
        _set(2000, _monitor(*_HOT)),  # it is there
        _set(3000, _monitor("UpperThreshold", 60, *_HOT[2:])),  # one of its type and severity
        _set(4000, _monitor("UpperThreshold", 60, *_HOT[2:], id=1)),  # in its place
        _set(5000, _monitor("UpperThreshold", 60, *_HOT[2:], id=5)),
        _set(6000, _monitor("UpperThreshold", 60, "EVSE", "Power", id=1)),
        step(7000, "temperature", c=55),
        step(9000, "temperature", c=65),
    ]
    trace, _ = simulate(14000, steps)
    assert _results(trace) == [
        ("Accepted", 1),
        ("Accepted", 1),
        ("Duplicate", None),
        ("Accepted", 1),
        ("Rejected/NotFound", None),
        ("Rejected/NotFound", None),
    ]
    assert [one[1] for one in _events(trace)] == ["65"]


def test_what_cannot_be_watched():
    for status, monitor in (
        ("UnknownComponent", _monitor("Delta", 1, "Nothing", "Power")),
        ("UnknownVariable", _monitor("Delta", 1, "EVSE", "Nothing")),
        ("UnknownComponent", _monitor("Delta", 1, "EVSE", "Power", 2)),
        ("UnsupportedMonitorType", _monitor("TargetDelta", 1, "EVSE", "Power")),
        ("UnsupportedMonitorType", _monitor("Delta", 1, "EVSE", "AvailabilityState")),
        (
            "Rejected/UnsupportedParam",
            _monitor("Delta", 1, "EVSE", "Power", periodicEventStream={}),
        ),
        ("Rejected/ValueOutOfRange", _monitor("Delta", 1, "EVSE", "Power", severity=10)),
        ("Rejected/ValueOutOfRange", _monitor("UpperThreshold", 1e9, "EVSE", "Power")),
        ("Rejected/ValueTooLow", _monitor("Delta", 0, "EVSE", "Power")),
        ("Rejected/ValueTooLow", _monitor("Periodic", 0.5, "EVSE", "Power")),
        ("Rejected/ValueTooLow", _monitor("PeriodicClockAligned", -5, "EVSE", "Power")),
    ):
        trace, station = simulate(3000, [_set(1000, monitor)])
        assert _results(trace) == [(status, None)], monitor
        assert station.config["monitors"] == ""


def test_no_more_than_sixteen():
    many = [_monitor("UpperThreshold", i, *_HOT[2:], severity=i % 9) for i in range(9)]
    many += [_monitor("LowerThreshold", i, *_HOT[2:], severity=i) for i in range(9)]
    trace, station = simulate(5000, [_set(1000, *many[:9]), _set(2000, *many[9:])])
    assert [status for status, _ in _results(trace)] == ["Accepted"] * 16 + [
        "Rejected/TooManyElements"
    ] * 2
    name = ("DeviceDataCtrlr", "BytesPerMessage", 0)
    long = []
    for i in range(16):
        one = _monitor("Delta", 100000 + i, *name, severity=i % 9)
        one["type"] = ("Delta", "UpperThreshold")[i // 9]
        one["variable"]["instance"] = "GetVariables"
        long.append(one)
    trace, station = simulate(5000, [_set(1000, *long)])
    found = [status for status, _ in _results(trace)]
    assert found.count("Rejected/OutOfStorage") == 16 - found.count("Accepted") > 0
    assert len(station.config["monitors"]) <= 960


def test_what_is_stale_changes_nothing():
    monitor = _monitor(*_HOT)
    steps = [
        _set(1000, monitor, replayed=True),
        _set(2000, monitor, message_id="a"),
        _call(3000, "ClearVariableMonitoring", {"id": [1]}, replayed=True),
        _call(4000, "SetMonitoringBase", {"monitoringBase": "HardWiredOnly"}, replayed=True),
        _set(5000, monitor, replayed=True),  # it is there
    ]
    trace, station = simulate(8000, steps)
    assert _results(trace) == [
        ("Rejected/StaleCommand", None),
        ("Accepted", 1),
        ("Accepted", 1),
    ]
    assert _results(trace, "clearMonitoringResult") == [("Rejected/StaleCommand", 1)]
    assert _statuses(trace) == ["Rejected/StaleCommand"]
    assert station.config["monitors"] == "1,TemperatureSensor.Temperature,1,U,50500,5,0"


def test_the_base():
    for base, left in (("All", 1), ("FactoryDefault", 0), ("HardWiredOnly", 0)):
        steps = [
            _set(1000, _monitor(*_HOT)),
            _call(2000, "SetMonitoringBase", {"monitoringBase": base}),
        ]
        trace, station = simulate(5000, steps)
        assert _statuses(trace) == ["Accepted"]
        assert len(station.cards.chores) == left and bool(station.config["monitors"]) == left


def test_what_cannot_be_kept_is_refused():
    steps = [
        step(500, "fram"),
        _set(1000, _monitor(*_HOT)),
        _call(2000, "SetMonitoringLevel", {"severity": 1}),
    ]
    trace, station = simulate(9000, steps)
    assert _results(trace) == [("Rejected/OutOfStorage", None)]
    assert _statuses(trace) == ["Rejected/NotKept"]
    assert station.config["monitors"] == "" and station.config["monitoring_level"] == 9


def test_a_configuration_that_is_odd():
    config = settings(monitors="x;1,2;1,EVSE.Power,7,U,1,1,0;2,A.B,0,U,1,1,0;3,EVSE,1,U,0,1,0")
    trace, station = simulate(8000, [], config)
    assert not station.errors and _events(trace) == []


def test_without_a_line_nothing_piles_up():
    steps = [
        _set(1000, _monitor("Periodic", 1, "EVSE", "Power"), _monitor(*_HOT)),
        step(4000, "link", up=False),
        step(10000, "temperature", c=60),
        step(60000, "link", up=True),
    ]
    trace, station = simulate(120000, steps)
    late = [one for one in _events(trace) if one[4] > 5]
    assert late[0][4] > 59
    assert [one[:4] for one in late if one[3] == 2] == [("Alerting", "60", False, 2)]


def test_what_is_malformed():
    for action, payload in (
        ("SetVariableMonitoring", {}),
        ("SetVariableMonitoring", {"setMonitoringData": []}),
        ("SetVariableMonitoring", {"setMonitoringData": [{}]}),
        ("SetVariableMonitoring", {"setMonitoringData": [_monitor("Sometimes", 1, "A", "B")]}),
        ("SetVariableMonitoring", {"setMonitoringData": [_monitor("Delta", "1", "A", "B")]}),
        ("SetVariableMonitoring", {"setMonitoringData": [_monitor("Delta", True, "A", "B")]}),
        (
            "SetVariableMonitoring",
            {"setMonitoringData": [_monitor("Delta", 1, "A", "B", transaction=1)]},
        ),
        ("ClearVariableMonitoring", {"id": []}),
        ("ClearVariableMonitoring", {"id": ["1"]}),
        ("ClearVariableMonitoring", {"id": [-1]}),
        ("SetMonitoringBase", {"monitoringBase": "None"}),
        ("SetMonitoringLevel", {"severity": -1}),
        ("SetMonitoringLevel", {}),
        ("GetMonitoringReport", {"monitoringCriteria": ["DeltaMonitoring"]}),
        ("GetMonitoringReport", {"requestId": 1, "monitoringCriteria": ["Any"]}),
    ):
        trace, station = simulate(2000, [_call(1000, action, payload)])
        assert [answer[0] for answer in trace.answers()] == [4], (action, payload)
        assert station.config["monitors"] == "" and not trace.messages("NotifyMonitoringReport")
