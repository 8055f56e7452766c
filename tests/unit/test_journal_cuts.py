"""The journal and its cells under power cuts at every write: nothing is lost."""

import sys

import firmware.ledger
from firmware.ledger import durable, journal, spill
from hal.virtual.random import Random
from tests import cuts
from tests.support import Kept

_OUTLETS = 2


class Model:
    """What must be there, by what was noted."""

    def __init__(self):
        self.id = None
        self.top = 0  # the last number that was appended
        self.records = {}  # all that are needed, and some that were
        self.under_way = None
        self.released = 1
        self.cells = [None] * (_OUTLETS + 1)
        self.saving = None
        self._seen = 0

    def take(self, notes):
        for what, key, data in notes[self._seen :]:
            if what == "append":
                self.under_way = data
            elif what == "appended":
                self.records[key] = data
                self.top = key
                self.under_way = None
            elif what == "id":
                self.id = data
            elif what == "release":
                self.released = key
                for number in sorted(self.records):
                    if number < key - 50:
                        del self.records[number]
            elif what == "save":
                self.saving = key, data
            elif what == "saved":
                self.cells[key] = data
                self.saving = None
        self._seen = len(notes)

    def check(self, board, made, notes):
        """Whether all is in `made`, a journal and cells."""
        self.take(notes)
        kept, cells = made
        assert kept.lost == 0 and kept.damaged == [], (kept.lost, kept.damaged, board.said)
        for said in board.said:
            assert "lost" not in said["problem"] and "damaged" not in said["problem"], said
        assert self.id in (None, kept.id), (self.id, kept.id)
        top = self.top
        assert kept.first <= max(self.released, 1), (kept.first, self.released)
        for number in range(self.released, top + 1):
            assert kept.read(number) == self.records[number], number
        # what was released may be there again, and be read; what was under way, or not
        for number in range(kept.first, self.released):
            if number in self.records:
                assert kept.read(number) in (None, self.records[number])
        assert kept.next in (top + 1, top + 2), (kept.next, top)
        if kept.next == top + 2:
            assert kept.read(top + 1) == self.under_way, top
        for i in range(len(cells)):
            value = cells[i].load()
            if value != self.cells[i]:
                assert (i, value) == self.saving, (i, value)
        # No plain token stays behind.
        used = (kept.place(kept.next) - kept.place(kept.tail)) % kept.size
        free = bytearray(kept.size - used - 10)
        kept.move(kept.memory.read, kept.place(kept.next) + 10, free)
        assert not any(free)
        # It goes on.
        number = kept.append(b"\x01goes on")
        assert kept.read(number) == b"\x01goes on" and number > top


def _script(rounds, seed):
    def script(recorder, board):
        random = Random(seed)
        driven = [False]
        kept, cells = durable.open(board, _OUTLETS, lambda: driven[0])
        note = recorder.note
        note(("id", 0, kept.id))

        def append():
            n = random.below(16)
            n = 1 + random.below(90) if n else 300 + random.below(725)
            data = bytes([1 + random.below(5)] + [random.below(256) for _ in range(n - 1)])
            note(("append", 0, data))
            number = kept.append(data)
            note(("appended", number, data))

        def save(i, most):
            data = bytes([random.below(256) for _ in range(random.below(most) + 1)])
            note(("save", i, data))
            cells[i].save(data)
            note(("saved", i, data))

        def tick(ms):
            board.now_ms += ms
            kept.tick(board.now_ms)

        for n in range(rounds):
            # For eight sessions of twelve the backend is gone, so that files are written; then it
            # catches up.
            offline = n % 12 > 3
            append()
            driven[0] = True
            for _ in range(3 + random.below(4)):
                append()
                save(n % _OUTLETS, 320)
                tick(20)
            driven[0] = False
            append()
            save(_OUTLETS, 64)
            for _ in range(3):
                tick(1000)
            while not offline and kept.first < kept.next:
                number = min(kept.first + 1 + random.below(5), kept.next)
                note(("release", number, None))
                kept.release(number)
                for _ in range(3):
                    tick(1000)
            for _ in range(40):
                tick(20)

    return script


def _boot(board):
    return durable.open(board, _OUTLETS, lambda: False)


def cut(n, seed, told=print):
    """Cut the power about `n` times, at each write to flash and at FRAM's bytes in even steps;
    says how often.
    """
    # The littlefs is the current directory then, and has no module that could be imported.
    sys.modules["firmware.ledger.spill"] = firmware.ledger.spill = spill
    with Kept(journal, durable):
        recorder = cuts.Recorder()
        recorder.run(_script(26 + min(n // 100, 100), seed))
        kinds = [entry[0] for entry in recorder.log]
        assert kinds.count("program") > 10 or kinds.count("file") > 3, "nothing went to flash"
        told(", ".join(["%d %s" % (kinds.count(kind), kind) for kind in sorted(set(kinds))]))
        nth = max(cuts.fram_bytes(recorder) // n, 1)
        tried = cuts.replay(recorder, _boot, Model().check, nth, seed, 7)
    told("%d cuts tried, 0 lost" % tried)


def test_the_power_is_cut_at_every_write():
    cut(200, 1)
