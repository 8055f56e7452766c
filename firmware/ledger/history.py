"""The sessions of the past, in flash, for who looks back: `pile.py sessions`. What the backend
must get is the journal's. Imported to file one, and to read; let go of after that.

A file "h<number of its first session>" has at most 32 sessions, or 8 kB; the newest 16 files are
kept. It has one record a session, little-endian:

    0x5A u8, length of what follows the number u16, number u32, from 1
    evse u8, from 1; flags u8: 1 the start's time is known, 2 the end's, 4 the cost
    start and end, Unix time in ms s64 each; duration in s u32 (2^32 - 1: not known)
    register at start and end in mWh, u64 each; cost in micro of the currency s64
    digest of the token, 10 bytes, zeros without one
    UTF-8, with line feeds between: OCPP's transactionId, stopped reason, currency, receipt
    CRC-32 of all before u32

A record that is damaged is lost alone: the next one is found by its first byte and its CRC.
"""

import struct
from binascii import crc32

from micropython import const

from firmware.clock import DATED
from firmware.ledger import events

_MAGIC = const(0x5A)
_FRAME = "<BHI"
_FRAME_BYTES = const(7)
_BODY = "<BBqqIQQq10s"
_BODY_BYTES = const(56)
_TEXT = const(65)  # where in a summary its text begins
_LONGEST = const(1200)  # bytes of a body
_FILES = const(16)
_SESSIONS = const(32)
_FULL = const(8192)  # bytes of a file, beyond which a new one is begun
_NO_DURATION = const(0xFFFFFFFF)
_ENOSPC = const(28)
_WINDOW = const(512)
_STARTED_KNOWN = const(1)
_ENDED_KNOWN = const(2)
_COST_KNOWN = const(4)
_NOBODY = bytes(10)


def files(store):
    """The numbers in the names of the files, sorted; others' files are not among them."""
    found = []
    for name in store.names("h"):
        # Neither "hal" nor "h07": only what _name makes.
        if name[1:].isdigit() and str(int(name[1:])) == name[1:]:
            found.append(int(name[1:]))
    return sorted(found)


def _name(first):
    return "h%d" % first


class _File:
    # A file's bytes, read through one window.
    def __init__(self, store, name):
        self._store = store
        self._name = name
        self._at = 0
        self._window = b""

    def read(self, at, n):
        """Up to `n` bytes from `at` on."""
        start = at - self._at
        if start < 0 or start + n > len(self._window):
            window = bytearray(max(n, _WINDOW))
            read = self._store.read(self._name, at, window)
            self._window = bytes(memoryview(window)[:read])
            self._at = at
            start = 0
        return self._window[start : start + n]


def records(store, first):
    """(number, body, place of what follows) of each session in the file `first`; number 0 stands
    for what is damaged.
    """
    file = _File(store, _name(first))
    at = 0
    damaged = False
    while at < _FULL + _LONGEST:  # one that is longer is not ours
        head = file.read(at, _FRAME_BYTES)
        if not head:
            break
        if len(head) == _FRAME_BYTES and head[0] == _MAGIC:
            _, n, number = struct.unpack(_FRAME, head)
            if _BODY_BYTES <= n <= _LONGEST:
                body = file.read(at + _FRAME_BYTES, n + 4)
                crc = struct.pack("<I", crc32(body[:n], crc32(head)))
                if body[n:] == crc:
                    if damaged:
                        yield 0, b"", at
                    damaged = False
                    at += _FRAME_BYTES + n + 4
                    yield number, body[:n], at
                    continue
        damaged = True
        at += 1
        ahead = file.read(at, _WINDOW).find(bytes((_MAGIC,)))
        at += ahead if ahead >= 0 else max(len(file.read(at, _WINDOW)), 1)
    if damaged:
        yield 0, b"", at


def file(journal, record, wall):
    """File the session of which `record` is the summary (firmware.ledger.events), while no
    contactor is closed. One that is the last one already is not filed twice. The oldest file goes
    when there are too many, or no room. Raises OSError.
    """
    store = journal.store
    body = summarised(journal.id, record, wall)
    known = files(store)
    first = known[-1] if known else 1
    number = first - 1
    at = count = 0
    last = b""
    for found, kept, end in records(store, first):
        at = end
        # What is damaged had a number, too.
        number = max(number + 1, found)
        count += 1
        if found:
            last = kept
    if last[_BODY_BYTES:].split(b"\n", 1)[0] == body[_BODY_BYTES:].split(b"\n", 1)[0]:
        return
    if count >= _SESSIONS or at >= _FULL:
        first = number + 1
        at = 0
        known.append(first)
    made = struct.pack(_FRAME, _MAGIC, len(body), number + 1) + body
    made += struct.pack("<I", crc32(made))
    while True:
        try:
            store.replace(_name(first), _chunks(store, first, at, made))
            break
        except OSError as error:
            # Only a full flash may cost what is old: one that fails would cost all of it.
            if error.args[0] != _ENOSPC or not known or known[0] == first:
                raise
            store.remove(_name(known.pop(0)))
    while len(known) > _FILES:
        store.remove(_name(known.pop(0)))


