"""A bounded exploration of the shipped code (tools/explore.py), and bugs that it must find."""

import pytest

from tools import explore

CORE = (explore.REPO / "firmware/safety/core.py").read_text()

# (what stood there, what is planted instead, the fault it takes, the rule that must break)
PLANTED = {
    "state B charges": ("asking = 2 <= letter", "asking = 1 <= letter", "", "driven in state B"),
    "no guard after an opening": (
        "if c[GUARD_MS] < _GUARD_C_MS:", "if c[GUARD_MS] < 0:", "", "within 5 s of an opening"),
    "impatient": ("_OBEY_MS = const(6000)", "_OBEY_MS = const(5000)", "", "forced open earlier"),
    "too patient": (
        "_OBEY_MS = const(6000)", "_OBEY_MS = const(7000)", "", "6 s after PWM went off"),
    "no settling": ("_SETTLE_MS = const(500)", "_SETTLE_MS = const(100)", "", "steady for 500 ms"),
    "duty at once": ("_DUTY_MS = const(5000)", "_DUTY_MS = const(4000)", "", "twice within 5 s"),
    "a long lease": (
        "_LEASE_MS = const(500)", "_LEASE_MS = const(900)", "lease stands still",
        "without a live request|held for its time"),
    "a frozen ring": (
        "_STILL_TICKS = const(2)", "_STILL_TICKS = const(3)", "samples stand still",
        "stood still"),
    "F too short": (
        "_SHOW_F_MS = const(300)", "_SHOW_F_MS = const(200)", "earth lost", "F ended before"),
    "nothing latches": (
        "kind == UNPLUG and release", "kind == UNPLUG", "emergency stop", "latched fault went"),
    "an exception leaves it on": (
        "c[DRIVE] = 0\n        c[_SWITCH_MS]", "c[_SWITCH_MS]", "sampling raises",
        "drive pin is not"),
    "closes unlocked": ("and c[LOCKED]", "", "not locked", "closed unlocked"),
    "a clock that counts": (
        "c[_HIGHS]) & (_PERIOD - 1)", "c[_HIGHS])", "samples older than the last duty",
        "wrap of a counter"),
}


def quiet(line):
    pass


def test_the_core_keeps_every_rule():
    told = explore.explore_safety(18, faults=1)
    assert sum(map(sum, (search.driven for search in told.searches)))


def test_the_outlet_keeps_every_rule():
    told = explore.explore_outlet(6)
    assert sum(map(sum, (search.driven for search in told.searches)))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name):
    old, new, fault, rule = PLANTED[name]
    assert CORE.count(old) == 1, old
    with pytest.raises(explore.Broken, match=rule) as found:
        explore.explore_safety(15, text=CORE.replace(old, new), out=quiet, only=[fault])
    # it tells how to get there from boot
    assert "from       0 ms" in str(found.value)
