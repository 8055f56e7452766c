"""FRAM of the FM24 family at its I2C bus: blocks in the address, an address latch that counts on
and wraps, and a power cut after any byte.

Its board file is the driver's. What was written outlives `cut`.
"""


def make(plant, spec):
    """The chip that `spec` describes."""
    return Fm24(spec["kbit"], spec.get("select", 0))


class Fm24:
    """`memory` holds its bytes. Faults: `silent` (no acknowledge), `cut_after`."""

    def __init__(self, kbit, select=0):
        self.memory = bytearray(kbit << 7)
        self.silent = False
        self._width = 8 if kbit < 64 else 16
        self.ADDRESS = 0x50 | select
        self._blocks = max(len(self.memory) >> self._width, 1)
        self._latch = 0
        self._left = None  # bytes that still get written before the power goes

    def cut_after(self, n):
        """The power goes when `n` more bytes are written: they stay, and nothing answers until
        `restore`.
        """
        self._left = n

    def restore(self):
        """The power is back."""
        self._left = None
        self._latch = 0

    reset = restore

    def _answers(self, addr):
        if self.silent or self._left == 0 or addr & ~(self._blocks - 1) != self.ADDRESS:
            raise OSError(19)

    def _addressed(self, addr, mem):
        self._latch = ((addr & (self._blocks - 1)) << self._width | mem) % len(self.memory)

    def _take(self, data):
        for byte in data:
            if self._left is not None:
                if self._left == 0:
                    raise OSError(5)  # no acknowledge for this byte
                self._left -= 1
            self.memory[self._latch] = byte
            self._latch = (self._latch + 1) % len(self.memory)

    def readfrom_into(self, addr, buf):
        """Read on from where the last access ended, in the block of `addr`."""
        self._answers(addr)
        for i in range(len(buf)):
            buf[i] = self.memory[self._latch]
            self._latch = (self._latch + 1) % len(self.memory)

    def writeto(self, addr, buf, stop=True):
        """The memory address, one byte or two, then data."""
        self._answers(addr)
        n = self._width // 8
        if len(buf) >= n:
            mem = 0
            for byte in buf[:n]:
                mem = mem << 8 | byte
            self._addressed(addr, mem)
            self._take(buf[n:])

    def readfrom_mem_into(self, addr, mem, buf, addrsize=8):
        """Address, repeated start, data."""
        self._expect(addr, addrsize)
        self._addressed(addr, mem)
        self.readfrom_into(addr, buf)

    def writeto_mem(self, addr, mem, buf, addrsize=8):
        """Address, data."""
        self._expect(addr, addrsize)
        self._addressed(addr, mem)
        self._take(buf)

    def _expect(self, addr, addrsize):
        self._answers(addr)
        if addrsize != self._width:
            # What a chip makes of it: an address byte too many is data, one too few eats data.
            raise ValueError("addrsize: expected %d, found %d" % (self._width, addrsize))
