"""The counters' arithmetic across the wrap at 2^30."""

from firmware import ticks
from tests.support import heap_locked

TOP = (1 << 30) - 1
NEAR = (0, 3, TOP // 2, TOP - 1, TOP)


def test_diff_is_signed():
    assert ticks.diff(5, 3) == 2
    assert ticks.diff(3, 5) == -2
    assert ticks.diff(TOP, TOP) == 0


def test_diff_across_the_wrap():
    assert ticks.diff(0, TOP) == 1
    assert ticks.diff(TOP, 0) == -1
    assert ticks.diff(499, TOP - 500) == 1000


def test_diff_at_its_limits():
    half = 1 << 29
    assert ticks.diff(half - 1, 0) == half - 1
    assert ticks.diff(half, 0) == -half
    assert ticks.diff(0, half) == -half


def test_add_wraps_both_ways():
    assert ticks.add(TOP, 1) == 0
    assert ticks.add(0, -1) == TOP
    assert ticks.add(TOP - 9, 20) == 10


def test_add_then_diff_gives_the_interval_back():
    for start in (0, 1, TOP // 2, TOP - 1, TOP):
        for ms in (-86400000, -1, 0, 1, 500, 86400000):
            assert ticks.diff(ticks.add(start, ms), start) == ms


def test_nothing_is_allocated_near_the_wrap():
    def near_the_wrap():
        for t in NEAR:
            ticks.diff(t, TOP)
            ticks.diff(TOP, t)
            ticks.diff(t, 0)
            ticks.add(t, TOP)
            ticks.add(t, -TOP)

    heap_locked(near_the_wrap)
