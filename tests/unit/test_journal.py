"""The journal and its cells: order, room, files in flash, damage and what fails."""

import struct
from binascii import crc32

from firmware.ledger import durable, spill
from firmware.ledger.cell import Cell
from hal.virtual.chips import fm24 as emulation
from hal.virtual.random import Random
from tests.cuts import Board, Kept, Memory
from tests.support import raises


class Pile:
    """A board that boots again and again, and what its journal must have."""

    def __init__(self, kbit=64, outlets=1):
        self.chip = emulation.Fm24(kbit)
        self.memory = Memory(self.chip)
        self.store = Kept({})
        self.outlets = outlets
        self.closed = False
        self.boots = 0
        self.records = {}
        self.random = Random(1)
        self.boot()

    def boot(self):
        self.boots += 1
        self.board = Board(self.memory, self.store, self.boots)
        self.journal, self.cells = durable.open(self.board, self.outlets, lambda: self.closed)
        return self.journal

    def append(self, n=None, count=1):
        for _ in range(count):
            size = n or 1 + self.random.below(90)
            data = bytes([self.random.below(255) + 1 for _ in range(size)])
            self.records[self.journal.append(data)] = data

    def tick(self, ms=20, count=1):
        for _ in range(count):
            self.board.now_ms = (self.board.now_ms + ms) & ((1 << 30) - 1)
            self.journal.tick(self.board.now_ms)

    def release(self, number):
        self.journal.release(number)
        for old in sorted(self.records):
            if old < number:
                del self.records[old]

    def missing(self):
        """The numbers of records that are needed and not there."""
        numbers = sorted(self.records)
        found = [self.journal.read(number) for number in numbers]
        for number, data in zip(numbers, found):
            assert data in (None, self.records[number]), number
        return [number for number, data in zip(numbers, found) if data is None]

    def said(self):
        return [line["problem"] for line in self.board.said if line["what"] == "journal"]


def test_records_are_there_again_in_order():
    pile = Pile()
    assert (pile.journal.first, pile.journal.next, pile.said()) == (1, 1, [])
    assert pile.journal.id == "b1"
    pile.append(count=40)
    assert sorted(pile.records) == list(range(1, 41))
    for _ in range(2):
        assert not pile.missing()
        assert (pile.journal.first, pile.journal.next) == (1, 41)
        pile.boot()
    assert (pile.journal.id, pile.journal.lost, pile.said()) == ("b1", 0, [])
    for number in (0, 41, 1000, -1):
        assert pile.journal.read(number) is None


def test_what_is_released_is_gone_and_overwritten():
    pile = Pile()
    token = b"\x01 04A1B2C3D4E5F6"
    for _ in range(20):
        pile.journal.append(token)
    assert token in bytes(pile.chip.memory)
    pile.journal.release(11)
    assert pile.journal.read(10) is None and pile.journal.read(11) == token
    pile.journal.release(5)
    assert pile.journal.first == 11
    pile.journal.release(1000)
    assert pile.journal.first == pile.journal.next == 21
    pile.tick(count=20)
    assert token not in bytes(pile.chip.memory)
    pile.boot()
    assert (pile.journal.first, pile.journal.next) == (21, 21)
    assert pile.journal.append(b"x") == 21


def test_round_and_round():
    pile = Pile()
    for turn in range(60):
        pile.append(count=12)
        pile.append(1024)
        pile.release(pile.journal.next - 8)
        pile.tick(count=20)
        if turn % 7 == 0:
            pile.boot()
        assert not pile.missing()
        assert not pile.journal.crowded and not pile.journal.full
    assert pile.journal.next == 781 and pile.journal.lost == 0


def test_crowded_then_full_then_an_oserror():
    pile = Pile()
    pile.closed = True
    crowded = full = None
    while True:
        if pile.journal.crowded and crowded is None:
            crowded = pile.journal.next
        if pile.journal.full and full is None:
            full = pile.journal.next
        pile.tick(1000)
        try:
            pile.append(60)
        except OSError:
            break
    top = pile.journal.next - 1
    assert 70 <= crowded * 100 // top <= 80 < full * 100 // top, (crowded, full, top)
    assert full < top and not pile.missing()
    pile.boot()
    assert not pile.missing() and pile.journal.crowded and not pile.store.kept
    # What is needed no more makes room at once.
    pile.release(3)
    pile.append(60)
    assert not pile.missing()


