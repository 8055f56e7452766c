"""Plants bugs in the safety core and the AC outlet, one at a time, and runs the control tests on
each.

    tools/mutate.py [--quick] [--only TEXT] [--list] [--jobs N]

Made on the syntax tree: a comparison turned round, an operand of `and` or `or` left out, `and` and
`or` exchanged, a constant doubled, a statement left out. A mutant is caught when a test fails,
raises or runs too long. Survivors are printed with their difference and end with exit code 1,
unless EQUIVALENT says why nobody could tell them apart. `--quick` runs every so manieth mutant.
"""

import argparse
import ast
import functools
import importlib
import json
import os
import resource
import sys
import time
import traceback
import types
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
# What is mutated, and the tests that must tell; the quickest to tell first.
TARGETS = {
    "firmware/safety/core.py": ("test_safety", "test_faults", "test_safety_mutants"),
    "firmware/outlet/ac.py": ("test_safety_mutants", "test_safety", "test_faults"),
}
TESTS = "tests.control."
LIMIT_S = 60  # of processor time: a mutant that loops for ever
QUICK = 11  # one in so many

# Mutants that do the same as the original: (the block it is in, how the statement begins, what
# becomes of it, why nobody can tell).
CLOSING = "if pwm and wanted and (not standing)"
EQUIVALENT = (
    ("", "_CAP_MS = const(60000)", "_CAP_MS = const(120000)",
     "counters of elapsed time stop anywhere beyond the last threshold"),
    ("", CLOSING, "without `pwm`", "_READY_MS counts in this very tick only with PWM on"),
    ("", CLOSING, "without `not standing`",
     "a fault that opens sets the guard, one in good order ends `wanted`, and the diode's stands "
     "until the diode is seen, which clears it in that tick"),
    ("", CLOSING, "without `c[GUARD_MS] == 0`",
     "what sets the guard ends PWM, and _READY_MS needs PWM"),
    ("", CLOSING, "without `c[_DIODE_SEEN]`",
     "500 ms of PWM on samples that move have shown the diode, or its fault stands"),
    ("", "if wanted and c[GUARD_MS] == 0", "without `not opens & ~_DIODE`",
     "such a fault has set the guard in this tick"),
    ("def _fail(self):", "c[GUARD_MS] = _GUARD_FAULT_MS", "left out",
     "the error stands, and sets it in the next tick"),
    ("if not c[_STARTED]:", "return", "left out", "dt is 0, which returns two lines later"),
    ("if letter == 0:", "c[_DIODE_SEEN] = 0", "left out",
     "PWM shows the next vehicle's diode, or its lack, long before _SETTLE_MS"),
    ("if c[_LEASE_AGE_MS] > _LEASE_MS:", "wanted = False", "left out",
     "a stale request stands in the same tick as a fault in good order"),
    ("if letter == 4:", "state = 8", "left out", "4 * 2 is 8, and there is no PWM in E"),
    ("if c[OFFERED_MA] != c[_OFFERED_SEEN]:", "c[_OFFERED_SEEN] = c[OFFERED_MA]", "left out",
     "saves a division, no more"),
    ("", "if not self.authorised or not self.plugged", "without `not self.plugged`",
     "who leaves ends the authorisation, and without a vehicle there is no B2"),
    ("def __init__(self, cells, limits, plug=None, wake_after_ms=90000, delay_ms=0):",
     "self._waiting_ms = 0", "left out", "the first tick sets it: nobody has authorised yet"),
)

TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}


