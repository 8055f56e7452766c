"""The example of a broker's configuration, docs/mosquitto.*, at a real mosquitto."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.host.conftest import broker, free_port
from tools.host.mqtt import Client

DOCS = Path(__file__).resolve().parents[2] / "docs"
USERS = ("CP-1", "CP-2", "backend")
PASSWORD = "not to be guessed"


@pytest.fixture
def port(tmp_path):
    """A mosquitto by the example, without TLS."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        missing = "expected mosquitto_passwd on PATH, found none: no access list was tried"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    users = tmp_path / "piles"
    users.touch()
    for user in USERS:
        subprocess.run([program, "-b", str(users), user, PASSWORD], check=True,
                       capture_output=True)
    users.chmod(0o644)
    acl = tmp_path / "mosquitto.acl"
    acl.write_text((DOCS / "mosquitto.acl").read_text())
    number = free_port()
    lines = []
    for line in (DOCS / "mosquitto.conf").read_text().splitlines():
        if not line.startswith(("certfile", "keyfile", "persistence")):
            lines.append(line.replace("/etc/mosquitto", str(tmp_path))
                         .replace("listener 8883", "listener %d 127.0.0.1" % number))
    with broker("\n".join(lines) + "\n", "127.0.0.1:%d" % number):
        yield number


async def _heard(port, reader, topics, speaker, said):
    """What `reader` hears on `topics` of what `speaker` publishes: (topic, payload) each."""
    came = []
    hearing = Client("127.0.0.1", port, "any", topics, lambda t, p, *_: came.append((t, p)),
                     reader, PASSWORD)
    speaking = Client("127.0.0.1", port, "some", (), None, speaker, PASSWORD)
    await hearing.start()
    await speaking.start()
    for topic in said:
        speaking.publish(topic, b"{}")
    await speaking.stop()
    await asyncio.sleep(0.3)
    await hearing.stop()
    return [topic for topic, _ in came]


EVERYTHING = ["ocpp/%s/%s" % (who, end) for who in ("CP-1", "CP-2") for end in
              ("up", "down", "state")] + ["ocpp/CP-1/up/more", "other"]


def test_a_pile_speaks_for_itself_only(port):
    heard = asyncio.run(_heard(port, "backend", ["ocpp/+/up", "ocpp/+/state"], "CP-1", EVERYTHING))
    assert sorted(heard) == ["ocpp/CP-1/state", "ocpp/CP-1/up"]


def test_a_pile_hears_what_is_meant_for_it_only(port):
    topics = ["ocpp/CP-1/down", "ocpp/+/down", "ocpp/+/up", "#"]
    heard = asyncio.run(_heard(port, "CP-1", topics, "backend", EVERYTHING))
    assert set(heard) == {"ocpp/CP-1/down"}


def test_nobody_without_a_password(port):
    for user, password in ((None, ""), ("CP-1", "wrong"), ("CP-3", PASSWORD)):
        client = Client("127.0.0.1", port, "CP-1", (), None, user, password)
        with pytest.raises(OSError, match="refused the session"):
            asyncio.run(client.start())
