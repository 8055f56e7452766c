"""All that a pile knows of its sessions, for who looks back: `pile.py sessions`. What is filed
(firmware.ledger.history, .refused), and what the journal has that is not yet.

Imported by that command only, while no station runs. Nothing is changed: the journal is opened
with a memory whose writes stay here.
"""

from binascii import crc32
from struct import unpack_from

from micropython import const

from firmware.ledger import durable, events, history, recovery, refused

_PAGE = const(64)
_MAGIC = const(b"VPJ2")
_HEADER = const(32)
_AT = const(4)  # see firmware.commit


class _Aside:
    # The memory role, on another memory that keeps what it has.
    def __init__(self, memory):
        self.size = memory.size
        self._memory = memory
        self._pages = {}

    def read(self, at, into):
        self._memory.read(at, into)
        for page in range(at // _PAGE, (at + len(into) + _PAGE - 1) // _PAGE):
            if page in self._pages:
                for i in range(max(at, page * _PAGE), min(at + len(into), (page + 1) * _PAGE)):
                    into[i - at] = self._pages[page][i % _PAGE]

    def write(self, at, data):
        for i, byte in enumerate(bytes(data), at):
            page = i // _PAGE
            if page not in self._pages:
                self._pages[page] = kept = bytearray(min(_PAGE, self.size - page * _PAGE))
                self._memory.read(page * _PAGE, kept)
            self._pages[page][i % _PAGE] = byte


class _Board:
    # As much of the board as the journal knows.
    def __init__(self, store, memory, say):
        self.store = store
        self.memory = memory and _Aside(memory)
        self.log = self.clock = self
        self._say = say

    def ticks_ms(self):
        return 0

    def nonce(self):
        return "none"

    def record(self, what, problem, **fields):
        lost = fields.get("lost")
        said = ("%s; %d records are lost" % (problem, lost) if lost else problem).lstrip("; ")
        self._say("journal, as the next start will find it: " + said)


class _Wall:
    # The clock, in a boot that does not know the date: what was dated in others it knows.
    is_set = False
    start_ms = boot = 0
    boots: "list[tuple[int, int | None, int]]" = []

    def look(self, boot):
        """From now on for what happened in `boot`."""
        self.is_set = any(
            known >= boot and start_ms is not None for known, start_ms, _ in self.boots
        )
        return self


def told(store, memory, say):
    """Each session, the oldest first, as history.session gives it, with its "state" ("ended" or
    "going on"), then each refused message, as refused.told gives it. What is filed and in the
    journal, too, comes twice. `memory`: None without one. `say(words)` hears of what is damaged.
    """
    for found in history.sessions(store, say):
        found["state"] = "ended"
        yield found
    outlets = memory and _outlets(memory, say)
    # A memory that is blank, or not ours, would be formatted.
    board = _Board(store, memory if outlets else None, say)
    journal, cells = durable.open(board, outlets or 1, bool)
    wall = _Wall()
    try:
        recovery.count_boot(journal, cells, wall)
        data = cells[-1].load() or b""
        at = unpack_from("<I", data, _AT)[0] if len(data) >= _AT + 4 else 0
        dead = []
        for number in range(max(at, journal.first), journal.next):
            record = journal.read(number) or b"\0"
            if record[0] == events.SUMMARY:
                yield _session(journal, record, wall, "ended")
            elif record[0] == events.DEAD:
                dead.append(number)
        for evse_id, cell in enumerate(cells[:-1], 1):
            found = recovery.look(evse_id, journal, cell)
            if found.tx:
                recovery.look_up(found, journal)
                record = events.summary(
                    evse_id, found.tx, found.token, found.began, found.last, found.start_mwh,
                    found.mwh, found.owed or "", events.cost(found.bill), found.receipt,
                )  # fmt: skip
                state = "going on" if found.owed is None else "ended"
                yield _session(journal, record, wall, state)
        for letter in refused.letters(store, say):
            yield letter
        for number in dead:
            record = journal.read(number) or bytes(6)
            at = 8 + record[5]  # the boot of the message
            boot = unpack_from("<I", record, at)[0] if len(record) >= at + 4 else 0
            yield refused.told(journal.id, record, wall.look(boot))
    except (OSError, ValueError) as error:
        say("journal: it cannot be read on: %r" % error)


def _session(journal, record, wall, state):
    boot = unpack_from("<I", record, 2)[0]
    made = history.session(0, history.summarised(journal.id, record, wall.look(boot)))
    made["state"] = state
    if state == "going on":
        made["end_ms"] = None
    return made


def _outlets(memory, say):
    # Of how many the memory has cells; None: it has no journal.
    head = bytearray(_HEADER)  # as durable has it
    blank = True
    try:
        for at in (0, min(memory.size, 1 << 16) - _HEADER):
            memory.read(at, head)
            if head[:4] == _MAGIC and unpack_from("<I", head, 28)[0] == crc32(head[:28]):
                return head[20]
            blank = blank and not any(head)
    except OSError as error:
        say("the memory does not answer (%r): only what was filed is listed" % error)
        return None
    if not blank:
        say("the memory has no journal, which the next start makes: only what was filed is listed")
    return None
