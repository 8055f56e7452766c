"""The fields of hal.chips.ntc. Let go of once the board is made."""

from array import array
from math import exp

from hal.chips.ntc import KEPT
from hal.chips.spec import field


def table(spec):
    """(what KEPT readings in mV across the thermistor sum up to, every so many degrees, falling;
    the first one's tenths of a degree, tenths from one to the next, the least and the most mV of a
    sensor that is there; the supply's mV if the readings are those of the resistor, else 0) of the
    board file's `spec`. Raises ValueError with the field.
    """
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
    sums = array("i", [int(KEPT * supply * r / (r + divider) + 0.5) for r in ohm])
    if len(sums) < 2 or any(sums[i] <= sums[i + 1] for i in range(len(sums) - 1)):
        raise ValueError("ohm: expected at least two, falling, found %r" % (ohm,))
    return sums, first * 10, step * 10, least, most, supply if spec.get("to") == "supply" else 0
