"""The energy of one outlet that never falls: what its Cell kept, and what its meter has counted
since the start of the firmware.
"""

from array import array

from micropython import const

_FRESH_MS = const(2000)


class Register:
    """`mwh`: the total so far, which goes on from `mwh` as given; the meter's own begins at 0 with
    the firmware. A meter that begins anew is gone on from: what it has then counts from there.
    What a silent meter has counted when it answers again may be another's than whom it would be
    told of: with `last_mwh`, what it had counted, beyond all that it may have it is left out.
    """

    def __init__(self, meter, mwh=0):
        self.mwh = mwh
        self.reading = array("i", [0] * 11)  # as of hal.roles.Meter
        self._meter = meter
        self.last_mwh = 0

    def update(self):
        """Read the meter; the total in mWh."""
        reading = self.reading
        self._meter.read(reading)
        mwh = reading[0] * 1000 + reading[1]
        if mwh > self.last_mwh:
            self.mwh += mwh - self.last_mwh
        elif reading[2] > _FRESH_MS:
            return self.mwh
        self.last_mwh = mwh
        return self.mwh
