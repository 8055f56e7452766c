"""Who may charge: list, cache, backend, offline policy; groups, the master pass, free-vend, cards
that are shown too often.
"""

from firmware.access import entries, update, vend
from tests.door import Door

A, B, C = "04A1B2C3", "04A1B2C3D4E5F6", "0102030405060708090A"


def _list(door, *made):
    """The local list with (token, status, group)."""
    packed = [
        entries.pack(
            door.digest(token),
            entries.STATUSES.index(status),
            door.digest(group) if group else None,
        )
        for token, status, group in made
    ]
    assert update.send(door, update.batch(update.current(door), 1, True, packed))


def _asked(door):
    return [payload for action, payload, _ in door.backend.outbox.calls if action == "Authorize"]


def test_cards_of_four_seven_and_ten_bytes():
    for uid in (A, B, C):
        door = Door()
        door.show(uid)
        assert _asked(door) == [{"idToken": {"idToken": uid, "type": "ISO14443"}}]
        door.answer(status="Accepted")
        session = door.sessions[0]
        assert session.who[:2] == (uid, "ISO14443") and session.token == door.digest(uid)
        door.show(uid)
        assert session.ended == "Local" and door.said["decision"] == "stopped"
    for strange in ("", "04", "04a1b2c3", "04A1B2C", "04A1B2C3D4", "ZZZZZZZZ", A + B):
        door = Door()
        door.show(strange)
        assert not _asked(door) and door.said["decision"] == "refused"


def test_what_list_and_policy_say():
    # (known as, online, configuration): "ask", "start" or "refuse"
    for known, ready, changes, expected in (
        (None, True, {}, "ask"),
        (None, False, {}, "refuse"),
        (None, False, {"offline_unknown": 1}, "start"),
        ("Accepted", True, {}, "ask"),
        ("Accepted", True, {"local_pre_authorize": 1}, "start"),
        ("Accepted", False, {"local_pre_authorize": 1, "local_authorize_offline": 0}, "refuse"),
        ("Accepted", False, {}, "start"),
        ("Accepted", False, {"local_authorize_offline": 0}, "refuse"),
        ("Accepted", False, {"local_list": 0}, "refuse"),
        ("Blocked", True, {}, "ask"),
        ("Blocked", True, {"local_pre_authorize": 1}, "ask"),
        ("Blocked", True, {"disable_post_authorize": 1}, "refuse"),
        ("Blocked", False, {}, "refuse"),
        ("Blocked", False, {"offline_unknown": 1}, "refuse"),
        ("Blocked", False, {"offline_unknown": 1, "local_list": 0}, "start"),
        ("ConcurrentTx", False, {}, "refuse"),
    ):
        door = Door(**changes)
        if known:
            _list(door, (A, known, None))
        door.backend.ready = ready
        door.show(A)
        found = "ask" if _asked(door) else "refuse" if door.sessions[0].free else "start"
        assert found == expected, (known, ready, changes, found)


def test_no_answer_is_as_no_backend():
    door = Door()
    _list(door, (A, "Accepted", None))
    door.show(A)
    door.answer()
    assert not door.sessions[0].free and door.asked is None
    door = Door()
    door.backend.outbox.full = True
    door.show(A)
    assert door.said == {"decision": "refused", "why": "the backend cannot be asked"}


def test_while_one_is_asked_about_others_are_ignored():
    door = Door()
    door.show(A)
    door.show(B)
    assert len(_asked(door)) == 1 and door.said["decision"] == "ignored"
    door.answer(status="Invalid")
    assert door.said == {"decision": "refused", "why": "the backend says: Invalid"}


def test_strange_answers_let_nobody_in():
    for info in (
        {"status": 5},
        {"status": "accepted"},
        {"status": None, "groupIdToken": 7},
        {"status": "Invalid", "groupIdToken": {"idToken": {}}, "evseId": "all"},
        {"cacheExpiryDateTime": "never"},
    ):
        door = Door()
        door.show(A)
        door.answer(**info)
        assert door.sessions[0].free and door.said["decision"] == "refused", info
    for info in ({"evseId": [2]}, {"evseId": [9]}, {"evseId": [None]}):
        door = Door()
        door.show(A)
        door.answer(status="Accepted", **info)
        assert door.sessions[0].free and door.said["why"] == "no free outlet is for it"


def test_the_cache_lets_in_without_the_backend_until_it_is_refused():
    door = Door()
    door.show(A)
    door.answer(status="Accepted", groupIdToken={"idToken": "G", "type": "Central"})
    door.show(A)
    door.backend.ready = False
    door.show(A)
    session = door.sessions[0]
    assert not session.free and session.group == door.digest("G")
    assert door.said["why"] == "the local cache says: Accepted"
    door.show(A)
    door.backend.ready = True
    door.show(A)
    door.answer(status="Blocked")
    door.backend.ready = False
    door.show(A)
    assert door.said == {"decision": "refused", "why": "the local cache says: Blocked"}
    door.show(B)
    assert door.said["why"] == "the backend cannot be asked"


