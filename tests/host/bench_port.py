"""What the tests of the bench share: a virtual board on a pseudo-terminal, and the command."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import pile as command

REPO = Path(__file__).resolve().parents[2]
PILE = [sys.executable, str(REPO / "tools" / "pile.py")]
MPREMOTE = [sys.executable, "-m", "mpremote"]


def pile(*args, env=None, code=0, **kwargs):
    """Run `pile.py`; returns what it printed, errors too. Asserts its exit code."""
    done = subprocess.run([*PILE, *map(str, args)], stdin=subprocess.DEVNULL, cwd=REPO,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150,
                          env={**os.environ, **(env or {})}, check=False, **kwargs)
    assert done.returncode == code, done.stdout
    return done.stdout


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def within(*args, code=0, answer=None):
    """As `pile`, and quicker: within this process. With an `answer` somebody at a terminal gives
    it.
    """
    before = sys.stdin
    sys.stdin = io.StringIO() if answer is None else _Terminal(answer + "\n")
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            found = command.main([str(arg) for arg in args])
    except SystemExit as end:  # argparse
        found = end.code
    finally:
        sys.stdin = before
    assert found == code, told.getvalue()
    return told.getvalue()


class Board:
    """`pile.py virtual` on the directory `flash`."""

    def __init__(self, flash):
        self.flash = Path(flash)
        self.process = subprocess.Popen([*PILE, "virtual", "--dir", str(flash)],
                                        stdout=subprocess.PIPE, text=True, cwd=REPO)
        words = self.process.stdout.readline().split()
        self.port = next(word for word in words if word.startswith("/dev/")).rstrip(",")

    def mpremote(self, *args, timeout=60):
        """Run the real mpremote on it; returns what it printed."""
        done = subprocess.run([*MPREMOTE, "connect", self.port, *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pile(self, command, *args, **kwargs):
        """Run `pile.py COMMAND` on it."""
        return pile(command, "--port", self.port, *args, **kwargs)

    def within(self, command, *args, **kwargs):
        """As `pile`, and quicker: within this process."""
        return within(command, "--port", self.port, *args, **kwargs)

    def child(self):
        """The process id of its interpreter."""
        children = Path("/proc/%d/task/%d/children" % ((self.process.pid,) * 2))
        return int(children.read_text().split()[0])

    def cut_power(self):
        """What a power cut does: the interpreter is gone, its files are as they are."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child(), signal.SIGKILL)

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)


@contextlib.contextmanager
def board(flash):
    """A `Board` for a `with`."""
    served = Board(flash)
    try:
        yield served
    finally:
        served.close()


_flashed = None


def flashed(target, provisioned=True):
    """A copy in `target` of a flash that `pile.py flash` and `provision` have filled, once for all
    tests of this process.
    """
    global _flashed
    if _flashed is None:
        made = tempfile.TemporaryDirectory(prefix="voltpile-")
        with board(Path(made.name) / "flash") as served:
            served.pile("flash", "--board", "virtual")
            served.pile("provision", env={"VOLTPILE_STATION_ID": "CP-7"})
        _flashed = made
    shutil.copytree(Path(_flashed.name) / "flash", target)
    if not provisioned:
        for name in ("config.json", "config.1"):
            (Path(target) / name).unlink()
    return Path(target)


def wait(condition, most_s=20):
    """Until `condition()`; returns what it gave."""
    deadline = time.monotonic() + most_s
    while True:
        found = condition()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
