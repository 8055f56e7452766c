"""Charging profiles that the backend sets, asks for, clears and updates, and what is offered."""

from firmware.energy import reasons
from firmware.station import Station
from tests.pile import charging, settings, simulate, step


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _schedule(*periods, **more):
    made = {
        "id": 1,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": at_s, "limit": limit} for at_s, limit in periods
        ],
    }
    made.update(more)
    return made


def _profile(number=1, purpose="TxDefaultProfile", kind="Relative", schedule=None, **more):
    made = {
        "id": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [schedule or _schedule((0, 16))],
    }
    made.update(more)
    return made


def _set(at_ms, given, evse_id=0, **fields):
    payload = {"evseId": evse_id, "chargingProfile": given}
    return _call(at_ms, "SetChargingProfile", payload, **fields)


def _said(trace):
    """The status of each answer, with its reason; or an error's code."""
    found = []
    for kind, _, answer, *_ in trace.answers():
        if kind == 4:
            found.append(answer)
        elif "statusInfo" in answer:
            found.append((answer["status"], answer["statusInfo"]["reasonCode"]))
        else:
            found.append(answer["status"])
    return found


def _offers(trace):
    """What was offered, in A, and from which second on."""
    return [(line["t_us"] // 1000000, line["offered_ma"] / 1000) for line in trace.of("limit")]


def _explained(station, i=0):
    return reasons.explain(station.outlets[i].limits)


def test_a_default_profile_bounds_what_is_offered():
    trace, station = simulate(10000, charging(_set(500, _profile())))
    assert _said(trace) == ["Accepted"]
    assert [amps for _, amps in _offers(trace)] == [16]
    found = _explained(station)[0]
    assert (found["source"], found["max_ma"]) == ("schedule", 16000)
    assert found["reason"] == "charging profile 1 (TxDefaultProfile)"
    assert not station.errors


def test_a_daily_schedule_is_followed_across_boundaries_and_a_restart():
    # From 00:00:30 on 10 A, from 00:01:20 on 20 A; it began the day before.
    daily = _profile(
        kind="Recurring", recurrencyKind="Daily",
        schedule=_schedule(
            (0, 16), (30, 10), (80, 20), startSchedule="2025-12-31T00:00:00Z", duration=100
        ),
    )  # fmt: skip
    steps = charging(_set(500, daily), step(50000, "power", for_ms=2000))
    config = settings(after_power_cut="resume", min_pause_s=0)
    trace, station = simulate(120000, steps, config)
    assert _said(trace) == ["Accepted"]
    offers = _offers(trace)
    assert [amps for _, amps in offers] == [16, 10, 6, 10, 20, 32], offers
    times = [at_s for at_s, _ in offers]
    assert times[1] == 30 and times[4] == 80 and times[5] == 100
    # Until the date is known again what needs it allows the fall-back.
    (undated,) = [line for line in trace.of("limit") if line["offered_ma"] == 6000]
    assert undated["reasons"][0]["reason"].endswith("(TxDefaultProfile): the date is not known")
    assert times[3] - times[2] < 5
    assert not station.board.station.errors
    assert not trace.of("write", medium="flash", closed=True)


def test_a_profile_never_raises_what_may_be_offered():
    config = settings(breaker_a=20)
    wide = _profile(schedule=_schedule((0, 80)))
    trace, _ = simulate(8000, charging(_set(500, wide)), config)
    assert [amps for _, amps in _offers(trace)] == [20]


def test_a_limit_beyond_all_bounds_is_none_and_keeps_no_other_from_holding():
    # 3,000,000 A are more mA than the outlet's table of limits has room for.
    least = _profile(2, "ChargingStationMaxProfile", "Absolute", _schedule((0, 10)))
    least["chargingSchedule"][0]["startSchedule"] = "2025-01-01T00:00:00Z"
    steps = [_set(500, _profile(schedule=_schedule((0, 3000000)))), _set(600, least)]
    trace, station = simulate(8000, charging(*steps))
    assert _said(trace) == ["Accepted", "Accepted"]
    assert [amps for _, amps in _offers(trace)] == [10] and not station.errors


def test_power_becomes_a_current_by_nominal_voltage_and_all_phases():
    watts = _schedule((0, 7000), chargingRateUnit="W")
    watts["chargingSchedulePeriod"][0]["numberPhases"] = 1
    for phases, ma in ((1, 30434), (3, 10144)):
        trace, _ = simulate(8000, charging(_set(500, _profile(schedule=watts))), phases=phases)
        assert trace.of("limit")[0]["offered_ma"] == ma


def test_less_than_six_amperes_is_a_pause():
    short = _profile(schedule=_schedule((0, 5.9), (20, 6)))
    config = settings(min_pause_s=0)
    trace, station = simulate(60000, charging(_set(500, short)), config)
    assert trace.of("contactor", closed=True)[0]["t_us"] > 20000000
    assert _offers(trace)[0][1] == 6
    least = _profile(schedule=_schedule((0, 10), minChargingRate=10.5))
    trace, station = simulate(8000, charging(_set(500, least)), config)
    assert not trace.of("contactor") and station.outlets[0].charging_state == 4


def test_a_transactions_profile_holds_for_it_only():
    _, station = simulate(5000, charging())
    tx = station.sessions[0].transaction_id
    steps = charging(
        _set(500, _profile(1)),
        _set(6000, _profile(2, "TxProfile", transactionId="none"), 1),
        _set(6500, _profile(2, "TxProfile"), 1),
        _set(7000, _profile(2, "TxProfile", transactionId=tx), 0),
        _set(8000, _profile(2, "TxProfile", transactionId=tx, schedule=_schedule((0, 24))), 1),
        step(20000, "unplug"),
    )
    trace, station = simulate(30000, steps)
    assert _said(trace) == [
        "Accepted", ("Rejected", "TxNotFound"), ("Rejected", "MissingParam"),
        ("Rejected", "InvalidProfile"), "Accepted",
    ]  # fmt: skip
    # It takes the place of the default, and is gone with its transaction; nothing was written.
    assert [amps for _, amps in _offers(trace)][:2] == [16, 24]
    assert _explained(station)[0]["max_ma"] == 16000
    assert len(station.profiles.kept) == 1
    assert len(station.board.store.load("charging.profiles")) < 80


def test_a_profile_that_came_with_a_start_holds_for_its_transaction():
    start = {
        "idToken": {"idToken": "APP-7", "type": "Central"},
        "remoteStartId": 42,
        "chargingProfile": _profile(5, "TxProfile", schedule=_schedule((0, 13), (15, 20))),
    }
    steps = [
        step(1000, "plug", r_ohm=882),
        _call(3000, "RequestStartTransaction", start),
        step(30000, "unplug"),
    ]
    trace, station = simulate(34000, steps)
    assert _said(trace) == ["Accepted"]
    assert [amps for _, amps in _offers(trace)] == [13, 20, 0]
    assert station.profiles is None and not station.errors
    assert station.outlets[0].limits.effective_ma() == 32000
    # Where the transaction begins with the plug it waits for it; without one it goes.
    points = settings(tx_start="EVConnected", tx_stop="EVConnected", connection_timeout_s=10)
    late = [_call(3000, "RequestStartTransaction", start), step(9000, "plug", r_ohm=882)]
    trace, station = simulate(14000, late, points)
    assert _said(trace) == ["Accepted"] and _offers(trace)[0][1] == 13
    (data,) = station.profiles.kept
    assert station.sessions[0].transaction_id.encode() in data
    trace, station = simulate(18000, late[:1], points)
    assert _said(trace) == ["Accepted"] and station.profiles is None


def test_a_start_with_a_profile_that_is_none_starts_nothing():
    def refused(config=None, **more):
        start = {"idToken": {"idToken": "APP-7", "type": "Central"}, "remoteStartId": 42}
        start.update(more)
        trace, station = simulate(
            8000, [step(1000, "plug", r_ohm=882), _call(3000, "RequestStartTransaction", start)],
            config,
        )  # fmt: skip
        assert not trace.of("contactor") and not trace.messages("TransactionEvent")
        assert station.profiles is None
        return _said(trace)[0]

    good = _profile(5, "TxProfile")
    assert refused(chargingProfile={}) == "OccurrenceConstraintViolation"
    assert refused(chargingProfile=_profile()) == ("Rejected", "InvalidProfile")
    assert refused(chargingProfile=dict(good, transactionId="x")) == (
        "Rejected", "InvalidProfile",
    )  # fmt: skip
    odd = _profile(5, "TxProfile", schedule=_schedule((1, 6)))
    assert refused(chargingProfile=odd) == ("Rejected", "InvalidSchedule")
    asks = settings(authorize_remote_start=1)
    assert refused(asks, chargingProfile=good) == ("Rejected", "UnsupportedParam")
    assert refused(chargingProfile=good, evseId=2) == ("Rejected", "UnknownEvse")


def test_the_stations_limit_is_shared_by_those_who_charge():
    steps = [
        _set(500, _profile(1, "ChargingStationMaxProfile", "Absolute",
                           _schedule((0, 30), startSchedule="2026-01-01T00:00:00Z"))),
        step(1000, "plug", r_ohm=882),
        _call(2000, "RequestStartTransaction",
              {"idToken": {"idToken": "A", "type": "Central"}, "remoteStartId": 1, "evseId": 1}),
        step(9000, "plug", r_ohm=882, outlet=2),
        _call(10000, "RequestStartTransaction",
              {"idToken": {"idToken": "B", "type": "Central"}, "remoteStartId": 2, "evseId": 2}),
        step(30000, "unplug"),
    ]  # fmt: skip
    trace, station = simulate(50000, steps, outlets=2)
    assert _said(trace) == ["Accepted"] * 3
    first = [line["offered_ma"] for line in trace.of("limit") if "outlet" not in line]
    second = [line["offered_ma"] for line in trace.of("limit", outlet=2)]
    assert first == [30000, 15000, 0] and second[-2:] == [15000, 30000], (first, second)
    assert _explained(station, 1)[0]["source"] == "backend"


def test_profiles_are_told_one_after_the_other():
    steps = [
        _call(300, "GetChargingProfiles", {"requestId": 1, "chargingProfile": {}}),
        _set(500, _profile(1)),
        _set(700, _profile(2, stackLevel=4), 1),
        _set(900, _profile(3, "ChargingStationMaxProfile", "Dynamic", dynUpdateInterval=900)),
        _call(1100, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit": 12.5}}),
    ]  # fmt: skip
    for i, (criterion, more) in enumerate((
        ({}, {}), ({}, {"evseId": 0}), ({}, {"evseId": 1}), ({"stackLevel": 4}, {}),
        ({"chargingProfileId": [3, 9]}, {}),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, {}),
        ({"chargingLimitSource": ["EMS"]}, {}), ({"chargingLimitSource": ["EMS", "CSO"]}, {}),
        ({"stackLevel": 5}, {}),
    )):  # fmt: skip
        payload = {"requestId": i, "chargingProfile": criterion}
        payload.update(more)
        steps.append(_call(2000 + 1000 * i, "GetChargingProfiles", payload))
    trace, _ = simulate(14000, steps)
    none, yes = "NoProfiles", "Accepted"
    assert _said(trace)[5:] == [yes] * 6 + [none, yes, none] and _said(trace)[0] == none
    told: dict = {}
    for page in trace.messages("ReportChargingProfiles"):
        (given,) = page["chargingProfile"]
        told.setdefault(page["requestId"], []).append((given["id"], page["evseId"], page["tbc"]))
        assert page["chargingLimitSource"] == "CSO"
    every = [(1, 0, True), (2, 1, True), (3, 0, False)]
    assert told == {
        0: every, 1: [(1, 0, True), (3, 0, False)], 2: [(2, 1, False)], 3: [(2, 1, False)],
        4: [(3, 0, False)], 5: [(1, 0, True), (2, 1, False)], 7: every,
    }  # fmt: skip
    first, _, third = [
        page["chargingProfile"][0] for page in trace.messages("ReportChargingProfiles")[:3]
    ]
    wanted = _profile(1)
    assert first == wanted
    assert third["chargingSchedule"][0]["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 12.5}
    ]


def test_what_is_cleared():
    three = [
        _set(500, _profile(1)),
        _set(600, _profile(2, stackLevel=4), 1),
        _set(700, _profile(3, "ChargingStationMaxProfile", "Dynamic")),
    ]
    for payload, left in (
        ({"chargingProfileId": 2}, [1, 3]),
        ({"chargingProfileId": 9}, [1, 2, 3]),
        ({"chargingProfileCriteria": {"evseId": 0}}, [2]),
        ({"chargingProfileCriteria": {"stackLevel": 4}}, [1, 3]),
        ({"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}}, [3]),
        ({}, []),
    ):
        trace, station = simulate(4000, three + [_call(1000, "ClearChargingProfile", payload)])
        found = sorted([data[0] for data in station.profiles.kept]) if station.profiles else []
        assert found == left, payload
        assert _said(trace)[3] == ("Accepted" if len(left) < 3 else "Unknown")
        assert station.outlets[0].limits.effective_ma() == (16000 if left else 32000)
        # A boot finds the same.
        again = Station(station.board, station.config).profiles
        assert sorted([data[0] for data in again.kept] if again else []) == left
    assert station.profiles is None and not station.board.store.names("charging")


def test_what_may_be_old_changes_nothing():
    old = {"replayed": True}
    dynamic = _profile(3, "ChargingStationMaxProfile", "Dynamic")
    steps = [
        _set(400, _profile(9), **old),
        _set(500, _profile(1)),
        _set(600, _profile(1), **old),
        _set(700, _profile(1, schedule=_schedule((0, 32))), **old),
        _set(800, dynamic),
        _call(900, "ClearChargingProfile", {}, **old),
        _call(1000, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit": 30}}, **old),
    ]  # fmt: skip
    trace, station = simulate(3000, steps)
    stale = ("Rejected", "StaleCommand")
    assert _said(trace) == [
        stale, "Accepted", "Accepted", stale, "Accepted", ("Unknown", "StaleCommand"), stale,
    ]  # fmt: skip
    assert station.outlets[0].limits.effective_ma() == 16000
    assert len(station.profiles.kept) == 2


def _asked(duration_s, evse_id=1, **more):
    payload = {"duration": duration_s, "evseId": evse_id}
    payload.update(more)
    return payload


def test_the_composite_schedule():
    # The pile's clock is up to a second behind: its backend tells whole ones.
    start = {"startSchedule": "2026-01-01T00:00:00Z"}
    steps = [
        _set(300, _profile(1, kind="Recurring", recurrencyKind="Daily",
                           schedule=_schedule((0, 16), (60, 8), (120, 4), (180, 40), **start))),
        _set(500, _profile(2, "ChargingStationMaxProfile", "Absolute", stackLevel=2,
                           schedule=_schedule((0, 4600), chargingRateUnit="W", duration=70,
                                              **start))),
        _call(10000, "GetCompositeSchedule", _asked(300)),
        _call(11000, "GetCompositeSchedule", _asked(100, chargingRateUnit="W")),
        _call(12000, "GetCompositeSchedule", _asked(100, 0)),
        _call(13000, "GetCompositeSchedule", _asked(100, 2)),
        _call(14000, "GetCompositeSchedule", _asked(0)),
        _call(15000, "GetCompositeSchedule", {"evseId": 1}),
    ]  # fmt: skip
    trace, station = simulate(17000, steps)
    first, second, whole = [answer[2]["schedule"] for answer in trace.answers()[2:5]]
    assert _said(trace)[5:] == [
        ("Rejected", "UnknownEvse"), ("Rejected", "InvalidValue"),
        "OccurrenceConstraintViolation",
    ]  # fmt: skip

    def periods(schedule):
        return [(one["startPeriod"], one["limit"]) for one in schedule["chargingSchedulePeriod"]]

    assert periods(first) == [(0, 16), (51, 8), (111, 0), (171, 32)]
    assert first["scheduleStart"][:19] == "2026-01-01T00:00:09" and first["duration"] == 300
    assert first["evseId"] == 1 and first["chargingRateUnit"] == "A"
    assert first["chargingSchedulePeriod"][0]["numberPhases"] == 1
    assert periods(second) == [(0, 3680), (50, 1840)] and second["chargingRateUnit"] == "W"
    assert periods(whole) == [(0, 20), (59, 32)] and whole["evseId"] == 0
    # Without a profile it is what the outlet is built for, and it stays none.
    trace, station = simulate(
        4000, [_call(2000, "GetCompositeSchedule", _asked(100))], settings(breaker_a=25)
    )
    assert periods(trace.answers()[0][2]["schedule"]) == [(0, 25)] and station.profiles is None


def test_a_long_composite_schedule_ends_where_it_was_reckoned():
    half_hours = _schedule(
        *[(1800 * i, 6 + i % 20) for i in range(48)], startSchedule="2025-12-30T00:00:00Z"
    )
    daily = _profile(kind="Recurring", recurrencyKind="Daily", schedule=half_hours)
    steps = [_set(500, daily), _call(2000, "GetCompositeSchedule", _asked(30 * 86400))]
    trace, station = simulate(4000, steps)
    schedule = trace.answers()[1][2]["schedule"]
    assert len(schedule["chargingSchedulePeriod"]) == 48 and schedule["duration"] == 86399
    assert len(station.board.store.load("charging.profiles")) < 520
    # And it can be told.
    trace, station = simulate(
        6000, steps[:1] + [_call(2000, "GetChargingProfiles",
                                 {"requestId": 1, "chargingProfile": {}})]
    )  # fmt: skip
    (page,) = trace.messages("ReportChargingProfiles")
    told = page["chargingProfile"][0]["chargingSchedule"][0]
    assert told["chargingSchedulePeriod"] == half_hours["chargingSchedulePeriod"]
    assert not station.errors


def test_a_dynamic_limit_is_a_lease():
    def answer(at_ms, **fields):
        return step(at_ms, "answer", action="PullDynamicScheduleUpdate", fields=fields)

    dynamic = _profile(3, "TxDefaultProfile", "Dynamic", dynUpdateInterval=10)
    steps = charging(
        _set(500, dynamic),
        answer(600, status="Accepted", scheduleUpdate={"limit": 20}),
        answer(15000, status="Accepted", scheduleUpdate={"limit": "much"}),
        _call(60000, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit": 0}}),
        _call(61000, "UpdateDynamicSchedule",
              {"chargingProfileId": 4, "scheduleUpdate": {"limit": 0}}),
        _call(62000, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit_L2": 0}}),
        _call(63000, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit": "9"}}),
    )  # fmt: skip
    trace, station = simulate(64000, steps, settings(fallback_a=7))
    assert _said(trace) == [
        "Accepted", "Accepted", ("Rejected", "NotFound"), ("Rejected", "MissingParam"),
        "TypeConstraintViolation",
    ]  # fmt: skip
    offers = _offers(trace)
    # Asked for after 10 s, got 20 A; nothing that counts came since, so from 40 s on 7 A.
    assert [amps for _, amps in offers] == [16, 20, 7, 0], offers
    assert 10 <= offers[1][0] <= 12 and 50 <= offers[2][0] <= 52 and offers[3][0] == 60
    lapsed = [line for line in trace.of("limit") if line["offered_ma"] == 7000][0]
    assert lapsed["reasons"][0]["reason"] == (
        "charging profile 3 (TxDefaultProfile): not updated in time"
    )
    pulls = trace.messages("PullDynamicScheduleUpdate")
    assert pulls[0] == {"chargingProfileId": 3} and 3 <= len(pulls) <= 8
    assert not station.errors


def test_after_a_start_a_dynamic_limit_is_asked_for():
    dynamic = _profile(3, "TxDefaultProfile", "Dynamic", dynUpdateInterval=600)
    steps = [
        _set(500, dynamic),
        _call(1000, "UpdateDynamicSchedule",
              {"chargingProfileId": 3, "scheduleUpdate": {"limit": 10}}),
        step(3000, "power", for_ms=1000),
    ]  # fmt: skip
    trace, station = simulate(20000, steps)
    station = station.board.station
    assert len(trace.messages("PullDynamicScheduleUpdate")) == 1
    (limit,) = [
        one for one in _explained(station) if one["source"] == "schedule"
    ]
    assert limit["max_ma"] == 6000
    assert limit["reason"].endswith("not updated since the start")


def test_a_change_while_closed_waits_and_outlives_a_cut():
    steps = charging(
        _set(500, _profile(1)),
        _set(8000, _profile(2, stackLevel=1, schedule=_schedule((0, 10)))),
        _call(8500, "ClearChargingProfile", {"chargingProfileId": 1}),
        step(12000, "power", for_ms=3000),
    )
    trace, station = simulate(11000, steps)
    assert _said(trace) == ["Accepted"] * 3
    assert [amps for _, amps in _offers(trace)] == [16, 10]
    assert station.profiles.waiting == 2
    # Before the first turn of the new boot, and once it is in flash.
    again = Station(station.board, station.config)
    assert again.profiles.kept == station.profiles.kept and again.profiles.waiting == 2
    assert again.outlets[0].limits.effective_ma() == 10000
    trace, station = simulate(30000, steps)
    found = station.board.station
    assert [data[0] for data in found.profiles.kept] == [2] and not found.profiles.waiting
    assert not found.errors and not trace.of("write", medium="flash", closed=True)
    assert [data[0] for data in Station(station.board, station.config).profiles.kept] == [2]


def test_with_a_transaction_that_goes_on_its_profile_does():
    _, station = simulate(5000, charging())
    tx = station.sessions[0].transaction_id
    steps = charging(
        _set(8000, _profile(2, "TxProfile", transactionId=tx, schedule=_schedule((0, 24))), 1),
        step(12000, "power", for_ms=2000),
        step(40000, "unplug"),
        step(45000, "power", for_ms=2000),
    )
    config = settings(after_power_cut="resume")
    trace, station = simulate(44000, steps, config)
    amps = [amps for _, amps in _offers(trace)]
    assert amps == [32, 24, 24, 0], amps
    trace, station = simulate(60000, steps, config)
    found = station.board.station
    assert found.profiles is None and not found.board.store.names("charging")
    assert not found.errors
    # Where it ends with the cut nothing of it is kept.
    trace, station = simulate(30000, steps)
    assert station.board.station.profiles is None
    assert not station.board.store.names("charging")


def test_a_profile_that_outlives_the_line_for_a_while_only():
    short = _profile(2, stackLevel=3, maxOfflineDuration=5, schedule=_schedule((0, 24)))
    steps = charging(
        _set(500, _profile(1)),
        _set(600, short),
        step(10000, "link", up=False),
        step(30000, "link", up=True),
    )
    for void, amps in ((False, [24, 16, 24]), (True, [24, 16])):
        steps[4]["message"][3]["chargingProfile"]["invalidAfterOfflineDuration"] = void
        trace, station = simulate(70000, steps)
        offers = _offers(trace)
        assert [found for _, found in offers] == amps, offers
        assert 15 <= offers[1][0] <= 17
        assert len(station.profiles.kept) == 2 - void and not station.errors


def test_a_clock_that_jumps_is_followed():
    timed = _profile(
        kind="Absolute",
        schedule=_schedule((0, 10), duration=3600, startSchedule="2026-01-01T01:00:00Z"),
    )
    steps = charging(
        _set(500, timed),
        step(10000, "clock", jump_s=3600),
        _call(11000, "TriggerMessage", {"requestedMessage": "Heartbeat"}),
    )
    trace, _ = simulate(20000, steps)
    offers = _offers(trace)
    assert [amps for _, amps in offers] == [32, 10] and offers[1][0] in (11, 12), offers


def test_the_wrap_of_the_ticks_changes_nothing():
    steps = charging(_set(500, _profile(schedule=_schedule((0, 16), (20, 10), (40, 12)))))
    trace, _ = simulate(60000, steps, ticks_start_ms=(1 << 30) - 15000)
    offers = _offers(trace)
    assert [amps for _, amps in offers] == [16, 10, 12]
    assert offers[1][0] in (22, 23) and offers[2][0] == offers[1][0] + 20


def test_at_most_sixteen():
    steps = [_set(300 + 100 * i, _profile(i, stackLevel=i)) for i in range(17)]
    steps.append(_set(3000, _profile(77, stackLevel=5)))
    trace, station = simulate(4000, steps)
    assert _said(trace) == (
        ["Accepted"] * 16 + [("Rejected", "NoSpace"), ("Rejected", "DuplicateProfile")]
    )
    assert len(station.profiles.kept) == 16 and not station.errors


def test_what_is_malformed_is_an_error():
    for action, payload, code in (
        ("SetChargingProfile", {"evseId": 1}, "OccurrenceConstraintViolation"),
        ("SetChargingProfile", {"evseId": -1, "chargingProfile": _profile()},
         "PropertyConstraintViolation"),
        ("SetChargingProfile",
         {"evseId": 0, "chargingProfile": _profile(schedule=_schedule((0, "6")))},
         "TypeConstraintViolation"),
        ("SetChargingProfile",
         {"evseId": 0, "chargingProfile": _profile(schedule=_schedule((0, True)))},
         "TypeConstraintViolation"),
        ("SetChargingProfile",
         {"evseId": 0, "chargingProfile": _profile(schedule=_schedule((0, 6), useLocalTime=1))},
         "TypeConstraintViolation"),
        ("SetChargingProfile", {"evseId": 0, "chargingProfile": _profile(stack=1)},
         "FormatViolation"),
        ("SetChargingProfile", {"evseId": 0, "chargingProfile": _profile(validTo="soon")},
         "PropertyConstraintViolation"),
        ("GetChargingProfiles", {"requestId": 1}, "OccurrenceConstraintViolation"),
        ("GetChargingProfiles", {"requestId": 1, "chargingProfile": {"chargingProfileId": []}},
         "OccurrenceConstraintViolation"),
        ("ClearChargingProfile", {"chargingProfileId": "1"}, "TypeConstraintViolation"),
        ("GetCompositeSchedule", {"evseId": 1, "duration": 1, "chargingRateUnit": "kW"},
         "PropertyConstraintViolation"),
        ("UpdateDynamicSchedule", {"chargingProfileId": 1}, "OccurrenceConstraintViolation"),
    ):  # fmt: skip
        trace, station = simulate(2000, [_call(1000, action, payload)])
        assert _said(trace) == [code], (action, payload)
        assert station.profiles is None and not station.errors
    trace, _ = simulate(2000, [
        _set(1000, _profile(), 2),
        _call(1500, "UpdateDynamicSchedule",
              {"chargingProfileId": 1, "scheduleUpdate": {"limit": 1}}),
    ])  # fmt: skip
    assert _said(trace) == [("Rejected", "UnknownEvse"), ("Rejected", "NotFound")]


def test_what_cannot_be_kept_does_not_hold():
    for steps in (
        [step(300, "flash"), _set(500, _profile())],
        charging(step(5000, "fram"), _set(8000, _profile())),
    ):
        trace, station = simulate(12000, steps)
        assert ("Rejected", "NotKept") in _said(trace)
        limits = _explained(station)
        assert not [one for one in limits if one["source"] == "schedule"]
        assert not station.profiles


def test_a_damaged_file_is_told():
    _, station = simulate(3000, [_set(500, _profile())])
    store = station.board.store
    whole = store._kept["charging.profiles"]
    for data in (whole[:-1], whole[:-1] + b"\x55", b"", b"VPC1"):
        store._kept["charging.profiles"] = data
        trace, other = simulate(100, [])
        board = other.board
        board.store._kept["charging.profiles"] = data
        again = Station(board, other.config)
        assert not again.profiles.kept
        assert "charging.profiles" in trace.of("error")[0]["problem"]


def test_so_many_changes_may_wait():
    steps = charging(*[
        _set(8000 + 200 * i, _profile(1, schedule=_schedule((0, 10 + i)))) for i in range(9)
    ])  # fmt: skip
    trace, station = simulate(11000, steps)
    assert _said(trace) == ["Accepted"] * 8 + [("Rejected", "NotKept")]
    assert station.outlets[0].limits.effective_ma() == 17000
    assert not station.errors and not trace.of("error")


def test_what_takes_the_place_of_a_default_for_a_transaction_ends_it_for_good():
    _, station = simulate(5000, charging())
    tx = station.sessions[0].transaction_id
    steps = charging(
        _set(500, _profile(1)), _set(8000, _profile(1, "TxProfile", transactionId=tx), 1)
    )
    trace, station = simulate(10000, steps)
    assert _said(trace) == ["Accepted"] * 2
    assert station.board.store.names("charging")
    again = Station(station.board, station.config)
    assert not again.profiles.kept and again.profiles.waiting == 1


def test_a_profile_of_an_outlet_that_is_gone_is_no_reason_not_to_start():
    config = settings(after_power_cut="resume")
    start = {"idToken": {"idToken": "A", "type": "Central"}, "remoteStartId": 1, "evseId": 2,
             "chargingProfile": _profile(5, "TxProfile")}  # fmt: skip
    steps = [step(500, "plug", outlet=2), _call(1000, "RequestStartTransaction", start)]
    _, station = simulate(20000, steps, config, outlets=2)
    kept = station.board.store._kept["charging.profiles"]
    _, station = simulate(100, [])
    station.board.store._kept["charging.profiles"] = kept
    again = Station(station.board, config)
    assert again.profiles.kept == [] and not station.board.store.names("charging")
