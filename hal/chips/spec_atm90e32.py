"""The registers of hal.chips.atm90e32. Let go of once the board is made."""

from hal.chips.atm90e32 import METER_EN
from hal.chips.spec import field, gain_ppm


def config(spec, phases):
    """(register, value) to write, by the board file's `spec`; the first of them what cannot be
    read back. Raises ValueError.
    """
    table = [
        (0x70, 0x789A),  # reset
        (0x7F, 0x55AA),  # unlock
        (0x33, 0x0185 | field(spec, "mains_hz", 50, 50, 60) // 60 << 12),
        (0x34, (field(spec, "amplified", 1, 1, 4) >> 1) * 0x15),
        (0x31, 0x0861),  # 450e9 / 3200: the meter constant
        (0x32, 0xC468),
    ]
    volt = field(spec, "voltage_gain", 7305, 1, 65535)
    current = field(spec, "current_gain", 27961, 1, 65535)
    for i in range(phases):
        table.append((0x61 + 4 * i, _gain(volt, gain_ppm(spec, "voltage", i))))
        table.append((0x62 + 4 * i, _gain(current, gain_ppm(spec, "current", i))))
        table.append((0x47 + 2 * i, gain_ppm(spec, "power", i) * 32768 // 1000000 & 0xFFFF))
    table.append((METER_EN, 1))
    return table


def _gain(gain, ppm):
    return min((gain * (1000000 + ppm) + 500000) // 1000000, 65535)
