"""What the backend asks the pile to say again."""

from tests.pile import charging, settings, simulate, step


def _trigger(at_ms, what, evse_id=None, message_id=None):
    payload = {"requestedMessage": what}
    if evse_id is not None:
        payload["evse"] = {"id": evse_id}
    message = [2, message_id or "m%d" % at_ms, "TriggerMessage", payload]
    return step(at_ms, "backend", message=message)


def _asked(what, evse_id=None, steps=(), **fields):
    """The status of the answer, and the messages of that kind that followed it."""
    until_ms = 30000
    trace, _ = simulate(until_ms, list(steps) + [_trigger(20000, what, evse_id)], **fields)
    lines = [line["message"] for line in trace.of("uplink")]
    (answer,) = [line for line in lines if line[0] == 3]
    after = lines[lines.index(answer) :]
    return answer[2]["status"], [line[3] for line in after if line[0] == 2 and line[2] == what]


def test_the_status_of_outlets():
    status, said = _asked("StatusNotification", outlets=2, steps=[step(1000, "plug")])
    assert status == "Accepted"
    told = [(one["evseId"], one["connectorStatus"]) for one in said]
    assert told == [(1, "Occupied"), (2, "Available")]
    status, said = _asked("StatusNotification", 2, outlets=2)
    assert status == "Accepted" and [s["evseId"] for s in said] == [2]


def test_what_the_meter_reads():
    status, said = _asked("MeterValues", 1, charging())
    (values,) = said
    assert status == "Accepted" and values["evseId"] == 1
    samples = {s["measurand"]: s for s in values["meterValue"][0]["sampledValue"]}
    assert samples["Current.Import"]["context"] == "Trigger"
    assert 31 < samples["Current.Import"]["value"] < 33
    assert samples["Energy.Active.Import.Register"]["value"] > 0


def test_a_transaction():
    status, said = _asked("TransactionEvent", steps=charging())
    assert status == "Accepted"
    assert [s["triggerReason"] for s in said] == ["Trigger"]
    assert said[0]["eventType"] == "Updated"
    assert said[0]["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    assert _asked("TransactionEvent") == ("Rejected", [])


def _after_a_cut(**config):
    what = "TransactionEvent"
    steps = charging(step(19000, "power", for_ms=500), _trigger(20000, what))
    trace, _ = simulate(40000, steps, settings(**config))
    (told,) = trace.transactions().values()
    return trace.answers()[0][2]["status"], [event["triggerReason"] for event in told]


def test_after_a_power_cut_nothing_comes_before_what_is_to_be_told():
    # The end waits for its receipt.
    status, told = _after_a_cut(receipts=1)
    assert status == "Rejected" and told[-1] == "AbnormalCondition"
    # The vehicle is still to be seen.
    status, told = _after_a_cut(after_power_cut="resume")
    assert status == "Rejected" and "TxResumed" in told


def test_heartbeat_and_what_is_idle():
    assert _asked("Heartbeat") == ("Accepted", [{}])
    assert _asked("FirmwareStatusNotification") == ("Accepted", [{"status": "Idle"}])
    assert _asked("LogStatusNotification") == ("Accepted", [{"status": "Idle"}])


def test_what_is_not_said():
    assert _asked("BootNotification") == ("Rejected", [])
    assert _asked("StatusNotification", 2) == ("Rejected", [])
    for what in ("SignV2GCertificate", "CustomTrigger"):
        assert _asked(what) == ("NotImplemented", [])


def test_what_is_malformed():
    steps = [
        _trigger(1000, "Everything"),
        step(1500, "backend", message=[2, "a", "TriggerMessage", {}]),
        step(2000, "backend", message=[2, "b", "TriggerMessage", {"requestedMessage": 1}]),
        step(2500, "backend", message=[2, "c", "DataTransfer", {"data": True}]),
    ]
    trace, _ = simulate(4000, steps)
    assert [answer[0] for answer in trace.answers()] == [4] * 4


def test_data_of_vendors_nobody_knows():
    steps = []
    for i, data in enumerate((None, True, {"a": [1]}, "text", 1.5)):
        payload = {"vendorId": "com.example", "data": data}
        steps.append(step(1000 + i, "backend", message=[2, "m%d" % i, "DataTransfer", payload]))
    trace, _ = simulate(4000, steps)
    assert [a[2] for a in trace.answers()] == [{"status": "UnknownVendorId"}] * 5
