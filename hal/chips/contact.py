"""A contact at a pin, such as the relay of a ripple-control receiver; its bouncing is left out.

Board file: {"chip": "contact", "pin": PIN, "on": 1}; `on` is the level at which it is active. The
pin is pulled up and the contact goes to ground: one that opens to be active has "on" 1, and a wire
that breaks is active, too; one that closes has "on" 0.
"""

from micropython import const

from hal.chips import diff

_STEADY_MS = const(50)
_SAMPLES = const(3)


def make(buses, spec, phases=1):
    """The contact that `spec` describes. Raises ValueError with the field."""
    from hal.chips.spec import field

    on = field(spec, "on", 1, 0, 1)
    return Contact(buses.input(spec["pin"]), on)


class Contact:
    """The contact role: `active` is None until it is known."""

    def __init__(self, pin, on):
        self.active = None
        self._pin = pin
        self._on = on
        self._level = None
        self._since_ms = self._samples = 0

    def tick(self, now_ms):
        """One sample. What is the same in three of them on end, over 50 ms, counts."""
        level = self._pin()
        if level != self._level:
            self._level = level
            self._since_ms = now_ms
            self._samples = 0
        if self._samples < _SAMPLES:
            self._samples += 1
        if self._samples == _SAMPLES and diff(now_ms, self._since_ms) >= _STEADY_MS:
            self.active = level == self._on
