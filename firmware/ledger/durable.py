"""Opens the journal and the cells at boot: formats the memory, or recovers what a power cut or
damage has left. Let go of after that.

What is not as it was left is said in the log, as `journal` with a `problem` and, where records
are missing, `lost` and `damaged`:

- A record whose bytes are damaged is lost, and each intact one is kept, wherever the damage lies.
  Where the ring's end cannot be seen any more, numbers go on behind any that may have been used.
- With the cursor lost, too, the ring is searched; with one of the two headers, the other serves.
- With all of the ring lost, what is in flash is kept, and numbers go on far behind it under the
  same id; without that, too, an id that is new begins at 1.
- Content that is foreign or of another format is overwritten.
- A memory that does not answer or keeps nothing is not used: what is written is in RAM, in a
  journal that is full for transactions, so that nothing is sold. Once the memory that did not
  answer does the pile starts anew.
- Files of another id stay where they are, and are not read.
"""

import binascii
import struct
from array import array

from micropython import const

from firmware import let_go
from firmware.ledger.cell import Cell
from firmware.ledger.journal import Journal
from firmware.ticks import diff

TYPE_CHECKING = const(False)

_EROFS = const(30)
_ROOMY = const(16384)
_FRONT = const(22)
_MAGIC = const(b"VPJ2")
_MAGIC_FILE = const(b"VPS1")
_HEADER = const(32)
_CURSOR = const(14)
_SESSION = const(320)  # bytes of an outlet's cell
_STATION = const(64)
_RAM = const(8192)
_LITTLE = const(1024)  # bytes of a ring that is always full
_ASK_MS = const(60000)
_MOST = const(1 << 16)  # bytes that are used of a memory: a place has 16 bits
_LEAST = const(4096)  # of a ring
_RECORD = const(40)  # see Journal.places
_HEAD_OF_CELL = const(8)
_HEAD = const(10)
_MARK = const(0xA000)
_LONGEST = const(1024)
_BEHIND = const(0x2AA55AA5)
_END = const(0x5500)
_STEP = const(64)
# With the ring lost: more records than may have come behind those in flash.
_LEAP = const(1 << 16)
_ALL = const(1 << 32)


class Ram:
    """The memory role without a memory: all is gone with the power."""

    def __init__(self, size):
        self.size = size
        self._bytes = bytearray(size)

    def read(self, at, into):
        into[:] = memoryview(self._bytes)[at : at + len(into)]

    def write(self, at, data):
        self._bytes[at : at + len(data)] = data


def open(board, outlets, closed):
    """The journal and a list of cells, of 320 bytes for each of so many `outlets` and of 64 for
    the station at last. `closed()` tells whether a contactor may be closed. Raises nothing.
    """
    memory = board.memory
    if memory:
        if _ring(outlets, min(memory.size, _MOST)) < _LEAST:
            board.log.record("journal", problem="memory of %d bytes: too small" % memory.size)
        else:
            try:
                return _Opening(board, memory, outlets, closed).done()
            except OSError as error:
                problem = "memory fails: %r; using RAM, and nothing is sold" % error
                board.log.record("journal", problem=problem)
                ram = Ram(_cells(outlets) + _HEADER + _LITTLE)
                return _Opening(board, ram, outlets, closed).done()
    ram = Ram(_RAM + 2 * (_SESSION + 8) * outlets)
    return _Opening(board, ram, outlets, closed).done()


class Waiting:
    """Starts the pile anew once its memory answers that did not at boot: nothing flows until then,
    and what it has kept is not lost. Only for a memory that is silent now: one that answers and
    keeps nothing is no better after another boot.
    """

    def __init__(self, board):
        self._board = board
        self._asked_ms = board.clock.ticks_ms()
        self._silent = not self._answers()

    def tick(self, now_ms):
        """Ask it once a minute; call it from the main loop."""
        if self._silent and diff(now_ms, self._asked_ms) >= _ASK_MS:
            self._asked_ms = now_ms
            if self._answers():
                self._board.reset("LocalReset")

    def _answers(self):
        try:
            self._board.memory.read(0, bytearray(1))
        except OSError:
            return False
        return True


def _cells(outlets):
    # where the ring begins
    return _HEADER + Cell.SPACE(_CURSOR) + outlets * Cell.SPACE(_SESSION) + Cell.SPACE(_STATION)


