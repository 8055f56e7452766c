"""`pile.py provision` on a virtual board: an identity, and no word of its secrets anywhere."""

import base64
import json
import os
import pty
import select
import stat
import sys

import pytest

from firmware import changes
from firmware import config as configuration
from hal.mcu.common import Files
from tests.host.bench_port import PILE, board, flashed
from tools.host import provision
from tools.host.errors import BadInput

SECRET = "correct-horse-battery"
USER = "pile-user-4711"


@pytest.fixture
def served(tmp_path):
    with board(flashed(tmp_path / "flash", provisioned=False)) as found:
        yield found


def config(served):
    found = json.loads((served.flash / "config.json").read_text())
    assert found.pop("format") == 1
    return found


def test_from_a_file_and_the_environment_and_no_command_tells(served, tmp_path):
    source = tmp_path / "identity.json"
    source.write_text(json.dumps({"station_id": "CP-9", "user": USER, "password": SECRET,
                                  "sample_interval_s": 30}))
    told = served.pile("provision", "--from", source)
    assert "Voltpile " in told and "CP-9 on Virtual AC" in told
    assert config(served)["password"] == SECRET and config(served)["sample_interval_s"] == 30
    # What is not given anew stays.
    told += served.pile("provision", env={"VOLTPILE_STATION_ID": "CP-10"})
    assert config(served) == {"station_id": "CP-10", "user": USER, "password": SECRET,
                              "sample_interval_s": 30}
    told += served.pile("flash", "--board", "virtual")
    told += served.pile("log")
    told += served.pile("blackbox")
    told += served.pile("monitor", "--for", "0.5")
    told += served.pile("selftest", "--unattended", "--role", "board", "--out", tmp_path / "out")
    told += (tmp_path / "out" / "selftest.json").read_text()
    assert SECRET not in told and USER not in told


@pytest.mark.parametrize("wrong", [
    {"station_id": "CP-9", "password": SECRET + "\0"},
    {"station_id": "CP-9", "password": SECRET * 10},
    {"station_id": "CP/9", "password": SECRET},
    {"password": SECRET},
    {"station_id": "CP-9", "password": SECRET, "pasword": SECRET},
    [SECRET],
])
def test_what_is_wrong_is_named_without_the_secret(served, tmp_path, wrong):
    source = tmp_path / "identity.json"
    source.write_text(json.dumps(wrong))
    told = served.pile("provision", "--from", source, code=2)
    assert "expected" in told and told.count("\n") == 1
    assert SECRET not in told
    assert not (served.flash / "config.json").exists()


def test_after_a_refusal_the_pile_goes_on(served, tmp_path):
    source = tmp_path / "identity.json"
    for given, code in (({"station_id": "CP-9"}, 0), ({"station_id": "CP/9"}, 2)):
        source.write_text(json.dumps(given))
        served.pile("provision", "--from", source, code=code)
    assert "was not running" not in served.pile("log")


def test_more_than_the_outlet_is_built_for_is_refused_before_it_is_written(served, tmp_path):
    path = served.flash / "board.json"
    spec = json.loads(path.read_text())
    spec["outlets"][0]["max_ma"] = 20000
    path.write_text(json.dumps(spec))
    source = tmp_path / "identity.json"
    for name, value in (("cable_a", 21), ("breaker_a", 5)):
        source.write_text(json.dumps({"station_id": "CP-9", name: value}))
        told = served.within("provision", "--from", source, code=2)
        assert name + ": expected 0, or 6 to 20 A" in told and told.count("\n") == 1
    assert not (served.flash / "config.json").exists()
    provision.checked({"station_id": "CP-9", "cable_a": 20, "breaker_a": 0}, [], [32000, 20000])
    provision.checked({"station_id": "CP-9", "cable_a": 63}, [], [])  # not known


def test_meters_have_numbers_that_a_receipt_can_name():
    for serial, outlets_ma, text in (
        ("1,2,3", [32000, 32000], "expected at most 2, one an outlet with commas"),
        ("x" * 33, [32000], "expected at most 32 plain characters a meter, found 'xxx"),
        ("A\n9", [32000], "expected at most 32 plain characters a meter, found 'A"),
    ):
        with pytest.raises(BadInput, match="meter_serial: " + text):
            provision.checked({"station_id": "CP-9", "meter_serial": serial}, [], outlets_ma)
    for serial, outlets_ma in (("", [32000]), ("A-9, B-2", [32000, 32000]), ("1,2", [])):
        provision.checked({"station_id": "CP-9", "meter_serial": serial}, [], outlets_ma)


