"""The real boot.py and main.py on the virtual board: a crash loop ends in safe mode, then at the
prompt.
"""

import json
import subprocess

from tools.host.pile_process import REPO, UMQTT


def boots(tmp_path, n):
    """What each of `n` runs of 200 ms prints: none of them lasts 60 s."""
    (tmp_path / "scenario.json").write_text(json.dumps(
        {"until_ms": 200, "steps": [{"at_ms": 50, "do": "plug"}]}))  # fmt: skip
    (tmp_path / "config.json").write_text('{"station_id": "CP-1"}')
    board = {"mcu": "virtual", "time": "real", "scenario": "scenario.json",
             "trace": "trace.jsonl", "retained": "retained"}  # fmt: skip
    (tmp_path / "board.json").write_text(json.dumps(board))
    told = []
    for _ in range(n):
        done = subprocess.run(
            [REPO / ".venv/bin/micropython", "-c", "import boot, main"],
            cwd=tmp_path, env={"MICROPYPATH": f"{REPO}:{UMQTT}:.frozen"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        trace = (tmp_path / "trace.jsonl").read_text()
        told.append((done.stdout, '"what":"state"' in trace.replace(" ", "")))
        (tmp_path / "trace.jsonl").unlink()
        (tmp_path / "trace.jsonl").touch()
    return told


def test_a_crash_loop(tmp_path):
    told = boots(tmp_path, 11)
    assert all(charges and "did not last" not in text for text, charges in told[:5])
    assert all(not charges and "safe mode" in text for text, charges in told[5:10])
    assert not told[10][1] and "staying at the prompt" in told[10][0]
    (tmp_path / "retained").unlink()  # power-up
    ((text, charges),) = boots(tmp_path, 1)
    assert charges and "did not last" not in text
