"""CALLs on their way to the backend: sent in order, many at a time, kept until their CALLRESULT.

A transactional CALL stays until it is answered, and is re-sent under the same message id; after
_TRIES CALLERRORs it moves to the dead letters. Any other CALL may be dropped, and says so to
whoever asked.
"""

from micropython import const

from firmware.ticks import diff
from firmware.uplink.ocpp import CALL, encode

_OUTSTANDING = const(16)  # CALLs without an answer at a time
_CROWDED = const(64)  # more waiting than this: samples and state changes are left out, see Session
_ANSWER_MS = const(30000)  # without an answer by then the CALL is sent again
_TRIES = const(3)  # CALLERRORs that a transactional CALL may get
_DEAD_LETTERS = const(16)


class _Call:
    __slots__ = (
        "action",
        "build",
        "argument",
        "on_result",
        "transactional",
        "id",
        "sent",
        "sent_ms",
        "errors",
        "dup",
    )


class Outbox:
    """`nonce` begins every message id; `record(what, **fields)` takes note of what is handed to
    the line.
    """

    def __init__(self, nonce, record):
        self.dead_letters = []  # (id, action, error code), the newest _DEAD_LETTERS
        self._nonce = nonce
        self._record = record
        self._calls = []
        self._count = 0

    @property
    def crowded(self):
        """Whether whoever can leave a message out should."""
        return len(self._calls) >= _CROWDED

    def add(self, action, build, argument=None, on_result=None, transactional=False):
        """Queue a CALL whose payload is `build(argument)`, made anew at each sending.

        `on_result(payload)` gets the CALLRESULT's payload, or None where there will be none.
        Returns whether it was taken: only what is not transactional can be refused.
        """
        if self.crowded and not transactional:
            return False
        call = _Call()
        call.action = action
        call.build = build
        call.argument = argument
        call.on_result = on_result
        call.transactional = transactional
        self._count += 1
        call.id = "%s-%d" % (self._nonce, self._count)
        call.sent = False
        call.sent_ms = 0
        call.errors = 0
        call.dup = False
        self._calls.append(call)
        return True

    def has(self, action):
        """Whether a CALL of this action waits or is under way."""
        return any(call.action == action for call in self._calls)

    def tick(self, now_ms, publish, only=None):
        """Hand to the line what may go: `publish(bytes)` says whether it took the message. `only`:
        nothing but this action.
        """
        outstanding = 0
        for call in self._calls[:]:
            if only and call.action != only:
                continue
            if call.sent and diff(now_ms, call.sent_ms) >= _ANSWER_MS:
                if not call.transactional:
                    self._end(call, None)
                    continue
                # What came after it may have been answered; the order within a transaction still
                # holds, for the backend has not had this one, and it goes out again before
                # anything newer.
                call.sent = False
            if not call.sent:
                if outstanding >= _OUTSTANDING:
                    return
                text = encode([CALL, call.id, call.action, call.build(call.argument)])
                if not publish(text.encode()):
                    return
                if call.dup:
                    self._record("uplink", message=text, dup=True)
                else:
                    self._record("uplink", message=text)
                call.sent = True
                call.dup = True
                call.sent_ms = now_ms
            outstanding += 1

    def result(self, message_id, payload, error=None):
        """Take the answer to a CALL: `payload` of a CALLRESULT, or the `error` code of a
        CALLERROR. Unknown ids change nothing.
        """
        for call in self._calls:
            if call.id == message_id and call.dup:
                self._record("result", id=message_id, error=error)
                if error and call.transactional:
                    call.errors += 1
                    if call.errors < _TRIES:
                        return  # goes out again when its answer is overdue
                    self.dead_letters.append((call.id, call.action, error))
                    del self.dead_letters[:-_DEAD_LETTERS]
                self._end(call, None if error else payload)
                return

    def line_lost(self):
        """Every unanswered CALL is to be sent again on the next connection."""
        for call in self._calls[:]:
            if call.sent and not call.transactional:
                self._end(call, None)
            call.sent = False

    def _end(self, call, payload):
        self._calls.remove(call)
        if call.on_result:
            call.on_result(payload)
