"""What the backend asks about access: the local list, the cache, reservations."""

import json

from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises

OTHER = "DEADBEEF"


def _token(text, kind="ISO14443"):
    return {"idToken": text, "type": kind}


def _data(text, status="Accepted", **info):
    info["status"] = status
    return {"idToken": _token(text), "idTokenInfo": info}


def _list(at_ms, version, *made, full=True, message_id=None, **fields):
    payload = {
        "versionNumber": version,
        "updateType": "Full" if full else "Differential",
        "localAuthorizationList": list(made),
    }
    if not made:
        del payload["localAuthorizationList"]
    return _call(at_ms, "SendLocalList", payload, message_id, **fields)


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _reserve(at_ms, token=CARD, **more):
    payload = {"id": 7, "expiryDateTime": "2026-01-01T00:01:00Z", "idToken": _token(token)}
    payload.update(more)
    return _call(at_ms, "ReserveNow", payload)


def _answers(trace):
    """What was answered to each request, in order: the status, the version, or an error's code."""
    found = []
    for kind, _, answer, *_ in trace.answers():
        if kind == 4:
            found.append(answer)
        else:
            found.append(answer.get("status", answer.get("versionNumber")))
    return found


def _decisions(trace):
    return [(line["decision"], line["why"]) for line in trace.of("access")]


def test_a_list_lets_in_without_the_backend():
    steps = [
        _call(1000, "GetLocalListVersion", {}),
        _list(1500, 5, _data(CARD), _data(OTHER, "Blocked")),
        _call(2000, "GetLocalListVersion", {}),
        step(3000, "link", up=False),
        step(4000, "plug", r_ohm=882),
        step(6000, "card", uid=OTHER),
        step(8000, "card", uid=CARD),
    ]
    trace, station = simulate(15000, steps)
    assert _answers(trace) == [0, "Accepted", 5]
    assert _decisions(trace) == [
        ("refused", "the local list says: Blocked"),
        ("accepted", "the local list says: Accepted"),
    ]
    assert trace.of("contactor", closed=True) and not trace.messages("Authorize")
    assert not station.errors


def test_full_and_differential_updates():
    steps = [
        _list(1000, 5, _data(CARD), _data(OTHER)),
        _list(1500, 5, _data("AA"), full=False),
        _list(2000, 4, _data("AA"), full=False),
        _list(2500, 6, _data("AA"), {"idToken": _token(CARD)}, full=False),
        _list(3000, 7, {"idToken": _token(CARD)}),
        _list(3500, 7, _data(CARD), _data(CARD.lower(), "Blocked")),
        _list(4000, 0, _data(CARD)),
        _list(4500, 1 << 31, _data(CARD)),
        _call(5000, "GetLocalListVersion", {}),
        _list(5500, 3, replayed=True),
        _list(6000, 3),
        _call(6500, "GetLocalListVersion", {}),
    ]
    trace, station = simulate(8000, steps)
    assert _answers(trace) == [
        "Accepted",
        "Accepted",
        "VersionMismatch",
        "Accepted",
        "Failed",
        "Failed",
        "Failed",
        "Failed",
        6,
        "VersionMismatch",
        "Accepted",
        3,
    ]
    assert station.cards.count == 0 and not station.errors
    writes = trace.of("write", medium="flash")
    assert not [line for line in writes if line["closed"]]
    assert [line["bytes"] for line in writes if line["t_us"] > 900000] == [72, 72, 20]


def test_an_update_while_closed_waits_and_holds():
    steps = charging(
        _list(8000, 5, _data(OTHER), _data(CARD, "Blocked")),
        _call(9000, "GetLocalListVersion", {}),
        step(10000, "link", up=False),
        step(12000, "card", uid=CARD),
        step(16000, "card", uid=CARD),
    )
    trace, station = simulate(20000, steps)
    assert _answers(trace) == ["Accepted", 5]
    assert _decisions(trace)[1:] == [
        ("stopped", "its own card"),
        ("refused", "the local list says: Blocked"),
    ]
    opened = trace.ms("contactor", 12000, closed=False)
    writes = trace.of("write", medium="flash", bytes=20 + 2 * 26)
    assert len(writes) == 1 and writes[0]["t_us"] >= opened * 1000
    assert (station.cards.version, station.cards.count) == (5, 2)


