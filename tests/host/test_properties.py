"""Random histories of one outlet, judged at its terminals: arbitrary voltages, times and
combinations, which the alphabet of tools/explore.py leaves out in exchange for being exhaustive.
"""

from array import array

import hypothesis
from hypothesis import strategies as st

from firmware.energy.limits import BACKEND
from firmware.safety import core, faults
from tests.rig import Rig, V

OPENING = sum(1 << i for i, fault in enumerate(faults.FAULTS) if fault[3])
LATCHED = sum(1 << i for i, fault in enumerate(faults.FAULTS) if fault[4] != faults.SELF)
INPUT_BITS = (core.IN_RESIDUAL, core.IN_ESTOP, core.IN_EARTH_LOST, core.IN_DOOR, core.IN_TILT,
              core.IN_SMOKE)

WAIT_MS = st.sampled_from((2, 4, 6, 10, 20, 60, 240, 300, 500, 502, 700, 1000, 5000, 6000, 30100))
STEPS = st.one_of(
    st.tuples(st.just("vehicle"), st.sampled_from("AABBCCCDE")),
    st.tuples(st.just("millivolt"), st.integers(-13000, 13000)),
    st.tuples(st.just("wrong"), st.sampled_from((-15000, 0, 3000, 9000, 12000, 15000))),
    st.tuples(st.just("diode"), st.booleans()),
    st.tuples(st.just("still"), st.booleans()),
    st.tuples(st.just("main"), st.booleans()),
    st.tuples(st.just("authorise"), st.just(0)),
    st.tuples(st.just("stop"), st.just(0)),
    st.tuples(st.just("limit"), st.sampled_from((0, 5999, 6000, 10000, 32000, 63000))),
    st.tuples(st.just("late"), st.sampled_from((20, 21, 30, 400, 2000, 70000))),
    st.tuples(st.just("burst"), st.integers(1, 30)),
    st.tuples(st.just("input"), st.sampled_from((0, 0, *INPUT_BITS))),
    st.tuples(st.just("mirror"), st.booleans()),
    st.tuples(st.just("raises"), st.sampled_from(("_sample", "_feed", "_read"))),
    st.tuples(st.just("reset"), st.just(0)),
    st.tuples(st.just("wake"), st.just(0)),
)
HISTORIES = st.lists(st.tuples(STEPS, WAIT_MS), min_size=1, max_size=25)
# At random, or with every counter about to wrap within the history.
STARTS = st.sampled_from((0, 12345, (1 << 30) - 1, (1 << 30) - 1000, (1 << 30) - 20000, 1 << 29))


class Watched(Rig):
    """A rig that judges each of its ticks from what can be seen at the terminals."""

    def __init__(self, now_ms):
        super().__init__(now_ms)
        self.core.cells[core.TICKS] = self.core.cells[core.LEASE] = now_ms & 0x3FFFFFFF
        self.pilot._window[0] = self.pilot._window[1] = now_ms & 0x3FFFFFFF
        self.highs = array("i", [0] * 3)
        self.off_ms = self.idle_ms = 0
        self.stale = 0
        self.diode = False
        self.raised = False
        self.restore = None
        self.core.tick(self.now_ms)  # the very first only takes the time

    def tick(self, dt=2):
        c = self.cells
        driven = self.contactor.on
        pwm = 0 < self.pilot.permille < 1000
        standing = c[core.STANDING]
        feeds = self.contactor.feeds
        errors = c[core.ERRORS]
        resets = c[core.RESET] != c[core._RESET_SEEN]
        self.now_ms = (self.now_ms - 0x40000000 + dt) & 0x3FFFFFFF
        self.core.tick(self.now_ms)
        self._to_main += dt
        self.judge(dt, driven, pwm, standing, feeds, errors, resets)
        if self.restore:
            setattr(self.core, *self.restore)
            self.restore = None
        if self._to_main >= 20:
            self._to_main = 0
            if self.main:
                self.outlet.tick(self.now_ms)

    def judge(self, dt, was_driven, was_pwm, was_standing, feeds, errors, resets):
        c = self.cells
        on = self.contactor.on
        standing = c[core.STANDING]
        name = core.STATES[c[core.STATE]]
        mv = sorted(self.pilot._window[2:5])[1]
        self.stale = self.stale + 1 if self.pilot.still else 0
        self.off_ms = self.off_ms + dt if was_driven and not was_pwm else 0
        asked = c[core.REQUEST] == 1 and c[core.OFFERED_MA] >= 6000
        self.idle_ms = 0 if asked and self.main else self.idle_ms + min(dt, 20)
        blind = c[core._BLIND] > 0 or self.pilot.permille == 0
        if mv > 10800 and not blind:
            self.diode = False
        if was_pwm and not self.pilot.still and self.pilot._window[5] < -10000:
            self.diode = True
        raised = c[core.ERRORS] != errors
        assert raised == bool(self.restore and (self.restore[0] != "_feed" or raised))
        assert on == (c[core.DRIVE] == 1)
        assert self.pilot.permille == c[core.PERMILLE]
        assert all(-(1 << 30) < cell < 1 << 30 for cell in c)
        gone = was_standing & ~standing & LATCHED
        assert not gone or resets or name[0] in "AF", faults.names(gone)
        if self.contactor.feeds != feeds and not raised:
            assert on
        if on:
            assert name in ("C1", "C2")
            assert 3900 <= mv <= 8100, mv
            assert not standing & OPENING, faults.names(standing)
            assert self.diode
            assert self.stale < 2
            assert not raised
            assert self.off_ms <= 6000
            assert self.idle_ms <= 6500 + 24
            assert dt <= 20 or not was_driven
            assert c[core.SENSOR] == 1 and c[core.LOCKED]
            if not was_driven:
                assert asked and self.idle_ms <= 500 and was_pwm and not standing
        elif was_driven:
            why = standing & OPENING or mv < 4800 or mv > 7200 or raised
            assert why or self.off_ms > 6000
        if 0 < self.pilot.permille < 1000 and not raised:
            assert asked and self.idle_ms <= 500 + 24


