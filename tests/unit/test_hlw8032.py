"""HLW8032: published frames, cycles that do not end, energy over wraps and resets, bad lines."""

import json
from array import array

from hal.chips import hlw8032
from hal.virtual.chips import hlw8032 as emulation
from tests import chips
from tests.support import raises

# 61.8 A at 0.5 mOhm
SPEC = {"chip": "hlw8032", "uart": 1, "rx": 5, "shunt_uohm": 500}
MOST = [0, 0, 0, 0, 930600, 0, 0, 61870, 0, 0, 57576222]


def _spec(**fields):
    return dict(SPEC, **fields)


def _bench(wrap=None, **fields):
    return chips.MeterBench(hlw8032, emulation, _spec(**fields), 1, wrap)


class Spoken:
    """A line with `frames`, one every 120 ms, in pieces as a tick finds them."""

    def __init__(self, frames):
        self._pieces = []
        for frame in frames:
            self._pieces += [frame[:9], frame[9:18], frame[18:], b"", b"", b""]

    def any(self):
        if self._pieces and not self._pieces[0]:
            self._pieces.pop(0)
            return 0
        return len(self._pieces[0]) if self._pieces else 0

    def readinto(self, into):
        piece = self._pieces.pop(0)
        into[: len(piece)] = piece
        return len(piece)


def _frame(head, volt, current, power, ready, count):
    out = bytearray((head, 0x5A))
    for value in volt + current + power:
        out += bytes((value >> 16, value >> 8 & 0xFF, value & 0xFF))
    out += bytes((ready, count >> 8, count & 0xFF))
    out.append(sum(out[2:]) & 0xFF)
    return bytes(out)


def _read(frames, **fields):
    driver = hlw8032.make(chips.Buses(Spoken(frames)), _spec(**fields))
    for now_ms in range(0, 120 * len(frames), 20):
        driver.tick(now_ms)
    reading = array("i", [0] * 11)
    driver.read(reading)
    return list(reading)


VOLT, CURRENT, POWER = (192200, 836), (16230, 1623), (5317000, 2312)
# a CSE7766's wiring: volts, amperes and watts are the plain quotients
PLAIN = {"shunt_uohm": 1000, "divider_ohm": [1000000, 1000]}


