"""Transactions in the journal: points that start and stop them, power cuts, values, limits."""

from struct import unpack_from

from firmware.ledger import events, history
from tests.pile import CARD, charging, settings, simulate, step


def _told(trace):
    """(type, trigger, charging state, stopped reason) of each event."""
    return [
        (
            event["eventType"],
            event["triggerReason"],
            event["transactionInfo"].get("chargingState"),
            event["transactionInfo"].get("stoppedReason"),
        )
        for event in trace.messages("TransactionEvent")
    ]


def _value(event):
    return event["meterValue"][0]["sampledValue"][0]["value"]


def _gapless(trace):
    """Each transaction has its numbers from 0 on, one Started first, at most one Ended last, and
    energies that never fall; the events by transaction.
    """
    found = trace.transactions()
    for told in found.values():
        kinds = [event["eventType"] for event in told]
        assert kinds[0] == "Started" and kinds.count("Started") == 1
        assert "Ended" not in kinds[:-1]
    return found


def _summaries(station):
    """The records of kind 2 that are still in the journal, as (evse, tx, mWh, reason)."""
    journal = station.journal
    found = []
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        if record and record[0] == 2:
            evse_id, tx = unpack_from("<BI", record, 14)
            start_mwh, end_mwh = unpack_from("<QQ", record, 41)
            found.append((evse_id, tx, end_mwh - start_mwh, str(record[65:], "utf-8")))
    return found


def _points(start, stop, *more, **fields):
    config = settings(tx_start=start, tx_stop=stop)
    steps = [
        step(1000, "plug"),
        step(5000, "card", uid=CARD),
        step(10000, "ready"),
        step(20000, "pause"),
        step(25000, "card", uid=CARD),
        step(30000, "unplug"),
    ]
    trace, station = simulate(40000, list(more) or steps, config, **fields)
    _gapless(trace)
    assert not trace.of("error")
    return _told(trace), trace, station


_PLUGGED = ("Started", "CablePluggedIn", "EVConnected", None)


