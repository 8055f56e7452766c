"""The signed receipt of a session: made after the opening, told with its end, kept in history."""

from binascii import a2b_base64
from hashlib import sha256

from firmware.ledger import history, p256
from tests.pile import CARD, charging, settings, simulate, step


def _session(**config):
    steps = charging(step(20000, "pause"), step(22000, "unplug"))
    trace, station = simulate(40000, steps, settings(receipts=1, **config))
    ended = trace.messages("TransactionEvent", "Ended")
    assert len(ended) == 1
    return trace, station, ended[0]


def test_a_session_ends_with_a_receipt_that_its_key_signed():
    trace, station, ended = _session()
    sample = ended["meterValue"][0]["sampledValue"][0]
    assert sample["measurand"] == "Energy.Active.Import.Register"
    signed = sample["signedMeterValue"]
    assert signed["encodingMethod"] == "OCMF"
    text = a2b_base64(signed["signedMeterData"]).decode()
    form, payload, signature = text.split("|")
    assert form == "OCMF"
    for part in (
        '"XT":"%s"' % ended["transactionInfo"]["transactionId"],
        '"TX":"B"',
        '"TX":"E"',
        '"IS":false',
        '"RV":0.000',
    ):
        assert part in payload, part
    assert CARD not in payload
    *_, der = p256.sign(station.receipt_keys[0], sha256(payload.encode()).digest())
    assert '"SD":"%s"' % "".join(["%02x" % byte for byte in der]) in signature
    assert not trace.of("fault") and not trace.of("error")
    kept = list(history.sessions(station.board.store, print))
    assert len(kept) == 1 and kept[0]["receipt"] == text and kept[0]["currency"] == ""


def test_a_receipt_names_the_user_where_that_was_chosen():
    _, _, ended = _session(receipt_id="token")
    signed = ended["meterValue"][0]["sampledValue"][0]["signedMeterValue"]
    assert '"ID":"%s"' % CARD in a2b_base64(signed["signedMeterData"]).decode()


def test_a_receipt_that_fails_keeps_nobody_from_leaving():
    steps = charging(step(20000, "pause"), step(22000, "unplug"))
    trace, station = simulate(15000, steps, settings(receipts=1))
    station.sessions[0].signing = _failing()
    station.board._simulate(station, 40000000)
    assert len(trace.messages("TransactionEvent", "Ended")) == 1
    assert station.sessions[0].free and not station.errors


def _failing():
    yield None
    raise MemoryError()


def test_without_keys_a_session_ends_all_the_same():
    trace, station = simulate(
        40000, charging(step(20000, "pause"), step(22000, "unplug")), settings()
    )
    (ended,) = trace.messages("TransactionEvent", "Ended")
    assert "signedMeterValue" not in ended["meterValue"][0]["sampledValue"][0]
    assert [one["receipt"] for one in history.sessions(station.board.store, print)] == [""]
