"""What the host tests share: a real mosquitto."""

import os
import shutil
import socket
import subprocess
import time

import pytest


def listens(port):
    """Does somebody accept connections there?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def mosquitto(tmp_path):
    """A mosquitto of its own on a free port; gives "127.0.0.1:PORT"."""
    # Debian puts it where only root's PATH leads
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        missing = ("expected mosquitto on PATH or in /usr/sbin, found none: no session was tried"
                   " against it; install Debian's package mosquitto")
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\n" % port)
    with open(tmp_path / "mosquitto.log", "wb") as log:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert process.poll() is None and time.monotonic() < deadline, \
                (tmp_path / "mosquitto.log").read_text()
            time.sleep(0.05)
        yield "127.0.0.1:%d" % port
    finally:
        process.terminate()
        process.wait()
