"""A pile that runs: the tick of its safety cores, and the turn of its main loop. `wiring.py` puts
it together.
"""

from micropython import const

from firmware import borrow
from firmware.clock import WallClock
from firmware.safety.core import CLOSINGS, DRIVE, ERRORS, LEASE, STANDING, TICKS

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from firmware.access.cards import Doorman
    from firmware.energy.profiles import Profiles
    from firmware.ledger.journal import Journal
    from firmware.safety.blackbox import Records
    from firmware.staged import Staged
    from firmware.upkeep import Upkeep
    from firmware.uplink.backend import Backend
    from hal.roles import Board


class Station:
    """A pile: `board` has its hardware, `config` comes from `firmware.config.load`.

    `safety_tick` belongs to the board's timer, `tick` to its main loop every 20 ms. Raises
    ValueError for a configuration that the board cannot be.
    """

    if TYPE_CHECKING:  # what wiring.wire sets
        journal: Journal
        backend: Backend
        cards: Doorman
        profiles: "Profiles | None"  # None: the backend has set none
        receipt_keys: "tuple[bytes, bytes] | None"  # private and public; None: none are signed
        records: Records
        upkeep: Upkeep
        ticks: list
        services: list
        staged: Staged

    def __init__(self, board: "Board", config):
        from firmware import wiring

        self.board = board
        self.config = config
        self.cores = []
        self.outlets = []
        self.sessions = []
        self.supervisions = []
        self.signals = []
        self.errors = 0  # exceptions that a service raised
        self._record = board.log.record
        self.wall = WallClock(board.clock.ticks_ms())
        self.rests = []
        self.needs = []  # functions: the oldest record of the journal that somebody needs
        wiring.wire(self, board, config)
        self._reported = [""] * len(self.outlets)  # connectorStatus, as last told to the backend
        self._offered_ma = [0] * len(self.outlets)
        self._faults = [0] * len(self.outlets)  # as last told

    def safety_tick(self, now_ms):
        """Tick the safety core of every outlet, then the black boxes; allocates nothing, never
        raises.
        """
        for tick in self.ticks:
            tick(now_ms)

    def heartbeats(self):
        """Counters that all move while all is well: the board feeds its watchdog by them.

        After an exception in a tick one stands still: only a reset makes the core whole again.
        """
        beats = []
        for core in self.cores:
            c = core.cells
            beats.append(0 if c[ERRORS] else c[TICKS])
            beats.append(c[LEASE])
        return beats

    def tick(self, now_ms):
        """One turn of the main loop: outlets first, then services."""
        self.wall.tick(now_ms)
        for i in range(len(self.outlets)):
            try:
                self.supervisions[i].tick(now_ms)
                self.outlets[i].tick(now_ms)
                self.rests[i].tick(now_ms, self.cores[i].cells[CLOSINGS])
            except Exception as error:
                # The outlet's lease is not renewed: the core stops in good order.
                self._stumble(error)
        for service in self.services:
            try:
                service(now_ms)
            except Exception as error:
                # One service that stumbles must not keep the others, nor the outlets' lease, from
                # going on.
                self._stumble(error)

    def driven(self):
        """Whether any contactor is to be closed."""
        return any(core.cells[DRIVE] for core in self.cores)

    def closed(self):
        """Whether any contactor may be closed: nothing is written to flash then."""
        return self.driven() or any(place.contactor.closed() for place in self.board.outlets)

    def keep(self, now_ms):
        """Let go of what nobody needs of the journal."""
        needed = min([needs() for needs in self.needs])
        if needed > self.journal.first:
            self.journal.release(needed)
        self.journal.tick(now_ms)

    def _stumble(self, error):
        self.errors += 1
        self._record("error", problem=repr(error))

    def report(self, _):
        for i in range(len(self.outlets)):
            outlet = self.outlets[i]
            if outlet.offered_ma != self._offered_ma[i]:
                self._offered_ma[i] = outlet.offered_ma
                self._record(
                    "limit",
                    offered_ma=outlet.offered_ma,
                    reasons=borrow("firmware.energy.reasons").explain(outlet.limits),
                    **({"outlet": i + 1} if i else {}),
                )
            faults = self.cores[i].cells[STANDING]
            if faults != self._faults[i] and self.backend.ready:
                if borrow("firmware.uplink.alerts").faults(self, i, self._faults[i], faults):
                    self._faults[i] = faults
            status = self.connector(i)
            if not self.backend.ready:
                self._reported[i] = ""  # told anew: nobody knows what a lost line has carried
            elif status != self._reported[i] and self.backend.outbox.add(
                "StatusNotification", self.status, (i + 1, status, self.wall.uptime_ms)
            ):
                self._reported[i] = status

    def connector(self, i):
        """OCPP's ConnectorStatusEnumType of outlet `i` (from 0)."""
        outlet = self.outlets[i]
        if outlet.faulted:
            return "Faulted"
        plugged = outlet.plugged
        # Who was let in before it was taken out of service keeps it.
        if outlet.inoperative and not (outlet.authorised or plugged and self.sessions[i].tx):
            return "Unavailable"
        if plugged:
            return "Occupied"
        return "Reserved" if self.cards.reserved(i + 1) else "Available"

    def status(self, report):
        """The StatusNotification of `report`: (evse, connectorStatus, uptime in ms)."""
        evse_id, status, uptime_ms = report
        return {
            "timestamp": self.wall.text(uptime_ms),
            "connectorStatus": status,
            "evseId": evse_id,
            "connectorId": 1,
        }

    def blackbox(self):
        """The records of the last openings that nobody asked for, as playback.read gives them."""
        from firmware.safety import playback

        return playback.read_all(self.records)

    def explain(self, i):
        """Why outlet `i` (from 0) does not charge at its rating: see firmware.explain."""
        from firmware.explain import explain

        return explain(self, i)

    async def main(self):
        """The main loop on a real clock, with the line's bytes moved beside it. Never returns."""
        import asyncio

        from firmware.uplink import line

        ticks_ms = self.board.clock.ticks_ms
        mover = None
        while True:
            self.tick(ticks_ms())
            if self.config["broker"] and (mover is None or mover.done()):
                mover = asyncio.create_task(line.move(self.backend.link, self, ticks_ms))
            # 20 ms, less while the journal goes out.
            await asyncio.sleep_ms(self.backend.outbox.pause_ms)
