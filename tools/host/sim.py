"""Run a scenario in virtual time and write what happened as a trace of JSON lines.

The scenario is checked before anything starts: a wrong file exits with 2 and names file, field and
expectation. Steps may stand in any order; they are sorted by at_ms, and steps of one instant keep
the file's order. Exit code 0: the scenario ran to its until_ms.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import pile_process, scenario, trace
from .errors import BadInput, Failed

CONFIG = {"station_id": "CP-1", "broker": "127.0.0.1:1883", "root": "ocpp"}
PROGRESS_S = 0.5


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.epilog = scenario.vocabulary()
    parser.add_argument("scenario", metavar="SCENARIO.json", help="what happens to the pile")
    parser.add_argument("--trace", metavar="OUT.jsonl", required=True, help="where the trace goes")
    parser.add_argument("--flash", metavar="DIR",
                        help="a directory, made or emptied, for what the pile's flash and FRAM"
                        " hold at the end: `pile.py sessions --virtual DIR` looks back at it")
    parser.add_argument("--interpreter", choices=pile_process.INTERPRETERS, default="micropython",
                        help="where the firmware runs (default: %(default)s)")


def claim(path, source):
    """Make the trace file empty now: a bad path shall not be found after the work."""
    path = Path(path)
    if path.exists() and path.samefile(source):
        raise BadInput("--trace: expected another file than the scenario, found %s" % path)
    if path.exists() and not path.is_file():
        raise BadInput("--trace: expected a file that can be read again, found %s" % path)
    try:
        path.open("wb").close()
    except OSError as error:
        raise BadInput("--trace: expected a file that can be written, found %s: %s"
                       % (path, error.strerror)) from None


def run(checked, trace_path, interpreter="micropython", progress=None, flash=None):
    """Run a checked scenario; returns (exit code of the pile, wall seconds, last event or None).

    `progress(t_ms)` is called twice a second with the virtual time that the trace has reached.
    """
    with tempfile.TemporaryDirectory(prefix="voltpile-") as directory:
        pile_process.write_files(directory, checked, trace_path, "simulated",
                                 dict(CONFIG, **checked["config"]), flash)
        started = time.monotonic()
        process = pile_process.start(directory, interpreter, fast=True)
        tail = trace.Tail(trace_path)
        last = None
        try:
            while True:
                try:
                    code = process.wait(PROGRESS_S)
                except subprocess.TimeoutExpired:
                    code = None
                wall_s = time.monotonic() - started
                last = ([last] + tail.read())[-1]
                if code is not None:
                    return code, wall_s, last
                if progress and last:
                    progress(last["t_us"] / 1000)
        finally:
            tail.close()
            pile_process.stop(process)


def main(args):
    """Run the sub-command; returns the exit code."""
    checked = scenario.load(args.scenario)
    claim(args.trace, args.scenario)
    until_ms = checked["until_ms"]
    late = sum(step["at_ms"] > until_ms for step in checked["steps"])
    if late:
        print("%s: %d of %d steps lie after until_ms and never happen"
              % (args.scenario, late, len(checked["steps"])), file=sys.stderr)
    terminal = sys.stderr.isatty()

    def progress(t_ms):
        print("\r%s: %.1f of %.1f s " % (args.scenario, t_ms / 1000, until_ms / 1000), end="",
              file=sys.stderr, flush=True)

    code, wall_s, last = run(checked, args.trace, args.interpreter,
                             progress if terminal else None, args.flash)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr)
    if code == 2:
        return 2
    reached = last["t_us"] / 1e6 if last else 0
    if code:
        raise Failed("%s: the pile stopped with exit code %d at %.3f s; its own words stand above"
                     % (args.scenario, code, reached))
    if last is None or last["what"] != "end":
        raise Failed("%s: expected the trace to finish with `end`, found %s; see %s"
                     % (args.scenario, last["what"] if last else "no event", args.trace))
    print("%s: %.1f s in %.1f s, %.0f times real time (%s, %s)"
          % (args.scenario, reached, wall_s, reached / wall_s, checked["profile"],
             args.interpreter), file=sys.stderr)
    return 0
