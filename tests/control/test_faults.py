"""Every protection by itself: what trips it and when, what it is called, and what clears it."""

from firmware.safety import core, faults
from tests.rig import Rig


def _charging():
    rig = Rig()
    rig.charge()
    rig.run(1500)  # past the deafness after switching
    return rig


def _opens(rig, code, least_ms, most_ms):
    ms = rig.until(lambda: not rig.contactor.on, most_ms + 10)
    assert least_ms <= ms <= most_ms, (code, ms)
    rig.run(20)
    assert rig.lamps.faults == {code}, rig.lamps.faults
    return ms


def test_the_table_and_the_bits_agree():
    assert len(faults.FAULTS) < 30
    at_once = in_order = 0
    for i, fault in enumerate(faults.FAULTS):
        if fault[3]:
            at_once |= 1 << i
        else:
            in_order |= 1 << i
    if hasattr(core, "_AT_ONCE"):  # MicroPython keeps no private constants; CPython tells
        assert (core._AT_ONCE, core._IN_ORDER) == (at_once, in_order), (
            hex(at_once),
            hex(in_order),
        )
    kinds = [fault[4] for fault in faults.FAULTS]
    by_service = sum([1 << i for i, kind in enumerate(kinds) if kind == faults.SERVICE])
    assert by_service == faults.BY_SERVICE
    codes = [fault[0] for fault in faults.FAULTS]
    assert len(set(codes)) == len(codes)
    for name, code in (
        ("PILOT", "PilotFault"),
        ("LATE", "TickLate"),
        ("RESIDUAL", "GroundFailure"),
        ("WELD", "PowerSwitchFailure"),
        ("ESTOP", "EmergencyStop"),
        ("SMOKE", "SmokeDetected"),
        ("OVER_CURRENT", "OverCurrentFailure"),
        ("METER", "PowerMeterFailure"),
        ("CURRENT_WHILE_OPEN", "CurrentWhileOpen"),
    ):
        assert faults.names(getattr(faults, name)) == [code]
    for name in dir(core):
        if hasattr(faults, name[1:]) and name[0] == "_" and isinstance(getattr(core, name), int):
            assert getattr(core, name) == getattr(faults, name[1:]), name


def test_inputs_open_in_time_and_say_why():
    for word, code, least_ms, most_ms in (
        (core.IN_RESIDUAL, "GroundFailure", 0, 4),
        (core.IN_ESTOP, "EmergencyStop", 0, 2),
        (core.IN_EARTH_LOST, "ProtectiveEarthLost", 40, 60),
        (core.IN_DOOR, "EnclosureOpen", 90, 110),
        (core.IN_TILT, "TiltDetected", 90, 110),
        (core.IN_SMOKE, "SmokeDetected", 90, 110),
    ):
        rig = _charging()
        rig.inputs.word = word
        _opens(rig, code, least_ms, most_ms)
        assert rig.pilot.permille == 0  # F is shown for 300 ms, then +12 V
        rig.run(400)
        assert rig.pilot.permille == 1000


def test_a_flicker_of_the_residual_input_does_nothing():
    rig = _charging()
    rig.inputs.word = core.IN_RESIDUAL
    rig.tick()
    rig.inputs.word = 0
    rig.run(100)
    assert rig.contactor.on and not rig.lamps.seen


def test_residual_current_stands_until_the_vehicle_leaves():
    rig = _charging()
    rig.inputs.word = core.IN_RESIDUAL
    _opens(rig, "GroundFailure", 0, 4)
    rig.inputs.word = 0
    rig.run(120000)
    assert not rig.contactor.on and rig.lamps.faults == {"GroundFailure"}
    rig.vehicle("A")
    rig.run(100)
    assert not rig.lamps.faults


def test_residual_current_stands_until_reset():
    rig = _charging()
    rig.cells[core.RESET] += 1  # a reset of long ago counts for nothing
    rig.run(100)
    rig.inputs.word = core.IN_RESIDUAL
    _opens(rig, "GroundFailure", 0, 4)
    rig.cells[core.RESET] += 1
    rig.run(20)
    assert rig.lamps.faults == {"GroundFailure"}  # it still flows
    rig.inputs.word = 0
    rig.cells[core.RESET] += 1
    rig.run(20)
    assert not rig.lamps.faults
    assert rig.until(lambda: rig.contactor.on, 40000) >= 29000


def test_residual_current_within_2_s_of_closing_is_hard():
    rig = Rig()
    rig.charge()  # 1 s after closing
    rig.inputs.word = core.IN_RESIDUAL
    _opens(rig, "GroundFailure", 0, 10)
    rig.inputs.word = 0
    rig.vehicle("A")
    rig.cells[core.RESET] += 1
    rig.run(1000)
    assert rig.lamps.faults == {"GroundFailure"}  # service only


def test_the_residual_input_is_ignored_for_1_s_after_switching():
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(100)
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    rig.inputs.word = core.IN_RESIDUAL
    rig.run(900)
    assert rig.contactor.on
    rig.inputs.word = 0
    rig.run(500)
    assert rig.contactor.on and not rig.lamps.seen


def test_no_charge_without_a_tested_sensor():
    for sensor in (0, 2):
        rig = Rig()
        rig.cells[core.SENSOR] = sensor
        rig.vehicle("C")
        rig.run(100)
        rig.outlet.authorise()
        rig.run(10000)
        assert rig.cells[core.CLOSINGS] == 0
        rig.cells[core.SENSOR] = 1
        rig.run(100)
        assert rig.contactor.on


