"""The line from a MicroPython process to a real mosquitto, through every kind of bad network."""

import asyncio
import contextlib
import socket
import sys
import time

import pytest

from tools.host import pile_process
from tools.host.mqtt import Client
from tools.proxy import HANG, PASS, REFUSE, RESET, Proxy

OWNER = str(pile_process.REPO / "tests/host/line_owner.py")
SPEED = 20  # of the pile's clock: its 30 s are 1.5 s here
BACK_S = 20  # the longest back-off, an answer that never comes, and a very busy machine
LATE_MS = 1000  # a blocking call takes longer: the proxy's silence has no end


class Pile:
    """The process with the link, and what it has said so far."""

    def __init__(self, process):
        self.process = process
        self.said = []
        self.more = asyncio.Event()
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for line in self.process.stdout:
            self.said.append(line.decode().strip())
            self.more.set()

    async def says(self, start, since, within_s=BACK_S):
        """Wait for a line that begins with `start`, said after the first `since`; returns it."""
        deadline = time.monotonic() + within_s
        while True:
            for line in self.said[since:]:
                if line.startswith(start):
                    return line
            self.more.clear()
            try:
                await asyncio.wait_for(self.more.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                raise AssertionError(f"no {start!r} in {self.said[since:]}") from None


@contextlib.asynccontextmanager
async def pile(port, interpreter="micropython", host="127.0.0.1", *more, cwd=None, speed=SPEED):
    (program, *_), env = pile_process.command(interpreter)
    process = await asyncio.create_subprocess_exec(
        program, OWNER, f"{host}:{port}", str(speed), *more, env=env,
        stdout=asyncio.subprocess.PIPE, cwd=cwd,
    )
    it = Pile(process)
    try:
        yield it
        assert process.returncode is None, "the pile's process ended"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await it.reader
    late_ms = [int(line.split()[1]) for line in it.said if line.startswith("late")]
    assert max(late_ms, default=0) < LATE_MS, "something blocked"


@contextlib.asynccontextmanager
async def backend(address):
    """A subscriber at the broker itself; yields (client, what has come on the up topic)."""
    host, port = address.split(":")
    came = []
    client = Client(
        host, int(port), "backend", ["ocpp/CP-1/+"], lambda t, p, *_: came.append((t, p))
    )
    await client.start()
    try:
        yield client, came
    finally:
        await client.stop()


def numbers(came):
    """The numbers on the up topic, each at its first arrival."""
    return list(dict.fromkeys(int(p) for t, p in came if t.endswith("/up")))


async def through(mosquitto, make_trouble):
    """A pile through a proxy: it comes up, has trouble, comes back, and nothing is lost."""
    host, port = mosquitto.split(":")
    with Proxy((host, int(port))) as proxy:
        async with backend(mosquitto) as (client, came), pile(proxy.port) as it:
            await it.says("up", 0)
            await make_trouble(it, proxy)
            since = len(it.said)
            proxy.fault(PASS)
            await it.says("up", since)
            await it.says("acked", since)
            client.publish("ocpp/CP-1/down", b"hello")
            await it.says("got hello", since)
            await asyncio.sleep(0.3)
    found = numbers(came)
    assert found == list(range(len(found))) and len(found) > 10


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_messages_pass_both_ways(mosquitto, interpreter):
    async def run():
        port = int(mosquitto.split(":")[1])
        async with backend(mosquitto) as (client, came):
            async with pile(port, interpreter) as it:
                await it.says("acked 20", 0)
                client.publish("ocpp/CP-1/down", b"[1]" * 1000)
                await it.says("got " + "[1]" * 1000, 0)
                assert ("ocpp/CP-1/state", b'{"online": true}') in came
                assert not any(line.startswith("closed") for line in it.said)
            await asyncio.sleep(0.2)
            assert ("ocpp/CP-1/state", b'{"online": false}') in came, "the will"
        assert numbers(came)[:21] == list(range(21))

    asyncio.run(run())


def test_host_name_with_an_address_where_nobody_listens(mosquitto):
    async def run():
        async with pile(int(mosquitto.split(":")[1]), host="localhost") as it:
            await it.says("acked 20", 0)

    asyncio.run(run())


def test_refused_at_first(mosquitto):
    async def run():
        host, port = mosquitto.split(":")
        with Proxy((host, int(port))) as proxy:
            proxy.fault(REFUSE)
            async with pile(proxy.port) as it:
                refused = await it.says("closed", 0)
                assert "ECONNREFUSED" in refused or "refused" in refused.lower()
                await asyncio.sleep(2)
                proxy.fault(PASS)
                await it.says("acked 20", 0)

    asyncio.run(run())


def test_refused_in_the_middle(mosquitto):
    async def trouble(it, proxy):
        proxy.fault(REFUSE)
        await it.says("down", 0)
        await asyncio.sleep(1)

    asyncio.run(through(mosquitto, trouble))


@pytest.mark.parametrize("mode", [HANG, RESET])
@pytest.mark.parametrize("after", [0, 1, 41, 300])
def test_silence_or_reset_after_any_byte_of_a_session(mosquitto, mode, after):
    async def trouble(it, proxy):
        proxy.fault(mode, after)
        await it.says("down", 0)

    asyncio.run(through(mosquitto, trouble))


@pytest.mark.parametrize("mode", [HANG, RESET])
@pytest.mark.parametrize("after", [0, 1, 77, 79, 99, 103])
def test_silence_or_reset_within_the_greeting(mosquitto, mode, after):
    async def trouble(it, proxy):
        proxy.fault(REFUSE)
        await it.says("down", 0)
        seen = proxy.accepted
        proxy.fault(mode, after)
        while proxy.accepted == seen:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.7)

    asyncio.run(through(mosquitto, trouble))


@pytest.mark.skipif(
    sys.platform != "linux", reason="fills the queue of a listener as Linux has it"
)
def test_connection_that_never_stands(mosquitto):
    async def run():
        with socket.socket() as listener, contextlib.ExitStack() as queue:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                waits = queue.enter_context(socket.socket())
                waits.setblocking(False)
                waits.connect_ex(listener.getsockname())
            async with pile(listener.getsockname()[1]) as it:
                assert "connect OSError: connection timed out" in await it.says("closed", 0)

    asyncio.run(run())


def test_address_without_a_route():
    async def run():
        # 240.0.0.0/4 is reserved: nobody has a route to it.
        async with pile(1883, host="240.0.0.1") as it:
            await it.says("closed", 0, 30)

    asyncio.run(run())


def test_host_that_does_not_exist():
    async def run():
        async with pile(1883, host="256.0.0.1.invalid.") as it:
            await it.says("closed", 0, 30)

    asyncio.run(run())


def test_owner_that_fails_on_a_message(mosquitto):
    async def run():
        port = int(mosquitto.split(":")[1])
        async with backend(mosquitto) as (client, _), pile(port) as it:
            await it.says("acked", 0)
            client.publish("ocpp/CP-1/down", b"fail")
            assert "the owner failed" in await it.says("down", 0)
            since = len(it.said)
            await it.says("acked", since)
            await asyncio.sleep(1)
            assert it.said.count("got fail") == 1, "the broker must not send it again"

    asyncio.run(run())
