"""What a session costs, by an OCPP 2.1 tariff: imported for one step at a time, see
firmware.let_go.

A tariff comes as the bytes that firmware.ledger.tariff.check makes of the backend's, a state as
the bytes of the former step, b"" at first. Whoever has a session does three things:

    cost.begin(tariff, offset_min, unix_ms)           -> state: the fixed fee is charged
    cost.step(tariff, state, offset_min, unix_ms, ms, mwh, charging, ma, mw, most)
                                                      -> (state, mwh, ms)
    bill.details(tariff, state, ended)                -> CostDetailsType for a TransactionEvent

A step tells what was since the former one: it began at `unix_ms` (None: date unknown), took `ms`,
took `mwh` of energy; `charging` or idle; `ma` is the sum of the currents, `mw` the power.
`step` also tells how far a balance of `most` (None: without end) reaches at the prices that hold
now: `mwh` and `ms` until it is used up, each None where it never is. Take the next step when the
first of them has passed, if no sample is due before; stop when one of them is 0. So the balance
is exceeded by no more than what one step costs, and only where a price rose or the meter jumped
within it. Stop earlier by what flows until the contactor is open, if nothing must exceed it.

**Exact.** Amounts are in millionths of the currency ("micro"). Energy is added up as micro * mWh
(10^-12 of the currency), time as micro * ms (1/60000 micro), in whole numbers: no step is rounded.
What is told is rounded half up to a micro, once for each of the six parts of the cost, without
and with its tax; a total is the sum of these. A tax of 19 % on top of another (`stack`) is exact,
too. The same on every interpreter: no float is used here.

**Cut.** A step is cut where a price may change: times of day, midnight, thresholds of energy and
of durations. Energy flows evenly within a step, and is rounded down to whole mWh, time to whole
ms, at a cut. So a step gives the same sum as any two steps that make it up, as long as the energy
of each is its share of the time. Feed steps of a sample interval: a day takes long.

**Conditions.** The first price of a list whose conditions all hold is taken; where none does it
costs nothing. Times of day and dates are local by a fixed offset (`utc_offset_min`): a pile knows
no summer time. A span over midnight belongs to the day that it is in at the moment. Without a date
whatever depends on it does not hold, and firmware.ledger.bill says that the cost is uncertain.
Charging and idle time are those of the whole transaction. minCost holds at the end only.

**State.** 20 to 45 bytes usually, at most STATE_BYTES (energy below 2^36 mWh, 49 days, prices up
to 10^6, taxes below 100 %).
"""

from micropython import const

STATE_BYTES = const(150)
# The parts of a cost
_FIXED = const(0)
_RESERVED = const(1)
_RESERVED_FIXED = const(2)
_ENERGY = const(3)
_CHARGING = const(4)
_IDLE = const(5)
_PARTS = const(6)
# The state's numbers: mWh, charging ms, idle ms; sums of energy, charging and idle time (so that
# part and number agree); ms of the reservation; whether a date was missing; from _BOOKED on what
# is settled, in micro: for each part without and with tax.
_RESERVED_MS = const(6)
_UNDATED = const(7)
_BOOKED = const(8)
_STATE = const(20)
_MICRO = const(1000000)
_MINUTE = const(60000)
_DAY = const(86400000)
_TIME = const(5)  # among what conditions are judged by, see `add`


def begin(tariff, offset_min, unix_ms, reserved=None):
    """The state at the start of a transaction; `reserved`: (unix_ms, ms) of the reservation that
    it follows.
    """
    cost = Cost(tariff, b"", offset_min)
    if reserved:
        cost.reserve(*reserved)
    cost.start(unix_ms)
    return cost.save()


def step(tariff, state, offset_min, unix_ms, ms, mwh, charging, ma=0, mw=0, most=None):
    """See above."""
    cost = Cost(tariff, state, offset_min)
    cost.add(unix_ms, ms, mwh, charging, ma, mw)
    if unix_ms is not None:
        unix_ms += ms
    left = (None, None) if most is None else cost.left(most, unix_ms, charging, ma, mw)
    return (cost.save(),) + left


