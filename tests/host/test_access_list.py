"""The example of a broker's configuration, docs/mosquitto.*, at a real mosquitto."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.host.conftest import broker, free_port
from tests.host.test_line import pile
from tools.host.mqtt import Client

DOCS = Path(__file__).resolve().parents[2] / "docs"
USERS = ("CP-1", "CP-2", "backend")
PASSWORD = "not to be guessed"


KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def ports(tmp_path):
    """A mosquitto by the example, the first of its two ports without TLS."""
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
    (tmp_path / "psk").write_text("CP-1:%s\nCP-2:%s\n" % (KEY, KEY[::-1]))
    numbers = free_port(), free_port()
    lines = []
    for line in (DOCS / "mosquitto.conf").read_text().splitlines():
        if not line.startswith(("certfile", "keyfile", "persistence")):
            lines.append(line.replace("/etc/mosquitto", str(tmp_path))
                         .replace("listener 8883", "listener %d 127.0.0.1" % numbers[0])
                         .replace("listener 8884", "listener %d 127.0.0.1" % numbers[1]))
    with broker("\n".join(lines) + "\n", "127.0.0.1:%d" % numbers[0]):
        yield numbers


@pytest.fixture
def port(ports):
    return ports[0]


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


@pytest.mark.parametrize("who", ["CP-1", "CP-2"])
def test_a_pile_by_its_key_speaks_for_itself_only(ports, tmp_path, who):
    # The pile says that it is CP-1, which is true of one of the keys.
    folder = tmp_path / "flash"
    (folder / "tls").mkdir(parents=True)
    key = KEY if who == "CP-1" else KEY[::-1]
    (folder / "tls/psk").write_text("%s:%s" % (who, key))
    came = []

    async def run():
        hearing = Client("127.0.0.1", ports[0], "any", ["ocpp/+/up"],
                         lambda t, p, *_: came.append(t), "backend", PASSWORD)
        await hearing.start()
        async with pile(ports[1], "micropython", "localhost", "tls", cwd=folder) as it:
            await it.says("acked 20", 0)  # mosquitto does, and drops what is not allowed
        await hearing.stop()

    asyncio.run(run())
    assert set(came) == ({"ocpp/CP-1/up"} if who == "CP-1" else set())
