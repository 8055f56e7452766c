"""An Eastron SDM630-Modbus at its serial line: 0.1 V, 1 mA, 0.1 W, 0.01 Hz and 1 Wh (shared facts
4.2).
"""

from hal.virtual.chips.modbus_rtu import RtuMeter


def make(plant, spec):
    """The meter, with the address and the baud rate that its driver expects."""

    def mv(i):
        return plant.phase_mv(i) if i < plant.phases else 0

    def ma(i):
        return plant.phase_ma(i) if i < plant.phases else 0

    values = {
        0x0034: lambda: ((plant.power_mw() + 50) // 100, 10),
        0x0046: lambda: ((plant.mains_mhz + 5) // 10, 100),
        0x0048: lambda: (meter.energy_mwh() // 1000, 1000),
        0x0156: lambda: (meter.energy_mwh() // 1000, 1000),
    }
    for i in range(3):
        values[2 * i] = lambda i=i: ((mv(i) + 50) // 100, 10)
        values[6 + 2 * i] = lambda i=i: (ma(i), 1000)
        values[12 + 2 * i] = lambda i=i: (mv(i) * ma(i) // 100000, 10)
    meter = RtuMeter(plant, spec, 9600, 4, values, 0x0181)
    return meter
