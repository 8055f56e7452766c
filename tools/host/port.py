"""A board's prompt at the end of a serial line, by mpremote's own transport."""

import ast
import base64
import contextlib
import io
import os
import struct
import sys
import time

from . import build
from .errors import BadInput, Failed

CHUNK = 1536  # bytes in one command: as base64 it fits a small heap many times
ANSWER_S = 20
SETTLED_S = 6  # for a first answer; then it is asked anew
SILENCE_S = 2  # on a pseudo-terminal, where mpremote waits in a read
REBOOT_S = 20
OLDEST = (1, 25)
# sys.implementation._mpy >> 10, as mpy-cross names them
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp",
                 "armv7emdp", "xtensa", "xtensawin", "rv32imc", "rv64imc")

_TO_BENCH = """
from hal import PROMPT
try:
    if globals().get("board", 0) is None:
        print("there")
    else:
        import hal
        hal.retain("board.json", PROMPT)
        print("pile")
except Exception:
    print("blank")
"""
_LEAVE = """
try:
    import hal
    hal.retain("board.json", 0)
except Exception:
    pass
"""
_ABOUT = """
import sys
i = sys.implementation
print((i.name, tuple(i.version[:3]), getattr(i, "_mpy", 0), sys.platform, getattr(i, "_machine",
"")))
"""
_HASHES = """
def _hashes(paths):
    import binascii, hashlib
    buffer = bytearray(512)
    view = memoryview(buffer)
    for path in paths:
        try:
            file = open(path, "rb")
        except OSError:
            continue
        digest = hashlib.sha256()
        while True:
            n = file.readinto(buffer)
            if not n:
                break
            digest.update(view[:n])
        file.close()
        print(binascii.hexlify(digest.digest()).decode(), path)
"""


def argument(parser, required=True):
    """Declare --port."""
    parser.add_argument("--port", metavar="P", required=required,
                        help="where the board is: /dev/ttyACM0, or what `virtual` has printed")


@contextlib.contextmanager
def bar(title, total):
    """A progress bar, gone when it is done, absent without a terminal; yields advance(n)."""
    from rich.progress import Progress

    with Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(title, total=total)
        yield lambda n: progress.update(task, advance=n)


