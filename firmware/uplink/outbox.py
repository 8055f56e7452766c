"""CALLs on their way to the backend: sent in order, many at a time, kept until their CALLRESULT.

What must arrive lies in the journal (records of the kinds 1 and 5, see firmware.ledger.events) and
is read from there when it is sent; here is only what was sent and not answered yet. It is sent
again under the same message id with the same content, also after a reboot; after _TRIES CALLERRORs
it becomes a dead letter, a record of kind 4. While an event is being tried again nothing newer of
its transaction goes out; nor once it was without an answer for _LATELY_MS: a backend that was away
may have lost it. While nothing is answered one message goes out in that time, of each transaction
the first. Any other CALL is kept in memory, and may be dropped, and says so to whoever asked.
"""

from micropython import const

from firmware import borrow
from firmware.ticks import diff
from firmware.uplink.ocpp import CALL, encode

_OUTSTANDING = const(32)  # CALLs of the journal without an answer at a time
_MOST = const(16)  # others that wait or have no answer
_AT_ONCE = const(4)  # messages made in one turn: each takes some 20 ms
_LOOKS = const(16)  # records looked at in one turn: each takes a ms
_PAUSE_MS = const(20)  # between two turns
_SOON_MS = const(5)  # while answers come in, and more can go out
_LATELY_MS = const(2000)
_ANSWER_MS = const(30000)  # without an answer by then the CALL is sent again
_RETRY_MS = const(1000)  # after the first CALLERROR; twice that after each further one
_TRIES = const(3)  # CALLERRORs that a CALL of the journal may get
_MANY = const(12)  # when the backend's trouble is not with what it says: in 34 minutes
_EVENT = const(1)  # kinds of records
_SECURITY = const(5)


class _Call:
    sent = dup = False
    sent_ms = errors = 0

    def __init__(self, key, group, what: tuple = ()):
        self.key = key  # its message id, or its number in the journal
        self.group = group  # transaction, or 0; None: it is not of the journal
        self.what = what  # action, build, argument, on_result


