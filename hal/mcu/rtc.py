"""The controller's calendar, for the time before the backend tells the date. ESP32's goes on
through a reset, RP2040's does not; power-up resets both.
"""

import machine


def date():
    """The date in UTC as an RFC 3339 date-time; None: it was never set."""
    year, month, day, _, hour, minute, second, _ = machine.RTC().datetime()
    if year < 2025:  # ESP32 begins in 2000, RP2040 in 2021
        return None
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (year, month, day, hour, minute, second)


def set_date(text):
    """Set it to an RFC 3339 date-time in UTC."""
    year, month, day, hour, minute, second = [
        int(text[at : at + 2]) for at in (2, 5, 8, 11, 14, 17)
    ]
    machine.RTC().datetime((2000 + year, month, day, 0, hour, minute, second, 0))
