"""The safety core of one outlet: from pilot samples to the contactor's drive pin, once per tick.

The core and its outlet share one array of integers. Each cell has a single writer; every value
stays within 30 bits, so that nothing allocates on a 32-bit MicroPython. All times are counted up
or down in milliseconds of tick time, never compared as stamps: a counter that wraps cannot fire a
timer early or late.
"""

from array import array

from micropython import const

from firmware.safety.faults import FAULTS, SELF, UNPLUG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.roles import Contactor, Inputs, Pilot, Witness

# --- Cells the outlet writes ---
REQUEST = const(0)  # 1: energise when the vehicle asks; 0: stop
OFFERED_MA = const(1)  # 6000 ... 80000 by PWM; below 6000: nothing on offer, steady +12 V
LEASE = const(2)  # the outlet's tick counter; the request dies when it stands still for _LEASE_MS
LOCKED = const(3)  # 1: the plug is locked, or there is nothing to lock
WAKE = const(4)  # a count; each change drives F for 4 s in state B (IEC 61851-1 A.5.3)
# --- Cells the supervision writes ---
CONDITIONS = const(5)  # fault bits whose conditions hold now
SENSOR = const(6)  # of residual current: 1 passed its self-test, 2 is being tested
CURRENT_MA = const(7)  # the largest of the phases, at the last reading
RESET = const(8)  # a count; each change lets go of what unplugging lets go of
# --- Cells the core writes ---
STATE = const(9)  # A1 ... F as in STATES
DRIVE = const(10)  # 1 while the drive pin is on
PERMILLE = const(11)  # of the pilot's period at +12 V: 1000 steady +12 V, 0 steady -12 V
STANDING = const(12)  # the faults, as bits of safety.faults
DEPARTED = const(13)  # counts vehicles that left (entries into state A), modulo 2^16
CLOSINGS = const(14)  # counts closings of the drive pin, modulo 2^24
FORCED = const(15)  # counts openings under load: no answer to a stop within 6 s; modulo 2^16
FORCED_MA = const(16)  # CURRENT_MA at the last of these
CLOSE_MS = const(17)  # from drive pin to mirror contact, at the last closing
ERRORS = const(18)  # counts exceptions caught in the tick, modulo 2^16
TICKS = const(19)  # counts ticks, modulo 2^30: standing still means that the timer died
GUARD_MS = const(20)  # left until PWM may be offered again
HARD = const(21)  # the standing faults that only service clears, beyond those of the table
INPUTS = const(22)  # the input word of the last tick
LEVEL_MV = const(23)  # the voted high plateau of the last tick
# --- The core's own memory ---
_LETTER = const(24)  # 0 A, 1 B, 2 C, 3 D, 4 E: the voted class of the high plateau
_LAST_MS = const(25)  # clock at the last tick
_STARTED = const(26)  # 0 until the first tick has set _LAST_MS
_HIGHS = const(27)  # samples seen so far, to tell new ones
_LOWS = const(28)
_STILL = const(29)  # consecutive ticks without a new sample
_LEASE_SEEN = const(30)
_LEASE_AGE_MS = const(31)
_DIODE_SEEN = const(32)  # 1 once the vehicle's diode was seen since plug-in
_BLIND = const(33)  # high samples still to be passed over: they were taken before or in state F
_LOWS_AT_DUTY = const(34)  # _LOWS when the duty last changed: older low samples say nothing
_DUTY_AGE_MS = const(35)  # since the duty last changed
_READY_MS = const(36)  # for how long the vehicle has been asking with PWM on
_STOP_MS = const(37)  # for how long the contactor has been closed without PWM
_SWITCH_MS = const(38)  # since the drive pin last changed
_F_MS = const(39)  # left of driving F
_WAKE_SEEN = const(40)
_RESET_SEEN = const(41)
_SHOWN_STATE = const(42)
_SHOWN_FAULTS = const(43)
_PENDING = const(44)  # 1 while some condition is being timed
_LATE_MS = const(45)  # a tick that comes later than this while driven opens
_LAST_CHARGING = const(46)  # the last letter that may charge: 2 C, 3 D
_OFFERED_SEEN = const(47)  # OFFERED_MA and its duty
_OFFERED_PERMILLE = const(48)
_AGES = const(49)  # one for each fault: 1 + ms that its condition has held, or has been gone
_CELLS = const(76)

STATES = ("A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2", "E", "F")

