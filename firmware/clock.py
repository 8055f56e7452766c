"""Wall-clock time: milliseconds since boot that never wrap, and the date once the backend has told
it.
"""

from micropython import const

from firmware import borrow
from firmware.ticks import diff

DATED = const(4)  # a record's time is a Unix time, see firmware.ledger.events


class WallClock:
    """Counts up from boot by the differences of the wrapping ticks; call `tick` at least every six
    days.
    """

    def __init__(self, now_ms):
        self.uptime_ms = 0
        self.boot = 0  # number of this boot, once firmware.ledger.recovery has counted it
        self.boots = ()  # former ones: (number, Unix time of the start or None, last ms)
        self.start_ms = None  # Unix time at boot as it was first told: it stays
        self.journal = None  # what still has to learn the date
        self._last_ms = now_ms
        self._epoch_ms = None  # Unix time at boot, once known: firmware.date.learn sets it

    @property
    def is_set(self):
        """Whether the date is known."""
        return self._epoch_ms is not None

    def tick(self, now_ms):
        """Go on to `now_ms`."""
        self.uptime_ms += diff(now_ms, self._last_ms)
        self._last_ms = now_ms

    def now(self):
        """(flags, boot, time) of a record of now, as firmware.ledger.events has them."""
        if self.is_set:
            return DATED, self.boot, self.unix_ms(self.uptime_ms)
        return 0, self.boot, self.uptime_ms

    def unix_ms(self, uptime_ms):
        """Unix time in ms of the moment `uptime_ms` after boot, also of moments before the date
        was known.
        """
        return self._epoch_ms + uptime_ms

    def text(self, uptime_ms):
        """The moment `uptime_ms` after boot as an RFC 3339 date-time in UTC."""
        return render(self.unix_ms(uptime_ms))


def parse(text):
    """As firmware.date.parse, which is there for that only: dates come seldom."""
    return borrow("firmware.date").parse(text)


def render(unix_ms):
    """The RFC 3339 date-time in UTC, with milliseconds, of a Unix time in ms from 2000 to 2199."""
    seconds, ms = divmod(unix_ms, 1000)
    date, seconds = divmod(seconds, 86400)
    year = 1970 + date // 366
    while days(year + 1, 1, 1) <= date:
        year += 1
    month = 12
    while days(year, month, 1) > date:
        month -= 1
    day = date - days(year, month, 1) + 1
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


def days(year, month, day):
    """Days from 1970-01-01 in the Gregorian calendar. Ports differ in the epoch of time.mktime,
    this does not.
    """
    # The year starts in March, so that the leap day comes last.
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
