"""The pile's side of test_line.py: the firmware's link and line with a tiny outbox on top.

Usage: line_owner.py BROKERS SPEED [tls] [stalls] [pause] [no-psk] [dns=SERVERS] [first=BROKER];
the clock that link and line see runs SPEED times as fast. `stalls`: as on an ESP32 whose contactor
is driven while there is a file of the name `driven`; `pause`: it may pause. `no-psk`: as a
MicroPython that has no TLS by a pre-shared key. `first`: what the backend has set, with user and
password, for two attempts.
Publishes "0", "1", ... and after a lost line again, from the first that is not acknowledged.
Prints one event a line: `up`, `down WHY`, `closed BROKER STEP WHY` (an attempt failed), `got
PAYLOAD`, `acked N`, `told PROBLEM`, `late MS` (another task waited for longer than ever before).
"""

import asyncio
import os
import sys
import time

import micropython  # noqa: F401  (on CPython it adds time.ticks_ms and asyncio.sleep_ms)

from firmware.energy.limits import Limits
from firmware.uplink.line import move
from firmware.uplink.link import Link

brokers, speed = sys.argv[1], int(sys.argv[2])

link = Link("CP-1", keepalive_s=10)
waiting = []  # numbers not yet acknowledged, oldest first
sent = 0  # how many of them are on their way


def say(*words):
    print(*words)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


class Station:
    """What the line asks a station."""

    config = {"broker": brokers, "tls": "tls" in sys.argv, "dns": ""}
    config["tls_pause"] = "pause" in sys.argv
    config["user"] = config["password"] = ""
    closed = bool

    class outlet:
        limits = Limits(32000)

    outlets = (outlet,)

    @staticmethod
    def driven():
        return Station.outlet.limits.effective_ma() and "driven" in os.listdir()

    cards = None

    class backend:
        accepted = True

    class wall:
        is_set = False
        uptime_ms = 0

    class board:
        stalls = "stalls" in sys.argv

        def date():
            return "2999"

        def set_date(text):
            pass

        name_servers = list
        devices = ()

        class store:
            @staticmethod
            def load(name):
                try:
                    with open(name, "rb") as file:
                        return file.read()
                except OSError:
                    return None

        class log:
            @staticmethod
            def record(what, up=False, broker="", step="", why="", problem=None, status=None):
                told = problem or status and why
                say(*(("told", told) if told else ("closed", broker, step, why)))


if "no-psk" in sys.argv:
    import ssl  # noqa: F401  (takes from tls what it needs)

    import tls

    class Older:
        PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT

        class SSLContext:
            def __init__(self, protocol):
                pass

            def __setattr__(self, name, value):
                raise AttributeError(name)

    sys.modules["tls"] = Older

for word in sys.argv:
    if word.startswith("dns="):
        Station.config["dns"] = word[4:]
    if word.startswith("password="):
        link.user, Station.backend.link = b"u", link
        Station.config["password"], Station.config["password_before"] = word[9:].split(",")
    if word.startswith("first="):
        Station.config["network_1"] = '["%s", 1, "u", "p"]' % word[6:]
        Station.config["network_priority"] = "1"
        Station.config["network_attempts"] = 2


def fill(dup=False):
    global sent
    while sent < len(waiting) and link.publish(str(waiting[sent]).encode(), waiting[sent], dup):
        sent += 1


def on_up(present):
    global sent
    sent = 0
    say("up")
    fill(True)


def on_acked(number):
    global sent
    waiting.remove(number)
    sent -= 1
    say("acked", number)
    fill()


def on_message(payload, retain, dup):
    say("got", payload.decode())
    if payload == b"fail":
        raise ValueError("the owner failed")


Station.backend.link = link  # type: ignore[attr-defined]
link.on_up, link.on_acked, link.on_message = on_up, on_acked, on_message
link.on_down = lambda why: say("down", why)


async def main():
    began = time.ticks_ms()
    mover = asyncio.create_task(
        move(
            link, Station, lambda: time.ticks_diff(time.ticks_ms(), began) * speed & 0x3FFFFFFF
        )
    )
    number = latest = 0
    while not mover.done():
        before = time.ticks_ms()
        await asyncio.sleep_ms(10)
        late = time.ticks_diff(time.ticks_ms(), before) - 10
        if late > latest:
            latest = late
            say("late", late)
        if len(waiting) < 100:
            waiting.append(number)
            number += 1
            fill()
    say("the mover ended")


asyncio.run(main())