def test_who_leaves_before_the_decision_lets_nobody_else_in():
    for answer in ({"status": "Accepted"}, {}):
        door = Door(offline_unknown=1)
        outlet = door.sessions[0].outlet
        for there in (True, False):
            outlet.plugged = True
            door.show(A)
            outlet.plugged = there
            door.answer(**answer)
            assert door.sessions[0].free != there, door.said
            if there:
                door.show(A)
        assert door.said == {"decision": "refused", "why": "the vehicle has left"}
        assert door.asked is None and (entries.in_cache(door, door.digest(A)) or not answer)


def test_an_answer_that_holds_for_centuries_lets_in_like_any_other():
    door = Door(auth_cache_life_s=0)
    door.show(A)
    door.answer(status="Accepted", cacheExpiryDateTime="2150-01-01T00:00:00Z")
    assert not door.sessions[0].free
    assert entries.unpack(entries.in_cache(door, door.digest(A)))[4] == 0xFFFFFFFF


def test_the_cache_outlives_a_boot_and_is_written_seldom():
    door = Door(refusals=0)
    for i in range(70):
        uid = "%08X" % i
        door.show(uid)
        door.answer(status="Accepted")
        door.show(uid)
    assert 60 <= door.cached <= 64 and len(door.fresh) < 16 and not door.void
    door.run(61000)
    assert door.cached == 64 and door.fresh == []
    assert len(door.store.kept["access.cache"]) == 20 + 64 * 26
    other = Door(store=door.store)
    other.boot()
    assert other.cached == 64 and entries.in_cache(other, door.digest("00000045"))
    assert not entries.in_cache(other, door.digest("00000005"))
    # Strangers get no entry; what is known already is not written again.
    writes = door.store.kept["access.cache"]
    for i in range(60, 80):
        door.show("%08X" % i)
        door.answer(status="Accepted" if i < 70 else "Invalid")
        if i < 70:
            door.show("%08X" % i)
    assert door.fresh == [] and door.store.kept["access.cache"] == writes


def test_a_refusal_is_not_forgotten_while_nothing_can_be_written():
    door = Door(refusals=0)
    for i in range(20):
        door.show("%08X" % i)
        door.answer(status="Accepted")
        door.show("%08X" % i)
    door.run(61000)
    door.shut = True
    for i in range(20):
        door.show("%08X" % i)
        door.answer(status="Invalid")
    door.run(100000)
    assert len(door.fresh) == 16 and door.void
    door.backend.ready = False
    for i in range(20):
        door.show("%08X" % i)
        assert door.said["decision"] == "refused"
    door.shut = False
    door.run(200)
    assert door.cached == 16 and not door.void and door.fresh == []


def test_cache_entries_expire():
    for config, info, lasts_s in (
        ({"auth_cache_life_s": 100}, {}, 100),
        ({"auth_cache_life_s": 100}, {"cacheExpiryDateTime": "2026-01-01T00:00:10Z"}, 10),
        ({"auth_cache_life_s": 100}, {"cacheExpiryDateTime": "2026-01-02T00:00:10Z"}, 100),
        ({"auth_cache_life_s": 0}, {"cacheExpiryDateTime": "2026-01-01T00:00:10Z"}, 10),
        ({"auth_cache_life_s": 0}, {}, 1 << 29),
        ({"auth_cache": 0}, {}, 0),
    ):
        door = Door(**config)
        door.show(A)
        door.answer(status="Accepted", **info)
        digest = door.digest(A)
        if lasts_s:
            door.wall.now_s += lasts_s - 1
            assert entries.look(door, digest)[0] == "Accepted", (config, info)
            door.wall.now_s += 1
        assert lasts_s > 1 << 28 or entries.look(door, digest) is None, (config, info)


def test_an_end_that_comes_sooner_holds_and_so_does_none():
    door = Door()
    digest = door.digest(A)

    def asked(**info):
        door.show(A)
        door.answer(status="Accepted", **info)
        door.show(A)

    asked()
    asked(cacheExpiryDateTime="2026-01-01T01:00:00Z")
    door.wall.now_s += 3600
    assert entries.look(door, digest) is None
    # From now on for ever, after an end that has passed.
    door.config["auth_cache_life_s"] = 0
    asked()
    door.wall.now_s += 1 << 29
    assert entries.look(door, digest)[0] == "Accepted"


