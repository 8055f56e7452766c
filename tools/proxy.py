"""A TCP proxy that makes a good line bad: slow, refusing, silent after a byte, reset.

It runs on asyncio in a thread of its own, so that it serves tests and the bench alike:

    with Proxy(("127.0.0.1", 1883)) as proxy:
        connect_to(proxy.port)
        proxy.fault(HANG, after=100)
"""

import asyncio
import random
import socket
import struct
import threading
import time
from collections import deque

PASS = "pass"  # carry everything
REFUSE = "refuse"  # nobody listens; what is open is closed
HANG = "hang"  # after `after` more bytes carry nothing more, in either direction; all stays open
RESET = "reset"  # after `after` more bytes end the connections with RST
DEAF = "deaf"  # carry nothing more towards the one who has connected; all stays open
LOSS = "loss"  # half of what is sent is lost and sent again, as TCP does: later, and later
DRIP = "drip"  # carry a few bytes a second

_AGAIN_S = 0.2  # until TCP sends again what was lost; twice that when it is lost again
_LOST_AT_MOST = 6  # times
_DROP_BYTES = 4


class Proxy:
    """Carries connections on `port` of the loopback interface to `target`, or does worse."""

    def __init__(self, target, delay_ms=0, speed=1, seed=0):
        """`delay_ms` is added in each direction, at any rate: a long line, not a thin one. LOSS
        and DRIP are `speed` times as fast as in life. Set `target` and new connections go there.
        """
        self.target = target
        self.speed = speed
        self.random = random.Random(seed)
        self.delay_s = delay_ms / 1000
        self.port = 0
        self.accepted = 0  # connections, in all
        self._pipes = set()
        self._mode = PASS
        self._left = 0  # bytes still carried before a fault strikes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fault(self, mode, after=0):
        """From now on, or for HANG and RESET once `after` more bytes have passed, be `mode`."""
        self._call(self._set(mode, after))

    def half_open(self):
        """The far side ends each connection, and who has connected hears nothing of it."""
        self._call(self._half())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        self._server = await self._loop.create_server(
            lambda: _Pipe(self), "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for pipe in list(self._pipes):
            pipe.transport.abort()
        await asyncio.sleep(0)

    async def _set(self, mode, after):
        if self._mode == REFUSE and mode != REFUSE:
            await self._listen()
        self._mode = mode
        self._left = after
        if mode == REFUSE:
            await self._stop()
        elif mode in (HANG, RESET) and not after:
            self._strike()
        for pipe in list(self._pipes):
            if mode == DEAF:
                pipe.dead = pipe.dead or not pipe.near
            pipe.hurry()

    async def _half(self):
        for pipe in list(self._pipes):
            pipe.dead = True
            if not pipe.near:
                pipe.reset()

    def lost_s(self):
        """How much later it comes, for what was lost on the way."""
        wait_s = 0
        if self._mode == LOSS:
            for i in range(_LOST_AT_MOST):
                if self.random.random() < 0.5:
                    break
                wait_s += _AGAIN_S * 2**i / self.speed
        return wait_s

    def deaf(self, pipe):
        """Whether what comes by `pipe` is not to be heard any more."""
        if self._mode == DEAF and not pipe.near:
            pipe.dead = True
        return pipe.dead

    def drips(self):
        """Whether only a few bytes a second may pass."""
        return self._mode == DRIP

    def _strike(self):
        for pipe in list(self._pipes):
            if self._mode == RESET:
                pipe.reset()
            else:
                pipe.dead = True

    def carry(self, data):
        """The part of `data` that passes."""
        if self._mode in (HANG, RESET):
            data = data[: self._left]
            self._left -= len(data)
            if not self._left:
                # Not before what passes is written.
                self._loop.call_soon(self._strike)
        return data


class _Pipe(asyncio.Protocol):
    """One direction of a connection, `peer` the other."""

    def __init__(self, proxy, peer=None):
        self.proxy = proxy
        self.peer = peer
        self.near = peer is None  # it is the side that has connected
        self.transport = None
        self.dead = False  # it hangs, and does so until it is closed
        self.late = deque()  # (when it is due, data; b"" for the end)
        self.task = None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.proxy._pipes.add(self)
        if self.peer is None:
            self.proxy.accepted += 1
            self.task = self.proxy._loop.create_task(self._reach())
        else:
            self.peer.peer = self
            self.peer.due()

    async def _reach(self):
        try:
            await self.proxy._loop.create_connection(
                lambda: _Pipe(self.proxy, self), *self.proxy.target
            )
        except OSError:
            self.transport.abort()

    def data_received(self, data):
        if not self.dead:
            data = self.proxy.carry(data)
            if self.proxy.deaf(self):
                return
            if data:
                self._later(data)

    def connection_lost(self, exc):
        self.proxy._pipes.discard(self)
        if not self.dead:
            self._later(b"")

    def reset(self):
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()

    def _later(self, data):
        due_s = time.monotonic() + self.proxy.delay_s + self.proxy.lost_s()
        if self.late:
            due_s = max(due_s, self.late[-1][0])  # nothing overtakes
        self.late.append((due_s, data))
        if len(self.late) == 1:
            self.due()

    def hurry(self):
        """The line is another from now on: what waits does so no longer."""
        now_s = time.monotonic() + self.proxy.delay_s
        self.late = deque((min(due_s, now_s), data) for due_s, data in self.late)
        self.due()

    def due(self):
        """Hand over what has waited long enough."""
        while self.late and self.peer is not None:
            wait_s = self.late[0][0] - time.monotonic()
            if wait_s > 0:
                self.proxy._loop.call_later(wait_s, self.due)
                return
            data = self.late.popleft()[1]
            if self.proxy.drips() and len(data) > _DROP_BYTES:
                self.late.appendleft((time.monotonic() + 1 / self.proxy.speed, data[_DROP_BYTES:]))
                data = data[:_DROP_BYTES]
            if data:
                self.peer.transport.write(data)
            else:
                self.peer.transport.close()
