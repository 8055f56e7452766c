"""Contactor: drive pin, mirror contact, and the hold that only a feed keeps alive."""

_MIRROR = 16
_CLOSES_MS = 200
_OPENS_MS = 100
_WINDOW_MS = 100  # a board's dead-man's window is at most that long


def _close(bench, place):
    if not bench.closing(place):
        return False
    bench.feeding = True
    bench.wait(20)
    place.contactor.drive(True)
    ms = bench.until(place.contactor.closed, _CLOSES_MS, "the mirror contact closed")
    bench.note("closed after, ms", ms)
    return True


def test_is_open_at_first(bench):
    for place in bench.outlets:
        bench.wait(100)
        bench.expect(not place.contactor.closed(), "an open contactor", "a closed one")
        bench.expect(not place.inputs.read() & _MIRROR, "no mirror", "a mirror")


def test_mirror_follows(bench):
    """The mirror contact follows the drive pin, both ways; a level repeated changes nothing."""
    for place in bench.outlets:
        if not _close(bench, place):
            return
        place.contactor.drive(True)
        bench.wait(60)
        bench.expect(place.contactor.closed(), "a closed contactor", "an open one")
        bench.expect(place.inputs.read() & _MIRROR, "the mirror among the inputs", "none")
        place.contactor.drive(False)
        ms = bench.until(lambda: not place.contactor.closed(), _OPENS_MS, "the mirror open")
        bench.note("open after, ms", ms)


def test_dead_man(bench):
    """A feed that stops opens the contactor, although the drive pin is on."""
    for place in bench.outlets:
        if not _close(bench, place):
            return
        bench.wait(300)
        bench.expect(place.contactor.closed(), "a fed contactor to stay closed", "it open")
        bench.feeding = False
        ms = bench.until(
            lambda: not place.contactor.closed(),
            _WINDOW_MS + _OPENS_MS,
            "it open without a feed (is there a hold?)",
        )
        bench.note("open after the last feed, ms", ms)
        place.contactor.drive(False)


def test_no_feed_no_closing(bench):
    for place in bench.outlets:
        if not bench.closing(place):
            return
        bench.feeding = False
        bench.wait(300)
        place.contactor.drive(True)
        bench.wait(_CLOSES_MS)
        bench.expect(not place.contactor.closed(), "it open without a feed", "it closed")
        place.contactor.drive(False)
