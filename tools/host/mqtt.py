"""A small MQTT 3.1.1 client for the host's side: QoS 1, pipelined, comes back after a lost line.

Not amqtt's client, because the backend must see the RETAIN and DUP bits, must go on through a
broker's restart, and must never wait for one PUBACK before it sends the next message.
"""

import asyncio
import contextlib
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
KEEPALIVE_S = 20
RETRY_S = 0.5
ANSWER_S = 5


def text(value):
    """A UTF-8 string with its length before it, as MQTT packs every string."""
    data = value.encode()
    return struct.pack("!H", len(data)) + data


def packet(kind, flags, body):
    """One MQTT control packet."""
    length, size = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        size.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind << 4 | flags]) + bytes(size) + body


async def read_packet(reader):
    """The next packet as (kind, flags, body); raises IncompleteReadError at the line's end."""
    head = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return head >> 4, head & 15, await reader.readexactly(length)
        if shift > 21:
            raise ConnectionError("the broker sent a length of more than four bytes")


class Client:
    """One MQTT session at a broker.

    `on_message(topic, payload, retain, dup)` is called for each message on the topics in `topics`.
    What is published while the line is down waits and goes out, with DUP when it had been sent.
    """

    def __init__(self, host, port, client_id, topics=(), on_message=None, user=None, password=""):
        self.host, self.port, self.client_id = host, port, client_id
        self._who = b"" if user is None else text(user) + text(password)
        self.topics, self.on_message = topics, on_message
        self._writer = None
        self._task = None
        self._last_id = 0
        self._waiting = {}  # packet id -> [the packet's body, was it sent, retain]

    @property
    def connected(self):
        """Whether there is a session now."""
        return self._writer is not None

    async def start(self):
        """Connect and subscribe; raises OSError when the broker cannot be reached or refuses."""
        reader = await self._open()
        self._task = asyncio.create_task(self._live(reader))

    async def stop(self):
        """Wait a moment for open PUBACKs, then leave in order."""
        deadline = asyncio.get_running_loop().time() + 1
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        if self._task:
            # Until 3.12 wait_for() swallows a cancel that comes together with a packet.
            while not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task], timeout=0.1)
            with contextlib.suppress(asyncio.CancelledError):
                await self._task  # an exception of on_message comes to light here
        if self._writer:
            with contextlib.suppress(OSError):
                self._writer.write(packet(DISCONNECT, 0, b""))
                await self._writer.drain()
        await self._close()

    def publish(self, topic, payload, retain=False):
        """Send one message with QoS 1; repeated after a lost line until the broker has it."""
        self._last_id = self._last_id % 0xFFFF + 1
        entry = [text(topic) + struct.pack("!H", self._last_id) + payload, False, retain]
        self._waiting[self._last_id] = entry
        if self._writer:
            self._send(entry)

    def _send(self, entry):
        body, sent, retain = entry
        self._writer.write(packet(PUBLISH, 2 | (8 if sent else 0) | retain, body))
        entry[1] = True

    async def _open(self):
        """Connect, subscribe, send what waits; returns the reader."""
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(self.host, self.port), ANSWER_S)
        try:
            writer.write(packet(CONNECT, 0, text("MQTT") + bytes([4, 0xC2 if self._who else 2])
                                + struct.pack("!H", KEEPALIVE_S) + text(self.client_id)
                                + self._who))
            kind, _, body = await asyncio.wait_for(read_packet(reader), ANSWER_S)
            if kind != CONNACK or body[1]:
                raise ConnectionError("the broker refused the session: %s" % body.hex())
            if self.topics:
                filters = b"".join(text(topic) + b"\1" for topic in self.topics)
                writer.write(packet(SUBSCRIBE, 2, b"\0\1" + filters))
                kind, _, body = await asyncio.wait_for(read_packet(reader), ANSWER_S)
                if kind != SUBACK or 0x80 in body[2:]:
                    raise ConnectionError("the broker refused the subscription: %s" % body.hex())
        except (asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            writer.close()
            raise ConnectionError("the broker did not answer: %r" % error) from None
        except ConnectionError:
            writer.close()
            raise
        self._writer = writer
        for entry in self._waiting.values():
            self._send(entry)
        return reader

    async def _close(self):
        writer, self._writer = self._writer, None
        if writer:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _live(self, reader):
        while True:
            ping = asyncio.create_task(self._ping())
            try:
                while True:
                    kind, flags, body = await asyncio.wait_for(
                        read_packet(reader), 2 * KEEPALIVE_S)
                    if kind == PUBLISH:
                        self._arrived(flags, body)
                    elif kind == PUBACK:
                        self._waiting.pop(struct.unpack("!H", body[:2])[0], None)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                pass
            finally:
                ping.cancel()
            await self._close()
            while self._writer is None:
                await asyncio.sleep(RETRY_S)
                with contextlib.suppress(OSError, asyncio.TimeoutError):
                    reader = await self._open()

    async def _ping(self):
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            self._writer.write(packet(PINGREQ, 0, b""))

    def _arrived(self, flags, body):
        end = 2 + struct.unpack("!H", body[:2])[0]
        topic, payload = body[2:end].decode(), body[end:]
        if flags & 6:
            self._writer.write(packet(PUBACK, 0, payload[:2]))
            payload = payload[2:]
        if self.on_message:
            self.on_message(topic, payload, bool(flags & 1), bool(flags & 8))


async def forget(host, port, client_id, topic):
    """Remove a client's stored session and a retained message: leave a broker as it was found."""
    client = Client(host, port, client_id)  # it connects with a clean session
    await client.start()
    client.publish(topic, b"", retain=True)
    await client.stop()
