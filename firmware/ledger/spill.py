"""The journal's files in flash: what the backend has not got for so long that the ring in FRAM
would not hold it. Imported when there is one to be written, and at boot when there is one.

A file "j<first number>-<id of the journal>", little-endian: "VPS1", id (12 bytes, zeros behind
it), first number u32, how many records u16, of each its place in the file u16 (0: it was lost
before), CRC-32 of all this u32; then the records as they are in the ring. It is written once, in
one piece, and removed once nothing in it is needed.
"""

import binascii
import struct
from array import array

from micropython import const

_HEAD = const(10)
_MARK = const(0xA000)
_LONGEST = const(1024)
FRONT = const(22)
MOST = const(32)  # files: on the Pico W, whose FRAM has 32 kB, about 270 kB of 848 kB


def name(first, id):
    """The name of the file whose oldest record has the number `first`."""
    return "j%d-%s" % (first, id)


class Spill:
    """The files of `journal`. An entry of `files`: first number, last number + 1, and None, or
    the places of the records where the file's own ones are damaged.
    """

    def __init__(self, journal):
        self.files = []
        self._journal = journal

    def read(self, number):
        """The record `number`; None: it is not here, or damaged."""
        journal = self._journal
        for first, end, places in self.files:
            if first <= number < end:
                file = name(first, journal.id)
                if places is None:
                    place = bytearray(2)
                    journal.store.read(file, FRONT + 2 * (number - first), place)
                    at = place[0] | place[1] << 8
                else:
                    at = places[number - first]
                return self._record(file, at, number) if at else None
        return None

    def _record(self, file, at, number):
        head = bytearray(_HEAD)
        if self._journal.store.read(file, at, head) < _HEAD:
            return None
        crc, found, n = struct.unpack("<IIH", head)
        n ^= _MARK
        if found != number or n > _LONGEST:
            return None
        data = bytearray(n)
        self._journal.store.read(file, at + _HEAD, data)
        if crc != binascii.crc32(data, binascii.crc32(head[4:])):
            return None
        return bytes(data)

    def work(self):
        """Remove or write one file, where there is anything to do. Raises OSError when flash or
        memory fails: then nothing has changed.
        """
        journal = self._journal
        for entry in self.files:
            if entry[1] <= journal.first:
                # In this order: what is missing and not released counts as lost.
                journal.save(journal.tail)
                journal.store.remove(name(entry[0], journal.id))
                self.files.remove(entry)
                break
        else:
            if journal.room() < journal.size // 2 and len(self.files) < MOST:
                self._write()
        if not self.files:
            journal.flash = None

    def _write(self):
        journal = self._journal
        first = end = max(journal.first, journal.spilled, journal.tail)
        places = array("H")
        at = 0
        while end < journal.next and at < journal.size // 4:
            n = self._length(end)
            places.append(at if n else 0xFFFF)
            at += n
            end += 1
        if end == first:
            return
        begin = FRONT + 2 * len(places) + 4
        for i, place in enumerate(places):
            places[i] = 0 if place == 0xFFFF else place + begin
        front = struct.pack("<4s12sIH", b"VPS1", journal.id.encode(), first, len(places))
        for place in places:
            front += struct.pack("<H", place)
        front += struct.pack("<I", binascii.crc32(front))
        written = [0]
        file = name(first, journal.id)
        journal.store.replace(file, self._chunks(front, first, end, written))
        # What the flash says that it has kept goes from the ring: see whether it has.
        data = bytearray(256)
        crc = at = 0
        while True:
            n = journal.store.read(file, at, data)
            crc = binascii.crc32(memoryview(data)[:n], crc)
            at += n
            if n < len(data):
                break
        if crc != written[0]:
            journal.store.remove(file)
            raise OSError(5)
        self.files.append((first, end, None))
        journal.spilled = end

    def _length(self, number):
        journal = self._journal
        n = (journal.place(number + 1) - journal.place(number)) % journal.size
        return n if n <= _HEAD + _LONGEST else 0

    def _chunks(self, front, first, end, written):
        journal = self._journal
        written[0] = binascii.crc32(front)
        yield front
        for number in range(first, end):
            data = journal.read(number)
            if data is None:  # damaged since the start: as it is
                data = bytearray(self._length(number))
                journal.move(journal.memory.read, journal.place(number), data)
            else:
                head = struct.pack("<IH", number, len(data) | _MARK)
                crc = binascii.crc32(data, binascii.crc32(head))
                data = struct.pack("<I", crc) + head + data
            written[0] = binascii.crc32(data, written[0])
            yield data
