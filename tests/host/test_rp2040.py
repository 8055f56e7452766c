"""hal/mcu/rp2040.py on a model of the chip: the sampling's instants, and the pitfalls met."""

import asyncio
import gc
import json
import pathlib
import weakref
from array import array

import pytest

from tests.host.fake_rp2040 import FCS, Chip, load

ROOT = pathlib.Path(__file__).resolve().parents[2]
HIGH, LOW = 3000, 410  # counts: 6972 and -11998 mV
SPEC = {
    "mcu": "rp2040",
    "deadman": {"release_ms": 30},
    "outlets": [
        {
            "max_ma": 32000,
            "pilot": {"pwm": 2, "adc": 26, "zero_mv": -15000, "full_mv": 15000},
            "contactor": {"drive": 10, "hold": 11, "mirror": 12, "shunt": 13},
            "inputs": {"rcd": 14, "estop": 15, "live": 16, "test": 17, "active_low": ["live"]},
        },
        {
            "max_ma": 16000,
            "pilot": {"pwm": 5, "adc": 28, "zero_mv": 16000, "full_mv": -14000},
            "contactor": {"drive": 20, "hold": 21},
        },
    ],
}
ONE = {**SPEC, "outlets": SPEC["outlets"][:1]}
MV = (lambda count: -15000 + (count * 30000 >> 12), lambda count: 16000 + (count * -30000 >> 12))


class Pile:
    """A board on a chip; `ticks` counts the station's ticks."""

    def __init__(self, spec=SPEC):
        self.chip = Chip()
        self.chip.pilots = {0: 2, 2: 5}
        self.chip.plateau = lambda channel, high: HIGH + channel if high else LOW + channel
        self.module = load(self.chip)
        self.board = self.module.make(spec, "board.json")
        self.pilots = [outlet.pilot for outlet in self.board.outlets]
        self.windows = [array("i", [0] * 8) for _ in self.pilots]
        self.ticks = []

    def sample(self):
        for pilot, window in zip(self.pilots, self.windows, strict=True):
            pilot.sample(window)
        return [list(window) for window in self.windows]

    def counts(self):
        return [count for window in self.sample() for count in window[:2]]

    def timer(self):
        """What the hard timer calls."""
        return self.chip.timers[-1]["callback"](None)


# --- The sampling ---


@pytest.mark.parametrize("permille", [50, 100, 533, 800, 960])
def test_samples_are_taken_30_us_after_the_rise_and_10_us_before_the_next(permille):
    pile = Pile()
    for pilot in pile.pilots:
        pilot.set_permille(permille)
    pile.chip.run(50000)
    for channel, later_us in ((0, 0), (2, 2)):  # the second outlet's: one conversion later
        instants = [us for at, us in pile.chip.instants if at == channel]
        assert len(instants) == 100
        assert all(abs(us - later_us - 30) < 0.5 for us in instants[::2])
        assert all(abs(us - later_us - 990) < 0.5 for us in instants[1::2])


@pytest.mark.parametrize("permille", [50, 533, 960])
def test_windows_have_both_plateaus_of_both_outlets_in_mv(permille):
    pile = Pile()
    for pilot in pile.pilots:
        pilot.set_permille(permille)
    pile.chip.run(10000)
    first, second = pile.sample()
    assert first[2:5] == [MV[0](HIGH)] * 3 and first[5:] == [MV[0](LOW)] * 3
    assert second[2:5] == [MV[1](HIGH + 2)] * 3 and second[5:] == [MV[1](LOW + 2)] * 3
    assert abs(first[2] - 6972) < 10 and abs(first[5] + 11998) < 10


def test_a_steady_pilot_reads_one_level():
    for permille, count in ((1000, HIGH), (0, LOW)):
        pile = Pile()
        pile.pilots[0].set_permille(permille)
        pile.chip.run(10000)
        assert pile.sample()[0][2:] == [MV[0](count)] * 6


def test_newest_first():
    pile = Pile()
    counts = iter(range(1000, 2000))
    pile.chip.plateau = lambda channel, high: next(counts) if channel == 0 else 0
    pile.chip.run(20500)  # 21 highs, 20 lows, alternating, around the ring and on
    window = pile.sample()[0]
    assert window[2:5] == [MV[0](1000 + n) for n in (40, 38, 36)]
    assert window[5:] == [MV[0](1000 + n) for n in (39, 37, 35)]


