"""Walk every role on a board by its contract, and write a report.

The contracts are those that the virtual board keeps too (tests/roles): pilot levels at 12, 9, 6
and 3 V, contactor and mirror, the dead-man by stopping the feed, the residual-current sensor's
test, meter, card reader, FRAM, temperature, lock, lamp. What takes hands is asked for; answer with
Enter once it is done, with `no` when it was not. The contactor closes several times: nothing may
be plugged in but the vehicle simulator. Exit code 0: every contract was kept.
"""

import json
import sys
import time
from pathlib import Path

from . import port
from .errors import BadInput, Failed

REPO = Path(__file__).resolve().parents[2]
ROLES = REPO / "tests" / "roles"
_BEGIN = """
import gc, hal
gc.collect()
board = hal.load("board.json")
def run_contract(name, contract):
    attempt(name, contract, bench(board, %r))
print(board.model)
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--role", action="append", metavar="ROLE", choices=names(),
                        help="only this role (%s); may be given again" % ", ".join(names()))
    parser.add_argument("--unattended", action="store_true",
                        help="leave out what takes hands, the contactor among it")
    parser.add_argument("--out", metavar="DIR", default="out",
                        help="where selftest.json goes (default: %(default)s)")


def names():
    """The roles that have contracts; what needs no hands first."""
    found = sorted(path.stem[len("test_"):] for path in ROLES.glob("test_*.py"))
    last = ("reader", "pilot", "contactor")
    return [name for name in found if name not in last] + [n for n in last if n in found]


def contracts(role):
    """(its source, the names of its contracts in the file's order)."""
    text = (ROLES / ("test_%s.py" % role)).read_text(encoding="utf-8")
    return text, [line.split("(")[0][len("def "):] for line in text.splitlines()
                  if line.startswith("def test_")]


class Walk:
    """Runs contracts and keeps what they say. `technician(text)` does what is asked for."""

    def __init__(self, board, technician):
        self.board = board
        self._technician = technician
        self.results = []

    def contract(self, role, name):
        """Run one contract, whose source the board has."""
        result = {"role": role, "contract": name, "outcome": "failed", "why": "", "found": []}
        self.results.append(result)

        def heard(line):
            if line.startswith("?"):
                answer = self._technician(line[1:])
                result["found"].append("asked: %s: %s" % (line[1:], answer or "done"))
                return answer
            if line.startswith("="):
                result["found"].append(line[1:])
            elif line.startswith("!"):
                outcome, _, why = line.split(" ", 1)[1].partition(" ")
                result["outcome"], result["why"] = outcome, why
            return None

        self.board.follow("run_contract(%r, %s)" % (name, name), heard)
        if result["outcome"] == "ok" and any(f.startswith("not tried") for f in result["found"]):
            result["outcome"] = "not tried"
        return result


def ask(text):
    """Have the technician at the terminal do something."""
    print("   -> %s [Enter, or no] " % text, end="", flush=True)
    return "no" if sys.stdin.readline().strip().lower().startswith("n") else ""


def main(args):
    """Run the sub-command; returns the exit code."""
    attended = not args.unattended
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    with port.Port(args.port) as board:
        platform, _, machine = board.bench()
        if attended and platform != "linux" and not sys.stdin.isatty():
            raise BadInput("expected a technician at a terminal, found none; --unattended leaves"
                           " out what takes hands")
        board.run((ROLES / "bench.py").read_text(encoding="utf-8"))
        try:
            model = board.run(_BEGIN % attended).strip()
        except Failed:
            board.leave(2)
            raise
        print("%s (%s)" % (model, machine))
        walk = Walk(board, ask)
        for role in args.role or names():
            text, found = contracts(role)
            board.run(text)
            for name in found:
                result = walk.contract(role, name)
                print("%-9s  %-11s %s%s" % (result["outcome"], role,
                                            name[len("test_"):].replace("_", " "),
                                            ": " + result["why"] if result["why"] else ""))
                for finding in result["found"]:
                    if not finding.startswith("asked"):
                        print("%23s%s" % ("", finding))
            board.run("del " + ", ".join(found))
        board.leave(2)
    outcomes = [result["outcome"] for result in walk.results]
    report = {"board": model, "machine": machine, "port": args.port,
              "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
              "passed": outcomes.count("ok"), "failed": outcomes.count("failed"),
              "not_tried": outcomes.count("not tried"), "contracts": walk.results}
    path = out / "selftest.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    told = "%(passed)d passed, %(failed)d failed, %(not_tried)d not tried" % report
    if report["failed"]:
        raise Failed("%s; see %s" % (told, path))
    print("%s; see %s" % (told, path))
    return 0
