"""ruff over everything; pyright over what runs on a board, against the stubs of both ports."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"


def check(*command):
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff():
    check(BIN / "ruff", "check", "--config", "tools/ruff.toml", "--output-format", "concise", ".")


@pytest.mark.parametrize("port", ["esp32", "rp2"])
def test_types(port):
    pyright = ROOT / ".venv" / "node_modules" / "pyright" / "index.js"
    check(BIN / "node", pyright, "-p", f"tools/pyright-{port}.json")
