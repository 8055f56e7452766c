"""BL0942: the data sheet's packet, energy over wraps and resets, and what a bad line brings."""

from array import array

from hal.chips import bl0942
from hal.virtual.chips import bl0942 as emulation
from tests import chips
from tests.support import raises

# 60 A at 0.5 mOhm, 30 mV; 267.8 V at 70 mV
SPEC = {"chip": "bl0942", "uart": 1, "tx": 17, "rx": 16, "shunt_uohm": 500}
MOST = [0, 0, 0, 71429, 267720, 0, 0, 60000, 0, 0, 16063000]


def _spec(**fields):
    return dict(SPEC, **fields)


class Wires(chips.Buses):
    """A line whose rate the controller can change."""

    def __init__(self, line, chip):
        super().__init__(line)
        self._rated = chip

    def uart(self, spec, baud, parity=None, stop=1):
        self._rated.host_baud = baud
        return super().uart(spec, baud, parity, stop)


def _bench(wrap=None, **fields):
    return chips.MeterBench(bl0942, emulation, _spec(**fields), 1, wrap, Wires)


def _packet(volt, current, power, count, period, address=0):
    out = bytearray(23)
    out[0] = 0x55
    for i, value in ((1, current), (4, volt), (10, power), (13, count)):
        out[i : i + 3] = bytes((value & 0xFF, value >> 8 & 0xFF, value >> 16 & 0xFF))
    out[16:18] = bytes((period & 0xFF, period >> 8))
    out[22] = ~(0x58 + address + sum(out)) & 0xFF
    return bytes(out)


def _read(packets, ms=2000, **fields):
    line = chips.Line(lambda _: packets.pop(0) if packets else None)
    driver = bl0942.make(chips.Buses(line), _spec(**fields))
    for now_ms in range(0, ms, 20):
        driver.tick(now_ms)
    reading = array("i", [0] * 11)
    driver.read(reading)
    return list(reading), line


def test_the_constants_of_the_facts():
    # shared facts 4.3: 1 mOhm, raw/15873.359 V, raw/251213.465 A; the divider that gives this
    fields = {"shunt_uohm": 1000, "calibration": {"voltage": 629}}
    reading, line = _read([_packet(3650873, 2512135, 596 * 2300, 0, 20000)], **fields)
    assert line.asked[0] == b"\x58\xaa"
    assert reading[3:5] == [50000, 230000] and reading[7] == 10000
    # raw/596 W is one module's calibration: the data sheet's own numbers give raw/623.395
    fields["calibration"]["power"] = 45965
    reading, _ = _read([_packet(3650873, 2512135, 596 * 2300, 0, 20000)], **fields)
    assert abs(reading[10] - 2300000) < 10
    # a pulse each 1638.4 x 256 seconds x WATT; the first may have begun long ago: without power
    # that tells of it, it does not count
    fields["calibration"]["power"] = 0
    packets = [_packet(3650873, 2512135, 0, count, 20000) for count in (7, 8, 17)]
    reading, _ = _read(packets, **fields)
    assert reading[0] == 1 and abs(1000 + reading[1] - 9 * 1638.4 * 256 / 623.395 / 3.6) < 1


def test_address_and_sign():
    reading, line = _read([_packet(3650873, 2512135, -1000, 0, 16667, 2)], address=2)
    assert line.asked[0] == b"\x5a\xaa"
    assert reading[10] < 0 and reading[3] == 59999
    reading, _ = _read([_packet(3650873, 2512135, -1000, 0, 16667, 1)], address=2)
    assert reading[2] == 1 << 29


def test_what_the_chip_cannot_show_is_no_reading():
    for packet in (
        _packet(4300000, 0, 0, 0, 20000),
        _packet(3650873, 7600000, 0, 0, 20000),
        _packet(3650873, 0, 5100000, 0, 20000),
        _packet(3650873, 0, -5100000, 0, 20000),
        _packet(3650873, 0, 0, 0, 13000),
        _packet(3650873, 0, 0, 0, 26000),
        b"\x54" + _packet(3650873, 0, 0, 0, 20000)[1:],
        _packet(3650873, 0, 0, 0, 20000)[:22],
    ):
        assert _read([packet])[0] == [0, 0, 1 << 29] + [0] * 8
    # without mains there is no frequency, and that is a reading
    assert _read([_packet(100, 0, 0, 0, 0xFFFF)])[0][3:5] == [0, 6]


def test_nonsense_in_the_board_file_is_named():
    for fields in (
        {"baud": 2400},
        {"address": 4},
        {"shunt_uohm": "1000"},
        {"divider_ohm": [510]},
        {"divider_ohm": 3824},
        {"calibration": {"power": 1.5}},
        {"calibration": []},
    ):
        error = raises(ValueError, bl0942.make, chips.Buses(None), _spec(**fields))
        assert sorted(fields)[0] in str(error) and "expected" in str(error)
    raises(ValueError, bl0942.make, chips.Buses(None), SPEC, 3)


