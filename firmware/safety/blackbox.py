"""The black box: what happened around every opening of the contactor that nobody asked for.

`BlackBox` keeps the last three seconds of one outlet in a ring; `Records` takes what is complete
to the board's store, while every contactor is open. `playback` reads it.

A record, little-endian: "VPB1", number u32, outlet u8 (from 1), forced u8 (1: the vehicle did not
answer a stop for 6 s), index of the oldest entry u16, faults that stood at the opening u32 (bits
of safety.faults), seconds since boot u32, Unix time u32 (0: not known), the entries, CRC-32 of all
before. An entry has four u16: pilot's high plateau in mV (signed); permille + state << 10
+ drive << 14; current in 10 mA; input word + ms since the entry before << 8 (255: or more; 0: no
entry).
"""

import binascii
import struct
from array import array

from micropython import const

from firmware.safety.core import (
    CURRENT_MA,
    DRIVE,
    FORCED,
    IN_LIVE,
    IN_MIRROR,
    INPUTS,
    LEVEL_MV,
    PERMILLE,
    STANDING,
    STATE,
)

MAGIC = b"VPB1"
HEADER = "<4sIBBHIII"
KEPT = const(8)

_SAMPLE_MS = const(10)
# Entries from the opening on, and all: 1 s after, 2 s before. Closing and opening are noted out
# of turn.
AFTER = const(101)
_SHORTS = const(4 * 304)

# cells of a box
_AT = const(0)  # where the next entry goes
_LAST_MS = const(1)  # clock at the last entry
_DRIVEN = const(2)  # DRIVE at the last tick
_FORCED = const(3)  # FORCED at the last change of DRIVE
_LEFT = const(4)  # 0: nothing has happened; 1: complete, not taken; else 1 + entries to come
_FAULTS = const(5)  # that stood at the opening
_BY_FORCE = const(6)
_OPENED_MS = const(7)

_LAST = const((1 << 30) - 1)


class BlackBox:
    """`cells` are those of the outlet's safety core."""

    def __init__(self, cells):
        self._cells = cells
        self._own = array("i", [0] * 8)
        self._ring = array("H", [0] * _SHORTS)

    def note(self, now_ms):
        """Tick. Call it after each tick of the core; allocates nothing."""
        c = self._cells
        own = self._own
        drive = c[DRIVE]
        dt = (now_ms - own[_LAST_MS]) & _LAST
        if dt < _SAMPLE_MS and drive == own[_DRIVEN]:
            return
        left = own[_LEFT]
        if drive != own[_DRIVEN]:
            own[_DRIVEN] = drive
            if not left and not drive and (c[STANDING] or c[FORCED] != own[_FORCED]):
                left = AFTER + 1
                own[_FAULTS] = c[STANDING]
                own[_BY_FORCE] = c[FORCED] != own[_FORCED]
                own[_OPENED_MS] = now_ms
            own[_FORCED] = c[FORCED]
        if left == 1:
            return
        if left:
            own[_LEFT] = left - 1
        own[_LAST_MS] = now_ms
        ring = self._ring
        i = own[_AT]
        ma = c[CURRENT_MA]
        ring[i] = c[LEVEL_MV] & 0xFFFF
        ring[i + 1] = c[PERMILLE] | c[STATE] << 10 | drive << 14
        ring[i + 2] = ma // 10 if ma < 655350 else 0xFFFF
        ring[i + 3] = c[INPUTS] & 0xFF | (dt if dt < 255 else 255) << 8
        i += 4
        own[_AT] = i if i < _SHORTS else 0

    @property
    def closed(self):
        """Whether the contactor is closed, or about to be."""
        return self._cells[DRIVE] or self._cells[INPUTS] & (IN_MIRROR | IN_LIVE)

    @property
    def complete(self):
        """Whether a record waits to be taken; until then nothing more is noted."""
        return self._own[_LEFT] == 1

    def take(self, number, outlet, now_ms, wall):
        """The record, at `now_ms`; noting goes on."""
        own = self._own
        uptime_ms = wall.uptime_ms - ((now_ms - own[_OPENED_MS]) & _LAST)
        body = struct.pack(
            HEADER,
            MAGIC,
            number,
            outlet,
            own[_BY_FORCE],
            own[_AT] // 4,
            own[_FAULTS],
            uptime_ms // 1000,
            wall.unix_ms(uptime_ms) // 1000 if wall.is_set else 0,
        )
        body += bytes(self._ring)
        own[_LEFT] = 0
        return body + struct.pack("<I", binascii.crc32(body))


class Records:
    """Keeps the last eight records of `boxes` in `store`; those that a closed contactor keeps
    from being stored wait in memory, two at most.
    """

    def __init__(self, boxes, store, wall):
        self.waiting = []
        self._boxes = boxes
        self._store = store
        self._wall = wall
        self._number = 0  # of the last record; 0: not looked up yet

    def tick(self, now_ms):
        """Take what is complete; call it from the main loop."""
        for i in range(len(self._boxes)):
            box = self._boxes[i]
            if box.complete:
                self._number = (self._number or self._newest()) + 1
                self.waiting.append(box.take(self._number, i + 1, now_ms, self._wall))
                del self.waiting[:-2]
        if self.waiting and not any(box.closed for box in self._boxes):
            record = self.waiting.pop(0)
            self._store.save(_name(number(record)), record)

    def stored(self):
        """The valid records, one after the other, in no order."""
        for i in range(KEPT):
            record = self._store.load(_name(i))
            if number(record):
                yield record

    def _newest(self):
        newest = 0
        for record in self.stored():
            newest = max(newest, number(record))
        return newest


def number(record):
    """The number of `record` (bytes, or None), from 1; 0 when it is torn or foreign."""
    if (
        record
        and len(record) == struct.calcsize(HEADER) + 2 * _SHORTS + 4
        and record[:4] == MAGIC
        and struct.unpack("<I", record[-4:])[0] == binascii.crc32(record[:-4])
    ):
        return struct.unpack("<I", record[4:8])[0]
    return 0


def _name(n):
    return "blackbox%d" % (n % KEPT)
