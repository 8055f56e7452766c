"""Many cards were refused: a storm, or somebody who guesses. The reader is answered slower, and
the backend hears of it once. Stays loaded until it has been quiet for a while.
"""

from firmware.ticks import diff


class Wary:
    """From `refusals` on, with less than `refusals_s` between two (config.json), each doubles the
    time in which no card is answered, from 1 s up to `slow_s`; the newest that was shown meanwhile
    waits.
    """

    def __init__(self, door):
        self._door = door
        self._count = 0
        self._held = None
        self._wait_ms = 0
        self._since_ms = door.now_ms

    def refused(self):
        """One more was."""
        door = self._door
        config = door.config
        self._count += 1
        self._since_ms = door.now_ms
        over = self._count - config["refusals"]
        if over >= 0:
            self._wait_ms = min(1000 << min(over, 10), config["slow_s"] * 1000)
        if not over:
            door.get("report").security(
                door, "RepeatedlyRefusedTokens", "%d refused" % self._count
            )

    def tick(self, uid, now_ms):
        """The card to be answered now, None or `uid`, which the reader has just told of."""
        if uid is not None:
            self._held = uid
        quiet_ms = diff(now_ms, self._since_ms)
        if quiet_ms < self._wait_ms:
            return None
        uid = self._held
        self._held = None
        if quiet_ms >= self._door.config["refusals_s"] * 1000:
            self._door.wary = None
        return uid