def test_a_list_outlives_a_power_cut():
    steps = [
        _list(1500, 5, _data(CARD)),
        step(3000, "power", for_ms=1000),
        step(3500, "link", up=False),
        step(5000, "plug"),
        step(7000, "card", uid=CARD),
    ]
    trace, station = simulate(10000, steps)
    assert _decisions(trace) == [("accepted", "the local list says: Accepted")]
    assert station.board.station.cards.version == 5


def test_a_damaged_list_is_none_and_told():
    trace, station = simulate(3000, [_list(1500, 5, _data(CARD))])
    board = station.board
    name = "access.list"
    board.store._kept[name] = board.store._kept[name][:-1] + b"\x55"
    again = station.__class__(board, station.config)
    assert (again.cards.version, again.cards.count) == (0, 0)
    (error,) = trace.of("error")  # the trace goes on
    assert name in error["problem"]


def test_clear_cache():
    steps = charging(
        step(8000, "card", uid=CARD),
        _call(10000, "ClearCache", {}),
        step(11000, "link", up=False),
        step(14000, "card", uid=CARD),
    )
    trace, _ = simulate(16000, steps)
    assert _answers(trace) == ["Accepted"]
    assert _decisions(trace)[-1] == ("refused", "the backend cannot be asked")
    without = [item for item in steps if item["at_ms"] != 10000]
    trace, _ = simulate(16000, without)
    assert _decisions(trace)[-1] == ("accepted", "the local cache says: Accepted")
    trace, _ = simulate(3000, [_call(2000, "ClearCache", {})], settings(auth_cache=0))
    assert _answers(trace) == ["Rejected"]


def test_a_reserved_outlet_is_told_and_kept_for_its_card():
    steps = [
        _reserve(2000, OTHER, groupIdToken=_token("G", "Central")),
        step(4000, "plug"),
        step(6000, "card", uid=CARD),
        _call(8000, "RequestStartTransaction", {"idToken": _token(CARD), "remoteStartId": 1}),
        _call(9000, "CancelReservation", {"reservationId": 8}),
        _call(10000, "CancelReservation", {"reservationId": 7}),
        step(12000, "card", uid=CARD),
    ]
    trace, station = simulate(16000, steps)
    assert _answers(trace) == ["Accepted", "Rejected", "Rejected", "Accepted"]
    assert trace.answers()[1][2]["statusInfo"]["reasonCode"] == "Reserved"
    assert _decisions(trace) == [
        ("refused", "no free outlet is for it"),
        ("accepted", "the backend says: Accepted"),
    ]
    states = [call["connectorStatus"] for call in trace.messages("StatusNotification")]
    assert states == ["Available", "Occupied"]  # a station's reservation is of no outlet
    trace, _ = simulate(
        80000,
        [_reserve(2000, OTHER, evseId=1), step(70000, "plug"), step(72000, "card", uid=CARD)],
    )
    states = [call["connectorStatus"] for call in trace.messages("StatusNotification")]
    assert states == ["Available", "Reserved", "Available", "Occupied"]
    assert trace.messages("ReservationStatusUpdate") == [
        {"reservationId": 7, "reservationUpdateStatus": "Expired"}
    ]
    assert 59000 <= trace.ms("uplink", 50000) <= 62000
    assert _decisions(trace) == [("accepted", "the backend says: Accepted")]


