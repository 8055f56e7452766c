"""The device model: what the backend reads of the pile's variables, and what it sets."""

from firmware import changes
from firmware.station import Station
from firmware.uplink import variables
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises


def _call(at_ms, action, payload, **fields):
    return step(at_ms, "backend", message=[2, "m%d" % at_ms, action, payload], **fields)


def _name(component, variable, evse_id=0, instance=""):
    made = {"component": {"name": component}, "variable": {"name": variable}}
    if evse_id:
        made["component"]["evse"] = {"id": evse_id}
    if instance:
        made["variable"]["instance"] = instance
    return made


def _get(*names, **fields):
    payload = {"getVariableData": [dict(name, **fields) for name in names]}
    trace, _ = simulate(2000, [_call(1000, "GetVariables", payload)])
    return _results(trace)


def _set(value, *names, at_ms=1000, until_ms=15000, steps=(), **fields):
    named = [dict(name, attributeValue=value) for name in names]
    call = _call(at_ms, "SetVariables", {"setVariableData": named}, **fields)
    trace, station = simulate(until_ms, list(steps) + [call])
    return _results(trace), station


def _results(trace):
    found = []
    for answer in trace.answers():
        assert answer[0] == 3, answer
        for one in list(answer[2].values())[0]:
            why = one.get("attributeStatusInfo", {}).get("reasonCode", "")
            found.append((one["attributeStatus"], one.get("attributeValue", why)))
    return found


def _kept(station):
    """What the next start finds changed."""
    return (changes.newest(station.board.store.load, "config", print) or (0, 0, None, {}))[3]


def test_what_the_pile_tells():
    assert _get(
        _name("TxCtrlr", "EVConnectionTimeOut"),
        _name("txctrlr", "evconnectiontimeout"),
        _name("AuthCtrlr", "LocalAuthorizeOffline"),
        _name("SampledDataCtrlr", "TxUpdatedMeasurands"),
        _name("SecurityCtrlr", "Identity"),
        _name("EVSE", "SupplyPhases", 1),
        _name("EVSE", "AvailabilityState", 1),
        _name("ChargingStation", "Problem"),
        _name("DeviceDataCtrlr", "ItemsPerMessage", instance="GetVariables"),
    ) == [
        ("Accepted", "60"),
        ("Accepted", "60"),
        ("Accepted", "true"),
        ("Accepted", "Energy.Active.Import.Register,Current.Import,Voltage"),
        ("Accepted", "CP-1"),
        ("Accepted", "1"),
        ("Accepted", "Available"),
        ("Accepted", "false"),
        ("Accepted", "16"),
    ]


def test_what_other_names_stand_for():
    names = [_name("AuthCtrlr", "Enabled"), _name("ClockCtrlr", "TimeOffset")]
    names += [_name("VoltpileCtrlr", name) for name in ("AfterPowerCut", "RunningCostInterval")]
    for changes_, found in (
        ({}, ["true", "+00:00", "end", "0"]),
        (
            {"free_vend": 1, "utc_offset_min": -570, "after_power_cut": "resume",
             "running_cost_interval_s": 30},
            ["false", "-09:30", "resume", "30"],
        ),
    ):  # fmt: skip
        call = _call(1000, "GetVariables", {"getVariableData": names})
        trace, _ = simulate(2000, [call], settings(**changes_))
        assert _results(trace) == [("Accepted", one) for one in found]


def test_what_is_not_there():
    assert _get(
        _name("TxCtrl", "EVConnectionTimeOut"),
        _name("TxCtrlr", "EVConnection"),
        _name("TxCtrlr", "EVConnectionTimeOut", 1),
        _name("EVSE", "SupplyPhases"),
        _name("EVSE", "SupplyPhases", 2),
        _name("DeviceDataCtrlr", "ItemsPerMessage"),
    ) == [
        ("UnknownComponent", ""),
        ("UnknownVariable", ""),
        ("UnknownComponent", ""),
        ("UnknownComponent", ""),
        ("UnknownComponent", ""),
        ("UnknownVariable", ""),
    ]


