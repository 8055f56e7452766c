"""A type 2 socket at its pins: the proximity pilot's divider, and a lock whose motor moves a bolt
between two ends.
"""

TRAVEL_US = 300000  # from one end to the other


def make(plant, spec):
    """The socket of the driver's board file `spec`."""
    return Socket(plant, spec)


class Socket:
    """`plant.pp_ohm` is the cable's resistor, None: no cable. `pins` is for hal.virtual.buses.
    `moved(locked)` is called when the bolt gets to an end.

    Faults: `silent`, the converter gives an error; `jam`, the bolt stays where it is; `stuck`, the
    contact's level whatever the bolt does. For tests, `driven_us` is the motor's longest time on
    end, and `shorted` whether both sides of the bridge were ever on at once.
    """

    def __init__(self, plant, spec):
        self._plant = plant
        self._spec = spec
        self._level = spec.get("locked", 0)
        self.pins = {
            spec["adc"]: self,
            spec["lock"]: self._lock,
            spec["unlock"]: self._unlock,
            spec["feedback"]: self._feedback,
        }
        self.moved = None
        self.silent = self.jam = self.shorted = False
        self.stuck = None
        self.driven_us = 0
        self.at_us = 0  # where the bolt is: 0 in, TRAVEL_US out
        self._end = False  # the end it was at last
        self._on = [0, 0]  # unlock, lock
        self._since_us = 0
        self._drive_us = 0
        self._number = 0

    # --- proximity ---

    def read_mv(self):
        """The voltage at the analogue pin in mV."""
        if self.silent:
            raise OSError(110)
        spec = self._spec
        supply_mv = spec.get("supply_mv", 3300)
        top = spec.get("top_ohm", 0)
        bottom = spec.get("bottom_ohm", 0)
        # conductances in nS
        g = 0 if self._plant.pp_ohm is None else 10**9 // max(self._plant.pp_ohm, 1)
        if top:
            g += 10**9 // (top + bottom)
        up = 10**9 // spec["up_ohm"]
        mv = supply_mv * up // (up + g)
        return mv * bottom // (top + bottom) if top else mv

    # --- lock ---

    def _unlock(self, level):
        self._drive(0, level)

    def _lock(self, level):
        self._drive(1, level)

    def _drive(self, side, level):
        level = 1 if level else 0
        if level == self._on[side]:
            return
        self._settle()
        before = self._on[0] != self._on[1]
        self._on[side] = level
        now_us = self._plant.now_us
        if self._on == [1, 1]:
            self.shorted = True
        if self._on[0] != self._on[1]:
            if not before:
                self._drive_us = now_us
            left_us = TRAVEL_US - self.at_us if self._on[1] else self.at_us
            self._number += 1
            self._plant.at(now_us + left_us, self._due, self._number)

    def _due(self, number):
        if number == self._number:
            self._settle()

    def _settle(self):
        # Move the bolt up to now.
        now_us = self._plant.now_us
        passed_us = now_us - self._since_us
        self._since_us = now_us
        if self._on[0] == self._on[1]:
            return
        self.driven_us = max(self.driven_us, now_us - self._drive_us)
        if self.jam:
            return
        if self._on[1]:
            self.at_us = min(self.at_us + passed_us, TRAVEL_US)
        else:
            self.at_us = max(self.at_us - passed_us, 0)
        if self.at_us == (0 if self._end else TRAVEL_US):
            self._end = not self._end
            if self.moved:
                self.moved(self._end)

    def _feedback(self):
        self._settle()
        if self.stuck is not None:
            return self.stuck
        return self._level if self.at_us == TRAVEL_US else 1 - self._level
