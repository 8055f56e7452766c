"""The socket of an outlet without a cable of its own: what the cable carries, and whether it is
locked.

Proximity pilot as in IEC 62196-2 (shared facts 1.5). The lock is confirmed before the contactor
may close, and let go only when the contactor is seen open.
"""

from micropython import const

from firmware.energy.limits import CABLE
from firmware.safety import faults
from firmware.safety.core import DRIVE, IN_LIVE, IN_MIRROR, INPUTS, LOCKED, RESET

_TRY_MS = const(1000)  # the motor's way, and then its feedback
_TRIES = const(5)
_AGAIN_MS = const(30000)  # a plug that was not let go of is not held for ever

# (less than so many ohm, mA): between the windows of the standard the lower ampacity counts.
_CABLES = ((60, 0), (141, 63000), (309, 32000), (937, 20000), (2461, 13000), (4501, 13000))


def cable_ma(ohm):
    """What a cable with this proximity resistance carries, in mA; 0: no valid cable."""
    if ohm is not None:
        for bound, ma in _CABLES:
            if ohm < bound:
                return ma
    return 0


class Plug:
    """`socket` is the role; `cells` the safety core's. Set `wanted` while a session needs the plug
    locked.
    """

    def __init__(self, socket, cells, limits):
        self.wanted = False
        self.plugged = False
        self._socket = socket
        self._cells = cells
        self._limits = limits
        self._carried_ma = 0
        self._tries = 0  # one more than _TRIES: it has failed
        self._try_ms = 0
        self._resets = 0
        cells[LOCKED] = 0
        limits.set(CABLE, 0, "no cable in the socket")

    def tick(self, dt):
        """Look once at cable and lock, `dt` ms after the last time; the conditions that hold, as
        bits of safety.faults.
        """
        raw = 0
        ma = cable_ma(self._socket.proximity_ohm())
        # Without a cable that was read nothing is offered: the duty could not be lowered for 5 s.
        if not self.plugged:
            self._carried_ma = 0
            self._limits.set(CABLE, 0, "no cable in the socket")
        elif not ma:
            raw = faults.PROXIMITY
        # A contact that wanders during a session must not raise the limit.
        elif not self._carried_ma or ma < self._carried_ma:
            self._carried_ma = ma
            self._limits.set(CABLE, ma, "the cable carries no more")
        return raw | self._lock(dt)

    def _lock(self, dt):
        c = self._cells
        locked = self._socket.locked()
        closed = c[DRIVE] or c[INPUTS] & (IN_MIRROR | IN_LIVE)
        wanted = bool(self.wanted or closed)
        c[LOCKED] = 1 if locked and self.wanted else 0
        if bool(locked) == wanted:
            self._tries = 0
            self._try_ms = 0
            return 0
        if c[RESET] != self._resets:
            self._resets = c[RESET]
            if self._tries > _TRIES:
                self._tries = self._try_ms = 0
        self._try_ms -= dt
        if self._try_ms <= 0:
            if self._tries < _TRIES:
                self._tries += 1
                self._try_ms = _TRY_MS
                self._socket.lock(wanted)
            else:
                self._tries = _TRIES + 1
                if not wanted:
                    self._try_ms = _AGAIN_MS
                    self._socket.lock(False)
        return faults.LOCK if self._tries > _TRIES else 0
