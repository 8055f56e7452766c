"""Somebody was let in while several outlets are free: the one where a plug goes in first is the
one that is meant. Stays loaded until then.
"""

from firmware.ticks import diff


def begin(door, who, group, places):
    """Wait for a plug at one of the outlets `places` (from 1), for the connection time-out."""
    since_ms = door.now_ms
    _expect(door, True)

    def tick(now_ms):
        free = [i for i in places if door.sessions[i - 1].free]
        plugged = [i for i in free if door.sessions[i - 1].outlet.plugged]
        if plugged and door.reservations:  # some may have come since
            plugged = door.get("reserve").places(door, plugged, who[4], group)
        decide = door.get("decide") if plugged else None
        if decide:
            _expect(door, False)
            if not decide.begin(door, who, group, plugged[0]):
                decide.tell(door, "refused", "no transaction can be kept")
        elif not free or diff(now_ms, since_ms) >= door.config["connection_timeout_s"] * 1000:
            _expect(door, False)
            door.get("decide").tell(door, "refused", "no vehicle came")
        return door.expected

    door.chores.append(tick)


def _expect(door, expected):
    door.expected = expected
    for signals in door.station.signals:
        signals.expected = expected
