"""The limit that a grid operator sets by a contact (Germany's section 14a of the EnWG, ripple
control, a load-management relay): while it is active the pile takes no more than `limit_input_a`,
shared by the outlets at which somebody is authorised. Loaded at boot where the board has a
`limit_input`.

It is the limit `site` of each outlet, a lease: should this service die it holds from then on. It
begins at once, and ends when the contact has been quiet for _QUIET_MS: one that flaps holds it.
Until the contact is known after a start it holds as well.

The backend hears of begin and end (OCPP 2.1's K12 and K13): NotifyChargingLimit,
ClearedChargingLimit, and the transactions' ChargingRateChanged. What may have been lost with the
line is told anew; what is refused or not answered, after a minute, and three times in all.
"""

from micropython import const

from firmware.energy.limits import NO_LIMIT_MA, SITE
from firmware.ledger.session import UPDATED
from firmware.ticks import diff

_REASON = "the grid operator's limit (limit_input)"
_SOURCE = "SO"  # OCPP's word for a system operator
_QUIET_MS = const(60000)
_RENEW_MS = const(200)
_LEASE_MS = const(5000)
_AGAIN_MS = const(60000)
_TRIES = const(3)
_UNKNOWN = const(255)  # the state of a transaction until its vehicle was seen after a power cut


class External:
    """`contact` is the board's `limit_input`."""

    def __init__(self, station, contact):
        self._station = station
        self._contact = contact
        self._amps = station.config["limit_input_a"]
        self._holds = None  # whether the limit does; None: the contact is not known yet
        self._told = False  # whether the backend has heard of it; None: nobody knows
        self._tries = 0
        self._tried_ms = self._quiet_ms = self._renewed_ms = station.wall._last_ms
        self._renew(self._renewed_ms)

    def tick(self, now_ms):
        """Once each turn of the main loop."""
        active = self._contact.active
        if active:
            self._quiet_ms = now_ms
            if not self._holds:
                self._change(True, now_ms)
        elif active is False and self._holds is None:
            self._change(False, now_ms)
        elif self._holds and diff(now_ms, self._quiet_ms) >= _QUIET_MS:
            self._change(False, now_ms)
        if diff(now_ms, self._renewed_ms) >= _RENEW_MS:
            self._renew(now_ms)
        backend = self._station.backend
        if not backend.ready:
            self._told = self._told and None
            self._tries = 0
        elif self._holds is not None and self._told is not self._holds and self._tries < _TRIES:
            if not self._tries or diff(now_ms, self._tried_ms) >= _AGAIN_MS:
                self._tell(now_ms)

    def _change(self, holds, now_ms):
        known = self._holds is not None
        self._holds = holds
        self._tries = 0
        self._station.board.log.record("limit_input", active=holds)
        self._renew(now_ms)
        if not (known or holds):
            return
        share_ma = self._share_ma()
        for i, session in enumerate(self._station.sessions):
            binds = self._station.outlets[i].limits.effective_ma(SITE) > share_ma
            told = session.tx and not session._closing and session._state != _UNKNOWN
            if told and binds and not session.journal.crowded:
                session.event(UPDATED, "ChargingRateChanged")

    def _share_ma(self):
        busy = [1 for session in self._station.sessions if not session.free]
        return self._amps * 1000 // max(1, len(busy))

    def _renew(self, now_ms):
        self._renewed_ms = now_ms
        outlets = self._station.outlets
        ma = NO_LIMIT_MA if self._holds is False else self._share_ma()
        for outlet in outlets:
            fallback_ma = self._amps * 1000 // len(outlets)
            outlet.limits.set(SITE, ma, _REASON, now_ms, _LEASE_MS, fallback_ma)

    def _tell(self, now_ms):
        add = self._station.backend.outbox.add
        if self._holds:
            taken = add("NotifyChargingLimit", _begun, self._amps, self._answered)
        else:
            taken = add("ClearedChargingLimit", _cleared, None, self._answered)
        if taken:
            self._told = self._holds
            self._tries += 1
            self._tried_ms = now_ms

    def _answered(self, result):
        if result is None:
            self._told = None


def _begun(amps):
    return {
        "chargingLimit": {"chargingLimitSource": _SOURCE, "isGridCritical": True},
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
            }
        ],
    }


def _cleared(_):
    return {"chargingLimitSource": _SOURCE}
