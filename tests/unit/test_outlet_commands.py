"""Outlets out of service, plugs that are let go of, and what is still to be told."""

from tests.pile import CARD, charging, power_cut, settings, simulate, step


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _change(at_ms, status, evse_id=None, connector_id=None, **fields):
    payload: dict = {"operationalStatus": status}
    if evse_id is not None:
        payload["evse"] = {"id": evse_id}
        if connector_id is not None:
            payload["evse"]["connectorId"] = connector_id
    return _call(at_ms, "ChangeAvailability", payload, **fields)


def _out(at_ms, evse_id=None, connector_id=None, **fields):
    return _change(at_ms, "Inoperative", evse_id, connector_id, **fields)


def _in(at_ms, evse_id=None, connector_id=None, **fields):
    return _change(at_ms, "Operative", evse_id, connector_id, **fields)


def _statuses(trace):
    found = []
    for answer in trace.answers():
        assert answer[0] == 3, answer
        info = answer[2].get("statusInfo", {})
        found.append(answer[2]["status"] + ("/" + info["reasonCode"] if info else ""))
    return found


def _told(trace, evse_id=1):
    said = trace.messages("StatusNotification")
    return [one["connectorStatus"] for one in said if one["evseId"] == evse_id]


def test_an_outlet_out_of_service_lets_nobody_in():
    start = {"idToken": {"idToken": "APP-7", "type": "Central"}, "remoteStartId": 42}
    reserve = {
        "id": 5,
        "expiryDateTime": "2026-01-01T01:00:00Z",
        "idToken": {"idToken": "APP-7", "type": "Central"},
    }
    trace, station = simulate(
        30000,
        [
            _out(1000, 1),
            step(2000, "plug"),
            step(3000, "card", uid=CARD),
            _call(8000, "RequestStartTransaction", start),
            _call(9000, "ReserveNow", reserve),
            _call(9500, "ReserveNow", dict(reserve, evseId=1)),
            step(10000, "ready"),
        ],
    )
    assert _statuses(trace) == [
        "Accepted",
        "Rejected/Inoperative",
        "Unavailable",
        "Unavailable",
    ]
    assert _told(trace) == ["Available", "Unavailable"]
    assert not trace.of("contactor") and not trace.messages("TransactionEvent")
    assert not trace.messages("Authorize")
    assert trace.of("access")[0]["why"] == "every outlet is in use or out of service"
    # steady +12 V, from the first to the last
    assert [line["permille"] for line in trace.of("duty")] == [1000]
    assert trace.of("signal")[-1]["value"] == "unavailable"
    assert "out of service" in str(station.explain(0)) and not station.errors


def test_no_free_vend_and_no_transaction_by_a_plug():
    config = settings(free_vend=1, tx_start="EVConnected,Authorized")
    steps = [_out(1000, 1), step(2000, "plug", r_ohm=882), _in(10000, 1)]
    trace, _ = simulate(9000, steps[:2], config)
    assert not trace.messages("TransactionEvent") and not trace.of("contactor")
    # Back in service the vehicle that waits is charged.
    trace, _ = simulate(20000, steps, settings(free_vend=1))
    assert len(trace.messages("TransactionEvent", "Started")) == 1
    assert trace.ms("contactor", closed=True) > 10000
    assert _told(trace) == ["Available", "Unavailable", "Occupied"]


