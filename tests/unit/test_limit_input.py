"""A grid operator's contact limits the pile: its bouncing, begin and end, what the backend hears,
and that nothing that dies on the way lets more flow.
"""

from firmware.energy.limits import BOARD, SITE
from hal.chips import contact
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises


class _Buses:
    level = 1

    def input(self, pin):
        assert pin == 9
        return lambda: self.level


def _contact(**spec):
    buses = _Buses()
    return contact.make(buses, dict({"chip": "contact", "pin": 9}, **spec)), buses


def test_three_samples_over_50_ms_count():
    found, buses = _contact()
    seen = []
    for at_ms in range(0, 100, 20):
        found.tick(at_ms)
        seen.append(found.active)
    assert seen == [None, None, None, True, True]
    buses.level = 0
    for at_ms, active in ((100, True), (120, True), (149, True), (150, False)):
        found.tick(at_ms)
        assert found.active is active, at_ms
    # After a stall two samples are none, however far apart.
    buses.level = 1
    for at_ms, active in ((1000, False), (5000, False), (5020, True)):
        found.tick(at_ms)
        assert found.active is active, at_ms
    # The clock wraps.
    found, _ = _contact()
    for at_ms in ((1 << 30) - 40, (1 << 30) - 20, 0, 20):
        assert found.active is None
        found.tick(at_ms)
    assert found.active


def test_what_bounces_is_not_seen():
    found, buses = _contact(on=0)
    for at_ms in range(0, 100, 20):
        found.tick(at_ms)
    assert found.active is False
    for at_ms in range(100, 2000, 20):
        buses.level = at_ms // 40 & 1
        found.tick(at_ms)
        assert found.active is False
    raises(ValueError, contact.make, buses, {"pin": 9, "on": 2})
    raises(KeyError, contact.make, buses, {})


def _limited(at_ms, active=True):
    return step(at_ms, "limit_input", active=active)


def _profile(at_ms, amps):
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
            }
        ],
    }
    body = {"evseId": 0, "chargingProfile": profile}
    return step(at_ms, "backend", message=[2, "p", "SetChargingProfile", body])


def _simulate(until_ms, steps, config=None, **fields):
    trace, station = simulate(
        until_ms, steps, settings(**(config or {})), limit_input=True, **fields
    )
    assert not station.board.station.errors
    return trace, station


def _told(trace):
    """What the backend heard of the limit, in order."""
    return [
        (line["message"][2], line["message"][3])
        for line in trace.of("uplink")
        if line["message"][0] == 2 and "ChargingLimit" in line["message"][2]
    ]


def _names(trace):
    return [action for action, _ in _told(trace)]


def _triggers(trace):
    (events,) = trace.transactions().values()
    return [event["triggerReason"] for event in events]


def test_it_holds_at_once_and_ends_a_minute_after_the_contact():
    steps = charging(_limited(20000), _limited(40000, False))
    trace, station = _simulate(110000, steps, config={"limit_input_a": 10})
    began_ms = trace.ms("duty", 20000)
    assert 20050 <= began_ms < 20200 and trace.of("duty")[-2]["permille"] == 167
    ended_ms = trace.ms("duty", 40000)
    assert 100000 < ended_ms < 100300 and trace.of("duty")[-1]["permille"] == 533
    assert _told(trace) == [
        (
            "NotifyChargingLimit",
            {
                "chargingLimit": {"chargingLimitSource": "SO", "isGridCritical": True},
                "chargingSchedule": [
                    {
                        "id": 1,
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
                    }
                ],
            },
        ),
        ("ClearedChargingLimit", {"chargingLimitSource": "SO"}),
    ]
    assert _triggers(trace).count("ChargingRateChanged") == 2
    assert [line["active"] for line in trace.of("limit_input")] == [False, True, False]
    assert not trace.of("write", medium="flash", closed=True)
    assert station.outlets[0].offered_ma == 32000


def test_the_pile_says_why():
    _, station = _simulate(30000, charging(_limited(20000)))
    told = [one["text"] for one in station.explain(0) if one["source"] == "site"]
    assert told == ["at most 6.0 A: the grid operator's limit (limit_input)"]
    _, station = _simulate(30000, charging())
    assert not [one for one in station.explain(0) if one["source"] == "site"]


def test_while_nobody_charges_only_the_limit_is_told():
    trace, station = _simulate(100000, [_limited(20000), _limited(30000, False)])
    assert _names(trace) == ["NotifyChargingLimit", "ClearedChargingLimit"]
    assert not trace.messages("TransactionEvent") and not station.outlets[0].offered_ma


def test_active_at_the_start_already():
    trace, station = _simulate(30000, [_limited(0)] + charging())
    assert max(line["offered_ma"] for line in trace.of("limit")) == 6000
    assert _names(trace) == ["NotifyChargingLimit"]
    assert "ChargingRateChanged" not in _triggers(trace)
    # And quiet at the start, nothing is told at all.
    trace, station = _simulate(20000, charging())
    assert station.outlets[0].offered_ma == 32000 and not _told(trace)


def test_a_power_cut_forgets_nothing():
    steps = charging(_limited(10000), step(20000, "power", for_ms=2000))
    trace, station = _simulate(60000, steps, config={"after_power_cut": "resume"})
    station = station.board.station
    assert station.outlets[0].offered_ma == 6000 and station.sessions[0].tx
    assert [line["offered_ma"] for line in trace.of("limit")][-1] == 6000
    after = [line for line in trace.of("limit") if line["t_us"] > 22000000]
    assert max(line["offered_ma"] for line in after) == 6000
    assert _names(trace) == ["NotifyChargingLimit"] * 2
    assert _triggers(trace).count("ChargingRateChanged") == 1


