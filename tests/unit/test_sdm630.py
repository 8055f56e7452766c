"""Eastron's three-phase meter against its emulation."""

from hal.chips import sdm630
from hal.virtual.chips import sdm630 as emulation
from tests import chips, rtu

SPEC = {"chip": "sdm630", "uart": 1, "tx": 17, "rx": 16}
MOST = [0, 0, 0, 65000] + [300000] * 3 + [120000] * 3 + [108000000]


def bench(phases=3, **spec):
    return chips.MeterBench(sdm630, emulation, dict(SPEC, **spec), phases)


def test_an_hour_within_its_resolution():
    rtu.an_hour(bench(), 1000)


def test_three_phases_each():
    one = bench()
    one.plant.mv = [231000, 229000, 0]
    one.plant.ma = [16000, 10000, 0]
    assert one.run(sdm630.READ_MS)[2] < 1000
    assert list(one.cells[3:]) == [50000, 231000, 229000, 0, 16000, 10000, 0, 5986000]


def test_an_outlet_of_one_phase_shows_one():
    one = bench(1)
    one.chip._values[2] = lambda: (35, 1)  # what an open terminal catches
    one.run(2000)
    assert list(one.cells[4:10]) == [230000, 0, 0, 16000, 0, 0]


def test_first_reading_within_its_time():
    one = bench()
    assert one.buses.asked[0] == ("uart", 9600, None, 1)
    assert one.run(sdm630.READ_MS)[2] < 1000
    one.run(10000)
    assert one.oldest_ms < 700


def test_4800_baud_is_enough():
    one = bench(baud=4800)
    one.run(2000)
    one.run(10000)
    assert one.oldest_ms < 1000


def fuzz(n, seed):
    """Called by tools/soak.py too."""
    return rtu.fuzzed(sdm630, emulation, SPEC, MOST, n, seed, 3)


def test_fuzzed():
    assert fuzz(3000, 1) >= 3000
