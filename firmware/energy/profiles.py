"""The charging profiles that the backend has set, at work: what they allow is the limit `schedule`
of an outlet (transactions) and `backend` (the station). Loaded at boot when some were kept, else
with the first one, and let go of with the last.

They are reckoned by firmware.energy.composite, which is imported for each look: at the next
change of what they allow, when a transaction begins or ends, or the date or the line changes, and
at least once a minute. What each profile is as bytes is said there.

The file charging.profiles has, little-endian: "VPC1"; of each profile its length u16 and its
bytes; CRC-32 of all before u32. It is replaced in one piece. What changes while a contactor is
closed waits in the journal (firmware.staged), and holds at once. Such a change:

    how many go u8; the id of each i32
    to the end: the profile that comes, in the place of one with its id; nothing: none does

A TxProfile ends with its transaction. It is kept only where a transaction is gone on with after a
power cut (`after_power_cut`), and then goes on with it. What a dynamic profile was updated to is
not kept: after a start it allows the fall-back (`fallback_a`) until it is updated again.
"""

import struct
from binascii import crc32

from micropython import const

from firmware import borrow
from firmware.energy.limits import BACKEND, NO_LIMIT_MA
from firmware.ticks import diff

FILE = "charging.profiles"
CHANGES = const(14)  # of firmware.staged
_WAITING = const(8)  # changes that may wait in memory
_SCHEDULE = const(3)  # a source of firmware.energy.reasons
_MAGIC = b"VPC1"
_TX = const(3)  # of composite.PURPOSES
_DYNAMIC = const(4)  # of composite.KINDS
_PURPOSE = const(5)  # where it is in a profile
_KIND = const(6)
_LIMIT = const(5)  # where that of the last period is, from the end
_LOOK_MS = const(1000)
_MOST_S = const(60)  # between two looks


