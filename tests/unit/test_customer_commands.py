"""What the pile keeps of a customer is told and cleared, where he consents."""

import struct
from binascii import crc32

from firmware.access import entries
from firmware.ledger import history
from firmware.uplink import customer_commands
from hal.virtual import scenario
from tests import pile
from tests.pile import CARD, charging, settings, step

_TOKEN = {"idToken": CARD, "type": "ISO14443"}
_HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "a",
    "issuerKeyHash": "b",
    "serialNumber": "c",
}


def simulate(until_ms, steps, config=None, **fields):
    return pile.simulate(until_ms, steps, config, tick_ms=20, **fields)


def _ask(at_ms, report=True, clear=False, message_id=None, replayed=False, **who):
    payload = {"requestId": 3, "report": report, "clear": clear}
    payload.update(who or {"idToken": _TOKEN})
    message = [2, message_id or "m%d" % at_ms, "CustomerInformation", payload]
    return step(at_ms, "backend", message=message, replayed=replayed)


def _open(**changes):
    return settings(customer_info=1, **changes)


def _statuses(trace):
    found = []
    for answer in trace.answers():
        assert answer[0] == 3, answer
        why = answer[2].get("statusInfo", {}).get("reasonCode")
        found.append(answer[2]["status"] + ("/" + why if why else ""))
    return found


def _told(trace):
    """The lines of all pages."""
    lines = []
    pages = trace.messages("NotifyCustomerInformation")
    for i, page in enumerate(pages):
        assert page["requestId"] == 3 and len(page["data"]) <= 512
        if page["seqNo"] == 0:
            assert i == 0 or not pages[i - 1]["tbc"]
        lines += page["data"].split("\n")
    assert not pages or not pages[-1]["tbc"]
    return lines


def _session(at_ms, card=CARD):
    return [
        step(at_ms, "plug", r_ohm=882),
        step(at_ms + 2000, "card", uid=card),
        step(at_ms + 12000, "unplug"),
    ]


def _list(at_ms):
    kept = [{"idToken": _TOKEN, "idTokenInfo": {"status": "Accepted"}}]
    payload = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": kept}
    return step(at_ms, "backend", message=[2, "list", "SendLocalList", payload])


def test_without_consent_nothing_is_told():
    trace, station = simulate(60000, _session(1000) + [_ask(50000, clear=True)])
    assert _statuses(trace) == ["Rejected/NotEnabled"] and _told(trace) == []
    assert station.cards.cached or station.cards.fresh


def test_what_is_kept_is_told():
    steps = _session(1000) + _session(20000) + [_ask(90000)]
    trace, station = simulate(100000, steps, _open())
    assert _statuses(trace) == ["Accepted"]
    lines = _told(trace)
    assert lines[0].startswith("cache: Accepted, until 2026-01-31T")
    sessions = [line for line in lines if line.startswith("session ")]
    assert len(sessions) == 2 and "EVSE 1, 2026-01-01T00:00:" in sessions[0]
    assert "Wh" in sessions[1] and CARD not in str(lines)
    assert not station.cards.chores


def test_what_runs_and_waits_is_told():
    reserve = {
        "id": 5,
        "expiryDateTime": "2026-01-01T01:00:00Z",
        "idToken": _TOKEN,
        "evseId": 2,
    }
    steps = charging(
        _list(500),
        step(6000, "backend", message=[2, "r", "ReserveNow", reserve]),
        _ask(20000),
    )
    trace, station = simulate(40000, steps, _open(), outlets=2)
    lines = _told(trace)
    assert "local list: Accepted" in lines
    assert "reservation 5: EVSE 2, until 2026-01-01T01:00:00.000Z" in lines
    assert "session now: EVSE 1, " + station.sessions[0].transaction_id in lines


def test_what_is_not_acknowledged_is_told_and_stays():
    steps = [step(800, "link", up=False)] + charging()
    trace, station = simulate(9000, steps, _open(offline_unknown=1))
    digest = station.cards.digest(CARD)
    station.journal.append(bytes((2,)) + bytes(18) + digest + bytes(40))
    lines = list(customer_commands._gathered(station.cards, CARD, digest))
    assert "sessions to be filed: 1" in lines
    assert "messages that name the token and may not be acknowledged yet: 1" in lines
    customer_commands._clear(station.cards, digest)
    after = list(customer_commands._gathered(station.cards, CARD, digest))
    # "" is a turn that has found none.
    assert [one for one in after if one] == [one for one in lines if one]


def test_of_others_nothing_is_told():
    other = {"idToken": "DEADBEEF", "type": "ISO14443"}
    steps = _session(1000) + [
        _ask(50000, idToken=other),
        _ask(55000, customerIdentifier="C-1"),
        _ask(60000, customerCertificate=_HASH),
        _ask(65000, report=False, clear=True, customerIdentifier="C-1"),
    ]
    trace, _ = simulate(70000, steps, _open())
    assert _statuses(trace) == ["Accepted"] * 4
    assert _told(trace) == ["nothing is kept"] * 3


def _run_on(station, until_ms, *steps):
    board = station.board
    board.scenario["until_ms"] = until_ms
    for one in steps:
        board.plant.at(one["at_ms"] * 1000, scenario._do, (board, board.places[0], one))
    board.run(station)


