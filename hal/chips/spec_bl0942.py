"""The fields of hal.chips.bl0942. Let go of once the board is made."""

from hal.chips.spec import divider_ohm, field, gain_ppm, ratio


def ratios(spec):
    """What `scaled` takes for (mV, mA, mW, mWh) from V_RMS, I_RMS, WATT, CF_CNT, by the board
    file's `spec`. Raises ValueError.
    """
    high, low = divider_ohm(spec, 1950000, 510)
    whole = high + low
    shunt = field(spec, "shunt_uohm", 1000, 10, 100000)
    power = gain_ppm(spec, "power")
    return (
        ratio(1218 * whole, 73989000 * low, gain_ppm(spec, "voltage")),
        ratio(1218000, 305978 * shunt, gain_ppm(spec, "current")),
        ratio(1483524 * whole, 3537000 * low * shunt, power),
        ratio(1483524 * whole * 4194304, 3537000 * low * shunt * 36000, power),
    )
