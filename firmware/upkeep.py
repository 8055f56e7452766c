"""What outlives a vehicle: the contactor's wear, faults that wait for service, and resets."""

import struct

from micropython import const

from firmware.safety.core import (
    CLOSE_MS,
    CLOSINGS,
    DRIVE,
    FORCED,
    FORCED_MA,
    HARD,
    IN_LIVE,
    IN_MIRROR,
    INPUTS,
    RESET,
    STANDING,
)
from firmware.safety.faults import BY_SERVICE, FAULTS
from firmware.ticks import diff

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

_ALL = (1 << len(FAULTS)) - 1  # a file that was never written whole has others
_KEPT = "service"  # in the store: four bytes an outlet, the faults that only service clears
_WEAR = "wear"  # in the store: five u32 an outlet, as in Upkeep.wear
_FIRST = const(16)  # closings that say how fast a new contactor is
# A reset waits for the answer to its command to be sent, and for the backend to have the end of
# every transaction; for no longer than a minute.
_LEAST_MS = const(500)
_MOST_MS = const(60000)
_TURNS = const(25)  # of the main loop, in which what a Reset lets go of may pass


class Upkeep:
    """`cores` and `sessions` are the station's lists, one entry an outlet. `backend` is to be set
    before the first tick.
    """

    def __init__(self, board, cores, sessions):
        self.backend: "Any" = None
        self._board = board
        self._cores = cores
        self._sessions = sessions
        # of each outlet: closings, openings under load, the largest current at one of these in mA,
        # closing time when new and lately in 1/16 ms
        self.wear = [[0] * 5 for _ in board.outlets]
        self._worn = False  # since it was last kept
        self._closings = [0] * len(board.outlets)
        self._forced = [0] * len(board.outlets)
        self._kept = [0] * len(board.outlets)
        self._releasing = [0] * len(board.outlets)  # turns left
        self._reason = ""  # of a reset that waits
        self._at_once = False
        self._serviced = False  # a technician lets go of what is kept, once nothing is closed
        self._waited_ms = 0
        self._last_ms = None

    def restore(self):
        """Before the first tick: let stand what an earlier boot left for service, and go on
        counting where it was.
        """
        wear = self._board.store.load(_WEAR) or b""
        if len(wear) == 20 * len(self.wear):
            self.wear = [
                list(struct.unpack_from("<5I", wear, 20 * i)) for i in range(len(self.wear))
            ]
        kept = self._board.store.load(_KEPT) or b""
        for i, core in enumerate(self._cores):
            self._kept[i] = int.from_bytes(kept[4 * i : 4 * i + 4], "little") & _ALL
            core.restore(self._kept[i])

    def tick(self, now_ms):
        """Take note of what happened; call it from the main loop."""
        dt = 0 if self._last_ms is None else diff(now_ms, self._last_ms)
        self._last_ms = now_ms
        driven = closed = busy = False
        for i in range(len(self._cores)):
            c = self._cores[i].cells
            if self._releasing[i]:
                self._releasing[i] -= 1
                c[RESET] = (c[RESET] + 1) & 0xFFFF
            if c[DRIVE]:
                driven = True
            elif c[INPUTS] & (IN_LIVE | IN_MIRROR):
                closed = True
            elif c[CLOSINGS] != self._closings[i]:
                self._note(i, c)
            if self._sessions[i].transaction_id is not None:
                busy = True
        if not driven and not closed:
            if self._serviced:
                self._serviced = False
                for core in self._cores:
                    core.restore(0)
            self._keep()
            if self._worn and not busy:
                self._worn = False
                worn = b"".join([struct.pack("<5I", *wear) for wear in self.wear])
                self._board.store.save(_WEAR, worn)
        if self._reason and self._at_once:
            self._stop(self._sessions)  # those, too, that began since
        if self._reason and not driven and (self._at_once or not busy):
            self._waited_ms += dt
            if self._waited_ms >= (_MOST_MS if busy or self.backend.outbox.owes else _LEAST_MS):
                reason = self._reason
                self._reason = ""
                self._board.reset(reason)

    def _note(self, i, c):
        wear = self.wear[i]
        wear[0] += (c[CLOSINGS] - self._closings[i]) & 0xFFFFFF
        self._closings[i] = c[CLOSINGS]
        forced = c[FORCED] != self._forced[i]
        if forced:
            wear[1] += (c[FORCED] - self._forced[i]) & 0xFFFF
            wear[2] = max(wear[2], c[FORCED_MA])
            self._forced[i] = c[FORCED]
        if c[CLOSE_MS] >= 0:  # it did close
            wear[4] += (c[CLOSE_MS] * 16 - wear[4]) // 8 if wear[4] else c[CLOSE_MS] * 16
            if wear[0] <= _FIRST:
                wear[3] = wear[4]
        self._worn = True
        self._board.log.record(
            "relay",
            closings=wear[0],
            close_ms=c[CLOSE_MS],
            under_load=forced,
            ma=c[FORCED_MA] if forced else 0,
            **({"outlet": i + 1} if i else {}),
        )

    def _keep(self):
        # Nothing is closed now: a flash write may stop all of Python.
        changed = False
        for i in range(len(self._cores)):
            c = self._cores[i].cells
            waiting = c[STANDING] & BY_SERVICE | c[HARD]
            if waiting != self._kept[i]:
                self._kept[i] = waiting
                changed = True
        if changed:
            kept = b"".join([n.to_bytes(4, "little") for n in self._kept])
            self._board.store.save(_KEPT, kept)

    def serviced(self):
        """A technician has seen to it: let go of what only service clears, and start anew. What
        is still welded stays.
        """
        self._serviced = True
        self.reset(None, True, "LocalReset")

    def _stop(self, sessions):
        for session in sessions:
            session.stop("ImmediateReset", "ResetCommand", True)

    def reset(self, evse_id, at_once, reason=""):
        """Reset outlet `evse_id` (from 1): what unplugging lets go of is let go. None: start the
        whole station anew, once nothing is driven any more. `at_once` ends transactions, else
        they are waited for.
        """
        sessions = self._sessions if evse_id is None else self._sessions[evse_id - 1 : evse_id]
        if at_once:
            self._stop(sessions)
        if evse_id is None:
            self._reason = reason or ("RemoteReset" if at_once else "ScheduledReset")
            self._at_once = at_once
            self._waited_ms = 0
        else:
            self._releasing[evse_id - 1] = _TURNS