def _ring(outlets, size):
    return size - _cells(outlets) - _HEADER


class _Opening:
    # One attempt, on one memory.
    def __init__(self, board, memory, outlets, closed):
        self.board = board
        self.memory = memory
        self.outlets = outlets
        self.said = []  # what is not as it was left
        self.lost = []  # the first of the numbers that are lost
        self.missing = []  # numbers that a file should have and has not
        self.top = min(memory.size, _MOST)
        self.journal = journal = Journal()
        journal.lost = journal.spilled = 0
        journal.memory = memory
        journal.store = board.store
        journal.closed = closed
        journal.again_ms = board.clock.ticks_ms()
        journal.flash = None
        journal.cursor = Cell(memory, _HEADER, _CURSOR)

    def done(self):
        journal = self.journal
        header = self._header()
        files = self._names()
        if header:
            journal.id, held = header
        else:
            # More than are needed, where there is room, so that a board may get outlets later.
            held = max(self.outlets, 4 if self.top >= _ROOMY else 1)
            # The id goes on with what is in flash.
            journal.id = sorted(files)[-1] if files else ""
        journal.at = _cells(held)
        journal.size = _ring(held, self.top)
        journal.places = array("H", bytes(journal.size // _RECORD * 2))
        kept = [self._file(first) for first in sorted(files.get(journal.id, ()))]
        if not (header and self._recover(kept)):
            if header or kept:
                self.said.append("all of the ring is lost")
            if not kept:
                journal.id = self.board.nonce()[:12]
            self._format(kept, held)
        self._join(kept)
        if self.outlets > held:
            self.said.append("there are %d cells of outlets; others are in RAM" % held)
        others = sum([len(files[id]) for id in files if id != journal.id])
        if others:
            self.said.append("%d files of another id are not read" % others)
        journal.save(journal.tail)
        count = journal.cursor.count
        journal.cursor.load()
        if journal.cursor.count != count:
            raise OSError(_EROFS)
        journal.damaged = self.lost
        if self.said or journal.lost:
            self.board.log.record(
                "journal", problem="; ".join(self.said), lost=journal.lost, damaged=self.lost
            )
        return journal, self._made(held)

    def _header(self):
        # (id, outlets that there are cells for); None: neither copy is valid. Repairs one copy by
        # the other.
        found = None
        seen = b""
        wrong = []
        for at in (self.top - _HEADER, 0):
            data = bytearray(_HEADER)
            self.memory.read(at, data)
            magic, id, size, held, crc = struct.unpack("<4s12sIB7xI", data)
            if crc != binascii.crc32(data[:-4]):
                wrong.append(at)
                seen = seen or any(data) and b"?"
            elif magic != _MAGIC or size != self.top:
                wrong.append(at)
                seen = magic
            else:
                found = data, (id.rstrip(b"\0").decode(), held)
        if found is None:
            if seen:
                what = "foreign" if seen == b"?" else "of another format or size"
                self.said.append("formatted: what was there was " + what)
            return None
        for at in wrong:
            self.said.append("header repaired")
            self.memory.write(at, found[0])
        return found[1]

    def _format(self, kept, held):
        # Numbers go on far behind what is in flash.
        journal = self.journal
        journal.first = journal.next = 1
        if kept:
            journal.first = kept[0][0]
            journal.next = kept[-1][1] + _LEAP
        journal.tail = journal.next
        # The headers first: a cut leaves none.
        self._clear(0, _HEADER)
        self._clear(self.top - _HEADER, _HEADER)
        self._clear(0, self.top)
        journal.places[journal.next % len(journal.places)] = 0
        journal.move(self.memory.write, 0, struct.pack("<IIH", _BEHIND, journal.next, _END))
        journal.save(journal.next)
        header = struct.pack("<4s12sIB7x", _MAGIC, journal.id.encode(), self.top, held)
        header += struct.pack("<I", binascii.crc32(header))
        self.memory.write(self.top - _HEADER, header)
        self.memory.write(0, header)

    def _clear(self, at, n):
        # Zeros over the memory, where it has others; whether it had none.
        data = bytearray(128)
        zeros = True
        while n > 0:
            part = memoryview(data)[: min(n, 128)]
            self.memory.read(at, part)
            if any(part):
                zeros = False
                self.memory.write(at, bytes(len(part)))
            at += len(part)
            n -= len(part)
        return zeros

    def _wipe(self, at, n):
        # The same in the ring.
        size = self.journal.size
        at %= size
        zeros = self._clear(self.journal.at + at, min(n, size - at))
        return self._clear(self.journal.at, n - (size - at)) and zeros

    def _recover(self, kept):
        # Find the records in the ring; whether there were any, or at least a cursor.
        journal = self.journal
        cursor = journal.cursor.load()
        if cursor and len(cursor) == _CURSOR:
            journal.first, journal.tail, at, limit = struct.unpack("<IIHI", cursor)
        else:
            journal.tail, at = self._oldest()
            if not journal.tail:
                return False
            self.said.append("the cursor is lost")
            journal.first = min(journal.tail, kept[0][0]) if kept else journal.tail
            limit = 0
        size = journal.size
        last = journal.tail + len(journal.places) - 2  # that there is a place for
        number = journal.tail
        left = size - _HEAD  # bytes to look at, and the next record's head
        while left >= 0:
            skipped = 0
            found, n = self._record(at)
            if not number <= found < last or n > left - _HEAD:
                skipped, found, n = self._search(at, left, number, last + 1)
                if not found:
                    break
                # The first one that is lost has the bytes up to what was found, others none.
                zeros = self._wipe(at, skipped)
                if skipped and not (zeros and number == journal.tail and self._cursor_is_old()):
                    self._lose(number, found)
                self._put(number, number + 1, at)
                number = min(number + 1, found)
                at = (at + skipped) % size
                left -= skipped
            self._put(number, found + 1, at)
            number = found
            if not n:
                break
            number += 1
            at = (at + n) % size
            left -= n
        else:
            found = 0
        if not found:
            self.said.append("the ring's end is damaged")
            if self._head(at)[-1] & 0xF8 == _MARK >> 8:
                self._lose(number, number + 1)
            # Any number below the limit may have been used; and the cursor may be the one before.
            end = max(number, min(max(number, limit) + _STEP, last))
            self._wipe(at, left + _HEAD)
            self._put(number, end + 1, at)
            number = end
        # What a cut may have left of an appending, and of a freeing: in this order, for `_torn`.
        journal.move(self.memory.write, at, struct.pack("<IIH", _BEHIND, number, _END))
        self._wipe(at + _HEAD, min(left, _LONGEST + 2 * _HEAD))
        n = min(left, _LONGEST + _HEAD)
        self._wipe(journal.place(journal.tail) - n, n)
        journal.next = number
        return True

    def _cursor_is_old(self):
        # Whether the other copy of the cursor is damaged: it may have been the newer one, and the
        # ring's beginning released.
        data = bytearray(_HEAD_OF_CELL + _CURSOR)
        at = (self.journal.cursor.count + 1 & 1) * len(data)
        self.memory.read(_HEADER + at, data)
        return struct.unpack_from("<I", data)[0] != binascii.crc32(data[4:])

    def _put(self, number, end, at):
        places = self.journal.places
        for i in range(number, end):
            places[i % len(places)] = at

    def _lose(self, number, end):
        number = max(number, self.journal.first)
        if number < end:
            self.journal.lost += end - number
            self.lost += range(number, min(end, number + 8 - len(self.lost)))

    def _head(self, at):
        head = bytearray(_HEAD)
        self.journal.move(self.memory.read, at, head)
        return head

    def _record(self, at):
        # (number, bytes of all of it) of the record at this place of the ring; number 0: none
        head = self._head(at)
        n = _length(head, 0)
        if not n:
            return 0, 0
        data = bytearray(n)
        self.journal.move(self.memory.read, at, data)
        return _valid(data, 0)

    def _torn(self, at, number):
        # Whether the record was being written, at its head: then the end is behind it already.
        data = bytearray(min(self.journal.size - _HEAD, _LONGEST + _HEAD))
        self.journal.move(self.memory.read, at + _HEAD, data)
        return bytes(data).find(struct.pack("<IIH", _BEHIND, number + 1, _END)) > 0

    def _search(self, at, left, low, high):
        # (bytes skipped, number, bytes of it) of the next record with a number in low ... high-1;
        # the end that such a number is to be put at has 0 bytes. Number 0: there is neither.
        skipped = 0
        while skipped <= left:
            data = bytearray(min(512, left + _HEAD - skipped))
            self.journal.move(self.memory.read, at + skipped, data)
            for i in range(len(data) - _HEAD + 1):
                kind = data[i + 9]
                if kind == _END >> 8 or kind & 0xF8 == _MARK >> 8:
                    behind, number = struct.unpack_from("<II", data, i)
                    if low <= number < high:
                        if kind == _END >> 8:
                            if behind == _BEHIND or skipped + i == 0 and self._torn(at, number):
                                return skipped + i, number, 0
                            continue
                        number, n = self._record(at + skipped + i)
                        if number and n <= left - skipped - i:
                            return skipped + i, number, n
            skipped += len(data) - _HEAD + 1
        return 0, 0, 0

    def _oldest(self):
        # (number, place) of the oldest record that the ring has; number 0: it has none
        oldest = where = at = 0
        size = self.journal.size
        while at < size:
            skipped, number, n = self._search(at, size + _LONGEST - at, 1, _ALL)
            at += skipped
            if not number or at >= size:
                break
            if n and (not oldest or number < oldest):
                oldest, where = number, at
            at += n or 1
        return oldest, where

    def _names(self):
        # The first numbers of the files of each id.
        files = {}
        try:
            for name in self.journal.store.names("j"):
                first, _, id = name[1:].partition("-")
                if first.isdigit() and 0 < len(id) <= 12:
                    files.setdefault(id, []).append(int(first))
        except OSError as error:
            self.said.append("flash fails: %r" % error)
        return files

    def _file(self, first):
        # An entry of Spill.files.
        journal = self.journal
        data = journal.store.load("j%d-%s" % (first, journal.id)) or b""
        count = struct.unpack_from("<H", data, 20)[0] if len(data) > _FRONT else 0
        front = data[: _FRONT + 2 * count]
        begun = struct.pack("<4s12sI", _MAGIC_FILE, journal.id.encode(), first)
        crc = struct.pack("<I", binascii.crc32(front))
        if count and data[:20] == begun and data[len(front) : len(front) + 4] == crc:
            for i in range(count):
                (at,) = struct.unpack_from("<H", data, _FRONT + 2 * i)
                if _valid(data, at)[0] != first + i:
                    self.missing.append(first + i)
            return first, first + count, None
        self.said.append("file j%d is damaged" % first)
        places = array("H")
        at = 0
        while at < len(data):
            number, n = _valid(data, at)
            if first + len(places) <= number < first + len(data):
                while first + len(places) < number:
                    self.missing.append(first + len(places))
                    places.append(0)
                places.append(at)
                at += n
            else:
                at += 1
        if not places:
            self.missing.append(first)
            places.append(0)
        return first, first + len(places), places

    def _join(self, kept):
        # What is in flash comes before the ring.
        journal = self.journal
        number = journal.first
        if kept:
            from firmware.ledger import spill

            let_go("firmware.ledger.spill")
            journal.flash = spill.Spill(journal)
            journal.flash.files = kept
            journal.spilled = kept[-1][1]
            for missing in self.missing:
                if missing < journal.tail:
                    self._lose(missing, missing + 1)
            for first, end, _ in kept:
                self._lose(number, min(first, journal.tail))
                number = max(number, end)
        if journal.tail - number < _LEAP:  # else they never were
            self._lose(number, journal.tail)

    def _made(self, held):
        cells = []
        at = _HEADER + Cell.SPACE(_CURSOR)
        for _ in range(held):
            cells.append(Cell(self.memory, at, _SESSION))
            at += Cell.SPACE(_SESSION)
        del cells[self.outlets :]
        while len(cells) < self.outlets:
            cells.append(Cell(Ram(Cell.SPACE(_SESSION)), 0, _SESSION))
        cells.append(Cell(self.memory, at, _STATION))
        return cells


def _length(data, at):
    # bytes of the record there, its head included; 0: none
    n = (data[at + 8] | data[at + 9] << 8) ^ _MARK
    return n + _HEAD if 0 < n <= _LONGEST else 0


def _valid(data, at):
    # (number, bytes of all of it) of the record there; number 0: none
    n = _length(data, at) if at + _HEAD < len(data) else 0
    if not n or at + n > len(data):
        return 0, 0
    crc, number = struct.unpack_from("<II", data, at)
    if crc != binascii.crc32(memoryview(data)[at + 4 : at + n]):
        return 0, 0
    return number, n
