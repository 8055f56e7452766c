"""CALLs in order, many at a time, kept until answered: those of the journal beyond a reboot."""

import json
from struct import pack

from firmware import date
from firmware.clock import WallClock
from firmware.ledger import events
from firmware.uplink.outbox import Outbox
from tests.journals import Journal


class _Line:
    def __init__(self):
        self.taken = []
        self.open = True
        self.lines = []
        self.answers = []

    def publish(self, payload):
        if self.open:
            self.taken.append(json.loads(payload))
        return self.open

    def record(self, what, **fields):
        self.lines.append((what, fields))

    def answered(self, tx, payload):
        self.answers.append((tx, payload))


def _wall():
    wall = WallClock(0)
    date.learn(wall, "2026-01-01T00:00:00Z")
    wall.boot = 1
    return wall


def record(seq, tx=7, kind=1, trigger="ChargingStateChanged", flags=events.DATED, boot=1, ms=None):
    """A record of an event."""
    time = 1767225600000 + seq * 1000 if ms is None else ms
    return pack("<BBIq4BII", 1, kind | flags, boot, time, 1, 2, 1, 1, tx, seq) + trigger.encode()


def _outbox(n, journal=None):
    line = _Line()
    journal = journal or Journal()
    outbox = Outbox("b", line.record, journal, _wall(), line.answered)
    for i in range(n):
        journal.append(record(i))
    return outbox, line


def _ticks(outbox, line, now_ms, n=6):
    for _ in range(n):
        outbox.tick(now_ms, line.publish)


def _seqs(line):
    return [message[3].get("seqNo") for message in line.taken]


def test_pipelined_in_order_and_bounded():
    outbox, line = _outbox(40)
    outbox.tick(0, line.publish)
    assert _seqs(line) == list(range(4))  # a turn of the main loop is short
    _ticks(outbox, line, 0, 8)
    assert _seqs(line) == list(range(32))
    for i in range(1, 5):
        outbox.result("j1-%d" % i, {})
    _ticks(outbox, line, 20)
    assert _seqs(line) == list(range(36))
    assert line.answers == [(7, {})] * 4


def test_the_next_turn_comes_sooner_while_the_journal_goes_out():
    outbox, line = _outbox(38)
    assert outbox.pause_ms == 20
    found = []
    for _ in range(9):
        outbox.tick(1000, line.publish)
        found.append(outbox.pause_ms)
    assert found == [0] * 8 + [5]  # 32 are without an answer, which may come soon
    outbox.tick(1999, line.publish)
    assert outbox.pause_ms == 5
    outbox.tick(2000, line.publish)
    assert outbox.pause_ms == 20  # nobody answers
    outbox.result("j1-1", {})
    line.open = False
    outbox.tick(2020, line.publish)
    assert outbox.pause_ms == 5  # the line takes none
    outbox.tick(2040, line.publish, "BootNotification")
    assert outbox.pause_ms == 20
    line.open = True
    for i in range(2, 40):
        outbox.tick(2060, line.publish)
        outbox.result("j1-%d" % i, {})
    outbox.tick(2080, line.publish)
    assert outbox.pause_ms == 20 and not outbox.owes
    outbox, line = _outbox(0)
    for _ in range(20):
        outbox._journal.append(bytes((2,)) + bytes(30))
    outbox.tick(1000, line.publish)
    assert outbox.pause_ms == 0  # only so many records are looked at in a turn
    outbox.tick(9000, line.publish)
    assert outbox.pause_ms == 20