class Profiles:
    """The profiles of `station`, none yet. They hold, and are looked after, from `begin` on."""

    def __init__(self, station):
        self.kept = []  # as bytes
        self.updated = {}  # of dynamic ones: id: (uptime in s, limit in thousandths of its unit)
        self.waiting = 0  # changes that are not in the file yet
        self._station = station
        self._asked = []  # ids of which an update is asked for
        self._tx = [0] * len(station.sessions)
        self._told = [0] * len(station.sessions)  # bits: which limits are set
        self._offline_ms = None  # uptime when the line was lost
        self._seen = None
        self._due_ms = 0  # uptime of the next look
        self._looked_ms = None
        self._ticking = self.tick

    def begin(self):
        """Look after them from the next turn of the main loop on."""
        station = self._station
        if station.profiles is not self:
            station.profiles = self
            station.staged._commits[CHANGES] = self.commit
            station.services.append(self._ticking)

    def change(self, composite, gone, data=None):
        """Let the ids `gone` go, and have `data` in the place of what has its id; `composite`:
        that module. Raises OSError when it cannot be kept; then nothing has changed.
        """
        before = self.kept
        waiting = self.waiting
        self.kept = _changed(before, gone, data)
        self.begin()
        if self._lasting(before) != self._lasting(self.kept):
            ended = gone if not data or self._lasts(data) else gone + [ident(data)]
            change = struct.pack("<B%di" % len(ended), len(ended), *ended)
            if data and self._lasts(data):
                change += data
            self.waiting += 1
            try:
                if waiting >= _WAITING:
                    raise OSError  # so many wait: nothing is broken
                self._station.staged.put(CHANGES, change)
            except OSError:
                self.waiting = waiting
                self.kept = before
                raise
        for number in gone:
            self.updated.pop(number, None)
        if data:
            self.updated.pop(ident(data), None)
            if data[_KIND] == _DYNAMIC:
                limit = struct.unpack_from("<I", data, len(data) - _LIMIT)[0]
                self.updated[ident(data)] = self._station.wall.uptime_ms // 1000, limit
        self.apply(composite)

    def commit(self, _):
        """What firmware.staged does with a change when no contactor is closed: the file becomes
        what holds now. Raises OSError.
        """
        self.waiting = max(self.waiting - 1, 0)
        save(self._station.board.store, self._lasting(self.kept))

    def restore(self, changes):
        """After a boot: what the file has, and the `changes` that wait."""
        station = self._station
        try:
            self.kept = load(station.board.store)
        except ValueError as error:
            station.board.log.record("error", problem=str(error))
        for change in changes:
            gone = struct.unpack_from("<%di" % change[0], change, 1)
            self.kept = _changed(self.kept, gone, change[1 + 4 * change[0] :])
        self.waiting = len(changes)
        self._offline_ms = station.wall.uptime_ms
        self.begin()
        found = len(self.kept)
        self._sessions()
        if len(self.kept) < found and station.sessions:  # there are none in safe mode
            try:
                station.staged.put(CHANGES, b"\0")
            except OSError:
                pass  # then they go after the next start
        self.apply()

    def tick(self, now_ms):
        """Once each turn of the main loop."""
        sessions = self._station.sessions
        for i in range(len(sessions)):
            if sessions[i].tx != self._tx[i]:
                self._sessions()
                self.apply()
                break
        if self._looked_ms is None or diff(now_ms, self._looked_ms) >= _LOOK_MS:
            self._looked_ms = now_ms
            self._second()
        elif self._station.wall.uptime_ms >= self._due_ms:
            self.apply()

    def _second(self):
        station = self._station
        wall = station.wall
        ready = station.backend.ready
        if ready:
            self._offline_ms = None
        elif self._offline_ms is None:
            self._offline_ms = wall.uptime_ms
        if not self.kept and not self.waiting:
            self.apply()
            self._end()
            return
        # Whoever was let in by the backend with a profile may have gone without a transaction.
        seen = wall.unix_ms(0) if wall.is_set else None, ready, self._among(), self._unbound()
        if seen != self._seen or wall.uptime_ms >= self._due_ms:
            self._seen = seen
            self._sessions()
            self.apply()

    def _end(self):
        station = self._station
        station.services = [service for service in station.services if service != self._ticking]
        station.staged._commits.pop(CHANGES, None)
        station.profiles = None

    def _among(self):
        return max(1, len([1 for session in self._station.sessions if not session.free]))

    def _unbound(self):
        # Of profiles that came with a start the outlets whose session is over before it began.
        return [
            session.evse_id
            for session in self._station.sessions
            if session.free and not session.tx
        ]

    def _sessions(self):
        # A TxProfile that came with a start gets its transaction; what has ended goes.
        sessions = self._station.sessions
        self._tx = [session.tx for session in sessions]
        composite = None
        gone = []
        for data in self.kept:
            if data[_PURPOSE] != _TX:
                continue
            composite = composite or _composite()
            fields = composite.unpack(data)
            if fields[composite.EVSE] > len(sessions):  # there were more once
                gone.append(fields[composite.ID])
                continue
            session = sessions[fields[composite.EVSE] - 1]
            if fields[composite.TX_ID] == "" and session.tx:
                self.change(composite, [], composite.bound(data, session.transaction_id))
            elif fields[composite.TX_ID] != (session.transaction_id or ""):
                gone.append(fields[composite.ID])
            elif session.free and not session.tx:
                gone.append(fields[composite.ID])
        # The file may have them still: a transaction's id never comes again.
        if gone:
            self.kept = [data for data in self.kept if ident(data) not in gone]

    def now(self):
        """What a Composite takes as `now`."""
        station = self._station
        wall = station.wall
        offline_s = None
        if self._offline_ms is not None:
            offline_s = (wall.uptime_ms - self._offline_ms) // 1000
        return {
            "unix_s": wall.unix_ms(wall.uptime_ms) // 1000 if wall.is_set else None,
            "uptime_s": wall.uptime_ms // 1000,
            "offline_s": offline_s,
            "fallback_ma": station.config["fallback_a"] * 1000,
            "updated": self.updated,
        }

    def outlet(self, i):
        """What a Composite takes as `outlet`, of outlet `i` (from 0)."""
        station = self._station
        session = station.sessions[i]
        return {
            "evse": i + 1,
            "tx": session.transaction_id or "",
            "spent_s": session.spent_s,
            "among": self._among(),
            "phases": station.board.outlets[i].phases,
            "nominal_v": station.config["nominal_v"],
        }

    def apply(self, composite=None):
        """Set the limits to what is allowed now; `composite`: that module, where it is loaded."""
        station = self._station
        wall = station.wall
        composite = composite or _composite()
        now = self.now()
        wait_s = _MOST_S
        void = []
        pulls = []
        for i in range(len(station.sessions)):
            found = composite.Composite(self.kept, now, self.outlet(i))
            self._set(composite, i, _SCHEDULE, found.session())
            self._set(composite, i, BACKEND, found.station())
            until_s = found.until()
            if until_s is not None:
                wait_s = min(wait_s, until_s)
            void += [number for number in found.void if number not in void]
            pulls += [number for number in found.pulls if number not in pulls]
        early_ms = wall.unix_ms(wall.uptime_ms) % 1000 if wall.is_set else 0
        self._due_ms = wall.uptime_ms + wait_s * 1000 - early_ms
        for number in pulls:
            self._pull(number)
        if void:
            self.change(composite, void)

    def _set(self, composite, i, source, part):
        limits = self._station.outlets[i].limits
        if part:
            fields = part.fields
            purpose = composite.PURPOSES[fields[composite.PURPOSE]]
            reason = "charging profile %d (%s)" % (fields[composite.ID], purpose)
            if part.why:
                reason += ": " + part.why
            limits.set(source, part.ma, reason)
            self._told[i] |= 1 << source
        elif self._told[i] >> source & 1:
            self._told[i] &= ~(1 << source)
            limits.set(source, NO_LIMIT_MA, "")

    def _pull(self, number):
        backend = self._station.backend
        if not backend.ready or number in self._asked:
            return

        def answered(result):
            self._asked.remove(number)
            if isinstance(result, dict) and result.get("status") == "Accepted":
                self.update(number, result.get("scheduleUpdate"))

        if backend.outbox.add("PullDynamicScheduleUpdate", _named, number, answered):
            self._asked.append(number)

    def update(self, number, given):
        """Take `given`, a ChargingScheduleUpdateType, for the dynamic profile `number`; "" or why
        not, in a word of OCPP's.
        """
        profile = borrow("firmware.energy.profile")
        limit = profile.updated(self.kept, number, given)
        if isinstance(limit, str):
            return limit
        self.updated[number] = self._station.wall.uptime_ms // 1000, limit
        self.apply(profile.composite)
        return ""

    def _lasts(self, data):
        return data[_PURPOSE] != _TX or self._station.config["after_power_cut"] == "resume"

    def _lasting(self, kept):
        return [data for data in kept if self._lasts(data)]


