"""Opens the line's TCP connection; imported for that only, see firmware.let_go."""

import asyncio
import errno
import select

from micropython import const

from firmware.ticks import add, diff
from firmware.uplink.line import reader

_CONNECT_MS = const(10000)
_PAUSE_MS = const(5)  # between two looks
_IPPROTO_TCP = const(6)  # numbers, since not every port names them
_TCP_NODELAY = const(1)


async def connect(sock, address, ticks_ms):
    """None when `sock` is connected, else why not; or OSError."""
    sock.setblocking(False)
    try:
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    except OSError:  # slower without, but it works
        pass
    try:
        sock.connect(address)
    except OSError as e:
        if e.errno != errno.EINPROGRESS:
            raise
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    give_up_ms = add(ticks_ms(), _CONNECT_MS)
    while True:
        ready = poll.poll(0)
        if ready:
            if ready[0][1] & (select.POLLERR | select.POLLHUP):
                # OSError that names the cause, where the port knows it
                reader(sock)(bytearray(1))
                return "connection failed"
            return None
        if diff(ticks_ms(), give_up_ms) >= 0:
            return "connection timed out"
        await asyncio.sleep_ms(_PAUSE_MS)