def test_who_reserved_is_told_with_the_start_also_after_a_power_cut():
    later = "2026-01-01T01:00:00Z"
    for place in ({"evseId": 1}, {}):
        steps = [
            _reserve(2000, CARD, expiryDateTime=later, **place),
            step(4000, "plug"),
            step(6000, "card", uid=CARD),
            step(5000, "link", up=False),
            step(12000, "power", for_ms=1000),
            step(20000, "link", up=True),
            step(40000, "unplug"),
            step(45000, "plug"),
            step(47000, "card", uid=CARD),
        ]
        trace, station = simulate(60000, steps, settings(offline_unknown=1))
        first, second = trace.messages("TransactionEvent", "Started")
        assert first["reservationId"] == 7 and "reservationId" not in second
        assert "remoteStartId" not in first["transactionInfo"]
        others = [e for e in trace.messages("TransactionEvent") if e["eventType"] != "Started"]
        assert others and not [event for event in others if "reservationId" in event]
    start = {"idToken": _token(CARD), "remoteStartId": 42}
    steps = [
        step(1000, "plug"),
        step(1500, "unplug"),
        _reserve(2000, CARD, expiryDateTime=later),
        _call(4000, "RequestStartTransaction", start),
        step(9000, "plug"),
    ]
    trace, station = simulate(16000, steps, settings(authorize_remote_start=0))
    (started,) = trace.messages("TransactionEvent", "Started")
    assert started["reservationId"] == 7
    assert started["transactionInfo"]["remoteStartId"] == 42
    assert not station.cards.reservations


def test_a_token_of_more_than_one_line_begins_nothing():
    # Line feeds separate the texts of a record: the reason of the stop would be the backend's.
    for token, kind in (("AB\nCD", "Central"), ("AB", "Cen\ntral"), ("\tAB", "Central")):
        start = {"idToken": _token(token, kind), "remoteStartId": 42}
        steps = [step(1000, "plug"), _call(2000, "RequestStartTransaction", start)]
        trace, station = simulate(6000, steps)
        assert trace.answers()[-1][2]["statusInfo"]["reasonCode"] == "InvalidToken"
        assert not trace.messages("TransactionEvent") and station.sessions[0].free
        if "\n" in token + kind:
            assert not station.sessions[0].start(token, kind)
            assert station.sessions[0].free


def test_a_reservation_outlives_a_power_cut():
    steps = [
        _reserve(2000, OTHER, evseId=1, expiryDateTime="2026-01-01T01:00:00Z"),
        step(4000, "power", for_ms=1000),
        step(9000, "plug"),
        step(10000, "card", uid=CARD),
    ]
    trace, station = simulate(12000, steps)
    assert _decisions(trace) == [("refused", "no free outlet is for it")]
    assert station.board.station.cards.reserved(1)


def test_what_cannot_be_reserved():
    for more, answer in (
        ({"expiryDateTime": "2025-12-31T23:59:00Z"}, "Rejected"),
        ({"expiryDateTime": "soon"}, "Rejected"),
        ({"evseId": 2}, "Rejected"),
        ({"connectorType": "sType2"}, "Rejected"),
        ({"id": 1 << 40}, "Rejected"),
        ({"id": -1}, "PropertyConstraintViolation"),
        ({"idToken": "A"}, "TypeConstraintViolation"),
        ({"when": 1}, "FormatViolation"),
        ({"evseId": 1}, "Accepted"),
        ({"evseId": 0}, "Accepted"),
    ):
        trace, station = simulate(3000, [_reserve(2000, **more)])
        assert _answers(trace) == [answer], (more, trace.answers())
        assert len(station.cards.reservations) == (1 if answer == "Accepted" else 0)
    trace, _ = simulate(3000, [step(1000, "plug"), _reserve(2000, evseId=1)])
    assert _answers(trace) == ["Occupied"]
    trace, _ = simulate(3000, [_reserve(2000)], settings(reservations=0))
    assert _answers(trace) == ["Rejected"]
    late = _reserve(2000)
    late["replayed"] = True
    trace, _ = simulate(3000, [late])
    assert _answers(trace) == ["Rejected"]


