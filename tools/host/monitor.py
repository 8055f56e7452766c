"""A live view of a board's roles while its pile works, until Ctrl-C.

The pile is started under the view: what it does it really does. Afterwards it starts as ever.
"""

import contextlib
import json
import sys
import time

from . import build, port

_PROGRAM = """
import json
from array import array
import hal
from firmware import config
from firmware.safety.core import DRIVE, INPUTS, LEVEL_MV, PERMILLE, STANDING, STATE, STATES
from firmware.safety.faults import names
from firmware.station import Station
def _monitor(every_ms):
    try:
        settings = config.load("config.json")
    except ValueError:
        settings = config.check({"station_id": "bench"}, "bench")
    board = hal.load("board.json")
    station = Station(board, settings)
    tick = station.tick
    cells = array("i", [0] * 11)
    due = [board.clock.ticks_ms()]
    def told(now_ms):
        tick(now_ms)
        if 0 <= (now_ms - due[0]) & 0x3FFFFFFF < 1 << 29:
            due[0] = (now_ms + every_ms) & 0x3FFFFFFF
            outlets = []
            for place, core in zip(board.outlets, station.cores):
                c = core.cells
                place.meter.read(cells)
                heat = place.thermometer.read() if place.thermometer else None
                socket = place.socket
                outlets.append({
                    "state": STATES[c[STATE]], "pilot_mv": c[LEVEL_MV], "permille": c[PERMILLE],
                    "drive": c[DRIVE], "inputs": c[INPUTS], "faults": names(c[STANDING]),
                    "meter": list(cells), "phases": place.phases, "decidegrees": heat,
                    "proximity_ohm": socket.proximity_ohm() if socket else None,
                    "locked": socket.locked() if socket else None,
                })
            why = [[reason["text"] for reason in station.explain(i)]
                   for i in range(len(station.outlets))]
            print(json.dumps({"ms": now_ms, "line": station.backend.link.up, "why": why,
                              "errors": station.errors, "outlets": outlets}))
    station.tick = told
    board.run(station)
_monitor(%d)
"""
EVERY_MS = 500
INPUTS = ("residual", "estop", "earth lost", "live", "closed", "door", "tilt", "smoke")


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--for", dest="for_s", metavar="S", type=float,
                        help="end after so many seconds (default: at Ctrl-C)")


def lines(seen):
    """What one look at the board says, as lines of text."""
    yield "%9.1f s   line to the backend: %s   errors: %d" % (
        seen["ms"] / 1000, "up" if seen["line"] else "down", seen["errors"])
    for i, outlet in enumerate(seen["outlets"]):
        yield "outlet %d   state %-3s pilot %6d mV at %4d permille   contactor %s   faults: %s" % (
            i + 1, outlet["state"], outlet["pilot_mv"], outlet["permille"],
            "closed" if outlet["inputs"] & 16 else "driven" if outlet["drive"] else "open",
            ", ".join(outlet["faults"]) or "none")
        cells, n = outlet["meter"], outlet["phases"]
        age = "%d ms old" % cells[2] if cells[2] < 1 << 29 else "never read"
        yield "   meter    %s V   %s A   %.3f kW   %.3f kWh   %.2f Hz   (%s)" % (
            " ".join("%.1f" % (mv / 1000) for mv in cells[4 : 4 + n]),
            " ".join("%.2f" % (ma / 1000) for ma in cells[7 : 7 + n]),
            cells[10] / 1e6, cells[0] / 1000, cells[3] / 1000, age)
        heat, ohm = outlet["decidegrees"], outlet["proximity_ohm"]
        yield "   inputs   %s   temperature %s   cable %s   lock %s" % (
            ", ".join(name for bit, name in enumerate(INPUTS) if outlet["inputs"] >> bit & 1)
            or "none", "%.1f C" % (heat / 10) if heat is not None else "none",
            "%d Ohm" % ohm if ohm is not None else "none",
            {True: "locked", False: "unlocked", None: "none"}[outlet["locked"]])
        for reason in seen["why"][i]:
            yield "   why      " + reason


class Enough(Exception):
    """Raised by what hears the looks: the pile has been watched for long enough."""


def watch(board, heard):
    """Run the pile on `board`, which is at its prompt, and call `heard(seen)` for each look at it
    until that raises. Enough ends it well. Afterwards the pile starts as ever.
    """
    def look(line):
        if line.startswith("{"):
            heard(json.loads(line))

    try:
        board.follow(build.program(_PROGRAM % EVERY_MS), look)
    except Enough:
        pass
    finally:
        board.interrupt()
        board.bench()
        board.leave(2)


def main(args):
    """Run the sub-command; returns the exit code."""
    from rich.live import Live
    from rich.text import Text

    end = time.monotonic() + args.for_s if args.for_s else float("inf")
    live = sys.stdout.isatty()
    with port.Port(args.port) as board, contextlib.ExitStack() as stack:
        board.bench()
        view = stack.enter_context(Live(transient=True)) if live else None

        def heard(seen):
            text = "\n".join(lines(seen))
            if view:
                view.update(Text(text))
            else:
                print(text, flush=True)
            if time.monotonic() > end:
                raise Enough

        watch(board, heard)
    return 0
