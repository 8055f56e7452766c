"""`pile.py sim`: the same trace under both interpreters, byte for byte."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.host import pile_process, sessions
from tools.host.errors import BadInput

REPO = Path(__file__).resolve().parents[2]

EVENTFUL = [
    {"at_ms": 0, "do": "plug"},
    {"at_ms": 100, "do": "noise", "outliers_per_s": 3, "mv": 12000},
    {"at_ms": 2000.5, "do": "card", "uid": "04A1B2C3D4E5F6"},
    {"at_ms": 3000.25, "do": "ready"},
    {"at_ms": 9000, "do": "link", "up": False},
    {"at_ms": 12000, "do": "draw", "ma": 10000},
    {"at_ms": 15000.1, "do": "pause"},
    {"at_ms": 16000, "do": "ready"},
    {"at_ms": 26000, "do": "link", "up": True},
    {"at_ms": 30000, "do": "backend", "message": [2, "x", "Reset", {"type": "Immediate"}]},
    {"at_ms": 31000, "do": "backend", "message": {"not": "an array"}, "replayed": True},
    {"at_ms": 35000, "do": "ohms", "value": 1300, "for_ms": 50},
    {"at_ms": 40000, "do": "diode", "ok": False},
    {"at_ms": 45000, "do": "diode", "ok": True},
    {"at_ms": 90000, "do": "adc_freeze"},
    {"at_ms": 91000, "do": "adc_freeze", "fault": False},
    {"at_ms": 130000, "do": "stall_main", "for_ms": 9000},
    {"at_ms": 150000, "do": "vent"},
    {"at_ms": 160000, "do": "unplug"},
]


def sim(tmp_path, scenario, *options):
    """Runs the scenario; returns the trace's bytes."""
    file, trace = tmp_path / "scenario.json", tmp_path / "trace.jsonl"
    file.write_text(json.dumps(scenario))
    command = [
        sys.executable,
        str(REPO / "tools/pile.py"),
        "sim",
        str(file),
        "--trace",
        str(trace),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return trace.read_bytes()


@pytest.mark.parametrize("profile", ["rp2040", "esp32"])
def test_both_interpreters_give_the_same_trace(tmp_path, profile):
    scenario = {
        "until_ms": 170000,
        "profile": profile,
        "seed": 7,
        "ticks_start_ms": 2**30 - 50000,
        "steps": EVENTFUL,
    }
    first = sim(tmp_path, scenario, "--interpreter", "micropython")
    assert first == sim(tmp_path, scenario, "--interpreter", "cpython")
    lines = [json.loads(line) for line in first.splitlines()]
    assert lines[-1]["what"] == "end" and lines[-1]["energy_mwh"] > 50000
    assert {line["code"] for line in lines if line["what"] == "fault"} >= {
        "DiodeFault",
        "PilotSamplesStale",
        "RequestStale",
    }
    ended = [
        line
        for line in lines
        if line["what"] == "uplink" and line["message"][2] == "TransactionEvent"
    ][-1]
    value = ended["message"][3]["meterValue"][0]["sampledValue"][0]["value"]
    # stalls keep the meter from being read: a count of its energy is 1495 mWh
    assert abs(value * 1000 - lines[-1]["energy_mwh"]) <= 1495


def test_the_same_seed_gives_the_same_trace_and_another_does_not(tmp_path):
    scenario = {"until_ms": 20000, "seed": 1, "steps": EVENTFUL[:4]}
    first = sim(tmp_path, scenario)
    assert first == sim(tmp_path, scenario)
    assert first != sim(tmp_path, dict(scenario, seed=2))


def test_what_was_sold_can_be_looked_back_at(tmp_path):
    steps = [{"at_ms": 1000, "do": "plug", "r_ohm": 882}, {"at_ms": 2000, "do": "unplug"}]
    steps.insert(1, {"at_ms": 1500, "do": "card", "uid": "04A1B2C3D4E5F6"})
    steps[2]["at_ms"] = 15000
    flash = tmp_path / "flash"
    for _ in range(2):  # over that of an earlier run, too
        sim(tmp_path, {"until_ms": 30000, "steps": steps}, "--flash", str(flash))
        ((told,), _, problems) = sessions.parsed(sessions.of_directory(flash), "x")
        assert told["reason"] == "EVDisconnected" and told["end_mwh"] > told["start_mwh"]
        assert not problems
    (flash / "fram.bin").rename(flash / "mine")
    with pytest.raises(BadInput, match="expected an empty directory"):
        pile_process.write_files(tmp_path, {}, "trace", "simulated", {}, flash)
    assert (flash / "mine").exists()
