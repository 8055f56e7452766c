"""Whole sessions in virtual time: what the backend hears, and what the contactor does."""

from firmware.safety.core import ERRORS
from tests.pile import CARD, charging, settings, simulate, step


def _gapless(events):
    return [event["seqNo"] for event in events] == list(range(len(events)))


def test_the_plain_session():
    trace, _ = simulate(
        90000,
        charging(
            step(40000, "pause"), step(50000, "ready"), step(70000, "pause"), step(75000, "unplug")
        ),
    )
    events = trace.messages("TransactionEvent")
    assert _gapless(events)
    assert [event["eventType"] for event in events] == ["Started"] + ["Updated"] * (
        len(events) - 2
    ) + ["Ended"]
    assert len({event["transactionInfo"]["transactionId"] for event in events}) == 1
    first, last = events[0], events[-1]
    assert first["triggerReason"] == "Authorized" and first["idToken"] == {
        "idToken": CARD,
        "type": "ISO14443",
    }
    assert last["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    states = [event["transactionInfo"]["chargingState"] for event in events]
    assert states.count("Charging") >= 2 and states[-1] == "Idle"
    mwh = trace.of("end")[0]["energy_mwh"]
    assert abs(last["meterValue"][0]["sampledValue"][0]["value"] * 1000 - mwh) <= 20
    assert mwh > 100000
    assert not trace.of("fault") and not trace.of("error")
    assert [s["connectorStatus"] for s in trace.messages("StatusNotification")] == [
        "Available",
        "Occupied",
        "Available",
    ]


def test_samples_come_every_interval():
    trace, _ = simulate(200000, charging())
    times = [
        line["t_us"] // 1000000
        for line in trace.of("uplink")
        if line["message"][2] == "TransactionEvent"
        and line["message"][3]["triggerReason"] == "MeterValuePeriodic"
    ]
    assert times == [62, 122, 182]
    values = [
        event["meterValue"][0]["sampledValue"][0]["value"]
        for event in trace.messages("TransactionEvent")
        if "meterValue" in event
    ]
    assert values == sorted(values)


def test_the_same_card_stops_and_another_does_not():
    trace, _ = simulate(
        40000, charging(step(10000, "card", uid="DEADBEEF"), step(20000, "card", uid=CARD))
    )
    assert trace.of("access", decision="refused")[0]["why"] == "every outlet is in use"
    ended = trace.messages("TransactionEvent", "Ended")
    assert len(ended) == 1 and ended[0]["transactionInfo"]["stoppedReason"] == "Local"
    # It obeys: PWM off at once, S2 opens after a second, the contactor after that, and only then
    # the end is told.
    read_ms = trace.ms("access", 20000)
    assert 20000 < read_ms <= 20300
    assert trace.ms("duty", 20000, permille=1000) - read_ms <= 60
    assert 900 <= trace.ms("contactor", 20000, command=False) - read_ms <= 1200
    assert [line for line in trace.of("uplink") if line["message"][3].get("eventType") == "Ended"][
        0
    ]["t_us"] > 21000000


def test_a_vehicle_that_ignores_the_stop_is_cut_off_after_6_s():
    trace, station = simulate(
        40000, charging(step(9000, "draw", ma=16000, obey=False), step(20000, "card", uid=CARD))
    )
    off = trace.ms("duty", 20000, permille=1000)
    assert 6000 <= trace.ms("contactor", 20000, command=False) - off <= 6010
    assert len(trace.messages("TransactionEvent", "Ended")) == 1


def test_an_unknown_card_is_refused():
    trace, _ = simulate(
        20000, [step(1000, "plug"), step(2000, "card", uid="DEADBEEF"), step(3000, "ready")]
    )
    assert trace.of("access")[0]["decision"] == "refused"
    assert not trace.of("contactor") and not trace.messages("TransactionEvent")


def test_card_before_plug_and_the_time_out():
    trace, _ = simulate(90000, [step(1000, "card", uid=CARD), step(10000, "plug", r_ohm=882)])
    events = trace.messages("TransactionEvent")
    assert events[0]["transactionInfo"]["chargingState"] == "Idle"
    assert events[1]["triggerReason"] == "CablePluggedIn"
    assert trace.of("contactor", closed=True)
    trace, _ = simulate(90000, [step(1000, "card", uid=CARD), step(70000, "plug", r_ohm=882)])
    ended = trace.messages("TransactionEvent", "Ended")
    assert ended[0]["transactionInfo"]["stoppedReason"] == "Timeout" and not trace.of("contactor")


def test_a_vehicle_that_was_there_before_the_boot_charges():
    for r_ohm in (2740, 882):
        trace, _ = simulate(
            30000,
            [step(0, "plug", r_ohm=r_ohm), step(3000, "card", uid=CARD), step(5000, "ready")],
        )
        assert trace.of("contactor", closed=True) and not trace.of("fault")


def test_the_line_is_gone_for_a_while_and_nothing_is_lost():
    trace, _ = simulate(
        400000,
        charging(
            step(20000, "link", up=False),
            step(100000, "pause"),
            step(110000, "unplug"),
            step(200000, "link", up=True),
        ),
    )
    events = trace.messages("TransactionEvent")
    assert _gapless(events) and events[-1]["eventType"] == "Ended"
    sent = [line for line in trace.of("uplink") if line["t_us"] > 20000000]
    assert sent[0]["t_us"] > 200000000
    answered = {line["id"] for line in trace.of("result")}
    assert {
        line["message"][1] for line in trace.of("uplink") if line["message"][0] == 2
    } == answered
    # It charged on all the same.
    assert trace.ms("contactor", 19000, closed=False) > 100000


def test_a_message_cut_off_from_its_answer_is_sent_again_under_its_id():
    trace, _ = simulate(
        120000, charging(step(3530, "link", up=False), step(10000, "link", up=True))
    )
    again = trace.of("uplink", dup=True)
    assert again
    for line in again:
        first = [
            other for other in trace.of("uplink") if other["message"][1] == line["message"][1]
        ]
        assert first[0]["message"] == line["message"] and not first[0].get("dup")


def test_offline_a_card_is_refused_in_words():
    trace, _ = simulate(20000, [step(500, "link", up=False)] + charging())
    assert trace.of("access")[0]["why"] == "the backend cannot be asked"
    assert not trace.of("contactor")


def test_memory_is_bounded_while_the_line_is_down_for_long():
    # In the journal there is room for all; of it no more than 16 messages are in memory.
    steps = charging(step(5000, "link", up=False))
    for i in range(10):
        steps.append(step(10000 + i * 20000, "pause"))
        steps.append(step(16000 + i * 20000, "ready"))
    steps.append(step(250000, "link", up=True))
    trace, station = simulate(300000, steps, settings(sample_interval_s=1))
    events = trace.messages("TransactionEvent")
    assert _gapless(events)
    assert len(events) > 290
    offline = [event["seqNo"] for event in events if event.get("offline")]
    assert offline == list(range(offline[0], offline[-1] + 1)) and len(offline) > 240
    assert not station.backend.outbox.owes or len(station.backend.outbox._kept) <= 16


def test_a_stalled_main_loop_stops_in_good_order_and_recovers():
    trace, _ = simulate(60000, charging(step(10000, "stall_main", for_ms=20000)))
    off = trace.ms("duty", 10000, permille=1000)
    assert 480 <= off - 10000 <= 520
    assert trace.ms("contactor", 10000, command=False) - off < 1100  # the vehicle obeys
    assert trace.of("fault", code="RequestStale")
    assert trace.ms("contactor", 30000, closed=True) is not None
    assert trace.of("clear", code="RequestStale")


def test_the_backend_may_take_its_permission_back():
    # The simulated backend accepts; what a refusal in a TransactionEvent's answer does is asked of
    # the session itself.
    trace, station = simulate(10000, charging())
    session = station.sessions[0]
    for strange in ({}, {"idTokenInfo": []}, {"idTokenInfo": {}}, {"idTokenInfo": {"status": 5}}):
        session.answered(strange)
        assert session._ending is None
    session.answered({"idTokenInfo": {"status": "Blocked"}})
    assert (
        session._ending == ("DeAuthorized", "Deauthorized") and not station.outlets[0].authorised
    )


def test_a_service_that_raises_does_not_stop_the_others():
    def raises(_):
        raise RuntimeError("broken")

    trace, station = simulate(1000, [])
    station.services.insert(0, raises)
    lease = station.cores[0].cells[2]
    for i in range(5):
        station.tick(1000 + i * 20)
    assert station.errors == 5 and station.cores[0].cells[2] == lease + 5


def test_two_profiles_and_the_wrap_of_the_clock_give_the_same_session():
    for profile in ("rp2040", "esp32"):
        for start in (0, (1 << 30) - 20000):
            trace, _ = simulate(
                60000,
                charging(step(30000, "pause"), step(40000, "unplug")),
                profile=profile,
                ticks_start_ms=start,
            )
            assert len(trace.messages("TransactionEvent", "Ended")) == 1, (profile, start)
            assert not trace.of("fault"), (profile, start)
            assert 30000 < trace.ms("contactor", 29000, command=False) < 30030


def test_what_the_vehicle_was_made_to_do_ends_with_the_vehicle():
    trace, _ = simulate(
        12000,
        [step(1000, "plug"), step(2000, "ohms", value=882, for_ms=5000), step(3000, "unplug")],
    )
    assert trace.of("state")[-1]["value"] == "A1"
    trace, _ = simulate(
        12000,
        [
            step(1000, "plug"),
            step(2000, "ohms", value=882, for_ms=1000),
            step(2500, "ohms", value=1300, for_ms=5000),
        ],
    )
    assert trace.of("vehicle")[-1]["r_ohm"] == 2740
    trace, _ = simulate(5000, [step(1000, "ready")])
    assert not trace.of("vehicle")


def test_a_welded_contactor_holds_no_transaction_for_ever():
    reset = [2, "r1", "Reset", {"type": "OnIdle"}]
    steps = charging(step(10000, "weld"), step(15000, "backend", message=reset))
    trace, station = simulate(60000, steps + [step(20000, "unplug")])
    (ended,) = trace.messages(event="Ended")
    value = ended["meterValue"][0]["sampledValue"][0]["value"]
    assert abs(value * 1000 - station.board.plant.energy_mwh()) <= 1000
    assert len(trace.of("boot")) == 2


def test_current_through_a_welded_contactor_is_counted_to_its_end():
    steps = charging(
        step(10000, "draw", ma=9000, obey=False), step(10010, "weld"),
        step(11000, "card", uid=CARD), step(40000, "unplug"),
    )  # fmt: skip
    trace, station = simulate(60000, steps)
    (ended,) = trace.messages(event="Ended")
    value = ended["meterValue"][0]["sampledValue"][0]["value"]
    assert abs(value * 1000 - station.board.plant.energy_mwh()) <= 1000


def test_heartbeats_move_until_a_tick_raises():
    trace, station = simulate(1000, charging())
    beats = station.heartbeats()
    station.tick(1020)
    station.safety_tick(1020)
    moved = station.heartbeats()
    assert all(a != b for a, b in zip(beats, moved))
    station.cores[0]._sample = None
    station.safety_tick(1022)
    assert station.heartbeats()[0] == 0 and station.cores[0].cells[ERRORS] == 1
    station.safety_tick(1024)
    assert station.heartbeats()[0] == 0