def test_nothing_closes_while_an_input_is_active():
    for word in (1, 2, 4, 8, 16, 32, 64, 128):
        rig = Rig()
        rig.vehicle("C")
        rig.inputs.word = word
        rig.run(100)
        rig.outlet.authorise()
        rig.run(5000)
        assert rig.cells[core.CLOSINGS] == 0, word


def test_a_welded_contactor_is_named_latched_and_tripped_upstream():
    for word in (core.IN_MIRROR, core.IN_LIVE, core.IN_MIRROR | core.IN_LIVE):
        rig = _charging()
        rig.inputs.word = word
        rig.vehicle("B")
        rig.run(240)
        assert not rig.lamps.seen
        rig.run(30)
        assert rig.lamps.faults == {"PowerSwitchFailure"} and rig.contactor.trips == 1
        rig.inputs.word = 0
        rig.vehicle("A")
        rig.cells[core.RESET] += 1
        rig.run(100000)
        assert rig.lamps.faults == {"PowerSwitchFailure"} and rig.contactor.trips == 1


def test_failing_to_close_is_not_called_an_earth_fault():
    rig = Rig()
    rig.inputs.mirror = False
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(100)
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    _opens(rig, "EVSEContactorFault", 240, 260)


def test_no_voltage_while_closed():
    rig = _charging()
    read = rig.inputs.read
    rig.core._read = lambda: read() & ~core.IN_LIVE
    _opens(rig, "PowerLoss", 490, 510)
    rig.core._read = read
    rig.run(2000)
    assert not rig.lamps.faults


def test_conditions_of_the_supervision_open_at_once_or_in_order():
    for i, (code, trip_ms, _, at_once, _) in enumerate(faults.FAULTS):
        if i < 16:
            continue
        rig = _charging()
        rig.cells[core.CONDITIONS] = 1 << i
        if at_once:
            _opens(rig, code, max(trip_ms - 10, 0), trip_ms + 10)
        else:
            ms = rig.until(lambda: rig.pilot.permille == 1000, 20000)
            assert trip_ms - 10 <= ms <= trip_ms + 30 and rig.contactor.on, (code, ms)
            assert rig.lamps.faults == {code}
            rig.vehicle("B")
            assert rig.until(lambda: not rig.contactor.on, 100) <= 4


def test_clearing_takes_what_the_table_says():
    for i, (code, _, clear_ms, _, kind) in enumerate(faults.FAULTS):
        if i < 16:
            continue
        rig = _charging()
        rig.cells[core.CONDITIONS] = 1 << i
        rig.until(lambda: rig.lamps.faults, 20000)
        rig.cells[core.CONDITIONS] = 0
        if kind == faults.SELF:
            ms = rig.until(lambda: not rig.lamps.faults, 70000)
            assert clear_ms <= ms <= clear_ms + 10, (code, ms)
        else:
            rig.run(70000)
            assert rig.lamps.faults == {code}
            rig.vehicle("A")
            rig.run(100)
            assert bool(rig.lamps.faults) == (kind == faults.SERVICE), code


def test_a_condition_that_comes_and_goes_does_not_add_up():
    rig = _charging()
    for _ in range(20):
        rig.cells[core.CONDITIONS] = faults.OVER_CURRENT
        rig.run(6000)
        rig.cells[core.CONDITIONS] = 0
        rig.run(20)
    assert rig.contactor.on and not rig.lamps.seen


def test_f_is_shown_300_ms_and_unplugging_is_seen_afterwards():
    rig = _charging()
    rig.inputs.word = core.IN_ESTOP
    rig.run(4)
    assert rig.lamps.name == "F" and rig.pilot.permille == 0
    shown = rig.until(lambda: rig.pilot.permille == 1000, 1000)
    assert 290 <= shown <= 310
    rig.vehicle("A")
    rig.run(50)
    assert rig.lamps.name == "A1" and rig.cells[core.DEPARTED] == 1
    assert rig.lamps.faults == {"EmergencyStop"}  # still pressed
    rig.inputs.word = 0
    rig.run(50)
    assert not rig.lamps.faults


def test_a_fault_is_shown_even_when_no_sample_ever_came():
    rig = Rig()
    rig.pilot.still = True
    rig.run(100)
    assert rig.lamps.faults == {"PilotSamplesStale"}


def test_wake_up_drives_f_for_4_s_once():
    rig = Rig()
    rig.outlet._wake_after_ms = 3000
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.until(lambda: rig.pilot.permille == 0, 5000)
    ms = rig.until(lambda: rig.pilot.permille != 0, 5000)
    assert 3990 <= ms <= 4010 and not rig.lamps.seen
    rig.run(60000)
    assert rig.pilot.permille == 533
    changes = rig.pilot.changes
    rig.vehicle("C")
    rig.run(1000)
    assert rig.contactor.on and rig.pilot.changes == changes


def test_relay_life_is_counted():
    rig = _charging()
    rig.cells[core.CURRENT_MA] = 16000
    assert rig.cells[core.CLOSINGS] == 1 and rig.cells[core.CLOSE_MS] >= 0
    rig.outlet.stop()
    rig.run(7000)
    assert rig.cells[core.FORCED] == 1 and rig.cells[core.FORCED_MA] == 16000


def test_the_lock_must_hold_before_closing():
    rig = Rig()
    rig.cells[core.LOCKED] = 0
    rig.vehicle("C")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(5000)
    assert rig.cells[core.CLOSINGS] == 0
    rig.cells[core.LOCKED] = 1
    rig.run(100)
    assert rig.contactor.on
