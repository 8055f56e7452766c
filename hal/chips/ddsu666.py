"""CHINT DDSU666: a single-phase meter, 80 A, on RS-485 in its Modbus mode (shared facts 4.2).

Board file: {"chip": "ddsu666", "uart": 1, "tx": 17, "rx": 16} and hal.chips.modbus_rtu's fields;
9600 baud 8N1. A meter that is delivered in the mode DL/T 645 is a "dlt645". The energy is what it
imports, in steps of 10 Wh.

Its data sheet's ranges with what it still measures beyond them: 300 V, 96 A, 45 to 65 Hz.
"""

from hal.chips import MA, MHZ, MV, MW, WH
from hal.chips.modbus_rtu import RtuMeter

READ_MS = 900  # at 9600 baud, from silence; then each 300 ms

_BLOCKS = (
    (0x2000, 16, (
        (MV, 0, 3, 0, 300000),
        (MA, 2, 3, -96000, 96000),
        (MW, 4, 6, -28800000, 28800000),
        (MHZ, 14, 3, 45000, 65000),
    )),
    (0x4000, 2, ((WH, 0, 3, 0, (1 << 30) - 1),)),
)  # fmt: skip


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    if phases != 1:
        raise ValueError("phases: expected 1, found %r" % phases)
    return RtuMeter(buses, spec, 9600, 3, _BLOCKS, 28800000)
