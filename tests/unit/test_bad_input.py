"""A whole pile that finds its journal, its flash or its date other than it left them: it keeps
what is intact, says what is lost, and charges.
"""

from firmware.ledger import history
from firmware.ledger.journal import Journal
from hal.virtual import scenario
from hal.virtual.random import Random
from tests.pile import CARD, charging, settings, simulate, step


def _session(at_ms):
    """The steps of one, 20 s long."""
    return [
        step(at_ms, "plug", r_ohm=882),
        step(at_ms + 2000, "card", uid=CARD),
        step(at_ms + 20000, "unplug"),
    ]


def _cut_and_go_on(station, until_ms, *steps):
    """The power is gone for a second; then the scenario goes on with `steps`."""
    board = station.board
    board.scenario["until_ms"] = until_ms
    board.cut_power(1000000)
    now_ms = board.plant.now_us // 1000
    for one in steps:
        board.plant.at((now_ms + one["at_ms"]) * 1000, scenario._do, (board, board.places[0], one))
    board.run(station)
    return board.station


def _charged(trace, after_ms):
    """Whether a session has begun after that, and ended as it should."""
    told = [
        events
        for events in trace.transactions().values()
        if events[0]["timestamp"] > "2026-01-01T00:%02d:%02d" % divmod(after_ms // 1000, 60)
    ]
    assert told and told[-1][0]["eventType"] == "Started", told
    return told[-1][-1]["transactionInfo"].get("stoppedReason") == "EVDisconnected"


def _problems(trace, after_ms):
    return [
        line["problem"]
        for line in trace.of("journal") + trace.of("error")
        if "problem" in line and line["t_us"] > after_ms * 1000
    ]


def test_a_journal_with_damaged_regions():
    for seed in range(4):
        # The line is gone, so that the journal has all of a session, when it is damaged.
        steps = [step(8000, "link", up=False)] + _session(5000)
        trace, station = simulate(40000, steps, tick_ms=20)
        random = Random(seed)
        journal = station.journal
        number = journal.first + 1 + random.below(journal.next - journal.first - 1)
        kept = [n for n in range(journal.first, journal.next) if n != number]
        memory = station.board.memory.chip.memory
        at = journal.at + journal.place(number)
        for i in range(4 + random.below(8)):
            memory[at + i] = random.below(256)
        link = step(2000, "link", up=True)
        station = _cut_and_go_on(station, 100000, link, *_session(10000))
        assert _charged(trace, 45000)
        (said,) = trace.of("journal", lost=1)
        assert said["damaged"] == [number]
        ids = {line["message"][1] for line in trace.of("uplink") if line["message"][0] == 2}
        for n in kept:
            record = station.journal.read(n)
            assert record or "%s-%d" % (journal.id, n) in ids or n < station.journal.first, n


def test_an_end_that_cannot_be_kept_at_a_boot_is_kept_later():
    append = Journal.append
    for config, kind in (({}, 1), ({}, 2), ({"receipts": 1}, 1)):
        trace, station = simulate(20000, charging(), settings(**config))
        refused = []

        def full(journal, data, kind=kind, refused=refused, trace=trace):
            # No end, nor a summary of one, until 30 s have passed.
            if data[0] == kind and (kind == 2 or data[1] & 3 == 2):
                if journal.memory._board.plant.now_us < 30000000:
                    refused.append(data)
                    raise OSError(28)
            return append(journal, data)

        Journal.append = full
        try:
            # The next one is in a hurry.
            steps = [step(2000, "unplug"), step(3000, "plug", r_ohm=882)]
            steps += [step(at_ms, "card", uid=CARD) for at_ms in (4000, 15000)]
            station = _cut_and_go_on(station, 80000, *steps, step(40000, "unplug"))
        finally:
            Journal.append = append
        assert refused and station.sessions[0].free
        first, second = trace.transactions().values()
        assert [told[0]["eventType"] for told in (first, second)] == ["Started"] * 2
        for told, why in ((first, "PowerLoss"), (second, "EVDisconnected")):
            assert told[-1]["transactionInfo"]["stoppedReason"] == why
            assert len([event for event in told if event["eventType"] == "Ended"]) == 1
        assert not _problems(trace, 0)
        filed = [found["reason"] for found in history.sessions(station.board.store, print)]
        assert filed == ["PowerLoss", "EVDisconnected"]


def test_flash_full_of_what_others_wrote():
    trace, station = simulate(40000, _session(5000), settings(receipts=1), tick_ms=20)
    board = station.board
    names = board.store.names("")
    assert "h1" in names and "token.key" in names
    random = Random(5)
    for name in names + ["j1-s0b1", "h33", "config.1", "blackbox0", "wear", "service"]:
        size = random.below(300)
        board.store._kept[name] = bytes([random.below(256) for _ in range(size)])
    _cut_and_go_on(station, 100000, *_session(10000))
    assert _charged(trace, 45000)
    said = []
    found = list(history.sessions(board.store, said.append))
    assert len(found) == 1 and "damaged" in said[0]


def test_a_full_flash_from_the_first_day_on():
    steps = [step(0, "flash")] + _session(5000) + _session(40000)
    trace, station = simulate(80000, steps, settings(receipts=1), tick_ms=20)
    assert len(trace.transactions()) == 2 and _charged(trace, 40000)
    assert "28" in " ".join(_problems(trace, 0))
    # Once there is room what waits is written, but for what was told as lost.
    board = station.board
    board.store.fails = 0
    _cut_and_go_on(station, 140000, *_session(10000))
    assert _charged(trace, 85000) and len(trace.transactions()) == 3
    assert board.store.names("h") == ["h1"]


def test_a_date_that_jumps_in_the_middle_of_a_session():
    # By years, to the ends of what a record can hold, and back by hours; heartbeats bring it.
    for jump_s in (-3 * 3600, 10 * 365 * 86400, 100 * 365 * 86400):
        steps = charging(
            step(400000, "clock", jump_s=jump_s),
            step(1000000, "clock", jump_s=-3 * 3600),
            step(1300000, "unplug"),
        ) + _session(1310000)
        config = settings(sample_interval_s=100, aligned_interval_s=900)
        trace, station = simulate(1450000, steps, config, tick_ms=100)
        found = list(trace.transactions().values())
        assert [told[-1]["transactionInfo"].get("stoppedReason") for told in found] == [
            "EVDisconnected",
            "EVDisconnected",
        ]
        triggers = [event["triggerReason"] for event in found[0]]
        # What is sampled goes by the uptime; few values more come of a clock that jumps.
        assert triggers.count("MeterValuePeriodic") == 12, triggers
        assert triggers.count("MeterValueClock") <= 5, triggers
        assert not trace.of("error") and not trace.of("fault")
        told = list(history.sessions(station.board.store, print))
        assert len(told) == 2 and told[1]["seconds"] in range(15, 25)
        mwh = station.board.plant.energy_mwh()
        assert abs(told[1]["end_mwh"] - mwh) <= 20


def test_a_date_that_is_garbage_changes_nothing():
    for text in ("", "0000-00-00T00:00:00Z", 7, {"a": 1}):
        steps = charging(step(2500, "date", text=text), step(320000, "unplug"))
        trace, station = simulate(420000, steps, tick_ms=100)
        assert len(trace.transactions()) == 1 and not trace.of("error")
        words = "expected a date-time" if isinstance(text, str) else "expected a text"
        assert words in trace.of("backend")[0]["problem"]
        (told,) = history.sessions(station.board.store, print)
        assert 315 <= told["seconds"] <= 320
