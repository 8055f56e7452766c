"""The DS18B20: the datasheet's temperatures, and everything that is not a temperature."""

from hal.chips import ds18b20
from hal.virtual.buses import Buses
from hal.virtual.chips import ds18b20 as emulation
from hal.virtual.random import Random

_MASK = (1 << 30) - 1


class Air:
    """Stands in for the plant."""

    now_us = 0
    temperature_c = 25


class Bench:
    """Driver and sensor, and the time that passes for both."""

    def __init__(self, now_ms=0, liar=None):
        self.air = Air()
        self.now_ms = now_ms
        self.chip = emulation.make(self.air, {"chip": "ds18b20", "pin": 5})
        buses = Buses(self.air)
        buses.pins.update(self.chip.pins)
        if liar:
            buses.pins[5] = liar(self.chip)
        self.driver = ds18b20.make(buses, {"chip": "ds18b20", "pin": 5})

    def run(self, ms):
        for _ in range(ms // 20):
            self.air.now_us += 20000
            self.now_ms = (self.now_ms + 20) & _MASK
            self.driver.tick(self.now_ms)
        return self.driver.read()


def test_the_crc_is_the_bus_manufacturers():
    # Maxim application note 27: a ROM code and its CRC; and a scratchpad after power-on
    assert emulation.crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2
    assert emulation.crc8(b"\x50\x05\x4b\x46\x7f\xff\x0c\x10") == 0x1C


def test_the_datasheets_temperatures():
    # table "temperature/data relationship"
    for raw, tenths in (
        (0x07D0, 1250),
        (0x0191, 251),
        (0x00A2, 101),
        (0x0008, 5),
        (0x0000, 0),
        (0xFFF8, -5),
        (0xFF5E, -101),
        (0xFE6F, -251),
        (0xFC90, -550),
    ):
        bench = Bench()
        bench.air.temperature_c = ((raw ^ 0x8000) - 0x8000) / 16
        assert bench.run(ds18b20.READ_MS) == tenths
        assert bench.chip.scratchpad[0] | bench.chip.scratchpad[1] << 8 == raw


def test_it_is_read_within_its_time_also_when_the_clock_wraps():
    for now_ms in (0, 12345, _MASK - 500, _MASK - 5000):
        bench = Bench(now_ms)
        assert bench.run(800) is None
        assert bench.run(ds18b20.READ_MS - 800) == 250
        bench.air.temperature_c = 60
        for _ in range(100):
            assert bench.run(20) in (250, 600)
        assert bench.run(ds18b20.READ_MS) == 600


def test_every_resolution_reads_what_it_resolves():
    for bits in range(4):
        bench = Bench()
        bench.chip.config = 0x1F | bits << 5
        bench.air.temperature_c = 30.4375
        assert bench.run(ds18b20.READ_MS) == (300, 303, 304, 304)[bits]


def test_85_after_power_on_is_no_temperature():
    bench = Bench()
    bench.chip.parasite = True
    for _ in range(10):
        assert bench.run(1000) is None
    bench.chip.parasite = False
    bench.air.temperature_c = 70
    assert bench.run(2 * ds18b20.READ_MS) == 700
    bench.chip.parasite = True
    assert bench.run(2000) == 700
    assert bench.run(5000) is None
    # a contactor that gets there by and by is believed
    bench.chip.parasite = False
    for c in (80, 85, 90):
        bench.air.temperature_c = c
        assert bench.run(2 * ds18b20.READ_MS) == c * 10


def test_a_lost_sensor_is_lost_after_5_s_and_found_again():
    for fault in ("silent", "shorted", "corrupt"):
        bench = Bench(_MASK - 9000)
        assert bench.run(3000) == 250
        setattr(bench.chip, fault, True)
        assert bench.run(2000) == 250
        lost_ms = 2000
        while bench.run(20) is not None:
            lost_ms += 20
        assert 3000 <= lost_ms <= 5000 + ds18b20.READ_MS, (fault, lost_ms)
        for _ in range(20):
            assert bench.run(1000) is None, fault
        setattr(bench.chip, fault, False)
        assert bench.run(200 + 2 * ds18b20.READ_MS) == 250, fault
    bench = Bench()
    bench.run(3000)
    bench.air.temperature_c = None
    assert bench.run(8000) is None


def test_no_lost_reading_comes_back_when_the_clock_has_gone_half_round():
    bench = Bench()
    assert bench.run(3000) == 250
    bench.chip.silent = True
    assert bench.run(8000) is None
    for _ in range(8):
        bench.now_ms = (bench.now_ms + (1 << 27)) & _MASK
        assert bench.run(20) is None


def test_one_short_transfer_a_tick():
    calls = []

    class Counting:
        def __init__(self, chip):
            self._chip = chip

        def reset(self):
            calls.append(1)
            return self._chip.reset()

        def writebyte(self, byte):
            calls.append(1)
            self._chip.writebyte(byte)

        def readbyte(self):
            calls.append(1)
            return self._chip.readbyte()

    bench = Bench(liar=Counting)
    for _ in range(200):
        before = len(calls)
        bench.run(20)
        assert len(calls) - before <= 1
    assert bench.driver.read() == 250


class Liar:
    """A bus whose answers are altered, lost, or errors."""

    mode = "truth"
    lies = 0

    def __init__(self, chip):
        self._chip = chip
        self._random = Random(11)

    def _lies(self):
        if self.mode == "truth" or self._random.below(3):
            return False
        self.lies += 1
        if self.mode == "errors" and self._random.below(2):
            raise OSError(5)
        return True

    def reset(self):
        lie = self._lies()
        return bool(self._random.below(2)) if lie else self._chip.reset()

    def writebyte(self, byte):
        self._chip.writebyte(self._random.below(256) if self._lies() else byte)

    def readbyte(self):
        byte = self._chip.readbyte()
        if not self._lies():
            return byte
        return (0, 0xFF, byte << 1 & 0xFF, self._random.below(256))[self._random.below(4)]


def test_fuzzed_it_never_raises_nor_leaves_the_range_and_forgets(n=3000, seed=1):
    bench = Bench(liar=Liar)
    liar = bench.driver._wire
    random = Random(seed)
    liar._random = Random(seed + 1)
    while liar.lies < n:
        liar.mode = "lie" if random.below(2) else "errors"
        for _ in range(random.below(200)):
            tenths = bench.run(20)
            assert tenths is None or -550 <= tenths <= 1250
        liar.mode = "truth"
        bench.air.temperature_c = random.below(80)
        # a reading under way may still hold a lie; then come two true ones
        tenths = bench.run(200 + 3 * ds18b20.READ_MS)
        assert tenths == bench.air.temperature_c * 10, (tenths, bench.air.temperature_c)
