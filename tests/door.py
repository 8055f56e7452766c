"""A doorman without a pile: `Door` has the real one's memory and rules, and stand-ins behind."""

from firmware.access.cards import Doorman
from firmware.access.entries import check
from tests.pile import settings

KEY = bytes(range(32))


class Cut(Exception):
    """The power is gone."""


class Store:
    """A store whose power goes after `left` more bytes (None: never); `reads` counts."""

    def __init__(self):
        self.kept = {}
        self.left = None
        self.reads = 0

    def load(self, name):
        return self.kept.get(name)

    def read(self, name, at, into):
        self.reads += 1
        data = self.kept.get(name, b"")[at : at + len(into)]
        into[: len(data)] = data
        return len(data)

    def save(self, name, data):
        self.replace(name, (data,))

    def replace(self, name, chunks):
        new = b""
        for chunk in chunks:
            if self.left is not None:
                self.left -= len(chunk)
                if self.left < 0:
                    raise Cut()
            new += bytes(chunk)
        self.kept[name] = new


class _Wall:
    uptime_ms = boot = 0
    is_set = True
    now_s = 1767225600

    def unix_ms(self, uptime_ms):
        return self.now_s * 1000

    def now(self):
        return 4, self.boot, self.now_s * 1000


class _Log:
    def __init__(self):
        self.lines = []

    def record(self, what, **fields):
        self.lines.append((what, fields))


class _Reader:
    uid = None

    def read(self):
        uid = self.uid
        self.uid = None
        return uid


class _Board:
    def __init__(self, store):
        self.store = store
        self.log = _Log()
        self.reader = _Reader()


class _Outbox:
    def __init__(self):
        self.calls = []
        self.full = False

    def add(self, action, build, argument=None, on_result=None):
        if not self.full:
            self.calls.append((action, build(argument), on_result))
        return not self.full


class _Backend:
    ready = True

    def __init__(self):
        self.outbox = _Outbox()


class _Outlet:
    plugged = faulted = authorised = inoperative = False


class Session:
    """What the doorman needs of one."""

    def __init__(self, door):
        self.outlet = _Outlet()
        self.token = self.group = self.who = self.ended = None
        self.tx = 0
        self.free = True
        self._door = door

    def start(self, token, token_type, group=None, remote_id=None, limits=None, number=None):
        self.free = False
        self.outlet.authorised = True
        self.who = token, token_type, remote_id
        self.number = number
        self.token = self._door.digest(token) if token else None
        self.group = group
        return True

    def stop(self, reason, trigger):
        self.ended = reason
        self.free = True
        self.outlet.authorised = False


class Journal:
    """What was appended, in a list."""

    full = False

    def __init__(self):
        self.records = []

    def append(self, data):
        if self.full:
            raise OSError(28)
        self.records.append(data)
        return len(self.records)


class _Station:
    def __init__(self, store, config):
        self.board = _Board(store)
        self.config = config
        self.wall = _Wall()
        self.backend = _Backend()
        self.sessions = []
        self.signals = []
        self.journal = Journal()


class Door(Doorman):
    """`outlets` of them; `shut`: a contactor is closed. `changes` are of the configuration."""

    def __init__(self, outlets=1, store=None, **changes):
        self.shut = False
        station = _Station(store or Store(), settings(**changes))
        station.closed = lambda: self.shut
        station.staged = self
        super().__init__(station, KEY)
        self.wall = station.wall
        self.backend = station.backend
        self.reader = station.board.reader
        self.queue = []
        for _ in range(outlets):
            station.sessions.append(Session(self))

    def boot(self):
        """Read what is kept, as firmware.access.opening does."""
        self.version, self.count = check(self.store, "access.list", self.digest("")[:4])
        _, self.cached = check(self.store, "access.cache", self.digest("")[:4])

    def put(self, what, data):
        self.queue.append((what, data))
        self.commit()

    def commit(self):
        """Do what firmware.staged does when nothing is closed."""
        while self.queue and not self.shut:
            what, data = self.queue.pop(0)
            if what == 10:
                self.get("update").commit(self, data)
            elif what == 13:
                self.get("prices").commit(self, data)
            else:
                self.get("reserve").commit(self, data)

    def run(self, for_ms, step_ms=100):
        """Turns of the main loop."""
        until_ms = self.now_ms + for_ms
        while self.now_ms < until_ms:
            self.tick(self.now_ms + step_ms)

    def show(self, uid):
        """A card, until it was read."""
        self.reader.uid = uid
        self.tick(self.now_ms + 20)

    def answer(self, **info):
        """The backend answers the question that waits."""
        action, _, on_result = self.backend.outbox.calls.pop()
        assert action == "Authorize"
        on_result({"idTokenInfo": info} if info else None)

    @property
    def said(self):
        """The last decision."""
        return [fields for what, fields in self.station.board.log.lines if what == "access"][-1]

    def problems(self):
        """What was recorded as an error."""
        lines = self.station.board.log.lines
        return [fields["problem"] for what, fields in lines if what == "error"]
