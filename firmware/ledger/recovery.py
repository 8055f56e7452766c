"""What a boot finds in journal and cells: which boot it is, when the former ones were, and a
transaction that a power cut or a reset has left open, which is gone on with or ended once.
Imported at boot only.

The cell of an outlet, little-endian:

    version u8: 2; flags u8: 1 authorised, 4 dated (its time, below); those of the start u8 (4)
    charging state u8
    number of the first record that it does not count yet u32
    transaction u32 (the number of its Started; 0: none), its next seqNo u32
    register in mWh u64, and at the start u64
    boot u32 and time s64 when it was saved, those of the start u32 and s64
    seconds spent u32; digests of token and group, 10 bytes each, zeros without one
    length u8 of what firmware.ledger.budget keeps, then that; 0: neither tariff nor limits
    once it was stopped, to the end, UTF-8: stopped reason, line feed, trigger

What was appended after it was saved is read from the journal. The cell of the station has the
number of the boot, u32.

**The receipt of a session that a cut has ended** is signed before its end is told, with the end it
goes to backend and history: a message goes out once, and cannot be told again with one. That takes
1.5 s of the main loop after the boot, in steps as after any session. Until then journal and cell
are as the cut left them, and nobody is let in at the outlet: after one more cut it all begins
anew, and gives the same bytes. There is no moment at which the end is lost or could come twice.
An end for which there is no room is waited for in the same way.
"""

from struct import pack, unpack_from

from firmware.clock import DATED
from firmware.ledger import bounds, events
from firmware.ledger.session import ENDED, STARTED
from firmware.ticks import add, diff

_CELL = "<BBBBIIIQQIqIqI10s10sB"
_SIZE = 81
_VERSION = 2
_NOBODY = bytes(10)
_WAIT_MS = 5000  # after power-up a vehicle that is still there was seen
_MOST_BOOTS = 32
_RETRY_MS = 1000  # after an end that could not be kept


class _Found:
    # What is known of an outlet: attributes are as in Session.
    def __init__(self, evse_id, cell):
        self.evse_id = evse_id
        self.counted = self.tx = self.seq = self.mwh = self.start_mwh = self.spent_s = 0
        self.began = self.last = self.saved = (0, 0, 0)
        self.kept = b""  # of the budget
        self.token = self.group = None
        self.state = 255
        self.ending = None
        self.goes_on = False  # whether it may be gone on with
        self.owed = None  # the reason of an end that has no summary yet
        self.receipt = ""  # of that end
        self.bill = ""  # the text of its cost
        data = cell.load() or b""
        if len(data) >= _SIZE and data[0] == _VERSION:
            self._load(data)

    def _load(self, data):
        (
            _, flags, began, self.state, self.counted, self.tx, self.seq, self.mwh,
            self.start_mwh, boot, time, began_boot, began_time, self.spent_s, token, group, n,
        ) = unpack_from(_CELL, data)  # fmt: skip
        self.last = self.saved = flags, boot, time
        self.began = began, began_boot, began_time
        self.token = None if token == _NOBODY else token
        self.group = None if group == _NOBODY else group
        self.kept = data[_SIZE : _SIZE + n]
        if len(data) > _SIZE + n:
            self.ending = str(data[_SIZE + n :], "utf-8").split("\n")
        self.goes_on = flags & 1

    def take(self, number, record):
        """Take a record of kind 1 or 2 into account that the cell does not count."""
        if record[0] == events.SUMMARY:
            if unpack_from("<I", record, 15)[0] == self.tx:
                self.owed = None
                self.tx = 0
            return
        flags, boot, time, _, state, _, _, tx, seq, reading, texts = events.fields(record)
        if flags & 3 == STARTED:
            self.tx = number
            self.token = self.group = self.ending = self.owed = None
            self.kept = b""
            self.spent_s = 0
            # Who may stop it and how far it may go was not kept yet: it is not gone on with.
            self.goes_on = False
            self.began = flags, boot, time
            self.start_mwh = max(self.mwh, reading[0] if reading else 0)
        elif tx != self.tx:
            return
        self.seq = seq + 1
        self.state = state
        self.last = flags, boot, time
        if reading:
            self.mwh = max(self.mwh, reading[0])
        if flags & 3 == ENDED:
            self.owed = texts[1]
            self.receipt = texts[5]
            self.bill = texts[6]


