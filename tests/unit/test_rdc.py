"""The residual-current module at its pins, and the supervision's self-test against it."""

from array import array

from firmware.safety import faults
from firmware.safety.core import CONDITIONS, DEPARTED, IN_RESIDUAL, INPUTS, SENSOR
from firmware.safety.supervision import Supervision
from hal.virtual.chips import rdc
from tests.chips import Load

SPEC = {"chip": "rdc", "test": 1, "dc": 2, "ac": 3, "fault": 4}
CONFIG = {
    "nominal_v": 230,
    "under_voltage_pct": 80,
    "under_voltage_back_pct": 85,
    "over_voltage_pct": 115,
    "over_voltage_back_pct": 110,
    "under_frequency_mhz": 45000,
    "over_frequency_mhz": 55000,
}


def _module(**fields):
    spec = dict(SPEC)
    spec.update(fields)
    plant = Load()
    plant.residual = False
    return plant, rdc.make(plant, spec)


def _timeline(plant, chip, ms):
    # (ms, dc, ac, fault) at each change
    seen = []
    last = None
    began_us = plant.now_us
    for _ in range(ms // 10):
        now = (chip.pins[2](), chip.pins[3](), chip.pins[4]())
        if now != last:
            seen.append(((plant.now_us - began_us) // 1000,) + now)
            last = now
        plant.advance(plant.now_us + 10000)
    return seen


def _pulse(plant, chip, ms, active=0):
    chip.pins[1](active)
    plant.advance(plant.now_us + ms * 1000)
    chip.pins[1](1 - active)


def test_the_self_tests_timing_is_the_facts():
    for active in (0, 1):
        plant, chip = _module(test_active=active)
        chip.pins[1](1 - active)
        _pulse(plant, chip, 250, active)
        assert _timeline(plant, chip, 5000) == [
            (0, 0, 0, 0),
            (740, 1, 0, 0),
            (1400, 1, 1, 0),
            (3000, 0, 0, 0),
        ]


def test_a_pulse_too_short_or_too_long_is_no_test():
    for ms, answered in ((10, False), (30, True), (1200, True), (1300, False)):
        plant, chip = _module()
        _pulse(plant, chip, ms)
        assert (len(_timeline(plant, chip, 4000)) > 1) == answered, ms


def test_residual_current_trips_at_once_and_faults_are_told_apart():
    plant, chip = _module()
    plant.residual = True
    assert chip.trip() == chip.dc() == chip.ac() == 1 and not chip.fault()
    plant.residual = False
    assert not chip.trip()
    chip.broken = True
    _pulse(plant, chip, 250)
    assert _timeline(plant, chip, 4000) == [(0, 0, 0, 0), (1800, 0, 0, 1), (3000, 0, 0, 0)]
    chip.silent = True
    plant.residual = True
    _pulse(plant, chip, 250)
    assert _timeline(plant, chip, 4000) == [(0, 0, 0, 0)]


class Place:
    """An outlet's hardware: a meter without a load, and the module behind its inputs."""

    phases = 1
    thermometer = None
    socket = None
    max_ma = 32000
    tests_residual = True

    def __init__(self, chip):
        self.meter = self.inputs = self
        self._chip = chip
        self.pulses = []
        self._on_us = None

    def read(self, into):
        for i in range(11):
            into[i] = 0
        into[3] = 50000
        into[4] = 230000

    def test_residual(self, on):
        now_us = self._chip._plant.now_us
        if on:
            self._on_us = now_us
        elif self._on_us is not None:
            self.pulses.append((now_us - self._on_us) // 1000)
            self._on_us = None
        self._chip.test(0 if on else 1)


class Limits:
    def set(self, source, ma, reason):
        pass


class Bench:
    def __init__(self):
        self.plant, self.chip = _module()
        self.place = Place(self.chip)
        self.cells = array("i", [0] * 64)
        self.supervision = Supervision(self.cells, self.place, Limits(), None, CONFIG)
        self.now_ms = (1 << 30) - 1000

    def run(self, ms):
        """Until `ms` have passed; the milliseconds of the verdicts and what they were."""
        verdicts = []
        for passed in range(0, ms, 20):
            self.cells[INPUTS] = IN_RESIDUAL if self.chip.trip() else 0
            before = self.cells[SENSOR]
            self.supervision.tick(self.now_ms)
            if self.cells[SENSOR] != before:
                verdicts.append((passed, self.cells[SENSOR]))
            self.now_ms = (self.now_ms + 20) & ((1 << 30) - 1)
            self.plant.advance(self.plant.now_us + 20000)
        return verdicts


def test_the_supervision_passes_a_module_that_works():
    bench = Bench()
    verdicts = bench.run(10000)
    # tested at once; the answer comes 990 ms after the pulse began, its end 3250 ms after
    assert [verdict for _, verdict in verdicts] == [2, 1]
    assert 3240 <= verdicts[1][0] <= 3300, verdicts
    assert len(bench.place.pulses) == 1 and 250 <= bench.place.pulses[0] <= 280
    assert not bench.cells[CONDITIONS] & faults.RESIDUAL_SENSOR
    # and again when a vehicle has left
    bench.cells[DEPARTED] += 1
    assert [verdict for _, verdict in bench.run(5000)] == [2, 1]


def test_it_fails_one_that_is_silent_broken_or_stuck_and_asks_again_each_minute():
    for fault, verdict_ms in (("silent", 1500), ("broken", 1500), ("stuck", 3000)):
        bench = Bench()
        setattr(bench.chip, fault, True)
        verdicts = bench.run(10000)
        assert [verdict for _, verdict in verdicts] == [2, 0], (fault, verdicts)
        assert verdict_ms <= verdicts[1][0] <= verdict_ms + 60, (fault, verdicts)
        assert bench.cells[CONDITIONS] & faults.RESIDUAL_SENSOR
        setattr(bench.chip, fault, False)
        verdicts = bench.run(62000)
        assert [verdict for _, verdict in verdicts] == [2, 1], (fault, verdicts)
        assert not bench.cells[CONDITIONS] & faults.RESIDUAL_SENSOR