def test_the_formulas_of_the_facts():
    frames = [_frame(0x55, VOLT, CURRENT, POWER, 0x71, count) for count in (10, 11, 13)]
    reading = _read(frames, **PLAIN)
    assert reading[4] == 192200000 // 836 and reading[7] == 10000
    assert reading[10] == 5317000000 // 2312
    # CF x coefficient / 1e6 / 3600 Wh; the first frame teaches the coefficients, the second counts
    assert reading[:2] == [0, 2 * 5317000 // 3600000]
    # 4 x 470 kOhm : 1 kOhm, half a milliohm
    reading = _read(frames)
    assert reading[4] == 192200000 * 188 // 83600 and reading[7] == 20000


def test_a_published_frame_without_mains():
    text = "FA5A02EEC8FEFF01003F66000000512188FADB2901000054"
    frame = bytes([int(text[i : i + 2], 16) for i in range(0, 48, 2)])
    emulated = _bench()
    emulated.plant.mv[0] = emulated.plant.ma[0] = 0
    # but for the power's cycle, which was still on its way to its end
    assert emulated.chip.frame()[:17] == frame[:17]
    # a voltage beyond its range is no reading
    assert _read([frame] * 5)[2] == 1 << 29


def test_frames_that_say_nothing():
    good = _frame(0x55, VOLT, CURRENT, POWER, 0x71, 7)
    for frame in (
        _frame(0xAA, VOLT, CURRENT, POWER, 0x71, 7),  # not calibrated
        _frame(0xF8, VOLT, CURRENT, POWER, 0x71, 7),  # voltage
        _frame(0xF4, VOLT, CURRENT, POWER, 0x71, 7),  # current
        _frame(0xF1, VOLT, CURRENT, POWER, 0x71, 7),  # coefficients
        _frame(0x55, VOLT, CURRENT, POWER, 0x31, 7),  # the voltage's cycle is not complete
        _frame(0x55, (192200, 50), CURRENT, POWER, 0x71, 7),  # 3844 V
        _frame(0x55, VOLT, (16230, 200), POWER, 0x71, 7),  # 81 A
        good[:23] + b"\x00",
        good[:23],
        b"\x55" + good[:1] + good[2:],
    ):
        assert _read([frame] * 5, **PLAIN) == [0, 0, 1 << 29] + [0] * 8
    assert _read([good] * 5, **PLAIN)[2] < 1000
    # one frame alone does not: its coefficients could be wrong under a right checksum
    assert _read([good], **PLAIN)[2] == 1 << 29


def test_no_load_is_a_reading():
    none = _frame(0xF2, VOLT, (16230, 0), (5317000, 0xFEFF01), 0x41, 7)
    assert _read([none] * 3, **PLAIN)[3:] == [0, 229904, 0, 0, 0, 0, 0, 0]
    # from a load to none: what the old cycles say no longer holds
    loaded = _frame(0x55, VOLT, CURRENT, POWER, 0x71, 7)
    none = _frame(0xF2, VOLT, CURRENT, POWER, 0x41, 7)
    reading = _read([loaded] * 3 + [none], **PLAIN)
    assert reading[7] == 0 and reading[10] == 0
    # a cycle that goes on bounds the current from above
    longer = _frame(0x55, VOLT, (16230, 100000), (5317000, 400000), 0x41, 7)
    reading = _read([loaded] * 3 + [longer], **PLAIN)
    assert reading[7] == 162 and reading[10] == 13292


def test_frames_are_found_again_behind_noise():
    good = _frame(0x55, VOLT, CURRENT, POWER, 0x71, 7)
    for noise in (b"\x55", b"\xf2\x5a", good[:11], b"\x00" * 30, b"\x55\x5a\x55\x5a"):
        assert _read([noise, good, good, good], **PLAIN)[2] <= 240


def test_nonsense_in_the_board_file_is_named():
    for fields in (
        {"shunt_uohm": 0},
        {"divider_ohm": [1000, 1880000]},
        {"calibration": {"voltage": 600000}},
        {"calibration": {"current": []}},
    ):
        error = raises(ValueError, hlw8032.make, chips.Buses(None), _spec(**fields))
        assert sorted(fields)[0] in str(error) and "expected" in str(error)
    raises(ValueError, hlw8032.make, chips.Buses(None), SPEC, 3)


def test_the_line_has_even_parity():
    buses = chips.Buses(None)
    hlw8032.make(buses, SPEC)
    assert buses.asked == [("uart", 4800, 0, 1)]


def _pulse_mwh():
    return 5317000 * 2 * 188 // 100 // 3600000 + 1


def test_an_hour_of_charging_is_metered_within_the_chips_resolution():
    bench = _bench()
    for mv, ma in ((230000, 0), (231234, 6010), (207000, 32000)):
        bench.plant.mv[0], bench.plant.ma[0] = mv, ma
        surplus_mwh = bench.surplus_mwh(1200000)
        reading = bench.cells
        mw = mv * ma // 1000
        assert reading[2] < 250
        # cycles are whole microseconds: one more would be so much less
        for found, true, coefficient, factor in (
            (reading[4], mv, 192200, 1880),
            (reading[7], ma, 16230, 2000),
            (reading[10], mw, 5317000, 3760),
        ):
            assert 0 <= found - true <= true * true // (coefficient * factor) + 1, (found, true)
        # two pulses, and 200 ms of power
        slack = 2 * _pulse_mwh() + mw * 200 // 3600000
        assert abs(surplus_mwh) <= slack


def test_calibration_from_a_reference_reading():
    bench = _bench(divider_ohm=[1890000, 1000])
    bench.driver = hlw8032.make(chips.Buses(bench.chip), SPEC)  # it believes in another divider
    shown = bench.run(1000)
    assert abs(shown[4] - 230000) > 1000
    bench.driver = hlw8032.make(chips.Buses(bench.chip), _spec(calibration=bench.calibration()))
    reading = bench.run(1000)
    assert abs(reading[4] - 230000) <= 1 and abs(reading[7] - 16000) <= 1
    assert abs(reading[10] - 3680000) <= 10


def test_a_silent_chip_grows_old_and_comes_back():
    bench = _bench()
    assert bench.run(1000)[2] < 250
    bench.chip.silent = True
    bench.run(200)
    aged = bench.cells[2]
    assert bench.run(5000)[2] == aged + 5000 and bench.cells[4] != 0
    bench.chip.silent = False
    assert bench.run(hlw8032.READ_MS)[2] < 250
    for fault in ("bad_checksum", "uncalibrated"):
        setattr(bench.chip, fault, True)
        assert bench.run(5000)[2] >= 4700
        setattr(bench.chip, fault, False)
        assert bench.run(hlw8032.READ_MS)[2] < 250


def test_the_pulses_wrap_and_lose_nothing():
    bench = _bench()
    bench.chip.count = 0xFFF0
    bench.run(1200000)
    lost = bench.plant.energy_mwh() - bench.mwh()
    assert abs(lost) <= 3 * _pulse_mwh() + 3680000 // 18000 * 2


def test_a_chip_that_starts_anew_costs_what_flowed_meanwhile_at_most():
    bench = _bench()
    bench.run(60000)
    for _ in range(3):
        bench.chip.reset()
        bench.run(600000)
    lost = bench.plant.energy_mwh() - bench.mwh()
    assert 0 <= lost <= 4 * 500 * 3680000 // 3600000 + 3 * _pulse_mwh()


def fuzz(n, seed):
    """Called by tools/soak.py too."""

    def seal(burst):
        if len(burst) == 24:
            burst[0] = 0x55
            burst[1] = 0x5A
            burst[23] = sum(burst[2:23]) & 0xFF

    def make(random):
        bench = _bench(lambda chip: chips.LyingSerial(chip, random, seal))
        return bench.plant, bench.bus, bench.driver

    return chips.fuzz_meter(make, n, seed, MOST, hlw8032.READ_MS)


def test_fuzzed_answers():
    fuzz(3000, 1)


def test_the_reference_boards_shunt_bears_its_current():
    with open("hal/boards/ac-7kw-picow.json") as file:
        outlet = json.load(file)["outlets"][0]
    driver = hlw8032.make(chips.Buses(None), outlet["meter"])
    assert driver._most_ma >= outlet["max_ma"] * 5 // 4
