"""The signed receipt of a session: made after the opening, told with its end, kept in history."""

from binascii import a2b_base64
from hashlib import sha256

from firmware.ledger import history, p256, signing
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


def _payload(ended):
    signed = ended["meterValue"][0]["sampledValue"][0]["signedMeterValue"]
    return a2b_base64(signed["signedMeterData"]).decode()


def test_a_session_that_a_cut_has_ended_has_a_receipt_of_what_was_kept():
    trace, station = simulate(
        60000, charging(step(30000, "power", for_ms=5000)), settings(receipts=1)
    )
    (ended,) = trace.messages("TransactionEvent", "Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    text = _payload(ended)
    (sample,) = ended["meterValue"][0]["sampledValue"]
    mwh = sample["value"]
    begin, end = text.partition('"RD":[{')[2].split("},{")
    assert '"TX":"B"' in begin and '"ST":"G"' in begin and '"EF":""' in begin
    for part in ('"TX":"P"', '"ST":"S"', '"EF":"t"', '"TM":"%s' % ended["timestamp"][:19]):
        assert part in end, part
    wh = int(mwh // 1)
    assert '"RV":%d.%03d' % (wh // 1000, wh % 1000) in end and " I" in begin and " I" in end
    *_, der = p256.sign(station.receipt_keys[0], sha256(text.split("|")[1].encode()).digest())
    assert "".join(["%02x" % byte for byte in der]) in text.split("|")[2]
    assert not trace.of("error")
    (kept,) = history.sessions(station.board.store, print)
    assert kept["receipt"] == text and kept["reason"] == "PowerLoss"
    session = station.board.station.sessions[0]
    assert session.free and session.transaction_id is None


def test_more_cuts_while_it_is_signed_neither_lose_nor_double_the_end():
    # The first slices come 20 ms after the boot, the end after 1.5 s.
    for later_ms in (20, 300, 1000, 1440, 1480, 1500, 1520, 1560, 1700, 3000):
        steps = [step(30000, "power", for_ms=1000), step(31000 + later_ms, "power", for_ms=1000)]
        trace, station = simulate(50000, charging(*steps), settings(receipts=1))
        (ended,) = trace.messages("TransactionEvent", "Ended")
        events = trace.messages("TransactionEvent")
        assert [event["seqNo"] for event in events] == list(range(len(events))), later_ms
        (kept,) = history.sessions(station.board.store, print)
        assert kept["receipt"] == _payload(ended) and '"TX":"P"' in kept["receipt"]


def test_two_outlets_that_one_cut_has_ended_have_a_receipt_each():
    steps = [step(1000, "plug"), step(1000, "plug", outlet=2), step(2000, "ready")]
    steps += [step(2000, "ready", outlet=2), step(30000, "power", for_ms=1000)]
    steps += [step(30500, "unplug"), step(30500, "unplug", outlet=2)]
    trace, station = simulate(50000, steps, settings(receipts=1, free_vend=1), outlets=2)
    first, second = trace.messages("TransactionEvent", "Ended")
    assert _payload(first) != _payload(second)
    kept = [one["receipt"] for one in history.sessions(station.board.store, print)]
    assert kept == [_payload(first), _payload(second)] and not trace.of("error")


def test_a_receipt_after_a_cut_names_the_user_and_says_that_the_date_is_not_known():
    steps = [
        step(0, "link", up=False),
        step(30000, "power", for_ms=5000),
        step(40000, "link", up=True),
    ]
    config = settings(receipts=1, receipt_id="token", offline_unknown=1)
    trace, station = simulate(70000, charging(*steps), config)
    (ended,) = trace.messages("TransactionEvent", "Ended")
    text = _payload(ended)
    assert '"ID":"%s"' % CARD in text
    begin, end = text.partition('"RD":[{')[2].split("},{")
    assert '"TM":"1970-01-01T00:00:00,000+0000 U"' in begin and " U" in end
    spent = int(end.partition("1970-01-01T00:00:")[2][:2])
    assert 15 <= spent <= 28, end


def test_a_receipt_that_fails_after_a_cut_costs_only_the_receipt():
    trace, station = simulate(30000, charging(), settings(receipts=1))
    board = station.board
    board.line.cut()
    station = station.__class__(board, station.config)
    station.sessions[0].signing = _failing()
    board._simulate(station, 45000000)
    (ended,) = trace.messages("TransactionEvent", "Ended")
    assert "signedMeterValue" not in ended["meterValue"][0]["sampledValue"][0]
    assert station.sessions[0].free and not station.errors


def test_a_receipt_names_the_meter():
    class Telling:
        number = bytes((0x78, 0x56, 0x34, 0x12, 0, 0))

    for serial, chip, nameplate, expected in (
        ("", None, {}, '"MS":"1"'),
        ("", Telling, {}, '"MS":"000012345678"'),
        ("", Telling, {"serial": "77"}, '"MS":"77"'),
        (" A-9 ,B-2", Telling, {"serial": "77"}, '"MS":"A-9"'),
        ("", None, {"vendor": "V", "model": "M", "firmware": "F"}, '"MV":"V","MM":"M","MS":"1"'),
    ):
        trace, station = simulate(1000, [], settings(receipts=1, meter_serial=serial))
        board = station.board
        board.places[0].billing = chip
        board.places[0].nameplate = nameplate
        station = station.__class__(board, station.config)
        session = station.sessions[0]
        session.transaction_id, session._ending = "t", ("Local", "")
        *_, text = signing.begin(session, 0)
        assert expected in text, text


def test_a_receipt_that_fails_keeps_nobody_from_leaving():
    steps = charging(step(20000, "pause"), step(22000, "unplug"))
    trace, station = simulate(15000, steps, settings(receipts=1))
    station.sessions[0].signing = _failing()
    station.board._simulate(station, 40000000)
    assert len(trace.messages("TransactionEvent", "Ended")) == 1
    assert station.sessions[0].free and not station.errors


def test_no_key_is_written_while_a_contactor_is_welded():
    # tests.pile raises where flash is written while one is closed.
    steps = charging(step(10000, "weld"), step(12000, "pause"))
    trace, station = simulate(20000, steps, settings())
    board = station.board
    assert board.plant.closed
    wanted = settings(receipts=1)
    station = station.__class__(board, wanted)
    assert station.receipt_keys is None and board.store.load("receipt.key") is None
    assert "a contactor is closed" in trace.of("error")[-1]["problem"]
    board.plant.unplug()
    board.plant.weld(False)
    board._advance(board.plant.now_us + 1000000)
    assert not board.plant.closed
    assert station.__class__(board, wanted).receipt_keys


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