def test_a_terminal_is_asked_and_shows_no_secret(served, tmp_path):
    spec = json.loads((served.flash / "board.json").read_text())
    spec["network"] = [{"kind": "wifi"}]  # which is asked for then, too
    (tmp_path / "wireless.json").write_text(json.dumps(spec))
    served.pile("flash", "--board", tmp_path / "wireless.json")
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*PILE, "provision", "--port", served.port])
    seen = b""
    answers = [(b"station id: ", b"CP-11\n"), (b"broker: ", b"\n"), (b"user: ", USER.encode()
               + b"\n"), (b"password: ", SECRET.encode() + b"\n"),
               (b"wifi ssid: ", b"yard\n"), (b"wifi password: ", SECRET.encode() + b"\n")]
    try:
        while select.select([fd], [], [], 30)[0]:
            seen += os.read(fd, 1000)
            if answers and seen.endswith(answers[0][0]):
                os.write(fd, answers.pop(0)[1])
    except OSError:
        pass  # the terminal is gone with the command
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert b"CP-11 on Virtual AC" in seen
    assert SECRET.encode() not in seen and USER.encode() not in seen
    assert config(served) == {"station_id": "CP-11", "user": USER, "password": SECRET,
                              "wifi_ssid": "yard", "wifi_password": SECRET}


def test_certificates_go_as_der(served, tmp_path):
    der = b"\x30\x03\x02\x01\x07"
    pem = b"-----BEGIN %s-----\n" + base64.b64encode(der) + b"\n-----END %s-----\n"
    (tmp_path / "ca.pem").write_bytes(pem % (b"CERTIFICATE", b"CERTIFICATE"))
    (tmp_path / "key.der").write_bytes(der)
    for name in ("own.1", "own.2", "own.txt"):
        (served.flash / name).write_bytes(b"renewed")
    told = served.pile("provision", "--ca", tmp_path / "ca.pem", "--key", tmp_path / "key.der",
                       env={"VOLTPILE_STATION_ID": "CP-12"})
    assert "tls/ca.der, tls/key.der" in told
    for name in ("ca", "key"):
        assert (served.flash / "tls" / (name + ".der")).read_bytes() == der
    assert not (served.flash / "tls" / "cert.der").exists()
    # What was renewed since would go before, see firmware/uplink/own.py.
    assert [path.name for path in served.flash.glob("own.*")] == ["own.txt"]
    (tmp_path / "text").write_text("nothing")
    assert "--cert: expected PEM or DER" in served.pile("provision", "--cert", tmp_path / "text",
                                                        code=2)


def test_a_pre_shared_key_goes_from_a_file_and_no_command_tells(served, tmp_path):
    key = "00112233445566778899AABBCCDDEEFF"
    (tmp_path / "psk").write_text("# of the pile\nCP-12:%s\n\n" % key)
    told = served.pile("provision", "--psk", tmp_path / "psk",
                       env={"VOLTPILE_STATION_ID": "CP-12"})
    assert "tls/psk" in told
    assert (served.flash / "tls" / "psk").read_text() == "CP-12:" + key
    told += served.pile("log")
    assert key not in told
    told = served.pile("provision", "--no-psk")
    assert not (served.flash / "tls" / "psk").exists()
    served.pile("provision", "--no-psk")  # nor is it any worse without one


@pytest.mark.parametrize("text", [
    "", "CP-12", "CP-12:", ":%s" % ("00" * 16), "CP-12:%s" % ("00" * 15),
    "CP-12:%s" % ("ab" * 33), "CP-12:%sx" % ("00" * 16), "CP-1:2:%s" % ("00" * 16),
    "CP-12:%s\nCP-13:%s" % ("00" * 16, "00" * 16), "C\u00e9:%s" % ("00" * 16),
    "%s:%s" % ("x" * 65, "00" * 16),
])
def test_what_is_no_pre_shared_key_is_refused_without_telling_it(tmp_path, text):
    (tmp_path / "psk").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="--psk: expected one line IDENTITY:KEY in ") as found:
        provision.shared_key(tmp_path / "psk", "psk")
    assert "0000" not in str(found.value) and "abab" not in str(found.value)


def test_production_closes_the_prompt(served):
    told = served.pile("provision", "--production", env={"VOLTPILE_STATION_ID": "CP-13"})
    assert "CP-13 on Virtual AC" in told and "in production" in told
    told = served.pile("log", code=2)
    assert "a pile in production has closed it" in told and told.count("\n") == 1
    assert stat.S_ISREG((served.flash / "production").stat().st_mode)


def test_a_blank_board_is_told_to_be_flashed(tmp_path):
    with board(tmp_path / "flash") as served:
        told = served.pile("provision", env={"VOLTPILE_STATION_ID": "CP-9"}, code=1)
        assert "flash it first" in told and told.count("\n") == 1


def test_a_torn_file_is_gone_on_from_and_what_is_given_anew_counts(tmp_path, monkeypatch):
    flash = flashed(tmp_path / "flash")
    monkeypatch.chdir(flash)
    changes.save(Files(), {"sample_interval_s": 7, "user": "changed", "keepalive_s": 9})
    (flash / "config.json").write_text('{"stat')
    (tmp_path / "f.json").write_text(json.dumps({"sample_interval_s": 60, "user": USER}))
    with board(flash) as served:
        told = served.pile("provision", "--from", tmp_path / "f.json")
        assert "CP-7 on Virtual AC" in told
    assert config(served) == {"station_id": "CP-7", "sample_interval_s": 60, "user": USER}
    found = configuration.load("config.json")
    assert (found["sample_interval_s"], found["user"], found["keepalive_s"]) == (60, USER, 9)
    assert configuration.problems == []
