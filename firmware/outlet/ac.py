"""An AC outlet: the plain IEC 61851-1 sequence from plug-in to unplugging, in integers, once per
20 ms.

The outlet asks; the safety core decides. What the ledger needs to know is left in attributes that
it reads after each tick.
"""

from micropython import const

from firmware.safety.core import (
    DEPARTED,
    DRIVE,
    GUARD_MS,
    LEASE,
    OFFERED_MA,
    REQUEST,
    STANDING,
    STATE,
    WAKE,
)
from firmware.ticks import diff

# OCPP 2.1 ChargingStateEnumType, and the words for it.
IDLE = const(0)
CONNECTED = const(1)
CHARGING = const(2)
SUSPENDED_EV = const(3)
SUSPENDED_EVSE = const(4)
CHARGING_STATES = ("Idle", "EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE")

_B2 = const(3)  # of safety.core.STATES
_MIN_MA = const(6000)  # IEC 61851-1 table A.7: less cannot be offered


class AcOutlet:
    """One connector with its safety core, whose `cells` it shares; `limits` bound the offer."""

    def __init__(self, cells, limits, plug=None, wake_after_ms=90000, delay_ms=0):
        self._cells = cells
        self.limits = limits
        self.plug = plug  # the socket's watch, where the outlet has a socket
        self.delay_ms = delay_ms  # left of the random start delay after power-up
        self._wake_after_ms = wake_after_ms
        # In B2; beyond _wake_after_ms once the vehicle was woken, or has asked.
        self._waiting_ms = 0
        self._last_ms = None
        self.authorised = False
        self.inoperative = False  # the backend has taken it out of service: nobody is let in
        self.plugged = False
        self.departed = False  # a vehicle has left; stays until the ledger has taken note
        self.charging_state = IDLE
        self.offered_ma = 0
        self._departures = 0

    def authorise(self):
        """Charge the vehicle that is plugged in, or the next one."""
        self.authorised = True
        self.departed = False

    def stop(self):
        """End what was authorised: pilot to +12 V, then the contactor opens in good order."""
        self.authorised = False

    @property
    def energised(self):
        """Whether the drive pin is on."""
        return self._cells[DRIVE] == 1

    @property
    def faulted(self):
        """Whether the safety core shows a fault."""
        return self._cells[STANDING] != 0

    def tick(self, now_ms):
        """One step of the sequence; allocates nothing."""
        c = self._cells
        letter = c[STATE] >> 1
        dt = 0 if self._last_ms is None else diff(now_ms, self._last_ms)
        self._last_ms = now_ms
        if self.delay_ms > 0:
            self.delay_ms -= dt
        # Departures are counted by the core, so that one is seen even when this loop stood still
        # while vehicles changed places.
        if c[DEPARTED] != self._departures:
            self._departures = c[DEPARTED]
            if self.plugged:
                self.departed = True
                self.authorised = False
        if letter < 4:  # state E tells nothing about the plug
            self.plugged = letter > 0
        self.limits.tick(now_ms)
        if self.plug:
            self.plug.plugged = self.plugged
            self.plug.wanted = self.authorised and self.plugged
        self._wake(dt)
        offered = 0
        if self.authorised and self.plugged and self.delay_ms <= 0:
            offered = self.limits.effective_ma()
            if offered < _MIN_MA:
                offered = 0
        self.offered_ma = offered
        c[OFFERED_MA] = offered
        c[REQUEST] = 1 if offered else 0
        c[LEASE] = (c[LEASE] - 0x3FFFFFFF) & 0x3FFFFFFF  # plus 1, without leaving 30 bits
        if not self.plugged:
            self.charging_state = IDLE
        elif not self.authorised:
            self.charging_state = CONNECTED
        elif c[DRIVE]:
            self.charging_state = CHARGING
        elif not offered or c[STANDING] or (c[GUARD_MS] and letter >= 2):
            self.charging_state = SUSPENDED_EVSE
        else:
            self.charging_state = SUSPENDED_EV

    def _wake(self, dt):
        # Some vehicles sleep in B and miss the offer. Once in a session F is driven for 4 s, as if
        # the plug had been pulled (IEC 61851-1 A.5.3).
        state = self._cells[STATE]
        if not self.authorised or not self.plugged:
            self._waiting_ms = 0
        elif state >> 1 in (2, 3):
            self._waiting_ms = self._wake_after_ms + 1
        elif state == _B2 and self._waiting_ms <= self._wake_after_ms:
            self._waiting_ms += dt
            if self._waiting_ms > self._wake_after_ms:
                self._cells[WAKE] = (self._cells[WAKE] + 1) & 0xFFFF
