"""Reservations: of an outlet or of any, for a token or its group, until a time."""

from firmware.access import entries, update
from tests.door import Door

A, B, C = "04A1B2C3", "04A1B2C3D4E5F6", "0102030405060708090A"
SOON = 3600


def _reserve(door, number, evse_id=0, token=A, group=None, for_s=SOON):
    group = door.digest(group) if group else None
    return door.get("reserve").reserve(
        door, number, evse_id, door.digest(token), group, door.wall.now_s + for_s
    )


def _door(outlets=1, **changes):
    door = Door(outlets, local_pre_authorize=1, **changes)
    made = [
        entries.pack(door.digest(token), 1, door.digest(group) if group else None)
        for token, group in ((A, None), (B, "G"), (C, None))
    ]
    update.send(door, update.batch(0, 1, True, made))
    return door


def _where(door, token):
    """Where a card starts; vehicles wait at every free outlet."""
    for session in door.sessions:
        session.outlet.plugged = True
    before = [session.free for session in door.sessions]
    door.show(token)
    for i, session in enumerate(door.sessions):
        if before[i] and not session.free:
            return i + 1
    return None


def test_a_reserved_outlet_starts_for_its_token_only_and_once():
    door = _door()
    assert _reserve(door, 7, 1) == "Accepted" and door.reserved(1)
    assert _where(door, C) is None and door.said["why"] == "no free outlet is for it"
    assert _where(door, A) == 1 and door.reservations == [] and not door.reserved(1)
    door.show(A)
    assert door.sessions[0].ended == "Local" and _where(door, C) == 1


def test_one_of_the_group_may_use_it():
    door = _door()
    assert _reserve(door, 7, 1, "SOMEBODY", "G") == "Accepted"
    assert _where(door, A) is None and _where(door, B) == 1 and door.reservations == []


def test_others_get_the_other_outlet_and_the_owner_its_own():
    door = _door(2)
    assert _reserve(door, 7, 1) == "Accepted"
    assert _where(door, C) == 2
    assert _where(door, A) == 1
    door = _door(2)
    assert _reserve(door, 7, 2) == "Accepted"
    assert _where(door, A) == 2 and _where(door, C) == 1


def test_one_outlet_is_left_for_who_reserved_any():
    door = _door(2)
    assert _reserve(door, 7) == "Accepted" and not door.reserved(1)
    assert _where(door, C) == 1
    assert _where(door, B) is None
    assert _where(door, A) == 2 and door.reservations == []


def test_an_outlet_that_does_not_work_is_not_left_for_anybody():
    for token, where in ((C, None), (A, 2)):
        door = _door(2)
        assert _reserve(door, 7) == "Accepted"
        door.sessions[0].outlet.faulted = True
        assert _where(door, token) == where


def test_what_can_be_reserved():
    door = _door(2)
    one, two = door.sessions
    assert _reserve(door, 1, 1) == "Accepted"
    assert _reserve(door, 2, 1) == "Occupied"
    assert _reserve(door, 1, 1, C) == "Accepted" and len(door.reservations) == 1  # in its place
    assert _reserve(door, 2) == "Accepted" and _reserve(door, 3) == "Occupied"
    assert _reserve(door, 3, 2) == "Occupied"  # the last one is for who reserved any
    assert door.get("reserve").cancel(door, 2) and not door.get("reserve").cancel(door, 2)
    two.outlet.plugged = True
    assert _reserve(door, 3, 2) == _reserve(door, 3) == "Occupied"
    two.outlet.plugged = False
    two.free = False
    assert _reserve(door, 3, 2) == _reserve(door, 3) == "Occupied"
    two.outlet.faulted = True
    assert _reserve(door, 3, 2) == "Faulted" and _reserve(door, 3) == "Occupied"
    one.outlet.faulted = True
    assert _reserve(door, 3) == "Faulted"


def test_it_expires_and_the_backend_hears():
    door = _door()
    assert _reserve(door, 7, 1, for_s=100) == "Accepted"
    door.wall.now_s += 99
    door.run(3000)
    assert door.reserved(1) and not door.backend.outbox.calls
    door.wall.now_s += 1
    door.backend.outbox.full = True
    door.run(3000)
    assert door.reserved(1)  # it is told, sooner or later
    door.backend.outbox.full = False
    door.run(3000)
    assert not door.reserved(1) and not door.chores
    assert [call[:2] for call in door.backend.outbox.calls] == [
        ("ReservationStatusUpdate", {"reservationId": 7, "reservationUpdateStatus": "Expired"})
    ]


def _rebooted(door):
    other = Door(len(door.sessions), store=door.store)
    other.boot()
    other.get("reserve").restore(other)
    return other


def test_it_outlives_a_power_cut_with_digests_only():
    door = _door(2)
    _reserve(door, 7, 2, group="G")
    _reserve(door, 9, 0, B)
    other = _rebooted(door)
    assert other.reservations == door.reservations and other.chores
    for token in (A, B):
        assert token.encode() not in other.store.kept["access.reserved"]
    other.wall.now_s += SOON
    other.run(3000)
    assert other.reservations == [] and _rebooted(other).reservations == []
    door.store.kept["access.reserved"] = b"torn"
    assert _rebooted(door).reservations == []


def test_without_a_date_it_lasts_for_an_hour():
    door = _door()
    _reserve(door, 7, 1)
    other = _rebooted(door)
    other.wall.is_set = False
    other.run(3000)
    assert other.reserved(1)
    other.wall.uptime_ms = 3600000
    other.run(3000)
    assert not other.reserved(1)


def test_it_ends_at_its_time_though_nobody_can_be_told():
    door = _door()
    _reserve(door, 7, 1)
    door.backend.outbox.full = True
    door.wall.now_s += SOON
    door.run(3000)
    assert door.reserved(1)  # there is soon room to tell it
    door.backend.ready = False
    door.run(3000)
    assert not door.reserved(1)


def test_what_cannot_be_kept_holds_until_the_power_is_cut():
    door = _door()

    def full(name, data):
        raise OSError(28)

    door.store.save = full
    assert _reserve(door, 7, 1) == "Accepted" and door.reserved(1)
    assert len(door.problems()) == 1 and _rebooted(door).reservations == []


def test_a_card_that_waits_for_its_plug_does_not_take_what_is_reserved():
    door = _door(3)
    _reserve(door, 7, 1)
    door.show(C)
    assert door.expected
    door.sessions[0].outlet.plugged = True
    door.run(1000)
    assert door.sessions[0].free and door.expected
    door.sessions[2].outlet.plugged = True
    door.run(100)
    assert not door.sessions[2].free


def test_nor_what_is_reserved_while_it_waits():
    door = _door(2)
    door.show(C)
    assert door.expected and _reserve(door, 7, 1) == "Accepted"
    door.sessions[0].outlet.plugged = True
    door.run(1000)
    assert door.sessions[0].free and door.expected and door.reserved(1)
    door.sessions[1].outlet.plugged = True
    door.run(100)
    assert not door.sessions[1].free and not door.expected
