"""Print what happened around the last openings of the contactor that nobody asked for.

A line a record, and with --out all of each as JSON. The pile is stopped for it, and started again.
"""

import json
from pathlib import Path

from . import build, port

_READ = """
import hal, json
from firmware.safety import blackbox, playback
from firmware.safety.blackbox import KEPT
def _read():
    store = hal.load("board.json").store
    for i in range(KEPT):
        record = store.load("blackbox%d" % i)
        if blackbox.number(record):
            print(json.dumps(playback.read(record)))
_read()
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--out", metavar="FILE.json", help="where all of the records go")


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        board.bench()
        try:
            told = board.run(build.program(_READ), 60)
        finally:
            board.leave(2)
    records = sorted((json.loads(line) for line in told.splitlines() if line.startswith("{")),
                     key=lambda record: record["number"])
    for record in records:
        why = ", ".join(record["faults"]) or ("the vehicle did not stop in 6 s" if record["forced"]
                                              else "not known")
        print("%4d  %s  outlet %d: %s; %d entries, %d mA at the opening"
              % (record["number"], record["time"] or "%d s after the start" % record["uptime_s"],
                 record["outlet"], why, len(record["ms"]), at_opening(record)))
    if not records:
        print("no opening that nobody asked for")
    if args.out:
        Path(args.out).write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return 0


def at_opening(record):
    """The current in mA when the contactor opened."""
    before = [ma for ms, ma in zip(record["ms"], record["current_ma"]) if ms <= 0]
    return before[-1] if before else 0
