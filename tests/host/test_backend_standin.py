"""The backend's stand-in answers as OCPP 2.1 has it, and catches what breaks the vocabulary."""

import asyncio
import json

import pytest

from tools.host import broker, mqtt, ocpp_schemas
from tools.host.backend import CARD, Backend, now

BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
STARTED = {"eventType": "Started", "timestamp": "2026-01-01T00:00:00Z", "seqNo": 0,
           "triggerReason": "Authorized", "transactionInfo": {"transactionId": "t"},
           "idToken": {"idToken": CARD, "type": "ISO14443"}}


def authorize(uid):
    return {"idToken": {"idToken": uid, "type": "ISO14443"}}


def exchange(*sent, expected=None):
    """Send raw payloads as station CP-1; returns (the answers' arrays, the backend)."""
    async def main():
        answers = []
        async with broker.embedded() as (host, port), Backend(host, port) as backend:
            station = mqtt.Client(host, port, "CP-1", ["ocpp/CP-1/down"],
                                  lambda _topic, payload, *_: answers.append(json.loads(payload)))
            await station.start()
            for payload in sent:
                station.publish("ocpp/CP-1/up", payload)
            for _ in range(200):
                if len(answers) >= (len(sent) if expected is None else expected):
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await station.stop()
            return answers, backend
    return asyncio.run(main())


def call(identity, action, payload):
    return json.dumps([2, identity, action, payload]).encode()


def test_answers():
    answers, backend = exchange(
        call("1", "BootNotification", BOOT), call("2", "Authorize", authorize(CARD)),
        call("3", "Authorize", authorize("DEADBEEF")), call("4", "TransactionEvent", STARTED),
        call("5", "Heartbeat", {}), call("6", "BatterySwap", {}),
        call("7", "StatusNotification", {"timestamp": now(), "connectorStatus": "Occupied",
                                         "evseId": 1, "connectorId": 1}))
    assert backend.invalid == []
    one, two, three, four, five, six, seven = answers
    assert one[2]["status"] == "Accepted" and one[2]["interval"] == 60
    assert ocpp_schemas.is_date_time(one[2]["currentTime"])
    assert two[2]["idTokenInfo"]["status"] == "Accepted"
    assert three[2]["idTokenInfo"]["status"] == "Invalid"
    assert four[2]["idTokenInfo"]["status"] == "Accepted"
    assert list(five[2]) == ["currentTime"]
    assert six[:3] == [4, "6", "NotImplemented"]
    assert seven == [3, "7", {}]


@pytest.mark.parametrize("action, payload, word", [
    ("BootNotification", {"reason": "PowerUp"}, "chargingStation"),
    ("TransactionEvent", dict(STARTED, timestamp="yesterday"), "yesterday"),
    ("TransactionEvent", dict(STARTED, timestamp="2026-13-01T00:00:00Z"), "2026-13"),
    ("TransactionEvent", dict(STARTED, timestamp="2026-01-01T00:00:00"), "2026-01"),
    ("TransactionEvent", dict(STARTED, seqNo="0"), "seqNo"),
    ("TransactionEvent", dict(STARTED, triggerReason="Mood"), "Mood"),
    ("Heartbeat", {"extra": 1}, "extra"),
])
def test_an_invalid_request_is_caught(action, payload, word):
    answers, backend = exchange(call("1", action, payload))
    assert answers[0][:2] == [4, "1"]
    assert len(backend.invalid) == 1 and word in backend.invalid[0]


@pytest.mark.parametrize("payload", [
    b"", b"hello", b"{}", b"[]", b'[2,"1"]', b'[2,"1","Heartbeat"]', b'[2,1,"Heartbeat",{}]',
    b'[2,"","Heartbeat",{}]', b'[9,"1",{}]', b'[2,"1","Heartbeat",[]]', b"\xff",
    b'[2,"' + b"x" * 37 + b'","Heartbeat",{}]', b'[4,"1","Oops","",{}]', b'[[],"1",{}]',
])
def test_a_broken_frame_is_caught(payload):
    answers, backend = exchange(payload, expected=0)
    assert answers == [] and len(backend.invalid) == 1


def test_a_repeated_message_counts_once_and_gets_the_same_answer():
    answers, backend = exchange(*[call("1", "TransactionEvent", STARTED)] * 3)
    assert answers[0] == answers[1] == answers[2]
    assert len(backend.calls("TransactionEvent")) == 1
    assert backend.station("CP-1").repeats == 2 and backend.invalid == []


def test_an_identity_with_other_content_is_caught():
    _, backend = exchange(call("1", "Heartbeat", {}), call("1", "Authorize", authorize(CARD)))
    assert "other content" in backend.invalid[0]


def command(answer):
    """Send RequestStopTransaction to a station that answers with the fields `answer`."""
    async def main():
        async with broker.embedded() as (host, port), Backend(host, port) as backend:
            def reply(_topic, payload, *_):
                identity = json.loads(payload)[1]
                station.publish("ocpp/CP-1/up",
                                json.dumps([answer[0], identity, *answer[1:]]).encode())
            station = mqtt.Client(host, port, "CP-1", ["ocpp/CP-1/down"], reply)
            await station.start()
            got = await backend.call("CP-1", "RequestStopTransaction", {"transactionId": "t"})
            await station.stop()
            return got, backend
    return asyncio.run(main())


def test_a_command_and_its_answer():
    got, backend = command([3, {"status": "Accepted"}])
    assert got[0] == 3 and got[2] == {"status": "Accepted"} and backend.invalid == []
    got, backend = command([4, "NotImplemented", "", {}])
    assert got[2] == "NotImplemented" and backend.invalid == []
    got, backend = command([3, {"status": "Perhaps"}])
    assert "Perhaps" in backend.invalid[0]


def test_our_own_requests_are_checked_too():
    async def main():
        async with broker.embedded() as (host, port), Backend(host, port) as backend:
            with pytest.raises(ValueError, match="transactionId"):
                await backend.call("CP-1", "RequestStopTransaction", {})
    asyncio.run(main())


def test_the_client_comes_back_after_the_broker_was_away(mosquitto):
    """Through a proxy that drops the line: nothing that was published is lost."""
    async def main():
        lines, got = [], []
        host, port = mosquitto.split(":")

        async def pump(reader, writer):
            try:
                while data := await reader.read(4096):
                    writer.write(data)
            finally:
                writer.close()

        async def proxied(reader, writer):
            there, back = await asyncio.open_connection(host, int(port))
            lines.append(writer)
            await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

        server = await asyncio.start_server(proxied, "127.0.0.1", 0)
        through = server.sockets[0].getsockname()[1]
        sender = mqtt.Client("127.0.0.1", through, "sender")
        receiver = mqtt.Client(host, int(port), "receiver", ["t"],
                               lambda _topic, payload, *_: got.append(payload))
        await receiver.start()
        await sender.start()
        sender.publish("t", b"1")
        await asyncio.sleep(0.1)
        lines[0].close()
        await asyncio.sleep(0.1)
        sender.publish("t", b"2")
        for _ in range(200):
            if b"2" in got:
                break
            await asyncio.sleep(0.02)
        await sender.stop()
        await receiver.stop()
        server.close()
        return got
    assert sorted(set(asyncio.run(main()))) == [b"1", b"2"]
