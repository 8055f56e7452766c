"""What a session costs, and what it may take at most: energy, time, cost. Imported for a session
that has a tariff or such a limit, and held by it until it ends.

The cost is reckoned by firmware.ledger.cost, which is imported for each step: when the outlet
begins or ceases to charge, when at the prices that hold the balance may be used up, and at least
once a minute. Where it stands is kept with the transaction, in the outlet's cell (firmware.ledger.
recovery), little-endian:

    limits: mWh u64, s u32, micro u64 (0: none)
    number of the record in the journal with the tariff u32 (0: it has none)
    flags u8: 1 the tariff is the driver's, 2 charging since the last step
    what the transaction had taken at the last step in mWh u64, ms since that u32
    offset of local time in minutes s16; how often the cost is told in s u32 (0: at the end only)
    to the end: the state of the cost

The tariff's record, of the kind 7, is evse u8 and the bytes of the tariff. It is written anew when
it has become old, so that it does not keep the journal from being let go of.
"""

from struct import calcsize, pack, unpack_from

from micropython import const

from firmware import borrow
from firmware.ledger.session import UPDATED

_KEPT = "<QIQIBQIhI"
_TARIFF = const(7)
_DRIVERS = const(1)
_CHARGING = const(2)
_UNKNOWN = const(255)  # the state of one that is gone on with, until its vehicle was seen
_STEP_MS = const(60000)
_RISING_MS = const(5000)  # once it charges: the power that it is judged by comes slowly
_OLD = const(32)  # records since the tariff's


