"""Reads a date, and sets the clock by one; imported for that only, see firmware.let_go."""

from struct import pack

from micropython import const

from firmware import borrow
from firmware.clock import days, render

_MOVED_MS = const(60000)  # more than a late answer or a slow clock make of it


def take(backend, text):
    """The backend says that it is `text` now. A clock that this moves far is told of as an event
    of security.
    """
    wall = backend.wall
    thought_ms = wall.unix_ms(wall.uptime_ms) if wall.is_set else None
    try:
        learn(wall, text)
    except ValueError as error:
        backend._record("backend", problem=str(error))
        return
    now_ms = wall.unix_ms(wall.uptime_ms)
    if thought_ms is not None and abs(now_ms - thought_ms) > _MOVED_MS:
        detail = "from %s to %s" % (render(thought_ms), render(now_ms))
        borrow("firmware.access.report").seldom(backend.doorman, "SettingSystemTime", detail)


def learn(wall, text):
    """Give the WallClock `wall` the date of an RFC 3339 date-time such as
    2026-01-31T12:00:00.5+08:00. Raises ValueError.
    """
    wall._epoch_ms = parse(text) - wall.uptime_ms
    if wall.start_ms is None:
        wall.start_ms = wall._epoch_ms
    if wall.journal:
        try:
            wall.journal.append(pack("<BIq", 3, wall.boot, wall.start_ms))
            wall.journal = None
        except OSError:
            pass  # the next time


def parse(text):
    """Unix time in ms of an RFC 3339 date-time; years 2000 to 2199. Raises ValueError."""
    try:
        if not isinstance(text, str) or (text[4] + text[7] + text[13] + text[16]) != "--::":
            raise ValueError
        year = _number(text[0:4])
        month = _number(text[5:7])
        day = _number(text[8:10])
        hour = _number(text[11:13])
        minute = _number(text[14:16])
        seconds = _number(text[17:19])
        if text[10] not in "Tt" or hour > 23 or minute > 59 or seconds > 60:
            raise ValueError
        seconds += hour * 3600 + minute * 60
        rest = text[19:]
        ms = 0
        if rest[:1] == ".":
            digits = 1
            while "0" <= rest[digits : digits + 1] <= "9":
                digits += 1
            if digits == 1:
                raise ValueError
            ms = _number((rest[1:digits] + "00")[:3])
            rest = rest[digits:]
        if rest[:1] in ("+", "-") and len(rest) == 6 and rest[3] == ":":
            hour = _number(rest[1:3])
            minute = _number(rest[4:6])
            if hour > 23 or minute > 59:
                raise ValueError
            offset = hour * 3600 + minute * 60
            seconds -= offset if rest[0] == "+" else -offset
        elif rest not in ("Z", "z"):
            raise ValueError
        if not (2000 <= year < 2200 and 1 <= month <= 12 and 1 <= day):
            raise ValueError
        if days(year, month, day) >= days(year + month // 12, month % 12 + 1, 1):
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError("expected a date-time such as 2026-01-31T12:00:00Z, found %r" % (text,))
    return (days(year, month, day) * 86400 + seconds) * 1000 + ms


def _number(digits):
    # int() also takes signs, blanks and underscores.
    for c in digits:
        if not "0" <= c <= "9":
            raise ValueError
    return int(digits)
