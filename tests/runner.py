"""Runs test files on MicroPython: plain functions `test_*` with plain asserts.

    micropython tests/runner.py tests/unit tests/control/test_ticks.py tests/unit/test_x.py::test_y

from the repository's root. One line a test, tracebacks of the failures, and at the end `N passed,
N failed`; exit code 1 when anything failed or nothing was found.
"""

import gc
import os
import sys

_DIRECTORY = 0x4000


def test_files(paths):
    """(file, name of the one test or "") for each file in `paths`, directories looked through at
    one level.
    """
    for path in paths:
        path, _, only = path.partition("::")
        if os.stat(path)[0] & _DIRECTORY:
            for name in sorted(os.listdir(path)):
                if name.startswith("test_") and name.endswith(".py"):
                    yield path.rstrip("/") + "/" + name, ""
        else:
            yield path, only


def load(path):
    """The module in the file `path`, imported under its dotted name, so that two rooms may have
    tests of one name.
    """
    name = path[: -len(".py")].replace("/", ".")
    __import__(name)
    return sys.modules.pop(name)


def attempt(title, function):
    """Calls `function`, prints how it went under `title`; returns (worked, what it returned)."""
    try:
        return True, function()
    except Exception as error:
        print("FAILED", title)
        sys.print_exception(error, sys.stdout)
        return False, None


def contract(function):
    """The contract of a role, run on every virtual board."""
    from tests.roles import virtual

    return lambda: virtual.run(function)


def main(paths):
    """Runs the tests in `paths`; returns the exit code."""
    passed = failed = 0
    for path, only in test_files(paths):
        worked, module = attempt(path, lambda path=path: load(path))
        if not worked:
            failed += 1
            continue
        # MicroPython's dicts keep no order: the names are sorted so that every run is alike.
        for name in sorted(dir(module)):
            if name == only or (not only and name.startswith("test_")):
                title = "{}::{}".format(path, name)
                function = getattr(module, name)
                if "/roles/" in path:
                    function = contract(function)
                if attempt(title, function)[0]:
                    print("ok", title)
                    passed += 1
                else:
                    failed += 1
        module = None
        gc.collect()
    print("{} passed, {} failed".format(passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    # A script's own directory comes first on the path; the tests import from the root.
    sys.path[0] = ""
    sys.path.append(".venv/umqtt")
    sys.exit(main(sys.argv[1:] or ["tests/unit", "tests/control", "tests/roles"]))
