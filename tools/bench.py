"""Measure what Voltpile claims in numbers; the results go to out/bench.json."""

import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tools import bench_access, bench_line, bench_open, bench_tick, bench_wear  # noqa: E402


def micropython():
    own = REPO / ".venv/bin/micropython"
    return str(own) if own.exists() else shutil.which("micropython")


def mosquitto():
    # Debian puts it where only root's PATH looks.
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def uplink():
    if mosquitto() is None:
        return None
    return importlib.import_module("tools.bench_uplink").measure(micropython(), mosquitto())


def line():
    """The whole persistent outbox against umqtt's own publish, over a long line."""
    if mosquitto() is None:
        return None
    return bench_line.measure(micropython(), mosquitto())


def size():
    if not (REPO / "tools/size.py").exists():
        return None
    return importlib.import_module("tools.size").bench()


def sim():
    """Virtual seconds per second of `pile.py sim` at 2 ms on MicroPython: a session of ten
    minutes, the median of three.
    """
    scenario = {
        "until_ms": 600000,
        "steps": [
            {"at_ms": 1000, "do": "plug"},
            {"at_ms": 2000, "do": "card", "uid": "04A1B2C3D4E5F6"},
            {"at_ms": 3000, "do": "ready"},
            {"at_ms": 3000, "do": "noise", "outliers_per_s": 1, "mv": 12000},
            {"at_ms": 300000, "do": "pause"},
            {"at_ms": 310000, "do": "ready"},
            {"at_ms": 590000, "do": "unplug"},
        ],
    }
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scenario.json"
        file.write_text(json.dumps(scenario))
        command = [
            sys.executable,
            str(REPO / "tools/pile.py"),
            "sim",
            str(file),
            "--trace",
            str(file.with_suffix(".jsonl")),
        ]
        for _ in range(3):
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            rates.append(scenario["until_ms"] / 1000 / (time.monotonic() - began))
    return {"times_real_time": round(statistics.median(rates))}


def open_ms():
    """From a cause to the contactor's command, in virtual time, over random phases."""
    return bench_open.measure()


def tick():
    """What the safety core's tick takes of a processor, against an empty tick in the same run."""
    return bench_tick.measure(micropython())


def access():
    """A look-up in the local list of 1,000 entries: its time, and the doorman's heap."""
    return bench_access.measure(micropython())


def wear():
    """What 1,000 sessions erase and program of the Pico W's flash."""
    return bench_wear.measure(micropython())


# What goes under its name into bench.json; None where something is missing.
PARTS = (uplink, line, size, sim, open_ms, tick, wear, access)
# What of a part's results misses a bar, in words.
MISSES = {
    "line": bench_line.misses,
    "open_ms": bench_open.misses,
    "wear": bench_wear.misses,
    "access": bench_access.misses,
}


def main():
    """Run the parts named on the command line, else all; returns the exit code."""
    wanted = sys.argv[1:]
    unknown = set(wanted) - {part.__name__ for part in PARTS}
    if unknown:
        print("bench: no such part: %s" % ", ".join(sorted(unknown)), file=sys.stderr)
        return 2
    target = REPO / "out/bench.json"
    results = {}
    failed = False
    if wanted and target.exists():
        results = json.loads(target.read_text())
    for part in PARTS:
        name = part.__name__
        if wanted and name not in wanted:
            continue
        print("bench: %s ..." % name, flush=True)
        found = part()
        if found is None:
            print("bench: %s skipped, what it measures or needs is not here" % name)
            failed = failed or os.environ.get("CI") == "true"
            continue
        results[name] = found
        print(json.dumps({name: found}, indent=2))
        for miss in MISSES.get(name, lambda _: ())(found):
            print("bench: MISSED %s" % miss)
            failed = True
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
