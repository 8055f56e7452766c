"""Compare and move monotonic millisecond counters that wrap at 2^30 (about 12.4 days).

The HAL's clock counts 0 ... 2^30 - 1 on every port. MicroPython's own `time.ticks_diff` wraps at
2^30 on the boards but at 2^62 on a 64-bit host, so the firmware has the arithmetic here, alike
everywhere. No step leaves -2^30 ... 2^30 - 1, a 32-bit port's small integer: nothing allocates.
"""

from micropython import const

_LAST = const((1 << 30) - 1)
_HALF = const(1 << 29)


def diff(a, b):
    """Milliseconds from `b` to `a`, signed, right while they are within 2^29 ms (6.2 days)."""
    d = (a - b) & _LAST
    return d if d < _HALF else d - _LAST - 1


def add(t, ms):
    """The counter `ms` milliseconds after `t` (before it, when negative)."""
    return ((t - _LAST - 1 if ms > 0 else t) + ms) & _LAST
