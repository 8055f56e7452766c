"""A meter and one beside it that counts what is sold."""

from array import array


class Billed:
    """A meter whose energy another one counts; as old as the older of the two."""

    def __init__(self, meter, billing):
        self._meter = meter
        self._billing = billing
        self._billed = array("i", [0] * 11)

    def read(self, into):
        """See roles.Meter."""
        billed = self._billed
        self._billing.read(billed)
        self._meter.read(into)
        into[0] = billed[0]
        into[1] = billed[1]
        into[2] = max(into[2], billed[2])
