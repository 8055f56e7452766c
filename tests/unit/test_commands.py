"""What the backend asks: served once, when fresh and well formed; else refused, and nothing
changes.
"""

import json
import sys

from firmware import borrow, let_go, uplink
from firmware.ticks import add
from firmware.uplink import commands
from tests.pile import CARD, charging, simulate, step

_START = {"idToken": {"idToken": "APP-7", "type": "Central"}, "remoteStartId": 42}


def _start(at_ms, message_id="r1", payload=None, **fields):
    return step(
        at_ms,
        "backend",
        message=[2, message_id, "RequestStartTransaction", payload or _START],
        **fields,
    )


def test_remote_start_and_stop():
    trace, station = simulate(
        20000,
        [
            step(1000, "plug"),
            _start(2000),
            step(3000, "ready"),
            step(10000, "card", uid="DEADBEEF"),
        ],
    )
    kind, message_id, answer = trace.answers()[0]
    assert (kind, message_id, answer["status"]) == (3, "r1", "Accepted")
    started = trace.messages("TransactionEvent", "Started")[0]
    assert (
        started["triggerReason"] == "RemoteStart"
        and started["transactionInfo"]["remoteStartId"] == 42
    )
    assert started["transactionInfo"]["transactionId"] == answer["transactionId"]
    assert trace.of("contactor", closed=True)
    stop = step(
        12000,
        "backend",
        message=[2, "r2", "RequestStopTransaction", {"transactionId": answer["transactionId"]}],
    )
    trace, _ = simulate(20000, [step(1000, "plug"), _start(2000), step(3000, "ready"), stop])
    assert trace.answers()[1] == [3, "r2", {"status": "Accepted"}]
    assert (
        trace.messages("TransactionEvent", "Ended")[0]["transactionInfo"]["stoppedReason"]
        == "Remote"
    )


def _refused(trace, n=0, reason=None):
    kind, _, answer = trace.answers()[n]
    return (
        kind == 3
        and answer["status"] == "Rejected"
        and reason in (None, answer["statusInfo"]["reasonCode"])
    )


def test_what_cannot_be_answered_yet_is_not_done_either():
    trace, station = simulate(3000, [])
    backend = station.backend
    for n in range(60):
        backend._message(b'[2,"i%d","GetLocalListVersion",{}]' % n, False, False)
    backend._message(b"[2,", False, False)
    assert len(backend._answers) == 32 and backend.unserved == 28
    assert [line["count"] for line in trace.of("refused", kind="busy")] == [1, 2, 4, 8, 16]
    assert "i31" in backend.seen and "i32" not in backend.seen
    # Each is done when it comes again, once there is room.
    del backend._answers[:]
    backend._message(b'[2,"i32","GetLocalListVersion",{}]', False, False)
    assert b'[3,"i32",{"versionNumber":0}]' in backend._answers
    # Long ones fill it sooner, and what is an answer is heard all the same.
    backend._answers[:] = [b"x" * 4096]
    backend._message(b'[2,"i33","GetLocalListVersion",{}]', False, False)
    assert len(backend._answers) == 1


def test_a_replayed_start_is_refused():
    trace, _ = simulate(10000, [step(1000, "plug", r_ohm=882), _start(2000, replayed=True)])
    assert _refused(trace, 0, "StaleCommand") and not trace.of("contactor")


def test_a_start_from_the_brokers_replay_after_a_reconnect_is_refused():
    trace, _ = simulate(
        30000,
        [
            step(500, "plug", r_ohm=882),
            step(1000, "link", up=False),
            _start(2000),
            step(5000, "link", up=True),
        ],
    )
    assert _refused(trace, 0, "StaleCommand") and not trace.of("contactor")


def test_a_start_soon_after_a_reconnect_is_refused_and_later_is_not():
    steps = [step(500, "plug"), step(1000, "link", up=False), step(5000, "link", up=True)]
    trace, _ = simulate(60000, steps)
    back = trace.ms("line", 5000, up=True)
    trace, _ = simulate(60000, steps + [_start(back + 4000), _start(back + 6000, "r2")])
    assert _refused(trace, 0, "StaleCommand") and trace.answers()[1][2]["status"] == "Accepted"


def test_issued_at_decides_where_it_is_given():
    def issued(text):
        return {
            "idToken": _START["idToken"],
            "remoteStartId": 1,
            "customData": {"vendorId": "x", "issuedAt": text},
        }

    old = issued("2025-12-31T23:58:00Z")
    fresh = issued("2026-01-01T00:00:02Z")
    trace, _ = simulate(10000, [step(500, "plug"), _start(2000, payload=old)])
    assert _refused(trace, 0, "StaleCommand")
    trace, _ = simulate(10000, [step(500, "plug"), _start(2000, payload=fresh, replayed=True)])
    assert trace.answers()[0][2]["status"] == "Accepted"
    trace, _ = simulate(10000, [step(500, "plug"), _start(2000, payload=issued("yesterday"))])
    assert _refused(trace, 0, "StaleCommand")


