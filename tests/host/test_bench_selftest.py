"""`pile.py selftest`, `log`, `blackbox`, `monitor` and `shell` on a virtual board; and that every
role has its contract.
"""

import ast
import binascii
import json
import os
import pty
import select
import struct
import sys
import time

import pytest

from firmware.safety import blackbox
from tests.host.bench_port import PILE, REPO, board, flashed, pile
from tools.host import port, selftest

# Roles of buses and of what is on them: their contracts are their chips' own tests.
BUSES = {"Device", "Serial", "I2c", "Spi", "Analogue", "OneWire", "Buses"}
# A contract for these is in another's file.
WITH = {"Outlet": "board", "Witness": "log", "CardReader": "reader"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with board(flashed(tmp_path_factory.mktemp("selftest") / "flash")) as found:
        yield found


def test_every_role_has_its_contract():
    tree = ast.parse((REPO / "hal" / "roles.py").read_text())
    roles = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found = {WITH.get(role, role.lower()) for role in roles - BUSES}
    assert found <= set(selftest.names())


def test_every_role_is_walked_and_reported(served, tmp_path):
    told = served.pile("selftest", "--out", tmp_path)
    report = json.loads((tmp_path / "selftest.json").read_text())
    assert report["failed"] == report["not_tried"] == 0
    assert report["passed"] == len(report["contracts"]) > 20
    assert {result["role"] for result in report["contracts"]} == set(selftest.names())
    assert "%d passed, 0 failed" % report["passed"] in told
    dead_man = next(r for r in report["contracts"] if r["contract"] == "test_dead_man")
    assert any("open after the last feed" in found for found in dead_man["found"])
    assert "Voltpile " in served.pile("flash", "--board", "virtual")  # the pile runs again


def test_a_broken_contract_is_named(served, tmp_path):
    broken = "def test_broken(bench):\n    bench.expect(False, 'a swan', 'a duck')\n" \
        "def test_raises(bench):\n    1 // 0\n"
    with port.Port(served.port) as there:
        there.bench()
        there.run((selftest.ROLES / "bench.py").read_text())
        there.run(selftest._BEGIN % True)
        there.run(broken)
        walk = selftest.Walk(there, lambda text: "")
        assert walk.contract("x", "test_broken")["why"] == "expected a swan, found a duck"
        assert "ZeroDivisionError" in walk.contract("x", "test_raises")["why"]
        assert [r["outcome"] for r in walk.results] == ["failed", "failed"]
        there.leave()


def test_a_technician_is_asked_and_heard(served):
    # A virtual board has hands of its own; here it has none, as a real one.
    contract = "def test_hands(bench):\n    bench.note('first', bench.ask('do this'))\n" \
        "    bench.note('second', bench.ask('do that'))\n"
    asked = []

    def technician(text):
        asked.append(text)
        return "no" if text == "do that" else ""

    with port.Port(served.port) as there:
        there.bench()
        there.run((selftest.ROLES / "bench.py").read_text())
        there.run(selftest._BEGIN % True)
        there.run(contract + "VirtualBench.ask = Bench.ask\n")
        result = selftest.Walk(there, technician).contract("x", "test_hands")
        assert asked == ["do this", "do that"]
        assert [f for f in result["found"] if not f.startswith("asked")] \
            == ["first: True", "second: False"]
        there.run("def run_contract(name, contract):\n"
                  " attempt(name, contract, bench(board, False))")
        result = selftest.Walk(there, technician).contract("x", "test_hands")
        assert result["outcome"] == "not tried" and len(asked) == 2
        there.leave()


def test_log_has_the_last_lines(served):
    served.mpremote("reset")
    for _ in range(10):  # what interrupts the boot finds no log, and starts the pile again
        time.sleep(1)
        told = served.pile("log")
        if '"value": "A1"' in told:
            break
    assert '"what": "boot"' in told and '"what": "state", "value": "A1"' in told


def test_blackbox_reads_what_the_store_has(served, tmp_path):
    assert "no opening that nobody asked for" in served.pile("blackbox")
    body = struct.pack(blackbox.HEADER, blackbox.MAGIC, 3, 1, 0, 0, 1 << 6, 100, 0)
    body += bytes(2 * blackbox._SHORTS)
    record = body + struct.pack("<I", binascii.crc32(body))
    assert blackbox.number(record) == 3
    (served.flash / "blackbox3").write_bytes(record)
    told = served.pile("blackbox", "--out", tmp_path / "records.json")
    assert "outlet 1: GroundFailure" in told
    assert json.loads((tmp_path / "records.json").read_text())[0]["number"] == 3


def test_monitor_shows_what_the_pile_does(served):
    told = served.pile("monitor", "--for", "1.5")
    assert "state A1" in told and "no vehicle is plugged in" in told
    assert "230.0 V" in told and "line to the backend: down" in told


def test_shell_is_mpremotes(served):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*PILE, "shell", "--port", served.port])
    seen = b""
    sent = False
    try:
        while select.select([fd], [], [], 20)[0]:
            seen += os.read(fd, 1000)
            if not sent and b"Use Ctrl-]" in seen:
                os.write(fd, b"\rprint(6 * 7)\r")
                sent = True
            elif sent and b"\n42" in seen:
                os.write(fd, b"\x1d")
    except OSError:
        pass  # it has ended
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert "Voltpile " in served.pile("flash", "--board", "virtual")


@pytest.mark.parametrize("command", ["selftest", "log", "blackbox", "shell", "monitor",
                                     "provision"])
def test_a_port_that_is_not_there(command):
    told = pile(command, "--port", "/dev/nowhere", code=2)
    assert "found no /dev/nowhere" in told and told.count("\n") == 1
