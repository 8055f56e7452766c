"""Measure what Voltpile claims in numbers; the results go to out/bench.json."""

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))


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


def size():
    if not (REPO / "tools/size.py").exists():
        return None
    return importlib.import_module("tools.size").measure()


# What goes under its name into bench.json; None where something is missing.
PARTS = (uplink, size)


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
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