def test_a_repeated_id_does_nothing_twice():
    unplug = [step(5000, "unplug"), step(8000, "plug", r_ohm=882)]
    trace, _ = simulate(20000, [step(500, "plug"), _start(2000), _start(10000)] + unplug)
    assert trace.answers()[0][2]["status"] == "Accepted" and _refused(trace, 1, "StaleCommand")
    assert not trace.of("contactor")


def test_a_start_while_charging_is_refused():
    trace, _ = simulate(10000, charging(_start(6000)))
    assert (
        _refused(trace, 0, "TxInProgress")
        and len(trace.messages("TransactionEvent", "Started")) == 1
    )
    assert trace.messages("TransactionEvent", "Started")[0]["idToken"]["idToken"] == CARD


def test_an_unknown_outlet_transaction_or_profile_is_refused():
    payload = dict(_START)
    payload["evseId"] = 9
    trace, _ = simulate(5000, [_start(2000, payload=payload)])
    assert _refused(trace, 0, "UnknownEvse")
    payload = dict(_START)
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0}]}
    payload["chargingProfile"] = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }
    trace, _ = simulate(5000, [_start(2000, payload=payload)])
    assert _refused(trace, 0, "InvalidSchedule")
    message = [2, "r", "RequestStopTransaction", {"transactionId": "none"}]
    trace, _ = simulate(5000, [step(2000, "backend", message=message)])
    assert _refused(trace, 0, "TxNotFound")


def test_malformed_messages_get_the_right_callerror_and_change_nothing():
    for message, code in (
        ({}, "RpcFrameworkError"),
        ("text", "RpcFrameworkError"),
        ([], "RpcFrameworkError"),
        ([2, 7, "Reset", {}], "RpcFrameworkError"),
        ([9, "x", "Reset", {}], "MessageTypeNotSupported"),
        ([2, "x", "MakeCoffee", {}], "NotImplemented"),
        ([2, "x", "RequestStartTransaction", []], "FormatViolation"),
        ([2, "x", "RequestStartTransaction", {}], "OccurrenceConstraintViolation"),
        (
            [2, "x", "RequestStartTransaction", {"idToken": "a", "remoteStartId": 1}],
            "TypeConstraintViolation",
        ),
        (
            [2, "x", "RequestStopTransaction", {"transactionId": "t" * 37}],
            "PropertyConstraintViolation",
        ),
        (
            [2, "x", "RequestStopTransaction", {"transactionId": "t", "force": True}],
            "FormatViolation",
        ),
        (
            [2, "x", "RequestStopTransaction", {"transactionId": "t", "customData": {}}],
            "OccurrenceConstraintViolation",
        ),
        (
            [
                2,
                "x",
                "RequestStartTransaction",
                dict(_START, idToken=dict(_START["idToken"], customData={"a": 1})),
            ],
            "OccurrenceConstraintViolation",
        ),
        (
            [
                2,
                "x",
                "RequestStartTransaction",
                dict(_START, idToken=dict(_START["idToken"], additionalInfo=[1])),
            ],
            "TypeConstraintViolation",
        ),
    ):
        trace, station = simulate(
            5000, [step(500, "plug", r_ohm=882), step(2000, "backend", message=message)]
        )
        answers = trace.answers()
        assert len(answers) == 1 and answers[0][0] == 4 and answers[0][2] == code, (
            message,
            answers,
        )
        assert answers[0][1] == (
            "x" if isinstance(message, list) and len(message) > 1 and message[1] == "x" else "-1"
        )
        assert not trace.of("contactor") and not trace.messages("TransactionEvent")
        assert not station.errors


def test_every_request_that_is_malformed_gets_a_callerror_and_changes_nothing():
    served = sorted(commands._ACTIONS) + sorted(commands._ELSEWHERE)
    steps = []
    for i, action in enumerate(served):
        for j, payload in enumerate(({"more": 1}, {"customData": {}}, {"customData": 1})):
            message = [2, "%s-%d" % (action[:20], j), action, payload]
            steps.append(step(2000 + 60 * i + 20 * j, "backend", message=message))
    trace, station = simulate(4000 + 60 * len(served), steps)
    answers = trace.answers()
    assert len(answers) == 3 * len(served)
    for answer in answers:
        assert answer[0] == 4 and "Violation" in answer[2], answer
    assert station.backend.refused["payload"] == len(answers) and not station.errors
    assert not station.outlets[0].inoperative and not station.backend.seen


