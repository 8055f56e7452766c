"""Runs every check that needs no board and closes with a summary; `make test` calls it.

    test.py [--on STAGE] [PATH ...]

STAGE is one of lint, cpython, micropython, webassembly, realtime, bench; PATH narrows it to test
files or directories (`FILE::test_name` too). With CI=true in the environment what is missing fails
and is not skipped. While cpython runs, lint, micropython and webassembly run beside it. What
follows the wall clock, realtime and what mpremote does (bench), comes after that, side by side:
it waits more than it works.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT / "tools"))

import setup  # noqa: E402  (tools/setup.py)

LINT = ["tests/host/test_lint.py", "tests/host/test_rooms.py", "tests/host/test_mpy.py"]
REALTIME = [
    "tests/host/test_run.py",
    "tests/host/test_chaos.py",
    "tests/host/test_dial.py",
    "tests/host/test_line.py",
]
BENCH = [
    "tests/host/test_port.py",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("tests/host/test_bench_*.py")),
]


def pytest(*args):
    return [str(BIN / "python"), "-m", "pytest", "-q", *args]


def lint(paths):
    return pytest(*(paths or LINT))


def cpython(paths):
    # On both cores: the last of the stages beside it ends long before this one.
    elsewhere = [f"--ignore={path}" for path in LINT + REALTIME + BENCH]
    return pytest(*(paths or ["-n", "2", "--dist", "worksteal", "tests", *elsewhere]))


def realtime(paths):
    return pytest(*(paths or REALTIME))


def bench(paths):
    return pytest(*(paths or BENCH))


def micropython(paths):
    # Hundreds of tests in one process, with a flash and a trace in its heap.
    return [
        str(BIN / "micropython"),
        "-X",
        "heapsize=8M",
        "tests/runner.py",
        *(paths or ["tests/unit", "tests/control", "tests/roles"]),
    ]


def webassembly(paths):
    paths = paths or ["tests/control"]
    code = f"import sys; from tests.runner import main; sys.exit(main({paths!r}))"
    shared = sorted(str(path) for path in pathlib.Path("tests").glob("*.py"))
    needed = ["firmware", "hal", "tests/unit", "tests/control", *shared]
    return [str(BIN / "node"), "tools/wasm.mjs", code, *(f"{path}:/{path}" for path in needed)]


STAGES = {
    "lint": lint,
    "cpython": cpython,
    "micropython": micropython,
    "webassembly": webassembly,
    "realtime": realtime,
    "bench": bench,
}
_output = threading.Lock()


def run(name, command, live=True):
    """Runs one stage, showing its output, when it is not `live` in one piece at its end; returns
    (worked, its last line).
    """
    start = time.monotonic()
    last = "no output"
    held = [f"\n== {name} ==\n"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            held.append(line)
            last = line.strip() or last
            if live:
                show(held)
    show(held)
    return process.returncode == 0, f"{last}  [{time.monotonic() - start:.0f} s]"


def show(held):
    """Prints the lines `held` and forgets them."""
    with _output:
        print("".join(held), end="", flush=True)
    held.clear()


def run_all():
    """Runs every stage, as described above; returns {name: (worked, line)}."""
    results = {}

    def beside(names):
        for name in names:
            results[name] = run(name, STAGES[name](()), live=False)

    for name, others in (
        ("cpython", ("lint", "micropython", "webassembly")),
        ("realtime", ("bench",)),
    ):
        other = threading.Thread(target=beside, args=(others,))
        other.start()
        results[name] = run(name, STAGES[name](()))
        other.join()
    return {name: results.get(name, (False, "did not run")) for name in STAGES}


def mosquitto():
    """The broker of the session tests, installed where that needs no password.

    Returns (is that good enough, a line on it).
    """
    # Debian's is in /usr/sbin, which is not on a user's PATH.
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    found = shutil.which("mosquitto", path=path)
    if found is None and setup.apt_install("mosquitto"):
        found = shutil.which("mosquitto", path=path)
    if found:
        return True, found
    install = "brew" if sys.platform == "darwin" else "sudo apt-get"
    told = f"not found: no test ran against it ({install} install mosquitto)"
    return os.environ.get("CI") != "true", told


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--on", choices=STAGES, action="append", help="only this stage")
    parser.add_argument("paths", nargs="*")
    args = parser.parse_args()
    os.chdir(ROOT)
    results = {}
    if not args.on and not args.paths:
        results["mosquitto"] = mosquitto()
        results.update(run_all())
    else:
        for name in args.on or [name for name in STAGES if name not in ("realtime", "bench")]:
            results[name] = run(name, STAGES[name](args.paths))
    print("\n== summary ==")
    for name, (worked, line) in results.items():
        print(f"{'ok    ' if worked else 'FAILED'} {name:12} {line}")
    return 0 if all(worked for worked, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