class Cost:
    """Raises ValueError for what is no tariff of this format."""

    def __init__(self, tariff, state=b"", offset_min=0):
        self._offset_ms = offset_min * _MINUTE
        self.at = []
        try:
            if tariff[0] != 1:
                raise ValueError
            at = 5 + tariff[4]
            self.currency = str(tariff[1:4], "utf-8")
            self.tariff_id = str(tariff[5:at], "utf-8")
            self.numbers = v = unpack(tariff[at:])
            at = 5
            for _ in range(_PARTS):
                self.at.append(at + 1)
                at += v[at]
        except (ValueError, IndexError):
            raise ValueError("expected a tariff of format 1")
        self.state = unpack(state)
        self.state += [0] * (_STATE - len(self.state))
        self._gap_ms = self._gap_mwh = 0

    def save(self):
        """The state as bytes."""
        s = self.state
        end = _STATE
        while end and not s[end - 1]:
            end -= 1
        return pack(s[:end])

    def settle(self):
        """The state for another tariff of the same currency that goes on from here."""
        s = self.state
        for part, amounts in enumerate(self.parts()):
            s[_BOOKED + 2 * part : _BOOKED + 2 + 2 * part] = amounts
        s[_ENERGY] = s[_CHARGING] = s[_IDLE] = 0
        return self.save()

    def start(self, unix_ms):
        """Charge the fixed fee of a transaction that starts now."""
        self._book(_FIXED, self._price(_FIXED, self._local(unix_ms), [0] * 8, 0), 1)

    def reserve(self, unix_ms, ms):
        """Charge for a reservation that began at `unix_ms`, before the transaction; `minTime` and
        `maxTime` mean its own duration.
        """
        now = [0] * 8
        self._book(_RESERVED_FIXED, self._price(_RESERVED_FIXED, self._local(unix_ms), now, 0), 1)
        self._book(_RESERVED, self._walk(unix_ms, ms, 0, now, _RESERVED)[1], _MINUTE)
        self.state[_RESERVED_MS] += ms

    def add(self, unix_ms, ms, mwh, charging, ma=0, mw=0):
        """One step, see above."""
        s = self.state
        part = _CHARGING if charging else _IDLE
        energy, time = self._walk(unix_ms, ms, mwh, self._now(ma, mw), part)
        s[0] += mwh
        s[part - 3] += ms
        s[_ENERGY] += energy
        s[part] += time

    def parts(self):
        """(without tax, with tax) of each part in micro: fixed fee, time and fee of a
        reservation, energy, charging time, idle time.
        """
        found = []
        for part in range(_PARTS):
            at = _BOOKED + 2 * part
            without, taxed = self.state[at : at + 2]
            if part >= _ENERGY:
                more = self._taxed(part, self.state[part], _MICRO if part == _ENERGY else _MINUTE)
                without += more[0]
                taxed += more[1]
            found.append((without, taxed))
        return found

    def total(self, ended=True):
        """(without tax, with tax, TariffCostEnumType), in micro; `ended`: what is due if it ended
        now, with minCost.
        """
        without = taxed = 0
        for part in self.parts():
            without += part[0]
            taxed += part[1]
        # a bound is kept as one more than it is, 0: none
        _, low, low_taxed, high, high_taxed = self.numbers[:5]
        if high and (without >= high or taxed >= high_taxed):
            return min(without, high - 1), min(taxed, high_taxed - 1), "MaxCost"
        if ended and (without < low - 1 or taxed < low_taxed - 1):
            return max(without, low - 1), max(taxed, low_taxed - 1), "MinCost"
        return without, taxed, "NormalCost"

    def left(self, most, unix_ms, charging, ma=0, mw=0):
        """(mwh, ms) until `most` micro with tax are used up at the prices of now, each None when
        they never are; 0 when they are.
        """
        room = most - self.total(False)[1]
        if room <= 0 or self.total()[1] > most:
            return 0, 0
        if 0 < self.numbers[4] <= most + 1:
            return None, None
        room = max(0, room - 2)  # rounding of energy and time
        local = self._local(unix_ms)
        now = self._now(ma, mw)
        part = _CHARGING if charging else _IDLE
        energy, per_energy = self._tax(_ENERGY)
        energy *= self._price(_ENERGY, local, now, 0)
        time, per_time = self._tax(part)
        time *= self._price(part, local, now, 0)
        mwh = room * _MICRO * per_energy // energy if energy else None
        # 3.6e6 mW ms are a mWh, and 6e4 ms a minute: micro in 3.6e12 ms
        speed = energy * mw * per_time + time * per_energy * 60000000
        if not speed:
            return mwh, None
        ms = room * 3600000 * _MICRO * per_energy * per_time // speed
        if time and mw:
            mwh = ms * mw // 3600000
        return mwh, ms

    def _now(self, ma, mw):
        # What conditions are judged by; the first two are put there by _price.
        mwh, charging, idle = self.state[:3]
        return [0, 0, mwh, ma, mw, charging + idle, charging, idle]

    def _local(self, unix_ms):
        return None if unix_ms is None else unix_ms + self._offset_ms

    def _walk(self, unix_ms, ms, mwh, now, part):
        # The sums of energy and of `part`'s time over one step. It goes from cut to cut, each of
        # which is put on the line from the step's beginning to its end: cutting a step elsewhere,
        # too, does not move them.
        local = self._local(unix_ms)
        own = part + 2 if part >= _CHARGING else _TIME  # which duration grows besides _TIME
        first = now[:]
        t = e = energy = time = 0
        while t < ms or e < mwh:
            self._gap_ms = ms - t
            self._gap_mwh = mwh - e
            price = self._price(part, local, now, own)
            price_energy = self._price(_ENERGY, local, now, own) if mwh else 0
            to_t = t + self._gap_ms
            to_e = e + self._gap_mwh
            if to_t < ms and (to_e >= mwh or to_t * mwh <= to_e * ms):
                to_e = mwh * to_t // ms
            elif to_e < mwh:
                to_t = to_e * ms // mwh
            time += price * (to_t - t)
            energy += price_energy * (to_e - e)
            if local is not None:
                local += to_t - t
            t = to_t
            e = to_e
            now[2] = first[2] + e
            now[_TIME] = first[_TIME] + t
            if own != _TIME:
                now[own] = first[own] + t
        return energy, time

    def _price(self, part, local, now, own):
        # The price of `part` that holds; what is left until another may is put into _gap_ms and
        # _gap_mwh where that comes before what they have.
        v = self.numbers
        at = self.at[part]
        at += 1 + v[at]
        day = minute = 0
        if local is not None:
            day, of_day = divmod(local, _DAY)
            minute = of_day // _MINUTE
            now[1] = day
            self._soon(_DAY - of_day)
        for _ in range(v[at]):
            price, mask = v[at + 1], v[at + 2]
            at += 2
            holds = True
            bit = 0
            while mask >> bit:
                if mask >> bit & 1:
                    at += 1
                    value = v[at]
                    if bit < 4 and local is None:
                        self.state[_UNDATED] = 1
                        true = False
                    elif bit == 0:
                        start = value >> 11
                        end = value & 2047
                        self._soon(start * _MINUTE - of_day)
                        self._soon(end * _MINUTE - of_day)
                        true = start <= minute < end
                        if start >= end:
                            true = minute >= start or minute < end
                    elif bit == 1:
                        true = value >> (day + 3) % 7 & 1  # 1970 began with a Thursday
                    else:
                        have = now[bit >> 1]
                        if bit >> 1 in (_TIME, own):
                            self._soon(value - have)
                        elif bit >> 1 == 2 and 0 < value - have < self._gap_mwh:
                            self._gap_mwh = value - have
                        true = (have >= value) != (bit & 1)
                    holds = holds and true
                bit += 1
            if holds:
                return price
        return 0

    def _soon(self, gap_ms):
        if 0 < gap_ms < self._gap_ms:
            self._gap_ms = gap_ms

    def _tax(self, part):
        # What tax multiplies a part by, as a fraction.
        at = self.at[part]
        above = below = 1
        for level in self.numbers[at + 1 : at + 1 + self.numbers[at]]:
            above *= level
            below *= 100000000
        return above, below

    def _taxed(self, part, amount, unit):
        above, below = self._tax(part)
        return _round(amount, unit), _round(amount * above, unit * below)

    def _book(self, part, amount, unit):
        at = _BOOKED + 2 * part
        without, taxed = self._taxed(part, amount, unit)
        self.state[at] += without
        self.state[at + 1] += taxed


def pack(values):
    """Whole numbers from 0 as bytes, 7 bits each, the least first."""
    data = bytearray()
    for value in values:
        while value > 127:
            data.append(value & 127 | 128)
            value >>= 7
        data.append(value)
    return bytes(data)


def unpack(data):
    """The list of numbers that `pack` made `data` of."""
    values = []
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    return values


def _round(amount, unit):
    return (2 * amount + unit) // (2 * unit)