def apply(rig, what, value):
    """One step of a history."""
    if what == "vehicle":
        rig.pilot.high = V[value]
    elif what == "millivolt":
        rig.pilot.high = value
    elif what == "wrong":
        rig.pilot.wrong = value
    elif what == "diode":
        rig.pilot.diode = value
    elif what == "still":
        rig.pilot.still = value
    elif what == "main":
        rig.main = value
    elif what == "authorise":
        rig.outlet.authorise()
    elif what == "stop":
        rig.outlet.stop()
    elif what == "limit":
        rig.outlet.limits.set(BACKEND, value, "test")
    elif what == "late":
        rig.tick(value)
    elif what == "burst":
        for _ in range(value):
            rig.core.tick(rig.now_ms)
    elif what == "input":
        rig.inputs.word = value
    elif what == "mirror":
        rig.inputs.mirror = value
    elif what == "raises":
        rig.restore = (value, getattr(rig.core, value))
        setattr(rig.core, value, None)  # calling it raises
        rig.tick()
    elif what == "reset":
        rig.cells[core.RESET] += 1
    elif what == "wake":
        rig.cells[core.WAKE] += 1


def live(start, charging, history):
    rig = Watched(start)
    if charging:
        rig.charge()
    for (what, value), wait_ms in history:
        apply(rig, what, value)
        # once two ticks have passed, long waits need not be seen tick by tick by this test
        rig.run(wait_ms if wait_ms < 2000 else 2000)
        if wait_ms > 2000:
            for _ in range((wait_ms - 2000) // 20):
                rig.tick(20)
    return rig


def settings(examples):
    # No database: a run must not depend on the one before; the seed of a failure is printed.
    return hypothesis.settings(max_examples=examples, deadline=None, database=None,
                               print_blob=True,
                               suppress_health_check=list(hypothesis.HealthCheck))


@settings(150)
@hypothesis.given(STARTS, st.booleans(), HISTORIES)
def test_no_history_breaks_a_rule(start, charging, history):
    live(start, charging, history)


@settings(40)
@hypothesis.given(STARTS, HISTORIES)
def test_after_any_history_a_healthy_vehicle_charges_again(start, history):
    rig = live(start, True, history)
    # everything well again, the vehicle leaves, and a technician was not needed
    rig.pilot.diode = rig.main = rig.inputs.mirror = True
    rig.pilot.still = False
    rig.inputs.word = 0
    rig.vehicle("A")
    rig.run(1500)
    kinds = [fault[4] for fault in faults.FAULTS]
    standing = rig.cells[core.STANDING]
    hard = [i for i, kind in enumerate(kinds) if standing >> i & 1 and (
        kind == faults.SERVICE or rig.cells[core.HARD] >> i & 1)]
    for _ in range(31000 // 20):
        rig.tick(20)
    rig.outlet.limits.set(BACKEND, 32000, "test")
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.vehicle("C")
    rig.run(1500)
    assert rig.contactor.on == (not hard), (hard, faults.names(rig.cells[core.STANDING]))
