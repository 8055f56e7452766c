"""Drivers, one file a chip, each handed its buses by `make(buses, spec, phases)`; and here what
several of them share: time, and a meter's cells. What a driver needs of hal.chips.spec it imports
where it is made.

A driver's `tick(now_ms)` comes every 20 ms, does one short bus transfer, never waits or raises.
"""

from array import array

from micropython import const

NEVER_MS = const(1 << 29)  # the age of what was never read
_LONG_MS = const(2000)  # for longer no power is taken to have been the same
_MASK = const((1 << 30) - 1)
_HALF = const(1 << 29)

# Of a meter's cells, as in hal.roles.Meter.
WH = const(0)
MWH = const(1)
AGE = const(2)
MHZ = const(3)
MV = const(4)
MA = const(7)
MW = const(10)
CELLS = const(11)


def diff(a, b):
    """Milliseconds from `b` to `a`, both wrapping at 2^30; right while within 2^29 ms."""
    return (((a - b) & _MASK) ^ _HALF) - _HALF


def scaled(raw, by):
    """A chip's number in the units of hal.chips.spec.ratio, rounded."""
    return (raw * by + _HALF) >> 30


class Meter:
    """A meter's cells: their age, and energy out of a counter that wraps, resets and lies.

    A driver's `_step(now_ms)` does what is to be done in a tick, and calls `fresh` when it has
    read all that was needed and found it plausible. Energy begins at 0 with the firmware.
    `most_mw`: more than that the wiring cannot give.
    """

    def __init__(self, most_mw):
        self.cells = array("i", [0] * CELLS)
        self.cells[AGE] = NEVER_MS
        self._most_mw = most_mw
        self._now_ms = None
        self._rest = 0  # of a mWh, in 2^-30
        self._lead = 0  # of the energy before what was counted, in mWh x 2^30
        self._count = self._doubtful = None

    def read(self, into):
        """As hal.roles.Meter."""
        for i in range(CELLS):
            into[i] = self.cells[i]

    def tick(self, now_ms):
        """Every 20 ms: the reading ages, and the driver does one step."""
        self.passed(now_ms)
        try:
            self._step(now_ms)
        except OSError:
            pass  # no answer

    def passed(self, now_ms):
        """Let the reading age up to `now_ms`: for a driver with a `tick` of its own."""
        ms = 0 if self._now_ms is None else diff(now_ms, self._now_ms)
        if ms > 0:
            self.cells[AGE] = min(self.cells[AGE] + ms, NEVER_MS)
        self._now_ms = now_ms

    def _step(self, now_ms):
        pass

    def fresh(self, since_ms=None):
        """The cells hold what the chip had at `since_ms` (None: now)."""
        self.cells[AGE] = 0 if since_ms is None else max(diff(self._now_ms, since_ms), 0)

    def counted(self, count, by, mask, mw=None, since_ms=None):
        """Take the chip's energy counter, of `mask` + 1 values: `by` is the `ratio` of mWh to
        counts. Whether it is plausible; if not, nothing changes and the reading is none.

        Where a count is much energy, the mean power `mw` until `since_ms` (None: now) tells what
        flows between two counts; the energy stays within a count of what was counted.

        More than `most_mw` since the last reading is a lie, or the chip began at 0 again: the
        latter when the next reading goes on from there. Then what it counted since is added, if
        plausible too; what flowed between the last reading and the reset is lost.
        """
        # a reading may be of any moment since the one before: a second more than its age
        most = self._most_mw * (self.cells[AGE] + 1000) // 3600000 + (2 * by >> 30) + 1
        if self._count is None:
            self._count = count
        more = (count - self._count) & mask
        if more * by >> 30 > most:
            doubtful = self._doubtful
            self._doubtful = count
            if doubtful is None or ((count - doubtful) & mask) * by >> 30 > most:
                return False
            more = count if count * by >> 30 <= most else 0
        self._doubtful = None
        self._count = count
        energy = more * by
        if mw is not None:
            energy = self._between(energy, by, mw, since_ms)
        self.flowed(energy)
        return True

    def _between(self, counted, by, mw, since_ms):
        ms = self.cells[AGE]
        if since_ms is not None:
            ms -= diff(self._now_ms, since_ms)
        if ms > _LONG_MS:
            return counted
        lead = self._lead - counted + (max(mw, 0) * ms << 30) // 3600000
        lead = max(min(lead, by), -by)
        energy = max(counted + lead - self._lead, 0)  # it never falls
        self._lead += energy - counted
        return energy

    def flowed(self, energy):
        """Add `energy`, in mWh x 2^30."""
        energy += self._rest
        self._rest = energy & _MASK
        mwh = self.cells[MWH] + (energy >> 30)
        self.cells[WH] += mwh // 1000
        self.cells[MWH] = mwh % 1000