def test_while_nobody_answers_one_goes_out_at_a_time_and_of_each_transaction_the_first():
    # A backend that is away loses what the broker has for it; when it is back, the first comes
    # first.
    outbox, line = _outbox(2)
    journal = outbox._journal
    outbox.tick(0, line.publish)
    assert _seqs(line) == [0, 1]
    outbox.result("j1-1", {})
    journal.append(record(2))
    journal.append(record(0, 8))
    journal.append(record(1, 8))
    journal.append(record(0, 9))
    for now_ms in range(2000, 30000, 20):
        outbox.tick(now_ms, line.publish)
        # 1 has no answer, nor has 0 of the others
        assert _seqs(line) == [0, 1, 0] + [0] * (now_ms >= 4000)
    outbox.tick(30000, line.publish)
    assert _seqs(line)[4:] == [1]
    outbox.result("j1-2", {})
    outbox.tick(30020, line.publish)
    assert _seqs(line)[5:] == [2]  # somebody is there: what may go does
    outbox, line = _outbox(3)
    outbox.tick(5000, line.publish)
    assert _seqs(line) == [0]
    outbox.line_lost()
    outbox.tick(7000, line.publish)
    assert _seqs(line) == [0, 0]
    # Somebody is there again, who has not had the first.
    outbox, line = _outbox(3)
    outbox._journal.append(record(0, 8))
    outbox.tick(5000, line.publish)
    outbox.tick(7000, line.publish)
    outbox.result("j1-4", {})
    for now_ms in range(7020, 35000, 20):
        outbox.tick(now_ms, line.publish)
    assert _seqs(line) == [0, 0]
    outbox.tick(35000, line.publish)
    outbox.result("j1-1", {})
    outbox.tick(35020, line.publish)
    assert _seqs(line) == [0, 0, 0, 1, 2]
    # Ticks wrap: after a week without a message nothing is held up.
    outbox, line = _outbox(1)
    outbox.tick(5000, line.publish)
    outbox.result("j1-1", {})
    outbox._journal.append(record(1))
    outbox.tick(5000 + (1 << 29), line.publish)
    assert _seqs(line) == [0, 1]


def test_the_journal_may_let_go_of_what_was_answered_only():
    outbox, line = _outbox(5)
    assert outbox.needs() == 1 and outbox.owes
    _ticks(outbox, line, 0)
    outbox.result("j1-2", {})
    assert outbox.needs() == 1
    outbox.result("j1-1", {})
    assert outbox.needs() == 3
    for i in (3, 4, 5):
        outbox.result("j1-%d" % i, {})
    assert outbox.needs() == 6 and not outbox.owes


def test_records_of_others_are_passed_over():
    outbox, line = _outbox(0)
    journal = outbox._journal
    for kind in (2, 3, 4, 6):
        for _ in range(10):
            journal.append(bytes([kind]) + bytes(30))
    journal.append(record(0))
    _ticks(outbox, line, 0, 2)
    assert not line.taken  # many records take their time
    _ticks(outbox, line, 0, 2)
    assert _seqs(line) == [0] and outbox.needs() == 41


def test_a_station_without_a_backend_owes_nothing():
    line = _Line()
    journal = Journal()
    journal.append(record(0))
    outbox = Outbox("b", line.record, journal, _wall(), line.answered, True)
    assert outbox.needs() == 2 and not outbox.owes


def test_resent_with_the_same_id_and_dup_after_the_line_was_lost():
    outbox, line = _outbox(3)
    outbox.tick(0, line.publish)
    outbox.result("j1-1", {})
    outbox.line_lost()
    outbox.tick(100, line.publish)
    assert _seqs(line) == [0, 1, 2, 1, 2]
    assert line.taken[1] == line.taken[3]
    assert [fields.get("dup", False) for what, fields in line.lines if what == "uplink"] == [
        False
    ] * 3 + [True] * 2


def test_resent_with_the_same_id_and_content_after_a_reboot():
    journal = Journal()
    outbox, line = _outbox(3, journal)
    outbox.tick(0, line.publish)
    outbox.result("j1-1", {})
    journal.release(outbox.needs())
    outbox, again = _outbox(0, journal)
    outbox.tick(0, again.publish)
    assert again.taken == line.taken[1:]
    outbox.result("j1-2", {})
    outbox.result("j1-3", {})
    assert outbox.needs() == 4


def test_resent_when_no_answer_comes_also_across_the_wrap():
    now = (1 << 30) - 10000
    outbox, line = _outbox(2)
    outbox.tick(now, line.publish)
    outbox.tick((now + 29999) & 0x3FFFFFFF, line.publish)
    assert _seqs(line) == [0, 1]
    outbox.tick((now + 30000) & 0x3FFFFFFF, line.publish)
    assert _seqs(line) == [0, 1, 0]
    outbox.result("j1-1", {})
    outbox.tick((now + 30020) & 0x3FFFFFFF, line.publish)
    assert _seqs(line) == [0, 1, 0, 1]


