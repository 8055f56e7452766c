"""One MQTT 3.1.1 session as a state machine without I/O that never blocks; umqtt is its codec.

umqtt.simple encodes into a bounded buffer and decodes from memory that holds the whole packet.
What it leaves to `assert` (gone under -O) or leaves out is done here: framing, codes, packet ids,
time-outs, back-off.
"""

import umqtt.simple as umqtt
from micropython import const

from firmware import borrow
from firmware.ticks import add, diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

# What the mover of the bytes should do next.
IDLE = const(0)  # leave the connection as it is: closed during back-off, else carry bytes
OPEN = const(1)  # open a TCP connection, then call opened() or closed()
CLOSE = const(2)  # close the TCP connection, then call closed()

# The states; each ends with what is named.
_WAIT = const(0)  # no connection; at _deadline -> _DIAL
_DIAL = const(1)  # the mover connects; opened() -> _GREET, closed() -> _WAIT
_DROP = const(2)  # the connection is given up; closed() -> _WAIT
_GREET = const(3)  # CONNECT written; CONNACK -> _SUBSCRIBE, at _deadline -> _DROP
_SUBSCRIBE = const(4)  # SUBSCRIBE written; SUBACK -> _UP, at _deadline -> _DROP
_UP = const(5)  # in session; at _deadline a PINGREQ, or when one is unanswered -> _DROP
# In the last three bytes flow; an error or a silent broker leads to _DROP, closed() to _WAIT.

_WANTS = b"\0\1\2\0\0\0"

_ANSWER_MS = const(10000)  # for CONNACK, SUBACK and PINGRESP
_PUBACK_MS = const(20000)  # for the next PUBACK, while any is due
_STABLE_MS = const(30000)  # a session this old ends the back-off
_FIRST_MS = const(1000)
_LONGEST_MS = const(30000)
_RESERVE = const(256)  # bytes of the output that only PUBACK and PINGREQ use
_OVERHEAD = const(8)  # of a PUBLISH: type, length (3), topic's length, packet id


class _Whole(Exception):
    """A packet is written whole; umqtt would now wait for an answer that feed() brings later."""


class _Wire:
    """What umqtt takes for its socket, and for the module that makes it: two buffers in memory."""

    def __init__(self, out_bytes):
        self.out = memoryview(bytearray(out_bytes))
        self.head = self.tail = 0  # out[head:tail] is still to be sent
        self.packet = self.out[:0]  # what umqtt may read
        self.at = 0

    def write(self, data, n=-1):
        tail = self.tail
        if n < 0:
            n = len(data)
        else:
            data = data[:n]
        self.tail = tail + n
        self.out[tail : self.tail] = data

    def read(self, n):
        start = self.at
        if start + n > len(self.packet):
            raise _Whole
        self.at = start + n
        return bytes(self.packet[start : self.at])

    def socket(self):
        return self

    def getaddrinfo(self, *_):
        return ((None,),)

    def connect(self, *_):
        pass

    close = setblocking = settimeout = connect


def _ignore(*_):
    pass


