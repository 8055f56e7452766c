"""Print the last lines of a pile's log, which it keeps in memory.

The pile is stopped for it, and started again.
"""

import sys

from . import port


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        lines = list(board.kept())
        for line in lines:
            print(line)
        if not lines:
            print("the pile at %s was not running: it kept no log; it starts now, and"
                  " `pile.py monitor` shows why if it does not" % args.port, file=sys.stderr)
        board.bench()
        board.leave(2)
    return 0
