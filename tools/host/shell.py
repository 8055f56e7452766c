"""The prompt of a board, by mpremote; the pile does not run meanwhile, and starts afterwards.

Ctrl-] ends it.
"""

import os
import subprocess
import sys

from . import port


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        board.bench()
        board.friendly()
    device = os.path.realpath(args.port) if os.path.exists(args.port) else args.port
    done = subprocess.run([sys.executable, "-m", "mpremote", "connect", device, "resume", "repl"],
                          check=False)
    with port.Port(args.port) as board:
        board.bench()
        board.leave(2)
    return done.returncode
