"""Limits as leases: the offered current is the minimum of what every live limit allows.

A limit is (max_ma, reason, expires, fallback_ma). An expired limit falls to its fallback, never to
"none". Reading the minimum allocates nothing; explaining it does.
"""

from array import array

from micropython import const

from firmware.ticks import add, diff

# Who can bound the current. An index into these is a source.
SOURCES = (
    "board",
    "cable",
    "temperature",
    "schedule",
    "site",
    "backend",
    "mains",
    "pilot",
    "rest",
)
BOARD = const(0)
CABLE = const(1)
TEMPERATURE = const(2)
SITE = const(4)
BACKEND = const(5)
PILOT = const(7)
REST = const(8)

NO_LIMIT_MA = const(80000)  # IEC 61851-1 table A.7 ends here


class Limits:
    """The limits of one outlet. `board_ma`: what its contactor, wiring and cable are built for,
    for the `reason`; it never expires.
    """

    def __init__(self, board_ma, reason="rated current of the outlet"):
        n = len(SOURCES)
        self._max_ma = array("i", [NO_LIMIT_MA] * n)
        self._fallback_ma = array("i", [NO_LIMIT_MA] * n)
        self._expires = array("i", [0] * n)
        self._leased = bytearray(n)
        self._reasons = [""] * n
        self._since_s = array("i", [0] * n)  # when it last changed
        self._s = self._ms = 0  # since the start
        self._last_ms = None
        self.set(BOARD, board_ma, reason)

    def set(self, source, max_ma, reason, now_ms=0, ttl_ms=0, fallback_ma=0):
        """Let `source` allow at most `max_ma`; for ever, or for `ttl_ms` (1 ... 2^29 - 1) and then
        `fallback_ma`.
        """
        if self._max_ma[source] != max_ma:
            self._since_s[source] = self._s
        self._max_ma[source] = max_ma
        self._reasons[source] = reason
        self._leased[source] = 1 if ttl_ms else 0
        self._expires[source] = add(now_ms, ttl_ms)
        self._fallback_ma[source] = fallback_ma

    def tick(self, now_ms):
        """Let what has expired fall to its fallback. Call it at least every six days."""
        if self._last_ms is not None:
            self._ms += diff(now_ms, self._last_ms)
            if self._ms >= 1000:
                self._s += self._ms // 1000
                self._ms %= 1000
        self._last_ms = now_ms
        for i in range(len(self._leased)):
            if self._leased[i] and diff(now_ms, self._expires[i]) >= 0:
                self._leased[i] = 0
                self._max_ma[i] = self._fallback_ma[i]
                self._since_s[i] = self._s

    def effective_ma(self, without=-1):
        """What may be offered now, in mA, whatever the source `without` says; allocates nothing.
        """
        least = self._max_ma[0]
        for i in range(1, len(self._max_ma)):
            if self._max_ma[i] < least and i != without:
                least = self._max_ma[i]
        return least

    def age_s(self, source):
        """For how many seconds the limit of `source` (a name in SOURCES) has been what it is."""
        return self._s - self._since_s[SOURCES.index(source)]

    def explain(self):
        """The limits that bind, the tightest first, as {source, max_ma, reason}."""
        bounds = [
            {"source": SOURCES[i], "max_ma": self._max_ma[i], "reason": self._reasons[i]}
            for i in range(len(SOURCES))
            if self._reasons[i]
        ]
        # By source where equal: MicroPython's sort is not stable.
        bounds.sort(key=lambda bound: (bound["max_ma"], SOURCES.index(bound["source"])))
        return bounds