def test_a_transaction_of_the_plug():
    told, _, _ = _points("EVConnected", "EVConnected")
    assert told[0] == _PLUGGED
    assert ("Updated", "Authorized", "EVConnected", None) in told
    assert ("Updated", "StopAuthorized", "EVConnected", None) in told
    # Who stopped it first is why it was stopped.
    assert told[-1] == ("Ended", "EVCommunicationLost", "Idle", "Local")
    told, _, _ = _points("EVConnected", "EVConnected", step(1000, "plug"), step(9000, "unplug"))
    assert told == [_PLUGGED, ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")]


def test_a_transaction_of_the_plug_that_the_card_ends():
    told, _, _ = _points("EVConnected", "Authorized")
    assert told[0] == _PLUGGED
    assert told[-1] == ("Ended", "StopAuthorized", "EVConnected", "Local")
    # Nobody came: the vehicle's leaving is all that can end it.
    told, _, _ = _points("EVConnected", "Authorized", step(1000, "plug"), step(9000, "unplug"))
    assert told[-1] == ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")


def test_who_was_let_in_may_come_again_in_one_transaction_and_nobody_else():
    steps = [
        step(1000, "plug"),
        step(5000, "card", uid=CARD),
        step(8000, "ready"),
        step(12000, "card", uid=CARD),
        step(20000, "card", uid=CARD),
        step(30000, "unplug"),
    ]
    told, trace, station = _points("EVConnected", "EVConnected", *steps)
    triggers = [event[1] for event in told]
    assert triggers.count("Authorized") == 2 and triggers.count("StopAuthorized") == 1
    assert told[-1] == ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")
    session = station.sessions[0]
    assert session.token is None and session.free


def test_a_transaction_of_the_power_path():
    told, trace, _ = _points("PowerPathClosed", "PowerPathClosed")
    assert told[0] == ("Started", "Authorized", "EVConnected", None)
    assert told[-1] == ("Ended", "StopAuthorized", "EVConnected", "Local")
    # The card first: nothing begins before the plug, and the plug tells whose it is.
    steps = [step(1000, "card", uid=CARD), step(9000, "plug", r_ohm=882), step(20000, "unplug")]
    told, trace, _ = _points("PowerPathClosed", "PowerPathClosed", *steps)
    started = trace.messages("TransactionEvent", "Started")[0]
    assert told[0][1] == "CablePluggedIn" and started["idToken"]["idToken"] == CARD
    assert told[-1] == ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")
    # Nobody plugs in: there is no transaction, and the next card is let in.
    config = settings(tx_start="PowerPathClosed", connection_timeout_s=5)
    steps = [step(1000, "card", uid=CARD), step(20000, "card", uid=CARD)]
    trace, _ = simulate(22000, steps, config)
    assert [line["decision"] for line in trace.of("access")] == ["accepted", "accepted"]
    assert not trace.messages("TransactionEvent")


def test_a_transaction_of_the_energy():
    told, trace, station = _points("EnergyTransfer", "EnergyTransfer")
    assert told[0] == ("Started", "ChargingStateChanged", "Charging", None)
    assert told[-1] == ("Ended", "ChargingStateChanged", "EVConnected", "StoppedByEV")
    started, ended = trace.messages("TransactionEvent")[0], trace.messages(event="Ended")[0]
    assert started["idToken"]["idToken"] == CARD
    mwh = station.board.plant.energy_mwh()
    assert abs((_value(ended) - _value(started)) * 1000 - mwh) <= 20 and mwh > 10000
    for cause, reason in (
        (step(20000, "estop"), "EmergencyStop"),
        (step(20000, "rcd"), "GroundFault"),
        (step(20000, "mains", v=280), "PowerQuality"),
        (step(20000, "limit", ma=0), "Other"),
    ):
        steps = charging(cause)
        told, _, _ = _points("Authorized", "EnergyTransfer", *steps)
        assert told[-1][3] == reason, (cause, told)


def test_a_remote_start_is_told_where_the_transaction_starts():
    start = {"idToken": {"idToken": "APP-7", "type": "Central"}, "remoteStartId": 42}
    message = [2, "r1", "RequestStartTransaction", start]
    steps = [step(2000, "backend", message=message), step(5000, "plug"), step(9000, "unplug")]
    told, trace, _ = _points("PowerPathClosed", "PowerPathClosed", *steps)
    assert trace.answers()[0][2] == {"status": "Accepted"}
    started = trace.messages(event="Started")[0]
    assert started["transactionInfo"]["remoteStartId"] == 42
    assert started["idToken"] == start["idToken"]
    steps[:0] = [step(1000, "plug")]
    told, trace, _ = _points("EVConnected", "EVConnected", *steps[:2])
    answer = trace.answers()[0][2]
    (updated,) = [
        event
        for event in trace.messages("TransactionEvent")
        if event["triggerReason"] == "RemoteStart"
    ]
    assert updated["transactionInfo"]["remoteStartId"] == 42
    assert updated["transactionInfo"]["transactionId"] == answer["transactionId"]


def test_suspended_by_the_vehicle_and_by_the_pile():
    steps = charging(
        step(10000, "pause"),
        step(20000, "ready"),
        step(30000, "limit", ma=0),
        step(50000, "estop"),
    )
    told, _, _ = _points("Authorized", "EVConnected", *steps)
    states = [event[2] for event in told]
    assert states == [
        "EVConnected", "SuspendedEV", "Charging", "SuspendedEV", "Charging", "SuspendedEVSE",
    ]  # fmt: skip


def test_a_state_that_does_not_last_makes_no_flood():
    steps = charging()
    for i in range(80):
        steps.append(step(10000 + 100 * i, "pause" if i % 2 == 0 else "ready"))
    told = _told(simulate(40000, steps)[0])
    assert len(told) <= 8, told
    assert told[-1][2] == "Charging"
    every = _told(simulate(40000, steps, settings(min_state_s=0))[0])
    assert len(every) > len(told)


def test_offline_is_told_of_what_happened_without_a_line():
    trace, _ = simulate(
        60000, charging(step(10000, "link", up=False), step(15000, "pause"),
                        step(20000, "link", up=True), step(50000, "unplug"))
    )  # fmt: skip
    flags = [event.get("offline", False) for event in trace.messages("TransactionEvent")]
    assert flags == [False, False, False, True, False]


def test_values_at_the_clock_s_multiples_and_with_what_is_configured():
    config = settings(
        aligned_interval_s=30,
        sample_interval_s=50,
        measurands="Voltage, Power.Active.Import,Frequency,Energy.Active.Import.Register",
    )
    trace, _ = simulate(130000, charging(), config, phases=3)
    found = [
        event for event in trace.messages("TransactionEvent") if event["eventType"] == "Updated"
    ]
    clock = [event for event in found if event["triggerReason"] == "MeterValueClock"]
    times = [event["timestamp"][14:19] for event in clock]
    assert times == ["00:30", "01:00", "01:30", "02:00"], times
    samples = clock[0]["meterValue"][0]["sampledValue"]
    assert {sample["context"] for sample in samples} == {"Sample.Clock"}
    assert [(sample["measurand"], sample.get("phase")) for sample in samples] == [
        ("Energy.Active.Import.Register", None),
        ("Voltage", "L1"), ("Voltage", "L2"), ("Voltage", "L3"),
        ("Power.Active.Import", None),
        ("Frequency", None),
    ]  # fmt: skip
    assert abs(samples[4]["value"] - 3 * 230 * 32) < 500 and abs(samples[5]["value"] - 50) < 0.1
    periodic = [event for event in found if event["triggerReason"] == "MeterValuePeriodic"]
    assert len(periodic) == 2


def _limited(until_ms, config=None, **limits):
    trace, station = simulate(4000, [step(1000, "plug", r_ohm=882)], config)
    assert station.sessions[0].start("X", "Local", limits=limits)
    until_us = until_ms * 1000
    station.board.scenario["until_ms"] = until_ms
    station.board._simulate(station, until_us)
    return trace, station


def test_an_energy_and_a_time_end_a_session():
    for limits, reason in (
        ({"max_mwh": 50000}, "EnergyLimitReached"),
        ({"max_s": 20}, "TimeLimitReached"),
    ):
        trace, station = _limited(60000, **limits)
        (ended,) = trace.messages(event="Ended")
        assert ended["transactionInfo"]["stoppedReason"] == reason == ended["triggerReason"]
        started = trace.messages(event="Started")[0]
        taken = _value(ended) - _value(started)
        if "max_mwh" in limits:
            assert 50 <= taken <= 56  # 2 Wh a second, and a second until it stops
        else:
            assert 24 < float(ended["timestamp"][17:-1]) < 27


def test_a_limit_holds_for_who_comes_to_a_transaction_that_is_open():
    config = settings(tx_start="EVConnected")
    trace, _ = _limited(60000, config, max_mwh=50000)
    told = trace.messages("TransactionEvent")
    assert told[0]["triggerReason"] == "CablePluggedIn"
    assert "EnergyLimitReached" in [one["triggerReason"] for one in told]
    assert 50 <= _value(told[-1]) - _value(told[0]) <= 56


def test_a_balance_ends_a_session():
    from firmware.ledger import tariff

    # 0.36 a kWh, 0.2 at the start: 0.30 are used up by 277.8 Wh.
    data = tariff.check(
        {
            "tariffId": "T",
            "currency": "EUR",
            "energy": {"prices": [{"priceKwh": 0.36}]},
            "fixedFee": {"prices": [{"priceFixed": 0.2}]},
        }
    )
    limits = {"max_cost": 300000, "tariff": data}
    trace, station = _limited(200000, **limits)
    (ended,) = trace.messages(event="Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "LocalOutOfCredit"
    assert ended["triggerReason"] == "CostLimitReached"
    taken = _value(ended) - _value(trace.messages(event="Started")[0])
    assert 277 <= taken <= 285, taken
    assert station.sessions[0].budget is None


def test_what_is_left_of_a_limit_holds_after_a_cut():
    trace, station = simulate(
        4000, [step(1000, "plug", r_ohm=882)], settings(after_power_cut="resume")
    )
    assert station.sessions[0].start("X", "Local", limits={"max_mwh": 80000})
    board = station.board
    board.scenario["until_ms"] = 100000
    board.plant.at(25000000, board.cut_power, 1000000)
    board.run(station)
    (told,) = _gapless(trace).values()
    assert "TxResumed" in [event["triggerReason"] for event in told]
    assert told[-1]["transactionInfo"]["stoppedReason"] == "EnergyLimitReached"
    assert 80 <= _value(told[-1]) - _value(told[0]) <= 86


def test_what_cannot_be_kept_does_not_begin():
    trace, station = simulate(5000, [step(1000, "plug", r_ohm=882)])
    board = station.board
    session = station.sessions[0]

    def fails(_):
        raise OSError(5)

    append = station.journal.append
    station.journal.append = fails
    assert not session.start("X", "Local")
    assert session.free and session.token is None and not station.outlets[0].authorised
    assert not session.start("X" * 256, "Local")
    station.journal.append = append
    assert session.start("X", "Local") and not session.start("Y", "Local")
    # Nor does it end before its end was kept.
    board._simulate(station, 8000000)
    station.journal.append = fails
    session.stop("Local", "StopAuthorized")
    board._simulate(station, 14000000)
    assert session.tx and not session.free and not board.plant.closed
    station.journal.append = append
    board._simulate(station, 20000000)
    assert session.free and len(_gapless(trace)) == 1
    assert _told(trace)[-1][3] == "Local"


def test_nobody_stays_let_in_nor_named_where_memory_ran_out():
    config = settings(tx_start="EVConnected,PowerPathClosed")
    trace, station = simulate(5000, [], config)
    session = station.sessions[0]

    def fails(_):
        raise MemoryError()

    session.outlet.plugged = True  # at this moment, before the transaction's tick
    append = station.journal.append
    station.journal.append = fails
    assert not session.start("X", "Local")
    assert session.free and session.token is None and not station.outlets[0].authorised
    station.journal.append = append
    # Who plugs in later is not told to be the one who was turned away.
    session.outlet.plugged = False
    station.board.plant.plug(2740)
    station.board._simulate(station, 8000000)
    (started,) = trace.messages("TransactionEvent", "Started")
    assert "idToken" not in started and session.tx and not session.authorised


def test_what_cannot_be_summed_up_has_one_end_all_the_same():
    trace, station = simulate(20000, charging())
    append = station.journal.append

    def no_summary(data):
        if data[0] == 2:
            raise MemoryError()
        return append(data)

    station.journal.append = no_summary
    station.sessions[0].stop("Local", "StopAuthorized")
    station.board._simulate(station, 30000000)
    assert station.sessions[0].free and not station.errors
    assert len(_gapless(trace)) == 1 and _told(trace)[-1][3] == "Local"
    assert len(trace.messages("TransactionEvent", "Ended")) == 1
    # A later boot makes the summary of the end.
    assert not _summaries(station)
    station = station.__class__(station.board, station.config)
    assert len(_summaries(station)) == 1


def test_what_cannot_be_summed_up_is_later_whoever_comes_meanwhile():
    trace, station = simulate(20000, charging())
    append = station.journal.append

    def no_room(data):
        if data[0] == 2:
            raise OSError(28)
        return append(data)

    def go_on(until_ms):
        station.board._simulate(station, until_ms * 1000)

    station.journal.append = no_room
    session = station.sessions[0]
    session.stop("Local", "StopAuthorized")
    go_on(25000)
    assert session.free and not session.tx and not station.errors
    assert session.start("OTHER", "Central")
    go_on(30000)
    assert session.tx and not _summaries(station)
    station.journal.append = append
    go_on(45000)
    session.stop("Remote", "RemoteStop")
    go_on(60000)
    reasons = [found["reason"] for found in history.sessions(station.board.store, print)]
    assert reasons == ["Local", "Remote"] and len(_gapless(trace)) == 2


def _cut(at_ms, mode, *more, **fields):
    config = settings(after_power_cut=mode, **fields)
    steps = charging(step(at_ms, "power", for_ms=3000), *more)
    trace, station = simulate(100000, steps, config)
    assert not trace.of("error")
    found = _gapless(trace)
    return list(found.values()), trace, station


def test_a_power_cut_ends_the_transaction_once_with_what_was_kept():
    (told,), trace, station = _cut(45000, "end")
    ended = told[-1]
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    assert ended["triggerReason"] == "AbnormalCondition" and ended["offline"]
    # 2 Wh a second, kept every 10 s; the end is told as of then.
    mwh = station.board.plant.energy_mwh()
    assert mwh - 22000 <= _value(ended) * 1000 <= mwh
    assert "00:00:35" <= ended["timestamp"][11:19] <= "00:00:46"
    assert [sample["measurand"] for sample in ended["meterValue"][0]["sampledValue"]] == [
        "Energy.Active.Import.Register"
    ]
    # The next one goes on from there.
    session = station.board.station.sessions[0]
    assert session.register.mwh >= _value(ended) * 1000 - 1
    assert session.free and not station.board.plant.closed


def test_a_power_cut_may_be_gone_on_after():
    (told,), trace, station = _cut(45000, "resume", step(90000, "unplug"))
    (resumed,) = [event for event in told if event["triggerReason"] == "TxResumed"]
    context = resumed["meterValue"][0]["sampledValue"][0]["context"]
    assert context == "Interruption.End"
    assert told[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    mwh = station.board.plant.energy_mwh()
    assert mwh - 22000 <= _value(told[-1]) * 1000 <= mwh + 20 and mwh > 150000


def test_a_start_late_on_the_clock_is_waited_for_like_any_other():
    # The ticks go on over a soft reset.
    for start_ms in (60000, (1 << 29) + 60000):
        for there in (True, False):
            _, station = simulate(15000, charging(), settings(after_power_cut="resume"))
            board = station.board
            board._start_ms = start_ms
            if not there:
                board.plant.unplug()
            station = station.__class__(board, station.config)
            board._simulate(station, 25000000)
            session = station.sessions[0]
            assert session.authorised == there and bool(session.tx) == there, (start_ms, there)


def test_after_a_cut_the_same_card_ends_what_went_on():
    (told,), trace, _ = _cut(45000, "resume", step(80000, "card", uid=CARD))
    assert told[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert told[-1]["triggerReason"] == "StopAuthorized"


def test_who_left_in_the_dark_has_ended_it():
    (told,), _, station = _cut(45000, "resume", step(46000, "unplug"))
    assert told[-1]["transactionInfo"]["stoppedReason"] == "PowerLoss"
    assert (
        told[-1]["triggerReason"] == "AbnormalCondition" and station.board.station.sessions[0].free
    )


def test_after_what_went_on_the_next_one_is_waited_for_as_usual():
    steps = [step(50000, "unplug"), step(60000, "card", uid=CARD), step(75000, "plug", r_ohm=882)]
    (_, told), trace, _ = _cut(45000, "resume", *steps)
    assert trace.ms("contactor", 75000, closed=True) is not None
    assert [event["eventType"] for event in told].count("Ended") == 0


def test_who_was_stopped_before_the_cut_does_not_go_on():
    steps = [step(44000, "draw", ma=16000, obey=False), step(44500, "card", uid=CARD)]
    (told,), trace, station = _cut(46000, "resume", *steps)
    assert told[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert trace.ms("contactor", 46000, command=True) is None


def test_a_cut_with_the_line_down_loses_nothing():
    for mode in ("end", "resume"):
        steps = [step(20000, "link", up=False), step(80000, "link", up=True)]
        (told,), trace, _ = _cut(45000, mode, *steps, sample_interval_s=5)
        assert len(told) > 6


def test_what_was_before_the_date_was_known_is_dated_by_a_later_boot():
    # The pile never hears of the date in its first boot.
    start = [step(1000, "plug", r_ohm=882)]
    trace, station = simulate(3000, start + [step(0, "link", up=False)])
    assert station.sessions[0].start("X", "Local")
    board = station.board
    board._simulate(station, 10000000)
    board.cut_power(5000000)
    board.line.up = True
    board.scenario["until_ms"] = 60000
    board.run(station)
    (told,) = _gapless(trace).values()
    times = [event["timestamp"] for event in told]
    assert times == sorted(times)
    # No later than it was known: the boot began at 15 s.
    assert times[0] < times[-1] and "2026-01-01T00:00:05" < times[-1] <= "2026-01-01T00:00:16"


def test_what_only_the_cell_knows_was_no_later_than_the_boot_that_ended_it():
    # No date, and no event for a while before the cut: the end is told as of what was kept.
    steps = [step(1000, "plug", r_ohm=882), step(0, "link", up=False)]
    trace, station = simulate(3000, steps, settings(sample_interval_s=3600))
    assert station.sessions[0].start("X", "Local")
    board = station.board
    board._simulate(station, 50000000)
    board.cut_power(5000000)
    board.line.up = True
    board.scenario["until_ms"] = 80000
    board.run(station)
    (told,) = _gapless(trace).values()
    # The first boot has counted 50 s by then, and this one begins at 55 s.
    assert "2026-01-01T00:00:30" < told[-1]["timestamp"] <= "2026-01-01T00:00:56"


def test_each_outlet_has_its_own():
    steps = charging(
        step(1000, "plug", outlet=2),
        step(4000, "card", uid="X"),
        step(20000, "power", for_ms=2000),
    )
    trace, station = simulate(40000, steps, outlets=2)
    assert len(_gapless(trace)) == 1
    first, second = station.board.station.sessions
    assert second.register.mwh == 0 < first.register.mwh


def test_the_summary_of_a_session():
    trace, station = simulate(30000, charging(step(5000, "link", up=False), step(20000, "unplug")))
    (summary,) = _summaries(station)
    evse_id, tx, mwh, reason = summary
    assert (evse_id, reason) == (1, "EVDisconnected")
    assert abs(mwh - station.board.plant.energy_mwh()) <= 20
    started = trace.messages(event="Started")[0]
    assert started["transactionInfo"]["transactionId"].endswith("-t%d" % tx)
    assert events.SUMMARY == 2
