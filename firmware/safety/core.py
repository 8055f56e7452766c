"""The safety core of one outlet: from pilot samples to the contactor's drive pin, once per tick.

The core and its outlet share one array of integers. Each cell has a single writer; every value
stays within 30 bits, so that nothing allocates on a 32-bit MicroPython. All times are counted up
or down in milliseconds of tick time, never compared as stamps: a counter that wraps cannot fire a
timer early or late.
"""

from array import array

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.roles import Contactor, Indicator, Pilot

# --- Cells the outlet writes ---
REQUEST = const(0)  # 1: energise when the vehicle asks; 0: stop
OFFERED_MA = const(1)  # 6000 ... 80000 by PWM; below 6000: nothing on offer, steady +12 V
LEASE = const(2)  # the outlet's tick counter; the request dies when it stands still for _LEASE_MS
# --- Cells the core writes ---
STATE = const(3)  # A1 ... F as in STATES
DRIVE = const(4)  # 1 while the drive pin is on
PERMILLE = const(5)  # of the pilot's period at +12 V: 1000 steady +12 V, 0 steady -12 V
FAULTS = const(6)  # bits, as in FAULT_NAMES
DEPARTED = const(7)  # counts vehicles that left (entries into state A), modulo 2^16
CLOSINGS = const(8)  # counts closings of the drive pin, modulo 2^24
FORCED = const(9)  # counts openings under load: the vehicle did not answer a stop within 6 s
ERRORS = const(10)  # counts exceptions caught in the tick
TICKS = const(11)  # counts ticks, modulo 2^30: standing still means that the timer died
GUARD_MS = const(12)  # left until PWM may be offered again
# --- The core's own memory ---
_LETTER = const(13)  # 0 A, 1 B, 2 C, 3 D, 4 E: the voted class of the high plateau
_LAST_MS = const(14)  # clock at the last tick
_STARTED = const(15)  # 0 until the first tick has set _LAST_MS
_HIGHS = const(16)  # samples seen so far, to tell new ones
_LOWS = const(17)
_STILL = const(18)  # consecutive ticks without a new sample
_LEASE_SEEN = const(19)
_LEASE_AGE_MS = const(20)
_DIODE_SEEN = const(21)  # 1 once the vehicle's diode was seen since plug-in
_LOWS_AT_DUTY = const(22)  # _LOWS when the duty last changed: older low samples say nothing
_DUTY_AGE_MS = const(23)  # since the duty last changed
_READY_MS = const(24)  # for how long the vehicle has been asking with PWM on
_STOP_MS = const(25)  # for how long the contactor has been closed without PWM
_SHOWN_STATE = const(26)
_SHOWN_FAULTS = const(27)
_CELLS = const(28)

STATES = ("A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2", "E", "F")

# Fault bits. Names are OCPP's and MREC's. None of these is latched beyond its cause and the guard
# time that follows.
PILOT_FAULT = const(1)  # state E: the pilot is shorted to earth, or has no supply
DIODE_FAULT = const(2)  # no diode: something conducts, but it is no vehicle
SAMPLES_STALE = const(4)  # the sampler stands still
TICK_LATE = const(8)  # Python stood still while the contactor was closed
REQUEST_STALE = const(16)  # the outlet's main loop stands still
TICK_ERROR = const(32)  # an exception in the tick
FAULT_NAMES = (
    "PilotFault",
    "DiodeFault",
    "PilotSamplesStale",
    "TickLate",
    "RequestStale",
    "InternalError",
)

# Midpoints between the nominal 12, 9, 6, 3 and 0 V with +-0.3 V of hysteresis (IEC 61851-1 table
# A.4 and A.4.11; midpoints and width as in shared facts 1.2). _BOUND_MV[i] lies between letter i
# and letter i + 1.
_BOUND_MV = (10500, 7500, 4500, 1500)
_HYSTERESIS_MV = const(300)
_DIODE_MV = const(-10000)  # the low plateau must lie below (nominal -12 V, facts 1.2)
# Low samples after a change of duty before the low plateau is believed: one period to take effect,
# three to vote, one to spare.
_DIODE_SAMPLES = const(5)

