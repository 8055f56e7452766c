"""Say that a technician has seen to a pile: let go of the faults that only service clears.

A welded contactor, say: such a fault outlives resets and power cuts, and nobody clears it from
afar. What is still wrong comes back at once, when the pile starts again.
"""

import json
import sys

from . import port
from .errors import BadInput

# The faults' names, a list an outlet. "service": as firmware.upkeep names it in the store; a board
# has that module's private names shortened.
_WAITING = """
import hal, json
from firmware.safety.faults import names
_store = hal.load("board.json").store
_kept = _store.load("service") or b""
print(json.dumps([names(int.from_bytes(_kept[i : i + 4], "little"))
                  for i in range(0, len(_kept), 4)]))
"""
_LET_GO = '_store.save("service", bytes(len(_kept)))'


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask: it has been seen to")


def agreed():
    """Whether the technician at the terminal says that it has been seen to."""
    if not sys.stdin.isatty():
        raise BadInput("expected a technician at a terminal, found none; --yes says that it has"
                       " been seen to")
    print("have the causes been seen to? [yes, or Enter to leave them] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        board.bench()
        try:
            waiting = json.loads(board.run(_WAITING).splitlines()[-1])
            for i, found in enumerate(waiting):
                for fault in found:
                    print("outlet %d: %s" % (i + 1, fault))
            letting_go = any(waiting) and (args.yes or agreed())
            if letting_go:
                board.run(_LET_GO)
        finally:
            told = board.leave()
    if letting_go:
        print("let go; `pile.py monitor --port %s` shows what comes back" % args.port)
        print(port.judge(told))
    else:
        print("nothing was let go" if any(waiting) else "no fault waits for service")
    return 0
