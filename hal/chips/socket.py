"""A type 2 socket: the proximity pilot at an analogue input, and a lock behind an H-bridge with a
feedback contact.

Board file: {"chip": "socket", "adc": PIN, "supply_mv": 3300, "up_ohm": 1000, "top_ohm": 0,
"bottom_ohm": 0, "lock": PIN, "unlock": PIN, "feedback": PIN, "locked": 0, "pull_up": true,
"pulse_ms": 600}.

The schematic: `supply_mv` goes through `up_ohm` to the proximity pilot, the cable's resistor from
there to earth. Where the supply is more than the converter takes, the pilot goes through `top_ohm`
to the pin and from the pin through `bottom_ohm` to earth; 0 and 0: straight to the pin. `locked`:
the feedback pin's level when the bolt is out. `pulse_ms`: how long the motor is driven, 50 to 900
ms: less than the second after which the outlet tries again. A main loop that stands still drives
it longer, at most until the watchdog resets the pile.
"""

from micropython import const

from hal.chips import diff

_OLD_MS = const(1000)  # a proximity reading older than this is none
_OPEN_OHM = const(20000)
_STEADY = const(3)  # ticks after which the feedback contact is believed


def make(buses, spec, phases=1):
    """The socket that `spec` describes. Raises ValueError with the field."""
    from hal.chips.spec import field

    # Products stay below 2^30: a larger one would allocate on a 32-bit board.
    supply = field(spec, "supply_mv", 3300, 1000, 15000)
    up = field(spec, "up_ohm", None, 50, 50000)
    top = field(spec, "top_ohm", 0, 0, 60000)
    bottom = field(spec, "bottom_ohm", 0, 1000 if top else 0, 60000 if top else 0)
    locked = field(spec, "locked", 0, 0, 1)
    pulse_ms = field(spec, "pulse_ms", 600, 50, 900)
    bridge = (buses.output(spec["unlock"], 0), buses.output(spec["lock"], 0))
    feedback = buses.input(spec["feedback"], bool(spec.get("pull_up", True)))
    return Socket(
        buses.adc(spec["adc"]), supply, up, top, bottom, bridge, feedback, locked, pulse_ms
    )


class Socket:
    """The socket role."""

    def __init__(self, adc, supply_mv, up_ohm, top_ohm, bottom_ohm, bridge, feedback, level, ms):
        self._adc = adc
        self._supply_mv = supply_mv
        self._up_ohm = up_ohm
        self._top_ohm = top_ohm
        self._bottom_ohm = bottom_ohm
        self._bridge = bridge
        self._feedback = feedback
        self._level = level
        self._pulse_ms = ms
        self._mv = [0, 0, 0]
        self._at = 0
        self._seen = 0  # readings on end
        self._ohm = None
        self._read_ms = 0
        self._wanted = None  # a direction that waits for its pulse
        self._driven = None  # the direction that is driven
        self._began_ms = 0
        self._locked = False
        self._other = 0  # ticks on end in which the contact said the other thing

    def proximity_ohm(self):
        """The median of the last three ticks' resistances; None: open, or not read for 1 s."""
        return self._ohm

    def lock(self, on):
        """Drive the bolt out, or in, for one pulse. Repeated during the pulse it changes nothing;
        the other direction ends it and begins a tick later.
        """
        on = bool(on)
        if on is not self._driven:
            self._stop()
            self._wanted = on

    def locked(self):
        """Whether the contact says so, for three ticks on end."""
        return self._locked

    def tick(self, now_ms):
        """One conversion, one look at the contact, and the motor's time."""
        self._proximity(now_ms)
        if (self._feedback() == self._level) is self._locked:
            self._other = 0
        else:
            self._other += 1
            if self._other >= _STEADY:
                self._other = 0
                self._locked = not self._locked
        if self._driven is not None:
            if diff(now_ms, self._began_ms) >= self._pulse_ms:
                self._stop()
        elif self._wanted is not None:
            self._driven = self._wanted
            self._wanted = None
            self._began_ms = now_ms
            self._bridge[self._driven](1)

    def _stop(self):
        self._driven = self._wanted = None
        self._bridge[0](0)
        self._bridge[1](0)

    def _proximity(self, now_ms):
        try:
            mv = self._adc.read_mv()
        except OSError:
            mv = -1
        if mv < 0:
            self._seen = 0
            if self._ohm is not None and diff(now_ms, self._read_ms) >= _OLD_MS:
                self._ohm = None
            return
        self._read_ms = now_ms
        last = self._mv
        last[self._at] = min(mv, self._supply_mv)
        self._at = (self._at + 1) % 3
        self._seen += 1
        if self._seen >= 3:
            a, b, c = last
            self._ohm = self.ohm(max(min(a, b), min(max(a, b), c)))

    def ohm(self, mv):
        """The cable's resistance in ohm when the pin has `mv`; None: more than 20 kOhm, open."""
        up = self._up_ohm
        drop = self._supply_mv
        if self._top_ohm:
            drop -= mv * up // self._bottom_ohm  # what the divider takes, through `up_ohm`
            mv += mv * self._top_ohm // self._bottom_ohm
        drop -= mv
        if drop <= 0:
            return None
        ohm = mv * up // drop
        return ohm if ohm < _OPEN_OHM else None
