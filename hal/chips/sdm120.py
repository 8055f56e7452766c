"""Eastron SDM120-Modbus: a single-phase meter, 45 A, on RS-485 (shared facts 4.2).

Board file: {"chip": "sdm120", "uart": 1, "tx": 17, "rx": 16} and hal.chips.modbus_rtu's fields;
2400 baud 8N1 as it is delivered. The energy is what it imports.

Its data sheet's ranges with what it still measures beyond them: 300 V, 54 A, 45 to 65 Hz.
"""

from hal.chips import MA, MHZ, MV, MW, WH
from hal.chips.modbus_rtu import RtuMeter

READ_MS = 1300  # at 2400 baud, from silence; then each 450 ms

_BLOCKS = (
    (0x0000, 14, (
        (MV, 0, 3, 0, 300000),
        (MA, 6, 3, -54000, 54000),
        (MW, 12, 3, -16200000, 16200000),
    )),
    (0x0046, 4, ((MHZ, 0, 3, 45000, 65000), (WH, 2, 3, 0, (1 << 30) - 1))),
)  # fmt: skip


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    if phases != 1:
        raise ValueError("phases: expected 1, found %r" % phases)
    return RtuMeter(buses, spec, 2400, 4, _BLOCKS, 16200000)
