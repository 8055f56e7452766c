"""Print the last lines of a pile's log, which it keeps in memory.

The pile is stopped for it, and started again.
"""

from . import port


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        for line in board.kept():
            print(line)
        board.bench()
        board.leave(2)
    return 0
