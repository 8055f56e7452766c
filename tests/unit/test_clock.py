"""Dates from 2000 to 2199, and an uptime that never wraps."""

from firmware import date
from firmware.clock import WallClock, render
from firmware.date import parse
from tests.support import raises


def test_known_dates():
    for text, unix_ms in (
        ("2000-01-01T00:00:00.000Z", 946684800000),
        ("2024-02-29T23:59:59.999Z", 1709251199999),
        ("2038-01-19T03:14:08.000Z", 2147483648000),
        ("2100-03-01T00:00:00.000Z", 4107542400000),
    ):
        assert parse(text) == unix_ms and render(unix_ms) == text


def test_every_day_of_two_centuries_comes_back():
    for day in range(10957, 10957 + 200 * 365, 13):
        assert parse(render(day * 86400000 + 12345678)) == day * 86400000 + 12345678


def test_offsets_and_fractions():
    assert render(parse("2026-01-31T12:00:00+08:00")) == "2026-01-31T04:00:00.000Z"
    assert render(parse("2026-01-31T12:00:00.5-01:30")) == "2026-01-31T13:30:00.500Z"
    assert render(parse("2026-01-31t12:00:00.1234567z")) == "2026-01-31T12:00:00.123Z"


def test_what_is_no_date_is_refused():
    for text in (
        None,
        5,
        "",
        "today",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "1999-12-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+0800x",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31 12:00:00Z",
        "+026-01-31T12:00:00Z",
        "2026- 1-31T12:00:00Z",
    ):
        raises(ValueError, parse, text)


def test_uptime_crosses_the_wrap_and_dates_what_was_before_the_date():
    start = (1 << 30) - 500
    wall = WallClock(start)
    assert not wall.is_set
    wall.tick((start + 1000) & 0x3FFFFFFF)
    assert wall.uptime_ms == 1000
    date.learn(wall, "2026-01-01T00:00:01Z")
    assert wall.text(0) == "2026-01-01T00:00:00.000Z"
    assert wall.text(400) == "2026-01-01T00:00:00.400Z"
