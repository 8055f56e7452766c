"""What a board gets, with short names and constants written in, does what the sources do: a whole
scenario of it gives the same trace, byte for byte. From nothing but the files of `pile.py flash`.
"""

import os
import subprocess

import pytest

from firmware.uplink import commands
from tools.host import build, pile_process, scenario

CARD = "04A1B2C3D4E5F6"
CONFIG = {"station_id": "CP-1", "broker": "127.0.0.1:1883", "sample_interval_s": 10,
          "min_pause_s": 0, "running_cost_interval_s": 15}
TARIFF = {"tariffId": "T", "currency": "CNY", "energy": {"prices": [{"priceKwh": 1.5}]}}
TOKEN = {"idToken": "0A0B0C0D", "type": "ISO14443"}


def steps():
    """Sessions, one of them without a line and one cut short, and every request that is served or
    refused.
    """
    told = [
        (0, "plug", {}), (1000, "backend", {"message": [2, "t", "SetDefaultTariff", {
            "evseId": 0, "tariff": TARIFF}]}), (1500, "card", {"uid": CARD}),
        (3000, "ready", {}), (16000, "power", {"for_ms": 800}), (18000, "card", {"uid": CARD}),
        (26000, "limit", {"ma": 10000}), (30000, "unplug", {}), (31000, "link", {"up": False}),
        (32000, "plug", {}), (33000, "card", {"uid": CARD}), (36000, "power", {"for_ms": 300}),
        (40000, "card", {"uid": CARD}), (50000, "unplug", {}), (52000, "link", {"up": True}),
        (60000, "backend", {"message": [2, "l", "SendLocalList", {
            "versionNumber": 1, "updateType": "Full", "localAuthorizationList": [
                {"idToken": TOKEN, "idTokenInfo": {"status": "Accepted"}}]}]}),
        (61000, "backend", {"message": [2, "r", "ReserveNow", {
            "id": 1, "expiryDateTime": "2027-01-01T00:00:00Z", "idToken": TOKEN}]}),
        (62000, "backend", {"message": [2, "x", "Reset", {"type": "Immediate"}]}),
        (70000, "plug", {}), (71000, "card", {"uid": TOKEN["idToken"]}),
        (73000, "backend", {"message": [2, "b", "GetBaseReport", {
            "requestId": 1, "reportBase": "FullInventory"}]}),
        (74000, "backend", {"message": [2, "k", "TriggerMessage", {
            "requestedMessage": "SignChargingStationCertificate"}]}),
        (80000, "unplug", {})]
    for i, action in enumerate(sorted({**commands._ACTIONS, **commands._ELSEWHERE})):
        message = [2, "m%d" % i, action, {}]
        told.append((90000 + 200 * i, "backend", {"message": message}))
    return [dict(at_ms=at_ms, do=do, **more) for at_ms, do, more in told]


def traced(directory, paths, resume):
    """The trace of that scenario, with the pile's modules from `paths` only."""
    config = dict(CONFIG, after_power_cut="resume" if resume else "end", receipts=int(not resume))
    made = scenario.check({"until_ms": 110000, "config": config, "steps": steps()})
    trace = directory / "trace.jsonl"
    pile_process.write_files(directory, made, trace, "simulated", config)
    command, env = pile_process.command("micropython")
    env["MICROPYPATH"] = os.pathsep.join((*map(str, paths), ".frozen"))
    done = subprocess.run(command, cwd=directory, env=env, text=True, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return trace.read_text()


@pytest.mark.parametrize("resume", [False, True])
def test_a_board_does_what_the_sources_do(tmp_path, resume):
    made = tmp_path / "made"
    for path, data in build.files({"mcu": "virtual"}).items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(data)
    sources = tmp_path / "sources"
    sources.mkdir()
    expected = traced(sources, (pile_process.REPO, pile_process.UMQTT), resume)
    assert '"Ended"' in expected and '"what": "error"' not in expected
    assert traced(made, (made, made / "lib"), resume) == expected


def test_a_board_gets_every_module():
    everything = {".".join(path.relative_to(build.REPO).with_suffix("").parts)
                  for path in (build.REPO / "firmware").rglob("*.py")}
    everything = {name.removesuffix(".__init__") for name in everything}
    assert everything - set(build.modules({"mcu": "virtual"})) == set()