def test_a_contact_that_bounces_or_flaps_makes_nothing_flap():
    bounces = [_limited(20000 + 30 * i, i & 1 == 0) for i in range(200)]
    trace, _ = _simulate(40000, charging(*bounces))
    assert len(trace.of("duty")) == 2 and not _told(trace)  # steady, and 32 A
    flaps = [_limited(20000 + 7000 * i, i & 1 == 0) for i in range(40)]
    trace, _ = _simulate(280000, charging(*flaps))
    assert [line["permille"] for line in trace.of("duty")][1:] == [533, 100]
    assert _names(trace) == ["NotifyChargingLimit"]


def test_soon_after_a_change_the_duty_waits_its_five_seconds():
    steps = charging(step(20000, "limit", ma=80000), _limited(21000))
    steps.append(_profile(20500, 16))
    trace, station = _simulate(40000, steps)
    assert 25400 < trace.ms("duty", 21000) < 26000
    assert station.outlets[0].offered_ma == 6000


def test_below_6_a_it_pauses_and_resumes():
    for amps in (0, 5):
        steps = charging(_limited(20000), _limited(30000, False))
        config = {"limit_input_a": amps, "min_pause_s": 10}
        trace, station = _simulate(180000, steps, config=config)
        assert 20000 < trace.ms("contactor", 20000, closed=False) < 21500
        assert trace.ms("contactor", 60000, closed=True) > 90000
        (events,) = trace.transactions().values()
        states = [event["transactionInfo"].get("chargingState") for event in events]
        assert "SuspendedEVSE" in states and states[-1] == "Charging"
        assert _told(trace)[0][1]["chargingSchedule"][0]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": amps}
        ]


def test_with_a_profile_the_least_holds():
    for limit, offered_ma, told in ((8, 8000, 0), (16, 10000, 1)):
        steps = charging(_profile(500, limit), _limited(20000))
        trace, station = _simulate(40000, steps, config={"limit_input_a": 10})
        assert station.outlets[0].offered_ma == offered_ma
        assert _triggers(trace).count("ChargingRateChanged") == told
        assert _names(trace) == ["NotifyChargingLimit"]


def test_outlets_share_it():
    plugs = [step(1000, "plug", outlet=evse) for evse in (1, 2)]
    wants = [step(5000, "ready", outlet=evse) for evse in (1, 2)]

    def begins(at_ms, evse):
        token = {"idToken": CARD + str(evse), "type": "Central"}
        body = {"evseId": evse, "remoteStartId": evse, "idToken": token}
        message = [2, "r%d" % evse, "RequestStartTransaction", body]
        return step(at_ms, "backend", message=message)

    steps = plugs + wants + [begins(6000, 1), _limited(15000), begins(30000, 2)]
    trace, station = _simulate(45000, steps, {"limit_input_a": 20}, outlets=2)
    assert [outlet.offered_ma for outlet in station.outlets] == [10000, 10000]
    first = [line["offered_ma"] for line in trace.of("limit") if "outlet" not in line]
    assert first[-2:] == [20000, 10000] and _names(trace) == ["NotifyChargingLimit"]
    triggers = [one["triggerReason"] for one in trace.messages("TransactionEvent")]
    assert triggers.count("ChargingRateChanged") == 1


def test_a_service_that_dies_leaves_the_limit():
    _, station = _simulate(10000, charging())
    assert station.outlets[0].offered_ma == 32000
    station.services = [
        service for service in station.services if "External" not in repr(service)
    ]
    station.board.scenario["until_ms"] = 20000
    station.board.run(station)
    assert station.outlets[0].offered_ma == 6000
    assert [one for one in station.explain(0) if one["source"] == "site"]


def test_no_input_no_limit():
    trace, station = simulate(10000, charging())
    assert station.board.limit_input is None and not trace.of("limit_input")
    assert station.outlets[0].limits.reasons[SITE] == ""
    assert station.outlets[0].limits.max_ma[BOARD] == 32000


def test_told_anew_after_the_line_was_lost():
    steps = charging(
        _limited(20000),
        step(30000, "link", up=False),
        step(40000, "link", up=True),
        step(60000, "link", up=False),
        _limited(61000, False),
        step(150000, "link", up=True),
    )
    trace, _ = _simulate(170000, steps)
    told = _names(trace)
    assert told == ["NotifyChargingLimit"] * 2 + ["ClearedChargingLimit"]
    # One that came and went while nobody heard is not told of.
    steps = [step(10000, "link", up=False), _limited(11000), _limited(12000, False)]
    trace, station = _simulate(120000, steps + [step(90000, "link", up=True)])
    assert station.backend.ready and not _told(trace)


def test_what_is_refused_or_not_answered_is_told_three_times():
    for fault in ("refuse", "mute"):
        steps = [step(15000, fault), _limited(20000), _limited(150000, False)]
        trace, _ = _simulate(220000, steps + [step(205000, fault, fault=False)])
        # What comes next is told anew.
        assert _names(trace) == ["NotifyChargingLimit"] * 3 + ["ClearedChargingLimit"], fault


def test_what_the_device_model_says_of_it():
    def asked(limit_input):
        body = {"getVariableData": [
            {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": name}}
            for name in ("ExternalControlSignalsEnabled", "NotifyChargingLimitWithSchedules")]}
        trace, _ = simulate(
            5000, [step(2000, "backend", message=[2, "g", "GetVariables", body])],
            limit_input=limit_input,
        )
        (answer,) = trace.answers()
        return [one["attributeValue"] for one in answer[2]["getVariableResult"]]

    assert asked(True) == ["true", "true"] and asked(False) == ["false", "false"]