def test_a_transaction_goes_on_and_the_outlet_is_out_of_service_after_it():
    steps = charging(
        _out(6000, 1),
        step(20000, "unplug"),
        step(30000, "plug", r_ohm=882),
        step(31000, "card", uid=CARD),
        _in(40000, 1),
        step(42000, "card", uid=CARD),
    )
    trace, station = simulate(50000, steps)
    assert _statuses(trace) == ["Scheduled", "Accepted"]
    told = list(trace.transactions().values())
    assert len(told) == 2
    assert told[0][-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    assert trace.ms("contactor", 6000, closed=False) > 20000
    assert _told(trace) == ["Available", "Occupied", "Unavailable", "Occupied"]
    assert trace.ms("contactor", 21000, closed=True) > 42000
    assert not station.errors


def test_who_was_let_in_before_his_plug_stays_let_in():
    steps = [step(1000, "card", uid=CARD), _out(3000), step(5000, "plug", r_ohm=882)]
    trace, _ = simulate(15000, steps)
    assert _statuses(trace) == ["Scheduled"] and trace.of("contactor", closed=True)
    assert _told(trace) == ["Available", "Occupied"]


def test_each_level_has_its_own_state():
    steps = [
        _out(1000),
        _out(2000, 2, 1),
        _in(3000),
        _in(4000, 2),
        _in(5000, 2, 1),
        _out(6000, 1),
        _in(7000, 1, 1),
    ]
    trace, station = simulate(20000, steps, outlets=2)
    assert _statuses(trace) == ["Accepted"] * 7
    assert _told(trace, 1) == ["Available", "Unavailable", "Available", "Unavailable"]
    assert _told(trace, 2) == ["Available", "Unavailable", "Available"]
    assert station.config["inoperative"] == "1"


def test_the_other_outlet_is_what_a_card_is_for():
    steps = [_out(1000, 1), step(2000, "plug"), step(3000, "card", uid=CARD)]
    steps.append(step(6000, "plug", outlet=2, r_ohm=882))
    trace, _ = simulate(20000, steps, outlets=2)
    started = trace.messages("TransactionEvent", "Started")
    assert [one["evse"]["id"] for one in started] == [2]


def test_it_outlives_power_cuts():
    # Once before the configuration has it, once after.
    for cut_ms in (1100, 20000):
        trace, station = simulate(cut_ms, [_out(1000, 1)])
        assert _statuses(trace) == ["Accepted"]
        late = step(cut_ms + 5000, "plug", r_ohm=882), step(cut_ms + 8000, "card", uid=CARD)
        station = power_cut(station, cut_ms + 20000, *late)
        assert station.connector(0) == "Unavailable" and not trace.of("contactor", closed=True)
        assert _told(trace)[-1] == "Unavailable"
        back = _in(cut_ms + 30000, 1), step(cut_ms + 32000, "card", uid=CARD)
        station = power_cut(station, cut_ms + 50000, *back)
        assert station.connector(0) == "Occupied" and trace.of("contactor", closed=True)


def test_a_transaction_that_is_resumed_goes_on():
    trace, station = simulate(10000, charging(_out(8000)), settings(after_power_cut="resume"))
    assert _statuses(trace) == ["Scheduled"]
    station = power_cut(station, 60000)
    assert station.sessions[0].tx and station.outlets[0].energised
    assert station.connector(0) == "Occupied"


def test_who_reserved_it_hears_of_it():
    reserve = {
        "id": 5,
        "expiryDateTime": "2026-01-01T01:00:00Z",
        "idToken": {"idToken": "APP-7", "type": "Central"},
        "evseId": 1,
    }
    trace, station = simulate(10000, [_call(1000, "ReserveNow", reserve), _out(2000, 1)])
    assert _statuses(trace) == ["Accepted", "Accepted"] and not station.cards.reservations
    assert trace.messages("ReservationStatusUpdate") == [
        {"reservationId": 5, "reservationUpdateStatus": "Removed"}
    ]


def test_the_master_pass_stops_nothing_where_nothing_runs():
    info = {"idTokenInfo": {"status": "Accepted", "groupIdToken": {"idToken": "M", "type": "x"}}}
    steps = [
        step(500, "answer", action="Authorize", fields=info),
        _out(1000),
        step(2000, "card", uid=CARD),
    ]
    trace, _ = simulate(10000, steps, settings(master_pass_group="M"))
    assert trace.of("access")[-1]["why"] == "the master pass starts nothing"


def test_what_is_stale_unknown_or_malformed_changes_nothing():
    trace, station = simulate(
        20000,
        [
            _out(1000, replayed=True),
            _out(2000, 2),
            _out(2500, 1, 2),
            _out(3000, 1, message_id="a"),
            _out(3500, 1),  # it is already
            _in(4000, 1),
            _out(5000, 1, message_id="a"),  # doubled
            _in(6000, 1, replayed=True),  # it is already
        ],
    )
    assert _statuses(trace) == [
        "Rejected/StaleCommand",
        "Rejected/UnknownEvse",
        "Rejected/UnknownConnectorId",
        "Accepted",
        "Accepted",
        "Accepted",
        "Rejected/StaleCommand",
        "Accepted",
    ]
    assert not station.outlets[0].inoperative
    for payload in (
        {},
        {"operationalStatus": "Perhaps"},
        {"operationalStatus": "Inoperative", "evse": 1},
        {"operationalStatus": "Inoperative", "evse": {}},
        {"operationalStatus": "Inoperative", "evse": {"id": -1}},
    ):
        trace, station = simulate(3000, [_call(1000, "ChangeAvailability", payload)])
        assert [answer[0] for answer in trace.answers()] == [4], payload
        assert not station.outlets[0].inoperative


def test_what_cannot_be_kept_is_refused():
    trace, station = simulate(9000, [step(500, "fram"), _out(1000)])
    assert _statuses(trace) == ["Rejected/NotKept"] and not station.outlets[0].inoperative


def _unlock(at_ms, evse_id=1, connector_id=1, **fields):
    return _call(
        at_ms, "UnlockConnector", {"evseId": evse_id, "connectorId": connector_id}, **fields
    )


_SOCKET = {"cable": "socket"}


def _jammed(*more):
    # The lock jams as a session ends: five tries, then one each 30 s.
    return charging(
        step(6000, "lock"),
        step(8000, "card", uid=CARD),
        *more,
    )


def test_a_plug_that_was_held_is_let_go_of():
    trace, station = simulate(
        40000, _jammed(_unlock(21000), step(22500, "lock", fault=False)), outlet=_SOCKET
    )
    assert trace.of("fault", code="ConnectorLockFailure")
    assert _statuses(trace) == ["Unlocked"]
    assert not station.outlets[0].plug._socket.locked()
    answered = trace.ms("uplink", 21000)
    assert 22500 < answered < 25000, answered


def test_a_plug_that_stays_held():
    trace, station = simulate(40000, _jammed(_unlock(21000)), outlet=_SOCKET)
    assert _statuses(trace) == ["UnlockFailed"] and station.outlets[0].plug._socket.locked()
    assert 29000 <= trace.ms("uplink", 25000) < 30500
    trace, _ = simulate(40000, _jammed(_unlock(21000, replayed=True)), outlet=_SOCKET)
    assert _statuses(trace) == ["UnlockFailed/StaleCommand"]


def test_a_weld_holds_the_plug_whatever_is_asked():
    steps = charging(step(6000, "weld"), step(8000, "card", uid=CARD), _unlock(20000))
    trace, station = simulate(40000, steps, outlet=_SOCKET)
    assert _statuses(trace) == ["UnlockFailed"] and station.outlets[0].plug._socket.locked()


def test_no_plug_is_let_go_of_in_a_session():
    trace, station = simulate(20000, charging(_unlock(8000)), outlet=_SOCKET)
    assert _statuses(trace) == ["OngoingAuthorizedTransaction"]
    assert station.outlets[0].plug._socket.locked() and station.outlets[0].energised
    # Nor when somebody comes while the lock is still trying.
    steps = _jammed(_unlock(21000), step(22000, "card", uid=CARD))
    trace, _ = simulate(40000, steps, outlet=_SOCKET)
    assert _statuses(trace) == ["OngoingAuthorizedTransaction"]


def test_what_is_not_locked_and_what_has_no_lock():
    steps = [step(1000, "plug"), _unlock(3000), _unlock(4000, 2), _unlock(5000, 1, 2)]
    steps += [_unlock(6000, 0), _unlock(7000, replayed=True)]
    trace, _ = simulate(9000, steps, outlet=_SOCKET)
    assert _statuses(trace) == ["Unlocked"] + ["UnknownConnector"] * 3 + ["Unlocked"]
    trace, _ = simulate(5000, [_unlock(3000)])
    assert _statuses(trace) == ["UnlockFailed/FixedCable"]


def _queue(at_ms, transaction_id=None):
    payload = {} if transaction_id is None else {"transactionId": transaction_id}
    return _call(at_ms, "GetTransactionStatus", payload)


def _answers(trace):
    return [
        (answer[2].get("ongoingIndicator"), answer[2]["messagesInQueue"])
        for answer in trace.answers()
        if answer[0] == 3
    ]


def test_whether_a_transaction_runs_and_is_told():
    trace, station = simulate(10000, charging(_queue(9000)))
    assert _answers(trace) == [(None, False)]
    one = station.sessions[0].transaction_id
    other = one.replace("-t", "x-t")
    asked = [_queue(9000, one), _queue(9200, other), _queue(9400, "x"), _queue(9600, one + "9")]
    trace, _ = simulate(10000, charging(*asked))
    assert _answers(trace) == [(True, False)] + [(False, False)] * 3
    # The backend answers no event any more.
    steps = charging(step(5000, "mute"), step(9000, "unplug"), _queue(20000, one), _queue(21000))
    trace, _ = simulate(40000, steps)
    assert _answers(trace) == [(False, True), (None, True)]


def test_what_waits_behind_much_else():
    trace, station = simulate(10000, charging())
    one = station.sessions[0].transaction_id
    for _ in range(100):
        station.journal.append(b"\x09")
    assert _ask(station, {"transactionId": one}) == {
        "messagesInQueue": True,  # maybe: nobody looks through all of it at once
        "ongoingIndicator": True,
    }


def _ask(station, payload):
    from firmware.uplink import outlet_commands

    return outlet_commands._transaction(station.backend, payload, True)


def test_what_is_malformed():
    steps = [
        _call(1000, "UnlockConnector", {"evseId": 1}),
        _call(1500, "UnlockConnector", {"evseId": "1", "connectorId": 1}),
        _call(2000, "GetTransactionStatus", {"transactionId": 7}),
        _call(2500, "GetTransactionStatus", {"transactionId": "t" * 37}),
        _call(3000, "SetDERControl", {}),
        _call(3500, "MakeCoffee", {}),
    ]
    trace, _ = simulate(5000, steps, outlet=_SOCKET)
    assert [answer[2] for answer in trace.answers()] == [
        "OccurrenceConstraintViolation",
        "TypeConstraintViolation",
        "TypeConstraintViolation",
        "PropertyConstraintViolation",
        "NotSupported",
        "NotImplemented",
    ]