def test_only_the_actual_value():
    names = _name("TxCtrlr", "EVConnectionTimeOut"), _name("TxCtrlr", "Nothing")
    assert _get(*names, attributeType="MaxSet") == [
        ("NotSupportedAttributeType", ""),
        ("UnknownVariable", ""),
    ]


def test_a_secret_is_written_and_never_read():
    name = _name("SecurityCtrlr", "BasicAuthPassword")
    assert _get(name) == [("Rejected", "WriteOnly")]
    results, station = _set("not to be guessed", name)
    assert results == [("RebootRequired", "")]
    # the one before, in case the broker does not take it
    assert _kept(station) == {"password": "not to be guessed", "password_before": ""}


def test_before_the_date_is_known_it_is_empty():
    _, station = simulate(100, [])
    (entry,) = [one for one in variables.VARIABLES if one[3] == "=date"]
    assert variables.value(station, entry, 0) == ""


def test_what_is_set_is_kept_for_the_next_start():
    for value, component, variable, field, kept in (
        ("90", "TxCtrlr", "EVConnectionTimeOut", "connection_timeout_s", 90),
        ("FALSE", "AuthCacheCtrlr", "Enabled", "auth_cache", 0),
        ("Voltage", "SampledDataCtrlr", "TxUpdatedMeasurands", "measurands", "Voltage"),
        ("EVConnected", "TxCtrlr", "TxStartPoint", "tx_start", "EVConnected"),
        ("false", "AuthCtrlr", "Enabled", "free_vend", 1),
        ("+08:00", "ClockCtrlr", "TimeOffset", "utc_offset_min", 480),
        ("-03:30", "ClockCtrlr", "TimeOffset", "utc_offset_min", -210),
        ("resume", "VoltpileCtrlr", "AfterPowerCut", "after_power_cut", "resume"),
        ("60", "VoltpileCtrlr", "RunningCostInterval", "running_cost_interval_s", 60),
    ):
        results, station = _set(value, _name(component, variable))
        assert results == [("RebootRequired", "")], variable
        assert _kept(station) == {field: kept}
        assert station.config[field] != kept  # it holds from the next start on


