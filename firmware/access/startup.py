"""Tells of a start as OCPP's list of security events wants it, once the backend has accepted it;
imported at boot, and gone when that is done.

Not before: piles that start again and again without a line would fill the journal by that. Nor
while the journal is crowded; it is one record a start, two when the start was a reset.
"""

from firmware.clock import DATED

_NO_RESET = ("PowerUp", "Unknown")


def watch(door):
    """Have `door` look after it."""
    door.chores.append(_Start(door).tick)


class _Start:
    def __init__(self, door):
        self._door = door

    def tick(self, _):
        station = self._door.station
        if not station.backend.ready or station.journal.crowded:
            return True
        began = DATED, station.wall.boot, station.wall.start_ms
        report = self._door.get("report")
        reason = station.board.boot_reason
        if reason not in _NO_RESET:
            report.security(self._door, "ResetOrReboot", reason, began)
        report.security(self._door, "StartupOfTheDevice", reason, began)
        station.staged._wait = 0  # else what is to be written next would wait for ten seconds
        return False
