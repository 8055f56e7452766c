"""The black box: what it keeps, for how long, and what it is not asked to keep."""

import struct

from firmware.safety import blackbox, playback
from firmware.safety.core import DRIVE, FORCED, STANDING
from firmware.safety.faults import RESIDUAL
from tests.pile import CARD, charging, simulate, step


def _trip(at_ms, do="door", **fields):
    """A fault that clears by itself, 3 s long."""
    return [step(at_ms, do, **fields), step(at_ms + 3000, do, fault=False)]


def test_every_opening_that_nobody_asked_for_is_kept():
    for profile in ("rp2040", "esp32"):
        for do, fields, code in (
            ("rcd", {}, "GroundFailure"),
            ("estop", {}, "EmergencyStop"),
            ("cp_short", {}, "PilotFault"),
            ("diode", {"ok": False}, "DiodeFault"),
            ("adc_freeze", {}, "PilotSamplesStale"),
            ("pe", {}, "ProtectiveEarthLost"),
            ("stall", {"for_ms": 200}, "TickLate"),
        ):
            trace, station = simulate(9500, charging(step(7000, do, **fields)), profile=profile)
            assert not trace.of("error"), trace.of("error")
            (record,) = station.blackbox()
            assert code in record["faults"] and not record["forced"], (do, record["faults"])
            assert (record["number"], record["outlet"]) == (1, 1)
            ms = record["ms"]
            assert ms[0] <= -2000 and ms[-1] >= 1000 and ms == sorted(ms), (do, ms)
            at = ms.index(0)
            assert record["drive"][:at] == [True] * at and not any(record["drive"][at:])
            assert record["state"][at - 3] == "C2" and record["permille"][at - 3] == 533
            assert record["level_mv"][0] // 100 in (59, 60)
            assert record["current_ma"][0] == 31980 and record["current_ma"][-1] == 0
            assert record["mirror"][0] and not record["mirror"][-1]
            assert record["inputs"][0] == 24
            opened = int(trace.ms("contactor", 7000, command=False) * 1000)  # not the metal
            (write,) = _records(trace)
            assert not write["closed"] and 1000000 <= write["t_us"] - opened < 1200000
            # The date at boot was midnight.
            assert record["uptime_s"] == opened // 1000000
            assert record["time"].startswith("2026-01-01T00:00:0")


def test_a_forced_opening_is_kept():
    trace, station = simulate(
        16000, charging(step(5000, "draw", obey=False), step(7000, "card", uid=CARD))
    )
    (record,) = station.blackbox()
    assert record["forced"] and record["faults"] == []
    at = record["ms"].index(0)
    assert record["permille"][at - 1] == 1000 and record["current_ma"][at - 1] > 6000
    assert station.cores[0].cells[FORCED] == 1


def _records(trace):
    return [line for line in trace.of("write", medium="flash") if line["bytes"] > 1000]


def test_an_opening_that_was_asked_for_is_not():
    for steps in (
        [step(7000, "pause")],
        [step(7000, "unplug")],
        [step(7000, "vent")],
        [step(7000, "card", uid=CARD)],
    ):
        trace, station = simulate(11000, charging(*steps))
        assert trace.of("contactor", command=False, closed=True)
        assert station.blackbox() == [] and not _records(trace)


def test_the_last_eight_survive_a_reboot():
    steps = charging()
    for k in range(9):
        steps += _trip(10000 + k * 40000)
    steps += [
        step(385000, "power", for_ms=1000),
        step(390000, "card", uid=CARD),
        step(391000, "ready"),
    ]
    steps += _trip(400000)
    trace, station = simulate(405000, steps)
    records = station.blackbox()
    assert [record["number"] for record in records] == list(range(3, 11))
    assert [record["faults"] for record in records] == [["EnclosureOpen"]] * 8
    assert not any(line["closed"] for line in trace.of("write"))
    assert len(_records(trace)) == 10
    # Since the second boot.
    assert records[-1]["uptime_s"] < 20 < records[-2]["uptime_s"]


def test_a_short_record_says_nothing_of_before_the_boot():
    box = blackbox.BlackBox([0] * 50)
    store = {}
    records = blackbox.Records([box], _Store(store), _Wall())
    cells = box._cells
    box.note(5)
    cells[DRIVE] = 1
    box.note(7)
    cells[DRIVE], cells[STANDING] = 0, RESIDUAL
    for now_ms in range(9, 2000, 2):
        box.note(now_ms)
    records.tick(2000)
    (record,) = playback.read_all(records)
    assert record["faults"] == ["GroundFailure"] and record["time"] is None
    assert record["ms"][:3] == [-2, 0, 10] and record["ms"][-1] == 1000
    assert len(record["drive"]) == 102


def test_torn_and_foreign_records_are_ignored():
    _, station = simulate(9000, charging(step(7000, "rcd")))
    store = station.board.store
    (name,) = store.names("blackbox")
    good = store.load(name)
    assert blackbox.number(good) == 1
    for bad in (
        None,
        b"",
        b"VPB1",
        good[:-1],
        good + b"\0",
        good[:1000] + bytes(1460),
        b"\0" + good[1:],
        good[:4] + struct.pack("<I", 7) + good[8:],
        bytes([0xFF]) * len(good),
    ):
        assert blackbox.number(bad) == 0
        if bad is not None:
            store.save(name, bad)
            assert station.blackbox() == []
    store.save(name, good)
    assert len(station.blackbox()) == 1


def test_nothing_is_written_while_another_outlet_is_closed():
    steps = [
        step(500, "plug", outlet=1),
        step(600, "plug", outlet=2),
        step(1000, "card", uid=CARD),
        step(1500, "ready", outlet=1),
        step(1500, "ready", outlet=2),
    ]
    start = [
        2,
        "r1",
        "RequestStartTransaction",
        {"idToken": {"idToken": "X", "type": "Central"}, "remoteStartId": 1, "evseId": 2},
    ]
    steps += [step(8000, "backend", message=start), step(12000, "rcd", outlet=1)]
    trace, station = simulate(20000, steps, outlets=2)
    assert station.cores[1].cells[DRIVE] == 1
    assert not _records(trace) and not trace.of("write", medium="flash", closed=True)
    (record,) = station.blackbox()
    assert record["outlet"] == 1 and record["faults"] == ["GroundFailure"]
    trace, station = simulate(25000, steps + [step(20000, "pause", outlet=2)], outlets=2)
    (write,) = _records(trace)
    assert not write["closed"] and write["t_us"] > 20000000
    assert len(station.blackbox()) == 1


class _Store:
    def __init__(self, kept):
        self.save = kept.__setitem__
        self.load = kept.get


class _Wall:
    uptime_ms = 2000
    is_set = False
