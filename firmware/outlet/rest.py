"""Rests that spare contactor and vehicle: neither a limit that wavers around 6 A nor a hand at a
switch makes an outlet chatter.
"""

from micropython import const

from firmware.energy.limits import NO_LIMIT_MA, REST
from firmware.ticks import diff

_MIN_MA = const(6000)
# Thirty closings at will, and then one a minute: a contactor bears 10,000 to 100,000 under load.
_CLOSING_MS = const(60000)
_CREDIT_MS = const(30 * 60000)
_STEADY_MS = const(30000)  # a limit must have been high enough for so long


class Rest:
    """Holds `limits` at 0 while the outlet rests. `min_pause_ms`: how long an outlet pauses at
    least after a limit below 6 A stopped it.
    """

    def __init__(self, outlet, limits, min_pause_ms):
        self._outlet = outlet
        self._limits = limits
        self._min_pause_ms = min_pause_ms
        self._credit_ms = _CREDIT_MS
        self._closings = 0
        self._pause_ms = 0  # left of the pause
        self._steady_ms = 0  # left until the limit counts as high enough
        self._offered = False  # at the last tick
        self._resting = False
        self._last_ms = None

    def tick(self, now_ms, closings):
        """Call it after the outlet's tick with the count of closings."""
        dt = 0 if self._last_ms is None else diff(now_ms, self._last_ms)
        self._last_ms = now_ms
        if self._credit_ms < _CREDIT_MS:
            self._credit_ms += dt
        if closings != self._closings:
            self._closings = closings
            self._credit_ms -= _CLOSING_MS
        outlet = self._outlet
        charging = outlet.authorised and outlet.plugged
        if not charging:
            self._pause_ms = self._steady_ms = 0
        elif self._offered and not outlet.offered_ma and not self._resting:
            self._pause_ms = self._min_pause_ms
        self._offered = charging and outlet.offered_ma > 0
        if self._pause_ms > 0 or self._steady_ms > 0:
            if self._pause_ms > 0:
                self._pause_ms -= dt
            if self._limits.effective_ma(REST) < _MIN_MA:
                self._steady_ms = _STEADY_MS if self._min_pause_ms else 0
            elif self._steady_ms > 0:
                self._steady_ms -= dt
        if self._credit_ms < _CLOSING_MS and not outlet.energised:
            self._rest("the contactor has closed too often: once a minute now")
        elif self._pause_ms > 0 or self._steady_ms > 0:
            self._rest("a pause, since less than 6 A were allowed")
        elif self._resting:
            self._resting = False
            self._limits.set(REST, NO_LIMIT_MA, "")

    def _rest(self, reason):
        if not self._resting:
            self._resting = True
            self._limits.set(REST, 0, reason)
