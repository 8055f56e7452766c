"""Every protection against the plant, on both profiles: scenarios in virtual time."""

from tests.pile import CARD, charging, settings, simulate, step

_PROFILES = ("rp2040", "esp32")
# How long after the event the command may fall: two ticks and the sampling, on each profile.
_FAST_MS = {"rp2040": 6, "esp32": 30}


def _trip(do, profile, until_ms=9000, at_ms=7000, more=(), **fields):
    """Charge, do the step; the trace, and after how many ms the command fell (None: never)."""
    trace, station = simulate(
        until_ms, charging(step(at_ms, do, **fields), *more), profile=profile, seed=3
    )
    assert not trace.of("error"), trace.of("error")
    fell = trace.ms("contactor", at_ms, command=False)
    return trace, None if fell is None else fell - at_ms


def _codes(trace):
    return [line["code"] for line in trace.of("fault")]


def test_fast_trips():
    for profile in _PROFILES:
        for do, fields, code in (
            ("rcd", {}, "GroundFailure"),
            ("estop", {}, "EmergencyStop"),
            ("cp_short", {"ohm": 80}, "PilotFault"),
            ("cp_short", {"ohm": 0}, "PilotFault"),
            ("cp_short", {"ohm": 120}, "PilotFault"),
            ("diode", {"ok": False}, "DiodeFault"),
            ("adc_freeze", {}, "PilotSamplesStale"),
        ):
            trace, ms = _trip(do, profile, **fields)
            assert ms is not None and ms <= _FAST_MS[profile], (profile, do, ms)
            assert _codes(trace) == [code], (profile, do, _codes(trace))


def test_a_stuck_converter_cannot_read_c_for_ever():
    for profile in _PROFILES:
        for mv in (5995, 8980, -12000, 0):
            trace, ms = _trip("adc_stuck", profile, mv=mv)
            assert ms is not None and ms <= 30, (profile, mv, ms)


def test_slower_trips():
    for profile in _PROFILES:
        for do, fields, code, most_ms in (
            ("pe", {}, "ProtectiveEarthLost", 100),
            ("door", {}, "EnclosureOpen", 150),
            ("phase_loss", {}, "PhaseLoss", 1300),
            ("mains", {"v": 270}, "OverVoltage", 1300),
        ):
            trace, ms = _trip(do, profile, **fields)
            assert ms is not None and ms <= most_ms, (profile, do, ms)
            assert code in _codes(trace), _codes(trace)
            assert "GroundFailure" not in _codes(trace)


def test_stops_in_good_order():
    for do, fields, code, after_ms, most_ms in (
        ("mains", {"v": 180}, "UnderVoltage", 3000, 4200),
        ("mains", {"hz": 47}, "FrequencyOutOfRange", 3000, 4200),
        ("temperature", {"c": 72}, "HighTemperature", 0, 1300),
        ("temperature", {"c": None}, "TemperatureSensorLost", 1000, 2300),
        ("meter", {}, "PowerMeterFailure", 7000, 8300),
    ):
        trace, ms = _trip(do, "rp2040", 17000, **fields)
        assert ms is not None and after_ms <= ms <= most_ms, (do, ms)
        assert _codes(trace) == [code]
        off = trace.ms("duty", 7000, permille=1000) - 7000
        assert 900 <= ms - off <= 1200  # the vehicle obeys, and its current is gone


def test_grid_faults_come_back_after_60_s_in_the_band():
    trace, _ = _trip(
        "mains",
        "rp2040",
        150000,
        v=180,
        more=(step(20000, "mains", v=200), step(40000, "mains", v=230)),
    )
    cleared = trace.ms("clear", code="UnderVoltage")
    assert 100000 <= cleared <= 100100  # 200 V lie below 0.9
    assert trace.ms("contactor", 100000, closed=True) is not None


def test_over_current():
    trace, ms = _trip("draw", "rp2040", 20000, ma=36000)  # (32 + 0.5) * 1.1 = 35.75 A
    assert 7000 <= ms <= 7900 and _codes(trace) == ["OverCurrentFailure"]
    trace, ms = _trip("draw", "rp2040", 60000, ma=35500)
    assert ms is None and not _codes(trace)


def test_a_vehicle_slow_to_follow_a_lower_limit_is_not_cut_off():
    trace, _ = _trip("temperature", "rp2040", 60000, c=66)
    assert not _codes(trace)


