"""The transaction of one outlet, told as records of the journal, which become OCPP 2.1
TransactionEvents.

Four points may start a transaction and stop it (`tx_start`, `tx_stop`; OCPP's TxStartPoint and
TxStopPoint): EVConnected, Authorized, PowerPathClosed (both of these), EnergyTransfer (the
contactor is driven). It starts when one of `tx_start` holds and any of the four has just come: so
nothing flows outside of a transaction. It ends when one of `tx_stop` goes, or the authorisation
or the vehicle when none of them is left that could; always after the contactor has opened (a
welded one: carries nothing any more) and the meter was read again: no watt-hour is lost. With it
ends the authorisation.

What is told is durable first: the record, then the outlet's Cell, which says how far it counts
(the layouts: firmware.ledger.events, .recovery). How it begins and ends is in
firmware.ledger.bounds, which is imported for that and shares what is private here.
"""

from struct import pack

from micropython import const

from firmware import borrow
from firmware.ticks import diff

STARTED = const(0)
UPDATED = const(1)
ENDED = const(2)
_OFFLINE = const(8)
_READING = const(16)

# The points, as bits.
_CONNECTED = const(1)
_AUTHORISED = const(2)
_PATH = const(4)
_TRANSFER = const(8)

_CHARGING = const(2)  # of firmware.outlet.ac.CHARGING_STATES
_UNKNOWN = const(255)  # no state was told yet after a power cut
_SECOND_MS = const(1000)
_KEEP_MS = const(10000)  # what flows is kept as often, or with each sample


