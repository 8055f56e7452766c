"""`pile.py sessions` and `factory-reset` on a virtual board that has seen something."""

import csv
import json
import random

from firmware import changes
from firmware.ledger import events, history, lookback, refused
from firmware.ledger.durable import Ram
from firmware.station import Station
from hal.mcu.common import Files
from hal.virtual.board import VirtualBoard
from tests.host.bench_port import board, flashed, within
from tests.pile import CARD, _File, charging, settings, step

START_MS = 1780000000000  # 2026-05-28 20:26:40 UTC


class _Journal:
    id = "ab12"
    store = Files()


class _Wall:
    boot = 1
    is_set = False
    boots = ()
    start_ms = 0


def _lived(until_ms, *steps):
    """A virtual pile that has run in the current directory, its flash."""
    pile = VirtualBoard({"until_ms": until_ms, "steps": charging(*steps)}, _File())
    pile.store.in_files = True
    pile.memory.in_file()
    station = Station(pile, settings())
    pile.run(station)
    return station


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
    (tmp_path / "boot.py").touch()
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


def test_what_is_only_in_the_journal_is_told_and_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    station = _lived(46000, step(20000, "pause"), step(21000, "unplug"),
                     step(41000, "plug"), step(42000, "card", uid=CARD), step(43000, "ready"))
    assert [one["transaction"] for one in history.sessions(station.board.store, print)]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    told = within("sessions", "--virtual", ".", "--csv", "s.csv")
    assert "  (going on)  " in told and "2 sessions, " in told and "; 1 of them going on" in told
    with open("s.csv", newline="") as file:
        ended, going_on = csv.DictReader(file)
    assert (ended["state"], ended["reason"], ended["time"] != "") == ("ended", "EVDisconnected", 1)
    assert going_on["transaction"] == station.sessions[0].transaction_id
    assert going_on["state"] == "going on"
    assert (going_on["end"], going_on["reason"], going_on["token"]) == ("", "", ended["token"])
    # And the same again: nothing was changed.
    assert within("sessions", "--virtual", ".") == told
    (tmp_path / "s.csv").unlink()
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_session_that_ended_just_now_is_told_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    station = _lived(24000, step(20000, "pause"), step(21000, "unplug"))
    assert station.staged.needs() < station.journal.next and not list(tmp_path.glob("h*"))
    told = within("sessions", "--virtual", ".")
    assert " EVDisconnected " in told and "1 session, " in told
    # Filed, and cut before that was noted: it is in both.
    for number in range(station.staged.needs(), station.journal.next):
        record = station.journal.read(number)
        if record[0] == events.SUMMARY:
            history.file(station.journal, record, station.wall)
    assert list(tmp_path.glob("h*"))
    assert within("sessions", "--virtual", ".") == told


def test_whatever_is_damaged_the_rest_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    station = _lived(46000, step(20000, "pause"), step(21000, "unplug"),
                     step(41000, "plug"), step(42000, "card", uid=CARD), step(43000, "ready"))
    names = ("fram.bin", *(path.name for path in tmp_path.glob("h*")))
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    chance = random.Random(1)
    said = []
    for _ in range(300):
        name = chance.choice(names)
        data = bytearray(whole[name])
        at = chance.randrange(min(len(data), 3000))
        for i in range(at, min(at + chance.choice((1, 4, 300)), len(data))):
            data[i] = chance.randrange(256)
        memory = Ram(32768)
        memory.write(0, data if name == "fram.bin" else whole["fram.bin"])
        (tmp_path / names[1]).write_bytes(data if name != "fram.bin" else whole[names[1]])
        found = list(lookback.told(Files(), memory, said.append))
        assert len(found) <= 2
        # What is in the other medium is not touched by it.
        assert ["ended", "going on"][name != "fram.bin"] in [one["state"] for one in found]
    assert station.sessions[0].tx and any("damaged" in words for words in said)


def test_refused_messages_are_told_of_flash_and_journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    station = _lived(24000, step(19000, "link", up=False), step(20000, "pause"),
                     step(21000, "unplug"))
    journal = station.journal
    kept = [n for n in range(1, journal.next) if (journal.read(n) or b" ")[0] == events.EVENT]
    assert events.bury(journal, kept[-1], "FormationViolation")
    refused.file(journal, journal.next - 1, station.wall)
    assert events.bury(journal, kept[-1], "FormationViolation")  # again, after a reboot
    assert events.bury(journal, kept[-2], "InternalError")
    told = within("sessions", "--virtual", ".", "--refused", "r.csv")
    lines = told.splitlines()
    at = lines.index("") + 1
    assert lines[at].split("  ")[0] == "refused message" and len(lines) == at + 3
    assert "Ended, seqNo " in lines[at + 1] and lines[at + 1].endswith("  FormationViolation")
    assert "Updated, seqNo " in lines[at + 2] and lines[at + 2].endswith("  InternalError")
    with open("r.csv", newline="") as file:
        ended, updated = csv.DictReader(file)
    assert ended["message"] == "%s-%d" % (journal.id, kept[-1]) and ended["register_kWh"]
    assert ended["time"] and updated["time"] and ended["evse"] == updated["evse"] == "1"
    assert ended["transaction"] == updated["transaction"]


def test_mistakes_are_named(tmp_path):
    assert "expected --port P" in within("sessions", code=2)
    assert "expected --port P" in within("sessions", "--port", "x", "--virtual", "y", code=2)
    assert "found none at" in within("sessions", "--virtual", tmp_path / "x", code=2)
    foreign = within("sessions", "--virtual", tmp_path, code=2)
    assert "expected the flash of a virtual board" in foreign and "`sim --flash DIR`" in foreign
    (tmp_path / "file").touch()
    assert "found a file at" in within("sessions", "--virtual", tmp_path / "file", code=2)
    (tmp_path / "fram.bin").write_bytes(bytes(32768))
    blank = within("sessions", "--virtual", tmp_path)
    assert blank == "no session is kept: none has begun yet, or all were forgotten" \
        " (`factory-reset`)\n"
    (tmp_path / "fram.bin").write_bytes(b"not ours " * 999)
    assert "the memory has no journal" in within("sessions", "--virtual", tmp_path)
    for option in ("--csv", "--refused"):
        told = within("sessions", "--virtual", tmp_path, option, tmp_path, code=2)
        assert "no session is kept" in told and option + ": expected a file" in told
    assert "that is going on" in within("sessions", "--help")


def test_on_a_board_and_then_forgotten(tmp_path, monkeypatch):
    flash = flashed(tmp_path / "flash")
    monkeypatch.chdir(flash)
    _filed(flash, 2)
    changes.save(Files(), {"sample_interval_s": 7, "broker": "depot:1883"})
    for name in ("access.list", "refused", "wear", "service"):
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
        assert "forgotten: sample_interval_s, h1, access.list, refused\n" in told
        assert "CP-7 on Virtual AC" in told
        assert "no session is kept" in served.within("sessions")
        told = served.within("factory-reset", "--yes")
        assert "nothing was learned" in told
    assert (flash / "config.json").read_bytes() == kept
    assert (flash / "wear").read_bytes() == b"x" and (flash / "board.json").exists()
    _, _, given, changed = changes.newest(Files().load, "config", print)
    assert dict(given, format=1) == json.loads(kept) and changed == {"broker": "depot:1883"}
