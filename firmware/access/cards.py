"""The doorman: who may charge. Only what waits for a card stays loaded; deciding about one, and
whatever follows from it, is in modules that are imported for that and let go of.
"""

from firmware import borrow, let_go


class Doorman:
    """Made by firmware.access.opening. `version` and `count` (entries) are those of the local
    list, `cached` the entries of the cache.
    """

    def __init__(self, station, key):
        self.station = station
        self.sessions = station.sessions
        self.config = station.config
        self.store = station.board.store
        self.record = station.board.log.record
        self.key = key
        self.closed = station.closed
        self.version = self.count = self.cached = 0
        self.waiting = []  # batches of changes to the list that are not written yet
        self.fresh = []  # entries of the cache that are not written yet, the newest last
        self.void = False  # the cache's file is not believed any more
        self.reservations = []
        self.prices = []  # changes of default tariffs that are not written yet
        self.tariff = None  # (digest, tariff) of who was let in with one of his own
        self.asked = None  # whom the backend is being asked about
        self.expected = False  # somebody was let in, and the outlet is the one that is plugged
        self.wary = None  # slows the reader down after many refusals
        self.chores = []  # functions of now_ms, called each turn until they return False
        self.now_ms = 0
        self._read = station.board.reader.read

    def tick(self, now_ms):
        """Read the reader once; call it from the main loop."""
        self.now_ms = now_ms
        uid = self._read()
        if self.wary:
            uid = self.wary.tick(uid, now_ms)
        if uid is not None:
            self.get("decide").card(self, uid)
        if self.chores:
            self.chores = [chore for chore in self.chores if chore(now_ms)]

    def get(self, name):
        """The module `name` of this room, for as long as the caller holds it."""
        try:
            return borrow("firmware.access." + name)
        finally:
            let_go("firmware.access.entries")  # which most of them import

    def digest(self, token):
        """What is kept of a token. Raises ValueError for a text that is none."""
        return self.get("tokens").digest(self.key, token)

    def told(self, digest, info):
        """The backend said `info`, an idTokenInfo, of a token that is in use."""
        self.get("cache").note(self, digest, info)

    def vehicle(self, evse_id, identity, kind):
        """A vehicle at outlet `evse_id` (from 1) has said who it is: `kind` as OCPP's
        IdTokenEnumStringType, such as "MacAddress" or "VIN".
        """
        self.get("decide").present(self, identity, kind, evse_id)

    def reserved(self, evse_id):
        """Whether outlet `evse_id` (from 1) is kept for somebody."""
        return any(kept[1] == evse_id for kept in self.reservations)

    def keep_key(self, _):
        """Save the key, once nothing is closed; whether that is still to be done."""
        return self.get("tokens").keep(self)

    def writer(self, name):
        """A function(data) for firmware.staged: the commit of the module `name` of this room."""
        return lambda data: self.get(name).commit(self, data)

    def now_s(self):
        """Unix time in s; None while the date is not known."""
        wall = self.station.wall
        return wall.unix_ms(wall.uptime_ms) // 1000 if wall.is_set else None
