"""ATM90E32: registers and units, configuration that is lost and found, energy that reading clears,
bad lines.
"""

from array import array

from hal.chips import atm90e32
from hal.chips.spec import calibrated_ppm
from hal.virtual.chips import atm90e32 as emulation
from tests import chips
from tests.support import raises

SPEC = {"chip": "atm90e32", "spi": 1, "sck": 12, "mosi": 11, "miso": 13, "cs": 10}
MOST = [0, 0, 0, 70000] + [500000] * 3 + [65534] * 3 + [98301000]


def _spec(**fields):
    return dict(SPEC, **fields)


def _bench(phases=3, wrap=None, **fields):
    return chips.MeterBench(atm90e32, emulation, _spec(**fields), phases, wrap)


class Registers:
    """A chip of registers only; `asked` has the transfers."""

    def __init__(self, registers):
        self.registers = registers
        self.asked = []
        self._last = 0

    def select(self, level):
        pass

    def write_readinto(self, out, into):
        self.asked.append(bytes(out))
        if out[0] & 0x80:
            if out[1] != 0x78:
                self._last = self.registers.get(out[1], 0)
        else:
            self._last = out[2] << 8 | out[3]
            self.registers[out[1]] = self._last
        into[2] = self._last >> 8
        into[3] = self._last & 0xFF


def _read(registers, phases=3, **fields):
    bus = Registers(registers)
    driver = atm90e32.make(chips.Buses(bus), _spec(**fields), phases)
    for now_ms in range(0, atm90e32.READ_MS, 20):
        driver.tick(now_ms)
    reading = array("i", [0] * 11)
    driver.read(reading)
    return list(reading), bus


def test_the_registers_and_units_of_the_facts():
    registers = {
        0xF8: 4998,
        0xD9: 23012,
        0xDA: 22987,
        0xDB: 23105,
        0xDD: 16001,
        0xDE: 5,
        0xDF: 32000,
    }
    # 3680 W, -1 W, 7360 W in 0.00032 W
    for i, watts in enumerate((3680, -1, 7360)):
        raw = watts * 3125 & 0xFFFFFFFF
        registers[0xB1 + i] = raw >> 16
        registers[0xC1 + i] = raw & 0xFFFF
    reading, bus = _read(registers)
    assert reading[3:] == [49980, 230120, 229870, 231050, 16001, 5, 32000, 11039000]
    # reset, unlock, and to read: the address and 8000
    assert bus.asked[0] == b"\x00\x70\x78\x9a" and bus.asked[1] == b"\x00\x7f\x55\xaa"
    assert b"\x80\xd9\x00\x00" in bus.asked
    # one phase asks for no other
    reading, bus = _read(registers, 1)
    assert reading[4:] == [230120, 0, 0, 16001, 0, 0, 3680000]
    assert b"\x80\xda\x00\x00" not in bus.asked


def test_energy_is_counted_in_10_of_3200_wh():
    bus = Registers({0xF8: 5000, 0xD9: 23000, 0x81: 1})
    driver = atm90e32.make(chips.Buses(bus), SPEC, 1)
    reading = array("i", [0] * 11)
    readings = 0
    for now_ms in range(0, 20000, 20):
        before = reading[1]
        driver.tick(now_ms)
        driver.read(reading)
        readings += reading[1] != before
    # the registers of this one are not cleared: a count at each reading
    assert readings > 100
    assert abs(reading[1] * 3200 - readings * 10 * 1000) < 3200 * 4


def test_what_the_chip_cannot_show_is_no_reading():
    good = {0xF8: 5000, 0xD9: 23000, 0xDD: 16000}
    assert _read(dict(good), 1)[0][2] <= 540
    for register, value in (
        (0xD9, 0xFFFF),
        (0xDD, 0xFFFF),
        (0xF8, 3900),
        (0xF8, 7100),
        (0xB1, 0x7FFF),
    ):
        registers = dict(good)
        registers[register] = value
        assert _read(registers, 1)[0] == [0, 0, 1 << 29] + [0] * 8, register
    # without mains there is no frequency, and that is a reading
    assert _read({0xD9: 3}, 1)[0][2:5] == [_read(dict(good), 1)[0][2], 0, 30]


def test_nonsense_in_the_board_file_is_named():
    for fields in (
        {"voltage_gain": 0},
        {"current_gain": 70000},
        {"amplified": 8},
        {"mains_hz": 400},
        {"hz": 4000000},
        {"calibration": {"voltage": [1, 2]}},
    ):
        error = raises(ValueError, atm90e32.make, chips.Buses(emulation), _spec(**fields), 3)
        assert sorted(fields)[0] in str(error) and "expected" in str(error)