def test_an_hour_of_charging_is_metered_within_the_chips_resolution():
    for baud, ms in ((4800, 1200000), (38400, 60000)):
        bench = _bench(baud=baud)
        for mv, ma, mhz in ((230000, 0, 50000), (231234, 6010, 49987), (207000, 32000, 50213)):
            bench.plant.mv[0], bench.plant.ma[0], bench.plant.mains_mhz = mv, ma, mhz
            surplus_mwh = bench.surplus_mwh(ms)
            reading = bench.cells
            assert reading[2] < 300
            # a count is 63 uV, 8 uA, 3.2 mW and 374 mWh; the period is whole microseconds
            assert abs(reading[4] - mv) <= 1 and abs(reading[7] - ma) <= 1
            assert abs(reading[10] - mv * ma // 1000) <= 4
            assert abs(reading[3] - mhz) <= 3
            # three pulses: each end is one, and 200 ms of power
            assert abs(surplus_mwh) <= 374 * 3


def test_calibration_from_a_reference_reading():
    bench = _bench(divider_ohm=[1960000, 510])
    driver = bl0942.make(bench.buses, SPEC)  # it believes in another divider
    bench.driver = driver
    shown = bench.run(1000)
    assert shown[4] != 230000
    bench.driver = bl0942.make(bench.buses, _spec(calibration=bench.calibration()))
    reading = bench.run(1000)
    assert abs(reading[4] - 230000) <= 1 and reading[7] == 16000
    assert abs(reading[10] - 3680000) <= 4


def test_a_silent_chip_grows_old_and_comes_back():
    bench = _bench()
    assert bench.run(1000)[2] < 300
    bench.chip.silent = True
    bench.run(200)
    aged = bench.cells[2]
    assert bench.run(5000)[2] == aged + 5000 and bench.cells[4] == 230000
    bench.chip.silent = False
    assert bench.run(bl0942.READ_MS)[2] < 300
    bench.chip.bad_checksum = True
    assert bench.run(10000)[2] >= 9500


def test_the_counter_wraps_and_loses_nothing():
    bench = _bench()
    bench.chip.count = 0xFFFFFF - 20
    bench.run(600000)
    assert abs(bench.mwh() - bench.plant.energy_mwh()) <= 374 * 3
    assert bench.chip.cf_count() < 0x10000


def test_a_chip_that_starts_anew_costs_what_flowed_meanwhile_at_most():
    bench = _bench()
    bench.run(600000)
    for _ in range(3):
        bench.chip.reset()
        bench.run(600000)
    lost = bench.plant.energy_mwh() - bench.mwh()
    assert 0 <= lost <= 374 * 2 * 4


def test_a_count_that_lies_once_adds_nothing():
    packets = [_packet(3650873, 0, 0, count, 20000) for count in (100, 101, 900000, 103, 104)]
    reading, _ = _read(packets, shunt_uohm=1000)
    assert reading[0] == 0 and 554 < reading[1] < 564


def test_a_fast_line_is_asked_for_at_the_chips_own_rate():
    for baud in (19200, 38400):
        bench = _bench(baud=baud)
        bench.chip.reset()
        assert bench.chip.baud == 4800
        assert bench.run(3000)[2] < 300 and bench.chip.baud == baud
        bench.chip.reset()
        assert bench.run(3000)[2] < 300


def fuzz(n, seed):
    """Called by tools/soak.py too."""

    def seal(burst):
        if len(burst) == 23:
            burst[0] = 0x55
            burst[22] = ~(0x58 + sum(burst[:22])) & 0xFF

    def make(random):
        bench = _bench(lambda chip: chips.LyingSerial(chip, random, seal))
        return bench.plant, bench.bus, bench.driver

    return chips.fuzz_meter(make, n, seed, MOST, bl0942.READ_MS)


def test_fuzzed_answers():
    fuzz(3000, 1)


def test_between_two_counts_the_power_tells():
    bench = _bench(shunt_uohm=250)  # a count is 748 mWh
    bench.plant.ma[0] = 10000
    bench.run(1000)
    start_mwh = bench.mwh()
    flowed_mwh = bench.plant.energy_mwh()
    last_mwh = 0
    for _ in range(200):
        bench.run(500)
        metered = bench.mwh() - start_mwh
        assert metered >= last_mwh
        last_mwh = metered
        flowed = bench.plant.energy_mwh() - flowed_mwh
        assert abs(metered - flowed) <= 2300000 * 450 // 3600000  # what flows in READ_MS / 2
    bench.plant.ma[0] = 0
    bench.run(2000)
    metered = bench.mwh() - start_mwh
    assert abs(metered - (bench.plant.energy_mwh() - flowed_mwh)) <= 400
