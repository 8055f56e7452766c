"""A pile that is told whatever the network may bring: runs the cases of tools/host/fuzz.py one
after the other, under MicroPython, and tells what each did.

A case is a line on stdin. `m FLAGS xHEX` is what one PUBLISH carries, for Backend._message; FLAGS
1: retained, 2: DUP. There #t# stands for the transaction that runs, #Heartbeat# and the like for
the CALL of that kind which awaits its answer. `f CUTS xHEX` is what the broker's socket brings,
for Link.feed, in pieces that end at CUTS (numbers with commas).

The answer to each is a line of JSON: {"answers": texts, "changed": names of what changed,
"errors": what went wrong within, "fed": payloads that came out, "dropped": whether the connection
was given up}. Every _CHUNK cases the pile runs on for a while. At the end comes {"heap": bytes in
use, "grown": by how many it has grown at most since the pile had run for _WARM such turns}.
"""

import binascii
import gc
import json
import sys

import firmware

# Each request would import its modules anew: that takes longer than all the rest.
firmware.let_go = lambda name: None

from firmware.station import Station  # noqa: E402
from hal.virtual.board import VirtualBoard  # noqa: E402
from tools.warm import settings  # noqa: E402

_CHUNK = 100
_WARM = 20
_RUN_US = 200000
_BEGIN_US = 5000000
_TICK_MS = 100
_READ = 16384
_COUNTED = (  # of Backend
    "_answers", "_heard", "_incoming", "_mute", "_replay_until_uptime_ms", "refused", "seen",
    "unserved",
)  # fmt: skip
_SECURITY = 5  # kind of a record: what is hostile may be told
_CONFIG = {"sample_interval_s": 300, "min_pause_s": 0, "refusals": 0}
_TARIFF = {
    "tariffId": "T0",
    "currency": "EUR",
    "energy": {"prices": [{"priceKwh": 0.3}]},
}
# What makes it worth attacking: one outlet charges, one is free, there are list, tariff,
# reservation and charging profile.
_STEPS = (
    (500, "plug", {}),
    (700, "card", {"uid": "04A1B2C3D4E5F6"}),
    (900, "ready", {}),
    (2000, "backend", {"message": [2, "i1", "SetDefaultTariff", {
        "evseId": 0, "tariff": _TARIFF}]}),
    (2100, "backend", {"message": [2, "i2", "SendLocalList", {
        "versionNumber": 5, "updateType": "Full", "localAuthorizationList": [
            {"idToken": {"idToken": "AA", "type": "ISO14443"},
             "idTokenInfo": {"status": "Accepted"}}]}]}),
    (2200, "backend", {"message": [2, "i3", "ReserveNow", {
        "id": 1, "expiryDateTime": "2027-01-01T00:00:00Z", "evseId": 2,
        "idToken": {"idToken": "AA", "type": "ISO14443"}}]}),
    (2300, "backend", {"message": [2, "i4", "SetChargingProfile", {
        "evseId": 0, "chargingProfile": {
            "id": 1, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Dynamic", "chargingSchedule": [
                {"id": 1, "chargingRateUnit": "A",
                 "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20}]}]}}]}),
)  # fmt: skip


class _Trace:
    """The trace's file: keeps what the firmware itself holds to be an error."""

    def __init__(self):
        self.errors = []

    def write(self, line):
        if '"what": "error"' in line:
            self.errors.append(json.loads(line)["problem"])

    def flush(self):
        pass


def _plain(value):
    # A copy of what may be changed in place.
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, bytearray):
        return bytes(value)
    return value


def _fields(thing, copied=True):
    # Its attributes.
    fields = thing.__dict__
    if copied:
        fields = _plain(fields)
    if "_answers" in fields:  # which are looked at by themselves, and what only counts who asked
        fields = {key: fields[key] for key in fields if key not in _COUNTED}
    return fields


def _lines():
    # Of stdin, which MicroPython's readline reads byte by byte.
    rest = b""
    while True:
        more = sys.stdin.buffer.read(_READ)
        if not more:
            return
        parts = (rest + more).split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield part.decode()


class _Fuzz:
    def __init__(self):
        self.trace = _Trace()
        steps = [dict(fields, at_ms=at_ms, do=do) for at_ms, do, fields in _STEPS]
        self.board = VirtualBoard(
            {"until_ms": 1 << 40, "outlets": 2, "tick_ms": _TICK_MS, "steps": steps}, self.trace
        )
        self.count = self.records = self.next = 0
        self.ring = None
        self.lines = _lines()
        self.heap = None
        self.boots = self.grown = self.rest = 0

    def run(self):
        self.board.plant.at(_BEGIN_US, self.chunk, None)
        self.board.run(Station(self.board, settings(_CONFIG)))

    def chunk(self, _):
        """Some cases at one moment, then on with the pile; SystemExit after the last one."""
        station = self.station = self.board.station
        backend = station.backend
        if not backend.ready:  # after a reset, or what fed it
            self.board.plant.at(self.board.plant.now_us + _RUN_US, self.chunk, None)
            return
        del self.board.line._down[:]  # what feeds the link takes its PUBACKs
        gc.collect()
        used = gc.mem_alloc()
        if self.boots != self.board._boots:  # a valid Reset
            self.boots = self.board._boots
            self.heap = None
            self.rest = _WARM
        self.rest -= 1
        if self.rest == 0:
            self.heap = used
        if self.rest < 0:
            self.grown = max(self.grown, used - self.heap)
        ids = self.ids()
        before = self.look()
        for _ in range(_CHUNK):
            line = next(self.lines, None)
            if line is None:
                print(json.dumps({"heap": used, "grown": self.grown}))
                raise SystemExit
            self.count += 1
            before = self.one(line.split(), ids, before)
            if not station.backend.ready:
                break
        self.board.plant.at(self.board.plant.now_us + _RUN_US, self.chunk, None)

    def one(self, case, ids, before):
        kind, how, text = case
        payload = binascii.unhexlify(text[1:])
        backend = self.station.backend
        fed = None
        del backend._answers[:]
        if kind == "m":
            for name in ids:
                payload = payload.replace(name, ids[name])
            backend._message(payload, bool(int(how) & 1), bool(int(how) & 2))
        else:
            fed = self.feed(payload, [int(cut) for cut in how.split(",")])
        answers = [answer.decode() for answer in backend._answers]
        del backend._answers[:]
        after = before
        changed = []
        if not self.same(before):
            after = self.look()
            changed = self.differences(before, after)
        told = {"answers": answers, "changed": changed, "errors": self.trace.errors}
        if fed:
            told["fed"], told["dropped"] = fed
        print(json.dumps(told))
        self.trace.errors = []
        return after

    def feed(self, data, cuts):
        # What comes out of the link is kept from the backend: it has cases of its own.
        link = self.station.backend.link
        now_ms = self.board.ticks_ms()
        fed = []
        link.on_message = lambda payload, retain, dup: fed.append(
            (binascii.hexlify(payload).decode(), retain, dup)
        )
        at = 0
        for cut in cuts:
            link.feed(data[at:cut], now_ms)
            at = cut
        link.on_message = self.station.backend._message
        dropped = not link.up
        if dropped or link._got:  # what is left there would spoil what comes next
            link.closed("fuzzed", now_ms)
            link.tick(link._deadline_ms)
            link.opened(now_ms)
            link.feed(b"\x20\x02\x00\x00", now_ms)
            link.feed(b"\x90\x03" + bytes((link.pid >> 8, link.pid & 255)) + b"\x01", now_ms)
            link._backoff_ms = 1000
        link.sent(len(link.outgoing()))
        link._flight.clear()
        return fed, dropped

    def ids(self):
        """What stands for what in the cases: something of each kind waits for its answer."""
        backend = self.station.backend
        outbox = backend.outbox
        now_ms = self.board.ticks_ms()
        found = {}
        sent = []
        if not outbox.has("Heartbeat"):
            outbox.add("Heartbeat", _nothing, None, backend._beaten)
        if not outbox.has("BootNotification"):
            outbox.add("BootNotification", backend._boot, None, backend._booted)
        door = self.station.cards
        if not outbox.has("Authorize"):
            door.get("decide").card(door, "0B0B0B0B")
        for session in self.station.sessions:
            if session.tx and not outbox._kept:
                session.event(1, "Trigger", True)
        outbox.tick(now_ms, lambda payload: sent.append(payload) or True)
        for call in outbox._calls:
            found[("#%s#" % call.what[0]).encode()] = call.key.encode()
        for call in outbox._kept:
            if call.group:
                found[b"#TransactionEvent#"] = outbox._id(call).encode()
        for session in self.station.sessions:
            if session.transaction_id:
                found[b"#t#"] = session.transaction_id.encode()
        return found

    def objects(self):
        """What an invalid message must leave alone, by name."""
        station = self.station
        backend = station.backend
        found = {"backend": backend, "outbox": backend.outbox, "door": station.cards,
                 "upkeep": station.upkeep, "staged": station.staged, "wall": station.wall}
        for i, session in enumerate(station.sessions):
            outlet = station.outlets[i]
            found["session %d" % i] = session
            found["outlet %d" % i] = outlet
            found["limits %d" % i] = outlet.limits
            found["rest %d" % i] = station.rests[i]
            if session.budget:
                found["budget %d" % i] = session.budget
        for i, call in enumerate(backend.outbox._calls + backend.outbox._kept):
            found["call %d" % i] = call
        return found

    def look(self):
        """A copy of all that."""
        objects = self.objects()
        found = {name: _fields(objects[name]) for name in objects}
        found["store"] = dict(self.board.store._kept)
        found["config"] = dict(self.station.config)
        found["journal"] = self.journal()
        found["cells"] = [bytes(core.cells) for core in self.station.cores]
        return found

    def same(self, before):
        """Whether it is as in that copy, which is found out without making one."""
        objects = self.objects()
        for name in objects:
            if name not in before or before[name] != _fields(objects[name], False):
                return False
        return (
            before["store"] == self.board.store._kept
            and before["config"] == self.station.config
            and before["journal"] == self.journal()
            and before["cells"] == [bytes(core.cells) for core in self.station.cores]
        )

    def journal(self):
        """How many records have come, and the first that is there."""
        journal = self.station.journal
        if journal is not self.ring:
            self.ring = journal
            self.next = journal.next
        for n in range(self.next, journal.next):
            record = journal.read(n)
            if record and record[0] != _SECURITY:
                self.records += 1
        self.next = journal.next
        return self.records, journal.first

    def differences(self, before, after):
        """The names of what differs."""
        names = []
        for name in sorted(after):
            old, new = before.get(name), after[name]
            if old != new:
                if isinstance(old, dict):
                    fields = [key for key in sorted(new) if old.get(key) != new[key]]
                    name += ": " + ", ".join(fields)
                names.append(name)
        return names


def _nothing(_):
    return {}


def main():
    """Serve the cases on stdin."""
    _Fuzz().run()