def _tokens(station):
    return [one["token"] for one in history.sessions(station.board.store, print)]


def test_what_is_cleared():
    steps = [_list(500)] + _session(1000) + _session(20000, "DEADBEEF") + _session(40000)
    steps.append(_ask(80000, report=False, clear=True))
    config = _open(local_list=0, offline_unknown=1)
    trace, station = simulate(100000, steps, config)
    assert _statuses(trace)[-1] == "Accepted" and _told(trace) == []
    digest = station.cards.digest(CARD)
    assert entries.in_cache(station.cards, digest) is None and station.cards.cached == 0
    found = list(history.sessions(station.board.store, print))
    assert len(found) == 2 and [one["token"] for one in found] == ["", ""]
    assert all(one["end_mwh"] > one["start_mwh"] and one["reason"] for one in found)


def test_told_and_cleared_at_once():
    steps = _session(1000) + [_ask(60000, clear=True), _ask(80000)]
    trace, station = simulate(100000, steps, _open())
    assert _statuses(trace) == ["Accepted", "Accepted"]
    lines = _told(trace)
    assert lines[0].startswith("cache") and lines[1].startswith("session ")
    assert lines[2:] == ["nothing is kept"]


def test_the_local_list_and_a_running_session_stay():
    trace, station = simulate(
        60000, charging(_list(500), _ask(10000, clear=True), step(30000, "unplug")), _open()
    )
    digest = station.cards.digest(CARD)
    assert entries.in_list(station.cards, digest) and len(_tokens(station)) == 1
    assert trace.messages("TransactionEvent", "Ended")[0]["transactionInfo"]["stoppedReason"]


def test_it_is_cleared_though_the_power_is_cut():
    trace, station = simulate(
        61000, _session(1000) + [_ask(60000, report=False, clear=True)], _open()
    )
    assert _statuses(trace) == ["Accepted"]
    station.board.cut_power(1000000)
    _run_on(station, 90000)
    assert _tokens(station.board.station) == [""]


def test_nothing_is_written_while_energised():
    steps = _session(1000) + [
        step(30000, "plug", r_ohm=882),
        step(32000, "card", uid=CARD),
        _ask(50000, report=False, clear=True),
    ]
    trace, station = simulate(70000, steps, _open())
    assert _statuses(trace) == ["Accepted"] and station.outlets[0].energised
    assert _tokens(station) != [""]
    _run_on(station, 120000, step(75000, "unplug"))
    # That of before the request is cleared; and so is the one that was still to be filed.
    assert _tokens(station)[0] == ""


def test_a_long_report_has_pages_and_no_line_ends_it():
    trace, station = simulate(30000, _session(1000), _open())
    body = next(body for number, body, _ in history.records(station.board.store, 1) if number)
    data = b""
    for number in range(1, 12):
        made = struct.pack("<BHI", 0x5A, len(body), number) + body
        data += made + struct.pack("<I", crc32(made))
    station.board.store.save("h1", data)
    _run_on(station, 60000, _ask(35000))
    pages = trace.messages("NotifyCustomerInformation")
    assert len(pages) > 2 and [page["seqNo"] for page in pages] == list(range(len(pages)))
    assert [page["tbc"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert len([line for line in _told(trace) if line.startswith("session ")]) == 11
    _run_on(station, 90000, _ask(65000, message_id="b"), step(65200, "link", up=False))
    assert not station.cards.chores and not station.errors


def test_what_is_stale_or_no_request():
    steps = [
        _ask(1000, clear=True, replayed=True),
        _ask(2000, idToken=_TOKEN, customerIdentifier="C-1"),
        _ask(3000, report=False),
        _ask(4000, message_id="a"),
        _ask(5000, message_id="a"),
    ]
    trace, _ = simulate(9000, steps, _open())
    assert _statuses(trace) == [
        "Rejected/StaleCommand",
        "Invalid/InvalidValue",
        "Invalid/MissingParam",
        "Accepted",
        "Rejected/StaleCommand",
    ]
    message = [2, "n", "CustomerInformation", {"requestId": 1, "report": True, "clear": False}]
    trace, _ = simulate(3000, [step(1000, "backend", message=message)], _open())
    assert _statuses(trace) == ["Invalid/MissingParam"]


def test_what_cannot_be_kept_is_refused():
    steps = [step(500, "fram"), _ask(1000, report=False, clear=True)]
    trace, _ = simulate(4000, steps, _open())
    assert _statuses(trace) == ["Rejected/NotKept"]


def test_what_is_malformed():
    for payload in (
        {},
        {"requestId": 1, "report": True},
        {"requestId": 1, "report": 1, "clear": False, "idToken": _TOKEN},
        {"requestId": -1, "report": True, "clear": False, "idToken": _TOKEN},
        {"requestId": 1, "report": True, "clear": False, "idToken": CARD},
        {"requestId": 1, "report": True, "clear": False, "customerIdentifier": "x" * 65},
        {"requestId": 1, "report": True, "clear": False, "customerCertificate": {}},
    ):
        message = [2, "m", "CustomerInformation", payload]
        trace, _ = simulate(3000, [step(1000, "backend", message=message)], _open())
        assert [answer[0] for answer in trace.answers()] == [4], payload
        assert not trace.messages("NotifyCustomerInformation")