def test_small_records_fill_it_too():
    pile = Pile()
    pile.closed = True
    raises(OSError, pile.append, 1, 1000)
    count = len(pile.records)
    assert 150 < count < 200 and not pile.missing() and pile.journal.full
    pile.boot()
    assert not pile.missing() and pile.journal.next == count + 1


def test_what_is_no_record_is_refused():
    pile = Pile()
    raises(ValueError, pile.journal.append, b"")
    raises(ValueError, pile.journal.append, bytes(1025))
    assert pile.journal.append(bytes(1024)) == 1


def test_files_are_written_while_open_and_removed_once_released():
    pile = Pile()
    pile.closed = True
    while not pile.journal.crowded:
        pile.append()
        pile.tick(1000)
    assert not pile.store.kept
    pile.closed = False
    pile.tick(1000, 10)
    names = pile.store.names("j")
    assert 1 <= len(names) <= 2 and names[0] == "j1-b1", names
    pile.tick(20, 200)
    assert not pile.missing() and not pile.journal.crowded and pile.journal.tail > 10
    pile.boot()
    assert not pile.missing() and pile.journal.lost == 0
    # the ring goes round, and more files come
    for _ in range(40):
        pile.append(count=5)
        pile.tick(1000)
        pile.tick(20, 20)
    assert not pile.missing() and len(pile.store.names("j")) > 3
    pile.closed = True
    pile.release(pile.journal.next - 3)
    before = len(pile.store.names("j"))
    pile.tick(1000, 10)
    assert len(pile.store.names("j")) == before
    pile.closed = False
    pile.tick(20, 200)
    pile.tick(1000, 30)
    assert not pile.store.names("j") and pile.journal.flash is None and not pile.missing()
    pile.boot()
    assert not pile.missing() and pile.journal.lost == 0 and not pile.said()


def test_files_are_bounded():
    pile = Pile()
    raises(OSError, _fill, pile)
    assert len(pile.store.names("j")) == spill.MOST
    assert not pile.missing()
    pile.boot()
    assert not pile.missing() and pile.journal.full
    assert sum([len(data) for data in pile.store.kept.values()]) > 50000


def _fill(pile):
    while True:
        pile.append(200)
        pile.tick(1000)
        pile.tick(20, 8)


def _spilled():
    pile = Pile()
    for _ in range(4):
        pile.append(count=30)
        pile.tick(1000, 2)
        pile.tick(20, 80)
    assert len(pile.store.names("j")) > 1 and not pile.missing()
    return pile


def test_flash_that_is_full_or_read_only_is_tried_seldom_and_loses_nothing():
    for errno, capacity in ((30, None), (5, None), (0, 1000)):
        pile = Pile()
        pile.store.fails = errno
        pile.store.capacity = capacity
        pile.append(count=100)
        failed = 0
        for _ in range(1300):
            try:
                pile.tick(1000)
            except OSError:
                failed += 1
        assert failed == 3, failed
        assert not pile.missing() and not pile.store.kept
        pile.boot()
        assert not pile.missing()
        pile.store.fails = 0
        pile.store.capacity = None
        pile.tick(600000)
        pile.tick(1000)
        assert pile.store.kept and not pile.missing()


