"""The local list: found by halving, changed as a whole or not at all."""

from hashlib import sha256

from firmware.access import entries, update
from hal.virtual.random import Random
from tests.door import KEY, Cut, Door, Store
from tests.support import raises

ID = b"\1\2\3\4"
LIST = "access.list"


def _digest(i):
    return sha256(str(i).encode()).digest()[:10]


def _entry(i, status=1, **more):
    return entries.pack(_digest(i), status, **more)


def _batch(store, version, full, made):
    current, _ = entries.check(store, LIST, ID)
    return update.batch(current, version, full, made)


def _write(store, version, full, made):
    return update.write(store, ID, _batch(store, version, full, made))


def _statuses(store, most):
    _, count = entries.check(store, LIST, ID)
    found = {}
    for i in range(most):
        entry = entries.find(store, count, _digest(i))
        if entry:
            found[i] = entries.unpack(entry)[1]
    return found


def test_an_entry_keeps_all_it_is_given():
    for given in (
        (_digest(1), 1, None, 255, 0),
        (_digest(2), 10, _digest(3), 5, 0xFFFFFFFF),
    ):
        digest, status, group, evses, expires_s = given
        entry = entries.pack(digest, status, group, evses, expires_s)
        assert len(entry) == entries.ENTRY and entries.unpack(entry) == given


def test_random_updates_leave_what_they_say():
    random = Random(5)
    store = Store()
    model = {}
    for version in range(1, 60):
        full = random.below(10) == 0
        chosen = {}
        for _ in range(random.below(update.AT_ONCE)):
            chosen[random.below(120)] = random.below(3)
        if full:
            model = {}
        for i in chosen:
            model[i] = chosen[i]
            if not model[i]:
                del model[i]
        made = [_entry(i, chosen[i]) for i in chosen]
        assert _write(store, version, full, made) == (version, len(model))
        assert _statuses(store, 120) == model, version
        _, count = entries.check(store, LIST, ID)
        order = [entry[:10] for entry in entries.stream(store, LIST, count)]
        assert order == sorted(order)


def _filled(n):
    store = Store()
    for first in range(0, n, update.AT_ONCE):
        made = [_entry(i) for i in range(first, min(first + update.AT_ONCE, n))]
        _write(store, first + 1, not first, made)
    return store


def test_a_thousand_are_found_in_ten_looks():
    store = _filled(1000)
    version, count = entries.check(store, LIST, ID)
    assert count == 1000 and len(store.kept[LIST]) == 26020
    for i in (0, 1, 500, 998, 999):
        store.reads = 0
        assert entries.find(store, count, _digest(i))[:10] == _digest(i)
        assert store.reads <= 10
    for strange in (bytes(10), bytes([255] * 10), _digest(1000)):
        assert entries.find(store, count, strange) is None


def test_a_list_is_no_longer_than_it_may_be():
    door = Door(store=_filled(990))
    key_id = door.digest("")[:4]
    _, count = entries.check(door.store, LIST, ID)
    kept = list(entries.stream(door.store, LIST, count))
    n, crc = entries.summed(kept)
    door.store.kept[LIST] = entries.header(key_id, 7, n, crc) + b"".join(kept)
    door.boot()
    known = [_entry(i, 2) for i in range(20)]
    new = [_entry(i) for i in range(1000, 1010)]
    assert update.fits(door, update.batch(7, 8, False, known + new))
    more = update.batch(7, 8, False, known + new + [_entry(1010)])
    assert not update.fits(door, more)
    door.waiting.append(update.batch(7, 8, False, [_entry(500, 0)]))
    assert update.fits(door, more)


def test_a_cut_at_any_byte_leaves_the_old_list_or_the_new_one():
    before = _filled(50).kept[LIST]
    for full in (False, True):
        store = Store()
        store.kept[LIST] = before
        changes = _batch(store, 99, full, [_entry(7, 0), _entry(200, 2), _entry(8, 3)])
        update.write(store, ID, changes)
        after = store.kept[LIST]
        cuts = 0
        for left in range(len(after)):
            store.kept[LIST] = before
            store.left = left
            raises(Cut, update.write, store, ID, changes)
            store.left = None
            assert store.kept[LIST] == before
            cuts += 1
            if left % 100 == 0:  # and then it comes again
                assert update.write(store, ID, changes)[0] == 99 and store.kept[LIST] == after
                # Twice changes nothing, whatever the cut made of it.
                assert update.write(store, ID, changes)[0] == 99 and store.kept[LIST] == after
        assert cuts == len(after)


