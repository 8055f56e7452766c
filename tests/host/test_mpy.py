"""Every file that a board could load compiles for every board: nothing else creeps in."""

import pathlib

import pytest

from tools import size

ROOT = size.ROOT
FILES = sorted(
    path
    for path in [
        ROOT / "boot.py",
        ROOT / "main.py",
        *ROOT.glob("firmware/**/*.py"),
        *ROOT.glob("hal/**/*.py"),
    ]
    if "virtual" not in path.parts
)


@pytest.mark.parametrize("march", ["xtensawin", "rv32imc", "armv6m"])
def test_compiles_for(march, tmp_path):
    for path in FILES:
        size.cross(path, tmp_path / "out.mpy", f"-march={march}")


def test_what_does_not_compile_is_told(tmp_path):
    bad = pathlib.Path(tmp_path) / "bad.py"
    bad.write_text("match x:\n    case 1:\n        pass\n")
    with pytest.raises(RuntimeError, match="SyntaxError"):
        size.output([size.MPY_CROSS, bad])