def test_counts_grow_by_what_was_taken_and_stay_within_30_bits():
    pile = Pile()
    pile.chip.run(500)
    first = pile.counts()
    for cells in (pilot._r for pilot in pile.pilots):
        cells[pile.module.rp2040_tick._TAKEN] += (1 << 30) - 21
    seen = []
    for _ in range(20):
        pile.chip.run(2000)
        seen.append(pile.counts()[0])
    assert first == [1, 0, 1, 0]
    assert seen == [((1 << 30) - 20 + 2 * n) % (1 << 30) for n in range(1, 21)]


def test_counts_stand_still_with_the_chip():
    pile = Pile()
    pile.chip.run(5000)
    before = pile.counts()
    assert pile.counts() == before
    pile.chip.active = None  # the chain broke
    pile.chip.run(5000)
    assert pile.counts() == before


def test_duty_changes_one_half_of_the_register_only():
    pile = Pile()
    read = pile.chip.registers
    first, second = 0x40050000 + 0x14 + 0xC, 0x40050000 + 2 * 0x14 + 0xC
    read[first] |= 123 << 16
    read[second] |= 456
    for permille in (0, 100, 533, 1000):
        for pilot in pile.pilots:
            pilot.set_permille(permille)
        assert read[first] == 123 << 16 | 64516 * permille // 1000
        assert read[second] == 456 | 64516 * permille // 1000 << 16


# --- Pitfall 1: somebody else reads the converter ---


def test_a_foreign_reading_stops_the_counts():
    pile = Pile(ONE)
    for pilot in pile.pilots:
        pilot.set_permille(533)
    pile.chip.run(10100)
    pile.sample()
    pile.chip.foreign_read()
    before = pile.counts()
    for _ in range(10):
        pile.chip.run(2000)
        assert pile.counts() == before
    assert pile.sample()[0][2] == MV[0](LOW)  # the rings do go on, highs and lows swapped


@pytest.mark.parametrize("queues", [False, True])
def test_a_foreign_reading_stops_the_counts_of_two_outlets_or_heals(queues):
    # The second outlet's start comes while the first's conversion is under way. Where such a
    # start is forgotten, the surplus is used up by it.
    pile = Pile()
    pile.chip.queues = queues
    for pilot in pile.pilots:
        pilot.set_permille(533)
    pile.chip.run(10100)
    pile.chip.foreign_read()
    before = pile.counts()
    pile.chip.run(6000)
    first, second = pile.sample()
    if queues:
        assert [*first[:2], *second[:2]] == before
    else:
        assert first[2:] == [MV[0](HIGH)] * 3 + [MV[0](LOW)] * 3
        assert second[2:] == [MV[1](HIGH + 2)] * 3 + [MV[1](LOW + 2)] * 3


def test_a_conversion_under_way_does_not_stop_them():
    # The tick's work takes longer than a conversion: what it met at first is over at the end.
    pile = Pile()
    pile.chip.run(10000)
    before = pile.counts()
    pile.chip.run(1030.5)
    read = pile.chip.read
    busy = []

    def slowly(address, size=4):
        if 0x20000000 <= address < 0x20040000 and not busy:
            assert pile.chip.converting
            busy.append(address)
            pile.chip.run(5)
        return read(address, size)

    pile.chip.read = slowly
    assert busy == [] and pile.counts() != before and busy


def test_conversions_that_follow_one_another_do_not_stop_them():
    # Two outlets and another input convert for 6 us: longer than the tick's work takes.
    pile = Pile()
    pile.module.also(pile.board._circle, 27)
    pile.chip.run(10000)
    before = pile.counts()
    pile.chip.run(1990.2 - 1000)
    read = pile.chip.read
    looks = []

    def in_time(address, size=4):
        if address == FCS:
            looks.append(bool(pile.chip.converting))
            pile.chip.run(0.2)
        return read(address, size)

    pile.chip.read = in_time
    after = pile.counts()
    assert looks[0] and looks[1] and not looks[-1] and 4 < len(looks) < 64
    assert after != before and after[0] > before[0]


