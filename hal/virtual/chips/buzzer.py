"""A buzzer at its pin."""


def make(plant, spec):
    """The buzzer of the driver's board file `spec`."""
    return Buzzer(plant, spec)


class Buzzer:
    """`sounds`, and `record`: [us, sounds] of each change, newest last, at most 100. `pins` is for
    hal.virtual.buses.
    """

    def __init__(self, plant, spec):
        self._plant = plant
        self._on = spec.get("on", 1)
        self.sounds = False
        self.record = []
        self.pins = {spec["pin"]: self._drive}

    def _drive(self, level):
        sounds = level == self._on
        if sounds != self.sounds:
            self.sounds = sounds
            if len(self.record) >= 100:
                self.record.pop(0)
            self.record.append((self._plant.now_us, sounds))
