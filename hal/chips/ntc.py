"""A thermistor (NTC) in a voltage divider at an analogue input.

Board file: {"chip": "ntc", "adc": PIN, "divider_ohm": 10000, "supply_mv": 3300, "to": "ground",
"ohm": 10000, "beta": 3950}; or, from the thermistor's data sheet, instead of the last two "ohm":
[R, R, ...], "from_c": -40, "step_c": 5: its resistance every so many degrees, falling.

`to`: where the thermistor is connected, "ground" or "supply"; the divider's resistor goes to the
other. A reading of less than `least_mv` or more than `most_mv` is an open or shorted sensor;
unless given, 2 % of the supply from either end. An ESP32's converter reads nothing below about
150 mV nor above 2900 mV: there they have to be given, or an open sensor looks like a cold one.
"""

from micropython import const

from hal.chips import diff

_LOST_MS = const(1000)
_READINGS = const(8)
KEPT = const(6)  # of them, without the highest and the lowest


def make(buses, spec, phases=1):
    """The thermometer that `spec` describes. Raises ValueError with the field."""
    from hal.chips.spec_ntc import table

    return Ntc(buses.adc(spec["adc"]), table(spec))


class Ntc:
    """The thermometer role. A reading is of eight ticks, without the highest and the lowest."""

    def __init__(self, adc, table):
        self._adc = adc
        self._sums, self._first, self._step, self._least_mv, self._most_mv, self._flip_mv = table
        self._left = _READINGS
        self._sum = self._low = self._high = 0
        self._taken_ms = 0
        self._tenths = None

    def read(self):
        """Tenths of a degree Celsius, within the table; None: open, short or silent for 1 s."""
        return self._tenths

    def tick(self, now_ms):
        """One conversion."""
        if self._tenths is not None and diff(now_ms, self._taken_ms) >= _LOST_MS:
            self._tenths = None
        try:
            mv = self._adc.read_mv()
        except OSError:
            mv = -1
        if not self._least_mv <= mv <= self._most_mv:
            self._left = _READINGS
            return
        if self._left == _READINGS:
            self._sum = 0
            self._low = self._high = mv
        elif mv < self._low:
            self._low = mv
        elif mv > self._high:
            self._high = mv
        self._sum += mv
        self._left -= 1
        if not self._left:
            self._left = _READINGS
            self._take(self._sum - self._low - self._high, now_ms)

    def _take(self, x, now_ms):
        if self._flip_mv:
            x = KEPT * self._flip_mv - x
        sums = self._sums
        if not sums[-1] <= x <= sums[0]:
            return
        i = 1
        while x < sums[i]:
            i += 1
        part = (sums[i - 1] - x) * self._step // (sums[i - 1] - sums[i])
        self._tenths = self._first + (i - 1) * self._step + part
        self._taken_ms = now_ms
