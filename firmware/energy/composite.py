"""What charging profiles allow, at one instant after the other; imported for each look and let go
of. Whole numbers only: mA, mW and seconds.

A profile as bytes, little-endian:

    id i32; evse u8, 0: the station; purpose u8, an index into PURPOSES; kind u8, into KINDS
    1: its limits are in W, else in A; u8
    stack level u8
    valid from, valid to, start of its schedule: Unix time in s, u32 each, 0: not given
    duration of the schedule in s u32, NEVER: none
    least rate that a vehicle can use, in thousandths of the unit u32
    number of the schedule i32
    interval of a dynamic one's updates in s u32, 0: none
    how long it outlives the line in s u32, NEVER: for ever
    1: after that it is gone for good; u8
    length of the transaction's id u8, then that
    to the end, each period: its start in s u32, limit in thousandths u32, phases u8 (255: none)

**Which one counts.** Of each purpose it is the one of the highest stack level that is valid and
has a period then; a TxProfile takes the place of every TxDefaultProfile. The outlet may offer the
least of what the purposes allow. What is for the whole station is divided by the number of outlets
at which somebody is authorised. Less than 6 A, or than the least rate, is a pause.

**Power** becomes a current by the nominal voltage (`nominal_v`, of a phase) and all phases of the
outlet, whatever a period says of phases: the contactor switches all of them, and the vehicle may
use them.

**Time.** Schedules go by the date; relative ones by the seconds that the transaction has lasted,
0 before it begins. Nothing of a recurring one is before its first start. While the date is not
known what needs it allows the fall-back, and so does a dynamic one that was not updated since the
start, nor within GRACE_S of its interval; a dynamic one's duration counts from its update.
"""

from struct import calcsize, unpack_from

from micropython import const

PURPOSES = (
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
)
EXTERNAL, MAX, TX_DEFAULT, TX = range(4)
KINDS = ("Absolute", "Daily", "Weekly", "Relative", "Dynamic")
ABSOLUTE, DAILY, WEEKLY, RELATIVE, DYNAMIC = range(5)
FORMAT = "<iBBBBBIIIIIiIIBB"
PERIOD = "<IIB"
NEVER = (1 << 32) - 1
GRACE_S = const(30)  # as long as an answer is waited for

# What `unpack` gives.
ID = const(0)
EVSE = const(1)
PURPOSE = const(2)
KIND = const(3)
WATTS = const(4)
LEVEL = const(5)
FROM = const(6)
TO = const(7)
START = const(8)
DURATION = const(9)
LEAST = const(10)
SCHEDULE = const(11)
INTERVAL = const(12)
OFFLINE = const(13)
VOID = const(14)
TX_ID = const(15)
PERIODS = const(16)  # where they begin

_HEAD = calcsize(FORMAT)
_PERIOD = calcsize(PERIOD)
_CYCLES = (0, 86400, 604800, 0, 0)
_MIN_MA = const(6000)
_MOST_MA = const((1 << 30) - 1)


def unpack(data) -> tuple:
    """The fields of a profile, by the numbers above; the transaction's id as text."""
    at = _HEAD + data[_HEAD - 1]
    return unpack_from(FORMAT, data)[:-1] + (str(data[_HEAD:at], "utf-8"), at)


def matches(fields, criteria, evse_id):
    """Whether a profile is one of those that `criteria`, a ClearChargingProfileType or a
    ChargingProfileCriterionType, ask for; `evse_id` None: of any outlet.
    """
    purpose = PURPOSES[fields[PURPOSE]]
    return (
        evse_id in (None, fields[EVSE])
        and criteria.get("chargingProfilePurpose", purpose) == purpose
        and criteria.get("stackLevel", fields[LEVEL]) == fields[LEVEL]
    )


def bound(data, transaction_id):
    """The profile `data`, which has no transaction yet, for this one."""
    name = transaction_id.encode()
    return data[: _HEAD - 1] + bytes((len(name),)) + name + data[_HEAD:]


def period(data, at):
    """(start in s, limit in thousandths, phases or 255)."""
    return unpack_from(PERIOD, data, at)


def periods(data, fields):
    """Where in `data` each period begins."""
    return range(fields[PERIODS], len(data), _PERIOD)


class Part:
    """A profile and what it allows from now on: `ma` (None: it does not count), until `until_s`
    from now (None: for ever). `why`: what is wrong with it, in words, or "".
    """

    def __init__(self, data, fields):
        self.data = data
        self.fields = fields
        self.ma = None
        self.why = ""
        self.until_s = 0


