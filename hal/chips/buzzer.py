"""A buzzer that sounds by itself while its pin is active.

Board file: {"chip": "buzzer", "pin": PIN, "on": 1}; `on` is the level at which it sounds.
"""


def make(buses, spec, phases=1):
    """The buzzer that `spec` describes. Raises ValueError with the field."""
    from hal.chips.spec import field

    on = field(spec, "on", 1, 0, 1)
    return Buzzer(buses.output(spec["pin"], 1 - on), on)


class Buzzer:
    """The buzzer role."""

    def __init__(self, pin, on):
        self._pin = pin
        self._on = on

    def sound(self, on):
        """Sound, or be quiet."""
        self._pin(self._on if on else 1 - self._on)

    def tick(self, now_ms):
        """Nothing to do."""
