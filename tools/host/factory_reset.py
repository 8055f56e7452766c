"""Let a pile forget what it has learned in the field, before it goes to another place or owner.

That is: what was changed of its configuration since it was provisioned, local list, authorization
cache, reservations, and the sessions of the past. It stays who it is: identity, credentials, links
and the installation's ratings (also where the backend has changed them), the board file with the
meter's calibration, keys, the contactor's wear, faults that wait for service, black boxes; and
what the backend has not got of its transactions.
"""

import json
import sys

from . import port
from .errors import BadInput

_RESET = """
import hal, json
from firmware import changes
def _reset():
    board = hal.load("board.json")
    closed = lambda: any(place.contactor.closed() for place in board.outlets)
    print(json.dumps(changes.factory_reset(board.store, closed, board=board)))
_reset()
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def agreed():
    """Whether who sits at the terminal wants it."""
    if not sys.stdin.isatty():
        raise BadInput("expected somebody at a terminal, found none; --yes does without")
    print("forget lists, cache, reservations, tariffs, the sessions of the past and what was"
          " changed of the configuration? [yes, or Enter to keep them] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def main(args):
    """Run the sub-command; returns the exit code."""
    if not (args.yes or agreed()):
        print("nothing was forgotten")
        return 0
    with port.Port(args.port) as board:
        board.bench()
        try:
            gone = json.loads(board.run(_RESET, 60).splitlines()[-1])
        finally:
            told = board.leave()
    print("forgotten: %s" % (", ".join(gone) or "nothing, for nothing was learned"))
    print(port.judge(told))
    return 0