class Session:
    """`evse_id` from 1. `contactor` tells by its mirror when the metal is open. Times in `config`
    are in seconds. `points` as of bounds.points. `cell` has 320 bytes. `backend` knows whether
    it hears now. `digest(text)` makes 10 bytes of a token.
    """

    def __init__(
        self, evse_id, outlet, register, contactor, config, points, journal, cell, wall, backend
    ):
        self.evse_id = evse_id
        self.outlet = outlet
        self.register = register
        self.journal = journal
        self.wall = wall
        self.door = self.digest = None  # a Doorman, and its digest
        self.transaction_id = None
        self.tx = 0  # the number of its Started in the journal
        self.authorised = False
        self.token = self.group = None  # digests of who was authorised and of the group
        self._cell = cell
        self._contactor = contactor
        self._backend = backend
        self._starts, self._stops, self._mask, self._phases = points
        self._sample_ms = config["sample_interval_s"] * 1000
        self._keep_ms = min(self._sample_ms, _KEEP_MS)
        self._aligned_ms = config["aligned_interval_s"] * 1000
        self._steady_ms = config["min_state_s"] * 1000
        # How long a vehicle is waited for, and what the end is then.
        self._usual = (config["connection_timeout_s"] * 1000, "Timeout", "EVConnectTimeout")
        self._patience = self._usual
        self._asked = ""  # who wants to begin, until it is told
        self.signs = None  # what a receipt needs to be made, see signing; None: none is
        self.user = None  # (token, its type, ""), plain, where a receipt is to name it
        self.signing = None  # the receipt in the making, then its text
        self.budget = None  # a budget.Budget: what it costs, how much of it at most
        self._began = (0, 0, 0)  # flags, boot and time of the start, as in a record
        self._start_mwh = 0
        self._from_ms = 0  # uptime of the start; of boots before only what was spent counts
        self._seq = 0
        self._points = 0
        self._state = self._seen = 0  # the charging state last told, and that of the last tick
        self._held = True  # whether the state before the last one was steady
        self._ending = None  # (stopped reason, trigger) of who stopped it
        self._closing = None  # bounds, while the contactor is still to open
        self._dropped_ms = None  # when the drive pin was seen off, while closing
        self._opened_ms = None  # when the contactor was seen open
        self._aligned = 0  # which interval of the clock it was
        self._kept_mwh = register.mwh
        self._now_ms = self._seen_ms = self._second_ms = 0
        self._kept_ms = self._sampled_ms = self._unplugged_ms = 0

    @property
    def free(self):
        """Whether somebody may be authorised here."""
        busy = self.authorised or self._closing
        return not (busy or self.outlet.inoperative and not self.tx)

    @property
    def energy_mwh(self):
        """What the transaction has taken; 0 without one."""
        return self.register.mwh - self._start_mwh if self.tx else 0

    @property
    def spent_s(self):
        """Seconds since its start, power cuts left out; 0 without one."""
        return (self.wall.uptime_ms - self._from_ms) // 1000 if self.tx else 0

    def start(self, token, token_type, group=None, remote_id=None, limits=None, reservation=None):
        """Authorise `token`, plain text of at most 255 bytes in one line; `group`: the digest of
        its group; `remote_id`: the remoteStartId where the backend asked for it. `limits`: at most
        max_mwh, max_s, max_cost (micro of the currency), and the `tariff`, each may be left out.
        `reservation`: the number of the one that is used up by it.

        Whether it was: not while somebody else is, nor when it cannot be kept.
        """
        return _bounds().start(self, token, token_type, group, remote_id, limits, reservation)

    def stop(self, reason, trigger, final=False):
        """End the authorisation in good order, and the transaction where it is to end then or
        when `final`. With OCPP's ReasonEnumType and TriggerReasonEnumType; the first reason stays.
        """
        if (self.tx or self.authorised) and not self._ending:
            self._ending = (reason, trigger)
            self.outlet.stop()
            self.authorised = False
            self._asked = ""
            if not self.tx:
                self._ending = self.token = self.group = self.budget = None
        if final and self.tx and not self._closing:
            self._closing = _bounds()

    def answered(self, result):
        """Take the backend's answer to an event of the transaction."""
        info = result.get("idTokenInfo")
        status = isinstance(info, dict) and info.get("status")
        if isinstance(status, str) and status != "Accepted":
            self.stop("DeAuthorized", "Deauthorized")
        if "transactionLimit" in result:
            _bounds().limit(self, result["transactionLimit"])

    def needs(self):
        """The number of the oldest record of the journal that is needed here."""
        return self.tx and self.budget and self.budget.record or self.journal.next

    def tick(self, now_ms):
        """Take note of what the outlet did; call it after the outlet's tick."""
        self._now_ms = now_ms
        outlet = self.outlet
        points = self.points()
        if outlet.plugged or not self.authorised:
            self._unplugged_ms = now_ms
        elif diff(now_ms, self._unplugged_ms) >= self._patience[0]:
            self.stop(self._patience[1], self._patience[2])
        if points != self._points:
            self._turn(points)
        outlet.departed = False  # it may be plugged again already
        if self._closing:
            self._closing.closing(self, now_ms)
            return
        state = outlet.charging_state
        if state != self._seen:
            self._held = diff(now_ms, self._seen_ms) >= self._steady_ms
            self._seen = state
            self._seen_ms = now_ms
        if self.tx and state != self._state and (outlet.plugged or self._state != _UNKNOWN):
            # What follows upon a steady state is told at once, else when it is steady itself.
            if self._held or diff(now_ms, self._seen_ms) >= self._steady_ms:
                self._changed()
        if diff(now_ms, self._second_ms) >= _SECOND_MS:
            self._second_ms = now_ms
            self._second(now_ms)

    def points(self):
        """Which of the four points hold."""
        outlet = self.outlet
        points = _AUTHORISED if self.authorised else 0
        if outlet.plugged and not outlet.departed:
            points |= (_CONNECTED | _PATH) if points else _CONNECTED
            if outlet.charging_state == _CHARGING:
                points |= _TRANSFER
        return points

    def _turn(self, points):
        fell = self._points & ~points
        rose = points & ~self._points
        if fell & _CONNECTED:
            self.stop("EVDisconnected", "EVCommunicationLost")
        if self.tx and not self._closing:
            if fell & self._stops or (
                fell & (_CONNECTED | _AUTHORISED) and not (self.authorised or points & self._stops)
            ):
                # Where it raises the points are as before: the next turn tries again.
                bounds = _bounds()
                bounds.close(self, fell & _CONNECTED)
                self._closing = bounds
            elif fell & _AUTHORISED and self._ending:
                self.event(UPDATED, self._ending[1])
        self._points = points
        held = self.tx or self.outlet.inoperative and not self.authorised
        if rose and points & self._starts and not held:
            # The last of several that came at once is the one that was waited for.
            by_plug = rose & _CONNECTED and not rose & _TRANSFER
            try:
                _bounds().begin(self, "CablePluggedIn" if by_plug else "ChargingStateChanged")
            finally:
                if not self.tx:  # where it cannot be kept nothing may flow
                    self.stop("Other", "AbnormalCondition")

    def _changed(self):
        trigger = "ChargingStateChanged"
        if self._state == _UNKNOWN:
            trigger = "TxResumed"
        elif not self._state:
            trigger = "CablePluggedIn"
        if not self.journal.full:
            self.event(UPDATED, trigger, trigger == "TxResumed")

    def _second(self, now_ms):
        mwh = self.register.update()
        if self.tx and self._state != _UNKNOWN:
            sampled = diff(now_ms, self._sampled_ms) >= self._sample_ms
            clock = 0
            if self._aligned_ms and self.wall.is_set:
                clock = self.wall.unix_ms(self.wall.uptime_ms) // self._aligned_ms
            # With the line gone for long what can be left out is; seqNo stays gapless.
            if (sampled or clock != self._aligned) and not self.journal.crowded:
                if sampled:
                    self._sampled_ms = now_ms
                    self.event(UPDATED, "", True)
                if clock != self._aligned and self._aligned:
                    self.event(UPDATED, "MeterValueClock", True)
            self._aligned = clock
        if mwh != self._kept_mwh and diff(now_ms, self._kept_ms) >= self._keep_ms:
            self.keep()
            if self._kept_ms != now_ms:
                _bounds().unkept(self)
        if self.budget:
            self.budget.tick(self)  # last: it may want for memory

    def event(self, kind, trigger, read=False, rest=""):
        """Keep an event of the transaction, and then where it stands. Raises OSError for a Started
        or Ended, or one with a `rest`, that cannot be kept; any other is left out then.
        """
        flags, boot, time = self.wall.now()
        flags |= kind
        if not self._backend.ready:
            flags |= _OFFLINE
        tx = self.tx or self.journal.next
        self._state = self.outlet.charging_state
        tail = (trigger + rest).encode()
        if read:
            flags |= _READING
            mwh = self.register.update()
            tail = pack("<Q", mwh) + bytes(self.register.reading[3:]) + tail
        head = pack(
            "<BBIq4BII",
            1, flags, boot, time, self.evse_id, self._state, self._mask, self._phases, tx,
            self._seq,
        )  # fmt: skip
        try:
            self.journal.append(head + tail)
        except OSError:
            if kind != UPDATED or rest:
                raise
            return
        self._seq += 1
        if kind == UPDATED:
            self.keep()

    def keep(self):
        """Save in the cell where outlet and transaction stand."""
        flags, boot, time = self.wall.now()
        began, began_boot, began_time = self._began
        kept = self.budget.kept(self) if self.budget else b"\0"
        data = pack(
            "<BBBBIIIQQIqIqI10s10s",
            2, flags | (1 if self.authorised else 0), began, self._state,
            self.journal.next, self.tx, self._seq,
            self.register.mwh, self._start_mwh, boot, time, began_boot, began_time, self.spent_s,
            self.token or b"", self.group or b"",
        ) + kept  # fmt: skip
        if self._ending:
            data += "\n".join(self._ending).encode()
        try:
            self._cell.save(data)
            self._kept_ms = self._now_ms
            self._kept_mwh = self.register.mwh
        except OSError:
            pass  # the journal says it all; it is tried again where energy flows


def _bounds():
    return borrow("firmware.ledger.bounds")