# Bits of the input word, as in hal.roles.Inputs.
IN_RESIDUAL = const(1)
IN_ESTOP = const(2)
IN_EARTH_LOST = const(4)
IN_LIVE = const(8)
IN_MIRROR = const(16)
IN_DOOR = const(32)
IN_TILT = const(64)
IN_SMOKE = const(128)

# Fault bits, as in safety.faults; private constants cost nothing.
_PILOT = const(1 << 0)
_DIODE = const(1 << 1)
_SAMPLES = const(1 << 2)
_LATE = const(1 << 3)
_REQUEST_STALE = const(1 << 4)
_ERROR = const(1 << 5)
_RESIDUAL = const(1 << 6)
_EARTH = const(1 << 8)
_WELD = const(1 << 9)
_NO_CLOSE = const(1 << 10)
_NO_VOLTAGE = const(1 << 11)
_ESTOP = const(1 << 12)
_DOOR = const(1 << 13)
_TILT = const(1 << 14)
_SMOKE = const(1 << 15)

_TRIP_MS = array("i", [fault[1] for fault in FAULTS])
_CLEAR_MS = array("i", [fault[2] for fault in FAULTS])
_KIND = bytes([fault[4] for fault in FAULTS])
# What the table says, as masks of bits: a test holds them together.
_AT_ONCE = const(0x42FFFEF)  # opens at once
_IN_ORDER = const(0x3D00010)  # opens in good order

# Midpoints between the nominal 12, 9, 6, 3 and 0 V with +-0.3 V of hysteresis (IEC 61851-1 table
# A.4 and A.4.11; midpoints and width as in shared facts 1.2). _BOUND_MV[i] lies between letter i
# and letter i + 1. So no band is undefined: a vehicle that drifts around 6 V (the e-Golf) stays in
# C as long as it stays between 4.2 and 7.8 V, and what lies outside is B or D, which open. The
# last bound lies higher than the midpoint: 120 ohm to earth make 1.3 V (test A.4.9), and a vehicle
# in D at least 2.6 V.
_BOUND_MV = array("i", (10500, 7500, 4500, 1800))
# GB/T 18487.1 has no state D: what lies below C is no vehicle's state.
_GBT_BOUND_MV = array("i", (10500, 7500, 4500, 4500))
_HYSTERESIS_MV = const(300)
_DIODE_MV = const(-10000)  # the low plateau must lie below (nominal -12 V, facts 1.2)
# Samples after a change of duty before they are believed: one period to take effect, three to
# vote, one to spare.
_SETTLE_SAMPLES = const(5)

_STILL_TICKS = const(2)  # ticks without a new sample that open the contactor
_LEASE_MS = const(500)
# Steady C before closing: some vehicles flicker for 250 ms. The limit is 3 s (sequence 4).
_SETTLE_MS = const(500)
_OBEY_MS = const(6000)  # IEC 61851-1 table A.6 sequence 10.2: open under load no earlier
_DUTY_MS = const(5000)  # between changes of duty (sequence 6)
_GUARD_C_MS = const(5000)  # after an opening
_GUARD_FAULT_MS = const(30000)  # after a fault
_SHOW_F_MS = const(300)  # a fault is shown by F for so long, then +12 V lets an unplugging be seen
_WAKE_F_MS = const(4000)
_DEAF_MS = const(1000)  # the residual-current input is ignored so long after switching
_HARD_MS = const(2000)  # a residual current so soon after closing is a hard fault
_CAP_MS = const(60000)  # counters of elapsed time stop here

_PERIOD = const(1 << 30)
_HALF = const(1 << 29)


