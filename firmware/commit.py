"""Does what firmware.staged has kept in the journal; imported for that, and lets go of itself.

A staged record has the kind 6, then the number of its commit u8, then the data. Summaries of
sessions (kind 2) and dead letters (kind 4) are waited for in the same way, and go to
firmware.ledger.history and .refused; the letters while there is room for them. A summary waits for
the date, too, as long as there is room and nothing staged behind it. How far it got is kept in the
station's cell: bytes 4 to 7, u32, the number of the oldest record that is not done with.
"""

import json
import struct

from micropython import const

from firmware import let_go
from firmware.staged import Staged

_SUMMARY = const(2)  # as firmware.ledger.events has it
_DEAD = const(4)
_STAGED = const(6)
_SETTING = const(12)  # as firmware.uplink.variables has it
_FORGET = const(20)  # as firmware.uplink.customer_commands has it
_AT = const(4)
_MOST = const(64)  # records to look at in one go
_LOOK = const(500)  # turns of the main loop, 10 s, to the next look at what is new
_RETRY = const(3000)  # the same after a memory that failed
_OPEN = const(-1)  # until every contactor is open


def open(journal, closed, commits, cell, wall):
    """A Staged. `closed()`: whether any contactor may be closed. `commits` maps a number from 10
    on to the function(data) that writes what it stands for: a power cut may have it done twice;
    12, a change of the configuration as JSON, to the store.
    `cell`: the station's. `wall`: the clock.

    What a commit raises comes out of `put` or `tick`, and it is not tried again: what can never
    succeed must not keep the journal from being let go of.
    """
    let_go("firmware.commit")
    staged = Staged()
    staged._journal = journal
    staged._closed = closed
    staged._commits = commits
    staged._cell = cell
    staged._wall = wall
    staged._wait = staged._seen = 0
    data = cell.load() or b""
    done = struct.unpack_from("<I", data, _AT)[0] if len(data) >= _AT + 4 else 0
    staged._at = min(max(journal.first, done), journal.next)
    return staged


def settings(staged, config):
    """Put into `config` what was set of it (firmware.uplink.variables) and is not in flash yet: it
    holds from this start on all the same. Raises OSError when the memory does not answer.
    """
    journal = staged._journal
    for number in range(staged._at, journal.next):
        record = journal.read(number)
        if record and record[0] == _STAGED and record[1] == _SETTING:
            from firmware import config as fields

            let_go("firmware.config")
            let_go("firmware.changes")
            try:
                for name, value in json.loads(record[2:]).items():
                    config[name] = fields.field(name, value, "set")
            except (AttributeError, ValueError):
                pass  # of another firmware


def forget(board, closed):
    """Be done with all that waits, but for what was set of the configuration, which is saved: it
    may be how the pile reaches its backend. For firmware.changes, while no station runs and no
    contactor is closed. Raises OSError.
    """
    from firmware import changes
    from firmware.ledger import durable

    journal, cells = durable.open(board, len(board.outlets), closed)
    if journal.memory is not board.memory:
        raise OSError("the memory with what waits does not answer")
    data = cells[-1].load() or bytes(_AT)
    done = struct.unpack_from("<I", data, _AT)[0] if len(data) >= _AT + 4 else 0
    for number in range(max(journal.first, done), journal.next):
        record = journal.read(number)
        if record and record[0] == _STAGED and record[1] == _SETTING:
            try:
                changes.save(board.store, json.loads(record[2:]))
            except (AttributeError, ValueError):
                pass  # of another firmware
    cells[-1].save(data[:_AT] + struct.pack("<I", journal.next) + data[_AT + 4 :])


def tick(staged):
    """Look at what is new, up to the first record that is to be done, and do it if that may be."""
    let_go("firmware.commit")
    journal = staged._journal
    staged._wait = _RETRY  # for what raises here
    for _ in range(_MOST):
        if staged._at >= journal.next:
            staged._wait = _LOOK
            return
        record = journal.read(staged._at)
        kind = record[0] if record else 0
        if kind == _DEAD and journal.crowded and staged._closed():
            kind = 0  # there is more to keep than what nobody will ever get
        if kind in (_STAGED, _SUMMARY, _DEAD):
            break
        staged._at += 1
    else:
        staged._wait = 0
        return
    if staged._closed():
        staged._wait = _RETRY if kind == _DEAD else _OPEN
        return
    if kind == _SUMMARY and not (staged._wall.is_set or journal.crowded or _more(staged)):
        staged._wait = _LOOK  # its date may come yet
        return
    staged._wait = 0
    try:
        if kind == _SUMMARY:
            from firmware.ledger import history

            let_go("firmware.ledger.history")
            let_go("firmware.ledger.events")
            history.file(journal, record, staged._wall)
        elif kind == _DEAD:
            from firmware.ledger import refused

            let_go("firmware.ledger.refused")
            let_go("firmware.ledger.events")
            staged._at = refused.file(journal, staged._at, staged._wall) - 1
        elif record[1] == _SETTING:
            from firmware import changes

            let_go("firmware.changes")
            changes.save(staged._commits[_SETTING], json.loads(record[2:]))
        elif record[1] == _FORGET:
            from firmware.ledger import history

            let_go("firmware.ledger.history")
            let_go("firmware.ledger.events")
            history.forget(journal.store, record[2:12], struct.unpack_from("<I", record, 12)[0])
        elif record[1] in staged._commits:  # else: of another firmware
            staged._commits[record[1]](record[2:])
    finally:
        staged._at += 1
        data = staged._cell.load() or b""
        data += bytes(max(_AT - len(data), 0))
        staged._cell.save(data[:_AT] + struct.pack("<I", staged._at) + data[_AT + 4 :])


def _more(staged):
    # Whether something staged waits behind what is to be done next; looked at in some steps.
    journal = staged._journal
    number = max(staged._seen, staged._at + 1)
    for staged._seen in range(number, min(number + _MOST, journal.next)):
        record = journal.read(staged._seen)
        if record and record[0] == _STAGED:
            return True
    return False