def test_an_hour_of_charging_is_metered_within_the_chips_resolution():
    for phases, ms in ((3, 1200000), (1, 60000)):
        bench = _bench(phases)
        for mv, ma, mhz in ((230000, 0, 50000), (231234, 6010, 49987), (207000, 32000, 50213)):
            for i in range(phases):
                bench.plant.mv[i] = mv - i * 1111
                bench.plant.ma[i] = ma - i * 3 if ma else 0
            bench.plant.mains_mhz = mhz
            surplus_mwh = bench.surplus_mwh(ms)
            reading = bench.cells
            assert reading[2] <= 540
            assert reading[3] == mhz // 10 * 10
            for i in range(phases):
                assert 0 <= bench.plant.mv[i] - reading[4 + i] < 10
                assert bench.plant.ma[i] == reading[7 + i]
            assert abs(reading[10] - bench.plant.power_mw()) <= phases
            # two counts a phase, and 300 ms of power
            slack = 7 * phases + bench.plant.power_mw() * 300 // 3600000
            assert abs(surplus_mwh) <= slack


def test_calibration_from_a_reference_reading_of_each_phase():
    bench = _bench()
    bench.chip.voltage_gain = [7305, 7400, 7210]
    bench.chip.current_gain = [27961, 27000, 28500]
    bench.chip.power_ppm = [3000, -2000, 0]
    shown = list(bench.run(2000))
    assert abs(shown[5] - 230000) > 1000
    calibration = {
        "voltage": [calibrated_ppm(mv, 230000) for mv in shown[4:7]],
        "current": [calibrated_ppm(ma, 16000) for ma in shown[7:10]],
    }
    bench.driver = atm90e32.make(bench.buses, _spec(calibration=calibration), 3)
    reading = bench.run(2000)
    for i in range(3):
        # a gain is a whole number: 70 ppm of 7305, 18 ppm of 27961
        assert abs(reading[4 + i] - 230000) <= 26 and abs(reading[7 + i] - 16000) <= 1
    calibration["power"] = calibrated_ppm(reading[10], 11040000)
    bench.driver = atm90e32.make(bench.buses, _spec(calibration=calibration), 3)
    assert abs(bench.run(2000)[10] - 11040000) <= 11040000 * 40 // 1000000


def test_a_silent_chip_grows_old_and_comes_back():
    bench = _bench()
    assert bench.run(1500)[2] <= 540
    bench.chip.silent = True
    bench.run(200)
    aged = bench.cells[2]
    assert bench.run(5000)[2] == aged + 5000 and bench.cells[4] == 230000
    bench.chip.silent = False
    assert bench.run(atm90e32.READ_MS)[2] <= 540


def test_a_silent_line_at_zeros_is_no_reading_either():
    bench = _bench(wrap=lambda chip: chips.LyingSpi(chip, None, 0))
    bench.run(1500)
    bench.bus.set("silence")
    bench.run(200)
    aged = bench.cells[2]
    assert bench.run(5000)[2] == aged + 5000


def test_a_chip_that_starts_anew_is_configured_anew_and_costs_what_flowed_meanwhile():
    bench = _bench()
    bench.run(60000)
    for _ in range(5):
        bench.chip.reset()
        bench.run(atm90e32.READ_MS)
        assert bench.cells[2] <= 540 and bench.cells[4] == 230000
        bench.run(60000)
    lost = bench.plant.energy_mwh() - bench.mwh()
    assert 0 <= lost <= 6 * 1000 * 11040000 // 3600000


class Wrong:
    """The bus of `chip`, on which the answers of `registers` are wrong; `last`: in LastSPIData,
    which confirms them, too.
    """

    def __init__(self, chip, registers, last):
        self._chip = chip
        self._registers = registers
        self._last = last
        self._was = False

    def select(self, level):
        self._chip.select(level)

    def write_readinto(self, out, into):
        register = out[1]
        read = out[0] & 0x80
        self._chip.write_readinto(out, into)
        if register != 0x78:
            self._was = read and register in self._registers
        if self._was and (register != 0x78 or self._last):
            into[2] = into[3] = 0xF0


def test_a_wrong_transfer_is_outvoted():
    bench = _bench(wrap=lambda chip: Wrong(chip, (0xDA, 0xDE, 0xB2), False))
    reading = bench.run(2000)
    assert reading[2] <= 540 and list(reading[4:7]) == [230000] * 3
    assert list(reading[7:10]) == [16000] * 3 and abs(reading[10] - 11040000) <= 3


def test_a_wrong_count_that_is_confirmed_adds_nothing():
    # F0F0 counts are 193 Wh; the other two phases go on
    bench = _bench(wrap=lambda chip: Wrong(chip, (0x82,), True))
    reading = bench.run(60000)
    metered = reading[0] * 1000 + reading[1]
    assert abs(metered - bench.plant.energy_mwh() * 2 // 3) <= 11040000 * 1000 // 3600000


def fuzz(n, seed, phases=3):
    """Called by tools/soak.py too."""

    def make(random):
        bench = _bench(phases, lambda chip: chips.LyingSpi(chip, random, random.below(2) * 0xFF))
        return bench.plant, bench.bus, bench.driver

    return chips.fuzz_meter(make, n, seed, MOST, atm90e32.READ_MS)


def test_fuzzed_answers():
    fuzz(2000, 1)
    fuzz(1000, 2, 1)
