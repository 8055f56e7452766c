"""The pile's half of the uplink's bench, run by MicroPython: how many messages a second?

Usage: bench_publish.py link|umqtt|outbox HOST PORT COUNT [tls]; prints QoS 1 messages acknowledged
per second. With `tls` the working directory has tls/ca.der.
"""

import asyncio
import sys
import time
from struct import pack

_PAYLOAD = b"x" * 200
_IPPROTO_TCP = 6
_TCP_NODELAY = 1
_UPDATED = 1 | 4 | 16  # a record's flags: dated, with a reading; see firmware/ledger/events.py
_MEASURANDS = 1 | 2 | 4  # energy, current, voltage, as config.json has them
_A_TURN = 32  # records that are written in a turn of the main loop, at most


def per_s(count, began_us):
    return round(count * 1000000 / time.ticks_diff(time.ticks_us(), began_us), 1)


class Ussl:
    """What umqtt takes for the module that makes TLS of its socket: with the broker verified."""

    @staticmethod
    def wrap_socket(sock, server_hostname):
        import ssl

        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        with open("tls/ca.der", "rb") as file:
            context.load_verify_locations(cadata=file.read())
        return context.wrap_socket(sock, server_hostname=server_hostname)


def umqtt(host, port, count, tls):
    """umqtt.simple's own publish(), one message at a time."""
    from umqtt.simple import MQTTClient

    sys.modules["ussl"] = Ussl
    client = MQTTClient(
        "bench-umqtt", host, port, ssl=tls, ssl_params={"server_hostname": "localhost"}
    )
    client.connect()
    if not tls:
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


def outbox(host, port, count, tls):
    """A whole station in real time on the virtual board: events of a transaction, each with a
    reading, from the journal to the backend's CALLRESULT. Ends the program.
    """
    from firmware import config
    from firmware.station import Station
    from hal.virtual.board import VirtualBoard
    from hal.virtual.trace import Kept

    board = VirtualBoard({"until_ms": 60000, "profile": "esp32", "steps": []}, Kept(), True)
    made = {name: field[1] for name, field in config.FIELDS.items()}
    broker = "localhost:%d" % port if tls else "%s:%d" % (host, port)
    made.update({"station_id": "bench-outbox", "broker": broker, "tls": int(tls)})
    station = Station(board, made)
    journal = station.journal
    del station.needs[1:]  # whoever else looks at the journal does so every ten seconds only
    waiting = station.backend.outbox
    number = began_us = 0

    def feed(now_ms):
        nonlocal number, began_us
        if not number:
            if not station.backend.accepted or waiting.owes:
                return
            began_us = time.ticks_us()
        elif number == count and not waiting.owes:
            print(per_s(count, began_us))
            sys.exit()
        for _ in range(_A_TURN):
            if number < count and not journal.crowded:
                head = (1, _UPDATED, 1, 1767225600000 + number, 1, 2, _MEASURANDS, 1, 1, number)
                reading = (number, 50000, 230000, 0, 0, 16000, 0, 0, 3680000)
                journal.append(pack("<BBIq4BII", *head) + pack("<Q8i", *reading))
                number += 1

    station.services.append(feed)
    board.run(station)


what, host, port, count, *more = sys.argv[1:]
if what == "umqtt":
    print(umqtt(host, int(port), int(count), "tls" in more))
elif what == "link":
    print(asyncio.run(link(host, int(port), int(count))))
else:
    outbox(host, int(port), int(count), "tls" in more)
