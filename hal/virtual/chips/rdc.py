"""A residual-current module (30 mA AC, 6 mA DC: RDC-DD) at its pins, with the self-test of the
Western Automation kind (shared facts 1.7).

A test pulse of 30 ms to 1.2 s is answered 740 ms after its end with the DC output, 660 ms later
with the AC output; 400 ms after that the kind of error can be read, and 1200 ms later all is low.
A shorter pulse is noise, a longer one no test.
"""

_PULSE_US = (30000, 1200000)
_ANSWER_US = 740000
_AC_US = 660000
_FAULT_US = 400000
_END_US = 1200000


def make(plant, spec):
    """The module of `spec`: {"chip": "rdc", "test": PIN, "test_active": 0, "dc": PIN, "ac": PIN,
    "fault": PIN}; the last three are high when they mean something, and may be missing.
    """
    return Rdc(plant, spec)


class Rdc:
    """`plant.residual`: residual current flows. `pins` is for hal.virtual.buses; or use `test`,
    `dc`, `ac`, `fault` and `trip` (either output).

    Faults: `silent`, it answers no test and sees no current; `stuck`, its outputs stay high;
    `broken`, its self-test ends in the fault output instead of the trip.
    """

    def __init__(self, plant, spec):
        self._plant = plant
        self._active = spec.get("test_active", 0)
        self.pins = {}
        for name, pin in (("test", self.test), ("dc", self.dc), ("ac", self.ac)):
            if name in spec:
                self.pins[spec[name]] = pin
        if "fault" in spec:
            self.pins[spec["fault"]] = self.fault
        self.silent = self.stuck = self.broken = False
        self._pulse_us = None  # when the test pin became active
        self._tested_us = None  # when a good pulse ended

    def test(self, level):
        """Drive the test pin."""
        now_us = self._plant.now_us
        if level == self._active:
            if self._pulse_us is None:
                self._pulse_us = now_us
        elif self._pulse_us is not None:
            if _PULSE_US[0] <= now_us - self._pulse_us <= _PULSE_US[1] and not self._since():
                self._tested_us = now_us
            self._pulse_us = None

    def _since(self):
        # Microseconds since the test began that is under way; 0: none is.
        if self._tested_us is None:
            return 0
        since_us = self._plant.now_us - self._tested_us
        return since_us if since_us < _ANSWER_US + _AC_US + _FAULT_US + _END_US else 0

    def _answers(self, from_us):
        if self.stuck:
            return 1
        if self.silent:
            return 0
        if self._plant.residual:
            return 1
        return 1 if self._since() >= from_us and not self.broken else 0

    def dc(self):
        """The output of 6 mA DC."""
        return self._answers(_ANSWER_US)

    def ac(self):
        """The output of 30 mA AC."""
        return self._answers(_ANSWER_US + _AC_US)

    def trip(self):
        """Both outputs, wired together."""
        return self.dc() | self.ac()

    def fault(self):
        """The output that says that the module has failed its own test."""
        if self.silent:
            return 0
        return 1 if self.broken and self._since() >= _ANSWER_US + _AC_US + _FAULT_US else 0