def test_strange_answers_change_nothing():
    for message in (
        [3, "nobody", {}],
        [3, "s0b1-1", 5],
        [4, "nobody", "InternalError", "", {}],
        [4, "s0b1-1", None],
    ):
        trace, station = simulate(5000, charging(step(50, "backend", message=message)))
        assert not trace.of("error") and not station.errors, message
        assert trace.of("contactor", closed=True), message


def test_a_long_foreign_field_does_not_block_the_line():
    # Its name, raw on the line and escaped in the answer, would be longer than any packet.
    trace, station = simulate(100, [])
    name = "\u00e9" * 1400
    text = '[2,"h","RequestStopTransaction",{"transactionId":"a","%s":1}]' % name
    station.backend._message(text.encode(), False, False)
    answer = station.backend._answers[0]
    assert b"FormatViolation" in answer and len(answer) < 2000


def test_what_serves_a_request_is_there_for_that_only():
    name = "firmware.uplink.commands"
    let_go(name)
    trace, _ = simulate(10000, [step(1000, "plug"), _start(2000), _start(3000, "r2")])
    assert [answer[2]["status"] for answer in trace.answers()] == ["Accepted", "Rejected"]
    assert name not in sys.modules and not hasattr(uplink, "commands")
    # What reads stays for as long as something comes in each turn.
    _, station = simulate(3000, [])
    backend = station.backend
    assert backend._incoming is None
    for i in range(3):
        backend._message(b"[]", False, False)
        backend.tick(3020 + 20 * i)
        assert backend._incoming
    backend.tick(3100)
    assert backend._incoming is None


def test_what_cannot_be_loaded_is_an_internal_error():
    for name in ("commands", "incoming"):
        let_go("firmware.uplink." + name)
    trace, station = simulate(3000, [])
    request = json.dumps([2, "x", "RequestStartTransaction", _START]).encode()
    path = uplink.__path__
    uplink.__path__ = ["nowhere"] if isinstance(path, list) else "nowhere"
    try:
        station.backend._message(request, False, False)
    finally:
        uplink.__path__ = path
    assert not station.backend._answers and trace.of("error")  # it is sent again
    # Where only what serves it cannot be loaded the backend hears of it.
    station.backend._incoming = borrow("firmware.uplink.incoming")
    uplink.__path__ = ["nowhere"] if isinstance(path, list) else "nowhere"
    try:
        station.backend._message(request, False, False)
    finally:
        uplink.__path__ = path
    assert json.loads(station.backend._answers.pop())[:3] == [4, "x", "InternalError"]
    assert station.sessions[0].transaction_id is None
    # It was not seen: the same request is served once that is possible.
    station.backend._message(request, False, False)
    assert json.loads(station.backend._answers.pop())[2]["status"] == "Accepted"


def test_a_date_that_is_no_text_is_not_fresh():
    payload = dict(_START)
    payload["customData"] = {"vendorId": "x", "issuedAt": {}}
    trace, station = simulate(5000, [step(500, "plug"), _start(2000, payload=payload)])
    assert _refused(trace, 0, "StaleCommand") and not station.errors


def test_a_backlog_that_takes_longer_is_no_fresher():
    # A broker with a session has kept a thousand starts of a backend that tried again and again.
    trace, station = simulate(3000, [step(500, "plug")])
    backend = station.backend
    backend._up(True)

    def asked(n):
        message = json.dumps([2, "q%d" % n, "RequestStartTransaction", _START])
        backend._message(message.encode(), False, False)
        return json.loads(backend._answers.pop())[2]["status"]

    for n in range(60):
        assert asked(n) == "Rejected", n
        station.wall.uptime_ms += 300
    # Who tries each 1.5 s is no backlog.
    found = []
    for n in range(60, 63):
        station.wall.uptime_ms += 1500
        found.append(asked(n))
    assert found[0] == "Accepted"


def test_after_a_week_without_a_line_the_heartbeats_go_on():
    _, station = simulate(3000, [])
    backend = station.backend
    now_ms = backend._now_ms
    for days, due in ((7, True), (9, True), (0, False)):
        backend._waiting_since_ms = add(now_ms, -days * 86400000 - 1000)
        backend.tick(now_ms)
        assert backend.outbox.has("Heartbeat") == due, days
        backend.outbox.line_lost()


def test_strange_boot_answers():
    for result in (
        {"status": "Accepted", "currentTime": {}, "interval": 300},
        {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": "soon"},
        {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": -5},
        {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 1e300},
        {"status": 5},
        {},
    ):
        trace, station = simulate(100, [])
        backend = station.backend
        backend.accepted = False
        backend._wait_ms = 10000
        backend._booted(result)
        good = result.get("currentTime") == "2026-01-01T00:00:00Z"
        assert backend.accepted == (result.get("status") == "Accepted" and backend.wall.is_set)
        assert 1000 <= backend._wait_ms <= 86400000, result
        if not good:
            assert backend._wait_ms == 10000 or not backend.accepted or backend._wait_ms == 300000
