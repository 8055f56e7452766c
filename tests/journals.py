"""A journal and cells in plain memory, for tests of what stands on them. They outlive a boot that
gets the same ones.
"""


class Cell:
    """As firmware.ledger.cell.Cell; `fails`: saving raises OSError."""

    def __init__(self, size=160):
        self.data = None
        self.size = size
        self.fails = False
        self.saved = 0

    def load(self):
        return self.data

    def save(self, data):
        if self.fails:
            raise OSError(5)
        if len(data) > self.size:
            raise ValueError(len(data))
        self.data = bytes(data)
        self.saved += 1


class Journal:
    """As firmware.ledger.journal.Journal, for `room` records; `fails`: the memory does not
    answer.
    """

    id = "j1"
    flash = None

    def __init__(self, room=1000):
        self.first = self.next = 1
        self.records = {}
        self.room = room
        self.fails = False

    @property
    def full(self):
        return len(self.records) >= self.room

    @property
    def crowded(self):
        return len(self.records) >= self.room * 3 // 4

    def append(self, data):
        if self.fails or self.full:
            raise OSError(5)
        if not 0 < len(data) <= 1024:
            raise ValueError(len(data))
        self.records[self.next] = bytes(data)
        self.next += 1
        return self.next - 1

    def read(self, number):
        if self.fails:
            raise OSError(5)
        return self.records.get(number)

    def release(self, number):
        for n in range(self.first, number):
            self.records.pop(n, None)
        self.first = max(self.first, number)

    def tick(self, now_ms):
        pass
