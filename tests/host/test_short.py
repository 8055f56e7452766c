"""Short names: what becomes of a source, and that a pile with them does the same."""

import ast
import os
import subprocess

import pytest

from tools import short, size
from tools.host import pile_process, scenario

SAMPLE = '''"""Déjà vu."""

from hal.elsewhere import OTHER, _helper

_LIMIT_MS = [3]


def public(value, named=1, a=2):
    global _LIMIT_MS
    try:
        return _helper(value + a, value)
    except OSError as b:
        return b, _LIMIT_MS, "_LIMIT_MS"


class _Inner:
    def __init__(self, cells, _hidden_one):
        self._cells = cells, _hidden_one; self.plain = "é"; self._cells += cells

    def around(self, wanted):
        return lambda: wanted + self._cells
'''


def test_names(monkeypatch):
    table = {"_helper": "_h1", "_LIMIT_MS": "_L1", "_Inner": "_I1", "_cells": "_c1"}
    monkeypatch.setattr(short, "table", lambda: table)
    monkeypatch.setattr(short, "_keywords", lambda: {"named"})
    assert short.shortened(SAMPLE) == '''"""Déjà vu."""

from hal.elsewhere import OTHER, _h1

_L1 = [3]


def public(c, named=1, a=2):
    global _L1
    try:
        return _h1(c + a, c)
    except OSError as b:
        return b, _L1, "_LIMIT_MS"


class _I1:
    def __init__(a, b, c):
        a._c1 = b, c; a.plain = "é"; a._c1 += b

    def around(self, wanted):
        return lambda: wanted + self._c1
'''


def test_the_table_is_one_to_one_and_touches_nobody_elses_names():
    table = short.table()
    assert len(table) == len(set(table.values())) > 250
    used = {name for tree in short._sources() for name in short._names(tree)}
    assert used & set(table.values()) == set()
    umqtt = set(short._names(ast.parse(short._UMQTT.read_text())))
    assert not umqtt & (set(table) | set(table.values()))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """firmware and hal with short names, boot and main as they are."""
    root = tmp_path_factory.mktemp("short")
    for room in short.ROOMS:
        for path in (short.ROOT / room).rglob("*.py"):
            target = root / path.relative_to(short.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(short.shortened(path.read_text()))
    for name in ("boot.py", "main.py"):
        (root / name).write_text((short.ROOT / name).read_text())
    return root


@pytest.mark.parametrize("more", [{}, {"profile": "esp32", "outlet": {"cable": "socket"}},
                                  {"phases": 3, "outlets": 2}])
def test_a_pile_with_short_names_writes_the_same_trace(tree, tmp_path, more):
    card = {"at_ms": 2000, "do": "card", "uid": "04A1B2C3D4E5F6"}
    steps = [{"at_ms": 1000, "do": "plug"}, card, {"at_ms": 3000, "do": "ready"},
             {"at_ms": 9000, "do": "rcd", "fault": True}, {"at_ms": 10000, "do": "rcd",
                                                            "fault": False},
             {"at_ms": 11000, "do": "unplug"}, {"at_ms": 13000, "do": "power", "for_ms": 2000},
             {**card, "at_ms": 20000}, {"at_ms": 22000, "do": "plug"},
             {"at_ms": 23000, "do": "ready"}, {"at_ms": 50000, "do": "unplug"}]
    checked = scenario.check({"until_ms": 60000, "steps": steps, **more})
    traces = []
    for root in (short.ROOT, tree):
        where = tmp_path / root.name
        where.mkdir()
        trace = where / "trace.jsonl"
        pile_process.write_files(where, checked, trace, "simulated",
                                 {"station_id": "CP-1", "broker": "127.0.0.1:1883"})
        paths = os.pathsep.join((str(root), str(size.UMQTT), ".frozen"))
        done = subprocess.run([pile_process.find_micropython(), "-c", pile_process.PROGRAM],
                              cwd=where, env={"MICROPYPATH": paths, "PATH": os.environ["PATH"]},
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        traces.append(trace.read_text())
    assert traces[0] == traces[1] and traces[0].count("\n") > 50