def count_boot(journal, cells, wall):
    """Number this boot, durably, and learn when the former ones were. `cells`: those of the
    outlets and, last, the station's. Raises OSError.
    """
    data = cells[-1].load() or b""
    boot = unpack_from("<I", data)[0] if len(data) >= 4 else 0
    boots = {}
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        if not record or len(record) < 14 and record[0] != events.DATE:
            continue
        if record[0] == events.DATE:
            known, start_ms = unpack_from("<Iq", record, 1)
            boots.setdefault(known, [None, 0])[0] = start_ms
            boot = max(boot, known)
        elif record[0] in (events.EVENT, events.SUMMARY, events.SECURITY):
            flags, known, time = unpack_from("<BIq", record, 1)
            boot = max(boot, known)
            _latest(boots, flags, known, time)
    for cell in cells[:-1]:  # whose transaction may end as of what they keep
        _latest(boots, *_Found(0, cell).saved)
    wall.boots = [(known, boots[known][0], boots[known][1]) for known in sorted(boots)]
    wall.boots = wall.boots[-_MOST_BOOTS:]
    wall.boot = boot + 1
    cells[-1].save(pack("<I", wall.boot) + data[4:])


def _latest(boots, flags, boot, time):
    if boot and not flags & DATED:
        entry = boots.setdefault(boot, [None, 0])
        entry[1] = max(entry[1], time)


def recover(sessions, journal, cells, resume, reason, record):
    """Bring the `sessions` to where they stood. `resume`: whether what a cut has left open goes
    on; `reason`: OCPP's of the end otherwise. `record(what, **fields)` takes note of it.
    """
    for session, cell in zip(sessions, cells):
        try:
            _recover(session, journal, cell, resume, reason, record)
        except (OSError, ValueError) as error:
            record("error", problem="outlet %d: %r" % (session.evse_id, error))


def look(evse_id, journal, cell):
    """What `journal` and `cell` know of an outlet, as attributes: `tx` its transaction (0: none)
    with `token`, `began`, `last`, `start_mwh`, `mwh`, `spent_s`; `owed` the reason of an end
    without a summary, else None, and `receipt` and `bill` (its cost) those of this end. Raises
    OSError.
    """
    found = _Found(evse_id, cell)
    for number in range(max(found.counted, journal.first), journal.next):
        entry = journal.read(number)
        if not entry or len(entry) < 26 or entry[14] != evse_id:
            continue
        if entry[0] == events.SUMMARY or entry[0] == events.EVENT and events.whole(entry):
            found.take(number, entry)
    return found


def look_up(found, journal, now_ms=0):
    """The Budget of what `look` has found, at the uptime `now_ms`: with what the transaction cost
    between the saving of its cell and its last record. None: there is none, or its tariff is lost.
    Then `found.bill` tells of the cost, where there is one. Raises OSError.
    """
    if not (found.kept and found.tx):
        return None
    flags, _, time = found.saved
    unix_ms = time if flags & DATED else None
    taken_mwh = found.mwh - found.start_mwh
    budget = bounds.budgets().restored(found.kept, journal, unix_ms, taken_mwh, now_ms)
    if budget and budget.tariff and not found.bill:
        found.bill = budget.text(True, True)
    return budget


def _recover(session, journal, cell, resume, reason, record):
    found = look(session.evse_id, journal, cell)
    session.register.mwh = session._kept_mwh = found.mwh
    budget = look_up(found, journal, session.wall.uptime_ms)
    if found.kept and not budget:
        # Nobody could be billed for what comes, and who has a balance would have none.
        found.goes_on = False
    if found.owed is not None:
        ending = _Ending(session, found, budget, (found.owed, ""), True)
    elif found.tx and resume and found.goes_on and not found.ending:
        _go_on(session, found, budget)
        record("transaction", id=session.transaction_id, why="gone on with")
        return
    elif found.tx:
        why = found.ending or (reason, "AbnormalCondition")
        record("transaction", id=bounds.name(journal, found.tx), why=why[0])
        ending = _Ending(session, found, budget, why, False)
    else:
        session.keep()
        return
    if session.signing is not None:
        ending.closing(session, session.wall._last_ms)


