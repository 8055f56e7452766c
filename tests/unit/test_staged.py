"""What may be written only while every contactor is open: at once or later, in order, whole."""

import sys

from firmware import commit
from firmware.ledger import events, history
from tests.flash import Cut, Flash
from tests.support import raises


class Wall:
    boot = 1
    is_set = True
    start_ms = 0
    boots = ()


class Journal:
    """Records in a list that outlives a boot. `fails`: an errno of every access."""

    id = "j"
    crowded = False

    def __init__(self, store):
        self.store = store
        self.records = []
        self.first = 1
        self.fails = 0
        self.reads = 0

    @property
    def next(self):
        return len(self.records) + 1

    def append(self, data):
        if self.fails:
            raise OSError(self.fails)
        self.records.append(bytes(data))
        return len(self.records)

    def read(self, number):
        self.reads += 1
        if self.fails:
            raise OSError(self.fails)
        return self.records[number - 1]


class Cell:
    def __init__(self, flash):
        self.data = None
        self._flash = flash

    def load(self):
        return self.data

    def save(self, data):
        self._flash.count()
        self.data = data


class Pile:
    """A Staged with commits 10 and 11, each of which writes a file of the data so far."""

    def __init__(self):
        self.flash = Flash()
        self.journal = Journal(self.flash)
        self.cell = Cell(self.flash)
        self.closed = False
        self.looked = 0
        self.wall = Wall()
        self.boot()

    def boot(self):
        self.flash.left = None
        commits = {what: self._commit(what) for what in (10, 11)}
        self.staged = commit.open(self.journal, self._closed, commits, self.cell, self.wall)

    def _closed(self):
        self.looked += 1
        return self.closed

    def _commit(self, what):
        def write(data):
            assert not self.closed
            name = "f%d" % what
            self.flash.save(name, (self.flash.load(name) or b"") + data)

        return write

    def run(self, turns=600):
        for _ in range(turns):
            self.staged.tick(0)

    def file(self, what=10):
        return self.flash.load("f%d" % what) or b""


def _event(pile, n=1):
    for _ in range(n):
        pile.journal.append(b"\x01 some event")


def _summary(tx):
    dated = (events.DATED, 1, 1780000000000 + tx)
    return events.summary(1, tx, None, dated, dated, 1, 2, "Local")


def test_at_once_while_all_is_open():
    pile = Pile()
    pile.staged.put(10, b"a")
    pile.staged.put(11, b"b")
    assert (pile.file(10), pile.file(11)) == (b"a", b"b")
    assert pile.journal.records == [] and pile.staged.needs() == 1


def test_later_and_in_order_otherwise():
    pile = Pile()
    pile.closed = True
    _event(pile, 3)
    for data in (b"a", b"b", b"c"):
        pile.staged.put(10, data)
        _event(pile)
    pile.run(5000)
    assert pile.file() == b"" and pile.staged.needs() == 4
    pile.closed = False
    pile.run(2)
    pile.staged.put(10, b"d")  # behind those that wait
    assert pile.file() == b"ab"
    pile.run()
    assert pile.file() == b"abcd" and pile.staged.needs() == pile.journal.next


def test_what_others_append_is_let_go_of_also_while_closed():
    pile = Pile()
    pile.closed = True
    for _ in range(5):
        _event(pile, 100)
        pile.run()
        assert pile.staged.needs() == pile.journal.next


def test_a_closed_contactor_costs_no_reading():
    pile = Pile()
    pile.closed = True
    pile.staged.put(10, b"a")
    pile.run()
    reads = pile.journal.reads
    pile.run(10000)
    assert pile.journal.reads == reads
    pile.run()
    assert "firmware.commit" not in sys.modules


def test_a_cut_anywhere_loses_nothing_and_keeps_the_order():
    doubled = 0
    for left in range(8):  # writes of commits and cell
        pile = Pile()
        pile.closed = True
        for data in (b"a", b"b", b"c"):
            pile.staged.put(10, data)
        pile.closed = False
        pile.flash.left = left
        try:
            pile.run()
        except Cut:
            pass
        pile.boot()
        pile.run()
        # the last one may have been done twice
        assert pile.file() in (b"abc", b"aabc", b"abbc", b"abcc"), pile.file()
        doubled += pile.file() != b"abc"
        pile.boot()
        before = pile.file()
        pile.run()
        assert pile.file() == before
    assert doubled == 3


