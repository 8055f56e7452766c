"""The sessions of the past: each is kept once, the oldest go, and damage takes what it hits."""

import struct

from firmware.ledger import events, history
from hal.virtual.random import Random
from tests.flash import Cut, Flash
from tests.support import raises

DAY_MS = 86400000
NOON_MS = 1780000000000
TOKEN = bytes(range(10))


class Wall:
    """The clock, in boot 7: it is set once it knows when that began."""

    def __init__(self, start_ms=None, boots=()):
        self.boot = 7
        self.start_ms = start_ms
        self.is_set = start_ms is not None
        self.boots = boots


class Journal:
    id = "ab12"

    def __init__(self, store):
        self.store = store


def _dated(ms):
    return events.DATED, 7, ms


def _summary(tx, reason="Local", cost=(1250000, "CNY"), began=None, ended=None, token=TOKEN):
    return events.summary(
        1,
        tx,
        token,
        began or _dated(NOON_MS),
        ended or _dated(NOON_MS + 3600000),
        5000000000123,
        5000007400456,
        reason,
        cost,
    )


def _filed(n, store=None, **more):
    store = store or Flash()
    for tx in range(1, n + 1):
        history.file(Journal(store), _summary(tx, **more), Wall())
    return store


def _read(store):
    said = []
    return list(history.sessions(store, said.append)), said


def test_a_session_comes_back_as_it_was():
    found, said = _read(_filed(1))
    assert said == [] and found == [
        {
            "number": 1,
            "evse": 1,
            "start_ms": NOON_MS,
            "end_ms": NOON_MS + 3600000,
            "seconds": 3600,
            "start_mwh": 5000000000123,
            "end_mwh": 5000007400456,
            "cost_micro": 1250000,
            "currency": "CNY",
            "token": "00010203040506070809",
            "transaction": "ab12-t1",
            "reason": "Local",
            "receipt": "",
        }
    ]
    ((found,), _) = _read(_filed(1, cost=None, token=None, reason="Local\n\nOCMF|{\n}|{}"))
    assert (found["cost_micro"], found["currency"], found["token"]) == (None, "", "")
    assert (found["reason"], found["receipt"]) == ("Local", "OCMF|{\n}|{}")


def test_the_same_bytes_everywhere():
    data = _filed(1).files["h1"]
    assert data[:7] == b"\x5a\x49\0\x01\0\0\0" and len(data) == 84
    assert data[-4:] == struct.pack("<I", 0x2CF8C568)