def test_malformed_lists_change_nothing():
    good = {"versionNumber": 5, "updateType": "Full", "localAuthorizationList": [_data(CARD)]}
    for field, value, code in (
        ("versionNumber", "5", "TypeConstraintViolation"),
        ("updateType", "All", "PropertyConstraintViolation"),
        ("localAuthorizationList", {}, "TypeConstraintViolation"),
        ("localAuthorizationList", [], "OccurrenceConstraintViolation"),
        ("localAuthorizationList", [5], "TypeConstraintViolation"),
        ("localAuthorizationList", [_data("A")] * 39, "OccurrenceConstraintViolation"),
        ("localAuthorizationList", [{}], "OccurrenceConstraintViolation"),
        ("localAuthorizationList", [_data(CARD, "Fine")], "PropertyConstraintViolation"),
        ("localAuthorizationList", [_data(CARD, evseId=[])], "OccurrenceConstraintViolation"),
        ("localAuthorizationList", [_data(CARD, evseId=["1"])], "TypeConstraintViolation"),
        ("localAuthorizationList", [_data(CARD, more=1)], "FormatViolation"),
        (
            "localAuthorizationList",
            [_data(CARD, cacheExpiryDateTime="late")],
            "PropertyConstraintViolation",
        ),
        ("localAuthorizationList", [_data("x" * 256)], "PropertyConstraintViolation"),
        ("force", True, "FormatViolation"),
    ):
        payload = dict(good)
        payload[field] = value
        trace, station = simulate(2500, [_call(2000, "SendLocalList", payload)])
        assert _answers(trace) == [code], (field, value, trace.answers())
        assert station.cards.version == 0 and not station.errors
        assert station.board.store.load("access.list") is None
    trace, _ = simulate(2500, [_list(2000, 5, _data(CARD))], settings(local_list=0))
    assert _answers(trace) == ["Failed"]


def test_a_long_list_comes_in_parts():
    steps = []
    for part in range(27):
        made = [_data("%08X" % (38 * part + i)) for i in range(38)]
        if part == 26:
            del made[12:]
        steps.append(_list(2000 + 200 * part, part + 1, *made, full=not part))
    steps.append(_list(8000, 28, _data("one too many"), full=False))
    trace, station = simulate(9000, steps)
    assert _answers(trace) == ["Accepted"] * 27 + ["Failed"]
    assert trace.answers()[-1][2]["statusInfo"]["reasonCode"] == "NoSpace"
    assert (station.cards.version, station.cards.count) == (27, 1000)
    assert len(station.board.store.load("access.list")) == 26020


