"""Measure the whole persistent outbox against umqtt.simple's own publish: events of a transaction
from the journal in FRAM, through a station, a long line and a broker, to a backend and its answer.
The same broker, the same line, plain and with TLS. And the longest step of a handshake of TLS by
certificate, against one by a pre-shared key.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from datetime import datetime, timezone
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tools import bench_uplink  # noqa: E402
from tools.host import build  # noqa: E402
from tools.host.mqtt import Client  # noqa: E402
from tools.proxy import Proxy  # noqa: E402

DELAY_MS = 25  # each way
ROUNDS = 3
COUNTS = {"outbox": 1000, "umqtt": 40}  # messages a round, for two seconds each
TIMES = 20  # what is promised
IN_FLIGHT = 64  # of the broker towards a pile; mosquitto's own 20 a round trip bound all the rest
HANDSHAKES = 21
_PLAIN, _TLS = "plain", "tls"


def answer(client, topic, payload):
    """Say what a backend says to a CALL. Nothing is checked: that is slower than a pile."""
    message = json.loads(payload)
    if message[0] != 2:
        return
    told = {}
    if message[2] == "BootNotification":
        date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {"currentTime": date, "interval": 300, "status": "Accepted"}
    client.publish(topic[: -len("up")] + "down", json.dumps([3, message[1], told]).encode())


@contextlib.contextmanager
def backend(port):
    """A backend at the broker at `port`, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    client = Client(
        "127.0.0.1", port, "bench-backend", ["ocpp/bench-outbox/up"],
        lambda topic, payload, *_: answer(client, topic, payload),
    )
    call(client.start())
    try:
        yield
    finally:
        call(client.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def install(folder):
    """Put into `folder` what a board gets: bytecode, for some is imported in each turn."""
    for path, data in build.files(build.load_board("virtual")[1]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def publish(micropython, what, where, port, count, folder):
    """Messages a second that `what`, "outbox" or "umqtt", gets acknowledged."""
    args = [what, "127.0.0.1", port, count] + [_TLS] * (where == _TLS)
    return run(micropython, "bench_publish.py", folder, *args)


def run(micropython, script, folder, *args):
    """The number that the `script` prints, which has in `folder` what a board gets."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env["MICROPYPATH"] = os.pathsep.join((str(folder), str(folder / "lib"), ".frozen"))
    command = [micropython, "-X", "heapsize=8M", str(REPO / "tools" / script), *map(str, args)]
    done = subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError("%s failed: %s%s" % (script, done.stdout, done.stderr))
    return float(done.stdout)


def handshakes(micropython, mosquitto):
    """{"certificate_us", "psk_us", "times"}: the longest step of a handshake by each, and how many
    times as long that by certificate is. On this computer: of a board it tells the ratio at most.
    """
    with contextlib.ExitStack() as stack:
        folders = {}
        for name in ("certificate", "psk"):
            folders[name] = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            install(folders[name])
            (folders[name] / "tls").mkdir()
        (folders["psk"] / "tls/psk").write_text("CP-1:%s\n" % os.urandom(32).hex())
        ports = {name: bench_uplink.free_port() for name in folders}
        more = "log_dest none\nlistener %d 127.0.0.1\npsk_hint piles\npsk_file %s\n" % (
            ports["psk"], folders["psk"] / "tls/psk"
        )
        more += secured(ports["certificate"], folders["certificate"] / "tls")
        stack.enter_context(bench_uplink.broker(mosquitto, more))
        found = {
            name: run(micropython, "bench_handshake.py", folders[name], ports[name], HANDSHAKES)
            for name in folders
        }
    by_certificate, by_key = found["certificate"], found["psk"]
    return {
        "certificate_us": by_certificate,
        "psk_us": by_key,
        "times": round(by_certificate / by_key, 1),
    }


def secured(port, folder):
    """What mosquitto needs for TLS on a further `port`, by a certificate made in `folder`."""
    from tests.host.certificates import Authority

    Authority().issue(folder, "localhost")
    files = "".join(
        "%s %s/%s.pem\n" % (what, folder, name)
        for what, name in (("cafile", "ca"), ("certfile", "cert"), ("keyfile", "key"))
    )
    return "listener %d 127.0.0.1\n%suser root\n" % (port, files)  # as who may read them


def measure(micropython, mosquitto):
    """{"plain": {...}, "tls": {...}}: QoS 1 messages a second of each, and how many times as many
    the outbox has; medians. Rounds alternate, so that a noisy moment hits both. Without TLS where
    nothing makes certificates; else "handshake" is that of `handshakes`.
    """
    rates = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        install(folder)
        lines = {_PLAIN: 0}
        more = "max_inflight_messages %d\n" % IN_FLIGHT
        if importlib.util.find_spec("cryptography"):  # not everywhere: see the README
            lines[_TLS] = bench_uplink.free_port()
            more += secured(lines[_TLS], folder / "tls")
        lines[_PLAIN] = stack.enter_context(bench_uplink.broker(mosquitto, more))
        stack.enter_context(backend(lines[_PLAIN]))
        for where, port in lines.items():
            lines[where] = stack.enter_context(Proxy(("127.0.0.1", port), DELAY_MS)).port
        for _ in range(ROUNDS):
            for where, port in lines.items():
                for what, count in COUNTS.items():
                    rate = publish(micropython, what, where, port, count, folder)
                    rates.setdefault((where, what), []).append(rate)
    found = {}
    for where in lines:
        ours, theirs = [statistics.median(rates[where, what]) for what in COUNTS]
        found[where] = {
            "outbox_qos1_per_s": ours,
            "umqtt_qos1_per_s": theirs,
            "times": round(ours / theirs, 1),
        }
    if _TLS in lines:
        found["handshake"] = handshakes(micropython, mosquitto)
    return found


def misses(found):
    """What misses the bar, in words."""
    for where, rates in found.items():
        if "outbox_qos1_per_s" in rates and rates["times"] < TIMES:
            yield "line: %s: %.1f times umqtt, expected at least %d" % (
                where, rates["times"], TIMES
            )
