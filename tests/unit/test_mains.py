"""What the supervision makes of a meter's mains."""

from array import array

from firmware.safety import faults
from firmware.safety.core import CONDITIONS
from firmware.safety.supervision import Supervision

CONFIG = {
    "nominal_v": 230,
    "under_voltage_pct": 80,
    "under_voltage_back_pct": 90,
    "over_voltage_pct": 115,
    "over_voltage_back_pct": 109,
    "under_frequency_mhz": 47500,
    "over_frequency_mhz": 51500,
}


class Place:
    """An outlet's hardware: a meter that reads `mhz` and `mv`."""

    phases = 1
    thermometer = None
    max_ma = 32000
    tests_residual = False

    def __init__(self, mhz, mv):
        self.meter = self.inputs = self
        self._mhz = mhz
        self._mv = mv

    def read(self, into):
        for i in range(11):
            into[i] = 0
        into[3] = self._mhz
        into[4] = self._mv


class Limits:
    def set(self, source, ma, reason):
        pass


def _conditions(mhz, mv=230000):
    cells = array("i", [0] * 64)
    Supervision(cells, Place(mhz, mv), Limits(), None, CONFIG).tick(0)
    return cells[CONDITIONS]


def test_a_frequency_out_of_range_is_a_fault_and_one_not_measured_is_none():
    assert _conditions(50000) == 0
    assert _conditions(47000) == _conditions(52000) == faults.FREQUENCY
    assert _conditions(0) == 0
    assert _conditions(0, 0) == faults.PHASE_LOSS
