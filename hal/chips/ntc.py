"""A thermistor (NTC) in a voltage divider at an analogue input.

Board file: {"chip": "ntc", "adc": PIN, "divider_ohm": 10000, "supply_mv": 3300, "to": "ground",
"ohm": 10000, "beta": 3950}; or, from the thermistor's data sheet, instead of the last two "ohm":
[R, R, ...], "from_c": -40, "step_c": 5: its resistance every so many degrees, falling.

`to`: where the thermistor is connected, "ground" or "supply"; the divider's resistor goes to the
other. A reading of less than `least_mv` or more than `most_mv` is an open or shorted sensor;
unless given, 2 % of the supply from either end. An ESP32's converter reads nothing below about
150 mV nor above 2900 mV: there they have to be given, or an open sensor looks like a cold one.
"""

from array import array
from math import exp

from micropython import const

from hal.chips import diff, field

_LOST_MS = const(1000)
_READINGS = const(8)
_KEPT = const(6)  # of them, without the highest and the lowest


def make(buses, spec, phases=1):
    """The thermometer that `spec` describes. Raises ValueError with the field."""
    supply = field(spec, "supply_mv", 3300, 500, 20000)
    divider = field(spec, "divider_ohm", None, 10, 1000000)
    least = field(spec, "least_mv", supply // 50, 0, supply)
    most = field(spec, "most_mv", supply - supply // 50, least, supply)
    if spec.get("to", "ground") not in ("ground", "supply"):
        raise ValueError('to: expected "ground" or "supply", found %r' % (spec["to"],))
    ohm = spec.get("ohm")
    if isinstance(ohm, list):
        first = field(spec, "from_c", None, -60, 100)
        step = field(spec, "step_c", None, 1, 50)
    else:
        # R = R25 e^(beta (1/T - 1/298.15 K)), every 5 degrees from -40 to 150
        r25 = field(spec, "ohm", None, 10, 1000000)
        beta = field(spec, "beta", None, 1000, 8000)
        first = -40
        step = 5
        ohm = [r25 * exp(beta * (1 / (c + 273.15) - 1 / 298.15)) for c in range(first, 151, step)]
    # what _KEPT readings across the thermistor sum up to
    sums = array("i", [int(_KEPT * supply * r / (r + divider) + 0.5) for r in ohm])
    if len(sums) < 2 or any(sums[i] <= sums[i + 1] for i in range(len(sums) - 1)):
        raise ValueError("ohm: expected at least two, falling, found %r" % (ohm,))
    flip = supply if spec.get("to") == "supply" else 0
    return Ntc(buses.adc(spec["adc"]), sums, first, step, least, most, flip)


class Ntc:
    """The thermometer role. A reading is of eight ticks, without the highest and the lowest."""

    def __init__(self, adc, sums, first_c, step_c, least_mv, most_mv, flip_mv):
        self._adc = adc
        self._sums = sums
        self._first = first_c * 10
        self._step = step_c * 10
        self._least_mv = least_mv
        self._most_mv = most_mv
        self._flip_mv = flip_mv  # the supply, where the readings are those of the resistor
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
            x = _KEPT * self._flip_mv - x
        sums = self._sums
        if not sums[-1] <= x <= sums[0]:
            return
        i = 1
        while x < sums[i]:
            i += 1
        part = (sums[i - 1] - x) * self._step // (sums[i - 1] - sums[i])
        self._tenths = self._first + (i - 1) * self._step + part
        self._taken_ms = now_ms
