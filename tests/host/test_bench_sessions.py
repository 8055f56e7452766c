"""`pile.py sessions` and `factory-reset` on a virtual board that has seen something."""

import csv
import json

from firmware import changes
from firmware.ledger import events, history
from hal.mcu.common import Files
from tests.host.bench_port import board, flashed, within

START_MS = 1780000000000  # 2026-05-28 20:26:40 UTC


class _Journal:
    id = "ab12"
    store = Files()


class _Wall:
    boot = 1
    is_set = False


def _filed(directory, n, reason="Local", dated=True, cost=(1250000, "CNY")):
    """File the sessions 1 to n in `directory`, one an hour, a kWh and a Wh each."""
    flags = events.DATED if dated else 0
    for tx in range(1, n + 1):
        began_ms = START_MS + tx * 3600000
        record = events.summary(
            1, tx, bytes(range(tx, tx + 10)), (flags, 1, began_ms), (flags, 1, began_ms + 90500),
            tx * 1001000, (tx + 1) * 1001000, reason, cost)
        history.file(_Journal, record, _Wall)


def test_a_table_and_csv_of_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no session is kept" in within("sessions", "--virtual", tmp_path)
    _filed(tmp_path, 2)
    told = within("sessions", "--virtual", tmp_path, "--csv", "s.csv", "--receipts", "r")
    assert told.splitlines() == [
        "start (UTC)          evse    kWh  duration  reason      cost  token   receipt",
        "2026-05-28 21:26:40     1  1.001   0:01:30  Local   1.25 CNY  010203  no",
        "2026-05-28 22:26:40     1  1.001   0:01:30  Local   1.25 CNY  020304  no",
        "2 sessions, 2.002 kWh",
        "0 receipts in r",
    ]
    with open("s.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["time"] == "2026-05-28 21:26:40" and first["end"] == "2026-05-28 21:28:10"
    assert (first["kWh"], first["cost"], first["seconds"]) == ("1.001", "1.250000", "90")
    assert second["transaction"] == "ab12-t2" and second["token"] == "02030405060708090a0b"
    assert second["register_end_kWh"] == "3.003"


def test_what_is_not_known_and_receipts(tmp_path, monkeypatch):
    (tmp_path / "flash").mkdir()
    monkeypatch.chdir(tmp_path / "flash")
    _filed(tmp_path, 1, "Remote\n\nOCMF|{}|{}", dated=False, cost=None)
    told = within("sessions", "--virtual", ".", "--receipts", tmp_path / "r")
    assert "not known       1  1.001   0:01:30  Remote        010203  yes" in told
    assert "1 receipts" in told
    assert (tmp_path / "r" / "ab12-t1.ocmf").read_text() == "OCMF|{}|{}"


def test_damage_is_said_and_the_rest_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _filed(tmp_path, 3)
    data = bytearray((tmp_path / "h1").read_bytes())
    data[100] ^= 1
    (tmp_path / "h1").write_bytes(data)
    told = within("sessions", "--virtual", tmp_path)
    assert "2 sessions, 2.002 kWh" in told
    assert "h1: a part is damaged; the sessions in it are lost" in told
    (tmp_path / "h1").write_bytes(b"")
    assert "no session is kept" in within("sessions", "--virtual", tmp_path)


def test_mistakes_are_named(tmp_path):
    assert "expected --port P" in within("sessions", code=2)
    assert "expected --port P" in within("sessions", "--port", "x", "--virtual", "y", code=2)
    assert "found none at" in within("sessions", "--virtual", tmp_path / "x", code=2)
    told = within("sessions", "--virtual", tmp_path, "--csv", tmp_path, code=2)
    assert "--csv: expected a file" in told


def test_on_a_board_and_then_forgotten(tmp_path, monkeypatch):
    flash = flashed(tmp_path / "flash")
    monkeypatch.chdir(flash)
    _filed(flash, 2)
    changes.save(Files(), {"sample_interval_s": 7, "broker": "depot:1883"})
    for name in ("access.list", "wear", "service"):
        (flash / name).write_bytes(b"x")
    kept = (flash / "config.json").read_bytes()
    with board(flash) as served:
        told = served.within("sessions")
        assert "2026-05-28 22:26:40     1  1.001" in told and "2 sessions, 2.002 kWh" in told
        told = served.within("factory-reset", code=2)
        assert "--yes does without" in told
        assert "nothing was forgotten" in served.within("factory-reset", answer="")
        assert (flash / "h1").exists()
        told = served.within("factory-reset", answer="yes")
        assert "forgotten: sample_interval_s, h1, access.list\n" in told
        assert "CP-7 on Virtual AC" in told
        assert "no session is kept" in served.within("sessions")
        told = served.within("factory-reset", "--yes")
        assert "nothing was learned" in told
    assert (flash / "config.json").read_bytes() == kept
    assert (flash / "wear").read_bytes() == b"x" and (flash / "board.json").exists()
    _, _, given, changed = changes.newest(Files().load, "config", print)
    assert dict(given, format=1) == json.loads(kept) and changed == {"broker": "depot:1883"}
