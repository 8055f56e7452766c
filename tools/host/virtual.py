"""Serve MicroPython with a directory as its flash, on a pseudo-terminal, as if it were a board.

mpremote and every command with --port can be used on it; `flash --board virtual` puts the virtual
pile there. No vehicle ever comes to that pile: `run` and `sim` have one. Ctrl-C, raw REPL, soft
reset (Ctrl-D) and machine.reset() do what they do on a board: the last two start another
interpreter. Ends with Ctrl-C.

The child sees its directory as /, but `..` leads out of it: it is a convenience, not a jail.
"""

import contextlib
import errno
import os
import select
import signal
import tempfile
import termios
import time
import tty
from pathlib import Path

from . import pile_process
from .errors import BadInput, Failed

# What a port's C code does before it comes to boot.py. A board's `machine` has a reset(); here it
# ends the process by SIGKILL, as a power cut does; SIGTERM is a soft reset. In __main__ nothing of
# this may stay: boot.py, main.py and the REPL share it. The NUL says that from here on a Ctrl-C
# finds MicroPython.
_START = """
def _start():
    import machine, os, sys, vfs
    class Machine:
        PWRON_RESET = 1
        def __getattr__(self, name):
            return getattr(machine, name)
        def reset(self):
            os.system("kill -9 $PPID")
        def soft_reset(self):
            os.system("kill -15 $PPID")
        def reset_cause(self):
            return 1
        def unique_id(self):
            return b"virtual\\0"
    sys.modules["machine"] = board = Machine()
    root = %r
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(root), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []
    print(end=chr(0))
    for name in %r:
        try:
            os.stat(name)
        except OSError:
            continue
        try:
            execfile(name)
        except SystemExit:
            board.soft_reset()
        except BaseException as error:
            sys.print_exception(error)
            break
_start()
del _start
"""

_RAW = b"raw REPL; CTRL-B to exit\r\n"
_BANNER = b"MicroPython "
_PASTE = b"\x05A\x01"
_WINDOW = 2048
_PATIENCE_S = 1
_LOOK_S = 0.005
_KEPT = 65536  # bytes that nobody has read yet


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.add_argument("--port", metavar="LINK", nargs="?",
                        help="a link to make to the pseudo-terminal (default: none)")
    parser.add_argument("--dir", metavar="DIR", default="out/virtual",
                        help="the directory that is the board's flash (default: %(default)s)")


