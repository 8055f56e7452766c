"""Reads a date; imported for that only, see firmware.let_go."""

from firmware.clock import days


def parse(text):
    """Unix time in ms of an RFC 3339 date-time; years 2000 to 2199. Raises ValueError."""
    try:
        if not isinstance(text, str) or (text[4] + text[7] + text[13] + text[16]) != "--::":
            raise ValueError
        year = int(text[0:4])
        month = int(text[5:7])
        day = int(text[8:10])
        hour = int(text[11:13])
        seconds = hour * 3600 + int(text[14:16]) * 60 + int(text[17:19])
        if text[10] not in "Tt " or hour > 23 or seconds < 0:
            raise ValueError
        rest = text[19:]
        ms = 0
        if rest[:1] == ".":
            digits = 1
            while rest[digits : digits + 1].isdigit():
                digits += 1
            ms = int((rest[1:digits] + "00")[:3])
            rest = rest[digits:]
        if rest[:1] in ("+", "-") and len(rest) == 6:
            offset = int(rest[1:3]) * 3600 + int(rest[4:6]) * 60
            seconds -= offset if rest[0] == "+" else -offset
        elif rest not in ("Z", "z"):
            raise ValueError
        if not (2000 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31):
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError("expected a date-time such as 2026-01-31T12:00:00Z, found %r" % (text,))
    return (days(year, month, day) * 86400 + seconds) * 1000 + ms