class Port:
    """An open port with the board at its prompt. Use it in a `with`; `bench` first.

    Every method raises Failed, in words, when the board does not answer as expected.
    """

    def __init__(self, name):
        self.name = name
        self._device = os.path.realpath(name) if os.path.exists(name) else name
        self._transport = self._open()
        self._helpers = set()

    def _open(self):
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport

        if "://" not in self._device and not os.path.exists(self._device):
            raise BadInput("--port: expected a serial port with a board, found no %s; plug the"
                           " board in and see `.venv/bin/mpremote devs`" % self.name)
        try:
            return SerialTransport(self._device, timeout=SILENCE_S)
        except (OSError, TransportError) as error:
            raise BadInput("--port: expected %s to be free, found that it cannot be opened (%s);"
                           " end other programs that use it" % (self.name, error)) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._transport.close()

    @contextlib.contextmanager
    def _words(self, doing):
        from mpremote.transport import TransportError

        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the transport prints what it read
                yield
        except (OSError, TransportError, struct.error) as error:
            raise Failed("%s: the board at %s does not answer (%s); reset it and try again"
                         % (doing, self.name, str(error) or "it fell silent")) from None

    def _interrupt(self):
        from mpremote.transport import TransportError

        for tries_left in (1, 0):  # a board that has just been reset may not have listened
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    self._transport.enter_raw_repl(soft_reset=False, timeout_overall=4)
                break
            except (OSError, TransportError):
                if not tries_left:
                    raise BadInput("--port: expected MicroPython's prompt at %s, found no answer;"
                                   " a pile in production has closed it, and must be erased"
                                   % self.name) from None

    def bench(self):
        """Interrupt what runs, and keep the pile from starting until `leave`. Returns
        (platform, architecture, machine) of the board.
        """
        program = build.program(_TO_BENCH)
        for tries_left in (2, 1, 0):
            self._interrupt()
            try:
                told = self.run(program, SETTLED_S if tries_left else ANSWER_S)
                break
            except Failed:
                # The prompt that answered was of before a reset just now, or greets a second time.
                if not tries_left:
                    raise
                self._transport.serial.read(self._transport.serial.in_waiting)
        if told.strip() == "pile":
            # Its watchdog cannot be stopped: begin anew, and stay at the prompt.
            self._restart()
        name, version, mpy, platform, machine = ast.literal_eval(self.run(_ABOUT))
        if name != "micropython" or version < OLDEST:
            raise BadInput("--port: expected MicroPython %d.%d or newer at %s, found %s %s;"
                           " install a newer one on the board"
                           % (*OLDEST, self.name, name, ".".join(map(str, version))))
        architecture = mpy >> 10
        known = architecture < len(ARCHITECTURES)
        return platform, ARCHITECTURES[architecture] if known else "unknown", machine

    def _restart(self):
        with self._words("restarting"):
            self._transport.exec_raw_no_follow(
                "import machine, time; time.sleep_ms(100); machine.reset()")
        self._helpers.clear()
        with contextlib.suppress(OSError):
            self._transport.close()
        # A native USB port goes and comes back; what is printed until then is lost.
        deadline = time.monotonic() + REBOOT_S
        time.sleep(0.3)
        while True:
            try:
                self._transport = self._open()
                break
            except BadInput:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._quiet()
        with self._words("restarting"):
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=5)

    def _quiet(self):
        # Until the boot is over: a Ctrl-C before would keep it from making the outputs safe. What
        # answers a newline by a prompt has booted.
        serial = self._transport.serial
        deadline = time.monotonic() + REBOOT_S
        asked = 0
        heard = b""
        with self._words("restarting"):
            while time.monotonic() < deadline and not heard.endswith(b">>> "):
                if time.monotonic() > asked + 1:
                    asked = time.monotonic()
                    serial.write(b"\r")
                waiting = serial.in_waiting
                heard = (heard + serial.read(waiting))[-100:]
                if not waiting:
                    time.sleep(0.01)

    def run(self, code, timeout_s=ANSWER_S):
        """What `code` prints on the board; raises Failed with the last line of its exception."""
        with self._words("running a command"):
            told, error = self._transport.exec_raw(code, timeout=timeout_s)
        if error:
            raise Failed(self._said(error))
        return told.decode(errors="replace").replace("\r\n", "\n")

    def follow(self, code, heard, silence_s=ANSWER_S):
        """Run `code` and call `heard(line)` for each line it prints; what `heard` returns, unless
        None, is sent to it as a line. Raises Failed with the last line of its exception.
        """
        serial = self._transport.serial
        with self._words("starting a program"):
            self._transport.exec_raw_no_follow(code)
        line = error = b""
        ended = False
        last = time.monotonic()
        while True:
            # One by one: the prompt that follows the end is the transport's to read.
            with self._words("running a program"):
                byte = serial.read(1) if serial.in_waiting else b""
            if not byte:
                if time.monotonic() > last + silence_s:
                    raise Failed("the board at %s has said nothing for %d s; reset it and try"
                                 " again" % (self.name, silence_s))
                time.sleep(0.01)
                continue
            last = time.monotonic()
            if byte == b"\x04":
                if not ended:
                    ended = True
                elif error:
                    raise Failed(self._said(error))
                else:
                    return
            elif ended:
                error += byte
            elif byte == b"\n":
                answer = heard(line.decode(errors="replace").rstrip("\r"))
                line = b""
                if answer is not None:
                    serial.write(answer.encode() + b"\n")
                    last = time.monotonic()
            else:
                line += byte

    def _said(self, error):
        last = error.decode(errors="replace").strip().splitlines()[-1]
        if "no module named" in last:
            last += "; flash it first"
        return "the board at %s says: %s" % (self.name, last)

    def kept(self):
        """The last lines of the log of the pile that runs; it is stopped."""
        self._interrupt()
        return self.run("from hal import log\nfor _line in log.kept:\n print(_line)").splitlines()

    def interrupt(self):
        """Ctrl-C: end the program that `follow` has started, and be at the prompt again."""
        with self._words("interrupting"):
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=5)

    def friendly(self):
        """Leave the prompt as people know it, for another program."""
        with self._words("leaving"):
            self._transport.exit_raw_repl()

    def hashes(self, paths, advance=lambda n: None):
        """{path: SHA-256 in hex} of those of `paths` that are on the board, read there."""
        if "hashes" not in self._helpers:
            self.run(_HASHES)
            self._helpers.add("hashes")
        found = {}
        paths = sorted(paths)
        for i in range(0, len(paths), 16):
            for line in self.run("_hashes(%r)" % (paths[i : i + 16],)).splitlines():
                digest, path = line.split(" ", 1)
                found[path] = digest
            advance(16)
        return found

    def write(self, path, data, advance=lambda n: None):
        """Write the file `path`. A power cut may leave any part of it."""
        self.run("import binascii\n_f = open(%r, 'wb')" % path)
        for i in range(0, len(data), CHUNK):
            piece = data[i : i + CHUNK]
            self.run("_f.write(binascii.a2b_base64(%r)) and None" % base64.b64encode(piece))
            advance(len(piece))
        self.run("_f.close()")

    def leave(self, wait_s=REBOOT_S):
        """Let the pile start: a soft reset. Returns what it says on the console until it runs, or
        until it is at the prompt, as lines.
        """
        self.run(_LEAVE)
        serial = self._transport.serial
        with self._words("resetting"):
            self._transport.exit_raw_repl()
            time.sleep(0.1)
            serial.read(serial.in_waiting)
            serial.write(b"\x04")
            deadline = time.monotonic() + wait_s
            heard = b""
            while time.monotonic() < deadline:
                waiting = serial.in_waiting
                if not waiting:
                    time.sleep(0.01)
                    continue
                heard += serial.read(waiting)
                lines = heard.decode(errors="replace").replace("\r\n", "\n").split("\n")
                if is_hello(lines[:-1]) or (b"reboot" in heard and heard.endswith(b">>> ")):
                    break
        return [line for line in heard.decode(errors="replace").splitlines() if line.strip()]


def is_hello(lines):
    """The line by which main.py says that the pile runs; None when it is not among `lines`."""
    for line in lines:
        if line.startswith("Voltpile ") and ": " in line:
            return line
    return None


def judge(lines):
    """The hello among the lines of a start; raises Failed with what they say instead."""
    hello = is_hello(lines)
    if hello:
        return hello
    told = [line for line in lines if line.startswith("Voltpile:") or "Error: " in line]
    raise Failed("expected the pile's hello after the reset, found %s"
                 % (told[-1] if told else "nothing; look with `pile.py shell`"))
