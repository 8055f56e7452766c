"""The role `Buses` of a virtual board: at the end of each bus is the emulation of the chip that is
wired to it.
"""


class Buses:
    """The buses of one outlet's chips, or with the first outlet's `plant` those of the board.

    `chips[NAME]` is the emulation of each chip that a driver asked for, with its faults to switch
    on; the module `hal.virtual.chips.NAME` has it. What is wired to plain pins (`output`, `input`,
    `adc`, `onewire`, `pixels`) looks for its pin in `pins`: put it there before.
    """

    def __init__(self, plant):
        self._plant = plant
        self.chips = {}
        self.pins = {}

    def _chip(self, spec):
        name = spec["chip"]
        if name not in self.chips:
            module = __import__("hal.virtual.chips." + name, None, None, ("make",))
            self.chips[name] = module.make(self._plant, spec)
        return self.chips[name]

    def uart(self, spec, baud, parity=None, stop=1):
        return self._chip(spec)

    def i2c(self, spec, hz=400000):
        return self._chip(spec)

    def spi(self, spec, hz, polarity=0, phase=0):
        chip = self._chip(spec)
        return chip, chip.select

    def _pin(self, pin, *_):
        return self.pins[pin]

    output = input = adc = onewire = pixels = _pin
