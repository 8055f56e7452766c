"""`pile.py run`: how it judges a session (with a stand-in for the pile), and real sessions."""

import asyncio
import concurrent.futures
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.host import run, scenario, sessions
from tools.host.errors import BadInput

REPO = Path(__file__).resolve().parents[2]
FAKE = [sys.executable, str(Path(__file__).with_name("fake_pile.py"))]
PILE = [sys.executable, str(REPO / "tools" / "pile.py")]
STARTUP_S = 10


def short_session():
    """Five pauses in two seconds: the stand-in has no guard times."""
    steps = [{"at_ms": 100, "do": "plug"}, {"at_ms": 200, "do": "card", "uid": "04A1B2C3D4E5F6"}]
    for at_ms in range(300, 1800, 300):
        steps += [{"at_ms": at_ms, "do": "ready"}, {"at_ms": at_ms + 200, "do": "pause"}]
    steps.append({"at_ms": 2000, "do": "unplug"})
    return scenario.check({"until_ms": 2300, "steps": steps})


def judged(tmp_path, monkeypatch, flaw="", broker=None):
    monkeypatch.setenv("FAKE_FLAW", flaw)
    return asyncio.run(run.charge(short_session(), tmp_path, broker, argv=FAKE))


def test_a_whole_session_has_no_problem(tmp_path, monkeypatch):
    result, problems, session = judged(tmp_path, monkeypatch)
    assert problems == []
    assert result["interpreter"] == {"name": "fake", "version": "1.2.3", "platform": sys.platform}
    assert result["messages"]["sent"] == result["messages"]["acked"] >= 4
    assert result["messages"]["invalid"] == 0
    assert result["transaction"]["stopped_reason"] == "EVDisconnected"
    assert result["transaction"]["id"] == "tx-1"
    assert len(result["openings_ms"]) == 5 and 5 < result["open_ms"] < 100
    assert result["plant_energy_wh"] > 1
    from tools.host.picture import draw
    draw(session, result, tmp_path / "session.png")
    assert (tmp_path / "session.png").stat().st_size > 20_000


@pytest.mark.parametrize("flaw, word", [
    ("crash", "exit code 1: fake pile: it broke"),
    ("energy", "more than 1 %"),
    ("reason", "stoppedReason was Local"),
    ("gap", "seqNo has gaps"),
    ("schema", "yesterday"),
    ("late", "TickLate at"),
    ("lost", "never answered: TransactionEvent"),
])
def test_a_flaw_is_named(tmp_path, monkeypatch, flaw, word):
    _, problems, _ = judged(tmp_path, monkeypatch, flaw)
    assert any(word in problem for problem in problems), problems


def test_nothing_stays_at_a_broker_of_others(tmp_path, monkeypatch, mosquitto):
    result, problems, _ = judged(tmp_path, monkeypatch, broker=mosquitto)
    assert problems == [] and result["broker"] == mosquitto

    async def retained():
        found = []
        host, port = run.address(mosquitto)
        client = run.mqtt.Client(host, port, "look", ["ocpp/#"], lambda *a: found.append(a))
        await client.start()
        await asyncio.sleep(0.3)
        await client.stop()
        return found
    assert asyncio.run(retained()) == []


@pytest.mark.parametrize("text", ["mosquitto", ":1883", "host:", "host:mqtt", "host:0",
                                  "host:70000"])
def test_a_wrong_broker_is_named(text):
    with pytest.raises(BadInput, match="--broker: expected HOST:PORT"):
        run.address(text)


def test_a_broker_that_is_not_there(tmp_path):
    done = subprocess.run([*PILE, "run", "--broker", "127.0.0.1:9", "--out", tmp_path],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "expected an MQTT broker at 127.0.0.1:9" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    done = subprocess.run([*PILE, "run", "--out", tmp_path / "file"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "--out: expected a directory" in done.stderr


def real_session(out, *more):
    """Run the command as a user does; returns run.json's object. What a session says that this
    computer held up is tried again: a pile that is late by itself is so each time.
    """
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run([*PILE, "run", "--no-view", "--out", out, *more],
                              capture_output=True, text=True, timeout=90, check=False)
        if "this computer held it up" not in done.stdout + done.stderr:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 60
    assert (out / "session.png").read_bytes().startswith(b"\x89PNG")
    ((kept,), _, problems) = sessions.parsed(sessions.of_directory(out / "flash"), "CP-1")
    assert kept["reason"] == "EVDisconnected" and not problems
    return json.loads((out / "run.json").read_text())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A session against the embedded broker that has begun, for it takes a minute of waiting:
    its result() is run.json's object.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(real_session, tmp_path_factory.mktemp("embedded"))


def check_real(result):
    """What issue 2 promises of run.json."""
    assert result["interpreter"]["name"] == "micropython"
    assert result["messages"]["invalid"] == 0
    assert result["messages"]["sent"] == result["messages"]["acked"] > 30
    assert result["transaction"]["stopped_reason"] == "EVDisconnected"
    assert result["transaction"]["energy_wh"] == pytest.approx(result["plant_energy_wh"], rel=0.01)
    assert len(result["openings_ms"]) >= 5


def test_a_session_against_mosquitto(tmp_path, mosquitto, embedded):
    result = real_session(tmp_path, "--broker", mosquitto)
    check_real(result)
    assert result["broker"] == mosquitto


def test_a_session_against_the_embedded_broker(embedded):
    check_real(embedded.result())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_ends_everything(tmp_path, how):
    # As a shell's background job, for which SIGINT is ignored at first.
    process = subprocess.Popen([*PILE, "run", "--no-view", "--out", tmp_path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    deadline = time.monotonic() + STARTUP_S
    trace = tmp_path / "trace.jsonl"
    while not (trace.exists() and trace.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(how)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert error == "pile.py run: interrupted\n"
    size = trace.stat().st_size
    time.sleep(0.5)
    assert trace.stat().st_size == size, "the pile still runs"
