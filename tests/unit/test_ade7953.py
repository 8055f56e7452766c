"""ADE7953: the facts' units, energy as the power's integral, configuration lost and found."""

from array import array

from hal.chips import ade7953
from hal.virtual.chips import ade7953 as emulation
from tests import chips
from tests.support import raises

SPEC = {"chip": "ade7953", "i2c": 0, "scl": 5, "sda": 4}
MOST = [0, 0, 0, 70000, 347385, 0, 0, 90321, 0, 0, 31574032]


def _spec(**fields):
    return dict(SPEC, **fields)


def _bench(wrap=None, **fields):
    return chips.MeterBench(ade7953, emulation, _spec(**fields), 1, wrap)


class Registers:
    """A chip of registers only; `asked` has what was written."""

    def __init__(self, registers):
        self.registers = registers
        self.asked = []

    def readfrom_mem_into(self, addr, mem, buf, addrsize=8):
        value = self.registers.get(mem, 0)
        for i in range(len(buf)):
            buf[len(buf) - 1 - i] = value >> 8 * i & 0xFF

    def writeto_mem(self, addr, mem, buf, addrsize=8):
        self.asked.append((addr, mem, bytes(buf), addrsize))
        if mem == 0x120:
            self.registers[mem] = buf[0] << 8 | buf[1]


def _read(registers, **fields):
    bus = Registers(registers)
    driver = ade7953.make(chips.Buses(bus), _spec(**fields))
    for now_ms in range(0, ade7953.READ_MS, 20):
        driver.tick(now_ms)
    reading = array("i", [0] * 11)
    driver.read(reading)
    return list(reading), bus


GOOD = {0x31C: 230 * 26000, 0x31A: 1600000, 0x312: 3680 * 154, 0x10E: 4474}


def test_the_registers_and_units_of_the_facts():
    reading, bus = _read(dict(GOOD))
    assert reading[3:] == [50000, 230000, 0, 0, 16000, 0, 0, 3680000]
    assert bus.asked[1:] == [(0x38, 0x0FE, b"\xad", 16), (0x38, 0x120, b"\x00\x30", 16)]
    # channel B, the other way round
    registers = {0x31C: 230 * 26000, 0x31B: 1600000, 0x313: -3680 * 154, 0x10E: 3728}
    reading, _ = _read(registers, channel=1)
    assert reading[3:] == [60002, 230000, 0, 0, 16000, 0, 0, -3680000] and reading[:2] == [0, 0]


def test_what_the_chip_cannot_show_is_no_reading():
    assert _read(dict(GOOD))[0][2] <= 200
    for register, value in (
        (0x31C, 9032008),
        (0x31C, -1),
        (0x31A, 9032008),
        (0x312, 4862402),
        (0x312, -4862402),
        (0x312, 0x02000000),
        (0x31C, 0x7E000000),
        (0x10E, 2000),
        (0x10E, 6000),
    ):
        registers = dict(GOOD)
        registers[register] = value
        assert _read(registers)[0] == [0, 0, 1 << 29] + [0] * 8, (register, value)
    # without mains there is no frequency, and that is a reading
    reading = _read({0x31C: 26, 0x10E: 0})[0]
    assert reading[2] <= 200 and reading[3:5] == [0, 1]


def test_nonsense_in_the_board_file_is_named():
    for fields in ({"channel": 2}, {"counts_v": 0}, {"calibration": {"power": "1"}}):
        error = raises(ValueError, ade7953.make, chips.Buses(None), _spec(**fields))
        assert sorted(fields)[0] in str(error) and "expected" in str(error)
    raises(ValueError, ade7953.make, chips.Buses(None), SPEC, 3)


def test_an_hour_of_charging_is_metered_within_the_chips_resolution():
    bench = _bench()
    for mv, ma, mhz in ((230000, 0, 50000), (231234, 6010, 49987), (207000, 32000, 50213)):
        bench.plant.mv[0], bench.plant.ma[0], bench.plant.mains_mhz = mv, ma, mhz
        surplus_mwh = bench.surplus_mwh(1200000)
        reading = bench.cells
        assert reading[2] <= 200
        # a count is 38 uV, 10 uA, 6.5 mW; the period's is 11 mHz at 50 Hz
        assert abs(reading[4] - mv) <= 1 and abs(reading[7] - ma) <= 1
        assert abs(reading[10] - mv * ma // 1000) <= 7
        assert 0 <= reading[3] - mhz <= 12
        # 7 mW for 20 min, 200 ms of power, and that a step is taken as a ramp
        slack = 3 + 2 * mv * ma // 1000 * 200 // 3600000
        assert abs(surplus_mwh) <= slack


def test_calibration_from_a_reference_reading():
    bench = _bench(counts_v=25871, counts_a=100321, counts_w=155)
    bench.driver = ade7953.make(bench.buses, SPEC)  # it believes in other counts
    shown = bench.run(1000)
    assert abs(shown[4] - 230000) > 1000
    bench.driver = ade7953.make(bench.buses, _spec(calibration=bench.calibration()))
    reading = bench.run(1000)
    assert abs(reading[4] - 230000) <= 1 and abs(reading[7] - 16000) <= 1
    assert abs(reading[10] - 3680000) <= 7


def test_a_silent_chip_grows_old_and_comes_back():
    bench = _bench()
    assert bench.run(1000)[2] <= 200
    bench.chip.silent = True
    bench.run(200)
    aged = bench.cells[2]
    before = bench.mwh()
    assert bench.run(20000)[2] == aged + 20000 and bench.cells[4] == 230000
    bench.chip.silent = False
    assert bench.run(ade7953.READ_MS)[2] <= 200
    # what flowed in a long silence is not known
    assert bench.mwh() - before < 500


def test_a_chip_that_starts_anew_is_configured_anew():
    bench = _bench()
    bench.run(1000)
    bench.chip.reset()
    assert bench.run(ade7953.READ_MS)[2] <= 200
    assert bench.chip.registers[0x120] == 0x30 and bench.chip.registers[0x102] == 4


def fuzz(n, seed):
    """Called by tools/soak.py too."""

    def make(random):
        bench = _bench(lambda chip: chips.LyingI2c(chip, random))
        return bench.plant, bench.bus, bench.driver

    return chips.fuzz_meter(make, n, seed, MOST, ade7953.READ_MS)


def test_fuzzed_answers():
    fuzz(3000, 1)
