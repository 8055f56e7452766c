"""What `pile.py log` says of a line that does not come up, on a virtual board, as the README has
it.
"""

import asyncio
import contextlib
import json
import re
import threading
import time

from tests.host.bench_port import board, flashed
from tests.host.conftest import free_port
from tests.host.test_dial import HOST, name_server
from tools.host import mqtt


@contextlib.contextmanager
def refusing():
    """A broker that wants another password; yields (port, an event: somebody was there)."""
    loop = asyncio.new_event_loop()
    seen = threading.Event()

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await mqtt.read_packet(reader)
            writer.write(b"\x20\2\0\5")
            seen.set()
            await reader.read()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


TOLD = re.compile(
    r'"what": "line", "broker": "([^"]*)", "step": "(\w+)", "up": false, "why": "([^"]*)'
)


def steps(told):
    """{step: [(broker, why), ...]} of the lines of a log, which end at 200 characters."""
    found = {}
    for broker, step, why in TOLD.findall(told):
        found.setdefault(step, []).append((broker, why))
    return found


def test_the_log_says_at_which_step_it_ends(tmp_path):
    closed = free_port()
    given = tmp_path / "given.json"
    with board(flashed(tmp_path / "flash")) as served, refusing() as (port, seen), \
            name_server(None) as names:
        brokers = ["127.0.0.1:%d" % closed, HOST + ":1883", "127.0.0.1:%d" % port]
        made = {"station_id": "CP-1", "broker": ",".join(brokers), "dns": names.at}
        given.write_text(json.dumps(made))
        served.pile("provision", "--from", given)
        assert seen.wait(60)
        time.sleep(1)
        found = steps(served.pile("log"))
        assert [broker for broker, _ in found["connect"]] == brokers[:1]
        assert "ECONNREFUSED" in found["connect"][0][1]
        assert [broker for broker, _ in found["name"]] == brokers[1:2]
        assert "no such host" in found["name"][0][1]
        assert [broker for broker, _ in found["mqtt"]] == brokers[2:]
        assert "refused by the broker, CONNACK code 5" in found["mqtt"][0][1]
        given.write_text(json.dumps({**made, "broker": brokers[2], "tls": 1}))
        served.pile("provision", "--from", given)
        for _ in range(20):
            found = steps(served.pile("log"))
            if found:
                break
        ((step, ((broker, why),)),) = found.items()
        assert (step, broker) == ("tls", brokers[2])
        assert why.startswith("OSError: tls/ca.der: no such file; send it with `pile")
