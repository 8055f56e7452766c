"""The short form of `soak.py chaos`, and that it sees what it is to see."""

import asyncio
import os
import random
import time

import pytest

from tools import chaos, soak
from tools.proxy import DEAF, DRIP, LOSS, PASS, Proxy


@pytest.fixture(scope="module", autouse=True)
def mosquitto():
    if chaos.mosquitto() is None and os.environ.get("CI") != "true":
        pytest.skip("mosquitto is not here")


def test_short_chaos():
    told = []
    assert soak.faulty(True, 1, told.append), told
    assert told[-1].startswith("ok     chaos: 24 faults")


def test_there_are_as_many_faults_as_promised_and_all_kinds():
    plan = chaos.plan_of(chaos.FAULTS, 1, True)
    assert len(plan) == 1000 and set(plan) == {*chaos.KINDS, *chaos.CERTIFICATES}
    assert plan == chaos.plan_of(1000, 1, True) != chaos.plan_of(1000, 2, True)
    assert not set(chaos.plan_of(1000, 1, False)) & {*chaos.CERTIFICATES}


def group(events, energy_mwh=5000, errors=0, seen=()):
    """One that has heard these events: (transaction, type, seqNo, Wh)."""
    made = chaos.Group(0, 1, chaos.REPO, False)
    made.backend = chaos._Heard("127.0.0.1", 1)
    calls = made.backend.station("CP-0").calls
    for i, (tx, kind, seq, wh) in enumerate(events):
        values = [{"sampledValue": [
            {"measurand": "Energy.Active.Import.Register", "value": wh}]}]
        payload = {"eventType": kind, "seqNo": seq, "meterValue": values,
                   "transactionInfo": {"transactionId": tx}}
        calls["m-%d" % i] = [2, "m-%d" % i, "TransactionEvent", payload], []
    made.found = {"energy_mwh": energy_mwh, "errors": errors}
    made._judge([{"what": "boot"}, {"what": "access", "decision": "accepted"},
                 {"what": "contactor", "closed": True, "command": True},
                 {"what": "step", "step": {"do": "unplug"}}, *seen])
    return made


GOOD = [("t", "Started", 0, 10.0), ("t", "Updated", 1, 12.0), ("t", "Ended", 2, 15.0)]


def test_what_is_good_is_good():
    assert group(GOOD).wrong == []


@pytest.mark.parametrize("events, more, words", [
    (GOOD[:1] + GOOD[2:], {}, "seqNo [0, 2]"),
    ([GOOD[0], GOOD[2], GOOD[1]], {}, "seqNo [0, 2, 1]"),
    (GOOD[:2], {}, "['Started', 'Updated']"),
    ([], {"energy_mwh": 0}, "0 transactions, 1 were let in, 1 vehicles"),
    (GOOD, {"energy_mwh": 99000}, "5000 mWh told, 99000 given"),
    (GOOD, {"errors": 1}, "1 boots, 1 errors"),
    (GOOD, {"seen": [{"what": "boot"}]}, "2 boots"),
    (GOOD, {"seen": [{"what": "access", "decision": "accepted"}]}, "1 transactions, 2 were let"),
    (GOOD, {"seen": [{"what": "fault", "code": "GroundFailure"}]}, "GroundFailure"),
    (GOOD, {"seen": [{"what": "uplink", "message": [2, "m-9", "TransactionEvent", {}]}]},
     "never came: m-9"),
])
def test_what_is_lost_or_wrong_is_seen(events, more, words):
    assert words in " ".join(group(events, **more).wrong)


def test_how_late_a_share_of_the_ticks_is():
    late = [980, 10, 5, 4, 1]
    found = [chaos._late_ms(late, share) for share in (0.5, 0.98, 0.985, 0.999, 1)]
    assert found == [0, 0, 1, 3, 4]


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


async def through(writer, reader, data, within_s):
    """What of `data` has come back after so long."""
    writer.write(data)
    came = b""
    deadline = time.monotonic() + within_s
    try:
        while len(came) < len(data):
            came += await asyncio.wait_for(reader.read(1000), deadline - time.monotonic())
    except asyncio.TimeoutError:
        pass
    return came


def test_the_proxy_loses_drips_and_falls_silent():
    async def run():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        with Proxy(server.sockets[0].getsockname(), speed=20, seed=1) as proxy:
            data = random.Random(1).randbytes(100)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            proxy.fault(LOSS)
            for _ in range(20):
                assert await through(writer, reader, data, 5) == data
            proxy.fault(DRIP)
            some = await through(writer, reader, data, 0.3)
            assert len(some) < 100 and data.startswith(some)
            proxy.fault(PASS)
            assert some + await reader.readexactly(100 - len(some)) == data
            proxy.half_open()
            assert await through(writer, reader, data, 0.2) == b""
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await through(writer, reader, data, 5) == data
            proxy.fault(DEAF)
            assert await through(writer, reader, data, 0.2) == b""
            proxy.fault(PASS)
            assert await through(writer, reader, data, 0.2) == b""
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await through(writer, reader, data, 5) == data
        server.close()

    asyncio.run(run())