def ident(data):
    """The id of a profile."""
    return struct.unpack_from("<i", data)[0]


def load(store):
    """The profiles in the file, as bytes. Raises ValueError when it is damaged, in words."""
    data = store.load(FILE)
    if data is None:
        return []
    body = data[:-4]
    if body[:4] != _MAGIC or data[-4:] != struct.pack("<I", crc32(body)):
        raise ValueError("%s: damaged; the backend's charging profiles are lost" % FILE)
    kept = []
    at = len(_MAGIC)
    while at < len(body):
        end = at + 2 + struct.unpack_from("<H", body, at)[0]
        kept.append(body[at + 2 : end])
        at = end
    return kept


def save(store, kept):
    """Have the profiles `kept`, and no others, in the file. Raises OSError."""
    if not kept:
        store.remove(FILE)
        return

    def chunks():
        crc = 0
        for chunk in [_MAGIC] + kept:
            if chunk is not _MAGIC:
                chunk = struct.pack("<H", len(chunk)) + chunk
            crc = crc32(chunk, crc)
            yield chunk
        yield struct.pack("<I", crc)

    store.replace(FILE, chunks())


def _changed(kept, gone, data):
    # `kept` without the ids `gone`, and with `data`, if any, in the place of what has its id.
    found = []
    for one in kept:
        if data and ident(one) == ident(data):
            found.append(data)
            data = None
        elif ident(one) not in gone:
            found.append(one)
    return found + [data] if data else found


def _named(number):
    return {"chargingProfileId": number}


def _composite():
    return borrow("firmware.energy.composite")
