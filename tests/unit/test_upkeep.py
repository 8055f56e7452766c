"""What outlives a vehicle: wear, faults that wait for service, resets."""

from firmware.safety import core, faults
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises


def backend(at_ms, action, payload, message_id="r1"):
    return step(at_ms, "backend", message=[2, message_id, action, payload])


def boots(trace):
    return [line["reason"] for line in trace.of("boot")]


def answers(trace):
    return [message[2]["status"] for message in trace.answers() if message[0] == 3]


def test_reset_ends_the_transaction_tells_the_backend_and_starts_anew():
    trace, _ = simulate(30000, charging(backend(10000, "Reset", {"type": "Immediate"})))
    assert boots(trace) == ["PowerUp", "RemoteReset"]
    (ended,) = trace.messages(event="Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    assert ended["triggerReason"] == "ResetCommand"
    reasons = [message["reason"] for message in trace.messages("BootNotification")]
    assert reasons == ["PowerUp", "RemoteReset"]
    assert answers(trace) == ["Accepted"]
    opened = [line["t_us"] for line in trace.of("contactor") if not line["closed"]][-1]
    assert opened < trace.of("boot")[1]["t_us"]


def test_on_idle_waits_for_the_transaction():
    trace, _ = simulate(
        40000, charging(backend(10000, "Reset", {"type": "OnIdle"}), step(25000, "unplug"))
    )
    assert boots(trace) == ["PowerUp", "ScheduledReset"]
    assert answers(trace) == ["Scheduled"]
    assert trace.of("boot")[1]["t_us"] > 25000000
    (ended,) = trace.messages(event="Ended")
    assert ended["transactionInfo"]["stoppedReason"] == "EVDisconnected"


def test_reset_of_an_outlet_lets_go_of_what_unplugging_would():
    steps = charging(
        step(10000, "estop"),
        step(12000, "estop", fault=False),
        backend(20000, "Reset", {"type": "OnIdle", "evseId": 1}),
    )
    trace, _ = simulate(30000, steps)
    assert boots(trace) == ["PowerUp"]
    (cleared,) = trace.of("clear")
    assert cleared["code"] == "EmergencyStop" and 20000000 < cleared["t_us"] < 20200000


def test_reset_of_an_outlet_tries_the_lock_again():
    steps = [step(500, "lock")] + charging(step(30000, "lock", fault=False))
    steps += [backend(40000, "Reset", {"type": "OnIdle", "evseId": 1})]
    trace, _ = simulate(90000, steps, outlet={"cable": "socket"})
    assert [line["code"] for line in trace.of("fault")] == ["ConnectorLockFailure"]
    assert 40000 <= trace.ms("clear", code="ConnectorLockFailure") <= 40100
    assert trace.ms("contactor", 40000, closed=True)


def test_a_plug_that_was_not_let_go_of_is_not_held_for_ever():
    steps = charging(
        step(10000, "lock"), step(11000, "card", uid=CARD), step(25000, "lock", fault=False)
    )
    trace, _ = simulate(60000, steps, outlet={"cable": "socket"})
    assert [line["code"] for line in trace.of("fault")] == ["ConnectorLockFailure"]
    assert trace.of("lock")[-1]["locked"] is False


def test_what_no_reset_does():
    steps = [
        backend(3000, "Reset", {"type": "Immediate", "evseId": 2}, "a"),
        backend(3100, "Reset", {"type": "Now"}, "b"),
        backend(3200, "Reset", {}, "c"),
        dict(backend(3300, "Reset", {"type": "Immediate"}, "d"), replayed=True),
        backend(3400, "Reset", {"type": "Immediate", "evseId": 0}, "e"),
    ]
    trace, _ = simulate(9000, steps)
    assert boots(trace) == ["PowerUp"]
    given = {message[1]: message[2] for message in trace.answers()}
    assert given["a"]["statusInfo"]["reasonCode"] == "UnknownEvse"
    assert given["b"] == "PropertyConstraintViolation"
    assert given["c"] == "OccurrenceConstraintViolation"
    assert given["d"]["statusInfo"]["reasonCode"] == "StaleCommand"
    assert given["e"]["statusInfo"]["reasonCode"] == "UnknownEvse"


def test_a_dead_backend_holds_no_reset_up_for_ever():
    steps = charging(backend(10000, "Reset", {"type": "Immediate"}))
    trace, _ = simulate(90000, steps + [step(10100, "link", up=False)])
    (_, again) = trace.of("boot")
    assert 70000000 <= again["t_us"] <= 72000000


def test_a_hard_fault_outlives_power_cuts_until_service():
    steps = charging(
        step(4500, "rcd"),
        step(6000, "rcd", fault=False),
        step(8000, "unplug"),
        step(9000, "power", for_ms=1000),
        step(15000, "service"),
    )
    trace, station = simulate(30000, steps)
    assert boots(trace) == ["PowerUp", "PowerUp", "LocalReset"]
    assert [line["code"] for line in trace.of("fault")] == ["GroundFailure"] * 2
    assert not trace.of("write", closed=True)
    assert len(trace.of("write")) >= 2


def test_service_writes_nothing_while_another_outlet_is_closed():
    steps = charging(
        step(500, "weld", outlet=2),
        step(900, "weld", fault=False, outlet=2),
        step(10000, "service"),
    )
    trace, _ = simulate(20000, steps, outlets=2)
    assert boots(trace) == ["PowerUp", "LocalReset"]
    assert not trace.of("write", closed=True)
    assert [line["code"] for line in trace.of("fault") if line["t_us"] > 11500000] == ["PhaseLoss"]


def test_service_does_not_part_contacts():
    steps = [step(500, "weld"), step(900, "weld", fault=False), step(2000, "weld")]
    trace, _ = simulate(9000, steps + [step(3000, "service")])
    assert boots(trace) == ["PowerUp", "LocalReset"]
    assert not trace.of("write", closed=True)
    assert not trace.of("clear", code="PowerSwitchFailure")


def test_nobody_begins_to_charge_while_a_reset_waits():
    steps = [
        step(1000, "plug"), step(1500, "ready"), step(3000, "card", uid=CARD),
        backend(3180, "Reset", {"type": "Immediate"}),
    ]  # fmt: skip
    trace, _ = simulate(90000, steps)
    assert len(trace.messages(event="Started")) == len(trace.messages(event="Ended"))
    assert boots(trace) == ["PowerUp", "RemoteReset"]
    assert not trace.of("contactor", command=True)


def test_what_unplugging_clears_is_not_kept():
    steps = charging(step(8000, "estop"), step(12000, "power", for_ms=1000))
    steps.append(step(11000, "estop", fault=False))
    trace, _ = simulate(20000, steps)
    assert [line["code"] for line in trace.of("fault")] == ["EmergencyStop"]


def test_wear_is_told_at_each_opening():
    steps = charging(
        step(10000, "draw", ma=20000, obey=False), step(12000, "card", uid="04A1B2C3D4E5F6")
    )
    trace, _ = simulate(30000, steps)
    (relay,) = trace.of("relay")
    assert relay["closings"] == 1 and relay["close_ms"] == 20
    assert relay["under_load"] and 19900 <= relay["ma"] <= 20100


def test_wear_is_counted_over_power_cuts_and_kept_while_open():
    steps = charging(
        step(20000, "pause"), step(28000, "ready"), step(40000, "unplug"), step(42000, "plug"),
        step(50000, "power", for_ms=1000), step(60000, "card", uid="04A1B2C3D4E5F6"),
        step(60100, "ready"), step(80000, "unplug"),
    )  # fmt: skip
    trace, station = simulate(90000, steps)
    assert [line["closings"] for line in trace.of("relay")] == [1, 2, 3]
    assert not trace.of("write", closed=True)
    stored = station.board.store.load("wear")
    assert len(stored) == 20 and stored[0] == 3
    _, again = simulate(1000, [])
    again.board.store.save("wear", stored)
    again.upkeep.restore()
    assert again.upkeep.wear[0][:3] == [3, 0, 0]
    assert 18 * 16 <= again.upkeep.wear[0][4] <= 22 * 16
    again.board.store.save("wear", b"torn")
    again.board.store.save("service", b"\xff\xff\xff\xff")
    again.upkeep.restore()
    assert again.upkeep.wear[0][0] == 3
    assert faults.names(again.cores[0].cells[core.STANDING])[-1] == faults.FAULTS[-1][0]


def test_a_contactor_that_grows_slow_shows():
    _, station = simulate(1000, [])
    cells = station.cores[0].cells
    for n in range(1, 60):
        cells[core.CLOSINGS] = n
        cells[core.CLOSE_MS] = 20 if n < 30 else 45
        station.upkeep.tick(n * 20)
    wear = station.upkeep.wear[0]
    assert wear[0] == 59 and wear[3] == 20 * 16 and 44 * 16 <= wear[4] <= 45 * 16
    cells[core.CLOSINGS] = 60
    cells[core.CLOSE_MS] = -1  # it did not close
    station.upkeep.tick(2000)
    assert station.upkeep.wear[0][3:] == wear[3:]


def test_an_impossible_configuration_is_refused_by_name():
    for name in ("cable_a", "breaker_a"):
        error = raises(ValueError, simulate, 1000, [], settings(**{name: 63}))
        assert name in str(error) and "32" in str(error) and "63" in str(error)
        assert name in str(raises(ValueError, simulate, 1000, [], settings(**{name: 5})))


def test_the_lowest_of_board_cable_and_breaker_counts():
    trace, _ = simulate(10000, charging(), settings(cable_a=20, breaker_a=16))
    (line,) = trace.of("limit")
    assert line["offered_ma"] == 16000
    assert [limit["reason"] for limit in line["reasons"]] == ["the circuit's breaker (breaker_a)"]


def test_restored_faults_keep_the_core_from_closing():
    assert faults.WELD & faults.BY_SERVICE
    _, station = simulate(1000, [])
    cells = station.cores[0].cells
    station.cores[0].restore(faults.RESIDUAL)
    assert cells[core.STANDING] == cells[core.HARD] == faults.RESIDUAL


def test_a_reset_that_waits_loads_nothing_anew_each_turn():
    # A vehicle that does not obey is waited for.
    trace, station = simulate(15000, charging(step(9000, "draw", ma=16000, obey=False)))
    station.upkeep.reset(None, True)
    closing = station.sessions[0]._closing
    station.board._simulate(station, 17000000)
    assert closing and station.sessions[0]._closing is closing