def statements(tree):
    """Every list of statements in `tree` that something may be left out of."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.If, ast.While, ast.For, ast.Try)):
            for field in ("body", "orelse", "finalbody"):
                if getattr(node, field, None):
                    yield getattr(node, field)


def sites(tree):
    """(node, a function that does it, what becomes of the statement or "") of every mutation."""
    hidden = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
            for k in range(len(node.ops)):
                yield node, turn(node, k), ""
        elif isinstance(node, ast.BoolOp):
            yield node, exchange(node), ""
            for k, operand in enumerate(node.values):
                yield node, leave_operand(node, k), "without `%s`" % ast.unparse(operand)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "const":
            value = node.args[0]
            if isinstance(value, (ast.Constant, ast.UnaryOp)) and abs(ast.literal_eval(value)) > 1:
                yield node, double(node), ""
    for body in statements(tree):
        for k, node in enumerate(body):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)):
                if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                    yield node, leave_out(body, k), "left out"


# Each gives a function that does it, and returns one that takes it back.


def turn(node, k):
    return setter(node.ops, k, TURNED[type(node.ops[k])]())


def exchange(node):
    def do():
        node.op, former = ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.op
        return lambda: setattr(node, "op", former)

    return do


def leave_operand(node, k):
    return setter(node.values, k, ast.Constant(isinstance(node.op, ast.And)))


def double(node):
    return setter(node.args, 0, ast.Constant(2 * ast.literal_eval(node.args[0])))


def leave_out(body, k):
    return setter(body, k, ast.copy_location(ast.Pass(), body[k]))


def setter(items, k, value):
    def do():
        former, items[k] = items[k], value
        return lambda: items.__setitem__(k, former)

    return do


class Mutant:
    def __init__(self, path, number, line, where, before, after):
        self.path = path
        self.number = number
        self.line = line
        self.where = where
        self.before = before
        self.after = after

    @property
    def equivalent(self):
        """Why it does the same as the original; "" when it should not."""
        for where, begins, becomes, why in EQUIVALENT:
            if self.before.startswith(begins) and self.after == becomes:
                if where in ("", self.where) and (becomes != "left out" or self.before == begins):
                    return why
        return ""

    @property
    def name(self):
        return "%s -> %s" % (self.before, self.after)


def first_line(node):
    return " ".join(ast.unparse(node).split("\n")[0].split())


@functools.cache
def source(path):
    return (REPO / path).read_text()  # once: it may change while the mutants run


def mutants(path):
    """Every mutant of the file `path` (relative to the repository)."""
    text = source(path)
    lines = text.splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith("STATES =")), 0)
    found = []
    tree = ast.parse(text)
    # a difference shows the innermost statement
    around = {}
    block = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt):
            for child in ast.iter_child_nodes(statement):
                block[child] = first_line(statement)
            for child in ast.iter_child_nodes(statement):
                if not isinstance(child, ast.stmt):
                    around.update(dict.fromkeys(ast.walk(child), statement))
    for number, (node, do, after) in enumerate(list(sites(tree))):
        if isinstance(node, ast.Call) and node.lineno <= end:
            continue  # the number of a cell
        statement = around.get(node, node)
        before = first_line(statement)
        where = block.get(statement, "")
        take_back = do()
        after = after or first_line(statement)
        take_back()
        found.append(Mutant(path, number, node.lineno, where, before, after))
    return found


def mutated(path, number):
    text = source(path)
    tree = ast.parse(text)
    list(sites(tree))[number][1]()
    return ast.fix_missing_locations(tree)


def firmware_path():
    for path in (REPO / "tools/shim", REPO):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    sys.modules.pop("micropython", None)
    importlib.import_module("micropython")


def tests_of(path):
    """(module, test) of every test for `path`, in the order of the files."""
    for name in TARGETS[path]:
        text = (REPO / (TESTS + name).replace(".", "/")).with_suffix(".py").read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield TESTS + name, node.name


def put_in_place(path, tree, order):
    """Lets the tests in `order` meet `tree` in place of the file `path`."""
    name = path[: -len(".py")].replace("/", ".")
    module = types.ModuleType(name)
    module.__file__ = str(REPO / path)
    package = importlib.import_module(name.rpartition(".")[0])
    sys.modules[name] = module
    setattr(package, name.rpartition(".")[2], module)
    exec(compile(tree, path, "exec"), module.__dict__)
    for file, _ in order:
        importlib.import_module(file)


def first_failing(path, tree, order):
    """The number of the first test in `order` that fails on `tree`; -1: none does, -2: it cannot
    even be imported.
    """
    try:
        put_in_place(path, tree, order)
    except Exception:
        return -2
    for number, (file, test) in enumerate(order):
        try:
            getattr(sys.modules[file], test)()
        except Exception:
            return number
    return -1


def seconds(tests):
    """How long each test takes on the originals, in which none may fail."""
    found = []
    for file, test in tests:
        module = importlib.import_module(file)
        start = time.process_time()
        getattr(module, test)()
        found.append(time.process_time() - start)
    return found


def start(function, *args):
    """Calls `function(*args)` in a process of its own; returns (pid, where its answer comes)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        os.write(writer, json.dumps(function(*args)).encode())
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def answer(reader):
    """What came, None when nothing did."""
    with open(reader) as told:
        text = told.read()
    return json.loads(text) if text else None


def quickest_first(paths):
    """{path: its tests, the quickest first} for each of `paths`."""
    tests = sorted({test for path in paths for test in tests_of(path)})
    pid, reader = start(seconds, tests)
    told = answer(reader)
    os.waitpid(pid, 0)
    if told is None:
        raise SystemExit("mutate: the tests fail on the originals: expected them to pass")
    took = dict(zip(tests, told))
    return {path: sorted(tests_of(path), key=lambda test: (took[test], test)) for path in paths}


def run(chosen, jobs, out):
    """(mutant, was it caught?) for each of `chosen`."""
    waiting = list(chosen)
    running = {}
    orders = quickest_first({mutant.path for mutant in chosen})
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            order = tuple(orders[mutant.path])
            tree = mutated(mutant.path, mutant.number)
            pid, reader = start(first_failing, mutant.path, tree, order)
            running[pid] = mutant, reader, order
        pid, _ = os.wait()
        mutant, reader, order = running.pop(pid)
        number = answer(reader)
        if number is None:
            caught = "runs too long"
        elif number >= 0:
            caught = order[number][1]
            # a test that catches one will catch others: it is tried earlier from now on
            now = orders[mutant.path]
            now.remove(order[number])
            now.insert(number // 2, order[number])
        else:
            caught = "" if number == -1 else "cannot be imported"
        out("%-8s %s:%d: %s%s" % (
            "caught" if caught else "SURVIVED", mutant.path, mutant.line, mutant.name,
            "  [%s]" % caught if caught else ""))
        yield mutant, bool(caught)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="mutants whose difference or file contains it")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args(argv)
    firmware_path()
    found = [mutant for path in TARGETS for mutant in mutants(path)
             if args.only in "%s:%d: %s" % (path, mutant.line, mutant.name)]
    chosen = [mutant for mutant in found if not mutant.equivalent]
    same = len(found) - len(chosen)
    if args.quick:
        chosen = chosen[::QUICK]
    if args.list:
        for mutant in found:
            why = mutant.equivalent and "  [the same: %s]" % mutant.equivalent
            print("%s:%d: %s%s" % (mutant.path, mutant.line, mutant.name, why))
        return 0
    began = time.monotonic()
    survived = 0
    for _, caught in run(chosen, args.jobs, lambda line: print(line, flush=True)):
        survived += not caught
    print("%d mutants: %d caught, %d survived, %.0f s; %d more do the same as the original"
          % (len(chosen), len(chosen) - survived, survived, time.monotonic() - began,
             same))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