def test_without_a_clock_or_with_one_that_jumps():
    wall = Wall(NOON_MS)
    for began, ended, now, found in (
        # never set: how long it was is known all the same
        ((0, 7, 1000), (0, 7, 61000), Wall(), (None, None, 60)),
        # in another boot not even that
        ((0, 6, 1000), (0, 7, 61000), Wall(), (None, None, None)),
        # set since
        ((0, 7, 1000), (0, 7, 61000), wall, (NOON_MS + 1000, NOON_MS + 61000, 60)),
        ((0, 7, 1000), _dated(NOON_MS + 61000), wall, (NOON_MS + 1000, NOON_MS + 61000, 60)),
        # set in between, and lost again with the power
        ((0, 6, 1000), _dated(NOON_MS), Wall(), (None, NOON_MS, None)),
        # begun in a boot that knows its start by now
        (
            (0, 5, 1000),
            _dated(NOON_MS),
            Wall(NOON_MS, ((5, NOON_MS - 9000, 0),)),
            (NOON_MS - 8000, NOON_MS, 8),
        ),
        # set back or far ahead while it went on
        (_dated(NOON_MS), _dated(NOON_MS - 1), wall, (NOON_MS, NOON_MS - 1, None)),
        (_dated(0), _dated(NOON_MS), wall, (0, NOON_MS, NOON_MS // 1000)),
        (_dated(0), _dated(1 << 52), wall, (0, 1 << 52, None)),
    ):
        store = Flash()
        history.file(Journal(store), _summary(1, began=began, ended=ended), now)
        ((told,), _) = _read(store)
        assert (told["start_ms"], told["end_ms"], told["seconds"]) == found, (told, found)


def test_the_newest_files_are_kept():
    store = _filed(16 * 32 + 5)
    found, said = _read(store)
    assert said == [] and [told["number"] for told in found] == list(range(33, 518))
    assert found[-1]["transaction"] == "ab12-t517"
    assert history.files(store) == list(range(33, 518, 32))
    assert store.used() < 48000


def test_receipts_make_fewer_to_a_file_not_more_bytes():
    store = _filed(200, reason="Local\nCNY\n" + "R" * 900, cost=None)
    found, _ = _read(store)
    assert len(history.files(store)) == 16 and 120 < len(found) < 200
    assert found[-1]["number"] == 200 and found[0]["receipt"] == "R" * 900
    assert store.used() < 16 * 9400


def test_whose_it_was_is_forgotten():
    other = bytes(range(10, 20))
    store = Flash()
    named = 'Local\nCNY\nOCMF|{"IS":true,"ID":"04A1"}|{}'
    kept = 'Local\nCNY\nOCMF|{"IS":false}|{}'
    for tx, (token, reason) in enumerate(((TOKEN, named), (other, named), (TOKEN, kept)), 1):
        history.file(Journal(store), _summary(tx, reason=reason, token=token), Wall())
    before = store.files["h1"]
    history.forget(store, bytes(range(20, 30)), 1)
    history.forget(store, TOKEN, 2)  # there is no such file
    assert store.files["h1"] is before
    told, _ = _read(store)
    history.forget(store, TOKEN, 0)
    found, said = _read(store)
    assert said == [] and [one["token"] for one in found] == ["", told[1]["token"], ""]
    assert [one["receipt"] for one in found] == ["", told[1]["receipt"], told[2]["receipt"]]
    for one, was in zip(found, told):
        assert dict(one, token="", receipt="") == dict(was, token="", receipt="")


def test_what_is_damaged_stays_as_it_is_when_one_is_forgotten():
    store = _filed(6)
    data = bytearray(store.files["h1"])
    for at in (84 * 2 + 30, 84 * 5 + 40):
        data[at] ^= 1
    store.files["h1"] = bytes(data)
    store.left = 0
    raises(Cut, history.forget, store, TOKEN, 1)
    assert store.files["h1"] == bytes(data)
    store.left = None
    history.forget(store, TOKEN, 1)
    found, said = _read(store)
    assert [one["number"] for one in found] == [1, 2, 4, 5] and said
    assert [one["token"] for one in found] == [""] * 4
    assert store.files["h1"][84 * 2 : 84 * 3] == bytes(data[84 * 2 : 84 * 3])
    assert len(store.files["h1"]) == len(data)


def test_it_is_filed_once():
    store = _filed(40)
    before = dict(store.files)
    history.file(Journal(store), _summary(40), Wall())
    assert store.files == before
    store = _filed(32)  # the last of a full file
    history.file(Journal(store), _summary(32), Wall())
    assert len(_read(store)[0]) == 32


def test_a_cut_at_any_write_loses_and_doubles_nothing():
    for before in (0, 1, 31, 32, 16 * 32):
        base = _filed(before)
        for left in range(3):
            store = Flash()
            store.files = dict(base.files)
            store.left = left
            try:
                history.file(Journal(store), _summary(before + 1), Wall())
            except Cut:
                pass
            store.left = None
            numbers = [told["number"] for told in _read(store)[0]]
            assert before in numbers or not before
            # the journal has it until it is done
            history.file(Journal(store), _summary(before + 1), Wall())
            found, said = _read(store)
            numbers = [told["number"] for told in found]
            assert said == [] and numbers == list(range(numbers[0], before + 2))
            # one more makes up for a removal that was cut
            history.file(Journal(store), _summary(before + 2), Wall())
            assert len(history.files(store)) <= 17


def test_damage_takes_what_it_hits():
    base = _filed(40)
    random = Random(11)
    ends = [end for _, _, end in history.records(base, 1)]
    for _ in range(150):
        store = Flash()
        store.files = dict(base.files)
        data = bytearray(store.files["h1"])
        at = random.below(len(data))
        n = 1 + random.below(60)
        for i in range(at, min(at + n, len(data))):
            data[i] ^= 1 + random.below(255)
        store.files["h1"] = bytes(data)
        found, said = _read(store)
        numbers = [told["number"] for told in found]
        begins = [0] + ends[:-1]
        hit = [i + 1 for i in range(32) if begins[i] < at + n and at < ends[i]]
        assert numbers == [i for i in range(1, 41) if i not in hit], (at, n, numbers)
        assert len(said) == 1 and said[0].startswith("h1: a part is damaged")


def test_filing_goes_on_behind_damage():
    for spoil in (
        lambda data: data[:-3],
        lambda data: data[:-1] + b"\0",
        lambda data: b"",
        lambda data: bytes(len(data)),
        lambda data: b"\x5a" * len(data),
        lambda data: data + b"\x5a\xff\xff",
    ):
        store = _filed(5)
        store.files["h1"] = spoil(store.files["h1"])
        before = _read(store)[0]
        for tx in (6, 7):
            history.file(Journal(store), _summary(tx), Wall())
        found, said = _read(store)
        assert found[:-2] == before and len(said) <= 1
        assert [told["transaction"] for told in found[-2:]] == ["ab12-t6", "ab12-t7"]
        numbers = [told["number"] for told in found]
        assert numbers == sorted(numbers) and len(set(numbers)) == len(numbers)


def test_files_that_are_not_ours_stay_as_they_are():
    store = Flash()
    others = {"hal": b"", "h": b"x", "h07": b"x", "history": b"x", "h1.new": b"x", "h-1": b"x"}
    store.files.update(others)
    _filed(3, store)
    assert history.files(store) == [1] and len(_read(store)[0]) == 3
    assert all(store.files[name] == data for name, data in others.items())
    # one with such a name is gone on behind, however long it is
    store = Flash()
    store.files["h900"] = b"no ledger " * 20000
    _filed(3, store)
    found, said = _read(store)
    assert len(found) == 3 and len(said) == 1 and len(history.files(store)) == 2
    assert len(store.files["h900"]) == 200000


def test_a_full_flash_costs_the_oldest():
    store = _filed(100)
    assert history.files(store) == [1, 33, 65, 97]
    store.files["others"] = bytes(5000)
    store.room = store.used() + 400
    for tx in range(101, 140):
        history.file(Journal(store), _summary(tx), Wall())
    found, said = _read(store)
    numbers = [told["number"] for told in found]
    assert said == [] and numbers == list(range(numbers[0], 140)) and numbers[0] > 32
    assert store.files["others"] == bytes(5000)
    # with nothing to let go of it is the caller's
    store.room = 5050
    for name in store.names("h"):
        store.remove(name)
    assert raises(OSError, history.file, Journal(store), _summary(1), Wall()).args[0] == 28
    assert not store.names("h")
    # one that cannot be written keeps all, also where removing works
    store = _filed(100)
    store.fails = 30
    kept = dict(store.files)
    assert raises(OSError, history.file, Journal(store), _summary(101), Wall()).args[0] == 30
    assert store.files == kept
    store = _Worn()
    _filed(100, store)
    kept = dict(store.files)
    for number in (5, 30, 22):
        store.error = number
        error = raises(OSError, history.file, Journal(store), _summary(101), Wall())
        assert error.args[0] == number and store.files == kept


class _Worn(Flash):
    # What writes a file fails, what removes one does not.
    error = 0

    def replace(self, name, chunks):
        if self.error:
            raise OSError(self.error)
        super().replace(name, chunks)