def test_the_sampler_is_started_anew_when_it_stood_still():
    pile = Pile(ONE)
    for pilot in pile.pilots:
        pilot.set_permille(533)
    for _ in range(3):
        pile.chip.run(100000)
        pile.sample()
        assert pile.board.check()
    pile.chip.run(100)
    pile.chip.foreign_read()
    pile.chip.run(500000)
    before = pile.counts()
    assert pile.board.check() and pile.counts() == before
    pile.chip.run(10000)
    after = pile.sample()
    assert after[0][0] > before[0]
    assert after[0][2:5] == [MV[0](HIGH)] * 3 and after[0][5:] == [MV[0](LOW)] * 3
    pile.chip.instants.clear()
    pile.chip.run(10000)
    instants = [us for at, us in pile.chip.instants if at == 0]
    assert {round(us) for us in instants} == {30, 990} and len(instants) == 20


# --- Pitfalls 2, 4 and 5: the hard timer ---


def test_the_timer_is_hard_and_at_2_ms():
    pile = Pile()
    feed = pile.board.start(pile.ticks.append)
    how = pile.chip.timers[0]
    assert how["hard"] is True and how["period"] == 2 and how["mode"] == 1
    feed()
    assert pile.chip.watchdog == 1


@pytest.mark.parametrize("boot_us", [2000, (1 << 30) - 3000, (1 << 31) - 3000, (1 << 32) - 3000])
def test_a_burst_of_missed_ticks_counts_once(boot_us):
    pile = Pile()
    pile.board.start(pile.ticks.append)
    pile.chip.timer_us = boot_us
    for n in range(1, 11):
        pile.chip.timer_us += 2000
        pile.timer()
        assert len(pile.ticks) == n
    pile.chip.timer_us += 45000  # a flash erase; then 22 callbacks back to back
    for _ in range(22):
        pile.timer()
        pile.chip.timer_us += 40
    assert len(pile.ticks) == 11
    pile.chip.timer_us += 1200
    pile.timer()
    assert len(pile.ticks) == 12


def test_an_exception_opens_and_the_timer_goes_on():
    class Odd(BaseException):
        pass

    for error in (MemoryError(), Odd()):
        pile = Pile()
        drives = [outlet.contactor.drive for outlet in pile.board.outlets]

        def tick(now_ms, pile=pile, error=error):
            pile.ticks.append(now_ms)
            if len(pile.ticks) == 2:
                raise error

        pile.board.start(tick)
        for drive in drives:
            drive(True)
        for _ in range(3):
            assert pile.board.check() == (len(pile.ticks) < 2)
            pile.chip.timer_us += 2000
            pile.timer()
        assert len(pile.ticks) == 3
        assert [drive() for drive in drives] == [0, 0]
        assert not pile.board.check()  # nobody feeds the watchdog any more


def test_what_the_hardware_needs_is_never_collected():
    pile = Pile()
    pile.board.start(pile.ticks.append)
    kept = [
        weakref.ref(pile.board._circle),
        weakref.ref(pile.board),
        *[weakref.ref(channel) for channel in pile.chip.channels.values()],
        *[weakref.ref(timer) for timer in pile.module.rp2040_tick._kept],
    ]
    pile.board = pile.pilots = None
    pile.chip.channels = dict.fromkeys(pile.chip.channels)  # the chip holds nothing
    gc.collect()
    assert all(reference() for reference in kept) and len(kept) == 2 + 8 + 2


# --- Pitfall 7: outputs first ---


def test_outputs_are_low_before_anything_else():
    pile = Pile()
    first = [("pin", number, "out", 0) for number in (10, 20, 11, 21, 13, 17)]
    assert pile.chip.log[:6] == first
    assert all(pile.chip.pins[number] == 0 for number in (10, 11, 13, 17, 20, 21))
    chip = Chip()
    load(chip).make_safe(SPEC)
    assert chip.log == first  # and nothing more


def test_a_pin_that_is_not_described_does_not_keep_the_others_from_being_safe():
    chip = Chip()
    load(chip).make_safe(
        {"outlets": [{}, {"contactor": {"hold": 3}}, {"contactor": {"drive": 2}}]}
    )
    assert [entry[1] for entry in chip.log] == [2, 3]