def test_flash_that_keeps_something_else_is_not_trusted():
    pile = Pile()
    pile.append(count=100)
    replace = pile.store.replace

    def bad(name, chunks):
        replace(name, chunks)
        data = bytearray(pile.store.kept[name])
        data[len(data) // 2] ^= 4
        pile.store.kept[name] = bytes(data)

    pile.store.replace = bad
    raises(OSError, pile.tick, 1000)
    assert not pile.store.kept and not pile.missing()


def test_a_file_system_that_fails_at_boot_is_said():
    pile = _spilled()
    names = pile.store.names

    def fails(prefix):
        raise OSError(5)

    pile.store.names = fails
    pile.boot()
    assert "flash fails" in pile.said()[0]
    missing = pile.missing()
    assert pile.journal.lost == len(missing) > 10 and pile.journal.damaged == missing[:8]
    pile.store.names = names
    pile.boot()
    assert not pile.missing() and pile.journal.lost == 0


def test_the_fram_lost_numbers_go_on_behind_those_in_flash():
    pile = _spilled()
    top = pile.journal.next
    kept = pile.journal.spilled
    pile.chip.memory[:] = bytes(len(pile.chip.memory))
    pile.boot()
    assert pile.journal.id == "b1" and pile.journal.next >= top + 50000
    assert "ring is lost" in pile.said()[0]
    missing = pile.missing()
    assert missing == list(range(kept, top)), missing
    for number in missing:
        del pile.records[number]
    for _ in range(2):
        pile.append(count=10)
        assert not pile.missing()
        pile.boot()
        assert pile.said() == [] and pile.journal.lost == 0
    pile.release(pile.journal.next)
    pile.tick(20, 100)
    pile.tick(1000, 30)
    assert not pile.store.kept


def test_the_flash_lost_numbers_go_on():
    pile = _spilled()
    top = pile.journal.next
    kept = pile.journal.spilled
    pile.store.kept.clear()
    pile.boot()
    assert pile.missing() == list(range(1, kept))
    assert (pile.journal.lost, pile.journal.damaged) == (kept - 1, list(range(1, 9)))
    assert (pile.journal.id, pile.journal.next) == ("b1", top)


def test_files_of_another_journal_are_neither_read_nor_overwritten():
    pile = _spilled()
    before = dict(pile.store.kept)
    other = Pile()
    other.store.kept = dict(before)
    other.boots = 7
    other.boot()
    assert other.journal.id == "b1"  # it had none of its own in flash: but its ring has
    for chip in (other.chip,):
        chip.memory[:] = bytes(len(chip.memory))
    other.store.kept = {}
    other.boots = 7
    other.boot()
    assert other.journal.id == "b8"
    other.store.kept = dict(before)
    other.boot()
    assert "files of another id" in other.said()[0]
    other.records = {}
    other.append(count=100)
    other.tick(1000, 3)
    other.tick(20, 100)
    assert not other.missing()
    for name in before:
        assert other.store.kept[name] == before[name]


def test_a_damaged_file_loses_what_is_damaged_only():
    for seed in range(20):
        pile = _spilled()
        random = Random(seed)
        names = pile.store.names("j")
        name = names[random.below(len(names))]
        data = bytearray(pile.store.kept[name])
        begin = random.below(len(data))
        end = min(len(data), begin + 1 + random.below(1 if seed % 2 else 300))
        for i in range(begin, end):
            data[i] ^= 1 + random.below(255)
        first = int(name[1:].split("-")[0])
        intact = []
        at = 0
        old = pile.store.kept[name]
        for number in range(first, pile.journal.spilled):
            body = pile.records[number]
            at = old.find(body, at)
            if at < 0:
                break
            if end <= at - 10 or begin >= at + len(body):
                intact.append(number)
        pile.store.kept[name] = bytes(data)
        pile.boot()
        missing = pile.missing()
        for number in intact:
            assert number not in missing, (seed, number)
        assert pile.journal.lost == len(missing), (seed, pile.journal.lost, missing)
        assert pile.journal.damaged == missing[:8]
        pile.store.kept[name] = b""
        pile.boot()
        assert pile.journal.lost == len(pile.missing())
        pile.release(pile.journal.next)
        pile.tick(20, 100)
        pile.tick(1000, 30)
        assert not pile.store.kept


def _places(pile):
    """Of each record that is needed, the bytes of the memory that it has."""
    journal = pile.journal
    found = {}
    for number in pile.records:
        at = journal.place(number)
        n = (journal.place(number + 1) - at) % journal.size
        found[number] = [journal.at + (at + i) % journal.size for i in range(n)]
    return found


def _damage(seed, flip):
    random = Random(seed)
    pile = Pile()
    pile.random = random
    # somewhere in the ring, over its end as well
    for _ in range(random.below(12)):
        pile.append(count=8)
        pile.append(1 + random.below(1024))
        pile.release(pile.journal.next)
        pile.tick(1000)
        pile.tick(count=10)
    pile.append(count=1 + random.below(40))
    pile.cells[0].save(b"old")
    pile.cells[0].save(b"new")
    top = pile.journal.next
    id = pile.journal.id
    places = _places(pile)
    memory = pile.chip.memory
    size = len(memory)
    before = bytes(memory)
    if flip:
        memory[random.below(size)] ^= 1 << random.below(8)
    else:
        begin = random.below(size)
        end = min(size, begin + 1 + random.below(size // 2))
        kind = random.below(4)
        for i in range(begin, end):
            memory[i] = (0, 255, 0x55, random.below(256))[kind]
    intact = [n for n in places if all(memory[i] == before[i] for i in places[n])]
    pile.boot()
    missing = pile.missing()
    for number in intact:
        assert number not in missing, (seed, number, missing, pile.said())
    assert len(missing) == len(places) - len(intact)
    journal = pile.journal
    assert journal.lost <= len(missing), (seed, journal.lost, missing)
    assert not missing or pile.board.said, (seed, missing)
    for number in journal.damaged:
        assert number in missing, (seed, number, missing)
    # Numbers under one id are never given twice.
    assert journal.id != id or journal.next >= top, (seed, journal.next, top)
    assert pile.cells[0].load() in (b"old", b"new", None)
    for number in missing:
        del pile.records[number]
    for _ in range(2):
        pile.append(count=3)
        assert not pile.missing(), seed
        pile.boot()
        assert pile.journal.next >= top or journal.id != id
    pile.release(pile.journal.next)
    pile.tick(count=100)
    pile.boot()
    assert (pile.journal.lost, pile.said()) == (0, []), (seed, pile.said())
    return len(missing)


def test_any_bit_flipped():
    assert sum([_damage(seed, True) for seed in range(50)]) > 4


def test_any_region_overwritten():
    assert sum([_damage(seed, False) for seed in range(50)]) > 100


def test_a_lost_cursor_with_ends_all_over_the_ring():
    pile = Pile()
    pile.append(count=20)
    for at in range(32, 6000):
        pile.chip.memory[at] = 0x55
    pile.boot()
    assert pile.said() and len(pile.missing()) == 20
    pile.records = {}
    pile.append(count=5)
    pile.boot()
    assert not pile.missing()


def test_a_record_overwritten_from_its_last_byte_on_by_what_ends_a_ring():
    for fill in (0x55, 0, 0xA0):
        pile = Pile()
        pile.append(count=10)
        at = pile.journal.at + pile.journal.place(8) + 9
        pile.chip.memory[at : at + 1000] = bytes([fill]) * 1000
        pile.boot()
        assert pile.missing() == [8, 9, 10] and pile.journal.next > 10 and pile.said()


def test_foreign_content_and_other_formats_are_formatted_and_said():
    for content, text in (
        (b"\xa5" * 8192, "foreign"),
        (bytes([i * i & 255 for i in range(8192)]), "foreign"),
        (_other(b"VPJ1", 8192), "another format or size"),
        (_other(b"VPJ2", 32768), "another format or size"),
    ):
        pile = Pile()
        pile.chip.memory[:] = content
        pile.boot()
        assert text in pile.said()[0]
        assert (pile.journal.id, pile.journal.first, pile.journal.next) == ("b2", 1, 1)
        pile.append(count=30)
        assert not pile.missing() and [cell.load() for cell in pile.cells] == [None, None]
        pile.boot()
        assert not pile.missing() and pile.journal.id == "b2" and not pile.said()


def _other(magic, size):
    header = struct.pack("<4s12sIB7x", magic, b"other", size, 1)
    header += struct.pack("<I", crc32(header))
    return header + bytes(8192 - 32)


def test_one_header_serves_and_is_repaired():
    for at in (0, 8192 - 32):
        pile = Pile()
        pile.append(count=5)
        before = bytes(pile.chip.memory)
        pile.chip.memory[at : at + 32] = bytes(32)
        pile.boot()
        assert "header repaired" in pile.said()[0] and not pile.missing()
        assert pile.chip.memory[at : at + 32] == before[at : at + 32]
        pile.boot()
        assert not pile.said()


def test_a_memory_that_fails_is_not_used():
    pile = Pile()
    pile.append(count=3)
    pile.chip.silent = True
    raises(OSError, pile.journal.append, b"x")
    raises(OSError, pile.journal.read, 1)
    raises(OSError, pile.cells[0].save, b"x")
    pile.boot()
    assert "memory fails" in pile.said()[0]
    assert pile.journal.full  # nothing is sold
    pile.records = {}
    pile.append(count=5)
    pile.cells[0].save(b"in RAM")
    assert not pile.missing() and pile.cells[0].load() == b"in RAM"
    pile.chip.silent = False
    pile.boot()
    assert pile.journal.next == 4 and pile.journal.id == "b1"


def test_a_memory_that_fails_for_a_while_loses_nothing():
    pile = Pile()
    pile.append(count=3)
    for left in (0, 1, 5, 9, 10, 14, 15, 16, 20, 24, 25):
        pile.chip.cut_after(left)
        try:
            pile.append(4)
        except OSError:
            assert left < 24
        pile.chip.restore()
        assert not pile.missing()
        pile.append()
        assert not pile.missing()
    pile.release(4)
    pile.chip.silent = True
    raises(OSError, pile.tick)
    pile.tick(20, 100)  # not again at once
    pile.chip.silent = False
    pile.tick(600000)
    pile.boot()
    assert not pile.missing() and pile.journal.lost == 0


def test_a_memory_that_keeps_nothing_is_found_out():
    pile = Pile()
    pile.append(count=3)
    pile.memory.write = lambda at, data: None
    pile.boot()
    assert "memory fails" in pile.said()[0] and "30" in pile.said()[0]


def test_a_board_without_memory_has_ram():
    board = Board(None, Kept({}))
    for outlets in (1, 10):
        journal, cells = durable.open(board, outlets, lambda: False)
        assert len(cells) == outlets + 1 and not board.said
        assert journal.append(b"abc") == 1 and journal.read(1) == b"abc"
        for i, cell in enumerate(cells):
            cell.save(bytes([i]) * (320 if i < outlets else 64))
        assert [cell.load()[0] for cell in cells] == list(range(outlets + 1))
    board = Board(Memory(emulation.Fm24(16)), Kept({}))
    journal, cells = durable.open(board, 1, lambda: False)
    assert "too small" in board.said[0]["problem"] and journal.append(b"x") == 1


def test_a_board_that_gets_outlets_keeps_what_it_had():
    pile = Pile(256)
    pile.append(count=10)
    pile.cells[0].save(b"first")
    pile.cells[1].save(b"station")
    for outlets in (3, 4, 1, 6):
        pile.outlets = outlets
        pile.boot()
        assert len(pile.cells) == outlets + 1 and not pile.missing()
        assert pile.cells[0].load() == b"first" and pile.cells[-1].load() == b"station"
        assert outlets < 5 or "in RAM" in pile.said()[0]
        pile.cells[outlets - 1].save(b"first" if outlets == 1 else b"x" * 320)


def test_sizes_of_memories():
    for kbit in (64, 128, 256, 512, 1024):
        pile = Pile(kbit)
        pile.closed = True
        raises(OSError, _small, pile)
        assert not pile.missing() and len(pile.records) > min(kbit, 512) // 4
        pile.boot()
        assert not pile.missing() and pile.journal.lost == 0


def _small(pile):
    while True:
        pile.append(300)


def test_a_cell_keeps_the_newest():
    memory = Memory(emulation.Fm24(16))
    cell = Cell(memory, 100, 20)
    assert cell.load() is None and Cell.SPACE(20) == 56
    cell.count = 65400
    for n in range(300):
        value = b"%d" % n
        cell.save(value)
        assert cell.load() == value
        assert Cell(memory, 100, 20).load() == value
    raises(ValueError, cell.save, bytes(21))
    assert cell.load() == value
    cell.save(b"")
    assert Cell(memory, 100, 20).load() == b""
    before = bytes(memory.chip.memory)
    assert before[:100] == bytes(100) and before[156:] == bytes(2048 - 156)
