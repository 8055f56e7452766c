"""A thermistor in its divider: the voltage at the analogue input, from the plant's temperature."""

from math import exp


def make(plant, spec):
    """The sensor of the driver's board file `spec`."""
    return Ntc(plant, spec)


class Ntc:
    """`plant.temperature_c` in degrees Celsius; None: the sensor is open. `pins` is for
    hal.virtual.buses.

    Faults: `open`, `short` (of the thermistor), `silent` (the converter gives an error), and
    `noise_mv` either way.
    """

    def __init__(self, plant, spec):
        self._plant = plant
        self._spec = spec
        self.pins = {spec["adc"]: self}
        self.open = self.short = self.silent = False
        self.noise_mv = 0
        self._noise = 0
        self._for_c = None
        self._mv = 0

    def ohm(self, c):
        """The thermistor's resistance at `c` degrees: by its beta, or on a straight line in the
        logarithm between the points of its table.
        """
        spec = self._spec
        ohm = spec["ohm"]
        if not isinstance(ohm, list):
            return ohm * exp(spec["beta"] * (1 / (c + 273.15) - 1 / 298.15))
        at = (c - spec["from_c"]) / spec["step_c"]
        i = min(max(int(at), 0), len(ohm) - 2)
        return ohm[i] * (ohm[i + 1] / ohm[i]) ** (at - i)

    def read_mv(self):
        """The voltage at the pin in mV."""
        if self.silent:
            raise OSError(110)
        spec = self._spec
        supply_mv = spec.get("supply_mv", 3300)
        c = self._plant.temperature_c
        if self.short:
            mv = 0
        elif self.open or c is None:
            mv = supply_mv
        else:
            if c != self._for_c:
                self._for_c = c
                r = self.ohm(c)
                self._mv = int(supply_mv * r / (r + spec["divider_ohm"]) + 0.5)
            mv = self._mv
        if spec.get("to") == "supply":
            mv = supply_mv - mv
        if self.noise_mv:
            self._noise = (self._noise * 5 + 3) & 0xFFFF
            mv += self._noise % (2 * self.noise_mv + 1) - self.noise_mv
        return mv
