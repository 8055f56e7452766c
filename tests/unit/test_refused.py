"""What the backend has refused for good is kept in flash, bounded, without anybody's token."""

from firmware.ledger import events, lookback, refused
from tests.flash import Cut
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises
from tests.unit.test_staged import Pile, Wall, _event, _summary

NOON_MS = 1780000000000


def _dead(number, code="InternalError", record=None):
    if record is None:
        head = b"\x01\x16\x07\0\0\0" + NOON_MS.to_bytes(8, "little")
        record = head + b"\x02\2\1\1\x09\0\0\0\x05\0\0\0" + bytes((200,)) + bytes(39)
        record += b"RemoteStart\n\n7\nISO14443\n04A1B2C3"
    code = code.encode()
    return b"\4" + number.to_bytes(4, "little") + bytes((len(code),)) + code + record


def _kept(pile):
    said = []
    return list(refused.letters(pile.flash, said.append)), said


def test_an_event_and_what_else_there_may_be():
    found = refused.told("ab", _dead(12), Wall())
    assert found == {
        "message": "ab-12",
        "code": "InternalError",
        "what": "Ended, seqNo 5",
        "time_ms": NOON_MS,
        "transaction": "ab-t9",
        "evse": 2,
        "mwh": 200,
    }
    security = events.security(_NOW, "InvalidCertificate", "of whom")
    found = refused.told("ab", _dead(3, "x" * 39 + "\u00e9", security)[:1024], Wall())
    assert found["what"] == "security event InvalidCertificate" and found["transaction"] is None
    assert found["code"] == "x" * 39 + "??" and "evse" not in found
    for record in (b"", b"\x01\x16", bytes(range(80))):
        assert refused.told("ab", _dead(3, "", record), Wall())["what"] == "damaged"
    for record in (b"", b"\4\0\0", b"\1" * 20):
        raises(ValueError, refused.told, "ab", record, Wall())


_NOW = events.DATED, 7, NOON_MS


def test_it_waits_until_all_is_open_and_goes_to_flash_in_one_go():
    pile = Pile()
    pile.closed = True
    _event(pile, 2)
    for number in (1, 2):
        pile.journal.append(_dead(number))
        _event(pile, 3)
    pile.journal.append(_summary(7))
    pile.journal.append(_dead(8))
    pile.run(10000)
    assert pile.flash.files == {} and pile.staged.needs() == 3
    pile.closed = False
    pile.run(4000)
    found, said = _kept(pile)
    assert [one["message"] for one in found] == ["j-1", "j-2", "j-8"] and said == []
    assert [one["number"] for one in found] == [1, 2, 3]
    assert pile.flash.writes == 6 and pile.staged.needs() == pile.journal.next
    assert b"04A1B2C3" not in pile.flash.files["refused"]


def test_what_fills_the_journal_is_let_go_of_while_closed():
    pile = Pile()
    pile.closed = True
    for number in range(5):
        pile.journal.append(_dead(number))
    pile.run(4000)
    assert pile.staged.needs() == 1
    pile.journal.crowded = True
    pile.run(4000)
    assert pile.staged.needs() == pile.journal.next and pile.flash.files == {}


def test_the_newest_are_kept_and_each_once():
    pile = Pile()
    for number in range(1, 200):
        pile.journal.append(_dead(number % 150 + 1))
    pile.run(20000)
    found, said = _kept(pile)
    assert said == [] and len(pile.flash.files["refused"]) <= 4096
    assert 15 < len(found) < 60 and found[-1]["message"] == "j-50"
    numbers = [one["number"] for one in found]
    assert numbers == list(range(numbers[0], numbers[0] + len(found)))


def test_a_cut_leaves_the_old_or_the_new_and_the_rest_comes_again():
    for left in range(4):
        pile = Pile()
        pile.journal.append(_dead(1))
        pile.run()
        pile.journal.append(_dead(2))
        pile.flash.left = left
        try:
            pile.run(2000)
        except Cut:
            pass
        found, said = _kept(pile)
        assert [one["message"] for one in found] in (["j-1"], ["j-1", "j-2"]) and said == []
        pile.boot()
        pile.run()
        assert [one["message"] for one in _kept(pile)[0]] == ["j-1", "j-2"]


def test_damage_takes_the_lines_that_it_hits():
    pile = Pile()
    for number in (1, 2, 3):
        pile.journal.append(_dead(number))
    pile.run()
    data = pile.flash.files["refused"]
    lines = data.split(b"\n")
    for spoiled, left in (
        (data.replace(b"j-2", b"j-9"), ["j-1", "j-3"]),
        (data[:-20], ["j-1", "j-2"]),
        (b"\xff" + data, ["j-2", "j-3"]),
        (b"00000000 \n" + data, ["j-1", "j-2", "j-3"]),
        (bytes(3000), []),
        (lines[0] + b"\n", ["j-1"]),
    ):
        pile.flash.files["refused"] = spoiled
        found, said = _kept(pile)
        assert [one["message"] for one in found] == left
        assert (said == []) == (spoiled == lines[0] + b"\n")
        pile.journal.append(_dead(7))
        pile.run(4000)
        assert [one["message"] for one in _kept(pile)[0]] == left + ["j-7"]


def test_looking_back_writes_nothing_to_a_memory():
    class Memory:
        size = 1000

        def __init__(self):
            self.data = bytearray(bytes(range(250)) * 4)

        def read(self, at, into):
            into[:] = self.data[at : at + len(into)]

        def write(self, at, data):
            raise OSError(30)

    memory = Memory()
    aside = lookback._Aside(memory)
    model = bytearray(memory.data)
    for at, n in ((0, 1), (60, 10), (63, 1), (64, 64), (500, 300), (995, 5), (120, 0)):
        model[at : at + n] = bytes([at % 251] * n)
        aside.write(at, memoryview(bytes([at % 251] * n)))
        for start in (0, 1, 59, 64, 127, 499, 799, 990):
            found = bytearray(10)
            aside.read(start, found)
            assert found == model[start : start + 10], (at, start)


def test_a_whole_session_of_refusals():
    # tests.pile raises where flash is written while a contactor is closed.
    steps = charging(
        step(3500, "refuse"),
        step(40000, "pause"),
        step(42000, "unplug"),
        step(90000, "refuse", fault=False),
        step(91000, "power", for_ms=1000),
    )
    trace, station = simulate(120000, steps, settings(sample_interval_s=10))
    store = station.board.store
    dead = [line["id"] for line in trace.of("dead_letter")]
    found = list(refused.letters(store, print))
    assert len(set(dead)) > 3 and sorted({one["message"] for one in found}) == sorted(set(dead))
    assert len(found) == len(set(dead)) and "Ended, seqNo" in found[-1]["what"]
    assert CARD.encode() not in store.load("refused")