class Link(umqtt.MQTTClient):
    """The session of one station, on topics `<root>/<station_id>/up`, `/down` and `/state`.

    Whoever moves the bytes calls opened, closed, feed, outgoing, sent and tick, and obeys `wants`.
    The owner sets the callbacks, which may call publish():

    - on_up(session_present): CONNACK and SUBACK have come, the retained birth is written
    - on_down(why): a session that was up has ended; what it had in flight is forgotten
    - on_acked(token): the broker has taken the message published with this token
    - on_message(payload, retain, dup): a message for this station. While `up` is still False it
      is the replay of a resumed session.

    Times are `now_ms`, ticks that wrap at 2^30.
    """

    def __init__(
        self,
        station_id,
        root="ocpp",
        user=None,
        password=None,
        keepalive_s=30,
        window=32,
        out_bytes=8192,
        max_packet=4096,
    ):
        """`window`: messages in flight, below 65,535. `out_bytes` (at least 1,024) bounds what
        waits to be sent, `max_packet` what the broker may send in one packet. ValueError when a
        name or number does not fit MQTT."""
        topic = "%s/%s/" % (root, station_id)
        if user is not None:
            user = user.encode()
            password = (password or "").encode()
        borrow("firmware.uplink.fits").check(station_id, topic, keepalive_s, user, password)
        super().__init__(station_id.encode(), None, 1, user, password, keepalive_s)
        self.sock = _Wire(max(out_bytes, 1024))
        self._up_topic = (topic + "up").encode()
        self._down_topic = (topic + "down").encode()
        self._state_topic = (topic + "state").encode()
        self.set_last_will(self._state_topic, b'{"online": false}', True, 1)
        self.set_callback(self._decoded)
        self.on_up: "Callable" = _ignore
        self.on_down: "Callable" = _ignore
        self.on_acked: "Callable" = _ignore
        self.on_message: "Callable" = _ignore
        self.up = False
        self.held = False  # the session has been up for so long that it counts as good
        self.session_present = False
        self.why = ""  # the last connection's end
        self.max_payload = len(self.sock.out) - _RESERVE - _OVERHEAD - len(self._up_topic)  # bytes
        self._window = window
        self._flight = {}  # packet id: token, of each PUBLISH that waits for its PUBACK
        self._in = memoryview(bytearray(max_packet))
        self._got = 0  # _in[:_got] has come and is not yet a whole packet
        self._topic = self._payload = b""  # what umqtt has decoded last
        self._state = _DIAL
        self._clean = False
        self._pinged = False
        self._now_ms = self._deadline_ms = self._puback_ms = self._stable_ms = 0
        self._backoff_ms = _FIRST_MS
        self._since_ms = 0  # when the last attempt was begun, or a good session ended
        self._random = 1
        for c in self.client_id:
            self._random = (self._random * 5777 + c) % 65537  # spreads neighbours, within 30 bits

    @property
    def wants(self):
        """IDLE, OPEN or CLOSE."""
        return _WANTS[self._state]

    def opened(self, now_ms):
        """The TCP connection stands."""
        self._now_ms = now_ms
        self._got = 0
        self._state = _GREET
        self._deadline_ms = add(now_ms, _ANSWER_MS)
        # umqtt's connect() makes its own socket: while it runs, the wire is its socket module.
        real = umqtt.socket  # type: ignore[attr-defined]  # not in every stub
        umqtt.socket = self.sock  # type: ignore[attr-defined]
        try:
            self._encode(umqtt.MQTTClient.connect, self._clean)
        finally:
            umqtt.socket = real  # type: ignore[attr-defined]

    def closed(self, why, now_ms):
        """The TCP connection is gone, or could not be opened: `why`, in words."""
        self._now_ms = now_ms
        if self._state != _DROP:
            self.drop(why)
        # From half to all of the back-off, so that a thousand stations do not come back as one.
        self._random = (self._random * 75 + 74) % 65537
        half = self._backoff_ms >> 1
        wait_ms = half + half * self._random // 65537
        # From when it was begun on: a line that hangs shall not cost its time-outs besides.
        # The attempt may have waited for days, on an ESP32 that charges: that is less than 0.
        left_ms = wait_ms - diff(now_ms, self._since_ms or now_ms)
        self._deadline_ms = add(now_ms, min(max(left_ms, wait_ms >> 2), wait_ms))
        self._backoff_ms = min(2 * self._backoff_ms, _LONGEST_MS)
        self._state = _WAIT

    def outgoing(self):
        """The bytes to write now, possibly none; valid until the next call of any method."""
        wire = self.sock
        if wire.head == wire.tail:
            return b""  # idle polls allocate nothing
        return wire.out[wire.head : wire.tail]

    def sent(self, n):
        """The first `n` bytes of outgoing() are written."""
        wire = self.sock
        wire.head += n
        if wire.head == wire.tail:
            wire.head = wire.tail = 0

    def publish(self, payload, token=None, dup=False):
        """Send `payload` (bytes) with QoS 1 to the up topic; True when it is on its way.

        False while the session is down, or the window or the buffer is full. on_acked(token)
        tells of its PUBACK, unless the token is None. `dup` marks a re-send. ValueError when it
        is longer than `max_payload` and so could never be sent."""
        size = len(payload)
        if size > self.max_payload:
            raise ValueError("payload: %d bytes, expected at most %d" % (size, self.max_payload))
        flight = self._flight
        if not self.up or len(flight) >= self._window:
            return False
        if not self._room(size + len(self._up_topic) + _OVERHEAD + _RESERVE):
            return False
        self._publish(self._up_topic, payload, False, token, dup)
        return True

    def feed(self, data, now_ms):
        """`data`, a buffer of any length, has come from the broker."""
        self._now_ms = now_ms
        at = 0
        while at < len(data) and self._state >= _GREET:
            got = self._got
            n = min(len(data) - at, len(self._in) - got)
            self._in[got : got + n] = data[at : at + n]
            self._got = got + n
            at += n
            self._handle()

    def tick(self, now_ms):
        """Let time pass; to be called at least once a second."""
        self._now_ms = now_ms
        state = self._state
        if state == _DIAL or state == _DROP:
            return
        if diff(now_ms, self._deadline_ms) >= 0:
            if state == _WAIT:
                self._state = _DIAL
                self._since_ms = now_ms
            elif state != _UP:
                self.drop("no CONNACK" if state == _GREET else "no SUBACK")
            elif self._pinged:
                self.drop("no PINGRESP")
            else:
                # Full means that nothing goes out at all: then the answer fails to come, too.
                if self._room(2):
                    self.ping()
                self._pinged = True
                self._deadline_ms = add(now_ms, _ANSWER_MS)
        if self._flight and diff(now_ms, self._puback_ms) >= 0:
            self.drop("no PUBACK")
        if self.up and not self.held and diff(now_ms, self._stable_ms) >= 0:
            self.held = True
            self._backoff_ms = _FIRST_MS

    def _encode(self, method, *args):
        try:
            method(self, *args)
        except _Whole:
            pass

    def _publish(self, topic, payload, retain, token, dup=False):
        flight = self._flight
        if not flight:
            self._puback_ms = add(self._now_ms, _PUBACK_MS)
        pid = self.pid % 65535 + 1
        while pid in flight:
            pid = pid % 65535 + 1
        self.pid = pid - 1  # umqtt adds one
        flight[pid] = token
        wire = self.sock
        start = wire.tail
        try:
            umqtt.MQTTClient.publish(self, topic, payload, retain, 1)
        except _Whole:
            pass
        if dup:
            wire.out[start] |= 8

    def _room(self, n):
        """Whether `n` more bytes fit; what is sent already makes place."""
        wire = self.sock
        if wire.tail + n > len(wire.out) and wire.head:
            left = wire.tail - wire.head
            wire.out[:left] = wire.out[wire.head : wire.tail]
            wire.head = 0
            wire.tail = left
        return wire.tail + n <= len(wire.out)

    def drop(self, why):
        """Give the connection up: `why`. Callbacks come last, when all is in order."""
        was_up = self.up
        if self.held:
            self._since_ms = self._now_ms
        self._state = _DROP
        self.up = self.held = False
        self.why = why
        self._pinged = False
        self._flight.clear()
        wire = self.sock
        wire.head = wire.tail = 0
        wire.packet = wire.out[:0]
        if was_up:
            self.on_down(why)

    def _reject(self, why):
        # The next CONNECT discards what the broker holds: else it would send the same packet at
        # every reconnect, for ever.
        self._clean = True
        self.drop("protocol error: " + why)

    def _handle(self):
        """Handle the whole packets in _in and keep the rest."""
        data = self._in
        got = self._got
        start = 0
        while got - start > 1:
            # Remaining length: 1 to 4 bytes, low 7 bits first; bit 7 says that one more follows
            # (MQTT 3.1.1, 2.2.3).
            size = data[start + 1] & 0x7F
            body = start + 2
            while data[body - 1] & 0x80 and body < got and body < start + 5:
                size |= (data[body] & 0x7F) << 7 * (body - start - 1)
                body += 1
            end = body + size
            if data[body - 1] & 0x80:
                if body == start + 5:
                    self._reject("remaining length beyond 4 bytes")
                break
            if end - start > len(data):
                self._reject("packet of %d bytes, expected at most %d" % (end - start, len(data)))
                break
            if end > got:
                break
            self._packet(data[start], start, body, end)
            if self._state < _GREET:
                break
            start = end
        if start:
            data[: got - start] = data[start:got]
            self._got = got - start

    def _packet(self, kind, start, body, end):
        """Handle the whole packet in _in[start:end], its body from `body`."""
        data = self._in
        size = end - body
        if self._state == _GREET:
            if kind != 0x20 or size != 2 or data[body] > 1:
                self._reject("expected CONNACK, found type 0x%02x, %d bytes" % (kind, size))
            elif data[body + 1]:
                self.drop("refused by the broker, CONNACK code %d" % data[body + 1])
            else:
                self._greeted(data[body] == 1)
        elif kind == 0x40 and size == 2:
            token = self._flight.pop(data[body] << 8 | data[body + 1], _ignore)
            # One that is not in flight is late, or doubled: no harm.
            if token is not _ignore:
                self._puback_ms = add(self._now_ms, _PUBACK_MS)
                if token is not None:
                    self.on_acked(token)
        elif kind >> 4 == 3:
            self._published(kind, start, body, end)
        elif kind == 0xD0 and size == 0:
            if self._pinged:
                self._pinged = False
                self._deadline_ms = add(self._now_ms, self.keepalive * 500)
        elif kind == 0x90 and size == 3 and self._state == _SUBSCRIBE:
            if data[body] << 8 | data[body + 1] != self.pid:
                self._reject("SUBACK with a wrong packet id")
            elif data[body + 2] > 1:
                self.drop("subscription refused, SUBACK code %d" % data[body + 2])
            else:
                self._subscribed()
        else:
            self._reject("unexpected packet type 0x%02x, %d bytes" % (kind, size))

    def _greeted(self, session_present):
        self.session_present = session_present
        self._clean = False
        self._state = _SUBSCRIBE
        self._deadline_ms = add(self._now_ms, _ANSWER_MS)
        self.pid %= 65535  # umqtt adds one
        self._encode(umqtt.MQTTClient.subscribe, self._down_topic, 1)

    def _subscribed(self):
        if not self._room(_RESERVE):
            self.drop("output full")
            return
        self._state = _UP
        self.up = True
        # Half of what the broker was told: a lost connection shows before the broker acts on it.
        self._deadline_ms = add(self._now_ms, self.keepalive * 500)
        self._stable_ms = add(self._now_ms, _STABLE_MS)
        self._publish(self._state_topic, b'{"online": true}', True, None)
        self.on_up(self.session_present)

    def _published(self, kind, start, body, end):
        data = self._in
        qos = kind & 6  # 0, or 2 for QoS 1, which is the packet id's length too
        topic = body + 2
        if topic <= end:
            topic += data[body] << 8 | data[body + 1]
        whole = qos <= 2 and body + 2 < topic <= end - qos
        if not whole or (qos and not (data[topic] or data[topic + 1])):
            self._reject("bad PUBLISH, type 0x%02x, %d bytes" % (kind, end - body))
        elif not self._room(4):
            self.drop("output full")
        else:
            wire = self.sock
            wire.packet = data[start:end]
            wire.at = 0
            self.wait_msg()  # calls _decoded and writes the PUBACK
            payload = self._payload
            self._payload = b""
            if self._topic == self._down_topic:
                # Should the owner fail on it, the broker shall not send it again, for ever.
                self._clean = True
                self.on_message(payload, kind & 1 == 1, kind & 8 == 8)
                self._clean = False

    def _decoded(self, topic, payload):
        # Handed on only when umqtt is done: what the owner then does may use the codec again.
        self._topic = topic
        self._payload = payload
