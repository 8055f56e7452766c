"""What must not be lost, as records with consecutive numbers: in a ring in FRAM, which is written
while a contactor is closed, and in flash once the ring gets full and every contactor is open.

The memory, little-endian; `durable` makes and recovers it:

    0               header: "VPJ2", id (12 bytes, zeros behind it), size of the memory u32, number
                    of outlets that there are cells for u8, 7 zeros, CRC-32 of these u32
    32              the cursor, a Cell of 14 bytes: number of the oldest record that is needed
                    u32, number of the oldest in the ring u32, its place in the ring u16, a number
                    that no record has reached u32
    76              a Cell of 320 bytes for each outlet, then one of 64 bytes
    then            the ring
    last 32         the header again

A record is CRC-32 of all behind it u32, number u32, length + 0xA000 u16, 1 to 1024 bytes; the next
one begins behind its last byte, and what reaches the ring's end goes on at its beginning. Behind
the newest there is the end: 0x2AA55AA5 u32, the next number u32, 0x5500 u16. An appending writes
bytes and new end first, then the head over the old end, of which the last byte (0x55 before, 0xA0
to 0xA4 then) makes the record valid. So a cut leaves it whole or not at all, and a ring that ends
in another way is damaged. From a record that is needed no more the cursor moves on, then zeros go
over it.

Files in flash: see `spill`.
"""

import binascii
import struct

from micropython import const

from firmware import borrow
from firmware.ticks import add, diff

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from array import array
    from typing import Any, Callable

    from firmware.ledger.cell import Cell
    from hal import roles

_HEAD = const(10)
_MARK = const(0xA000)
_BEHIND = const(0x2AA55AA5)
_END = const(0x5500)
_LONGEST = const(1024)
_STEP = const(64)  # so many numbers at most there are between the next one and the cursor's last
_LEAST = const(40)
_ENOSPC = const(28)
_PAUSE_MS = const(1000)
_RETRY_MS = const(600000)  # after a memory or a flash that failed


class Journal:
    """The records; `firmware.ledger.durable.open` makes it, and sets what it is to know."""

    if TYPE_CHECKING:
        id: str  # begins the ids of messages and transactions, at most 12 characters
        lost: int  # records that were missing or damaged at start
        damaged: "list[int]"  # the first 8 of their numbers
        first: int  # number of the oldest record that is needed
        next: int  # and that the next record gets
        tail: int  # of the oldest record in the ring
        spilled: int  # what is below this is in flash, or needed no more
        limit: int  # no number that the cursor does not tell of is higher
        memory: "roles.Memory"
        at: int  # where in it the ring begins
        size: int  # of the ring in bytes
        # Of each record in the ring its place there; behind them that of the next record. As many
        # as if every record had _LEAST bytes.
        places: "array[int]"
        cursor: "Cell"
        store: "roles.Store"
        flash: "Any"  # a spill.Spill while there are files, else None
        closed: "Callable[[], bool]"  # whether a contactor may be closed
        again_ms: int  # `tick` does nothing before

    def place(self, number):
        """Where in the ring the record `number` begins."""
        return self.places[number % len(self.places)]

    def room(self, number=None):
        """For how many bytes of records there is room while all from `number` on are kept; from
        the oldest that is needed and not in flash, unless it is given.
        """
        if number is None:
            number = max(self.first, self.spilled, self.tail)
        return min(
            self.size - 21 - (self.place(self.next) - self.place(number)) % self.size,
            (len(self.places) - 2 - self.next + number) * _LEAST,
        )

    @property
    def crowded(self):
        """Whether what can be left out should be."""
        return self.room() < self.size // 4

    @property
    def full(self):
        """Whether there may be no room for the next record."""
        return self.room() < _LONGEST

    def append(self, data):
        """Keep `data`, 1 to 1024 bytes, of which the first says what kind it is; returns its
        number. It is durable then. Raises OSError when there is no room or the memory does not
        take it.
        """
        n = len(data)
        if not 0 < n <= _LONGEST:
            raise ValueError(n)
        while self.room(self.tail) < n:
            if not self._free():
                raise OSError(_ENOSPC)
        number = self.next
        if number >= self.limit:
            self.save(self.tail)
        at = self.place(number)
        self.move(
            self.memory.write, at + _HEAD, data + struct.pack("<IIH", _BEHIND, number + 1, _END)
        )
        head = struct.pack("<IH", number, n | _MARK)
        crc = binascii.crc32(data, binascii.crc32(head))
        self.move(self.memory.write, at, struct.pack("<I", crc) + head)
        self.next = number = number + 1
        self.places[number % len(self.places)] = (at + _HEAD + n) % self.size
        return number - 1

    def read(self, number):
        """The record `number`; None: it was released, lost or never written. Raises OSError when
        the memory does not answer.
        """
        if not self.first <= number < self.next:
            return None
        if number < self.tail:
            return self.flash and self.flash.read(number)
        at = self.place(number)
        n = (self.place(number + 1) - at) % self.size
        if _HEAD < n <= _HEAD + _LONGEST:
            data = bytearray(n)
            for _ in range(2):  # the bus may err
                self.move(self.memory.read, at, data)
                if struct.unpack_from("<II", data) == (binascii.crc32(data[4:]), number):
                    return bytes(data[_HEAD:])
        return None

    def release(self, number):
        """The records below `number` are needed no more. `tick` makes it durable, and writes zeros
        over them; after a power cut before that some are there again.
        """
        self.first = max(self.first, min(number, self.next))

    def tick(self, now_ms):
        """Free the room of one record, or write or remove one file in flash, where there is
        anything to do; call it from the main loop. An OSError of memory or flash comes out of it
        every ten minutes at most.
        """
        if diff(now_ms, self.again_ms) < 0:
            return
        self.again_ms = add(now_ms, _RETRY_MS)
        pause_ms = 0
        if not self._free():
            pause_ms = _PAUSE_MS
            if (self.flash or self.room() < self.size // 2) and not self.closed():
                if self.flash is None:
                    self.flash = borrow("firmware.ledger.spill").Spill(self)
                self.flash.work()
        self.again_ms = add(now_ms, pause_ms)

    def save(self, tail):
        """Make durable that the ring begins with the record `tail`, and what is released."""
        limit = self.next + _STEP
        place = self.place(tail)
        self.cursor.save(struct.pack("<IIHI", self.first, tail, place, limit))
        self.tail = tail
        self.limit = limit

    def _free(self):
        # Whether there was a record at the ring's beginning to let go of.
        number = self.tail
        if number >= max(self.first, self.spilled):
            return False
        at = self.place(number)
        self.save(number + 1)
        # More is behind it only where damage was, which has zeros since the start.
        n = min((self.place(number + 1) - at) % self.size, _HEAD + _LONGEST)
        self.move(self.memory.write, at, bytes(n))
        return True

    def move(self, transfer, at, data):
        at %= self.size
        n = self.size - at
        data = memoryview(data)
        transfer(self.at + at, data[:n])
        if n < len(data):
            transfer(self.at, data[n:])
