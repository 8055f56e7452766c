"""Reports of several messages, page after page."""

from firmware.uplink import pages


class _Backend:
    """Keeps what it is to send, unless it is full."""

    def __init__(self):
        self.outbox = self.doorman = self
        self.chores = []
        self.full = False
        self.sent = []
        self.answered = None

    def add(self, action, build, argument, on_result):
        if not self.full:
            self.sent.append((action, build(argument)))
            self.answered = on_result
        return not self.full

    def tick(self):
        self.chores = [chore for chore in self.chores if chore(0)]


def _page(part, seq, more):
    return part, seq, more


def test_the_next_page_goes_when_the_last_was_answered():
    backend = _Backend()
    assert pages.tell(backend, "N", 2, _page, [1, 2, 3, 4, 5])
    for said in (([1, 2], 0, True), ([3, 4], 1, True), ([5], 2, False)):
        assert backend.sent.pop() == ("N", said) and not backend.sent
        backend.answered({})
    assert not backend.sent and not backend.chores


def test_what_is_not_answered_ends_it():
    backend = _Backend()
    pages.tell(backend, "N", 2, _page, [1, 2, 3])
    backend.answered(None)
    assert len(backend.sent) == 1 and not backend.chores


def test_a_page_waits_while_there_is_no_room_for_it():
    backend = _Backend()
    backend.full = True
    assert not pages.tell(backend, "N", 2, _page, [1, 2, 3])  # the request is refused
    assert not backend.chores
    backend.full = False
    assert pages.tell(backend, "N", 2, _page, [1, 2, 3])
    backend.full = True
    backend.answered({})
    backend.tick()
    assert len(backend.sent) == 1 and len(backend.chores) == 1
    backend.full = False
    backend.tick()
    backend.tick()
    assert backend.sent[1:] == [("N", ([3], 1, False))] and not backend.chores
