"""The thermistor: right over its range, lost when open, short or silent."""

from hal.chips import ntc
from hal.virtual.buses import Buses
from hal.virtual.chips import ntc as emulation
from hal.virtual.random import Random

_MASK = (1 << 30) - 1
BETA = {"chip": "ntc", "adc": 26, "divider_ohm": 10000, "ohm": 10000, "beta": 3950}
# A usual 10 kOhm thermistor's data sheet: every 10 degrees from -30
TABLE = {
    "chip": "ntc",
    "adc": 26,
    "divider_ohm": 4700,
    "supply_mv": 5000,
    "from_c": -30,
    "step_c": 10,
    "ohm": [111300, 67740, 42450, 27280, 17960, 12090, 8313, 5828, 4161, 3021, 2229, 1669, 1266]
    + [973, 757],
}


class Air:
    """Stands in for the plant."""

    temperature_c = 25


def _with(spec, **fields):
    spec = dict(spec)
    spec.update(fields)
    return spec


class Bench:
    def __init__(self, spec, now_ms=0):
        self.air = Air()
        self.now_ms = now_ms
        self.chip = emulation.make(self.air, spec)
        buses = Buses(self.air)
        buses.pins.update(self.chip.pins)
        self.driver = ntc.make(buses, spec)

    def run(self, ms):
        for _ in range(ms // 20):
            self.now_ms = (self.now_ms + 20) & _MASK
            self.driver.tick(self.now_ms)
        return self.driver.read()


def test_the_resistance_is_the_data_sheets():
    # a 10 kOhm, beta 3950 thermistor: 25 degrees by definition; the others from its formula
    chip = emulation.make(Air(), BETA)
    for c, ohm in ((25, 10000), (0, 33621), (50, 3588), (70, 1760), (100, 697)):
        assert abs(chip.ohm(c) - ohm) <= ohm // 500, (c, chip.ohm(c))


def test_it_reads_within_half_a_degree_from_minus_30_to_100():
    for to in ("ground", "supply"):
        bench = Bench(_with(BETA, to=to))
        for c in range(-30, 101):
            bench.air.temperature_c = c
            tenths = bench.run(320)
            assert abs(tenths - c * 10) <= 5, (to, c, tenths)


def test_a_data_sheets_table_does_too():
    bench = Bench(TABLE)
    for c in range(-29, 110):
        bench.air.temperature_c = c
        tenths = bench.run(320)
        # ten degrees between the points bend the line
        assert abs(tenths - c * 10) <= 8, (c, tenths)
    for c in range(-20, 110, 10):
        bench.air.temperature_c = c
        assert abs(bench.run(320) - c * 10) <= 3


def test_open_short_and_silent_are_lost_within_a_second_and_come_back():
    for spec in (BETA, _with(BETA, to="supply"), TABLE):
        for fault in ("open", "short", "silent"):
            bench = Bench(spec, _MASK - 1500)
            assert bench.run(140) is None
            assert abs(bench.run(20) - 250) <= 5
            setattr(bench.chip, fault, True)
            assert bench.run(800) is not None
            assert bench.run(200) is None, fault
            assert bench.run(5000) is None
            setattr(bench.chip, fault, False)
            assert abs(bench.run(160) - 250) <= 5
        bench.air.temperature_c = None
        assert bench.run(1200) is None


def test_a_converter_that_does_not_reach_its_supply_needs_its_own_bounds():
    # as an ESP32's: everything above 3.1 V reads 3.1 V
    class Saturated:
        def __init__(self, chip):
            self._chip = chip

        def read_mv(self):
            return min(max(self._chip.read_mv(), 140), 3100)

    for spec, found in ((BETA, -27), (_with(BETA, least_mv=150, most_mv=2900), None)):
        bench = Bench(spec)
        bench.driver._adc = Saturated(bench.chip)
        assert abs(bench.run(160) - 250) <= 5
        bench.chip.open = True
        tenths = bench.run(1200)
        assert tenths is None if found is None else abs(tenths - found * 10) < 10, tenths


def test_noise_and_a_spike_hardly_matter():
    bench = Bench(BETA)
    bench.air.temperature_c = 60
    bench.chip.noise_mv = 10
    for _ in range(50):
        assert abs(bench.run(160) - 600) <= 10
    bench.chip.noise_mv = 0

    class Spike:
        n = 0

        def read_mv(self):
            self.n += 1
            return 3000 if self.n % 8 == 5 else bench.chip.read_mv()

    bench.driver._adc = Spike()
    for _ in range(20):
        assert abs(bench.run(160) - 600) <= 5


def test_no_lost_reading_comes_back_when_the_clock_has_gone_half_round():
    bench = Bench(BETA)
    assert bench.run(160) is not None
    bench.chip.silent = True
    assert bench.run(1200) is None
    for _ in range(8):
        bench.now_ms = (bench.now_ms + (1 << 27)) & _MASK
        assert bench.run(20) is None


def test_fuzzed_it_stays_within_the_table(n=3000, seed=1):
    bench = Bench(BETA)
    random = Random(seed)
    lies = [0]

    class Liar:
        truth = True

        def read_mv(self):
            if self.truth:
                return bench.chip.read_mv()
            lies[0] += 1
            kind = random.below(5)
            if kind == 0:
                raise OSError(5)
            return (0, -random.below(5000), random.below(3400), random.below(1 << 16))[kind - 1]

    liar = bench.driver._adc = Liar()
    while lies[0] < n:
        liar.truth = False
        for _ in range(random.below(100)):
            tenths = bench.run(20)
            assert tenths is None or -400 <= tenths <= 1500
        liar.truth = True
        bench.air.temperature_c = random.below(90)
        assert abs(bench.run(320) - bench.air.temperature_c * 10) <= 5


def test_nonsense_is_named():
    for spec, field in (
        (_with(BETA, divider_ohm=0), "divider_ohm"),
        (_with(BETA, divider_ohm="10k"), "divider_ohm"),
        (_with(BETA, supply_mv=5), "supply_mv"),
        (_with(BETA, to="Vcc"), "to"),
        (_with(BETA, ohm=None), "ohm"),
        (_with(BETA, beta=39), "beta"),
        (_with(BETA, most_mv=5000), "most_mv"),
        (_with(BETA, least_mv=-1), "least_mv"),
        (_with(TABLE, ohm=[1000]), "ohm"),
        (_with(TABLE, ohm=[1000, 2000]), "ohm"),
        (_with(TABLE, step_c=0), "step_c"),
        (_with(TABLE, from_c=None), "from_c"),
    ):
        buses = Buses(None)
        buses.pins[26] = None
        try:
            ntc.make(buses, spec)
        except ValueError as error:
            assert str(error).startswith(field + ": expected"), error
        else:
            raise AssertionError(field)