def test_what_cannot_be_set():
    for value, component, variable, why in (
        ("4", "TxCtrlr", "EVConnectionTimeOut", "InvalidValue"),  # at least 5
        ("soon", "TxCtrlr", "EVConnectionTimeOut", "InvalidValue"),
        ("1.5", "TxCtrlr", "EVConnectionTimeOut", "InvalidValue"),
        ("1", "AuthCacheCtrlr", "Enabled", "InvalidValue"),
        ("Voltage,Color", "SampledDataCtrlr", "TxUpdatedMeasurands", "InvalidValue"),
        ("", "TxCtrlr", "TxStartPoint", "InvalidValue"),
        ("08:00", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("+8:00", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("+08:0x", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("+14:01", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("480", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("", "ClockCtrlr", "TimeOffset", "InvalidValue"),
        ("perhaps", "VoltpileCtrlr", "AfterPowerCut", "InvalidValue"),
        ("86401", "VoltpileCtrlr", "RunningCostInterval", "InvalidValue"),
        ("CP-2", "SecurityCtrlr", "Identity", "ReadOnly"),
        ("x" * 2500, "SecurityCtrlr", "BasicAuthPassword", "InvalidValue"),
        ("\x01" * 200, "AuthCtrlr", "MasterPassGroupId", "NotKept"),  # 1200 bytes as JSON
    ):
        results, station = _set(value, _name(component, variable))
        assert results == [("Rejected", why)], (variable, value)
        assert _kept(station) == {}


def test_every_variable_that_can_be_set_takes_its_own_value():
    _, station = simulate(100, [])
    for entry in variables.VARIABLES:
        if entry[5] == variables.BOTH:
            assert variables.change(station, entry, variables.value(station, entry, 1)) == ""
        elif entry[5] == variables.READ:
            assert variables.change(station, entry, "1") == "ReadOnly"


def test_what_is_stale_sets_nothing():
    results, station = _set("90", _name("TxCtrlr", "EVConnectionTimeOut"), replayed=True)
    assert results == [("Rejected", "StaleCommand")]
    assert _kept(station) == {}


def test_while_a_contactor_is_closed_it_waits_in_the_journal():
    name = _name("TxCtrlr", "EVConnectionTimeOut")
    results, station = _set("90", name, at_ms=10000, until_ms=60000, steps=charging())
    assert results == [("RebootRequired", "")]
    assert _kept(station) == {}
    steps = charging(step(40000, "unplug"))
    results, station = _set("90", name, at_ms=10000, until_ms=90000, steps=steps)
    assert _kept(station) == {"connection_timeout_s": 90}


def test_a_flood_of_it_while_charging_leaves_room_for_transactions():
    named = [dict(_name("TxCtrlr", "EVConnectionTimeOut"), attributeValue="90")] * 16
    steps = charging()
    for i in range(60):
        steps.append(_call(5000 + 100 * i, "SetVariables", {"setVariableData": named}))
    steps.append(_call(12000, "TriggerMessage", {"requestedMessage": "TransactionEvent"}))
    steps.append(_call(12100, "SetMonitoringLevel", {"severity": 3}))
    trace, station = simulate(13000, steps)
    answers = trace.answers()
    last = answers[-3][2]["setVariableResult"][-1]
    assert last["attributeStatusInfo"]["reasonCode"] == "NotKept"
    assert answers[-2][2]["statusInfo"]["reasonCode"] == "Busy"
    assert answers[-1][2]["statusInfo"]["reasonCode"] == "NotKept"
    assert station.journal.crowded and not station.journal.full and not station.errors


def test_a_power_cut_does_not_lose_it():
    steps = charging(step(20000, "power", for_ms=2000), step(25000, "unplug"))
    name = _name("TxCtrlr", "EVConnectionTimeOut")
    _, station = _set("90", name, at_ms=10000, until_ms=90000, steps=steps)
    assert _kept(station) == {"connection_timeout_s": 90}


def test_it_holds_from_the_very_next_start_on():
    name = _name("TxCtrlr", "EVConnectionTimeOut")
    call = _call(5000, "SetVariables", {"setVariableData": [dict(name, attributeValue="90")]})
    # Right after it the backend asks for that start, as it does; or the power is cut.
    for reason, steps in (
        ("RemoteReset", [call, _call(5100, "Reset", {"type": "Immediate"})]),
        ("PowerUp", charging(call, step(5100, "power", for_ms=500))),
    ):
        _, station = simulate(5700, steps)
        board = station.board
        assert board.boot_reason == reason and board.station is not station
        assert board.station.config["connection_timeout_s"] == 90


def test_what_another_firmware_has_set_is_left_out():
    _, station = simulate(100, [])
    before = dict(station.config)
    for data in (b'{"color": 1}', b'{"connection_timeout_s": 4}', b'{"connection_'):
        station.journal.append(b"\x06\x0c" + data)
    assert Station(station.board, station.config).config == before


def test_what_waits_does_not_come_back_after_a_factory_reset():
    listed = {"idToken": {"idToken": CARD, "type": "ISO14443"}}
    listed["idTokenInfo"] = {"status": "Accepted"}
    list_ = {"versionNumber": 3, "updateType": "Full", "localAuthorizationList": [listed]}
    named = [
        dict(_name("SecurityCtrlr", "BasicAuthPassword"), attributeValue="rotated"),
        dict(_name("TxCtrlr", "EVConnectionTimeOut"), attributeValue="90"),
    ]
    steps = [_call(5000, "SendLocalList", list_)]
    steps += [_call(5100, "SetVariables", {"setVariableData": named})]
    trace, station = simulate(6000, charging(*steps))
    board = station.board
    assert station.cards.waiting and len(trace.answers()) == 2
    # Whoever does it stops the station.
    board.plant.set_drive(False)
    board.plant.advance(board.plant.now_us + 100000)
    changes.factory_reset(board.store, lambda: False, board=board)
    station = Station(board, settings())
    for now_ms in range(0, 30000, 20):
        station.staged.tick(now_ms)
    assert not station.cards.waiting and not board.store.names("access.list")
    assert _kept(station) == {"password": "rotated", "password_before": ""}
    # Without its memory nobody knows what would come back.
    board.memory.chip.silent = True
    raises(OSError, changes.factory_reset, board.store, lambda: False, board=board)


def _report(action, outlets=1, **payload):
    payload["requestId"] = 7
    steps = [_call(1000, action, payload)]
    trace, station = simulate(4000, steps, outlets=outlets)
    (answer,) = trace.answers()
    pages = trace.messages("NotifyReport")
    assert [page["seqNo"] for page in pages] == list(range(len(pages)))
    assert [page["tbc"] for page in pages] == [True] * (len(pages) - 1) + [False] * bool(pages)
    assert all(page["requestId"] == 7 for page in pages)
    found = []
    for page in pages:
        found += page["reportData"]
    return answer[2]["status"], found, station


def test_a_report_of_everything():
    status, found, station = _report("GetBaseReport", reportBase="FullInventory", outlets=2)
    assert status == "Accepted"
    evses = sum(entry[0] in variables._OUTLETS for entry in variables.VARIABLES)
    assert len(found) == len(variables.VARIABLES) + evses
    for one in found:
        entry, _ = variables.find(station, one["component"], one["variable"])
        (attribute,) = one["variableAttribute"]
        assert ("value" in attribute) == (entry[5] != variables.WRITE)
    (patience,) = [o for o in found if o["variable"]["name"] == "EVConnectionTimeOut"]
    assert patience["variableCharacteristics"] == {
        "dataType": "integer",
        "maxLimit": 3600,
        "minLimit": 5,
        "supportsMonitoring": True,
        "unit": "s",
    }


def test_reports_of_less():
    _, found, _ = _report("GetBaseReport", reportBase="ConfigurationInventory")
    assert found and all(
        one["variableAttribute"][0]["mutability"] != variables.READ for one in found
    )
    _, found, _ = _report("GetBaseReport", reportBase="SummaryInventory", outlets=2)
    assert len(found) == 6  # state and problem of the station and of two outlets


def test_a_report_of_what_is_named():
    wanted = [_name("TxCtrlr", "TxStartPoint"), {"component": {"name": "EVSE", "evse": {"id": 2}}}]
    status, found, _ = _report("GetReport", outlets=2, componentVariable=wanted)
    names = [(one["component"].get("evse"), one["variable"]["name"]) for one in found]
    assert status == "Accepted" and sorted(names, key=str) == [
        (None, "TxStartPoint"),
        ({"id": 2}, "AvailabilityState"),
        ({"id": 2}, "Power"),
        ({"id": 2}, "Problem"),
        ({"id": 2}, "SupplyPhases"),
    ]
    status, found, _ = _report("GetReport", componentVariable=[_name("Tx", "Nothing")])
    assert (status, found) == ("EmptyResultSet", [])
    status, found, _ = _report("GetReport", componentCriteria=["Problem"])
    assert (status, found) == ("NotSupported", [])


def test_what_is_malformed():
    for action, payload in (
        ("GetVariables", {}),
        ("GetVariables", {"getVariableData": []}),
        ("GetVariables", {"getVariableData": [_name("A", "b")] * 17}),
        ("GetVariables", {"getVariableData": [dict(_name("A", "b"), attributeType="Actually")]}),
        ("SetVariables", {"setVariableData": [_name("A", "b")]}),
        ("SetVariables", {"setVariableData": [dict(_name("A", "b"), attributeValue=1)]}),
        ("GetBaseReport", {"requestId": 1, "reportBase": "Everything"}),
        ("GetReport", {"requestId": "1"}),
    ):
        trace, station = simulate(2000, [_call(1000, action, payload)])
        (answer,) = trace.answers()
        assert answer[0] == 4, (action, payload)
        assert _kept(station) == {}