def test_clearing_the_cache_holds_at_once():
    door = Door()
    door.show(A)
    door.answer(status="Accepted")
    door.run(61000)
    assert door.cached == 1
    door.shut = True
    door.get("cache").clear(door)
    assert entries.look(door, door.digest(A)) is None
    door.shut = False
    door.run(100)
    assert door.cached == 0 and len(door.store.kept["access.cache"]) == 20


def test_a_full_flash_keeps_the_cache_in_memory():
    door = Door()

    def full(name, chunks):
        raise OSError(28)

    door.store.replace = full
    door.show(A)
    door.answer(status="Accepted")
    door.run(100000)
    assert len(door.problems()) == 1 and len(door.fresh) == 1
    assert entries.look(door, door.digest(A))


def test_one_of_the_group_ends_the_session():
    group = {"idToken": "G", "type": "Central"}
    door = Door()
    door.show(A)
    door.answer(status="Accepted", groupIdToken=group)
    door.show(B)
    door.answer(status="Accepted", groupIdToken={"idToken": "H", "type": "Central"})
    assert door.sessions[0].ended is None and door.said["why"] == "every outlet is in use"
    door.show(C)
    door.answer(status="Blocked", groupIdToken=group)
    assert door.sessions[0].ended is None
    door.show(C)
    door.answer(status="ConcurrentTx", groupIdToken=group)
    assert door.sessions[0].ended == "Local" and door.said["why"] == "a card of its group"
    # Offline, of the list.
    door = Door()
    _list(door, (A, "Accepted", "G"), (B, "Accepted", "G"))
    door.backend.ready = False
    door.show(A)
    door.show(C)
    assert door.said["decision"] == "refused"
    door.show(B)
    assert door.sessions[0].ended == "Local"
    # Without any group nobody is asked about while every outlet is in use.
    door = Door()
    door.show(A)
    door.answer(status="Accepted")
    door.show(B)
    assert not _asked(door) and door.said["why"] == "every outlet is in use"


def test_a_group_with_several_sessions():
    door = Door(3)
    _list(door, (A, "Accepted", "G"), (B, "Accepted", "G"), (C, "Accepted", "G"))
    door.backend.ready = False
    one, two, three = door.sessions
    one.outlet.plugged = True
    door.show(A)
    two.outlet.plugged = True
    door.show(B)  # a vehicle waits: that is what it is meant for
    assert not one.free and not two.free and one.ended is None
    three.outlet.plugged = True
    door.show(C)
    assert not three.free
    door.show("00000001")
    assert one.ended is two.ended is three.ended is None
    door.show(B)
    assert two.ended == "Local" and one.ended is None


def test_the_master_pass_ends_every_session_and_starts_none():
    door = Door(2, master_pass_group="FIRE", local_pre_authorize=1)
    _list(door, (A, "Accepted", None), (B, "Accepted", "fire"))
    door.show(B)
    assert door.said["decision"] == "refused" and door.sessions[0].free
    door.sessions[0].outlet.plugged = True
    door.show(A)
    door.sessions[1].start("X", "Central", remote_id=1)
    door.show(B)
    assert door.said == {"decision": "stopped", "why": "the master pass"}
    assert [session.ended for session in door.sessions] == ["MasterPass", "MasterPass"]


def test_two_free_outlets_the_plug_says_which():
    door = Door(2, local_pre_authorize=1)
    _list(door, (A, "Accepted", None), (B, "Accepted", None))
    door.show(A)
    assert door.expected and all(session.free for session in door.sessions)
    door.show(B)
    assert door.said == {"decision": "ignored", "why": "another card waits for its plug"}
    door.run(30000)
    door.sessions[1].outlet.plugged = True
    door.run(100)
    assert door.sessions[1].who == (A, "ISO14443", None) and door.sessions[0].free
    assert not door.expected and not door.chores
    # With one of them taken there is nothing to wait for.
    door.show(B)
    assert door.sessions[0].who[0] == B


def test_a_vehicle_at_an_outlet_that_does_not_work_keeps_nobody_out():
    for plugged in (True, False):
        door = Door(2)
        one, two = door.sessions
        one.outlet.faulted = one.outlet.plugged = True
        two.outlet.plugged = plugged
        door.show(A)
        door.answer(status="Accepted")
        assert one.free and not two.free
    # Where there is no other one it waits until this one works again.
    door = Door()
    door.sessions[0].outlet.faulted = True
    door.show(A)
    door.answer(status="Accepted")
    assert not door.sessions[0].free


def test_a_card_is_not_waited_for_longer_than_the_time_out():
    door = Door(2, local_pre_authorize=1, connection_timeout_s=20)
    _list(door, (A, "Accepted", None))
    door.show(A)
    door.run(19900)
    assert door.expected
    door.run(200)
    assert not door.expected and door.said["why"] == "no vehicle came" and not door.chores
    door.sessions[0].outlet.plugged = True
    door.run(1000)
    assert door.sessions[0].free