def test_it_goes_on_where_it_was_however_old_the_journal_begins():
    pile = Pile()
    pile.closed = True
    pile.staged.put(10, b"a")
    pile.closed = False
    pile.run()
    pile.cell.data = b"boot" + pile.cell.data[4:] + b"more"
    for _ in range(3):
        pile.boot()  # the backend is away: nothing is released
        pile.run()
    pile.staged.put(10, b"b")
    assert pile.file() == b"ab"
    pile.closed = True
    pile.staged.put(10, b"c")
    pile.closed = False
    pile.run()
    assert pile.cell.data[:4] == b"boot" and pile.cell.data[8:] == b"more"
    # a memory that was made anew has lower numbers
    pile.journal.records = []
    pile.boot()
    assert pile.staged.needs() == 1
    pile.staged.put(10, b"d")
    assert pile.file() == b"abcd"


def test_what_fails_is_told_once_and_holds_up_nothing():
    pile = Pile()
    pile.closed = True
    pile.staged.put(10, b"a")
    pile.staged.put(99, b"of another firmware")
    pile.staged.put(11, b"b")
    pile.closed = False
    pile.flash.fails = 28
    told = 0
    for _ in range(2000):
        try:
            pile.staged.tick(0)
        except OSError:
            told += 1
            pile.flash.fails = 0
    assert told == 1 and (pile.file(10), pile.file(11)) == (b"", b"b")
    pile.flash.fails = 28
    raises(OSError, pile.staged.put, 10, b"a")


def test_a_memory_that_fails_is_asked_once_a_minute():
    pile = Pile()
    pile.closed = True
    pile.staged.put(10, b"a")
    pile.closed = False
    pile.journal.fails = 5
    told = 0
    for _ in range(9000):
        try:
            pile.staged.tick(0)
        except OSError:
            told += 1
    assert told == 3
    pile.journal.fails = 0
    pile.run(3001)
    assert pile.file() == b"a"
    pile.closed = True
    pile.journal.fails = 5
    raises(OSError, pile.staged.put, 10, b"b")


def test_summaries_go_to_history_once_open():
    pile = Pile()
    pile.closed = True
    for tx in (1, 2):
        _event(pile, 2)
        pile.journal.append(_summary(tx))
    pile.run()
    assert pile.flash.files == {} and pile.staged.needs() == 3
    pile.closed = False
    pile.run()
    found = [told["transaction"] for told in history.sessions(pile.flash, print)]
    assert found == ["j-t1", "j-t2"] and pile.staged.needs() == pile.journal.next
    assert not [name for name in sys.modules if name == "firmware.ledger.history"]
    pile.cell.data = None  # all over again
    pile.boot()
    pile.journal.records = pile.journal.records[-1:]
    pile.run()
    assert len(list(history.sessions(pile.flash, print))) == 2


def test_a_summary_waits_for_the_date_while_there_is_room():
    pile = Pile()
    pile.wall.is_set = False
    pile.journal.append(events.summary(1, 1, None, (0, 1, 5000), (0, 1, 9000), 1, 2, "Local"))
    pile.run(2000)
    assert pile.flash.files == {}
    pile.wall.is_set = True
    pile.wall.start_ms = 1780000000000
    pile.run()
    (told,) = history.sessions(pile.flash, print)
    assert told["start_ms"] == 1780000005000 and told["seconds"] == 4
    pile.wall.is_set = False
    pile.journal.append(events.summary(1, 2, None, (0, 1, 5000), (0, 1, 9000), 1, 2, "Local"))
    pile.journal.crowded = True
    pile.run()
    told = list(history.sessions(pile.flash, print))[1]
    assert told["start_ms"] is None and told["seconds"] == 4


def test_a_damaged_record_is_passed_by():
    pile = Pile()
    pile.closed = True
    for data in (b"a", b"b", b"c"):
        pile.staged.put(10, data)
    pile.journal.append(b"\x02short")
    pile.journal.records[1] = None
    pile.closed = False
    told = 0
    for _ in range(600):
        try:
            pile.staged.tick(0)
        except Exception:
            told += 1
    assert pile.file() == b"ac" and pile.staged.needs() == 5 and told == 1
