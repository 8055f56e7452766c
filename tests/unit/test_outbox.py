"""CALLs in order, many at a time, kept until answered."""

import json

from firmware.uplink.outbox import Outbox


class _Line:
    def __init__(self):
        self.taken = []
        self.open = True
        self.lines = []

    def publish(self, payload):
        if self.open:
            self.taken.append(json.loads(payload))
        return self.open

    def record(self, what, **fields):
        self.lines.append((what, fields))


def _outbox(n, transactional=True, on_result=None):
    line = _Line()
    outbox = Outbox("b", line.record)
    for i in range(n):
        outbox.add(
            "TransactionEvent",
            lambda i: {"seqNo": i},
            i,
            on_result,
            "t" if transactional else None,
        )
    return outbox, line


def _seqs(line):
    return [message[3]["seqNo"] for message in line.taken]


def test_pipelined_in_order_and_bounded():
    outbox, line = _outbox(40)
    outbox.tick(0, line.publish)
    assert _seqs(line) == list(range(16))
    for i in range(1, 5):
        outbox.result("b-%d" % i, {})
    outbox.tick(20, line.publish)
    assert _seqs(line) == list(range(20))


def test_resent_with_the_same_id_and_dup_after_the_line_was_lost():
    outbox, line = _outbox(3)
    outbox.tick(0, line.publish)
    outbox.result("b-1", {})
    outbox.line_lost()
    outbox.tick(100, line.publish)
    assert _seqs(line) == [0, 1, 2, 1, 2]
    assert line.taken[1][1] == line.taken[3][1]
    assert [fields.get("dup", False) for what, fields in line.lines if what == "uplink"] == [
        False
    ] * 3 + [True] * 2


def test_resent_when_no_answer_comes_also_across_the_wrap():
    now = (1 << 30) - 10000
    outbox, line = _outbox(2)
    outbox.tick(now, line.publish)
    outbox.tick((now + 29999) & 0x3FFFFFFF, line.publish)
    assert _seqs(line) == [0, 1]
    outbox.tick((now + 30000) & 0x3FFFFFFF, line.publish)
    assert _seqs(line) == [0, 1, 0, 1]


def test_callerrors_end_in_the_dead_letters_after_three_tries():
    outbox, line = _outbox(1)
    for i in range(3):
        outbox.tick(i * 2000, line.publish)
        outbox.result("b-1", None, "InternalError" if i else "")
    outbox.tick(90000, line.publish)
    assert len(line.taken) == 3
    assert outbox.dead_letters == [("b-1", "TransactionEvent", "InternalError")]


def test_what_is_not_transactional_may_be_dropped_and_says_so():
    results = []
    outbox, line = _outbox(1, False, results.append)
    outbox.tick(0, line.publish)
    outbox.tick(30000, line.publish)
    assert results == [None] and len(line.taken) == 1
    outbox, line = _outbox(1, False, results.append)
    outbox.tick(0, line.publish)
    outbox.line_lost()
    assert results == [None, None]


def test_full_refuses_only_what_can_be_left_out():
    outbox, line = _outbox(64)
    assert outbox.crowded
    assert not outbox.add("Heartbeat", dict)
    assert outbox.add("TransactionEvent", dict, group="t")


def test_a_line_that_takes_nothing_loses_nothing():
    outbox, line = _outbox(2)
    line.open = False
    outbox.tick(0, line.publish)
    line.open = True
    outbox.tick(20, line.publish)
    assert _seqs(line) == [0, 1]


def test_answers_nobody_waits_for_change_nothing():
    outbox, line = _outbox(1)
    outbox.result("b-1", {})  # not even sent
    outbox.result("x", None, "InternalError")
    outbox.tick(0, line.publish)
    outbox.result("b-1", {})
    outbox.result("b-1", {})
    assert _seqs(line) == [0]
    assert len([what for what, _ in line.lines if what == "result"]) == 1


def test_boot_goes_first():
    outbox, line = _outbox(2)
    outbox.add("BootNotification", lambda _: {"seqNo": "boot"})
    outbox.tick(0, line.publish, "BootNotification")
    assert _seqs(line) == ["boot"]


def test_nothing_newer_of_a_transaction_overtakes_one_that_was_refused():
    outbox, line = _outbox(20)
    outbox.add("TransactionEvent", lambda _: {"seqNo": "other"}, None, None, "u")
    outbox.tick(0, line.publish)
    outbox.result("b-1", {})
    outbox.result("b-2", None, "InternalError")
    outbox.tick(20, line.publish)
    assert _seqs(line)[16:] == ["other"]
    outbox.tick(1000, line.publish)
    assert _seqs(line)[17:] == [1]
    outbox.result("b-2", {})
    outbox.tick(1020, line.publish)
    assert _seqs(line)[18:20] == [16, 17]


def test_a_resend_has_the_same_content():
    count = []

    def build(_):
        count.append(1)
        return {"seqNo": len(count)}

    line = _Line()
    outbox = Outbox("b", line.record)
    outbox.add("TransactionEvent", build, None, None, "t")
    outbox.tick(0, line.publish)
    outbox.line_lost()
    outbox.tick(20, line.publish)
    assert line.taken[0] == line.taken[1]
