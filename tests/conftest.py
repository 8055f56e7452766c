"""Lets the firmware run on CPython: the stand-ins, umqtt and the repository go first."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

sys.path[:0] = [str(ROOT / "tools" / "shim"), str(ROOT), str(ROOT / ".venv" / "umqtt")]
# The interpreter's wheel has a module of this name; the stand-in is the one that counts.
sys.modules.pop("micropython", None)

import micropython  # noqa: E402, F401  (for its additions to time, asyncio, sys and builtins)
