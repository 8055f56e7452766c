"""Let a virtual pile charge a virtual vehicle in real time, against a real MQTT broker.

The vehicle plugs in, a card is shown, it charges, pauses a few times, unplugs. Leaves run.json,
session.png, trace.jsonl and pile.log in the output directory. Exit code 0: the session was
complete, every message was answered and valid, and the energy agrees with the plant's.

The pile has the profile esp32: it bears ticks that are 40 ms late, as a busy desktop has them.
"""

import asyncio
import contextlib
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from . import broker, mqtt, pile_process, scenario, trace
from .backend import Backend
from .errors import BadInput, Failed
from .report import report
from .session import Session
from .view import REFRESH_HZ, view

DEMO = Path(__file__).with_name("demo.json")
ROOT = "ocpp"
HEARTBEAT_S = 10
GRACE_S = 8  # beyond the scenario's length: the interpreter's start and the last answers


def address(text):
    """HOST:PORT as (host, port)."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput("--broker: expected HOST:PORT such as 127.0.0.1:1883, found %s" % text)
    return host.strip("[]"), int(port)


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.add_argument("--broker", metavar="HOST:PORT",
                        help="an MQTT broker to use (default: one inside this process)")
    parser.add_argument("--no-view", action="store_true", help="plain lines, no live view")
    parser.add_argument("--out", metavar="DIR", default="out",
                        help="where the results go (default: %(default)s)")


@contextlib.asynccontextmanager
async def a_broker(named):
    """Yield (host, port, name, station id) of the named broker or an embedded one.

    On a broker that others use too, the station's id is a fresh one, and its stored session and
    retained state are removed afterwards.
    """
    if named is None:
        async with broker.embedded() as (host, port):
            yield host, port, "%s:%d (amqtt)" % (host, port), "CP-1"
        return
    host, port = address(named)
    station = "CP-" + secrets.token_hex(3)
    try:
        yield host, port, named, station
    finally:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await mqtt.forget(host, port, station, "%s/%s/state" % (ROOT, station))


async def charge(checked, out, named_broker=None, live=False, argv=None):
    """Run one session; returns (run.json's object, list of problems, the session).

    `argv` replaces the pile's command; see pile_process.start.
    """
    async with contextlib.AsyncExitStack() as stack:
        host, port, name, station = await stack.enter_async_context(a_broker(named_broker))
        try:
            backend = await stack.enter_async_context(
                Backend(host, port, ROOT, station, HEARTBEAT_S))
        except (OSError, asyncio.TimeoutError) as error:
            raise BadInput("--broker: expected an MQTT broker at %s, found none (%s); start one,"
                           " or leave --broker out" % (name, error or "no answer")) from None
        config = {"station_id": station, "broker": "%s:%d" % (host, port), "root": ROOT,
                  "sample_interval_s": 1}
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="voltpile-"))
        trace_path = out / "trace.jsonl"
        for old in ("trace.jsonl", "run.json", "session.png"):  # of an earlier run
            (out / old).unlink(missing_ok=True)
        pile_process.write_files(directory, checked, trace_path, "real", config, out / "flash")
        session = Session()
        tail = stack.enter_context(contextlib.closing(trace.Tail(trace_path)))
        until_s = checked["until_ms"] / 1000
        log = stack.enter_context(open(out / "pile.log", "wb"))
        started = time.monotonic()
        process = pile_process.start(directory, "micropython", log, argv)
        stack.callback(pile_process.stop, process)
        hurried = pile_process.hurry(process)
        with view(live, session, backend, station, name, until_s) as screen:
            running = True
            while running:
                await asyncio.sleep(1 / REFRESH_HZ)
                duration_s = time.monotonic() - started
                # what the pile wrote before it ended is read after its end was seen
                running = process.poll() is None and duration_s < until_s + GRACE_S
                for event in tail.read():
                    session.feed(event)
                screen.update()
        result, problems = report(session, backend, station, name, duration_s)
        result["realtime_priority"] = hurried  # what open_ms was measured with
        if process.poll() is None:
            problems.insert(0, "the pile still ran %d s after the scenario's end" % GRACE_S)
        elif process.returncode:
            words = (out / "pile.log").read_text(errors="replace").strip().splitlines()
            problems.insert(0, "the pile stopped with exit code %d: %s (%s)"
                            % (process.returncode, words[-1] if words else "no words",
                               out / "pile.log"))
        return result, problems, session


def make_directory(path):
    """The output directory, made if need be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("--out: expected a directory that can be written, found %s: %s"
                       % (path, error.strerror)) from None
    return path


def main(args):
    """Run the sub-command; returns the exit code."""
    out = make_directory(Path(args.out))
    if args.broker is not None:
        address(args.broker)
    result, problems, session = asyncio.run(
        charge(scenario.load(DEMO), out, args.broker, not args.no_view))
    (out / "run.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if session.plant:
        from .picture import draw  # matplotlib takes a second: not while the pile runs
        draw(session, result, out / "session.png")
    if problems:
        for problem in problems:
            print("not complete: " + problem, file=sys.stderr)
        raise Failed("the session failed; see %s and %s" % (out / "run.json", out / "trace.jsonl"))
    told = result["transaction"]
    print("A whole session: %.1f Wh in one transaction of %d events, %d messages all answered and"
          " valid,\ncontactor open %.1f ms after S2 (median of %d). See %s and %s."
          % (told["energy_wh"], told["events"], result["messages"]["sent"], result["open_ms"],
             len(result["openings_ms"]), out / "session.png", out / "run.json"))
    print("What it has kept of it: tools/pile.py sessions --virtual %s" % (out / "flash"))
    return 0
