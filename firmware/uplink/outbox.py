"""CALLs on their way to the backend: sent in order, many at a time, kept until their CALLRESULT.

A CALL of a group (a transaction's events) stays until it is answered, and is re-sent under the
same message id with the same content; after _TRIES CALLERRORs it moves to the dead letters. While
it is being tried again nothing newer of its group goes out. Any other CALL may be dropped, and
says so to whoever asked.
"""

from micropython import const

from firmware.ticks import diff
from firmware.uplink.ocpp import CALL, encode

_OUTSTANDING = const(16)  # CALLs without an answer at a time
_CROWDED = const(64)  # more waiting than this: samples and state changes are left out, see Session
_ANSWER_MS = const(30000)  # without an answer by then the CALL is sent again
_RETRY_MS = const(1000)  # after the first CALLERROR; twice that after the second
_TRIES = const(3)  # CALLERRORs that a CALL of a group may get
_DEAD_LETTERS = const(16)


class _Call:
    def __init__(self, message_id, action, build, argument, on_result, group):
        self.id = message_id
        self.action = action
        self.build = build
        self.argument = argument
        self.on_result = on_result
        self.group = group
        self.text = None
        self.sent = self.dup = False
        self.sent_ms = self.errors = 0


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
        self._now_ms = 0

    @property
    def crowded(self):
        """Whether whoever can leave a message out should."""
        return len(self._calls) >= _CROWDED

    @property
    def owes(self):
        """Whether a CALL of a group has not been answered yet."""
        return any(call.group is not None for call in self._calls)

    def add(self, action, build, argument=None, on_result=None, group=None):
        """Queue a CALL whose payload is `build(argument)`, made when it is first sent.

        `on_result(payload)` gets the CALLRESULT's payload, or None where there will be none.
        Returns whether it was taken: only what has no group can be refused.
        """
        if self.crowded and group is None:
            return False
        self._count += 1
        message_id = "%s-%d" % (self._nonce, self._count)
        self._calls.append(_Call(message_id, action, build, argument, on_result, group))
        return True

    def has(self, action):
        """Whether a CALL of this action waits or is under way."""
        return any(call.action == action for call in self._calls)

    def tick(self, now_ms, publish, only=None):
        """Hand to the line what may go: `publish(bytes)` says whether it took the message. `only`:
        nothing but this action.
        """
        self._now_ms = now_ms
        outstanding = 0
        held = []
        for call in self._calls[:]:
            if (only and call.action != only) or call.group in held:
                continue
            waited_ms = diff(now_ms, call.sent_ms)
            if call.errors:
                held.append(call.group)
                if not call.sent and waited_ms < _RETRY_MS * call.errors:
                    continue
            if call.sent and waited_ms >= _ANSWER_MS:
                if call.group is None:
                    self._end(call, None)
                    continue
                call.sent = False
            if not call.sent:
                if outstanding >= _OUTSTANDING or not self._send(call, publish):
                    return
            outstanding += 1

    def _send(self, call, publish):
        if call.text is None:
            call.text = encode([CALL, call.id, call.action, call.build(call.argument)])
        if not publish(call.text.encode()):
            return False
        if call.dup:
            self._record("uplink", message=call.text, dup=True)
        else:
            self._record("uplink", message=call.text)
        call.sent = True
        call.dup = True
        call.sent_ms = self._now_ms
        return True

    def result(self, message_id, payload, error=None):
        """Take the answer to a CALL: `payload` of a CALLRESULT, or the `error` code of a
        CALLERROR. Unknown ids change nothing.
        """
        for call in self._calls:
            if call.id == message_id and call.dup:
                self._record("result", id=message_id, error=error)
                if error is not None and call.group is not None:
                    call.errors += 1
                    call.sent = False
                    call.sent_ms = self._now_ms
                    if call.errors < _TRIES:
                        return
                    self.dead_letters.append((call.id, call.action, error))
                    del self.dead_letters[:-_DEAD_LETTERS]
                self._end(call, payload if error is None else None)
                return

    def line_lost(self):
        """Every unanswered CALL is to be sent again on the next connection."""
        for call in self._calls[:]:
            if call.sent and call.group is None:
                self._end(call, None)
            call.sent = False

    def _end(self, call, payload):
        self._calls.remove(call)
        if call.on_result:
            call.on_result(payload)
