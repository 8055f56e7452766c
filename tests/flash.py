"""A flash for tests: the store role in memory, which counts, fills up, fails and is cut."""


class Cut(Exception):
    """The power is gone."""


class Flash:
    """The store role. `room`: bytes that it has in all (None: enough). `fails`: an errno with
    which every write fails. `left`: writes until the power goes, the last of which is not done.
    """

    def __init__(self, room=None):
        self.files = {}
        self.room = room
        self.fails = 0
        self.left = None
        self.writes = 0

    def load(self, name):
        return self.files.get(name)

    def read(self, name, at, into):
        data = self.files.get(name, b"")[at : at + len(into)]
        into[: len(data)] = data
        return len(data)

    def save(self, name, data):
        self.replace(name, (data,))

    def replace(self, name, chunks):
        data = b"".join([bytes(chunk) for chunk in chunks])
        self._write()
        # As on littlefs the old one is there until the new one is.
        if self.room is not None and len(data) + self.used() > self.room:
            raise OSError(28)
        self.files[name] = data

    def used(self):
        return sum([len(data) for data in self.files.values()])

    def remove(self, name):
        if name in self.files:
            self._write()
            del self.files[name]

    def names(self, prefix):
        return sorted([name for name in self.files if name.startswith(prefix)])

    def _write(self):
        if self.fails:
            raise OSError(self.fails)
        self.count()

    def count(self):
        """One write, of another memory, too, that lives by the same power."""
        if self.left is not None:
            if not self.left:
                raise Cut
            self.left -= 1
        self.writes += 1
