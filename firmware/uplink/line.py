"""Move the link's bytes over a TCP socket; come back after whatever the network does."""

import asyncio
import errno

from micropython import const

from firmware import borrow
from firmware.uplink.link import CLOSE, OPEN

_CHUNK = const(512)  # bytes read at a time: bounds the work between two turns of the other tasks
_PAUSE_MS = const(5)  # between two looks at a quiet line


async def move(link, station, ticks_ms):
    """Carry the bytes of `link` to and from a broker of the `station`, until cancelled: of the
    several in its configuration the next one is tried when one failed.

    `ticks_ms()` is the clock, which wraps at 2^30.
    """
    chunk = memoryview(bytearray(_CHUNK))
    route = {"turn": 0, "hosts": {}}  # see firmware.uplink.dial
    while True:
        link.tick(ticks_ms())
        if link.wants != OPEN:
            await asyncio.sleep_ms(_PAUSE_MS)
            continue
        sock = None
        try:
            sock = await borrow("firmware.uplink.dial").dial(station, route, ticks_ms)
            why = await _carry(link, station, route, sock, chunk, ticks_ms)
        except Exception as e:  # also from an owner's callback: the line lives on, and says why
            why = "%s: %s" % (type(e).__name__, e)
        finally:
            if sock:
                sock.close()
        try:
            link.closed(why, ticks_ms())
            if route["step"]:
                borrow("firmware.uplink.dial").failed(station, route, link.why)
        except Exception:  # from on_down
            pass


async def _carry(link, station, route, sock, chunk, ticks_ms):
    """Move bytes until one side ends it; returns why."""
    read = reader(sock)
    write = getattr(sock, "write", None) or sock.send
    pause_ms = 0
    link.opened(ticks_ms())
    while True:
        moved = False
        if route["step"] == "tls" and route["stalls"] and station.driven():
            return "a session began"
        n = _now(read, chunk)
        if n == 0:
            return "closed by the broker"
        if n:
            moved = True
            link.feed(chunk[:n], ticks_ms())
            # Nobody says when the handshake of TLS is over.
            route["step"] = "" if link.held else "mqtt"
        link.tick(ticks_ms())
        if link.wants == CLOSE:
            return link.why
        out = link.outgoing()
        if out:
            n = _now(write, out)
            if n:
                moved = True
                link.sent(n)
        # While bytes move, the other tasks get their turn and no more; then looks grow rarer.
        pause_ms = 0 if moved else min(pause_ms + 1, _PAUSE_MS)
        await asyncio.sleep_ms(pause_ms)


def reader(sock):
    """What reads into a buffer on this port."""
    return getattr(sock, "readinto", None) or sock.recv_into


def _now(call, data):
    """What `call(data)` has moved without waiting; None when it would have to wait."""
    try:
        return call(data)
    except OSError as e:
        if e.errno != errno.EAGAIN:
            raise
    return None
