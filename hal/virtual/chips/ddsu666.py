"""A CHINT DDSU666 at its serial line: 0.1 V, 1 mA, 0.1 W, 0.01 Hz and 10 Wh (shared facts 4.2)."""

from hal.virtual.chips.modbus_rtu import RtuMeter


def make(plant, spec):
    """The meter, with the address and the baud rate that its driver expects."""
    values = {
        0x2000: lambda: ((plant.phase_mv(0) + 50) // 100, 10),
        0x2002: lambda: (plant.phase_ma(0), 1000),
        0x2004: lambda: ((plant.power_mw() + 50) // 100, 10000),
        0x200E: lambda: ((plant.mains_mhz + 5) // 10, 100),
        0x4000: lambda: (meter.energy_mwh() // 10000, 100),
    }
    meter = RtuMeter(plant, spec, 9600, 3, values, 0x400B)
    return meter
