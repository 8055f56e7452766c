"""An AC outlet: the plain IEC 61851-1 sequence from plug-in to unplugging, in integers, once per
20 ms.

The outlet asks; the safety core decides. What the ledger needs to know is left in attributes that
it reads after each tick.
"""

from micropython import const

from firmware.safety.core import (
    DEPARTED,
    DRIVE,
    FAULTS,
    GUARD_MS,
    LEASE,
    OFFERED_MA,
    REQUEST,
    STATE,
)

# OCPP 2.1 ChargingStateEnumType, and the words for it.
IDLE = const(0)
CONNECTED = const(1)
CHARGING = const(2)
SUSPENDED_EV = const(3)
SUSPENDED_EVSE = const(4)
CHARGING_STATES = ("Idle", "EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE")

_MIN_MA = const(6000)  # IEC 61851-1 table A.7: less cannot be offered


class AcOutlet:
    """One connector with its safety core, whose `cells` it shares; `limits` bound the offer."""

    def __init__(self, cells, limits):
        self._cells = cells
        self.limits = limits
        self.authorised = False
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
        return self._cells[FAULTS] != 0

    def tick(self, now_ms):
        """One step of the sequence; allocates nothing."""
        c = self._cells
        letter = c[STATE] >> 1
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
        offered = 0
        if self.authorised and self.plugged:
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
        elif not offered or c[FAULTS] or (c[GUARD_MS] and letter >= 2):
            self.charging_state = SUSPENDED_EVSE
        else:
            self.charging_state = SUSPENDED_EV