def test_temperature_takes_1_a_at_a_time_and_gives_it_back():
    trace, _ = _trip(
        "temperature", "rp2040", 130000, c=67, more=(step(40000, "temperature", c=40),)
    )
    offers = [line["offered_ma"] for line in trace.of("limit")]
    steps = [offers[i + 1] - offers[i] for i in range(len(offers) - 1)]
    assert min(offers) >= 25000 and steps and all(abs(s) == 1000 for s in steps), offers
    assert offers[-1] == 32000
    assert [b["source"] for b in trace.of("limit")[2]["reasons"]][0] == "temperature"


def test_residual_sensor_that_does_not_answer_means_no_charge():
    trace, _ = simulate(20000, [step(0, "rcd_mute")] + charging())
    assert _codes(trace) == ["ResidualCurrentSensorFault"] and not trace.of("contactor")
    trace, _ = simulate(
        200000, [step(0, "rcd_mute"), step(10000, "rcd_mute", fault=False)] + charging()
    )
    assert trace.of("clear", code="ResidualCurrentSensorFault")
    assert trace.of("contactor", closed=True)


def test_the_self_test_is_no_trip_and_comes_after_each_session():
    trace, station = simulate(30000, charging(step(20000, "unplug")))
    assert not trace.of("fault")
    trace, station = simulate(
        60000,
        charging(step(20000, "unplug"), step(20001, "rcd_mute"), step(30000, "plug"))
        + [step(31000, "card", uid=CARD), step(32000, "ready")],
    )
    assert _codes(trace) == ["ResidualCurrentSensorFault"]


def test_weld_trips_the_breaker_upstream():
    trace, _ = _trip("weld", "rp2040", 30000, more=(step(10000, "pause"),))
    assert _codes(trace)[0] == "PowerSwitchFailure"
    assert 10240 <= trace.ms("fault", code="PowerSwitchFailure") <= 10280
    assert trace.of("shunt_trip") and trace.of("fault")[0]["latched"]


def test_failing_to_close():
    trace, _ = simulate(20000, [step(100, "no_close")] + charging())
    assert _codes(trace) == ["EVSEContactorFault"]
    assert not trace.of("contactor", closed=True)


def test_stalls_open_by_the_hold_and_recover():
    for profile in _PROFILES:
        for for_ms in (50, 100, 400, 5000, 60000):
            trace, _ = _trip("stall", profile, 45000 + for_ms, for_ms=for_ms)
            if for_ms > 60:
                opened = trace.ms("contactor", 7000, closed=False) - 7000
                assert opened <= 80, (profile, for_ms, opened)
            if trace.of("fault"):
                assert _codes(trace) == ["TickLate"]
                assert trace.ms("contactor", 7000 + for_ms, closed=True) is not None
            else:
                assert for_ms == 50


def test_power_cut_boots_again_and_charges_after_a_new_card():
    trace, _ = _trip("power", "rp2040", 60000, for_ms=3000, more=(step(20000, "card", uid=CARD),))
    assert len(trace.of("boot")) == 2
    assert trace.ms("contactor", 7000, closed=False) - 7000 <= 20
    assert trace.ms("contactor", 20000, closed=True) is not None
    ids = [
        e["transactionInfo"]["transactionId"]
        for e in trace.messages("TransactionEvent", "Started")
    ]
    assert len(set(ids)) == 2


def test_clock_jumps_move_no_timer():
    plain, _ = simulate(90000, charging(step(30000, "pause"), step(31000, "ready")))
    for jump_s in (31536000, -31536000):
        trace, _ = simulate(
            90000,
            charging(
                step(30000, "pause"), step(30500, "clock", jump_s=jump_s), step(31000, "ready")
            ),
        )
        times = [line["t_us"] for line in trace.of("contactor")]
        assert times == [line["t_us"] for line in plain.of("contactor")]


def test_socket_locks_before_closing_and_unlocks_after_opening():
    outlet = {"cable": "socket", "max_a": 32}
    steps = [step(1000, "plug", pp_ohm=680)] + charging()[1:]
    trace, _ = simulate(
        30000, steps + [step(20000, "pause"), step(21000, "card", uid=CARD)], outlet=outlet
    )
    locked = trace.ms("lock", locked=True)
    assert locked < trace.ms("contactor", closed=True)
    assert trace.ms("lock", locked=False) > trace.ms("contactor", 20000, closed=False)
    assert trace.of("limit")[0]["offered_ma"] == 20000  # 680 ohm
    assert trace.of("limit")[0]["reasons"][0]["source"] == "cable"


def test_a_jammed_lock_never_closes():
    outlet = {"cable": "socket"}
    trace, _ = simulate(30000, [step(0, "lock")] + charging(), outlet=outlet)
    assert _codes(trace) == ["ConnectorLockFailure"] and not trace.of("contactor")