class Budget:
    """`limits` as of Session.start; the tariff, bytes as of firmware.ledger.tariff, is in them as
    `tariff`, whether it is a driver's as `driver`, the local time's `utc_offset_min`, and how
    often to tell the cost as `running_s`.
    """

    def __init__(self, limits):
        self.limits = (
            limits.get("max_mwh", 0), limits.get("max_s", 0), limits.get("max_cost", 0)
        )  # fmt: skip
        self.tariff = limits.get("tariff")
        self.driver = limits.get("driver", False)
        self.record = 0  # of the tariff
        self._offset_min = limits.get("utc_offset_min", 0)
        self._running_s = limits.get("running_s", 0)
        self._state = b""  # of the cost
        self._charging = False
        self._told_ms = 0
        self._from_ms = self._from_mwh = self._due_ms = self._due_mwh = 0

    def begin(self, session):
        """Keep the tariff, if there is one, and charge what a start costs. Raises OSError when it
        cannot be kept.
        """
        if self.tariff:
            self._file(session, self.tariff)
            self._from_ms = self._told_ms = session.wall.uptime_ms
            self._from_mwh = session.energy_mwh
            self._charging = session.outlet.energised
            self._due_ms = self._due_mwh = 0
            state = _module("cost").begin(self.tariff, self._offset_min, self._unix_ms(session))
            self._state = state

    def change(self, session, tariff, driver):
        """Go on with another tariff. Returns what `go_back` takes. Raises ValueError when its
        currency is another one, OSError when it cannot be kept.
        """
        session.register.update()
        if self.tariff:
            self._step(session)
        before = self.tariff, self.driver, self.record, self._state
        if self.tariff:
            cost = _module("cost")
            reckoned = cost.Cost(self.tariff, self._state)
            if reckoned.currency != cost.Cost(tariff).currency:
                raise ValueError("expected a tariff in %s" % reckoned.currency)
            self._file(session, tariff)
            self._state = reckoned.settle()
            self.tariff = tariff
            self._due_ms = 0
        else:
            self.tariff = tariff
            try:
                self.begin(session)
            except OSError:
                self.tariff = None
                raise
        self.driver = driver
        return before

    def go_back(self, before):
        """Go on with the tariff from before a change that was made just now."""
        self.tariff, self.driver, self.record, self._state = before
        self._due_ms = 0

    def limit(self, limits):
        """From now on at most (mWh, s, micro); 0: as much as it likes."""
        self.limits = limits
        self._due_ms = 0

    def tick(self, session):
        """Once a second; nothing happens before there is a transaction."""
        if not session.tx or session._state == _UNKNOWN:
            return
        most_mwh, most_s, most = self.limits
        mwh = session.energy_mwh
        if most_mwh and mwh >= most_mwh:
            session.stop("EnergyLimitReached", "EnergyLimitReached")
        elif most_s and session.spent_s >= most_s:
            session.stop("TimeLimitReached", "TimeLimitReached")
        if not self.tariff:
            return
        now_ms = session.wall.uptime_ms
        if (
            now_ms - self._from_ms >= self._due_ms
            or mwh - self._from_mwh >= self._due_mwh
            or self._charging != session.outlet.energised
        ):
            if self._step(session) and most:
                session.stop("LocalOutOfCredit", "CostLimitReached")
            session.keep()
        try:
            before = self.record
            if session.journal.next - before > _OLD:
                self._file(session, self.tariff)
                session.keep()
                if session._kept_ms != session._now_ms:
                    self.record = before  # the cell still names that one
            if self._running_s and now_ms - self._told_ms >= self._running_s * 1000:
                self._told_ms = now_ms
                if not session.journal.crowded:
                    self._step(session)
                    session.event(UPDATED, "RunningCost", True, "\n" * 6 + self.text(True))
        except OSError:
            pass  # the old record is there still, and the cost is told later

    def bill(self, session):
        """(text of a record, cost), of what has ended; cost: (micro with tax, currency), None
        without a tariff.
        """
        if not self.tariff:
            return "", None
        self._step(session)
        found = _module("cost").Cost(self.tariff, self._state)
        return self.text(True, True), (found.total()[1], found.currency)

    def text(self, costs=False, ended=False):
        """What an event tells of it, as a record has it: which tariff, the limits when `costs` is
        not asked for, or what was the cost at the last step.
        """
        limits = (0, 0, 0) if costs else self.limits
        return _module("bill").text(limits, self.tariff, self._state if costs else None, ended)

    def kept(self, session):
        """As bytes, of which the first says how many follow."""
        since_ms = session.wall.uptime_ms - self._from_ms if self.tariff else 0
        flags = (_DRIVERS if self.driver else 0) | (_CHARGING if self._charging else 0)
        data = pack(
            _KEPT, *self.limits, self.record, flags, self._from_mwh, since_ms, self._offset_min,
            self._running_s,
        )  # fmt: skip
        return bytes((len(data) + len(self._state),)) + data + self._state

    def _file(self, session, tariff):
        self.record = session.journal.append(bytes((_TARIFF, session.evse_id)) + tariff)

    def _unix_ms(self, session):
        return session.wall.unix_ms(self._from_ms) if session.wall.is_set else None

    def _step(self, session):
        # Whether the balance is used up.
        cost = _module("cost")
        now_ms = session.wall.uptime_ms
        reading = session.register.reading
        mwh = session.energy_mwh
        drawn = sum(reading[7:10]), max(reading[10], 0), self.limits[2] or None
        self._state, left_mwh, left_ms = cost.step(
            self.tariff, self._state, self._offset_min, self._unix_ms(session),
            now_ms - self._from_ms, mwh - self._from_mwh, self._charging, *drawn,
        )  # fmt: skip
        self._from_ms = now_ms
        self._from_mwh = mwh
        most_ms = _STEP_MS
        if self._charging != session.outlet.energised:
            self._charging = not self._charging
            most_ms = _RISING_MS
            self._state, left_mwh, left_ms = cost.step(
                self.tariff, self._state, self._offset_min, self._unix_ms(session), 0, 0,
                self._charging, *drawn,
            )  # fmt: skip
        self._due_ms = most_ms if left_ms is None else min(left_ms, most_ms)
        self._due_mwh = 1 << 40 if left_mwh is None else left_mwh
        return left_ms == 0 or left_mwh == 0


def restored(kept, journal, unix_ms, mwh, now_ms):
    """The Budget of `kept`, with what came after that: the transaction has taken `mwh`, and was
    kept at `unix_ms` (None: date unknown). It goes on at the uptime `now_ms`. None when its tariff
    cannot be read. Raises OSError.
    """
    most_mwh, most_s, most, record, flags, from_mwh, ms, offset_min, running_s = unpack_from(
        _KEPT, kept
    )
    found = Budget({
        "max_mwh": most_mwh, "max_s": most_s, "max_cost": most, "utc_offset_min": offset_min,
        "driver": bool(flags & _DRIVERS), "running_s": running_s,
    })  # fmt: skip
    found._from_mwh = mwh
    found._from_ms = found._told_ms = now_ms
    if record:
        filed = journal.read(record) or b"\0"
        if filed[0] != _TARIFF:
            return None
        found.record = record
        found.tariff = filed[2:]
        found._state = _module("cost").step(
            found.tariff, kept[calcsize(_KEPT) :], offset_min,
            unix_ms and unix_ms - ms, ms, max(mwh - from_mwh, 0), flags & _CHARGING,
        )[0]  # fmt: skip
    return found


def _module(name):
    return borrow("firmware.ledger." + name)
