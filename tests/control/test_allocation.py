"""The tick, the black box's note and the outlet's tick allocate nothing, in any state, with every
counter near the end of its range.
"""

import sys

import micropython

from firmware.energy.limits import BACKEND
from firmware.safety import core
from firmware.safety.blackbox import BlackBox, Records
from tests.rig import Rig

_WALK = (
    ("A", 40),
    ("B", 60),
    ("authorise", 60),
    ("C", 1200),
    ("limit", 5200),
    ("wrong", 40),
    ("B", 200),
    ("C", 6200),
    ("D", 40),
    ("C", 6200),
    ("E", 500),
    ("C", 31000),
    ("no diode", 60),
    ("diode", 31000),
    ("still", 40),
    ("going", 31000),
    ("inputs", 1000),
    ("no inputs", 20),
    ("conditions", 8000),
    ("no conditions", 100),
    ("A", 100),
    ("B", 35000),
    ("authorise", 200),
    ("C", 1200),
    ("mirror", 400),
    ("no mirror", 20),
    ("A", 100),
    ("B", 35000),
    ("authorise", 200),
    ("C", 1200),
    ("main stops", 7000),
    ("main goes", 6500),
    ("stop", 6500),
    ("A", 100),
)


def _do(rig, what):
    if what == "authorise":
        rig.outlet.authorise()
    elif what == "stop":
        rig.outlet.stop()
    elif what == "limit":
        rig.outlet.limits.set(BACKEND, 16000, "test", rig.now_ms, 3000, 10000)
    elif what == "wrong":
        rig.pilot.wrong = 12000
    elif what in ("no diode", "diode"):
        rig.pilot.diode = what == "diode"
    elif what in ("still", "going"):
        rig.pilot.still = what == "still"
    elif what in ("inputs", "no inputs"):
        rig.inputs.word = 0xFF if what == "inputs" else 0
    elif what in ("mirror", "no mirror"):
        rig.inputs.mirror = what != "mirror"
    elif what in ("conditions", "no conditions"):
        rig.cells[core.CONDITIONS] = (1 << 26) - (1 << 17) if what == "conditions" else 0
    elif what in ("main stops", "main goes"):
        rig.main = what == "main goes"
    else:
        rig.vehicle(what)


def _locked(rig, ms):
    # No `with` and no call that could allocate by itself: what is locked is the tick.
    for _ in range(ms // 2):
        micropython.heap_lock()
        try:
            rig.tick()
            rig.box.note(rig.now_ms)
        finally:
            micropython.heap_unlock()
    rig.records.tick(rig.now_ms)


class _Wall:
    uptime_ms = 1 << 31
    is_set = False


class _Store:
    names = ()

    def save(self, name, data):
        self.names += (name,)

    def load(self, name):
        return None


def _rig(now_ms=0):
    rig = Rig(now_ms)
    rig.store = _Store()
    rig.box = BlackBox(rig.cells)
    rig.records = Records([rig.box], rig.store, _Wall())
    return rig


def test_no_allocation_in_any_state_near_2_30():
    rig = _rig((1 << 30) - 20000)
    rig.lamps.quiet = True
    cells = rig.core.cells
    cells[core.TICKS] = cells[core.LEASE] = (1 << 30) - 1000
    rig.pilot._window[0] = rig.pilot._window[1] = (1 << 30) - 3000
    cells[core.CLOSINGS] = (1 << 24) - 2
    cells[core.DEPARTED] = cells[core.FORCED] = (1 << 16) - 1
    states = set()
    closings = 0
    for what, ms in _WALK:
        _do(rig, what)
        for _ in range(ms // 20):
            _locked(rig, 20)
            states.add(rig.lamps.name)
            closings += rig.contactor.on
    assert cells[core.ERRORS] == 0  # a MemoryError in the tick would be counted there
    assert closings and states >= {"A1", "B1", "B2", "C1", "C2", "D1", "E"}, states
    assert len(rig.store.names) >= 4, rig.store.names
    assert all(-(1 << 30) < cell < 1 << 30 for cell in cells)


def test_the_lock_would_tell():
    if sys.implementation.name != "micropython":
        return  # CPython has no heap to lock
    rig = _rig()
    rig.run(100)
    sample = rig.core._sample

    def allocates(window):
        sample(window)
        return [window[0]]

    rig.core._sample = allocates
    _locked(rig, 2)
    assert rig.core.cells[core.ERRORS] == 1