def test_nothing_soft_resets():
    for room in ("firmware", "hal"):
        for path in (ROOT / room).rglob("*.py"):
            assert "soft_reset(" not in path.read_text(), path


# --- Pitfall 8: the feed ---


def test_a_feed_is_written_only_when_the_fifo_is_empty_and_never_put():
    pile = Pile()
    assert not hasattr(pile.board.outlets[0].contactor._machine, "put")
    for i, outlet in enumerate(pile.board.outlets):
        for full in range(16):
            pile.chip.registers[0x50200004] = (~full & 0xF) << 24 | 0x0F000F
            pile.chip.fed.clear()
            outlet.contactor.feed()
            assert pile.chip.fed == ([] if full >> i & 1 else [(i, 20)])


def test_without_a_hold_a_feed_does_nothing():
    chip = Chip()
    chip.registers[0x50200004] = 0xFFFFFFFF
    load(chip).make_contactor({"drive": 3}, 0, 20).feed()
    assert chip.fed == []


def test_a_hold_that_outlasts_its_window_is_refused_by_name():
    for deadman, field in (
        ({"release_ms": 40}, "deadman.window_ms"),
        ({"release_ms": 20, "window_ms": 40}, "deadman.window_ms"),
        ({"release_ms": 1, "pulses": 32}, "deadman.pulses"),
        ({"release_ms": 1, "pulses": 0}, "deadman.pulses"),
    ):
        with pytest.raises(ValueError, match="board.json: " + field):
            load(Chip()).make({**SPEC, "deadman": deadman}, "board.json")


# --- The rest of the board ---


def test_inputs():
    pile = Pile()
    first, second = (outlet.inputs for outlet in pile.board.outlets)
    pins = pile.chip.pins
    pins.update({14: 0, 15: 0, 16: 1, 12: 0})
    assert first.read() == 0
    for pin, bit in ((14, 1), (15, 2), (12, 16)):
        pins[pin] = 1
        assert first.read() == bit
        pins[pin] = 0
    pins[16] = 0  # active low
    assert first.read() == 8
    assert second.read() == 0
    pile.board.outlets[1].contactor.drive(True)
    assert second.read() == 16  # no mirror: as the drive pin says
    assert first.tests_residual and not second.tests_residual
    first.test_residual(True)
    assert pins[17] == 1


def test_contactor():
    pile = Pile()
    first, second = (outlet.contactor for outlet in pile.board.outlets)
    pile.chip.pins[12] = 1
    assert first.closed() and not second.closed()
    second.drive(1)
    assert second.closed() and pile.chip.pins[20] == 1 and pile.chip.pins[10] == 0
    first.shunt_trip()
    second.shunt_trip()
    assert pile.chip.pins[13] == 1


def test_run_feeds_while_the_counters_move_and_opens_at_the_end():
    pile = Pile()

    class Station:
        counters = (0, 0)
        safety_tick = pile.ticks.append

        def heartbeats(self):
            return list(self.counters)

        async def main(self):
            pile.board.outlets[0].contactor.drive(True)
            await asyncio.sleep_ms(1)
            raise RuntimeError("the end")

    with pytest.raises(RuntimeError, match="the end"):
        pile.board.run(Station())
    assert pile.chip.watchdog == 1 and pile.chip.pins[10] == 0
    assert not pile.module.rp2040_tick._kept[-1].running


def test_a_board_file_names_its_controller(tmp_path, monkeypatch):
    import hal

    chip = Chip()
    module = load(chip)
    monkeypatch.setattr("sys.modules", {**__import__("sys").modules, "hal.mcu.rp2040": module})
    monkeypatch.setattr("hal.mcu.rp2040", module, raising=False)
    path = tmp_path / "board.json"
    path.write_text(json.dumps(SPEC))
    hal.boot(str(path))
    assert [entry[1] for entry in chip.log] == [10, 20, 11, 21, 13, 17]
    path.write_text('{"mcu": "z80"}')
    with pytest.raises(ValueError, match='mcu: expected "rp2040"'):
        hal.load(str(path))
