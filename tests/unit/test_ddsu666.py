"""CHINT's single-phase meter against its emulation."""

from hal.chips import ddsu666
from hal.virtual.chips import ddsu666 as emulation
from tests import chips, rtu
from tests.support import raises

SPEC = {"chip": "ddsu666", "uart": 1, "tx": 17, "rx": 16}
MOST = [0, 0, 0, 65000, 300000, 0, 0, 96000, 0, 0, 28800000]


def bench(phases=1, **spec):
    return chips.MeterBench(ddsu666, emulation, dict(SPEC, **spec), phases)


def test_an_hour_within_its_resolution():
    rtu.an_hour(bench(), 10000)


def test_first_reading_within_its_time():
    one = bench()
    assert one.run(ddsu666.READ_MS)[2] < 1000
    assert list(one.cells[3:]) == [50000, 230000, 0, 0, 16000, 0, 0, 3680000]
    one.run(10000)
    assert one.oldest_ms < 600


def test_more_than_one_phase_is_none_of_its():
    assert "phases" in str(raises(ValueError, bench, 3))


def fuzz(n, seed):
    """Called by tools/soak.py too."""
    return rtu.fuzzed(ddsu666, emulation, SPEC, MOST, n, seed, 1)


def test_fuzzed():
    assert fuzz(3000, 1) >= 3000