def permille_of(ma):
    """The duty that offers `ma` milliampere (6000 ... 80000), in permille.

    IEC 61851-1 table A.7: D = I / 0.6, above 51 A I / 2.5 + 64. The two lines leave a gap: no duty
    offers 51 to 52.5 A, and what the second line gives there is read by the first. 51 A then.
    """
    if ma <= 51000:
        return (ma + 30) // 60
    return max(ma // 250 + 640, 850)


class Safety:
    """Decides about one contactor and one pilot.

    `late_ms`: a tick that comes later than this while driven opens. `ventilated`: the site has
    ventilation for state D. `gbt`: by GB/T 18487.1 instead of IEC 61851-1.
    """

    def __init__(
        self,
        pilot: "Pilot",
        contactor: "Contactor",
        inputs: "Inputs",
        witness: "Witness",
        late_ms,
        ventilated=False,
        gbt=False,
    ):
        self.cells = array("i", [0] * _CELLS)
        self.cells[PERMILLE] = 1000
        self.cells[_SHOWN_STATE] = -1
        self.cells[LOCKED] = 1
        self.cells[_SWITCH_MS] = _CAP_MS
        self.cells[_BLIND] = _SETTLE_SAMPLES
        # [highs seen, lows seen, three newest highs, three newest lows] in mV, newest first; the
        # counts are modulo 2^30
        self._window = array("i", [0] * 8)
        self._pilot = pilot
        self._sample = pilot.sample
        self._contactor = contactor
        self._feed = contactor.feed
        self._read = inputs.read
        self._witness = witness
        self.cells[_LATE_MS] = late_ms
        self.cells[_LAST_CHARGING] = 3 if ventilated else 2
        self._bounds = _GBT_BOUND_MV if gbt else _BOUND_MV
        contactor.drive(False)
        pilot.set_permille(1000)

    def restore(self, bits):
        """Let the faults `bits`, of an earlier boot, stand until service. Before the first tick.
        """
        self.cells[STANDING] = self.cells[HARD] = bits

    def tick(self, now_ms):
        """Sample, vote, decide, drive. Call it once per tick from the board's timer; `now_ms` is
        the wrapping clock.

        Never raises: whatever goes wrong inside opens the contactor, is counted and shown as a
        fault.
        """
        try:
            self._tick(now_ms)
        except Exception:
            self._fail()

    def _fail(self):
        # The hold is not fed from here on: even if the drive pin could not be reached, the coil
        # falls within the dead-man's window.
        c = self.cells
        c[DRIVE] = 0
        c[_SWITCH_MS] = 0
        c[ERRORS] = (c[ERRORS] + 1) & 0xFFFF
        c[STANDING] |= _ERROR
        c[GUARD_MS] = _GUARD_FAULT_MS
        c[PERMILLE] = 1000
        try:
            self._contactor.drive(False)
            self._pilot.set_permille(1000)
        except Exception:
            pass

    def _tick(self, now_ms):
        c = self.cells
        if not c[_STARTED]:
            c[_STARTED] = 1
            c[_LAST_MS] = now_ms
            return
        dt = ((now_ms - c[_LAST_MS] + _HALF) & (_PERIOD - 1)) - _HALF
        if dt < 1:
            return  # missed timer callbacks fire in a burst: only the first counts
        c[_LAST_MS] = now_ms
        c[TICKS] = (c[TICKS] - (_PERIOD - 1)) & (_PERIOD - 1)  # plus 1, without leaving 30 bits
        # Count down before anything sets anew: what begins in a late tick begins whole.
        if c[GUARD_MS] > 0:
            c[GUARD_MS] = c[GUARD_MS] - dt if c[GUARD_MS] > dt else 0
        if c[_F_MS] > 0:
            c[_F_MS] = c[_F_MS] - dt if c[_F_MS] > dt else 0
        driven = c[DRIVE]
        raw = c[CONDITIONS]
        if dt > c[_LATE_MS]:
            if driven:
                raw |= _LATE
            if dt > _CAP_MS:
                dt = _CAP_MS
        permille = c[PERMILLE]
        pwm = 0 < permille < 1000
        w = self._window
        self._sample(self._window)
        inputs = self._read()
        c[INPUTS] = inputs
        if c[_SWITCH_MS] < _CAP_MS:
            c[_SWITCH_MS] += dt

        # Samples must be new: a frozen ring would read "C" for ever.
        if w[0] == c[_HIGHS] or w[1] == c[_LOWS]:
            if c[_STILL] < _STILL_TICKS:
                c[_STILL] += 1
            if c[_STILL] >= _STILL_TICKS:
                raw |= _SAMPLES
        else:
            c[_STILL] = 0
        fresh = (w[0] - c[_HIGHS]) & (_PERIOD - 1)
        c[_HIGHS] = w[0]
        c[_LOWS] = w[1]

        # The median of three outvotes a single wrong sample. While F is driven, and just after,
        # the pilot says nothing about the vehicle.
        letter = c[_LETTER]
        if c[_BLIND] > 0:
            if permille:
                c[_BLIND] -= fresh
        elif permille:
            mv = w[4]  # written out twice: in viper a call would cost more than all the rest
            if w[2] > w[3]:
                mv = w[3] if mv < w[3] else w[2] if mv > w[2] else mv
            else:
                mv = w[2] if mv < w[2] else w[3] if mv > w[3] else mv
            c[LEVEL_MV] = mv
            bounds = self._bounds
            while letter > 0 and mv > bounds[letter - 1] + _HYSTERESIS_MV:
                letter -= 1
            while letter < 4 and mv < bounds[letter] - _HYSTERESIS_MV:
                letter += 1
            if letter == 0 and c[_LETTER] != 0:
                c[DEPARTED] = (c[DEPARTED] + 1) & 0xFFFF
            c[_LETTER] = letter
        standing = c[STANDING]
        if letter == 0:
            c[_DIODE_SEEN] = 0
        elif letter == 4:
            raw |= _PILOT
        elif pwm and ((w[1] - c[_LOWS_AT_DUTY]) & (_PERIOD - 1)) >= _SETTLE_SAMPLES:
            # The diode shows only while PWM runs, in low samples younger than the duty.
            mv = w[7]
            if w[5] > w[6]:
                mv = w[6] if mv < w[6] else w[5] if mv > w[5] else mv
            else:
                mv = w[5] if mv < w[5] else w[6] if mv > w[6] else mv
            if mv > _DIODE_MV:
                raw |= _DIODE
                c[GUARD_MS] = _GUARD_FAULT_MS
                c[_DIODE_SEEN] = 0
            else:
                c[_DIODE_SEEN] = 1
        if standing & _DIODE and letter and not c[_DIODE_SEEN]:
            raw |= _DIODE  # it stands until the diode is seen, or the vehicle leaves

        # Mirror contact and voltage must say what the drive pin says; the rest should be quiet.
        if inputs != (IN_LIVE | IN_MIRROR if driven else 0):
            raw |= self._from_inputs(inputs, driven)
        elif driven and c[CLOSE_MS] < 0:
            c[CLOSE_MS] = c[_SWITCH_MS]

        # In a tick that comes late nobody looked at the vehicle, and the outlet had no chance to
        # renew its request: that time counts for neither.
        seen = dt if dt <= c[_LATE_MS] else c[_LATE_MS]
        # The request is a lease.
        if c[LEASE] != c[_LEASE_SEEN]:
            c[_LEASE_SEEN] = c[LEASE]
            c[_LEASE_AGE_MS] = 0
        elif c[_LEASE_AGE_MS] < _CAP_MS:
            c[_LEASE_AGE_MS] += seen
        wanted = c[REQUEST] == 1 and c[OFFERED_MA] >= 6000
        if c[_LEASE_AGE_MS] > _LEASE_MS:
            wanted = False
            if c[REQUEST]:
                raw |= _REQUEST_STALE

        reset = c[RESET] != c[_RESET_SEEN]
        c[_RESET_SEEN] = c[RESET]
        before = standing
        if raw or standing or c[_PENDING]:
            standing = self._weigh(raw, standing, letter == 0 or reset, dt)
            c[STANDING] = standing
        opens = standing & _AT_ONCE
        if opens & ~before:
            c[_F_MS] = _SHOW_F_MS
            if opens & ~before & _WELD:
                self._contactor.shunt_trip()
        if opens & ~_DIODE:
            c[GUARD_MS] = _GUARD_FAULT_MS
        if standing & _IN_ORDER:
            wanted = False

        asking = 2 <= letter <= c[_LAST_CHARGING]
        c[_READY_MS] = c[_READY_MS] + seen if pwm and asking and c[_READY_MS] < _CAP_MS else 0
        c[_STOP_MS] = c[_STOP_MS] + dt if driven and not pwm else 0
        if driven:
            if opens or not asking:
                driven = 0
            elif c[_STOP_MS] > _OBEY_MS:  # the last edge came up to a period after the order
                driven = 0
                c[FORCED] = (c[FORCED] + 1) & 0xFFFF
                c[FORCED_MA] = c[CURRENT_MA]
            if not driven:
                c[DRIVE] = 0
                c[_SWITCH_MS] = 0
                self._contactor.drive(False)
                if c[GUARD_MS] < _GUARD_C_MS:
                    c[GUARD_MS] = _GUARD_C_MS
        elif (
            pwm
            and wanted
            and not standing
            and c[GUARD_MS] == 0
            and c[_DIODE_SEEN]
            and c[_READY_MS] >= _SETTLE_MS
            and c[LOCKED]
            and c[SENSOR] == 1
            and not inputs
        ):
            driven = 1
            c[DRIVE] = 1
            c[_SWITCH_MS] = 0
            c[CLOSE_MS] = -1
            c[CLOSINGS] = (c[CLOSINGS] + 1) & 0xFFFFFF
            self._contactor.drive(True)
        if driven:
            self._feed()

        # During a guard and without a live request the pilot is steady +12 V. A diode fault alone
        # allows PWM after the guard: without PWM nobody could see that the diode is back.
        if c[WAKE] != c[_WAKE_SEEN]:
            c[_WAKE_SEEN] = c[WAKE]
            if letter == 1 and pwm and not standing:
                c[_F_MS] = _WAKE_F_MS
        target = 1000
        if c[_F_MS] > 0:
            target = 0
        elif wanted and c[GUARD_MS] == 0 and not opens & ~_DIODE and 0 < letter < 4:
            if c[OFFERED_MA] != c[_OFFERED_SEEN]:
                c[_OFFERED_SEEN] = c[OFFERED_MA]
                c[_OFFERED_PERMILLE] = permille_of(c[OFFERED_MA])
            target = c[_OFFERED_PERMILLE]
        if c[_DUTY_AGE_MS] < _CAP_MS:
            c[_DUTY_AGE_MS] += dt
        if target != permille and (
            target == 0 or target == 1000 or not pwm or c[_DUTY_AGE_MS] >= _DUTY_MS
        ):
            if permille == 0:
                c[_BLIND] = _SETTLE_SAMPLES
            permille = target
            c[PERMILLE] = permille
            c[_DUTY_AGE_MS] = 0
            c[_LOWS_AT_DUTY] = w[1]
            self._pilot.set_permille(permille)

        state = letter * 2 + (1 if permille < 1000 else 0)
        if permille == 0:
            state = 9
        elif letter == 4:
            state = 8
        c[STATE] = state
        if c[_BLIND] > 0 and permille:
            state = c[_SHOWN_STATE]  # nothing is known of the vehicle yet, or again
        if state != c[_SHOWN_STATE] or standing != c[_SHOWN_FAULTS]:
            self._show(state, standing)

    def _from_inputs(self, inputs, driven):
        """The conditions that the input word tells of."""
        c = self.cells
        raw = 0
        if inputs & IN_RESIDUAL and c[SENSOR] != 2:
            # Switching disturbs the sensor: just after it nothing trips, but what stands goes on.
            if c[_SWITCH_MS] >= _DEAF_MS or c[STANDING] & _RESIDUAL:
                raw = _RESIDUAL
        if inputs & IN_ESTOP:
            raw |= _ESTOP
        if inputs & IN_EARTH_LOST:
            raw |= _EARTH
        if inputs & IN_DOOR:
            raw |= _DOOR
        if inputs & IN_TILT:
            raw |= _TILT
        if inputs & IN_SMOKE:
            raw |= _SMOKE
        if not driven:
            if inputs & (IN_LIVE | IN_MIRROR):
                raw |= _WELD
        elif not inputs & IN_MIRROR:
            raw |= _NO_CLOSE
        else:
            if c[CLOSE_MS] < 0:
                c[CLOSE_MS] = c[_SWITCH_MS]
            if not inputs & IN_LIVE:
                raw |= _NO_VOLTAGE
        return raw

    def _weigh(self, raw, standing, release, dt):
        """What stands after `dt` ms more of the conditions `raw`, by the table of faults."""
        c = self.cells
        pending = 0
        for i in range(len(_KIND)):
            bit = 1 << i
            stands = standing & bit
            if not (raw ^ standing) & bit:
                # As it should be; whatever was being timed is over.
                c[_AGES + i] = 0
                continue
            # The first tick that sees a change begins its time at 1; so 0 says "not timed".
            age = c[_AGES + i]
            age = age + dt if age else 1
            if stands:
                kind = _KIND[i]
                if (
                    kind == SELF
                    and age > _CLEAR_MS[i]
                    or (kind == UNPLUG and release and not c[HARD] & bit)
                ):
                    standing &= ~bit
                    age = 0
                elif age > _CAP_MS + 1:
                    age = _CAP_MS + 1
            elif age > _TRIP_MS[i]:
                standing |= bit
                age = 0
                if bit == _RESIDUAL and c[DRIVE] and c[_SWITCH_MS] <= _HARD_MS:
                    c[HARD] |= bit
            pending |= age
            c[_AGES + i] = age
        c[_PENDING] = 1 if pending else 0
        return standing

    def _show(self, state, faults):
        c = self.cells
        if state != c[_SHOWN_STATE]:
            c[_SHOWN_STATE] = state
            self._witness.state(STATES[state])
        changed = faults ^ c[_SHOWN_FAULTS]
        c[_SHOWN_FAULTS] = faults
        for i in range(len(FAULTS)):
            if changed >> i & 1:
                latched = FAULTS[i][4] != SELF
                self._witness.fault(FAULTS[i][0], faults >> i & 1, latched)
