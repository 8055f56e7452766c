"""Lamps at their pins: WS2812 pixels that shift bytes on, and plain lights."""


def make(plant, spec):
    """The lamp of the driver's board file `spec`."""
    return Lamp(plant, spec)


class Lamp:
    """`colour` is what people see: the first pixel's (red, green, blue), or the lights' with 255
    for a lit one. `pins` is for hal.virtual.buses.

    For tests, `record` holds (us, bytes) of what the pixels were told, newest last, at most 100;
    `told` counts. Fault: `dark`, the data line is cut.
    """

    def __init__(self, plant, spec):
        self._plant = plant
        self.dark = False
        self.record = []
        self.told = 0
        self.pixels = [(0, 0, 0)] * spec.get("count", 1)
        if "pixels" in spec:
            self.pins = {spec["pixels"]: self._shift}
            return
        self._on = spec.get("on", 1)
        self._lit = [0, 0, 0]
        self.pins = {}
        for i, name in enumerate(("red", "green", "blue")):
            if name in spec:
                self.pins[spec[name]] = self._pin(i)

    @property
    def colour(self):
        """(red, green, blue), each 0 to 255."""
        return self.pixels[0]

    def _shift(self, data):
        # Each pixel takes the first three bytes, green, red, blue, and hands on the rest.
        self.told += 1
        if len(self.record) >= 100:
            self.record.pop(0)
        self.record.append((self._plant.now_us, bytes(data)))
        if self.dark:
            return
        for i in range(min(len(self.pixels), len(data) // 3)):
            self.pixels[i] = (data[3 * i + 1], data[3 * i], data[3 * i + 2])

    def _pin(self, i):
        def drive(level):
            self.told += 1
            self._lit[i] = 255 if level == self._on else 0
            if not self.dark:
                self.pixels[0] = tuple(self._lit)

        return drive
