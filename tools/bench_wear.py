"""How sessions wear the flash: erases and programs per 1,000 sessions, as littlefs does them."""

import json
import os
import pathlib
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[1]


def measure(micropython):
    """What tests.wear.measure finds; `micropython` is the interpreter's path."""
    told = subprocess.run(
        [
            micropython,
            "-c",
            "import json; from tests import wear; print(json.dumps(wear.measure()))",
        ],
        cwd=REPO,
        env=dict(os.environ, MICROPYPATH="%s:.frozen" % REPO),
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(told.stdout)
    return {name: found[name] for name in sorted(found)}


def misses(found):
    """What of `found` a block of flash does not bear, in words."""
    for name in ("erases_of_a_block_in_15_years", "at_worst"):
        if found[name] > 100000:
            yield "%s: expected at most 100,000 erases, found %d" % (name, found[name])
