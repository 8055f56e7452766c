"""The date that certificates are judged by; TLS itself is in tests/host/test_dial.py."""

from firmware import clock
from firmware.uplink import secure


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
    wall.set("2027-02-03T04:05:06Z")
    wall.tick(1000)
    assert dated(Board("2031-05-06T07:08:09Z"), wall)[:19] == "2027-02-03T04:05:07"
