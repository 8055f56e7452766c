"""The conversation with the backend: who the station is, what it reports, what it is told."""

from micropython import const

from firmware import borrow
from firmware.ticks import diff
from firmware.uplink.link import Link
from firmware.uplink.ocpp import encode
from firmware.uplink.outbox import Outbox

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from firmware.access.cards import Doorman

# Between BootNotifications while none is accepted and the backend names no interval.
_RETRY_MS = const(10000)
# After a reconnect with session present what arrives may be the broker's replay.
_REPLAY_MS = const(5000)
_LONGEST_S = const(86400)  # between heartbeats, whatever the backend wishes


class Backend:
    """`who`, `boot_reason`: of the BootNotification. `wall` is the station's clock; it and its
    `sessions` (one an outlet, `evseId` 1, 2, ...) and `upkeep` are for commands.py.
    """

    if TYPE_CHECKING:  # what wiring.wire sets
        doorman: Doorman

    def __init__(self, config, who, boot_reason, nonce, wall, sessions, upkeep, record, journal):
        self.link = Link(
            config["station_id"],
            config["root"],
            config["user"] or None,
            config["password"] or None,
            config["keepalive_s"],
        )
        self.link.on_up = self._up
        self.link.on_down = self._down
        self.link.on_message = self._message
        alone = not config["broker"]
        self.outbox = Outbox(nonce, record, journal, wall, self._answered, alone)
        self.accepted = False  # the backend has accepted this boot
        self.only = "BootNotification"  # what may go, see Outbox.tick; "" while it is Pending
        self._who = {"reason": boot_reason, "chargingStation": who}
        self.wall = wall
        self.sessions = sessions
        self.upkeep = upkeep
        self.seen = []  # message ids of requests
        self.refused = {}  # messages, by kind: see firmware.uplink.hostile
        self._incoming = None
        self._heard = False  # something, since the last turn
        self._record = record
        self._now_ms = 0
        self._answers = []  # those that wait for the line, see firmware.uplink.incoming
        self._mute = False  # nobody has answered a BootNotification
        self._wait_ms = 0  # to the next BootNotification or Heartbeat
        self._waiting_since_ms = 0
        self._replay_until_uptime_ms = 0

    @property
    def ready(self):
        """Whether a question to the backend has a chance of being answered now."""
        return self.link.up and self.accepted

    def tick(self, now_ms):
        """Move what waits; call it from the main loop."""
        self._now_ms = now_ms
        if not self._heard:
            self._incoming = None
        self._heard = False
        self.link.tick(now_ms)
        if not self.link.up:
            return
        while self._answers:
            try:
                if not self._publish(self._answers[0]):
                    break
                self._record("uplink", message=self._answers[0].decode())
            except ValueError as error:  # longer than the line can ever carry
                self._record("error", problem=str(error))
            self._answers.pop(0)
        # less than 0: the line was gone for days
        if not 0 <= diff(now_ms, self._waiting_since_ms) < self._wait_ms:
            self._waiting_since_ms = now_ms
            if not self.accepted:
                self._wait_ms = _RETRY_MS
                if not self.outbox.has("BootNotification"):
                    self.outbox.add("BootNotification", self._boot, None, self._booted)
            elif not self.outbox.has("Heartbeat"):
                self.outbox.add("Heartbeat", _nothing, None, self._beaten)
        self.outbox.tick(now_ms, self._publish, self.only)

    def _answered(self, tx, result):
        for session in self.sessions:
            if session.tx == tx:
                session.answered(result)  # first: a memory that fails may not keep it from that
                info = result.get("idTokenInfo")
                if session.token and isinstance(info, dict):
                    self.doorman.told(session.token, info)

    def _publish(self, payload):
        return self.link.publish(payload, None)

    def _up(self, session_present):
        self._record("line", up=True, why="session present" if session_present else "new session")
        if session_present:
            self._replay_until_uptime_ms = self.wall.uptime_ms + _REPLAY_MS
        if not self.accepted:
            self._waiting_since_ms = self._now_ms
            self._wait_ms = 0

    def _down(self, why):
        self._record("line", up=False, why=why)
        self.outbox.line_lost()
        if why.startswith("protocol"):
            borrow("firmware.uplink.hostile").note(self, "packet")

    def _boot(self, _):
        return self._who

    def _booted(self, result):
        if not result:
            if self.link.up and not self._mute:
                self._record("line", up=True, step="backend", why="no answer to BootNotification")
                self._mute = True
            return
        self._mute = False
        borrow("firmware.date").take(self, result.get("currentTime"))
        status = result.get("status")
        self.accepted = status == "Accepted" and self.wall.is_set
        self.only = None if self.accepted else "" if status == "Pending" else "BootNotification"
        interval = result.get("interval")
        if isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval < 1:
            return
        # Accepted without a date that can be read is no acceptance: ask again soon.
        if self.accepted or status != "Accepted":
            self._wait_ms = int(min(interval, _LONGEST_S)) * 1000

    def _beaten(self, result):
        if result is not None:
            borrow("firmware.date").take(self, result.get("currentTime"))

    def _message(self, payload, retain, dup):
        replayed = retain or dup or self.wall.uptime_ms < self._replay_until_uptime_ms
        try:
            # Held until a turn in which nothing comes: answers come many at a time.
            self._heard = True
            self._incoming = self._incoming or borrow("firmware.uplink.incoming")
            self._incoming.take(self, payload, replayed)
        except Exception as error:
            # An error of ours must not end the line.
            self._record("error", problem=repr(error))

    def answer(self, message):
        """Have the CALLRESULT or CALLERROR `message` sent, an array."""
        self._answers.append(encode(message).encode())


def _nothing(_):
    return {}
