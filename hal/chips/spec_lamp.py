"""The fields of hal.chips.lamp. Let go of once the board is made."""

from hal.chips.lamp import Lights, Pixels
from hal.chips.spec import field


def make(buses, spec):
    """As hal.chips.lamp.make."""
    if "pixels" in spec:
        # 30 us each with interrupts off (roles.Buses): the 2 ms tick has to stay on time
        count = field(spec, "count", 1, 1, 24)
        percent = field(spec, "percent", 100, 1, 100)
        return Pixels(buses.pixels(spec["pixels"], count), count, percent)
    on = field(spec, "on", 1, 0, 1)
    pins = [
        buses.output(spec[name], 1 - on) if name in spec else None
        for name in ("red", "green", "blue")
    ]
    if pins == [None, None, None]:
        raise ValueError("pixels: expected it, or red, green or blue, found none")
    return Lights(pins, on)