_STILL_TICKS = const(2)  # ticks without a new sample that open the contactor
_LEASE_MS = const(500)
# Steady C before closing: some vehicles flicker for 250 ms. The limit is 3 s (sequence 4).
_SETTLE_MS = const(500)
_OBEY_MS = const(6000)  # IEC 61851-1 table A.6 sequence 10.2: open under load no earlier
_DUTY_MS = const(5000)  # between changes of duty (sequence 6)
_GUARD_C_MS = const(5000)  # after an opening
_GUARD_FAULT_MS = const(30000)  # after a fault
_CAP_MS = const(60000)  # counters of elapsed time stop here

_PERIOD = const(1 << 30)
_HALF = const(1 << 29)


def permille_of(ma):
    """The duty that offers `ma` milliampere (6000 ... 80000): IEC 61851-1 table A.7, D = I / 0.6,
    above 51 A I / 2.5 + 64.

    The two lines leave a gap: no duty offers 51 to 52.5 A, and what the second line gives there is
    read by the first. 51 A then.
    """
    if ma <= 51000:
        return (ma + 30) // 60
    return max(ma // 250 + 640, 850)


class Safety:
    """Decides about one contactor and one pilot.

    `window` comes from `pilot.sample()`: [highs seen, lows seen, three newest highs, three newest
    lows] in mV, newest first; the first two count samples since boot, modulo 2^30. `late_ms`: a
    tick that comes later than this while closed opens. `ventilated`: the site has ventilation for
    state D.
    """

    def __init__(
        self,
        pilot: "Pilot",
        contactor: "Contactor",
        indicator: "Indicator",
        late_ms,
        ventilated=False,
    ):
        self.cells = array("i", [0] * _CELLS)
        self.cells[PERMILLE] = 1000
        self.cells[_SHOWN_STATE] = -1
        self._window = array("i", [0] * 8)
        self._pilot = pilot
        self._sample = pilot.sample
        self._contactor = contactor
        self._feed = contactor.feed
        self._indicator = indicator
        self._late_ms = late_ms
        self._last_charging = 3 if ventilated else 2
        contactor.drive(False)
        pilot.set_permille(1000)

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
        # The hold is not fed from here on: even if the next line raised too, the coil falls within
        # the dead-man's window.
        c = self.cells
        c[DRIVE] = 0
        c[ERRORS] = (c[ERRORS] + 1) & 0xFFFF
        c[FAULTS] |= TICK_ERROR
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
        if dt > _CAP_MS:
            dt = _CAP_MS
        driven = c[DRIVE]
        permille = c[PERMILLE]
        pwm = 0 < permille < 1000
        w = self._window
        self._sample(w)
        # The diode's fault is kept until the diode is seen or the vehicle leaves; what was over in
        # a moment until the guard ends.
        faults = c[FAULTS] & DIODE_FAULT
        kept = c[FAULTS] & (TICK_LATE | TICK_ERROR) if c[GUARD_MS] else 0

        # Samples must be new: a frozen ring would read "C" for ever.
        if w[0] == c[_HIGHS] or w[1] == c[_LOWS]:
            if c[_STILL] < _STILL_TICKS:
                c[_STILL] += 1
            if c[_STILL] >= _STILL_TICKS:
                faults |= SAMPLES_STALE
        else:
            c[_STILL] = 0
        c[_HIGHS] = w[0]
        c[_LOWS] = w[1]
        if dt > self._late_ms and driven:
            faults |= TICK_LATE

        # The median of three outvotes a single wrong sample.
        letter = c[_LETTER]
        if w[0] >= 3:
            a = w[2]
            b = w[3]
            mv = w[4]
            if a > b:
                a, b = b, a
            if mv < a:
                mv = a
            elif mv > b:
                mv = b
            while letter > 0 and mv > _BOUND_MV[letter - 1] + _HYSTERESIS_MV:
                letter -= 1
            while letter < 4 and mv < _BOUND_MV[letter] - _HYSTERESIS_MV:
                letter += 1
            if letter == 0 and c[_LETTER] != 0:
                c[DEPARTED] = (c[DEPARTED] + 1) & 0xFFFF
            c[_LETTER] = letter
        if letter == 0:
            c[_DIODE_SEEN] = 0
            faults &= ~DIODE_FAULT
        elif letter == 4:
            faults |= PILOT_FAULT

        # The diode can be seen only while PWM runs, in low samples younger than the duty.
        if (
            pwm
            and 0 < letter < 4
            and ((w[1] - c[_LOWS_AT_DUTY]) & (_PERIOD - 1)) >= _DIODE_SAMPLES
        ):
            a = w[5]
            b = w[6]
            mv = w[7]
            if a > b:
                a, b = b, a
            if mv < a:
                mv = a
            elif mv > b:
                mv = b
            if mv > _DIODE_MV:
                faults |= DIODE_FAULT
                c[GUARD_MS] = _GUARD_FAULT_MS
                c[_DIODE_SEEN] = 0
            else:
                faults &= ~DIODE_FAULT
                c[_DIODE_SEEN] = 1

        # The request is a lease.
        if c[LEASE] != c[_LEASE_SEEN]:
            c[_LEASE_SEEN] = c[LEASE]
            c[_LEASE_AGE_MS] = 0
        elif c[_LEASE_AGE_MS] < _CAP_MS:
            c[_LEASE_AGE_MS] += dt
        wanted = c[REQUEST] == 1 and c[OFFERED_MA] >= 6000
        if c[_LEASE_AGE_MS] > _LEASE_MS:
            wanted = False
            if c[REQUEST]:
                faults |= REQUEST_STALE

        # A stale request is no danger by itself: it stops in good order. Every other fault opens
        # at once.
        if faults & ~(REQUEST_STALE | DIODE_FAULT):
            c[GUARD_MS] = _GUARD_FAULT_MS
        elif c[GUARD_MS] > 0:
            c[GUARD_MS] = c[GUARD_MS] - dt if c[GUARD_MS] > dt else 0
        faults |= kept
        opens = faults & ~REQUEST_STALE

        asking = 2 <= letter <= self._last_charging
        c[_READY_MS] = c[_READY_MS] + dt if pwm and asking and c[_READY_MS] < _CAP_MS else 0
        c[_STOP_MS] = c[_STOP_MS] + dt if driven and not pwm else 0
        if driven:
            if opens or not asking:
                driven = 0
            elif c[_STOP_MS] >= _OBEY_MS:
                driven = 0
                c[FORCED] = (c[FORCED] + 1) & 0xFFFF
            if not driven:
                c[DRIVE] = 0
                self._contactor.drive(False)
                if c[GUARD_MS] < _GUARD_C_MS:
                    c[GUARD_MS] = _GUARD_C_MS
        elif (
            pwm
            and wanted
            and not faults
            and c[GUARD_MS] == 0
            and c[_DIODE_SEEN]
            and c[_READY_MS] >= _SETTLE_MS
        ):
            driven = 1
            c[DRIVE] = 1
            c[CLOSINGS] = (c[CLOSINGS] + 1) & 0xFFFFFF
            self._contactor.drive(True)
        if driven:
            self._feed()

        # During a guard and without a live request the pilot is steady +12 V. A diode fault alone
        # allows PWM after the guard: without PWM nobody could see that the diode is back.
        target = 1000
        if wanted and c[GUARD_MS] == 0 and not opens & ~DIODE_FAULT and 0 < letter < 4:
            target = permille_of(c[OFFERED_MA])
        if c[_DUTY_AGE_MS] < _CAP_MS:
            c[_DUTY_AGE_MS] += dt
        if target != permille and (target == 1000 or not pwm or c[_DUTY_AGE_MS] >= _DUTY_MS):
            permille = target
            c[PERMILLE] = permille
            c[_DUTY_AGE_MS] = 0
            c[_LOWS_AT_DUTY] = w[1]
            self._pilot.set_permille(permille)

        state = 8 if letter == 4 else letter * 2 + (1 if permille < 1000 else 0)
        c[STATE] = state
        c[FAULTS] = faults
        if w[0] >= 3 and (state != c[_SHOWN_STATE] or faults != c[_SHOWN_FAULTS]):
            self._show(state, faults)

    def _show(self, state, faults):
        c = self.cells
        if state != c[_SHOWN_STATE]:
            c[_SHOWN_STATE] = state
            self._indicator.state(STATES[state])
        changed = faults ^ c[_SHOWN_FAULTS]
        c[_SHOWN_FAULTS] = faults
        for i in range(len(FAULT_NAMES)):
            if changed >> i & 1:
                self._indicator.fault(FAULT_NAMES[i], faults >> i & 1)
