"""The pile's half of tools/chaos.py, run by MicroPython: sells without end, on a clock that runs
faster than life.

    chaos_pile.py BROKER STATION SPEED SEED [tls] [stalls]

`stalls`: with TLS as on an ESP32, whose handshake waits until no contactor is driven, or pauses
the charging; while one is driven there is a file of the name `driven`.

Sessions follow each other until the file `stop` exists; then the pile lets go of its line once
everything is told, and prints what it found, as JSON: {"energy_mwh", "ticks", "late": [...],
"errors"}; late[i] is how many ticks of the safety core came i ms late on the wall. Its trace is
the file trace.jsonl.
"""

import asyncio
import json
import os
import sys
import time

from firmware import config
from firmware.station import Station
from hal.virtual import scenario
from hal.virtual.board import VirtualBoard
from hal.virtual.random import Random

CARD = "04A1B2C3D4E5F6"
TICK_MS = 10  # on the wall
MOST_MS = 200  # as late as that, or later
LOOK_MS = 500
CONFIG = {"sample_interval_s": 5, "min_pause_s": 0}


class Sessions:
    """A vehicle after the other."""

    def __init__(self, board, seed):
        self._board = board
        self._random = Random(seed)
        self._at_ms = 5000
        self.stopped = False
        self._begin(None)

    def _begin(self, _):
        if self.stopped:
            return
        length_ms = 15000 + self._random.below(60) * 1000
        steps = [("plug", 0), ("card", 3000), ("ready", 6000), ("unplug", 6000 + length_ms)]
        if self._random.below(3) == 0:
            steps += [("pause", 6000 + length_ms // 3), ("ready", 6000 + length_ms // 2)]
        for do, after_ms in sorted(steps, key=lambda step: step[1]):
            step = {"at_ms": self._at_ms + after_ms, "do": do}
            if do == "card":
                step["uid"] = CARD
            scenario.schedule({"steps": [step]}, self._board)
        self._at_ms += 6000 + length_ms + 3000 + self._random.below(20) * 1000
        self._board.plant.at(self._at_ms * 1000 - 1000, self._begin, None)


async def run(board, station, sessions, speed):
    """Run until there is nothing more to tell; returns what was found."""
    plant = board.plant
    main = asyncio.create_task(station.main())
    late = [0] * (MOST_MS + 1)
    driven = False
    ticks = 0
    began_us = last_us = time.ticks_us()
    look_us = 0
    done = False
    while not done:
        now_us = time.ticks_us()
        if ticks:
            late_ms = max(time.ticks_diff(now_us, last_us) // 1000 - TICK_MS, 0)
            late[min(late_ms, MOST_MS)] += 1
        ticks += 1
        last_us = now_us
        plant.advance(time.ticks_diff(now_us, began_us) * speed)
        station.safety_tick(board.clock.ticks_ms())
        if station.driven() != driven:
            driven = not driven
            if driven:
                open("driven", "w").close()
            else:
                os.remove("driven")
        if time.ticks_diff(now_us, began_us) >= look_us:
            look_us += LOOK_MS * 1000
            board.trace.flush()
            sessions.stopped = sessions.stopped or "stop" in os.listdir()
            done = sessions.stopped and not station.outlets[0].plugged
            done = done and not station.backend.outbox.owes
        await asyncio.sleep_ms(TICK_MS)
    main.cancel()
    return {
        "energy_mwh": plant.energy_mwh(),
        "ticks": ticks,
        "late": late,
        "errors": station.errors,
    }


def main(broker, name, speed, seed, tls, stalls):
    speed = int(speed)
    profile = "esp32" if stalls or not tls else "rp2040"
    made = {field: told[1] for field, told in config.FIELDS.items()}
    made.update({"station_id": name, "broker": broker, "tls": int(tls)})
    made["tls_pause"] = 1
    made.update(CONFIG)
    with open("trace.jsonl", "w") as trace:
        until_ms = 1 << 50
        board = VirtualBoard(
            {"until_ms": until_ms, "steps": [], "profile": profile, "seed": int(seed),
             "tick_ms": TICK_MS * speed},
            trace,
            True,
        )
        station = Station(board, made)
        sessions = Sessions(board, int(seed))
        found = asyncio.run(run(board, station, sessions, speed))
        board.trace.flush()
    print(json.dumps(found))


broker, name, speed, seed, *more = sys.argv[1:]
main(broker, name, speed, seed, "tls" in more, "stalls" in more)