def test_callerrors_end_in_the_dead_letters_after_three_tries():
    outbox, line = _outbox(1)
    for i in range(3):
        outbox.tick(i * 2000, line.publish)
        outbox.result("j1-1", None, "FormatViolation" if i else "")
    outbox.tick(90000, line.publish)
    assert len(line.taken) == 3
    dead = outbox._journal.read(2)
    assert dead == b"\4\1\0\0\0\x0fFormatViolation" + record(0)
    assert outbox.needs() == 3


def test_what_a_backend_cannot_take_now_is_tried_for_half_an_hour():
    outbox, line = _outbox(1)
    now_ms = 0
    while outbox.owes and now_ms < 3600000:
        before = len(line.taken)
        outbox.tick(now_ms, line.publish)
        if len(line.taken) > before:
            outbox.result("j1-1", None, "InternalError")
        now_ms += 1000
    assert len(line.taken) == 12 and 1800000 <= now_ms <= 2200000
    assert outbox._journal.read(2)[5:19] == b"\x0dInternalError"


def test_what_was_refused_days_ago_waits_no_longer():
    outbox, line = _outbox(1)
    outbox.tick(0, line.publish)
    outbox.result("j1-1", None, "FormatViolation")
    outbox.line_lost()
    outbox.tick((1 << 29) + 5000, line.publish)  # from there on diff sees the past ahead
    assert len(line.taken) == 2


def test_a_dead_letter_that_cannot_be_kept_is_tried_on():
    outbox, line = _outbox(1, Journal(1))
    for i in range(5):
        outbox.tick(i * 20000, line.publish)
        outbox.result("j1-1", None, "FormatViolation")
    assert len(line.taken) == 5 and outbox.owes
    outbox._journal.room = 5
    outbox.tick(190000, line.publish)
    outbox.result("j1-1", None, "FormatViolation")
    outbox.tick(190020, line.publish)
    assert not outbox.owes


def test_what_is_not_of_the_journal_may_be_dropped_and_says_so():
    results = []
    outbox, line = _outbox(0)
    outbox.add("Heartbeat", lambda i: {"seqNo": i}, 5, results.append)
    outbox.tick(0, line.publish)
    outbox.tick(30000, line.publish)
    assert results == [None] and _seqs(line) == [5]
    outbox.add("Heartbeat", lambda i: {}, 5, results.append)
    outbox.tick(40000, line.publish)
    outbox.line_lost()
    assert results == [None, None]


def test_who_waits_for_an_answer_hears_that_the_line_is_lost_before_it_was_asked():
    # A card of before the outage must not begin anything after it.
    results = []
    outbox, line = _outbox(0)
    line.open = False
    outbox.add("Authorize", lambda i: {"seqNo": i}, 1, results.append)
    outbox.add("StatusNotification", lambda i: {"seqNo": i}, 2)
    outbox.tick(0, line.publish)
    outbox.line_lost()
    assert results == [None]
    line.open = True
    outbox.tick(20, line.publish)
    assert _seqs(line) == [2]


def test_a_record_that_was_damaged_since_it_was_sent_holds_up_nothing():
    outbox, line = _outbox(3)
    _ticks(outbox, line, 0)
    outbox.line_lost()
    outbox._journal.records[1] = None
    _ticks(outbox, line, 20)
    assert _seqs(line) == [0, 1, 2, 1, 2]
    for i in (2, 3):
        outbox.result("j1-%d" % i, {})
    assert not outbox._kept and outbox._journal.records[4][0] == 4  # the dead letter


def test_it_is_bounded_and_refuses_what_is_more():
    outbox, line = _outbox(100)
    line.open = False
    for i in range(20):
        assert outbox.add("Heartbeat", lambda _: {}) == (i < 16)
    _ticks(outbox, line, 0, 10)
    assert len(outbox._calls) == 16 and len(outbox._kept) <= 32
    line.open = True
    _ticks(outbox, line, 20, 10)
    assert len(line.taken) == 48


def test_a_line_that_takes_nothing_loses_nothing():
    outbox, line = _outbox(2)
    line.open = False
    outbox.tick(0, line.publish)
    line.open = True
    outbox.tick(20, line.publish)
    assert _seqs(line) == [0, 1]


def test_answers_nobody_waits_for_change_nothing():
    outbox, line = _outbox(1)
    outbox.result("j1-1", {})  # not even sent
    outbox.result("x", None, "InternalError")
    outbox.tick(0, line.publish)
    outbox.result("j1-1", {})
    outbox.result("j1-1", {})
    assert _seqs(line) == [0]
    assert len([what for what, _ in line.lines if what == "result"]) == 1


