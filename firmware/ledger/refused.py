"""The messages that the backend has refused for good (dead letters, records of kind 4), in flash,
for who looks back: `pile.py sessions`. Imported to file some, and to read; let go of after that.

The file "refused" has the newest, at most 4 kB, a line each: CRC-32 of what follows it in eight
hex digits, a blank, a JSON object as `told` makes it, with its "number", from 1. No token is in
it: here nothing is ever acknowledged, and so forgotten. A line that is damaged is lost alone.
"""

import json
from binascii import crc32
from struct import unpack_from

from micropython import const

from firmware.clock import DATED
from firmware.ledger import events

FILE = "refused"
_FULL = const(4096)
_MOST = const(64)  # records to look at in one go


def told(journal_id, record, wall):
    """What a record of kind 4 tells, as a dict: message (its id), code (the CALLERROR's), what it
    was; its time in ms (None: not known); of a transaction's event also evse, transaction, seq and
    the register in mWh (None: not read). Raises ValueError for a record that is none.
    """
    if len(record) < 6 or record[0] != events.DEAD:
        raise ValueError("no dead letter of %d bytes" % len(record))
    _, number, n = unpack_from("<BIB", record)
    code = _plain(record[6 : 6 + n])
    dead = record[6 + n :]
    found: dict = {"message": "%s-%d" % (journal_id, number), "code": code, "what": "damaged"}
    found["time_ms"] = found["transaction"] = None
    if len(dead) < 14 or dead[0] == events.EVENT and not events.whole(dead):
        return found
    flags, boot, time = unpack_from("<BIq", dead, 1)
    if wall.is_set or flags & DATED:
        found["time_ms"] = events.moment(wall, flags, boot, time)
    if dead[0] == events.EVENT:
        found["what"] = "%s, seqNo %d" % (events.EVENTS[flags & 3], unpack_from("<I", dead, 22)[0])
        found["evse"] = dead[14]
        found["transaction"] = "%s-t%d" % (journal_id, unpack_from("<I", dead, 18)[0])
        found["mwh"] = unpack_from("<Q", dead, 26)[0] if flags & events.READING else None
    elif dead[0] == events.SECURITY:
        # What it goes on with may name anything.
        found["what"] = "security event " + _plain(dead[14:].split(b"\n", 1)[0])
    return found


def _plain(data):
    # What was cut may end in half a letter.
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in data])


def file(journal, at, wall):
    """File the dead letter `at` and those right behind it, in one go, while no contactor is
    closed. One that is there already is not filed twice. Returns the number of the first record
    that was not looked at. Raises OSError.
    """
    kept = list(letters(journal.store, bool))  # damage is for who looks back to hear of
    last = kept[-1]["number"] if kept else 0
    for _ in range(_MOST):
        if at >= journal.next:
            break
        record = journal.read(at) or b"\0"
        if record[0] == events.DEAD:
            found = told(journal.id, record, wall)
            if not [one for one in kept if one["message"] == found["message"]]:
                last += 1
                found["number"] = last
                kept.append(found)
        elif record[0] not in (events.EVENT, events.DATE, events.SECURITY):
            break  # in its turn
        at += 1
    lines = [_line(one) for one in kept]
    while sum([len(line) for line in lines]) > _FULL:
        lines.pop(0)
    journal.store.replace(FILE, lines)
    return at


def _line(letter):
    text = json.dumps(letter).encode()
    return b"".join((_crc(text), b" ", text, b"\n"))


def _crc(text):
    return ("%08x" % crc32(text)).encode()


def letters(store, say):
    """Each that is kept, oldest first, as `told` gives it, with its number; `say(words)` hears
    that some are damaged.
    """
    damaged = False
    for line in (store.load(FILE) or b"").split(b"\n"):
        try:
            if _crc(line[9:]) == line[:8]:
                yield json.loads(line[9:])
                continue
        except ValueError:
            pass
        damaged = damaged or line != b""
    if damaged:
        say("refused: a part is damaged; the messages in it are lost")