class Outbox:
    """`nonce` begins the message ids of what is not in the `journal`; `record(what, **fields)`
    takes note of what is handed to the line; `wall` dates. `on_answer(tx, payload)` hears of the
    CALLRESULT to a transaction's event. `alone`: there is no backend.
    """

    def __init__(self, nonce, record, journal, wall, on_answer, alone=False):
        self._nonce = nonce
        self._record = record
        self._journal = journal
        self._wall = wall
        self._on_answer = on_answer
        self._alone = alone
        self._calls = []
        self._kept = []  # those of the journal that were sent, or wait for one before them
        self._cursor = journal.first  # the first record that was not looked at
        self._count = 0
        self._now_ms = 0
        self.answered_ms = 0  # when something was, last
        self._sent_ms = 0  # and when something of the journal was
        self.pause_ms = _PAUSE_MS  # to the next turn

    @property
    def owes(self):
        """Whether something of the journal has not been answered yet."""
        return self.needs() < self._journal.next

    def needs(self):
        """The number of the oldest record of the journal that is needed here."""
        if self._alone:
            return self._journal.next
        return self._kept[0].key if self._kept else self._cursor

    def add(self, action, build, argument=None, on_result=None):
        """Queue a CALL whose payload is `build(argument)`, made when it is sent.

        `on_result(payload)` gets the CALLRESULT's payload, or None where there will be none.
        Returns whether it was taken.
        """
        if len(self._calls) >= _MOST:
            return False
        self._count += 1
        what = action, build, argument, on_result
        self._calls.append(_Call("%s-c%d" % (self._nonce, self._count), None, what))
        return True

    def has(self, action):
        """Whether such a CALL, not of the journal, waits or is under way."""
        return any(call.what[0] == action for call in self._calls)

    def tick(self, now_ms, publish, only=None):
        """Hand to the line what may go: `publish(bytes)` says whether it took the message. `only`:
        nothing but this action; "": nothing of the journal.
        """
        self._now_ms = now_ms
        self.pause_ms = _PAUSE_MS
        for call in self._calls[:]:
            action, build, argument, _ = call.what
            if only and action != only:
                continue
            if not call.sent:
                if not self._send(call, call.key, action, build(argument), publish):
                    return
            elif diff(now_ms, call.sent_ms) >= _ANSWER_MS:
                self._end(call, None)
        if only is None and (self._kept or self._cursor < self._journal.next):
            try:
                self._journaled(now_ms, publish)
            except OSError:
                pass  # the memory does not answer now

    def _journaled(self, now_ms, publish):
        journal = self._journal
        events = None
        looks = _LOOKS
        quick = diff(now_ms, self.answered_ms) < _LATELY_MS
        if quick:
            left = _AT_ONCE
            self.pause_ms = _SOON_MS
        elif 0 <= diff(now_ms, self._sent_ms) < _LATELY_MS:
            return
        else:
            left = 1
        held = []  # transactions of which nothing newer may go
        i = 0
        while left and looks:
            if i < len(self._kept):
                call = self._kept[i]
                i += 1
                waited_ms = diff(now_ms, call.sent_ms)
                if call.group in held:
                    continue
                if call.errors or not quick or call.sent and waited_ms >= _LATELY_MS:
                    held.append(call.group)
                if call.errors and not call.sent and 0 <= waited_ms < _RETRY_MS << call.errors - 1:
                    continue  # less than 0: days ago
                if call.sent and waited_ms < _ANSWER_MS:
                    continue
                record = journal.read(call.key)
            elif len(self._kept) < _OUTSTANDING and self._cursor < journal.next:
                record = journal.read(self._cursor)
                looks -= 1
                call = None
                if record and record[0] in (_EVENT, _SECURITY):
                    group = int.from_bytes(record[18:22], "little") if record[0] == _EVENT else 0
                    call = _Call(self._cursor, group)
                    self._kept.append(call)
                    i += 1
                self._cursor += 1
                if not call or call.group in held:
                    continue
            else:
                return
            left -= 1
            if not events:
                events = borrow("firmware.ledger.events")
            try:
                action, payload = events.call(journal, self._wall, call.key, record or b"")
            except ValueError:
                # It cannot be told, today or ever; the others can.
                self._bury(call, "InternalError")
                return
            if not self._send(call, self._id(call), action, payload, publish):
                return
            self._sent_ms = now_ms
        if quick:
            self.pause_ms = 0

    def _id(self, call):
        return "%s-%d" % (self._journal.id, call.key)

    def _send(self, call, message_id, action, payload, publish):
        text = encode([CALL, message_id, action, payload])
        if not publish(text.encode()):
            return False
        if call.dup:
            self._record("uplink", message=text, dup=True)
        else:
            self._record("uplink", message=text)
        call.sent = call.dup = True
        call.sent_ms = self._now_ms
        return True

    def result(self, message_id, payload, error=None):
        """Take the answer to a CALL: `payload` of a CALLRESULT, or the `error` code of a
        CALLERROR. Unknown ids change nothing.
        """
        for call in self._calls + self._kept:
            kept = call.group is not None
            if call.dup and message_id == (self._id(call) if kept else call.key):
                action = "TransactionEvent" if kept else call.what[0]
                problem = payload and borrow("firmware.uplink.results").problem(action, payload)
                if problem:
                    # The backend has the CALL, but what it says of it is not to be trusted.
                    self._record("backend", problem=problem)
                    payload = {} if kept else None
                self._record("result", id=message_id, error=error)
                self.answered_ms = self._now_ms
                if not kept:
                    self._end(call, payload if error is None else None)
                elif error is None:
                    self._kept.remove(call)
                    if call.group:
                        self._on_answer(call.group, payload)
                else:
                    call.errors += 1
                    call.sent = False
                    call.sent_ms = self._now_ms
                    passing = error in ("InternalError", "GenericError")
                    if call.errors >= (_MANY if passing else _TRIES):
                        self._bury(call, error)
                return

    def _bury(self, call, error):
        if borrow("firmware.ledger.events").bury(self._journal, call.key, error):
            self._record("dead_letter", id=self._id(call), error=error)
            self._kept.remove(call)

    def line_lost(self):
        """Every unanswered CALL of the journal is to be sent again on the next connection. Whoever
        waits for the answer to another one waits no longer, though it was not sent yet.
        """
        for call in self._kept:
            call.sent = False
        for call in self._calls[:]:
            if call.sent or call.what[3]:
                self._end(call, None)

    def _end(self, call, payload):
        self._calls.remove(call)
        on_result = call.what[3]
        if on_result:
            on_result(payload)
