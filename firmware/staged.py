"""What goes to flash, where nothing is written while a contactor is closed: at once, or from the
journal when all are open. `firmware.commit` makes it and does what waits.
"""

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Callable

class Staged:
    """See `firmware.commit.open`."""

    if TYPE_CHECKING:
        _journal: Any
        _closed: Callable[[], bool]
        _commits: dict[int, Callable[[bytes], Any]]
        _cell: Any
        _wall: Any
        _wait: int
        _seen: int
        _at: int

    def needs(self):
        """Number of the oldest record that is not done with."""
        return self._at

    def put(self, what, data):
        """Have `data`, at most 1022 bytes, written by the commit `what` in its turn. It is durable
        when this returns. Raises OSError when it cannot be kept, and what the commit raises.
        """
        if self._at < self._journal.next or self._closed():
            self._journal.append(bytes((6, what)) + data)
        else:
            self._commits[what](data)

    def tick(self, _):
        """Do some of what waits; call it from the main loop."""
        if self._wait > 0:
            self._wait -= 1
        elif self._at < self._journal.next and not (self._wait and self._closed()):
            from firmware import commit

            commit.tick(self)  # which lets go of its module
