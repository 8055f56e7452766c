"""The outlet's lamp: WS2812 pixels, or plain lights at output pins.

Board file: {"chip": "lamp", "pixels": PIN, "count": 8, "percent": 100}, or {"chip": "lamp",
"red": PIN, "green": PIN, "blue": PIN, "on": 1}: any of the three; `on` is the level that lights
it. `percent`: the pixels' brightness.
"""

from micropython import const

from hal.chips import diff

_AGAIN_MS = const(1000)  # pixels are told again: one that noise has altered would stay so


def make(buses, spec, phases=1):
    """The lamp that `spec` describes. Raises ValueError with the field."""
    from hal.chips import spec_lamp

    return spec_lamp.make(buses, spec)


class Pixels:
    """The lamp role on WS2812: all pixels in one colour, told in the next tick."""

    def __init__(self, write, count, percent):
        self._write = write
        self._percent = percent
        self._bytes = bytearray(3 * count)
        self._due = True
        self._told_ms = 0

    def show(self, red, green, blue):
        """Each 0 to 255."""
        grb = self._bytes
        percent = self._percent
        red = red * percent // 100
        green = green * percent // 100
        blue = blue * percent // 100
        if grb[0] != green or grb[1] != red or grb[2] != blue:
            for i in range(0, len(grb), 3):
                grb[i] = green
                grb[i + 1] = red
                grb[i + 2] = blue
            self._due = True

    def tick(self, now_ms):
        """Tell the pixels, when there is something new or for a second was not."""
        if self._due or diff(now_ms, self._told_ms) >= _AGAIN_MS:
            self._due = False
            self._told_ms = now_ms
            self._write(self._bytes)


class Lights:
    """The lamp role on plain lights: each is lit from half of its colour's range on."""

    def __init__(self, pins, on):
        self._pins = pins
        self._on = on

    def show(self, red, green, blue):
        """Each 0 to 255."""
        for pin, part in zip(self._pins, (red, green, blue)):
            if pin:
                pin(self._on if part >= 128 else 1 - self._on)

    def tick(self, now_ms):
        """Nothing to do."""
