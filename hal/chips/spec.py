"""What drivers need while they are made: fields of the board file, and calibration.

Let go of once the board is made, as every module of hal.chips whose name begins with `spec` is: so
import from it within the function that makes the driver.
"""


def field(spec, name, default, least, most):
    """The whole number `name` of a board file's object. Raises ValueError("name: expected ...,
    found ...").
    """
    value = spec.get(name, default)
    if type(value) is not int or not least <= value <= most:
        raise ValueError("%s: expected %d to %d, found %r" % (name, least, most, value))
    return value


def is_lsb(spec):
    """Whether spec["byte_order"] says that the last byte stands first. Raises ValueError."""
    order = spec.get("byte_order", "msb")
    if order not in ("msb", "lsb"):
        raise ValueError('byte_order: expected "msb" or "lsb", found %r' % (order,))
    return order == "lsb"


def divider_ohm(spec, high, low):
    """The two resistors of spec["divider_ohm"] (line to pin, pin to neutral); `high`, `low`: the
    default. Raises ValueError.
    """
    found = spec.get("divider_ohm", (high, low))
    try:
        high, low = found
        if 0 < low < high < 1 << 30:
            return high, low
    except (TypeError, ValueError):
        pass
    raise ValueError("divider_ohm: expected [high, low], found %r" % (found,))


def gain_ppm(spec, quantity, phase=0):
    """What spec["calibration"][quantity] (a number, or one a phase) adds to a reading, in ppm:
    -500000 to 500000. Raises ValueError.
    """
    table = spec.get("calibration", {})
    ppm = table.get(quantity, 0) if isinstance(table, dict) else None
    if isinstance(ppm, list):
        ppm = ppm[phase] if phase < len(ppm) else None
    if type(ppm) is not int or not -500000 <= ppm <= 500000:
        text = "calibration: %s: expected -500000 to 500000 ppm, found %r"
        raise ValueError(text % (quantity, ppm))
    return ppm


def calibrated_ppm(shown, true, ppm=0):
    """The gain that makes a chip which shows `shown` (with the gain `ppm`) show `true`, both in
    the same unit: for the bench. Raises ValueError when that is no calibration any more.
    """
    if shown <= 0 or not shown // 2 <= true <= shown * 3 // 2:
        raise ValueError("reading: expected within 50 %% of %r, found %r" % (true, shown))
    return (true * (1000000 + ppm) + shown // 2) // shown - 1000000


def ratio(units, raw, ppm=0):
    """What `scaled` takes, for a chip that shows `raw` for so many `units`: both whole numbers."""
    raw *= 1000000
    return (units * (1000000 + ppm) * (1 << 30) + raw // 2) // raw
