"""What the card readers share: a card that is presented is one event, however long it stays; a
silent chip ages.
"""

from micropython import const

from hal.chips import NEVER_MS, diff

# A card at the field's edge misses a poll now and then; whoever presents one twice takes longer.
GONE_MS = const(400)


class Reader:
    """The role CardReader without its chip: that calls `_aged` with each tick and `_polled` with
    what each poll of the field gave, and sets `_age_ms` to 0 when the chip answers.

    `seen`: how many polls in a row must give one identifier before it counts.
    """

    def __init__(self, spec, seen):
        from hal.chips.spec import is_lsb

        self._reversed = is_lsb(spec)
        self._seen = seen
        self._now_ms = None
        self._age_ms = NEVER_MS
        self._uid = None  # what the last `_count` polls gave, counted up to `seen` + 1
        self._count = 0
        self._present = None  # the card that has had its event,
        self._present_ms = 0  # and when it was last seen
        self._event = None

    def read(self):
        """As hal.roles.CardReader."""
        uid = self._event
        self._event = None
        return uid

    def age_ms(self):
        """Milliseconds since the chip last answered, at most 2^29; 2^29 before it ever did."""
        return self._age_ms

    @property
    def _steady(self):
        # Whether nothing is gained by the next poll coming at once.
        return self._count > self._seen or self._uid is None and self._count > 0

    def _aged(self, now_ms):
        if self._now_ms is not None:
            self._age_ms = min(self._age_ms + diff(now_ms, self._now_ms), NEVER_MS)
        self._now_ms = now_ms

    def _polled(self, uid):
        # `uid`: the bytes that a poll gave; None: the field is empty.
        now_ms = self._now_ms
        if uid != self._uid:
            self._uid = uid
            self._count = 0
        if self._count <= self._seen:
            self._count += 1
        if uid == self._present:
            self._present_ms = now_ms
        elif uid is None:
            if diff(now_ms, self._present_ms) >= GONE_MS:
                self._present = None
        elif self._count == self._seen:
            self._present = uid
            self._present_ms = now_ms
            if self._reversed:
                uid = bytes([uid[-1 - i] for i in range(len(uid))])
            self._event = "".join(["%02X" % b for b in uid])