def test_cables():
    from firmware.outlet.plug import cable_ma

    for ohm, ma in (
        (1500, 13000),
        (680, 20000),
        (220, 32000),
        (100, 63000),
        (1000, 13000),
        (350, 20000),
        (150, 32000),
        (59, 0),
        (4501, 0),
        (None, 0),
        (0, 0),
    ):
        assert cable_ma(ohm) == ma, ohm


def test_no_valid_cable_no_charge():
    trace, _ = simulate(
        20000, [step(1000, "plug", pp_ohm=50)] + charging()[1:], outlet={"cable": "socket"}
    )
    assert _codes(trace) == ["ProximityFault"] and not trace.of("contactor")


def test_three_phases():
    trace, _ = simulate(30000, charging(step(20000, "unplug")), phases=3)
    single, _ = simulate(30000, charging(step(20000, "unplug")))
    assert abs(trace.of("end")[0]["energy_mwh"] - 3 * single.of("end")[0]["energy_mwh"]) <= 3
    samples = trace.messages("TransactionEvent", "Ended")[0]["meterValue"][0]["sampledValue"]
    assert [s.get("phase") for s in samples] == [None, "L1", "L2", "L3", "L1", "L2", "L3"]


def test_start_delay_after_power_up():
    for seed in range(5):
        trace, _ = simulate(
            70000, [step(0, "plug")] + charging()[1:], settings(start_delay_s=30), seed=seed
        )
        assert trace.ms("contactor", closed=True) < 34000
        assert not trace.of("fault")


def test_stretched_ticks():
    trace, _ = simulate(300000, charging(step(100000, "unplug")), tick_ms=200)
    assert len(trace.messages("TransactionEvent", "Ended")) == 1 and not trace.of("fault")


def test_esp32_offers_no_more_than_it_can_watch_and_says_so():
    for profile, ma in (("rp2040", 70000), ("esp32", 48000)):
        trace, _ = simulate(20000, charging(), profile=profile, outlet={"max_a": 70})
        limit = trace.of("limit")[0]
        assert limit["offered_ma"] == ma and not trace.of("fault")
        assert trace.of("contactor", closed=True)
    assert limit["reasons"][0]["source"] == "pilot" and "diode" in limit["reasons"][0]["reason"]


def test_two_outlets_do_not_disturb_each_other():
    start = {"idToken": {"idToken": "APP", "type": "Central"}, "remoteStartId": 1, "evseId": 2}
    for profile in _PROFILES:
        trace, station = simulate(
            60000,
            charging(
                step(1500, "plug", outlet=2),
                step(4000, "backend", message=[2, "r", "RequestStartTransaction", start]),
                step(5000, "ready", outlet=2),
                step(20000, "estop"),
                step(40000, "unplug", outlet=2),
            ),
            profile=profile,
            outlets=2,
        )
        second = trace.of("contactor", outlet=2, command=False, closed=True)
        assert 40000 <= second[0]["t_us"] / 1000 <= 40030
        first = [line for line in trace.of("contactor", command=False) if "outlet" not in line]
        assert 20000 <= first[1]["t_us"] / 1000 <= 20030
        ended = trace.messages("TransactionEvent", "Ended")
        assert [event["evse"]["id"] for event in ended] == [2]
        assert not trace.of("fault", outlet=2) and not trace.of("error")


def test_gbt_ends_at_63_a():
    trace, _ = simulate(20000, charging(), outlet={"max_a": 80, "standard": "gbt18487"})
    assert trace.of("duty")[1]["permille"] == 892
    assert trace.of("limit")[0]["reasons"][0]["reason"] == "GB/T 18487.1 ends at 63 A"


def test_ventilation_lets_state_d_charge():
    for ventilated in (True, False):
        trace, _ = simulate(20000, charging(step(9000, "vent")), outlet={"ventilated": ventilated})
        assert bool(trace.ms("contactor", 9000, command=False)) != ventilated


def test_current_from_before_an_opening_is_none_through_an_open_contactor():
    for profile in ("rp2040", "esp32"):
        for steps in (
            [step(9850, "meter"), step(12500, "meter", fault=False)],
            [step(10060, "stall_main", for_ms=1500)],
            [step(10100, "stall_main", for_ms=5000)],
        ):
            more = charging(step(10000, "unplug"), *steps)
            trace, _ = simulate(17000, more, profile=profile)
            assert not trace.of("fault", code="CurrentWhileOpen"), (profile, steps)


def test_current_through_an_open_contactor_is_found_after_a_session_too():
    trace, _ = simulate(16000, charging(step(10000, "unplug"), step(10100, "leak", ma=1500)))
    assert 11000 <= trace.ms("fault", code="CurrentWhileOpen") <= 12400
