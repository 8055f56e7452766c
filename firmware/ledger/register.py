"""The energy of one outlet that never falls: what its Cell kept, and what its meter has counted
since the start of the firmware.
"""

from array import array


class Register:
    """`mwh`: the total so far, which goes on from `mwh` as given; the meter's own begins at 0 with
    the firmware. A meter that begins anew is gone on from: what it has then counts from there.
    """

    def __init__(self, meter, mwh=0):
        self.mwh = mwh
        self.reading = array("i", [0] * 11)  # as of hal.roles.Meter
        self._meter = meter
        self._last_mwh = 0

    def update(self):
        """Read the meter; the total in mWh."""
        reading = self.reading
        self._meter.read(reading)
        mwh = reading[0] * 1000 + reading[1]
        if mwh > self._last_mwh:
            self.mwh += mwh - self._last_mwh
        self._last_mwh = mwh
        return self.mwh