def test_a_vehicle_says_who_it_is():
    door = Door(2)
    door.sessions[1].outlet.plugged = True
    door.vehicle(2, "02:AB:CD:00:11:22", "MacAddress")
    assert _asked(door) == [{"idToken": {"idToken": "02:AB:CD:00:11:22", "type": "MacAddress"}}]
    door.answer(status="Accepted")
    session = door.sessions[1]
    assert session.who == ("02:AB:CD:00:11:22", "MacAddress", None) and door.sessions[0].free
    door.vehicle(2, "02:AB:CD:00:11:22", "MacAddress")  # once more: it ends nothing
    assert not session.free and door.said["decision"] == "ignored"
    door = Door(refusals=2)
    for i in range(9):
        door.vehicle(1, "VIN%d" % i, "VIN")
        door.answer(status="Invalid")
    assert door.wary is None and door.sessions[0].free


def test_free_vend_waits_for_room_in_the_journal():
    door = Door(1, free_vend=1)
    vend.watch(door)
    door.station.journal.full = True
    door.sessions[0].outlet.plugged = True
    door.run(1000)
    assert door.sessions[0].free
    door.station.journal.full = False
    door.run(100)
    assert not door.sessions[0].free


def test_free_vend_charges_each_vehicle_once():
    door = Door(2, free_vend=1)
    vend.watch(door)
    door.run(1000)
    session = door.sessions[1]
    assert session.free
    session.outlet.plugged = True
    door.run(100)
    assert session.who == ("", "NoAuthorization", None) and session.token is None
    session.stop("Remote", "RemoteStop")
    door.run(1000)
    assert session.free
    session.outlet.plugged = False
    door.run(100)
    session.outlet.plugged = True
    door.run(100)
    assert not session.free
    # Out and in again while the session of before waits for its last reading.
    session.outlet.plugged = session.outlet.authorised = False
    door.run(100)
    session.outlet.plugged = True
    door.run(500)
    session.free = True
    door.run(100)
    assert not session.free
    # A card that came first is the one who pays, and once it has ended nobody is.
    one = door.sessions[0]
    door.show(A)
    door.answer(status="Accepted")
    one.outlet.plugged = True
    door.run(100)
    door.show(A)
    door.run(1000)
    assert one.free and one.ended == "Local"


def test_guesses_are_answered_slower_and_told_once():
    door = Door(refusals=4, refusals_s=60, slow_s=10)
    asked = []
    for i in range(600):
        door.reader.uid = "%08X" % i
        door.run(100)
        if _asked(door):
            asked.append(door.now_ms)
            door.answer(status="Invalid")
    gaps = [round((asked[i + 1] - asked[i]) / 1000) for i in range(len(asked) - 1)]
    assert gaps[:7] == [0, 0, 0, 1, 2, 4, 8] and set(gaps[7:]) == {10}, gaps
    lines = door.station.board.log.lines
    told = [fields for what, fields in lines if what == "security"]
    assert told == [{"type": "RepeatedlyRefusedTokens", "detail": "4 refused"}]
    assert [record[0] for record in door.station.journal.records] == [5]
    # The card that was shown meanwhile is answered, and ends its own session; then it is quiet.
    door.sessions[0].start(A, "ISO14443")
    door.reader.uid = A
    door.run(100)
    assert door.sessions[0].ended is None
    door.run(10000)
    assert door.sessions[0].ended == "Local" and door.wary
    door.run(60000)
    assert door.wary is None
    door = Door(refusals=0)
    for i in range(50):
        door.show("%08X" % i)
        door.answer(status="Invalid")
    assert door.wary is None


def test_honest_mistakes_are_no_guess():
    door = Door(refusals=3, refusals_s=60)
    door.backend.ready = False
    for _ in range(10):
        door.show(A)  # the backend cannot be asked
    door.backend.ready = True
    for _ in range(4):
        door.show(B)
        door.answer(status="Invalid")
        door.run(61000)
    assert door.wary is None
    assert not [what for what, _ in door.station.board.log.lines if what == "security"]


def test_what_is_needed_for_one_card_is_not_kept():
    import sys

    door = Door()
    door.show(A)
    door.answer(status="Accepted")
    for name in ("decide", "wary", "cache", "update", "expect", "reserve"):
        assert "firmware.access." + name not in sys.modules


def test_what_cannot_be_kept_does_not_start():
    door = Door(refusals=1)
    door.station.journal.full = True
    door.sessions[0].start = lambda *args: False
    door.show(A)
    door.answer(status="Accepted")
    assert door.said["decision"] == "refused"
    door.show(B)
    door.answer(status="Invalid")  # nor can what should be told
    assert door.wary and len(door.problems()) == 1