def test_remote_starts_are_authorised_where_that_is_wanted():
    start = {"idToken": _token(OTHER, "Central"), "remoteStartId": 42}
    accepted = dict(start)
    accepted["idToken"] = _token(CARD, "Central")
    wanted = settings(authorize_remote_start=1)
    steps = [step(1000, "plug"), _call(2000, "RequestStartTransaction", start)]
    trace, station = simulate(6000, steps, wanted)
    assert _answers(trace) == ["Accepted"] and not trace.messages("TransactionEvent")
    assert _decisions(trace) == [("refused", "the backend says: Invalid")]
    steps = [step(1000, "plug"), _call(2000, "RequestStartTransaction", accepted)]
    trace, station = simulate(6000, steps, wanted)
    (started,) = trace.messages("TransactionEvent", "Started")
    assert started["transactionInfo"]["remoteStartId"] == 42
    assert started["triggerReason"] == "RemoteStart" and started["idToken"] == accepted["idToken"]
    # Without a vehicle the session waits for one, and no longer than the time-out.
    trace, station = simulate(
        30000,
        [_call(2000, "RequestStartTransaction", start), step(8000, "plug", r_ohm=882)],
        settings(connection_timeout_s=10),
    )
    assert trace.of("contactor", closed=True)
    trace, station = simulate(
        30000,
        [_call(2000, "RequestStartTransaction", start), step(14000, "plug", r_ohm=882)],
        settings(connection_timeout_s=10),
    )
    (ended,) = trace.messages("TransactionEvent", "Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "Timeout"
    assert not trace.of("contactor", closed=True)


def test_the_master_pass_starts_nothing_remotely():
    start = {
        "idToken": _token(CARD, "Central"),
        "remoteStartId": 42,
        "groupIdToken": _token("FIRE", "Central"),
    }
    steps = [step(1000, "plug"), _call(2000, "RequestStartTransaction", start)]
    trace, _ = simulate(6000, steps, settings(master_pass_group="FIRE"))
    assert _answers(trace) == ["Rejected"] and not trace.messages("TransactionEvent")


def test_free_vend_charges_whoever_plugs_in():
    steps = [
        step(1000, "plug"),
        step(2000, "ready"),
        step(20000, "unplug"),
        step(25000, "plug", r_ohm=882),
    ]
    trace, station = simulate(40000, steps, settings(free_vend=1))
    started = trace.messages("TransactionEvent", "Started")
    assert [one["idToken"]["type"] for one in started] == ["NoAuthorization"] * 2
    assert len(trace.messages("TransactionEvent", "Ended")) == 1
    assert not trace.messages("Authorize") and not station.errors


def test_a_deauthorised_card_is_not_let_in_from_the_cache():
    trace, _ = simulate(7000, charging())
    (line,) = [
        line
        for line in trace.of("uplink")
        if line["message"][2] == "TransactionEvent" and line["message"][3].get("idToken")
    ]
    refusal = [3, line["message"][1], {"idTokenInfo": {"status": "Blocked"}}]
    trace, station = simulate(
        20000,
        charging(
            step(line["t_us"] / 1000 + 20, "backend", message=refusal),
            step(12000, "link", up=False),
            step(15000, "card", uid=CARD),
        ),
    )
    (ended,) = trace.messages("TransactionEvent", "Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "DeAuthorized"
    assert _decisions(trace)[-1] == ("refused", "the local cache says: Blocked")
    assert not station.errors


def test_what_was_changed_while_a_contactor_was_closed_holds_after_a_power_cut_too():
    steps = [
        _reserve(8000, OTHER, evseId=2),
        _list(9000, 5, _data(OTHER)),
        step(12000, "power", for_ms=3000),
    ]
    trace, station = simulate(11000, charging(*steps), outlets=2)
    (kept,) = station.cards.reservations
    assert not {"access.list", "access.reserved"} & set(station.board.store._kept)
    # Before the first turn of the new boot, and once it is in flash.
    board = station.board
    door = station.__class__(board, station.config).cards
    assert door.reservations == [kept] and door.get("update").current(door) == 5
    assert door.get("entries").look(door, door.digest(OTHER))[0] == "Accepted"
    _, station = simulate(30000, charging(*steps), outlets=2)
    door = station.board.station.cards
    assert door.reservations == [kept] and door.version == 5 and not door.waiting
    assert {"access.list", "access.reserved"} <= set(station.board.store._kept)


def test_the_backend_s_word_is_about_who_was_let_in_last():
    # Two of a group, one after the other in one transaction of the plug.
    group = _token("G", "Central")
    steps = [
        _list(1200, 5, _data(CARD, groupIdToken=group), _data(OTHER, groupIdToken=group)),
        step(1500, "plug", r_ohm=882),
        step(2500, "card", uid=CARD),
        step(9000, "card", uid=CARD),
        step(12000, "card", uid=OTHER),
    ]
    points = {"tx_start": "EVConnected", "tx_stop": "EVConnected"}
    _, station = simulate(15000, steps, settings(local_pre_authorize=1, **points))
    (session,) = station.sessions
    asked = []
    station.cards.told = lambda digest, info: asked.append(digest)
    station.backend._answered(session.tx, {"idTokenInfo": {"status": "Blocked"}})
    assert asked == [station.cards.digest(OTHER)] and not session.authorised


def test_a_refusal_ends_a_session_whatever_the_flash_says():
    _, station = simulate(7000, charging())

    def fails(digest, info):
        raise OSError(5)

    session = station.sessions[0]
    station.cards.told = fails
    refusal = {"idTokenInfo": {"status": "Blocked"}}
    raises(OSError, station.backend._answered, session.tx, refusal)
    assert not session.authorised and not station.outlets[0].authorised


def test_no_token_is_written_or_told_beyond_its_message():
    card, other = "0DDBA11CAFE001", "5CA1AB1E"
    steps = [
        _list(1500, 5, _data(card, groupIdToken=_token("0FFEE", "Central"))),
        step(2500, "plug", r_ohm=882),
        step(4000, "card", uid=card),
        step(9000, "card", uid=other),
        step(12000, "card", uid=card),
        _reserve(16000, other, groupIdToken=_token("0FFEE", "Central")),
        step(20000, "card", uid=other),
        step(26000, "power", for_ms=1000),
        step(31000, "card", uid=other),
        step(34000, "link", up=False),
        step(36000, "card", uid=card),
    ]
    trace, station = simulate(100000, steps, settings(local_pre_authorize=1))
    assert not station.board.station.errors
    said = [line for line in trace.lines if '"what": "step"' not in line]
    for line in said:
        if card in line or other in line or "0FFEE" in line:
            message = json.loads(line)
            # Only the question about it and the start of its session name a token.
            assert message["what"] == "uplink", line
            assert message["message"][2] in ("Authorize", "TransactionEvent"), line
    kept = station.board.store._kept
    assert {"token.key", "access.list"} <= set(kept)
    for name in kept:
        for token in (card, other, "0FFEE"):
            data = bytes(kept[name])
            assert (
                token.encode() not in data
                and bytes.fromhex(token if len(token) % 2 == 0 else token + "0") not in data
            ), (name, token)


def test_with_two_free_outlets_the_plug_says_which():
    steps = [
        step(2000, "card", uid=CARD),
        step(4000, "card", uid=OTHER),
        step(10000, "plug", r_ohm=882, outlet=2),
        step(20000, "card", uid=CARD),
    ]
    trace, station = simulate(30000, steps, outlets=2)
    assert _decisions(trace) == [
        ("accepted", "the backend says: Accepted"),
        ("ignored", "another card waits for its plug"),
        ("stopped", "its own card"),
    ]
    (started,) = trace.messages("TransactionEvent", "Started")
    assert started["evse"]["id"] == 2
    lit = [(line.get("outlet", 1), line["value"]) for line in trace.of("signal")]
    assert (1, "expecting") in lit and (2, "expecting") in lit
    assert not trace.of("contactor", outlet=None, closed=True)
    assert trace.of("contactor", outlet=2, closed=True) and not station.errors


def test_a_storm_of_cards_is_slowed_down_and_told():
    steps = [step(2000 + 1000 * i, "card", uid="%08X" % (0xC0FFEE00 + i)) for i in range(40)]
    trace, station = simulate(45000, steps)
    # 5 at once, and then 1, 2, 4, 8 and 16 s after one another.
    assert len(trace.messages("Authorize")) == 10 and not station.errors
    start, event = trace.messages("SecurityEventNotification")
    assert start["type"] == "StartupOfTheDevice"
    assert event["type"] == "RepeatedlyRefusedTokens" and event["techInfo"] == "5 refused"
    assert event["timestamp"].startswith("2026-01-01T00:00:0")


def test_what_was_staged_is_done_after_a_power_cut():
    steps = charging(
        _list(8000, 5, _data(OTHER), _data(CARD, "Blocked")), step(9000, "power", for_ms=1000)
    )
    trace, station = simulate(30000, steps)
    assert (station.board.station.cards.version, station.board.station.cards.count) == (5, 2)
    assert not trace.of("write", medium="flash", closed=True) and not station.board.station.errors


def test_in_fram_a_token_is_plain_only_until_it_is_acknowledged():
    other = "5CA1AB1E"
    trace, station = simulate(
        60000, charging(step(8000, "card", uid=other), step(20000, "card", uid=CARD))
    )
    assert len(trace.messages("TransactionEvent", "Ended")) == 1
    assert not station.backend.outbox.owes
    memory = bytes(station.board.memory.chip.memory)
    for token in (CARD, other):
        assert token.encode() not in memory and bytes.fromhex(token) not in memory
