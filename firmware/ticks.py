"""Compare and move monotonic millisecond counters that wrap at 2^30 (about 12.4 days).

The HAL's clock counts 0 ... 2^30 - 1 on every port. MicroPython's own `time.ticks_diff` wraps at 2^30 on the boards but
at 2^62 on a 64-bit host, so the firmware has the arithmetic here, alike everywhere.
"""

from micropython import const

_PERIOD = const(1 << 30)
_HALF = const(1 << 29)


def diff(a, b):
    """Milliseconds from `b` to `a`, signed, right while they are less than 2^29 ms (6.2 days) apart."""
    return ((a - b + _HALF) & (_PERIOD - 1)) - _HALF


def add(t, ms):
    """The counter `ms` milliseconds after `t` (before it, when negative)."""
    return (t + ms) & (_PERIOD - 1)
