"""What the tests of the meters behind RS-485 share."""

from hal.virtual.chips.modbus_rtu import crc
from tests.chips import LyingSerial, MeterBench, fuzz_meter


def an_hour(bench, step_mwh, late_ms=0):
    """Readings against the plant over an hour of changing load, within the meter's resolution:
    0.1 V, 1 mA, 0.1 W, 10 mHz, `step_mwh`; the energy is `late_ms` older than the rest at most.
    """
    plant = bench.plant
    assert bench.run(2000)[2] < 1000
    began_mwh = plant.energy_mwh() - bench.mwh()
    for turn in range(60):
        plant.mains_mhz = 49900 + 7 * turn
        for i in range(plant.phases):
            plant.mv[i] = 220000 + 333 * turn + 1000 * i
            plant.ma[i] = 529 * turn + 10 * i
        cells = bench.run(60000)
        assert bench.oldest_ms < 1000
        assert abs(cells[3] - plant.mains_mhz) <= 5
        for i in range(3):
            here = i < plant.phases
            assert abs(cells[4 + i] - (plant.mv[i] if here else 0)) <= 50
            assert cells[7 + i] == (plant.ma[i] if here else 0)
        assert abs(cells[10] - plant.power_mw()) <= 50
        late_mwh = plant.power_mw() * (cells[2] + late_ms) // 3600000
        metered_mwh = plant.energy_mwh() - began_mwh - bench.mwh()
        assert -step_mwh <= metered_mwh <= step_mwh + late_mwh + 1, (turn, metered_mwh)


def seal(burst):
    """Make the CRC of the answer at the burst's end right again."""
    if len(burst) > 4:
        burst[-2:] = crc(burst[:-2])


def fuzzed(driver, emulation, spec, most, n, seed, phases=1):
    """Through tests.chips.fuzz_meter."""

    def make(random):
        bench = MeterBench(
            driver, emulation, spec, phases, lambda chip: LyingSerial(chip, random, seal)
        )
        bench.chip.delay_us = 5000  # fewer ticks an answer
        return bench.plant, bench.bus, bench.driver

    return fuzz_meter(make, n, seed, most, driver.READ_MS)
