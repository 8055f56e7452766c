"""The ledger where something fails: no memory for a module, FRAM that is silent, a line that is
lost with a status on it, a date that is never known.
"""

from firmware.access import update
from firmware.ledger import session as _session
from tests.pile import CARD, charging, settings, simulate, step

_MAIN_MS = 20


def _ended(trace):
    return [
        event["transactionInfo"]["stoppedReason"] for event in trace.messages(event="Ended")
    ]


def _gapless(trace):
    """Each transaction has one Started, one Ended and every number between; how many there are."""
    found = trace.transactions()
    for told in found.values():
        kinds = [event["eventType"] for event in told]
        assert kinds == ["Started"] + ["Updated"] * (len(kinds) - 2) + ["Ended"], kinds
    return len(found)


class _NoMemory:
    """`firmware.ledger.bounds` cannot be imported, in a `with`."""

    def __enter__(self):
        self._bounds = _session._bounds
        _session._bounds = self._fails

    def __exit__(self, *_):
        _session._bounds = self._bounds

    @staticmethod
    def _fails():
        raise MemoryError()


def _go_on(station, until_ms):
    station.board._simulate(station, until_ms * 1000)


def test_what_cannot_begin_for_want_of_memory_takes_nothing():
    for start in ("EnergyTransfer", "PowerPathClosed"):
        steps = [step(1000, "card", uid=CARD), step(8000, "plug", r_ohm=882)]
        trace, station = simulate(7000, steps, settings(tx_start=start))
        board = station.board
        assert station.sessions[0].authorised
        with _NoMemory():
            _go_on(station, 30000)
        assert not board.plant.closed and station.errors == 1 and station.sessions[0].free
        # What had begun to flow was no more than the vehicle takes to obey.
        assert board.plant.energy_mwh() < 230 * 32 * 2 // 3.6
        board.reader.show(CARD)
        _go_on(station, 30500)
        board.reader.show(None)
        _go_on(station, 60000)
        assert board.plant.closed and station.sessions[0].tx
        board.plant.unplug()
        _go_on(station, 70000)
        assert _gapless(trace) == 1


def test_what_cannot_end_for_want_of_memory_ends_later():
    for stop in ("Authorized", "EVConnected", "PowerPathClosed", "EnergyTransfer"):
        for again_ms in (None, 200):
            trace, station = simulate(20000, charging(), settings(tx_stop=stop))
            board = station.board
            with _NoMemory():
                board.plant.unplug()
                if again_ms:
                    _go_on(station, 20000 + again_ms)
                    board.plant.plug()
                _go_on(station, 25000)
                assert station.sessions[0].tx and not board.plant.closed
                assert station.errors > 100
            _go_on(station, 30000)
            assert not station.sessions[0].tx, (stop, again_ms)
            board.plant.unplug()
            _go_on(station, 40000)
            assert _gapless(trace) == 1 and _ended(trace) == ["EVDisconnected"]


def _statuses(trace, after_ms=0):
    return [
        line["message"][3]["connectorStatus"]
        for line in trace.of("uplink")
        if line["message"][2] == "StatusNotification" and line["t_us"] >= after_ms * 1000
    ]


def test_after_a_reconnect_the_backend_knows_each_status():
    def told_ms(trace):
        return [
            line["t_us"] / 1000
            for line in trace.of("uplink")
            if line["message"][2] == "StatusNotification"
        ][-1]

    plug = step(5000, "plug")
    trace, _ = simulate(8000, [plug], outlets=2)
    assert _statuses(trace)[-1] == "Occupied"
    lost_ms = told_ms(trace) + 20  # it is on its way, and nobody has heard it
    link = [step(lost_ms, "link", up=False), step(30000, "link", up=True)]
    trace, _ = simulate(80000, [plug] + link, outlets=2)
    assert sorted(_statuses(trace, 30000)) == ["Available", "Occupied"]
    # What changed without a line is told as it is now, once.
    more = [step(20000, "unplug"), step(21000, "plug"), step(22000, "unplug")]
    trace, _ = simulate(80000, [plug] + link + more, outlets=2)
    assert _statuses(trace, 20000) == ["Available", "Available"]
    # Also when the broker went away with the line up.
    trace, _ = simulate(80000, [plug, step(20000, "refuse"), step(21000, "unplug")])
    assert _statuses(trace, 5000) == ["Occupied", "Available"]  # an error is no reason to repeat