def test_changes_for_another_version_change_nothing():
    store = _filled(5)
    old = _batch(store, 2, False, [_entry(1, 2)])
    new = update.batch(2, 3, False, [_entry(1, 3)])
    assert update.write(store, ID, old) == (2, 5) and update.write(store, ID, new) == (3, 5)
    # What was done is in the journal still, after a cut.
    assert update.write(store, ID, old) == (3, 5) and _statuses(store, 5)[1] == 3


def test_every_damaged_byte_is_seen():
    good = _filled(12).kept[LIST]
    store = Store()
    for at in range(len(good)):
        for bit in (1, 128):
            bad = bytearray(good)
            bad[at] ^= bit
            store.kept[LIST] = bytes(bad)
            error = raises(ValueError, entries.check, store, LIST, ID)
            assert LIST in str(error)
    for n in range(1, len(good)):
        store.kept[LIST] = good[:n]
        raises(ValueError, entries.check, store, LIST, ID)
    store.kept[LIST] = good
    assert entries.check(store, LIST, ID)[1] == 12
    raises(ValueError, entries.check, store, LIST, b"\1\2\3\5")
    store.kept[LIST] = b""
    assert entries.check(store, LIST, ID) == (0, 0)


def test_a_damaged_list_is_only_wholly_replaced():
    store = _filled(12)
    part = _batch(store, 40, False, [_entry(1)])
    whole = _batch(store, 41, True, [_entry(1)])
    store.kept[LIST] = store.kept[LIST][:-1]
    raises(ValueError, update.write, store, ID, part)
    assert update.write(store, ID, whole) == (41, 1)


def test_two_entries_of_one_token_are_refused():
    raises(ValueError, update.batch, 0, 1, True, [_entry(1), _entry(2), _entry(1, 2)])


def test_changes_that_wait_hold_already():
    door = Door()
    a, b = door.digest("AA"), door.digest("BB")
    assert update.send(door, update.batch(0, 1, True, [entries.pack(a, 1), entries.pack(b, 1)]))
    assert (door.version, door.count, door.waiting) == (1, 2, [])
    door.shut = True
    assert update.send(door, update.batch(1, 2, False, [entries.pack(a, 0), entries.pack(b, 2)]))
    assert (door.version, len(door.waiting), update.current(door)) == (1, 1, 2)
    assert entries.look(door, a) is None
    assert entries.look(door, b) == ("Blocked", None, 255, "list")
    assert update.send(door, update.batch(2, 3, True, [entries.pack(a, 1)]))
    assert entries.look(door, a)[0] == "Accepted" and entries.look(door, b) is None
    assert update.send(door, update.batch(3, 4, False, [entries.pack(a, 5)]))
    assert entries.look(door, a)[0] == "Invalid" and door.version == 1
    door.shut = False
    door.commit()
    assert (door.version, door.count, door.waiting) == (4, 1, [])
    assert entries.look(door, a)[0] == "Invalid" and entries.look(door, b) is None


def test_what_cannot_be_kept_is_told():
    door = Door()

    def full(name, chunks):
        raise OSError(28)

    replace = door.store.replace
    door.store.replace = full
    changes = update.batch(0, 1, True, [entries.pack(door.digest("AA"), 1)])
    assert not update.send(door, changes)
    assert update.current(door) == 0 and door.waiting == [] and len(door.problems()) == 1
    door.store.replace = replace
    assert update.send(door, changes) and update.current(door) == 1
    # Damaged since: no list, until there is a whole one.
    door.store.kept[LIST] = door.store.kept[LIST][:-2]
    assert not update.send(door, update.batch(1, 2, False, []))
    assert (door.version, door.count) == (0, 0) and len(door.problems()) == 2


def test_entries_expire_by_the_date_where_it_is_known():
    door = Door()
    digest = door.digest("AA")
    at_s = door.wall.now_s + 10
    update.send(door, update.batch(0, 1, True, [entries.pack(digest, 1, expires_s=at_s)]))
    assert entries.look(door, digest)[0] == "Accepted"
    door.wall.now_s = at_s
    assert entries.look(door, digest)[0] == "Expired"
    door.wall.is_set = False
    assert entries.look(door, digest)[0] == "Accepted"
    assert Door(local_list=0, store=door.store).key == KEY
    other = Door(local_list=0, store=door.store)
    other.boot()
    assert other.count == 1 and entries.look(other, digest) is None
