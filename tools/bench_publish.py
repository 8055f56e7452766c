"""The pile's half of the uplink's bench, run by MicroPython: how many messages a second?

Usage: bench_publish.py link|umqtt HOST PORT COUNT; prints QoS 1 messages acknowledged per second.
"""

import asyncio
import sys
import time

_PAYLOAD = b"x" * 200
_IPPROTO_TCP = 6
_TCP_NODELAY = 1


def per_s(count, began_us):
    return round(count * 1000000 / time.ticks_diff(time.ticks_us(), began_us), 1)


def umqtt(host, port, count):
    """umqtt.simple's own publish(), one message at a time."""
    from umqtt.simple import MQTTClient

    client = MQTTClient("bench-umqtt", host, port)
    client.connect()
    # Without it Nagle's algorithm holds back all but the first of publish()'s small writes.
    client.sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    began_us = time.ticks_us()
    for _ in range(count):
        client.publish(b"ocpp/bench/up", _PAYLOAD, False, 1)
    return per_s(count, began_us)


async def link(host, port, count):
    """The firmware's link and line, as many messages in flight as the link takes."""
    from firmware.uplink.line import move
    from firmware.uplink.link import Link

    class Station:
        config = {"broker": "%s:%s" % (host, port), "tls": False, "dns": ""}
        board = type("Board", (), {"name_servers": list})

    pile = Link("bench")
    done = asyncio.Event()
    sent = acked = began_us = 0

    def fill():
        nonlocal sent
        while sent < count and pile.publish(_PAYLOAD, sent):
            sent += 1

    def on_up(_):
        nonlocal began_us
        began_us = time.ticks_us()
        fill()

    def on_acked(_):
        nonlocal acked
        acked += 1
        if acked == count:
            done.set()
        fill()

    def on_down(why):
        print("the link went down:", why, file=sys.stderr)
        sys.exit(1)

    pile.on_up, pile.on_acked, pile.on_down = on_up, on_acked, on_down
    mover = asyncio.create_task(move(pile, Station, lambda: time.ticks_ms() & 0x3FFFFFFF))
    await done.wait()
    mover.cancel()
    return per_s(count, began_us)


what, host, port, count = sys.argv[1:]
if what == "link":
    print(asyncio.run(link(host, int(port), int(count))))
else:
    print(umqtt(host, int(port), int(count)))
