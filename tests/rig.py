"""The control path on a test bench: a safety core and its outlet, with readings set by hand or
taken from the plant.
"""

from array import array

from firmware.energy.limits import Limits
from firmware.outlet.ac import AcOutlet
from firmware.safety.core import SENSOR, Safety

V = {"A": 12000, "B": 8980, "C": 5995, "D": 2930, "E": 0}


class HandPilot:
    """A pilot whose readings are what the test says: `high`, `low`; `still` samples stand still,
    `wrong` replaces one high.
    """

    def __init__(self):
        self.high = V["A"]
        self.diode = True
        self.still = False
        self.wrong = None
        self.permille = None
        self.changes = 0
        self._window = array("i", [0] * 8)

    def set_permille(self, permille):
        self.permille = permille
        self.changes += 1

    def sample(self, window):
        w = self._window
        if not self.still:
            for _ in range(2):
                w[4] = w[3]
                w[3] = w[2]
                w[2] = self.high
                w[7] = w[6]
                w[6] = w[5]
                if self.permille == 0:
                    w[2] = -12000
                w[5] = w[2] if self.permille == 1000 else -12000 if self.diode else -self.high
                if self.wrong is not None:
                    w[2] = self.wrong
                    self.wrong = None
                w[0] = (w[0] - 0x3FFFFFFF) & 0x3FFFFFFF
                w[1] = (w[1] - 0x3FFFFFFF) & 0x3FFFFFFF
        for i in range(8):
            window[i] = w[i]


class HandContactor:
    def __init__(self):
        self.on = False
        self.feeds = 0
        self.trips = 0

    def drive(self, on):
        self.on = on

    def feed(self):
        self.feeds = (self.feeds + 1) & 0xFFFF

    def closed(self):
        return self.on

    def shunt_trip(self):
        self.trips += 1


class HandInputs:
    """The input word: what the contactor makes of it (unless not `mirror`), `word` on top."""

    tests_residual = False

    def __init__(self, contactor):
        self._contactor = contactor
        self.word = 0
        self.mirror = True

    def read(self):
        return self.word | (24 if self._contactor.on and self.mirror else 0)


class Lamps:
    def __init__(self):
        self.name = ""
        self.faults = set()
        self.seen = set()
        self.quiet = False

    def state(self, name):
        self.name = name

    def fault(self, code, active, latched):
        if self.quiet:
            return
        self.seen.add(code)
        if active:
            self.faults.add(code)
        else:
            self.faults.discard(code)


class Rig:
    """Core and outlet at 2 ms and 20 ms; `run(ms)` lets time pass. `now_ms` wraps at 2^30."""

    def __init__(self, now_ms=0, max_ma=32000, gbt=False, ventilated=False):
        self.now_ms = now_ms & 0x3FFFFFFF
        self.pilot = HandPilot()
        self.contactor = HandContactor()
        self.lamps = Lamps()
        self.inputs = HandInputs(self.contactor)
        roles = self.pilot, self.contactor, self.inputs, self.lamps
        self.core = Safety(*roles, 20, ventilated, gbt)
        self.core.cells[SENSOR] = 1
        self.outlet = AcOutlet(self.core.cells, Limits(max_ma))
        self.main = True
        self._to_main = 0

    @property
    def cells(self):
        return self.core.cells

    def tick(self):
        self.now_ms = (self.now_ms - 0x3FFFFFFE) & 0x3FFFFFFF
        self.core.tick(self.now_ms)
        self._to_main += 2
        if self._to_main >= 20:
            self._to_main = 0
            if self.main:
                self.outlet.tick(self.now_ms)

    def run(self, ms):
        for _ in range(ms // 2):
            self.tick()

    def until(self, condition, most_ms=60000):
        """Milliseconds until `condition()` holds; AssertionError when it does not within
        `most_ms`.
        """
        for ms in range(0, most_ms, 2):
            if condition():
                return ms
            self.tick()
        raise AssertionError("not within %d ms" % most_ms)

    def vehicle(self, letter):
        self.pilot.high = V[letter]

    def charge(self):
        """From whatever it is to charging."""
        self.vehicle("B")
        self.run(100)
        self.outlet.authorise()
        self.run(100)
        self.vehicle("C")
        self.until(lambda: self.contactor.on, 3000)
        self.run(1000)
