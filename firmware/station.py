"""The one place where roles, outlets and services are wired together."""

from firmware.access.cards import Cards
from firmware.clock import WallClock
from firmware.energy.limits import PILOT, Limits
from firmware.ledger.session import Session
from firmware.outlet.ac import AcOutlet
from firmware.outlet.plug import Plug
from firmware.outlet.rest import Rest
from firmware.outlet.signals import Signals
from firmware.safety.blackbox import BlackBox, Records
from firmware.safety.core import CLOSINGS, ERRORS, LEASE, TICKS, Safety
from firmware.safety.supervision import Supervision
from firmware.upkeep import Upkeep
from firmware.uplink.backend import Backend
from firmware.uplink.commands import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.roles import Board

_MAIN_LOOP_MS = 20
_GBT_MA = 63000
VERSION = "0.1.0"


class Station:
    """A pile: `board` has its hardware, `config` comes from `firmware.config.load`.

    `safety_tick` belongs to the board's timer, `tick` to its main loop every 20 ms. Raises
    ValueError for a configuration that the board cannot be.
    """

    def __init__(self, board: "Board", config):
        now_ms = board.clock.ticks_ms()
        self.board = board
        self.config = config
        self.cores = []
        self.outlets = []
        self.sessions = []
        self._wall = WallClock(now_ms)
        self._record = board.log.record
        nonce = board.nonce()
        who = {"vendorName": board.vendor, "model": board.model, "firmwareVersion": VERSION}
        self.upkeep = Upkeep(board, self.cores, self.sessions)
        commands = Commands(self.sessions, self.upkeep.reset)
        reason = board.boot_reason
        self.backend = Backend(config, who, reason, nonce, self._wall, commands, self._record)
        self.supervisions = []
        self.signals = []
        self._rests = []
        for place in board.outlets:
            gbt = place.standard == "gbt18487"
            core = Safety(
                place.pilot,
                place.contactor,
                place.inputs,
                place.witness,
                board.late_ms,
                place.ventilated,
                gbt,
            )
            limits = Limits(_rating(place, config))
            limits.set(PILOT, place.pilot.max_ma, place.pilot.max_reason)
            if gbt and place.pilot.max_ma > _GBT_MA:
                limits.set(PILOT, _GBT_MA, "GB/T 18487.1 ends at 63 A")
            plug = Plug(place.socket, core.cells, limits) if place.socket else None
            delay_ms = board.random(config["start_delay_s"] * 1000 + 1)
            outlet = AcOutlet(core.cells, limits, plug, config["wake_after_s"] * 1000, delay_ms)
            self.cores.append(core)
            self.supervisions.append(Supervision(core.cells, place, limits, plug, config))
            self.outlets.append(outlet)
            self._rests.append(Rest(outlet, limits, config["min_pause_s"] * 1000))
            self.signals.append(
                Signals(core.cells, outlet, place.lamp, place.buzzer, self.backend, self._shown())
            )
            self.sessions.append(
                Session(
                    len(self.cores),
                    outlet,
                    place.meter,
                    place.contactor,
                    config,
                    self._wall,
                    nonce,
                    self.backend.outbox,
                )
            )
        self.upkeep.outbox = self.backend.outbox
        self._boxes = [BlackBox(core.cells) for core in self.cores]
        self.upkeep.restore()
        self.records = Records(self._boxes, board.store, self._wall)
        self._ticks = [core.tick for core in self.cores] + [box.note for box in self._boxes]
        signals = self.signals
        self.cards = Cards(board.reader, self.sessions, self.backend, self._record, signals)
        self._services = [device.tick for device in board.devices]
        self._services += [session.tick for session in self.sessions]
        self._services += [self.cards.tick, self._report, self.backend.tick, self.records.tick]
        self._services += [signal.tick for signal in signals]
        self._services.append(self.upkeep.tick)
        self.errors = 0  # exceptions that a service raised
        self._reported = [""] * len(self.outlets)  # connectorStatus, as last told to the backend
        self._offered_ma = [0] * len(self.outlets)

    def safety_tick(self, now_ms):
        """Tick the safety core of every outlet, then the black boxes; allocates nothing, never
        raises.
        """
        for tick in self._ticks:
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
        self._wall.tick(now_ms)
        for i in range(len(self.outlets)):
            try:
                self.supervisions[i].tick(now_ms)
                self.outlets[i].tick(now_ms)
                self._rests[i].tick(now_ms, self.cores[i].cells[CLOSINGS])
            except Exception as error:
                # The outlet's lease is not renewed: the core stops in good order.
                self._stumble(error)
        for service in self._services:
            try:
                service(now_ms)
            except Exception as error:
                # One service that stumbles must not keep the others, nor the outlets' lease, from
                # going on.
                self._stumble(error)

    def _stumble(self, error):
        self.errors += 1
        self._record("error", problem=repr(error))

    def _shown(self):
        # Lines of the trace say which outlet they are about, beyond the first.
        n = len(self.outlets)
        more = {"outlet": n} if n > 1 else {}
        return lambda name: self._record("signal", value=name, **more)

    def _report(self, _):
        for i in range(len(self.outlets)):
            outlet = self.outlets[i]
            if outlet.offered_ma != self._offered_ma[i]:
                self._offered_ma[i] = outlet.offered_ma
                self._record(
                    "limit",
                    offered_ma=outlet.offered_ma,
                    reasons=outlet.limits.explain(),
                    **({"outlet": i + 1} if i else {})
                )
            status = "Faulted" if outlet.faulted else "Occupied" if outlet.plugged else "Available"
            if status != self._reported[i] and self.backend.accepted:
                if self.backend.outbox.add(
                    "StatusNotification", self._status, (i + 1, status, self._wall.uptime_ms)
                ):
                    self._reported[i] = status

    def _status(self, report):
        evse_id, status, uptime_ms = report
        return {
            "timestamp": self._wall.text(uptime_ms),
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
        host, _, port = self.config["broker"].rpartition(":")
        mover = None
        while True:
            self.tick(ticks_ms())
            if host and (mover is None or mover.done()):
                moving = line.move(self.backend.link, host, int(port), ticks_ms)
                mover = asyncio.create_task(moving)
            await asyncio.sleep_ms(_MAIN_LOOP_MS)


def _rating(place, config):
    """What the outlet is built for and the installer allows, in mA."""
    least = place.max_ma
    for name in ("cable_a", "breaker_a"):
        ma = config[name] * 1000
        if ma > place.max_ma:
            raise ValueError(
                "config: %s: expected at most %d A (what the outlet is built for), found %d A"
                % (name, place.max_ma // 1000, config[name])
            )
        if ma and ma < 6000:
            raise ValueError(
                "config: %s: expected 0 or at least 6 A, found %d A" % (name, config[name])
            )
        if ma and ma < least:
            least = ma
    return least
