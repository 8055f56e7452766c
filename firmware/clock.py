"""Wall-clock time: milliseconds since boot that never wrap, and the date once the backend has told
it.
"""

from firmware.ticks import diff


class WallClock:
    """Counts up from boot by the differences of the wrapping ticks; call `tick` at least every six
    days.
    """

    def __init__(self, now_ms):
        self.uptime_ms = 0
        self._last_ms = now_ms
        self._epoch_ms = None  # Unix time at boot, once known

    @property
    def is_set(self):
        """Whether the date is known."""
        return self._epoch_ms is not None

    def tick(self, now_ms):
        """Go on to `now_ms`."""
        self.uptime_ms += diff(now_ms, self._last_ms)
        self._last_ms = now_ms

    def set(self, text):
        """Take the date from an RFC 3339 date-time such as 2026-01-31T12:00:00.5+08:00. Raises
        ValueError.
        """
        self._epoch_ms = parse(text) - self.uptime_ms

    def unix_ms(self, uptime_ms):
        """Unix time in ms of the moment `uptime_ms` after boot, also of moments before the date
        was known.
        """
        return self._epoch_ms + uptime_ms

    def text(self, uptime_ms):
        """The moment `uptime_ms` after boot as an RFC 3339 date-time in UTC."""
        return render(self.unix_ms(uptime_ms))


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
    return (_days(year, month, day) * 86400 + seconds) * 1000 + ms


def render(unix_ms):
    """The RFC 3339 date-time in UTC, with milliseconds, of a Unix time in ms from 2000 to 2199."""
    seconds, ms = divmod(unix_ms, 1000)
    days, seconds = divmod(seconds, 86400)
    year = 1970 + days // 366
    while _days(year + 1, 1, 1) <= days:
        year += 1
    month = 12
    while _days(year, month, 1) > days:
        month -= 1
    day = days - _days(year, month, 1) + 1
    hour, seconds = divmod(seconds, 3600)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        year,
        month,
        day,
        hour,
        seconds // 60,
        seconds % 60,
        ms,
    )


def _days(year, month, day):
    # Days from 1970-01-01 in the Gregorian calendar. The year starts in March, so that the leap
    # day comes last. Ports differ in the epoch of time.mktime, this does not.
    if month < 3:
        year -= 1
        month += 12
    return (
        365 * year
        + year // 4
        - year // 100
        + year // 400
        + (153 * (month - 3) + 2) // 5
        + day
        - 719469
    )