def test_an_answer_that_is_not_as_the_schema_has_it_says_nothing():
    outbox, line = _outbox(1)
    results = []
    outbox.add("Heartbeat", lambda i: {}, None, results.append)
    outbox.add("Authorize", lambda i: {}, None, results.append)
    outbox.tick(0, line.publish)
    bad = {"idTokenInfo": {"status": "Accepted", "tokens": 1}}
    outbox.result("j1-1", bad)
    outbox.result("b-c1", {"currentTime": "2026-02-30T00:00:00Z"})
    outbox.result("b-c2", bad)
    # The backend has the event; who asks hears that there is no answer.
    assert line.answers == [(7, {})] and results == [None, None] and not outbox.owes
    assert [what for what, _ in line.lines if what == "backend"] == ["backend"] * 3
    outbox, line = _outbox(1)
    outbox.tick(0, line.publish)
    good = {"totalCost": 1.5, "transactionLimit": {"maxCost": 2, "maxTime": 60}}
    outbox.result("j1-1", good)
    assert line.answers == [(7, good)]


def test_boot_goes_first():
    outbox, line = _outbox(2)
    outbox.add("BootNotification", lambda _: {"seqNo": "boot"})
    outbox.tick(0, line.publish, "BootNotification")
    assert _seqs(line) == ["boot"]


def test_nothing_newer_of_a_transaction_overtakes_one_that_was_refused():
    outbox, line = _outbox(8)
    _ticks(outbox, line, 0)
    outbox._journal.append(record(8))
    outbox._journal.append(record(0, 9))
    outbox.result("j1-1", {})
    outbox.result("j1-2", None, "InternalError")
    outbox.tick(20, line.publish)
    assert _seqs(line)[8:] == [0]
    outbox.tick(1000, line.publish)
    assert _seqs(line)[9:] == [1]
    outbox.result("j1-2", {})
    outbox.tick(1020, line.publish)
    assert _seqs(line)[10:] == [8]


def test_what_cannot_be_told_does_not_stop_the_others():
    journal = Journal()
    journal.append(b"\1" + bytes(10))
    outbox, line = _outbox(1, journal)
    _ticks(outbox, line, 0)
    assert _seqs(line) == [0]
    assert journal.read(3)[:6] == b"\4\1\0\0\0\x0d"


def test_a_memory_that_does_not_answer_is_asked_again():
    outbox, line = _outbox(1)
    outbox._journal.fails = True
    outbox.tick(0, line.publish)
    outbox._journal.fails = False
    outbox.tick(20, line.publish)
    assert _seqs(line) == [0]


def test_a_security_event_is_sent_as_one():
    outbox, line = _outbox(0)
    event = events.security(_wall().now(), "RepeatedlyRefusedTokens", "5 within 60 s")
    outbox._journal.append(event)
    outbox.tick(0, line.publish)
    (call,) = line.taken
    assert call[1:] == [
        "j1-1",
        "SecurityEventNotification",
        {
            "type": "RepeatedlyRefusedTokens",
            "techInfo": "5 within 60 s",
            "timestamp": "2026-01-01T00:00:00.000Z",
        },
    ]
    outbox.result("j1-1", {})
    assert not outbox.owes and not line.answers


def test_what_was_before_the_date_was_known_gets_its_date():
    wall = _wall()
    wall.boot = 9
    # Boot 3 learnt the date later on; 5 never did, its last record is of 50 s; 7 did.
    wall.boots = [(3, 1000000000000, 40000), (5, None, 50000), (7, 1100000000000, 0)]
    for boot, ms, unix_ms in (
        (3, 2000, 1000000002000),
        (5, 50000, 1100000000000),
        (5, 20000, 1099999970000),
        (9, 500, 1767225600500),
        # not even known, as so many boots came since: no later than the next start that is
        (8, 500, 1767225600000),
        (4, 50000, 1100000000000),
    ):
        assert events.moment(wall, 0, boot, ms) == unix_ms
    assert events.moment(wall, events.DATED, 3, 123) == 123
    # What is called the date later does not change what was said before.
    date.learn(wall, "2026-02-01T00:00:00Z")
    assert events.moment(wall, 0, 9, 500) == 1767225600500
