"""A backend that does not accept the pile at once: Pending, while it sets and asks; Rejected."""

from tests.pile import CARD, settings, simulate, step

_VARIABLE = {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}}
_START = {"idToken": {"idToken": "APP-7", "type": "Central"}, "remoteStartId": 42}


def _boots(status, interval=20):
    fields = {"status": status, "interval": interval}
    return step(0, "answer", action="BootNotification", fields=fields)


def _asked(at_ms, action, payload):
    return step(at_ms, "backend", message=[2, action, action, payload])


def _requests(at_ms):
    return [
        _asked(at_ms, "SetVariables", {"setVariableData": [dict(_VARIABLE, attributeValue="90")]}),
        _asked(at_ms + 100, "GetVariables", {"getVariableData": [_VARIABLE]}),
        _asked(
            at_ms + 200, "GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"}
        ),
        _asked(at_ms + 300, "RequestStartTransaction", _START),
        _asked(at_ms + 400, "TriggerMessage", {"requestedMessage": "StatusNotification"}),
    ]


def test_while_it_is_pending_the_backend_sets_and_asks_and_starts_nothing():
    steps = [_boots("Pending"), step(1000, "plug"), step(2000, "card", uid=CARD)]
    trace, station = simulate(19000, steps + _requests(4000))
    answers = {answer[1]: answer[2] for answer in trace.answers()}
    assert answers["SetVariables"]["setVariableResult"][0]["attributeStatus"] == "RebootRequired"
    assert answers["GetVariables"]["getVariableResult"][0]["attributeValue"] == "60"
    assert answers["GetBaseReport"] == {"status": "Accepted"}
    start = answers["RequestStartTransaction"]
    assert (start["status"], start["statusInfo"]["reasonCode"]) == ("Rejected", "CSNotAccepted")
    assert not trace.of("contactor", closed=True) and station.sessions[0].tx == 0
    # What it asked for goes out, to the last page; nothing else does.
    reports = trace.messages("NotifyReport")
    assert len(reports) > 2 and [one["tbc"] for one in reports[-2:]] == [True, False]
    kinds = {line["message"][2] for line in trace.of("uplink") if line["message"][0] == 2}
    assert kinds == {"BootNotification", "NotifyReport", "StatusNotification"}
    assert len(trace.messages("BootNotification")) == 1


def test_what_waits_goes_out_once_it_is_accepted():
    steps = [_boots("Pending", 10), step(1000, "plug")]
    steps.append(dict(_boots("Accepted", 300), at_ms=12000))
    trace, station = simulate(40000, steps, settings(free_vend=1))
    assert station.backend.ready and len(trace.messages("BootNotification")) == 3
    assert trace.messages("TransactionEvent", "Started")
    first = trace.ms("uplink", 0)
    events = [line for line in trace.of("uplink") if line["message"][2] == "TransactionEvent"]
    assert events[0]["t_us"] / 1000 > 20000 > first


def test_a_boot_is_told_again_at_once_when_it_is_asked_for():
    trigger = _asked(5000, "TriggerMessage", {"requestedMessage": "BootNotification"})
    trace, _ = simulate(9000, [_boots("Pending", 3600), trigger])
    assert trace.answers()[0][2] == {"status": "Accepted"}
    assert len(trace.messages("BootNotification")) == 2


def test_who_is_rejected_sets_nothing_and_says_nothing_else():
    trace, station = simulate(19000, [_boots("Rejected")] + _requests(4000))
    answers = {answer[1]: answer[2] for answer in trace.answers()}
    assert answers["SetVariables"]["setVariableResult"][0]["attributeStatus"] == "Rejected"
    assert answers["RequestStartTransaction"]["status"] == "Rejected"
    assert [line["message"][2] for line in trace.of("uplink") if line["message"][0] == 2] == [
        "BootNotification"
    ]
