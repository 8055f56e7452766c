"""Limits as leases: the offered current is the minimum of what every live limit allows.

A limit is (max_ma, reason, expires, fallback_ma). An expired limit falls to its fallback, never to
"none". Reading the minimum allocates nothing. In words it is told by firmware.energy.reasons.
"""

from array import array

from micropython import const

from firmware.ticks import add, diff

# Who can bound the current: a source, see firmware.energy.reasons.
BOARD = const(0)
CABLE = const(1)
TEMPERATURE = const(2)
SITE = const(4)
BACKEND = const(5)
PILOT = const(7)
REST = const(8)
LINE = const(9)
_COUNT = const(10)

NO_LIMIT_MA = const(80000)  # IEC 61851-1 table A.7 ends here


class Limits:
    """The limits of one outlet. `board_ma`: what its contactor, wiring and cable are built for,
    for the `reason`; it never expires.
    """

    def __init__(self, board_ma, reason="rated current of the outlet"):
        self.max_ma = array("i", [NO_LIMIT_MA] * _COUNT)
        self._fallback_ma = array("i", [NO_LIMIT_MA] * _COUNT)
        self._expires = array("i", [0] * _COUNT)
        self._leased = bytearray(_COUNT)
        self.reasons = [""] * _COUNT
        self.since_s = array("i", [0] * _COUNT)  # when it last changed
        self.s = self._ms = 0  # since the start
        self._last_ms = None
        self.set(BOARD, board_ma, reason)

    def set(self, source, max_ma, reason, now_ms=0, ttl_ms=0, fallback_ma=0):
        """Let `source` allow at most `max_ma`; for ever, or for `ttl_ms` (1 ... 2^29 - 1) and then
        `fallback_ma`.
        """
        if self.max_ma[source] != max_ma:
            self.since_s[source] = self.s
        self.max_ma[source] = max_ma
        self.reasons[source] = reason
        self._leased[source] = 1 if ttl_ms else 0
        self._expires[source] = add(now_ms, ttl_ms)
        self._fallback_ma[source] = fallback_ma

    def tick(self, now_ms):
        """Let what has expired fall to its fallback. Call it at least every six days."""
        if self._last_ms is not None:
            self._ms += diff(now_ms, self._last_ms)
            if self._ms >= 1000:
                self.s += self._ms // 1000
                self._ms %= 1000
        self._last_ms = now_ms
        for i in range(len(self._leased)):
            if self._leased[i] and diff(now_ms, self._expires[i]) >= 0:
                self._leased[i] = 0
                self.max_ma[i] = self._fallback_ma[i]
                self.since_s[i] = self.s

    def effective_ma(self, without=-1):
        """What may be offered now, in mA, whatever the source `without` says; allocates nothing.
        """
        least = self.max_ma[0]
        for i in range(1, len(self.max_ma)):
            if self.max_ma[i] < least and i != without:
                least = self.max_ma[i]
        return least