class Composite:
    """What the profiles `kept` allow an outlet.

    `now`: unix_s (None: date unknown), uptime_s, offline_s (None: there is a line), fallback_ma,
    and updated, {id of a dynamic profile: (uptime in s, limit in thousandths)}. `outlet`: evse
    (0: the station as a whole), tx (its transaction's id, or ""), spent_s of it, among how many
    outlets the station's limits are divided, phases, nominal_v.
    """

    def __init__(self, kept, now, outlet):
        self._now = now
        self._outlet = outlet
        self.pulls = []  # ids of those for which an update is to be asked
        self.void = []  # ids of those that are gone for good
        self.looks = 0  # at profiles so far
        self._parts = []
        for data in kept:
            fields = unpack(data)
            if fields[EVSE] in (0, outlet["evse"]) and (
                fields[PURPOSE] != TX or fields[TX_ID] in ("", outlet["tx"])
            ):
                if outlet["evse"] or fields[PURPOSE] < TX_DEFAULT:
                    self._parts.append(Part(data, fields))
        self.go(0)

    def go(self, ahead_s):
        """On to what holds `ahead_s` seconds from now."""
        for part in self._parts:
            if part.until_s is not None and part.until_s <= ahead_s:
                self.looks += 1
                left_s = self._look(part, ahead_s)
                part.until_s = left_s and ahead_s + left_s

    def until(self):
        """Up to when nothing changes, in s from now; None: for ever."""
        ends = [part.until_s for part in self._parts if part.until_s is not None]
        return min(ends) if ends else None

    def session(self):
        """The Part that bounds transactions; None: none does."""
        return self._highest(TX) or self._highest(TX_DEFAULT)

    def station(self):
        """The Part that bounds what the station takes; None: none does."""
        found = self._highest(MAX)
        other = self._highest(EXTERNAL)
        if found and other:
            return other if other.ma < found.ma else found
        return found or other

    def _highest(self, purpose):
        best = None
        for part in self._parts:
            fields = part.fields
            if fields[PURPOSE] == purpose and part.ma is not None:
                key = fields[LEVEL], fields[EVSE]
                if best is None or key > (best.fields[LEVEL], best.fields[EVSE]):
                    best = part
        return best

    def _look(self, part, ahead_s):
        # For how many seconds it stays what it is now; None: for ever.
        fields = part.fields
        now = self._now
        kind = fields[KIND]
        part.ma = None
        part.why = ""
        left = []
        if fields[OFFLINE] != NEVER and now["offline_s"] is not None:
            gone_s = now["offline_s"] + ahead_s
            if gone_s >= fields[OFFLINE]:
                if fields[VOID] and not ahead_s:
                    self.void.append(fields[ID])
                return None
            left.append(fields[OFFLINE] - gone_s)
        unix_s = now["unix_s"]
        if unix_s is None:
            if kind <= WEEKLY or fields[FROM] or fields[TO] or fields[START]:
                self._fall_back(part, "the date is not known")
                return min(left) if left else None
        else:
            unix_s += ahead_s
            since = max(fields[FROM], fields[START])
            if unix_s < since:
                return min(left + [since - unix_s])
            if fields[TO]:
                if unix_s >= fields[TO]:
                    return None
                left.append(fields[TO] - unix_s)
        if kind == DYNAMIC:
            self._updated(part, ahead_s, left)
        else:
            elapsed_s = self._outlet["spent_s"] + ahead_s
            if kind != RELATIVE:
                elapsed_s = unix_s - fields[START]
                if kind != ABSOLUTE:
                    elapsed_s %= _CYCLES[kind]
                    left.append(_CYCLES[kind] - elapsed_s)
            self._scheduled(part, elapsed_s, left)
        return min(left) if left else None

    def _scheduled(self, part, elapsed_s, left):
        fields = part.fields
        if elapsed_s >= fields[DURATION]:
            return
        if fields[DURATION] != NEVER:
            left.append(fields[DURATION] - elapsed_s)
        # The last one that has begun, by halving.
        places = periods(part.data, fields)
        low = 0
        high = len(places)
        while high - low > 1:
            middle = (low + high) // 2
            if period(part.data, places[middle])[0] <= elapsed_s:
                low = middle
            else:
                high = middle
        if high < len(places):
            left.append(period(part.data, places[high])[0] - elapsed_s)
        self._allow(part, period(part.data, places[low])[1])

    def _updated(self, part, ahead_s, left):
        fields = part.fields
        if fields[ID] not in self._now["updated"]:
            self._fall_back(part, "not updated since the start")
            self._pull(fields, ahead_s, left)
            return
        at_s, limit = self._now["updated"][fields[ID]]
        since_s = self._now["uptime_s"] + ahead_s - at_s
        interval_s = fields[INTERVAL]
        if interval_s:
            if since_s >= interval_s:
                self._pull(fields, ahead_s, left)
            else:
                left.append(interval_s - since_s)
            if since_s >= interval_s + GRACE_S:
                self._fall_back(part, "not updated in time")
                return
            left.append(interval_s + GRACE_S - since_s)
        if since_s < fields[DURATION]:
            if fields[DURATION] != NEVER:
                left.append(fields[DURATION] - since_s)
            self._allow(part, limit)

    def _pull(self, fields, ahead_s, left):
        if fields[INTERVAL] and not ahead_s:
            self.pulls.append(fields[ID])
            left.append(GRACE_S)  # to the next try

    def _fall_back(self, part, why):
        part.ma = self._now["fallback_ma"]
        part.why = why

    def _allow(self, part, limit):
        fields = part.fields
        outlet = self._outlet
        ma = limit
        if fields[PURPOSE] < TX_DEFAULT and not fields[EVSE]:
            ma //= outlet["among"]
        if fields[WATTS]:
            ma //= outlet["nominal_v"] * outlet["phases"]
        part.ma = 0 if limit < fields[LEAST] or ma < _MIN_MA else min(ma, _MOST_MA)
