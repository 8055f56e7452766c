"""Reports that take several messages: one page after the other, each made when it is sent, and the
next one once the last was answered. When the line is lost the backend asks again. Borrowed for a
request, see firmware.borrow.
"""


def tell(backend, action, at_once, build, found, seq=0):
    """Tell of what is in the list `found`, `at_once` of it in a page: `build(part, seq, more)`
    gives a page's payload. Whether the first one was taken.
    """
    more = len(found) > at_once

    def page(_):
        return build(found[:at_once], seq, more)

    def left(_=None):
        return not tell(backend, action, at_once, build, found[at_once:], seq + 1)

    def answered(result):
        if result is not None and more and left():
            # So much else waits to be sent.
            backend.doorman.chores.append(left)

    return backend.outbox.add(action, page, None, answered)


def head(wall, request_id, seq, more):
    """What OCPP's reports begin with."""
    return {
        "requestId": request_id,
        "generatedAt": wall.text(wall.uptime_ms),
        "seqNo": seq,
        "tbc": more,
    }
