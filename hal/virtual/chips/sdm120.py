"""An Eastron SDM120-Modbus at its serial line: 0.1 V, 1 mA, 0.1 W, 0.01 Hz and 1 Wh (shared facts
4.2).
"""

from hal.virtual.chips.modbus_rtu import RtuMeter


def make(plant, spec):
    """The meter, with the address and the baud rate that its driver expects."""
    values = {
        0x0000: lambda: ((plant.phase_mv(0) + 50) // 100, 10),
        0x0006: lambda: (plant.phase_ma(0), 1000),
        0x000C: lambda: ((plant.power_mw() + 50) // 100, 10),
        0x0046: lambda: ((plant.mains_mhz + 5) // 10, 100),
        0x0048: lambda: (meter.energy_mwh() // 1000, 1000),
        0x0156: lambda: (meter.energy_mwh() // 1000, 1000),
    }
    meter = RtuMeter(plant, spec, 2400, 4, values, 0x0181)
    return meter