def _chunks(store, first, end, made):
    # The old file up to `end`, then what is new.
    yield from _bytes(store, first, 0, end)
    yield made


def _bytes(store, first, at, end):
    for start in range(at, end, _WINDOW):
        part = bytearray(min(_WINDOW, end - start))
        yield memoryview(part)[: store.read(_name(first), start, part)]


def forget(store, digest, first):
    """Let no session in the file `first` (0: the newest) tell whose it was that was `digest`'s:
    its digest goes, and a receipt that names the user. While no contactor is closed. Raises
    OSError.
    """
    known = files(store)
    first = first or (known[-1] if known else 0)
    if first in known and any(body[46:56] == digest for _, body, _ in records(store, first)):
        store.replace(_name(first), _without(store, first, digest))


def _without(store, first, digest):
    # The file as it is, what is damaged, too, but for these.
    at = 0
    for number, body, end in records(store, first):
        if number and body[46:56] == digest:
            # What is damaged before it, then the record.
            yield from _bytes(store, first, at, end - len(body) - _FRAME_BYTES - 4)
            texts = body[_BODY_BYTES:].split(b"\n", 3)
            if len(texts) > 3 and b'"IS":true' in texts[3]:
                texts.pop()
            body = body[:46] + _NOBODY + b"\n".join(texts)
            made = struct.pack(_FRAME, _MAGIC, len(body), number) + body
            yield made + struct.pack("<I", crc32(made))
        else:
            yield from _bytes(store, first, at, end)
        at = end


def summarised(journal_id, record, wall):
    """The body of a session's record, of its summary in the journal."""
    (
        _, flags, boot, time, evse_id, tx, token, began_boot, began_time, start_mwh, end_mwh, cost,
    ) = struct.unpack_from("<BBIqBI10sIqQQq", record)  # fmt: skip
    dated = flags & DATED
    began_dated = DATED if flags & events.START_DATED else 0
    known = start_ms = end_ms = 0
    if wall.is_set or began_dated:
        known = _STARTED_KNOWN
        start_ms = events.moment(wall, began_dated, began_boot, began_time)
    if wall.is_set or dated:
        known |= _ENDED_KNOWN
        end_ms = events.moment(wall, dated, boot, time)
    ms = -1
    if known == _STARTED_KNOWN | _ENDED_KNOWN:
        ms = end_ms - start_ms
    elif not known and boot == began_boot:
        ms = time - began_time
    # A clock that was set back in between tells nothing.
    seconds = ms // 1000 if 0 <= ms < _NO_DURATION * 1000 else _NO_DURATION
    if flags & events.COST:
        known |= _COST_KNOWN
    head = struct.pack(
        _BODY, evse_id, known, start_ms, end_ms, seconds, start_mwh, end_mwh, cost, token
    )
    return head + ("%s-t%d\n" % (journal_id, tx)).encode() + record[_TEXT:]


def session(number, body):
    """What a record tells, as a dict: number, evse, start_ms, end_ms and seconds (None: not
    known), start_mwh, end_mwh, cost_micro (None: none), currency, token (hex, "": none),
    transaction, reason, receipt ("": none).
    """
    evse_id, known, start_ms, end_ms, seconds, start_mwh, end_mwh, cost, token = (
        struct.unpack_from(_BODY, body)
    )
    texts = str(body[_BODY_BYTES:], "utf-8").split("\n", 3)
    texts += [""] * (4 - len(texts))
    return {
        "number": number,
        "evse": evse_id,
        "start_ms": start_ms if known & _STARTED_KNOWN else None,
        "end_ms": end_ms if known & _ENDED_KNOWN else None,
        "seconds": None if seconds == _NO_DURATION else seconds,
        "start_mwh": start_mwh,
        "end_mwh": end_mwh,
        "cost_micro": cost if known & _COST_KNOWN else None,
        "currency": texts[2],
        "token": "" if token == _NOBODY else "".join(["%02x" % byte for byte in token]),
        "transaction": texts[0],
        "reason": texts[1],
        "receipt": texts[3],
    }


def sessions(store, say):
    """Each session that is kept, oldest first, as `session` gives it; `say(words)` hears of what
    is damaged.
    """
    for first in files(store):
        for number, body, _ in records(store, first):
            if number:
                yield session(number, body)
            else:
                say("h%d: a part is damaged; the sessions in it are lost" % first)
