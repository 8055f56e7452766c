"""Start the pile: its working directory's files, and the interpreter that runs boot and main."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tools import viper

from .errors import BadInput

REPO = Path(__file__).resolve().parents[2]
# What `make` puts beside the packages of the venv that runs this tool.
VENV = Path(sys.prefix)
UMQTT = VENV / "umqtt"
INTERPRETERS = ("micropython", "cpython")
OLDEST_MICROPYTHON = (1, 25)
PROGRAM = "import boot, main"
_VIPER_64 = ("x86_64", "AMD64")  # machines of 64 bits that MicroPython has a code generator for


def write_files(directory, scenario, trace, time, config, flash=None):
    """Write board.json, config.json and scenario.json into the pile's working directory.

    `scenario` is what scenario.check returned, `trace` the file that the pile shall write, `time`
    "real" or "simulated", `config` the fields of config.json. `flash`: the directory that gets
    what its flash and FRAM hold at the end; emptied when it is that of an earlier run.
    """
    directory = Path(directory).resolve()
    board = {"mcu": "virtual", "time": time, "scenario": str(directory / "scenario.json"),
             "trace": str(Path(trace).resolve())}
    if flash:
        board["flash"] = str(_emptied(Path(flash)))
    for name, content in (("board", board), ("config", config), ("scenario", scenario)):
        (directory / (name + ".json")).write_text(json.dumps(content), encoding="utf-8")


def _emptied(path):
    # What else lies in a directory of somebody's shall not be lost by a slip of his finger.
    try:
        path.mkdir(parents=True, exist_ok=True)
        files = list(path.iterdir())
        if files and path / "fram.bin" not in files:
            raise BadInput("expected an empty directory for the flash, or that of an earlier run,"
                           " found %s in %s" % (files[0].name, path))
        for file in files:
            file.unlink()
    except OSError as error:
        raise BadInput("expected a directory for the flash, found %s: %s"
                       % (path, error.strerror)) from None
    return path.resolve()


def find_micropython():
    """Path of a MicroPython that is new enough: the venv's, else the one on PATH."""
    own = VENV / "bin" / "micropython"
    if own.exists():
        return str(own)
    found = shutil.which("micropython")
    if found is None:
        raise BadInput("expected a micropython of %d.%d or newer in .venv or on PATH, found none;"
                       " `make run` sets it up" % OLDEST_MICROPYTHON)
    version = subprocess.run(
        [found, "-c", "import sys; print('%d %d' % sys.implementation.version[:2])"],
        capture_output=True, text=True, check=False).stdout.split()
    if tuple(int(part) for part in version if part.isdigit()) < OLDEST_MICROPYTHON:
        raise BadInput("expected micropython of %d.%d or newer, found %s at %s"
                       % (*OLDEST_MICROPYTHON, ".".join(version) or "no version", found))
    return found


def command(interpreter, directory=None):
    """The command and the environment that run the firmware under "micropython" or "cpython".

    `directory`: a copy of the firmware goes there for it, whose safety tick is machine code as an
    RP2040 gets it, where the pinned MicroPython can run such (on x86).
    """
    # Neither may see the caller's paths: the wheel's `micropython` is itself a Python script.
    env = {name: value for name, value in os.environ.items()
           if name not in ("PYTHONPATH", "PYTHONHOME", "MICROPYPATH")}
    if interpreter == "micropython":
        found = find_micropython()
        paths = [str(REPO), str(UMQTT), ".frozen"]
        if directory and platform.machine() in _VIPER_64 and Path(found).parent == VENV / "bin":
            viper.copy(Path(directory))
            paths.insert(0, str(directory))
        env["MICROPYPATH"] = os.pathsep.join(paths)
        return [found, "-c", PROGRAM], env
    # The shim comes first: site-packages holds a `micropython` of its own that is no stand-in.
    env["PYTHONPATH"] = os.pathsep.join((str(REPO / "tools" / "shim"), str(REPO), str(UMQTT)))
    return [sys.executable, "-c", PROGRAM], env


def start(directory, interpreter="micropython", output=None, argv=None, fast=False):
    """Start the pile in its working directory; returns the running subprocess.Popen.

    Everything that it prints goes to `output` (a file, default: stderr). It gets a session of its
    own, so that Ctrl-C reaches this tool alone, which then ends it in order. `argv` replaces the
    interpreter's command (tests put a stand-in there). `fast`: with the tick in machine code.
    """
    default, env = (argv, None) if argv else command(interpreter, directory if fast else None)
    output = sys.stderr if output is None else output
    return subprocess.Popen(default, cwd=directory, env=env, stdin=subprocess.DEVNULL,
                            stdout=output, stderr=output, start_new_session=True)


def hurry(process):
    """Ask for what a timer on a board has: to run when it is due. Most systems grant it to root
    alone, some have no such call; then the pile runs like any other process. Returns whether."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))
        return True
    return False


def stop(process, patience_s=2):
    """End the pile if it still runs: ask first, insist after `patience_s`."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
