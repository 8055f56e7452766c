"""What lamp and buzzer of an outlet tell people: one table.

Colours and rhythms are our own; no standard sets them for AC piles. Red means that it does not
work, green that it is free, yellow that something is expected of the person, blue that energy
flows or may flow.
"""

from micropython import const

from firmware.outlet.ac import CHARGING, IDLE, SUSPENDED_EV, SUSPENDED_EVSE
from firmware.safety.core import HARD, STANDING
from firmware.safety.faults import BY_SERVICE
from firmware.ticks import diff

# (name, red, green, blue, lit ms, dark ms, beeps on entering, ms of a beep and of its pause)
SIGNALS = (
    ("service", 255, 0, 0, 1000, 0, 3, 500),  # a fault that only a technician clears
    ("fault", 255, 0, 0, 500, 500, 2, 500),  # one that clears by itself or by unplugging
    ("refused", 255, 0, 0, 100, 100, 2, 200),  # a card, for 3 s
    ("accepted", 0, 255, 0, 100, 100, 1, 100),  # a card, for 3 s
    ("asking", 255, 160, 0, 100, 100, 0, 0),  # the backend is being asked about a card
    ("charging", 0, 0, 255, 1800, 200, 0, 0),
    ("paused", 0, 0, 255, 1000, 0, 0, 0),  # the vehicle does not ask
    ("waiting", 0, 0, 255, 200, 1800, 0, 0),  # the pile holds back: limit, guard, start delay
    ("expecting", 255, 160, 0, 1000, 1000, 0, 0),  # authorised: plug in
    ("plugged", 255, 160, 0, 1000, 0, 0, 0),  # show a card, or unplug
    ("unavailable", 255, 0, 0, 200, 2800, 0, 0),  # the backend has taken it out of service
    ("offline", 0, 255, 0, 200, 2800, 0, 0),  # free, but the backend cannot be asked
    ("free", 0, 255, 0, 1000, 0, 0, 0),
)
NAMES = [signal[0] for signal in SIGNALS]
_SERVICE = const(0)
_FAULT = const(1)
_REFUSED = const(2)
_ACCEPTED = const(3)
_ASKING = const(4)
_CHARGING = const(5)
_PAUSED = const(6)
_WAITING = const(7)
_EXPECTING = const(8)
_PLUGGED = const(9)
_UNAVAILABLE = const(10)
_OFFLINE = const(11)
_FREE = const(12)

_STEP_MS = const(100)
_ANSWER_MS = const(3000)


class Signals:
    """Shows one outlet on `lamp` and `buzzer` (roles, or None); `cells` are its core's.

    `record(what, **fields)` notes each new line of the table, with the fields `more`.
    """

    def __init__(self, cells, outlet, lamp, buzzer, backend, record, more):
        self.asking = False  # a card is being checked
        self.expected = False  # somebody was let in, whose plug may go in here
        self._cells = cells
        self._outlet = outlet
        self._lamp = lamp
        self._buzzer = buzzer
        self._backend = backend
        self._record = record
        self._more = more
        self._shown = -1
        self._answer = _REFUSED
        self._answer_ms = 0  # for so long the answer to a card is still shown
        self._since_ms = 0  # how long the line has been shown
        self._last_ms = 0

    def answer(self, accepted):
        """A card was accepted or refused."""
        self._answer = _ACCEPTED if accepted else _REFUSED
        self._answer_ms = _ANSWER_MS
        self._shown = -1  # each answer is heard, though the last one is still shown

    def tick(self, now_ms):
        """Look, and set lamp and buzzer; call it from the main loop."""
        dt = diff(now_ms, self._last_ms)
        if 0 <= dt < _STEP_MS:
            return
        self._last_ms = now_ms
        self._since_ms += _STEP_MS
        if self._answer_ms > 0:
            self._answer_ms -= _STEP_MS
        signal = self._choose()
        if signal != self._shown:
            self._shown = signal
            self._since_ms = 0
            self._record("signal", value=NAMES[signal], **self._more)
        _, red, green, blue, lit, dark, beeps, beep_ms = SIGNALS[signal]
        if self._buzzer:
            at_ms = self._since_ms
            self._buzzer.sound(at_ms < 2 * beeps * beep_ms and at_ms // (beep_ms or 1) % 2 == 0)
        if self._since_ms >= 60000:
            self._since_ms -= 30000 - 30000 % (lit + dark)  # the rhythm goes on; no beep anew
        if self._lamp:
            if self._since_ms % (lit + dark) < lit:
                self._lamp.show(red, green, blue)
            else:
                self._lamp.show(0, 0, 0)

    def _choose(self):
        c = self._cells
        outlet = self._outlet
        standing = c[STANDING]
        if standing:
            return _SERVICE if standing & (BY_SERVICE | c[HARD]) else _FAULT
        if self._answer_ms > 0:
            return self._answer
        if self.asking:
            return _ASKING
        if outlet.inoperative and not outlet.authorised:
            return _UNAVAILABLE
        state = outlet.charging_state
        if state == CHARGING:
            return _CHARGING
        if state == SUSPENDED_EV:
            return _PAUSED
        if state == SUSPENDED_EVSE:
            return _WAITING
        if state != IDLE:
            return _PLUGGED
        if outlet.authorised or self.expected:
            return _EXPECTING
        return _FREE if self._backend.ready else _OFFLINE
