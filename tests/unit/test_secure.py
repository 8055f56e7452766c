"""The date that certificates are judged by, and the file with a pre-shared key; TLS itself is in
tests/host/test_dial.py.
"""

from firmware import clock, date
from firmware.uplink import secure
from tests.support import raises


class Board:
    def __init__(self, date):
        self.now = date

    def date(self):
        return self.now

    def set_date(self, text):
        self.now = text


def dated(board, wall):
    secure.set_date(board, wall)
    return board.now


def test_without_any_date_it_is_the_release():
    clock.parse(secure.RELEASED)
    assert dated(Board(None), clock.WallClock(0)) == secure.RELEASED
    assert dated(Board("2025-01-01T00:00:00Z"), clock.WallClock(0)) == secure.RELEASED


def test_a_calendar_that_is_later_stays():
    assert dated(Board("2031-05-06T07:08:09Z"), clock.WallClock(0)) == "2031-05-06T07:08:09Z"


def test_what_the_backend_told_counts_most():
    wall = clock.WallClock(0)
    date.learn(wall, "2027-02-03T04:05:06Z")
    wall.tick(1000)
    assert dated(Board("2031-05-06T07:08:09Z"), wall)[:19] == "2027-02-03T04:05:07"


def test_a_date_that_cannot_be_does_not_keep_the_line_away():
    # A backend has told it, and could only correct it over the line.
    wall = clock.WallClock(0)
    date.learn(wall, "2099-01-01T00:00:00Z")
    board, route = Board(None), {}
    dates = []
    for turn in range(4):
        secure.set_date(board, wall, route, turn)
        dates.append(board.now[:10])
    released = secure.RELEASED[:10]
    assert dates == [released, released, released, "2027-01-05"]


def test_a_broker_whose_certificate_is_newer_is_found_though_nobody_tells_the_date():
    # Valid for 90 days, made so many days after the release; the line was gone for 1000 turns.
    for calendar in (None, "2091-01-01T00:00:00Z"):
        for days in (0, 1, 44, 365, 3000):
            since_ms = clock.parse(secure.RELEASED) + days * 86400000
            since = clock.render(since_ms)
            until = clock.render(since_ms + 90 * 86400000)
            board, route = Board(calendar), {}
            dates = []
            for turn in range(1000, 1200):
                secure.set_date(board, clock.WallClock(0), route, turn)
                dates.append(board.now)
            assert any(since <= date < until for date in dates[: 4 + days // 20]), days
            assert min(dates)[:19] == secure.RELEASED[:19]
            assert dates[::2] == [calendar or secure.RELEASED] * 100


def test_a_date_before_the_release_is_none_for_certificates():
    wall = clock.WallClock(0)
    date.learn(wall, "2001-02-03T04:05:06Z")
    assert dated(Board(None), wall) == secure.RELEASED


def test_a_pre_shared_key_is_a_line_as_mosquitto_has_it():
    for n in (16, 32):
        assert secure.read_key(b"CP-1:" + b"0A" * n + b"\r\n") == (b"CP-1", b"\n" * n)
    identity = b"x" * 64
    assert secure.read_key(identity + b":" + b"fF" * 16) == (identity, b"\xff" * 16)


def test_what_is_no_pre_shared_key_is_refused_without_telling_it():
    for data in (
        b"",
        b"CP-1",
        b"CP-1:",
        b":" + b"ab" * 16,
        b"CP-1:" + b"ab" * 15,
        b"CP-1:" + b"ab" * 33,
        b"CP-1:" + b"ab" * 15 + b"a",
        b"CP-1:" + b"ab" * 15 + b"xy",
        b"CP-1:2:" + b"ab" * 16,
        b"x" * 65 + b":" + b"ab" * 16,
        bytes(40),
        b"\xff" * 40,
    ):
        error = raises(ValueError, secure.read_key, data)
        assert str(error).startswith("tls/psk: expected IDENTITY:KEY") and "abab" not in str(error)