def _silent(at_ms, for_ms):
    return [step(at_ms, "fram"), step(at_ms + for_ms, "fram", fault=False)]


def _register_mwh(trace):
    return [
        event["meterValue"][0]["sampledValue"][0]["value"] * 1000
        for event in trace.messages("TransactionEvent")
        if "meterValue" in event
    ]


def test_a_memory_that_is_silent_for_some_seconds_stops_nothing():
    steps = charging(*(_silent(20000, 5000) + _silent(40000, 5000)))
    trace, station = simulate(100000, steps + [step(80000, "unplug")])
    assert _gapless(trace) == 1 and _ended(trace) == ["EVDisconnected"]
    assert trace.ms("contactor", 10000, command=False) > 79000
    assert abs(_register_mwh(trace)[-1] - station.board.plant.energy_mwh()) <= 20


def test_what_cannot_be_kept_for_long_is_not_sold():
    for stop in ("EVConnected,Authorized", "EVConnected"):
        steps = charging(*_silent(20500, 50000)) + [step(85000, "unplug")]
        trace, station = simulate(100000, steps, settings(tx_stop=stop))
        # Kept every 10 s, then tried for 5; the vehicle obeys within one.
        assert 24000 < trace.ms("contactor", 10000, closed=False) < 38000
        assert "does not take" in trace.of("error")[0]["problem"]
        # Its end is told once it can be kept, with all that flowed.
        assert _gapless(trace) == 1 and _ended(trace) == ["Other"]
        assert abs(_register_mwh(trace)[-1] - station.board.plant.energy_mwh()) <= 20
        assert trace.ms("contactor", 40000, command=True) is None
        assert station.sessions[0].free


def test_nothing_begins_that_could_not_be_kept():
    for start in ("Authorized", "EVConnected", "PowerPathClosed", "EnergyTransfer"):
        steps = [step(1000, "fram"), step(2000, "card", uid=CARD), step(9000, "plug", r_ohm=882)]
        steps += [step(15000, "card", uid=CARD), step(50000, "fram", fault=False)]
        steps += [step(60000, "card", uid=CARD), step(80000, "unplug")]
        trace, _ = simulate(90000, steps, settings(tx_start=start, refusals=0))
        assert trace.of("access", decision="refused")
        assert 60000 < trace.ms("contactor", command=True) < 64000, start
        assert _gapless(trace) == 1


def test_with_a_memory_that_is_silent_at_boot_nothing_is_sold_until_it_answers():
    for mode, last in (("end", "Reboot"), ("resume", "EVDisconnected")):
        steps = charging(
            step(19900, "fram"),
            step(20000, "power", for_ms=1000),
            step(30000, "card", uid=CARD),
            step(60000, "fram", fault=False),
            step(120000, "unplug"),
            step(125000, "plug", r_ohm=882),
            step(127000, "card", uid=CARD),
            step(140000, "unplug"),
        )
        trace, station = simulate(150000, steps, settings(after_power_cut=mode))
        (said,) = [line["problem"] for line in trace.of("journal") if "problem" in line]
        assert "memory fails" in said and "nothing is sold" in said
        closed = trace.ms("contactor", 20500, command=True)
        assert closed > (80000 if mode == "resume" else 120000), closed
        (boot,) = trace.of("boot", reason="LocalReset")
        assert 80000000 < boot["t_us"] < 82000000
        # What was sold before the cut is told once, and is ended or gone on with.
        assert _gapless(trace) == 2 and _ended(trace) == [last, "EVDisconnected"]
        mwh = station.board.plant.energy_mwh()
        assert mwh - 22000 <= _register_mwh(trace)[-1] <= mwh + 20


