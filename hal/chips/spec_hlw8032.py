"""The fields of hal.chips.hlw8032. Let go of once the board is made."""

from hal.chips.spec import divider_ohm, field, gain_ppm, ratio


def factors(spec, phases):
    """(the `ratio`s of mV, mA and mW to the frame's quotients, the most mV and mA) of the board
    file's `spec`. Raises ValueError.
    """
    if phases != 1:
        raise ValueError("phases: expected 1, found %r" % phases)
    high, low = divider_ohm(spec, 1880000, 1000)
    shunt = field(spec, "shunt_uohm", 1000, 10, 100000)
    return (
        ratio(high, low, gain_ppm(spec, "voltage")),
        ratio(1000000, shunt, gain_ppm(spec, "current")),
        ratio(high * 1000, low * shunt, gain_ppm(spec, "power")),
        495 * high // low,
        30935000 // shunt,
    )
