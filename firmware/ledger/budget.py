"""What a session may take at most: energy, time, cost. Imported for a session that has such a
limit, and held by it until it ends.

Its cost is reckoned by firmware.ledger.cost, which is imported for each step: when at the prices
that hold the balance may be used up, and at least once a minute. It is not kept over a power cut:
a session with a greatest cost is not gone on with.
"""

from firmware import let_go

_STEP_MS = 60000


class Budget:
    """`limits` as of Session.start; the tariff, bytes as of firmware.ledger.tariff, is in them as
    `tariff`, the local time's `utc_offset_min` too.
    """

    def __init__(self, limits):
        self.limits = (
            limits.get("max_mwh", 0), limits.get("max_s", 0), limits.get("max_cost", 0)
        )  # fmt: skip
        self._tariff = limits.get("tariff")
        self._offset_min = limits.get("utc_offset_min", 0)
        self._state = None  # of the cost; None: nothing was charged yet
        self._from_ms = self._from_mwh = self._due_ms = self._due_mwh = 0

    def tick(self, session):
        """Once a second while there is a transaction."""
        most_mwh, most_s, most = self.limits
        mwh = session.energy_mwh
        if most_mwh and mwh >= most_mwh:
            session.stop("EnergyLimitReached", "EnergyLimitReached")
        elif most_s and session.spent_s >= most_s:
            session.stop("TimeLimitReached", "TimeLimitReached")
        if self._tariff and (
            self._state is None
            or session.wall.uptime_ms - self._from_ms >= self._due_ms
            or mwh - self._from_mwh >= self._due_mwh
        ):
            if self._step(session, mwh) and most:
                session.stop("LocalOutOfCredit", "CostLimitReached")

    def total(self, session):
        """(micro with tax, currency) of what has ended; None without a tariff."""
        if not self._tariff:
            return None
        self._step(session, session.energy_mwh)
        found = _cost().Cost(self._tariff, self._state or b"")
        return found.total()[1], found.currency

    def _step(self, session, mwh):
        # Whether the balance is used up.
        cost = _cost()
        wall = session.wall
        now_ms = wall.uptime_ms
        if self._state is None:
            self._from_ms = session._from_ms
            unix_ms = wall.unix_ms(self._from_ms) if wall.is_set else None
            self._state = cost.begin(self._tariff, self._offset_min, unix_ms)
        unix_ms = wall.unix_ms(self._from_ms) if wall.is_set else None
        reading = session.register.reading
        self._state, left_mwh, left_ms = cost.step(
            self._tariff, self._state, self._offset_min, unix_ms, now_ms - self._from_ms,
            mwh - self._from_mwh, session.outlet.energised, sum(reading[7:10]),
            max(reading[10], 0), self.limits[2] or None,
        )  # fmt: skip
        self._from_ms = now_ms
        self._from_mwh = mwh
        self._due_ms = _STEP_MS if left_ms is None else min(left_ms, _STEP_MS)
        self._due_mwh = 1 << 40 if left_mwh is None else left_mwh
        return left_ms == 0 or left_mwh == 0


def _cost():
    try:
        from firmware.ledger import cost
    finally:
        let_go("firmware.ledger.cost")
    return cost