class Child:
    """One life of the interpreter, from a reset to the next, on a terminal of its own."""

    def __init__(self, root, home, boots):
        argv, env = pile_process.command("micropython")
        env.pop("MICROPYPATH", None)
        env["HOME"] = str(home)  # where the REPL writes its history
        env["TERM"] = "dumb"
        code = _START % (str(root), boots)
        self.pid, self.fd = os.forkpty()
        if self.pid == 0:
            try:
                # While a program runs the terminal is as we set it here: bytes as they are, and
                # Ctrl-C interrupts. The REPL sets its own mode.
                tty.setraw(0)
                mode = termios.tcgetattr(0)
                mode[3] |= termios.ISIG | termios.NOFLSH
                for key in (termios.VQUIT, termios.VSUSP):
                    mode[6][key] = b"\0"
                termios.tcsetattr(0, termios.TCSANOW, mode)
                os.execve(argv[0], [argv[0], "-i", "-c", code], env)
            finally:
                os._exit(127)
        os.set_blocking(self.fd, False)

    def read(self):
        """What it printed; b"" when it has ended."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def runs(self):
        """Whether a program runs, and not the REPL: by the mode of its terminal."""
        return termios.tcgetattr(self.fd)[3] & termios.ISIG

    def end(self):
        """Collect it, with force if it still runs; whether it had ended by a soft reset."""
        os.close(self.fd)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGTERM
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)


class Server:
    """The pseudo-terminal and the child behind it. `path` is what mpremote connects to."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        self._home = tempfile.TemporaryDirectory(prefix="voltpile-")
        self._master, self._slave = os.openpty()  # the slave stays open: a client may come and go
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._to_client = bytearray()
        self._to_child = bytearray()
        self._raw = False
        self._tail = b""
        self._swallow = False
        self._booting = True
        self._interrupted_s = 0  # when Ctrl-C went to a program that has not ended since
        self._paste = None  # what was pasted so far
        self._pasted = False  # it is with the child, which has not said OK yet
        self.child = None

    def start(self, soft=False):
        """Let an interpreter boot; in the raw REPL a soft reset leaves main.py out."""
        if soft:
            self._say(b"MPY: soft reboot\r\n")
        raw = soft and self._raw
        self._raw = False
        self._tail = b""
        self._to_child.clear()
        self._interrupted_s = 0
        self._paste = None
        self._pasted = False
        self._swallow = raw
        self._booting = True
        self.child = Child(self.root, self._home.name, ("boot.py",) if raw else ("boot.py",
                                                                                 "main.py"))

    def serve(self, ready=None):
        """Carry bytes for ever; `ready()` hears when the first child runs."""
        self.start()
        if ready:
            ready()
        while True:
            self.turn()

    def turn(self):
        """Carry what there is to carry; waits until there is something."""
        child = self.child
        reads = [child.fd]
        if len(self._to_child) < 4 * _WINDOW:
            reads.append(self._master)
        held = self._booting or self._interrupting(child)
        writes = [child.fd] if self._to_child and not held else []
        if self._to_client:
            writes.append(self._master)
        patience_s = _LOOK_S if self._interrupted_s else None
        readable, writable, _ = select.select(reads, writes, [], patience_s)
        if self._master in readable:
            with contextlib.suppress(BlockingIOError):
                self._told(os.read(self._master, 4096))
        if child.fd in writable:
            with contextlib.suppress(BlockingIOError, OSError):
                at = self._to_child.find(b"\x03") + 1
                if at and child.runs():
                    self._interrupted_s = time.monotonic()
                sent = os.write(child.fd, self._to_child[:at] if at else self._to_child)
                del self._to_child[:sent]
        if child.fd in readable:
            data = child.read()
            if data == b"":
                self._ended(child)
                return
            if data:
                self._heard(data)
        if self._to_client and self._master in writable:
            with contextlib.suppress(BlockingIOError):
                sent = os.write(self._master, self._to_client)
                del self._to_client[:sent]

    def _told(self, data):
        # Raw paste is served here and becomes a plain raw command: the interpreter would leave its
        # terminal without Ctrl-C while it runs what was pasted.
        if self._paste is None:
            if not (self._raw and data.endswith(_PASTE)):
                self._to_child += data
                return
            self._to_child += data[: -len(_PASTE)]
            self._paste = bytearray()
            self._say(b"R\x01" + _WINDOW.to_bytes(2, "little"))
            return
        before = len(self._paste) // _WINDOW
        self._paste += data
        end = self._paste.find(b"\x04") + 1
        if not end:
            self._say(b"\x01" * (len(self._paste) // _WINDOW - before))
            return
        self._to_child += self._paste
        self._paste = None
        self._pasted = True
        self._say(b"\x04")

    def _interrupting(self, child):
        """Whether a program has been interrupted and the REPL has not come back yet: when it sets
        its terminal's mode, what waits there is lost.
        """
        if self._interrupted_s and (
            not child.runs() or time.monotonic() - self._interrupted_s > _PATIENCE_S
        ):
            self._interrupted_s = 0
        return self._interrupted_s

    def _ended(self, child):
        soft = child.end()
        if self._booting and soft:
            words = bytes(self._to_client[-500:]).decode(errors="replace").strip()
            raise Failed("expected MicroPython to start, it ended before boot.py: %s"
                         % (words or "no words"))
        self.start(soft)

    def _heard(self, data):
        if self._booting:
            words, nul, data = data.partition(b"\0")
            self._say(words)
            if not nul:
                return
            self._booting = False
        self._tail = (self._tail + data)[-200:]
        if self._swallow:
            # After a soft reset in the raw REPL comes the raw REPL: leave the friendly one's words
            # out.
            at = self._tail.find(_BANNER)
            if at < 0:
                self._say(data.replace(b"\n", b"\r\n"))
            elif b">>> " in self._tail[at:]:
                self._swallow = False
                self._tail = b""
                self._to_child += b"\x01"
            return
        if self._pasted:
            before, ok, after = data.partition(b"OK")
            self._pasted = not ok
            data = before + after
        raw, friendly = self._tail.rfind(_RAW), self._tail.rfind(b"\n>>> ")
        if raw != friendly:
            self._raw = raw > friendly
        if not self._raw:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._say(data)

    def _say(self, data):
        # Nobody may be there to read: a board's words are lost then, too.
        self._to_client += data
        del self._to_client[:-_KEPT]

    def close(self):
        """End the child and give the pseudo-terminal back."""
        if self.child:
            os.kill(self.child.pid, signal.SIGKILL)  # not collected yet, so still its own
            self.child.end()
        os.close(self._master)
        os.close(self._slave)
        self._home.cleanup()


def main(args):
    """Run the sub-command until it is interrupted; returns the exit code."""
    root = Path(args.dir)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("--dir: expected a directory that can be written, found %s: %s"
                       % (root, error.strerror)) from None
    link = Path(args.port) if args.port else None
    if link and link.exists() and not link.is_symlink():
        raise BadInput("--port: expected a free name for a link, found %s; name another" % link)
    server = Server(root)
    try:
        if link:
            link.unlink(missing_ok=True)
            try:
                link.symlink_to(server.path)
            except OSError as error:
                raise BadInput("--port: expected a place for a link, found %s: %s"
                               % (link, error.strerror)) from None
        server.serve(lambda: print("a virtual board on %s%s, its flash is %s"
                                   % (server.path, " (%s)" % link if link else "", root),
                                   flush=True))
    finally:
        server.close()
        if link and link.is_symlink() and os.readlink(link) == server.path:
            link.unlink()
    return 0


