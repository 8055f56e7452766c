"""Eastron SDM630-Modbus: a three-phase meter, 100 A, on RS-485 (shared facts 4.2).

Board file: {"chip": "sdm630", "uart": 1, "tx": 17, "rx": 16} and hal.chips.modbus_rtu's fields;
9600 baud 8N1 as it is delivered, 4800 at least for readings that stay below a second. The energy
is what it imports.

Its data sheet's ranges with what it still measures beyond them: 300 V, 120 A, 45 to 65 Hz.
"""

from hal.chips import MA, MHZ, MV, MW, WH
from hal.chips.modbus_rtu import RtuMeter

READ_MS = 900  # at 9600 baud, from silence; then each 300 ms

_PHASES = (
    (MV, 0, 3, 0, 300000),
    (MA, 6, 3, -120000, 120000),
    (MV + 1, 2, 3, 0, 300000),
    (MA + 1, 8, 3, -120000, 120000),
    (MV + 2, 4, 3, 0, 300000),
    (MA + 2, 10, 3, -120000, 120000),
)
_TOTAL = (0x0034, 22, (
    (MW, 0, 3, -108000000, 108000000),
    (MHZ, 18, 3, 45000, 65000),
    (WH, 20, 3, 0, (1 << 30) - 1),
))  # fmt: skip


def make(buses, spec, phases=3):
    """The meter that `spec` describes, for an outlet of one or three phases. Raises ValueError."""
    blocks = ((0x0000, 12, _PHASES[: 2 * phases]), _TOTAL)
    return RtuMeter(buses, spec, 9600, 4, blocks, 108000000)