def _end(journal, found, why, receipt):
    flags, boot, time = found.last
    head = pack(
        "<BBIq4BII",
        events.EVENT, ENDED | flags & DATED | events.OFFLINE | events.READING, boot,
        time, found.evse_id, 255, 1, 1, found.tx, found.seq,
    )  # fmt: skip
    text = why[1] + bounds.ended_with(why[0], receipt, found.bill)
    journal.append(head + pack("<Q8i", found.mwh, 0, 0, 0, 0, 0, 0, 0, 0) + text.encode())


def _sum_up(journal, found, reason, receipt):
    who = found.evse_id, found.tx, found.token, found.began, found.last
    cost = events.cost(found.bill)
    journal.append(events.summary(*who, found.start_mwh, found.mwh, reason, cost, receipt))


class _Ending:
    # The end of a transaction that a cut has left open: closes the session in the place of bounds,
    # and is let go of with it. It waits for its receipt; what cannot be kept is tried again.
    # `told`: the end is, its summary not yet.
    driver = False  # in the place of the budget, which has ended

    def __init__(self, session, found, budget, why, told):
        self._found = found
        self._told = told
        self._again_ms = None
        # The oldest record that another boot would make it of
        self.record = budget and budget.record or max(found.counted, found.tx)
        session.budget = self
        session.tx = found.tx
        session.transaction_id = bounds.name(session.journal, found.tx)
        session.user = _user(session, found.tx)
        if told:
            session.signing = found.receipt
        elif not session.signs:
            session.signing = ""
        session._began = found.began
        session._start_mwh = found.start_mwh
        session._ending = why
        session._closing = self

    def closing(self, session, now_ms):
        """Every turn, as bounds.closing."""
        found = self._found
        if not isinstance(session.signing, str):
            spent_s = found.spent_s
            if found.last[1] == found.began[1] and not (found.last[0] | found.began[0]) & DATED:
                spent_s = (found.last[2] - found.began[2]) // 1000
            bounds.sign(session, 0, (found.last, spent_s))
        elif self._again_ms is None or diff(now_ms, self._again_ms) >= 0:
            self._again_ms = add(now_ms, _RETRY_MS)
            why = session._ending
            try:
                if not self._told:
                    _end(session.journal, found, why, session.signing)
                    self._told = True
                _sum_up(session.journal, found, why[0], session.signing)
            except (MemoryError, OSError):
                return
            session.tx = session._points = 0
            session.transaction_id = session.token = session.group = session._ending = None
            session._closing = session.signing = session.user = session.budget = None
            session.keep()


def _user(session, tx):
    # Whom the receipt is to name, while the journal has the start still.
    user = None
    if session.signs and session.signs["named"]:
        for number in range(max(tx, session.journal.first), session.journal.next):
            record = session.journal.read(number)
            if record and record[0] == events.EVENT and events.whole(record):
                told = events.fields(record)
                if told[7] == tx and told[10][3]:
                    user = told[10][4], told[10][3], ""
    return user


def _go_on(session, found, budget):
    session.tx = found.tx
    session.transaction_id = bounds.name(session.journal, found.tx)
    session.token = found.token
    session.group = found.group
    session.user = _user(session, found.tx)
    session.budget = budget
    session._seq = found.seq
    session._began = found.began
    session._start_mwh = found.start_mwh
    session._from_ms = session.wall.uptime_ms - found.spent_s * 1000
    # It is waited for from now on, whatever the ticks have counted before this start.
    session._now_ms = session._second_ms = session._sampled_ms = session.wall._last_ms
    session._seen_ms = session._unplugged_ms = session._now_ms
    session._state = 255
    session._points = 2  # authorised
    session._patience = (_WAIT_MS, "PowerLoss", "AbnormalCondition")
    session.authorised = True
    session.outlet.authorise()
    session.keep()