def test_a_memory_that_keeps_nothing_sells_nothing_and_starts_nothing_anew():
    trace, station = simulate(1000, [])
    board = station.board
    board.memory.write = lambda at, data: None
    board._boot = lambda: None
    station = station.__class__(board, station.config)
    board.plant.plug(882)
    _go_on(station, 10000)
    assert not station.sessions[0].start("X", "Local")
    _go_on(station, 200000)
    assert not board._resetting and not board.plant.closed
    assert len(trace.of("journal")) == 1
    # explain() says so.
    assert "cannot be kept" in " ".join([line["text"] for line in station.explain(0)])


def test_what_flowed_unseen_is_not_told_of_the_next_driver():
    steps = charging(
        step(20500, "meter"),
        step(25000, "unplug"),
        step(30000, "plug", r_ohm=882),
        step(33000, "card", uid=CARD),
        step(40000, "meter", fault=False),
        step(60000, "unplug"),
        # The card is asked for again where the fault had ended the session.
        step(65000, "plug", r_ohm=882),
        step(67000, "card", uid=CARD),
        step(80000, "unplug"),
    )
    for start in ("EVConnected", "Authorized", "EnergyTransfer"):
        trace, _ = simulate(90000, steps, settings(tx_start=start), tick_ms=20)
        told = {}
        for event in trace.messages("TransactionEvent"):
            if "meterValue" in event:
                value = event["meterValue"][0]["sampledValue"][0]["value"]
                told.setdefault(event["transactionInfo"]["transactionId"], []).append(value)
        closed = [line["t_us"] for line in trace.of("contactor") if line["closed"]]
        opened = [line["t_us"] for line in trace.of("contactor") if not line["closed"]]
        assert _gapless(trace) == len(told) == 3 and len(closed) >= 3 and opened
        taken = [values[-1] - values[0] for values in sorted(told.values())]
        # 2.04 Wh a second from 3 to 20 s, from 40 to 60 and from 67 to 80.
        assert 30 < taken[0] < 37 and 34 < taken[1] < 41 and 22 < taken[2] < 28, taken


def _list(version):
    entry = {
        "idToken": {"idToken": "0A0B0C0D", "type": "ISO14443"},
        "idTokenInfo": {"status": "Accepted"},
    }
    payload = {"versionNumber": version, "updateType": "Full", "localAuthorizationList": [entry]}
    return [2, "list-%d" % version, "SendLocalList", payload]


def test_without_a_date_ever_a_pile_charges_and_commits():
    steps = [
        step(0, "date", text="soon"),
        step(1000, "plug", r_ohm=882),
        step(20000, "backend", message=_list(1)),
        step(30000, "unplug"),
        step(50000, "plug", r_ohm=882),
        step(60000, "backend", message=_list(2)),
        step(70000, "unplug"),
    ]
    config = settings(free_vend=1)
    trace, station = simulate(100000, steps, config)
    board = station.board
    assert not station.wall.is_set and "soon" in trace.of("backend")[0]["problem"]
    assert len(trace.of("contactor", closed=True, command=True)) == 2
    # Both lists are in their file, though the first session's summary has no date.
    assert station.staged.needs() == station.journal.next - 1
    assert update.current(station.cards) == 2 and not station.cards.waiting
    assert len(board.store.names("h")) == 1 and not trace.of("error")
    # Without anything behind it the summary waits for the date, and gets it.
    board.plant.plug(882)
    _go_on(station, 120000)
    board.plant.unplug()
    _go_on(station, 140000)
    assert station.staged.needs() < station.journal.next
    board.line.date = None
    _go_on(station, 180000)
    assert station.wall.is_set and station.staged.needs() == station.journal.next
    assert _gapless(trace) == 3
