"""One small value in FRAM that a power cut never tears: two copies, written in turn.

A copy, little-endian: CRC-32 of all behind it u32, count u16 (its lowest bit says which copy it
is), length u16, the value.
"""

import binascii
import struct

from micropython import const

_HEAD = const(8)


class Cell:
    """A value of at most `size` bytes in `memory`, from the byte `at` on."""

    def __init__(self, memory, at, size):
        self._memory = memory
        self._at = at
        self._room = size + _HEAD
        self.count = -1  # of the newest copy; -1: not looked up

    @staticmethod
    def SPACE(size):
        """How many bytes it takes."""
        return 2 * (size + _HEAD)

    def load(self):
        """The value; None: none was saved, or both copies are damaged. Raises OSError when the
        memory does not answer.
        """
        found = None
        self.count = 0
        for i in range(2):
            data = bytearray(self._room)
            self._memory.read(self._at + i * self._room, data)
            crc, count, n = struct.unpack_from("<IHH", data)
            data = data[4 : n + _HEAD]
            if count & 1 == i and crc == binascii.crc32(data):
                if found is None or (count - self.count) & 0xFFFF == 1:
                    found = bytes(data[4:])
                    self.count = count
        return found

    def save(self, data):
        """Replace the value; it is durable when this returns. Raises OSError when the memory does
        not take it, ValueError when it is too long; the old one is there still.
        """
        n = len(data)
        if n + _HEAD > self._room:
            raise ValueError(n)
        if self.count < 0:
            self.load()
        count = (self.count + 1) & 0xFFFF
        data = struct.pack("<HH", count, n) + data
        data = struct.pack("<I", binascii.crc32(data)) + data
        self._memory.write(self._at + (count & 1) * self._room, data)
        self.count = count
