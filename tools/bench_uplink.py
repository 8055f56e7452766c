"""Measure the uplink against umqtt.simple's own publish: the same broker, the same line."""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tools.proxy import Proxy  # noqa: E402

DELAY_MS = 25  # each way
ROUNDS = 3
# Messages a round, for one to three seconds each.
COUNTS = {("delayed", "link"): 1000, ("delayed", "umqtt"): 50}
COUNTS |= {("loopback", "link"): 20000, ("loopback", "umqtt"): 10000}


def free_port():
    """A port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def broker(mosquitto, more=""):
    """A mosquitto of our own on a free port of the loopback interface, with `more` in its
    configuration; yields the port.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        conf = Path(directory, "mosquitto.conf")
        conf.write_text(
            f"listener {port} 127.0.0.1\n"
            "allow_anonymous true\nset_tcp_nodelay true\nlog_type error\n" + more
        )
        process = subprocess.Popen([mosquitto, "-c", str(conf)])
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port):
    """Until something listens on `port` of the loopback interface, 10 s at most."""
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise RuntimeError(f"mosquitto does not listen on port {port}")


def publish(micropython, what, port, count):
    """Messages a second that `what`, "link" or "umqtt", gets acknowledged."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env["MICROPYPATH"] = os.pathsep.join((str(REPO), str(REPO / ".venv/umqtt"), ".frozen"))
    command = [micropython, str(REPO / "tools/bench_publish.py"), what, "127.0.0.1"]
    done = subprocess.run(
        [*command, str(port), str(count)], env=env, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"bench_publish.py {what} failed: {done.stderr}")
    return float(done.stdout)


def measure(micropython, mosquitto):
    """Rates of QoS 1 messages of 200 bytes: {"delayed": {...}, "loopback": {...}}, medians.

    Rounds alternate between the two, so that a noisy moment of the machine hits both.
    """
    rates = {case: [] for case in COUNTS}
    with broker(mosquitto) as port, Proxy(("127.0.0.1", port), DELAY_MS) as proxy:
        ports = {"delayed": proxy.port, "loopback": port}
        for _ in range(ROUNDS):
            for (where, what), count in COUNTS.items():
                rates[where, what].append(publish(micropython, what, ports[where], count))
    return {
        where: {
            "qos1_per_s": statistics.median(rates[where, "link"]),
            "umqtt_qos1_per_s": statistics.median(rates[where, "umqtt"]),
        }
        for where in ports
    }
