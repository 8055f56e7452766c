"""What mutants of the core and the outlet survived (tools/mutate.py), each caught here by name."""

from firmware.safety import core
from tests.rig import Rig


def test_the_first_tick_decides_nothing():
    rig = Rig()
    rig.core.tick(5)
    assert rig.cells[core.TICKS] == 0 and not rig.contactor.on
