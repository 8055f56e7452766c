"""FRAM of the FM24 family (Cypress/Infineon, Ramtron; MB85RC of the same sizes) over I2C, for the
journal.

Board file: {"chip": "fm24", "i2c": N, "scl": PIN, "sda": PIN, "kbit": 256, "select": 0}.
`kbit`: 4, 8, 16, 64, 128, 256, 512 or 1024. `select`: the level of the pins A2 A1 A0 as a number;
those that the size has no pins for are 0. Bits of the memory address that do not fit its one or
two bytes go into the lowest bits of the chip's address (FM24C04B, FM24C16B and FM24V10 datasheets,
"slave device address").

There is no write delay: a byte is kept as soon as it is acknowledged, so a power cut leaves the
bytes before it written and the others as they were.
"""

from micropython import const

_ADDRESS = const(0x50)
# A transfer on the bus is at most so long: 3 ms at 400 kHz. It divides 256, so that none crosses
# into the next block.
_CHUNK = const(128)


def make(buses, spec, phases=1):
    """The memory that `spec` describes. Raises ValueError with the field."""
    from hal.chips.spec_fm24 import geometry

    size, width, select = geometry(spec)
    return Fm24(buses.i2c(spec), size, width, _ADDRESS | select)


class Fm24:
    """The memory role: `size` bytes, kept without power. It needs no tick."""

    def __init__(self, i2c, size, width, address):
        self.size = size
        self._i2c = i2c
        self._width = width
        self._address = address

    def tick(self, now_ms):
        """Nothing to do."""

    def read(self, at, into):
        """Fill `into` from the byte `at` on: 23 us a byte, 0.3 ms for a chunk of 128. Raises
        OSError when the chip does not answer, ValueError beyond its end.
        """
        self._move(self._i2c.readfrom_mem_into, at, into)

    def write(self, at, data):
        """Write `data` from the byte `at` on; times and errors as `read`. An OSError leaves some
        first bytes of it written.
        """
        self._move(self._i2c.writeto_mem, at, data)

    def _move(self, transfer, at, data):
        n = len(data)
        if at < 0 or at + n > self.size:
            raise ValueError("at: expected %d bytes within %d, found %r" % (n, self.size, at))
        width = self._width
        view = memoryview(data)
        done = 0
        while done < n:
            end = min(n, done + _CHUNK - at % _CHUNK)
            block = at >> width
            transfer(self._address | block, at - (block << width), view[done:end], addrsize=width)
            at += end - done
            done = end
