"""What the host tests share: a real mosquitto."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest


def listens(port):
    """Does somebody accept connections there?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """A port of this host that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def broker(config, where):
    """A mosquitto of its own with the text `config`, which has it listen at `where`, HOST:PORT."""
    # Debian puts it where only root's PATH leads
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        missing = ("expected mosquitto on PATH or in /usr/sbin, found none: no session was tried"
                   " against it; install Debian's package mosquitto")
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosquitto.conf"
        path.write_text(config + "persistence false\nuser root\n")
        log = Path(folder) / "mosquitto.log"
        with log.open("wb") as out:
            process = subprocess.Popen([program, "-c", str(path)], stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 10
            while not listens(int(where.split(":")[1])):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield where
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def mosquitto():
    """A mosquitto of its own on a free port; gives "127.0.0.1:PORT"."""
    port = free_port()
    config = "listener %d 127.0.0.1\nallow_anonymous true\n" % port
    with broker(config, "127.0.0.1:%d" % port) as where:
        yield where
