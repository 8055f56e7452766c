"""What mutants of the core and the outlet survived (tools/mutate.py), each caught here by name."""

from firmware.outlet import ac
from firmware.safety import core, faults
from tests.rig import Rig, V


def _ask(rig, request, offered_ma, ms):
    """`ms` in which the request is this, whatever the outlet would say."""
    rig.main = False
    for _ in range(ms // 2):
        rig.cells[core.REQUEST] = request
        rig.cells[core.OFFERED_MA] = offered_ma
        rig.cells[core.LEASE] = (rig.cells[core.LEASE] + 1) & 0xFFFF
        rig.tick()


def _offered(rig):
    """A vehicle in B with PWM on."""
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(100)
    return rig


def _safety(rig):
    return type(rig.core)(rig.pilot, rig.contactor, rig.inputs, rig.lamps, 20)


def test_at_boot_everything_is_off_before_the_first_tick():
    rig = Rig()
    rig.contactor.on = True
    rig.pilot.permille = 533
    rig.core = _safety(rig)
    assert not rig.contactor.on and rig.pilot.permille == 1000
    assert rig.cells[core.PERMILLE] == 1000
    rig.core.tick(5)
    assert rig.cells[core.TICKS] == 0 and not rig.contactor.on
    rig.core.tick(7)
    rig.core.tick(9)
    assert rig.cells[core.TICKS] == 2


def test_the_residual_input_counts_from_boot_on():
    rig = Rig()
    rig.inputs.word = core.IN_RESIDUAL
    rig.run(10)
    assert rig.lamps.seen == {"GroundFailure"}


def test_each_state_is_shown_once_and_none_while_nothing_is_seen():
    shown = []
    rig = Rig()
    rig.run(20)
    rig.vehicle("C")
    rig.lamps.state = shown.append
    rig.run(200)
    rig.inputs.word = core.IN_ESTOP
    rig.run(20)
    rig.vehicle("B")
    rig.until(lambda: rig.pilot.permille == 1000, 1000)
    rig.run(4)
    assert shown == ["C1", "F"], shown
    rig.run(100)
    assert shown[0] == "C1" and shown[-1] == "B1"


def test_the_input_word_is_that_of_the_roles():
    assert (core.IN_RESIDUAL, core.IN_ESTOP, core.IN_EARTH_LOST, core.IN_LIVE) == (1, 2, 4, 8)
    assert (core.IN_MIRROR, core.IN_DOOR, core.IN_TILT, core.IN_SMOKE) == (16, 32, 64, 128)


def test_inputs_and_level_can_be_read():
    rig = Rig()
    rig.inputs.word = core.IN_DOOR
    rig.vehicle("B")
    rig.run(40)
    assert rig.cells[core.INPUTS] == core.IN_DOOR and rig.cells[core.LEVEL_MV] == V["B"]


def test_bounds_lie_300_mv_beyond_the_midpoints():
    for name, below, mv in (("A1", "B1", 10500), ("B1", "C1", 7500), ("C1", "D1", 4500)):
        rig = Rig()
        rig.pilot.high = V[name[0]]
        rig.run(100)
        for high, shown in ((-290, name), (-320, below), (290, below), (320, name)):
            rig.pilot.high = mv + high
            rig.run(20)
            assert rig.lamps.name == shown, (name, high)


def test_the_median_of_any_order():
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    for order in orders:
        for values, shown in (
            ((12000, 9000, 6000), "B1"),
            ((12000, 6000, 0), "C1"),
            ((12000, 12000, 0), "A1"),
            ((3000, 3000, 12000), "D1"),
        ):
            rig = Rig()
            rig.core._sample = _window(rig, [values[i] for i in order], (12000, 12000, 12000))
            rig.run(40)
            assert rig.lamps.name == shown, (order, values)
        for values, good in (((-12000, -12000, 0), True), ((-12000, 0, 5), False)):
            rig = _offered(Rig())
            rig.core._sample = _window(rig, (9000, 9000, 9000), [values[i] for i in order])
            rig.run(20)
            assert ("DiodeFault" in rig.lamps.seen) != good, (order, values)


def _window(rig, highs, lows):
    sample = rig.core._sample

    def fixed(window):
        sample(window)
        for i in range(3):
            window[2 + i] = highs[i]
            window[5 + i] = lows[i]

    return fixed


def test_a_missing_diode_is_told_3_ticks_after_pwm_came():
    rig = Rig()
    rig.pilot.diode = False
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.until(lambda: rig.pilot.permille < 1000, 100)
    assert rig.until(lambda: "DiodeFault" in rig.lamps.seen, 100) <= 8


def test_unplugging_ends_the_diode_fault():
    rig = Rig()
    rig.pilot.diode = False
    _offered(rig)
    assert rig.lamps.faults == {"DiodeFault"}
    rig.vehicle("A")
    rig.run(1000)
    assert not rig.lamps.faults


def test_low_samples_older_than_the_duty_say_nothing():
    rig = Rig()
    sample = rig.core._sample
    last = [1000]

    def slow(window):
        sample(window)
        if last[0] == 1000:
            for i in (5, 6, 7):  # the pilot takes a tick to follow
                window[i] = window[2]
        last[0] = rig.pilot.permille

    rig.core._sample = slow
    _offered(rig)
    rig.vehicle("C")
    rig.run(1000)
    assert rig.contactor.on and not rig.lamps.seen


def test_samples_that_stand_still_now_and_then_do_no_harm():
    rig = Rig()
    rig.charge()
    for _ in range(50):
        rig.pilot.still = not rig.pilot.still
        rig.tick()
    assert rig.contactor.on and not rig.lamps.seen


def test_a_request_needs_both_its_cells():
    for request, offered_ma in ((0, 16000), (1, 5999), (1, 0)):
        rig = Rig()
        rig.vehicle("C")
        _ask(rig, request, offered_ma, 1000)
        assert rig.pilot.permille == 1000 and not rig.contactor.on


def test_no_pwm_without_a_vehicle():
    rig = Rig()
    _ask(rig, 1, 16000, 100)
    assert rig.pilot.permille == 1000


def test_c_is_steady_with_pwm_on_before_closing():
    rig = Rig()
    rig.vehicle("C")
    rig.run(2000)
    rig.outlet.authorise()
    rig.until(lambda: rig.pilot.permille < 1000, 100)
    assert rig.until(lambda: rig.contactor.on, 3000) >= 490


def test_what_comes_in_the_tick_of_the_closing_prevents_it():
    def withdraw(rig):
        rig.cells[core.REQUEST] = 0

    def earth(rig):
        rig.inputs.word = core.IN_EARTH_LOST

    def unlock(rig):
        rig.cells[core.LOCKED] = 0

    def untested(rig):
        rig.cells[core.SENSOR] = 0

    for what in (withdraw, earth, unlock, untested):
        closed = 0
        for ticks in range(244, 258):
            rig = _offered(Rig())
            rig.vehicle("C")
            for _ in range(ticks):
                rig.tick()
            before = rig.contactor.on
            closed += before
            rig.main = False
            what(rig)
            rig.tick()
            assert before or not rig.contactor.on, ticks
        assert 0 < closed < 14  # the closing was among them


def test_wake_up_is_for_b_with_pwm_and_without_a_fault():
    rig = Rig()
    rig.charge()
    rig.cells[core.WAKE] += 1
    rig.run(100)
    assert rig.contactor.on and rig.lamps.name == "C2"
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    rig.cells[core.WAKE] += 1
    rig.run(100)
    assert rig.lamps.name == "B1"
    rig = Rig()
    rig.pilot.diode = False
    _offered(rig)
    rig.until(lambda: rig.pilot.permille == 1000, 1000)
    rig.until(lambda: rig.pilot.permille < 1000, 40000)
    rig.cells[core.WAKE] += 1
    rig.run(20)
    assert rig.lamps.name == "B1"


def test_the_closing_time_is_measured_once():
    rig = Rig()
    rig.charge()
    assert 0 <= rig.cells[core.CLOSE_MS] <= 4
    rig = _offered(Rig())
    rig.inputs.mirror = False
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    rig.run(20)
    rig.inputs.word = core.IN_MIRROR  # and no voltage yet
    rig.run(100)
    assert 18 <= rig.cells[core.CLOSE_MS] <= 24


def test_the_residual_input_is_ignored_after_every_opening():
    def to_b(rig):
        rig.vehicle("B")
        rig.tick()

    def exception(rig):
        sample = rig.core._sample
        rig.core._sample = None
        rig.tick()
        rig.core._sample = sample

    for opening in (to_b, exception):
        rig = Rig()
        rig.charge()
        rig.run(2000)
        opening(rig)
        assert not rig.contactor.on
        rig.inputs.word = core.IN_RESIDUAL
        rig.run(900)
        assert "GroundFailure" not in rig.lamps.seen
        rig.run(200)
        assert "GroundFailure" in rig.lamps.seen


def test_only_a_residual_current_is_hard_and_only_just_after_closing():
    rig = Rig()
    rig.charge()
    rig.inputs.word = core.IN_ESTOP
    rig.run(20)
    rig.inputs.word = 0
    rig.vehicle("A")
    rig.run(1000)
    assert not rig.lamps.faults and rig.lamps.seen == {"EmergencyStop"}
    rig = Rig()
    rig.charge()
    rig.vehicle("B")
    rig.run(1500)
    rig.inputs.word = core.IN_RESIDUAL
    rig.run(20)
    assert rig.lamps.faults == {"GroundFailure"}
    rig.inputs.word = 0
    rig.vehicle("A")
    rig.run(1000)
    assert not rig.lamps.faults


def test_a_reset_counts_once():
    rig = Rig()
    rig.vehicle("B")
    rig.cells[core.RESET] += 1
    rig.run(100)
    rig.inputs.word = core.IN_ESTOP
    rig.run(100)
    rig.inputs.word = 0
    rig.run(1000)
    assert rig.lamps.faults == {"EmergencyStop"}
    rig.cells[core.RESET] += 1
    rig.run(10)
    assert not rig.lamps.faults


def test_the_witness_is_told_what_latches():
    for word, code, latched in (
        (core.IN_EARTH_LOST, "ProtectiveEarthLost", False),
        (core.IN_ESTOP, "EmergencyStop", True),
    ):
        told = []
        rig = Rig()
        rig.lamps.fault = lambda *what: told.append(what)
        rig.inputs.word = word
        rig.run(200)
        assert told == [(code, 1, latched)], told


def test_counters_of_time_stop_before_they_could_overflow():
    rig = Rig()
    _offered(rig)
    rig.now_ms += 1 << 28
    rig.core.tick(rig.now_ms)
    rig.run(20)
    high = [cell for cell in rig.cells if cell > 200000]
    assert high == [rig.now_ms]  # the clock at the last tick
    # waits with PWM in C for 25 days, since the plug is not locked
    rig.vehicle("C")
    rig.cells[core.LOCKED] = 0
    _ask(rig, 1, 16000, 2)
    for _ in range(36000):
        rig.now_ms = (rig.now_ms + 60000) & 0x3FFFFFFF
        rig.cells[core.LEASE] ^= 1
        rig.core.tick(rig.now_ms)
    assert rig.pilot.permille == 267 and not rig.contactor.on
    assert len([cell for cell in rig.cells if cell > 200000]) <= 1


def test_the_hold_is_fed_from_the_first_tick_on():
    rig = _offered(Rig())
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    assert rig.contactor.feeds == 1


def test_every_closing_is_measured():
    rig = _offered(Rig())
    rig.inputs.mirror = False
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    rig.run(40)
    rig.inputs.mirror = True
    rig.run(100)
    assert rig.cells[core.CLOSE_MS] >= 40
    rig.vehicle("B")
    rig.run(6000)
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    rig.run(100)
    assert 0 <= rig.cells[core.CLOSE_MS] <= 4


def test_samples_taken_in_f_say_nothing_after_it():
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    sample = rig.core._sample
    last = [1000]

    def slow(window):
        sample(window)
        if last[0] == 0:
            for i in range(2, 8):  # the pilot takes a tick to follow
                window[i] = -12000
        last[0] = rig.pilot.permille

    rig.core._sample = slow
    rig.inputs.word = core.IN_ESTOP
    rig.run(1000)
    assert rig.lamps.name == "B1" and rig.lamps.seen == {"EmergencyStop"}


def test_a_fault_that_stands_for_days_overflows_nothing():
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    rig.inputs.word = core.IN_ESTOP
    rig.run(100)
    rig.inputs.word = 0
    for _ in range(36000):
        rig.now_ms = (rig.now_ms + 60000) & 0x3FFFFFFF
        rig.core.tick(rig.now_ms)
    assert rig.lamps.faults == {"EmergencyStop"}
    assert len([cell for cell in rig.cells if cell > 200000]) <= 1


def test_a_fault_that_comes_back_in_the_tick_after_it_cleared_takes_its_time_again():
    rig = Rig()
    rig.inputs.word = core.IN_DOOR
    rig.run(200)
    assert rig.cells[core.STANDING] & faults.DOOR
    rig.inputs.word = 0
    while rig.cells[core.STANDING] & faults.DOOR:
        rig.tick()
    rig.inputs.word = core.IN_DOOR
    ticks = 0
    while not rig.cells[core.STANDING] & faults.DOOR:
        rig.tick()
        ticks += 1
    assert 50 <= ticks <= 52  # of 2 ms


def test_the_outlet_says_whether_it_is_energised_or_faulted():
    rig = Rig()
    rig.run(100)
    assert not rig.outlet.energised and not rig.outlet.faulted
    rig.charge()
    assert rig.outlet.energised is True and not rig.outlet.faulted
    rig.inputs.word = core.IN_ESTOP
    rig.run(20)
    assert not rig.outlet.energised and rig.outlet.faulted is True


def test_the_pilot_is_set_only_when_it_changes():
    rig = Rig()
    rig.run(100)
    changes = rig.pilot.changes
    rig.run(100)
    assert rig.pilot.changes == changes


def test_a_fault_at_boot_is_shown_by_f_at_once():
    rig = Rig()
    rig.inputs.word = core.IN_ESTOP
    rig.run(4)
    assert rig.lamps.name == "F" and rig.pilot.permille == 0


def test_the_self_test_of_the_sensor_is_no_residual_current():
    rig = Rig()
    rig.cells[core.SENSOR] = 2
    rig.inputs.word = core.IN_RESIDUAL
    rig.run(500)
    assert not rig.lamps.seen


def test_a_closing_that_never_came_has_no_time():
    rig = _offered(Rig())
    rig.inputs.mirror = False
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 3000)
    rig.run(40)
    rig.vehicle("B")
    rig.run(100)
    assert not rig.contactor.on and rig.cells[core.CLOSE_MS] == -1


def test_an_empty_socket_is_not_locked():
    class Socket:
        plugged = wanted = None

    rig = Rig()
    plug = rig.outlet.plug = Socket()
    rig.outlet.authorise()
    rig.run(100)
    assert plug.wanted is False
    rig.vehicle("B")
    rig.run(100)
    assert plug.plugged and plug.wanted


def test_time_in_which_nobody_looked_is_no_time_in_c():
    rig = _offered(Rig())
    rig.run(1000)
    rig.vehicle("C")
    rig.now_ms += 5000
    rig.run(400)
    assert not rig.contactor.on
    rig.run(400)
    assert rig.contactor.on


def test_what_an_earlier_boot_left_for_service_stands():
    rig = Rig()
    rig.core.restore(1 << 6)
    _offered(rig)
    rig.vehicle("C")
    rig.run(40000)
    assert rig.cells[core.STANDING] == rig.cells[core.HARD] == 1 << 6
    assert not rig.contactor.on and rig.pilot.permille == 1000
    rig.vehicle("A")
    rig.run(1000)
    assert rig.cells[core.STANDING] == 1 << 6


def test_the_outlet_says_what_it_is_at():
    assert (ac.IDLE, ac.CONNECTED, ac.CHARGING) == (0, 1, 2)
    assert (ac.SUSPENDED_EV, ac.SUSPENDED_EVSE) == (3, 4)
    rig = Rig()
    outlet = rig.outlet
    rig.run(100)
    assert outlet.charging_state == ac.IDLE
    outlet.authorise()
    rig.run(100)
    assert outlet.charging_state == ac.IDLE and outlet.offered_ma == 0
    rig.vehicle("B")
    rig.run(100)
    assert outlet.charging_state == ac.SUSPENDED_EV and outlet.offered_ma == 32000
    outlet.limits.set(5, 0, "test")
    rig.run(100)
    assert outlet.charging_state == ac.SUSPENDED_EVSE
    outlet.limits.set(5, 32000, "test")
    rig.vehicle("C")
    rig.run(1000)
    assert outlet.charging_state == ac.CHARGING
    rig.vehicle("B")
    rig.run(100)
    assert rig.cells[core.GUARD_MS] and outlet.charging_state == ac.SUSPENDED_EV
    rig.vehicle("C")
    rig.run(100)
    assert rig.cells[core.GUARD_MS] and outlet.charging_state == ac.SUSPENDED_EVSE
    rig.run(10000)
    assert not rig.cells[core.GUARD_MS] and outlet.charging_state == ac.CHARGING
    rig.cells[core.CONDITIONS] = 1 << 23  # too hot: opens in good order, and the offer stays
    rig.vehicle("B")
    rig.run(10000)
    assert not rig.cells[core.GUARD_MS] and outlet.offered_ma
    assert outlet.charging_state == ac.SUSPENDED_EVSE
    outlet.stop()
    rig.run(100)
    assert outlet.charging_state == ac.CONNECTED


def test_the_start_delay_is_waited_for():
    rig = Rig()
    rig.outlet.delay_ms = 2000
    rig.vehicle("B")
    rig.outlet.authorise()
    rig.run(1900)
    assert rig.outlet.offered_ma == 0
    rig.run(300)
    assert rig.outlet.offered_ma == 32000 and rig.outlet.delay_ms <= 0


def test_a_vehicle_is_woken_after_its_own_wait():
    rig = _offered(Rig())
    rig.run(80000)
    rig.outlet.stop()
    rig.run(100)
    rig.outlet.authorise()
    rig.run(80000)
    assert rig.cells[core.WAKE] == 0  # who stopped and began again waits anew
    rig.vehicle("A")
    rig.run(100)
    rig.outlet.authorise()
    rig.vehicle("B")
    rig.run(80000)
    assert rig.cells[core.WAKE] == 0  # so does the next one
    rig.outlet.limits.set(5, 0, "test")
    rig.run(80000)
    assert rig.cells[core.WAKE] == 0  # without an offer there is nothing to wake up for
    rig.outlet.limits.set(5, 32000, "test")
    rig.run(12000)
    assert rig.cells[core.WAKE] == 1


def test_an_unauthorised_plug_is_not_locked():
    class Socket:
        plugged = wanted = None

    rig = Rig()
    plug = rig.outlet.plug = Socket()
    rig.vehicle("B")
    rig.run(100)
    assert plug.plugged and plug.wanted is False


def test_an_outlet_begins_with_nothing_and_ends_so():
    outlet = Rig().outlet
    assert outlet.departed is False and outlet.charging_state == ac.IDLE
    assert outlet.offered_ma == 0
    rig = _offered(Rig())
    rig.vehicle("A")
    rig.run(100)
    assert rig.outlet.departed and rig.outlet.charging_state == ac.IDLE
    rig.outlet.authorise()
    assert not rig.outlet.departed


def test_a_lease_that_ends_falls_to_its_fallback_and_less_than_6_a_is_nothing():
    rig = _offered(Rig())
    rig.outlet.limits.set(5, 16000, "test", rig.now_ms, 1000, 5999)
    rig.run(500)
    assert rig.outlet.offered_ma == 16000
    rig.run(1000)
    assert rig.outlet.offered_ma == 0 and rig.cells[core.REQUEST] == 0


def test_who_has_asked_once_is_not_woken():
    rig = _offered(Rig())
    rig.vehicle("C")
    rig.run(100)
    assert rig.outlet.charging_state == ac.SUSPENDED_EV  # it settles, without a guard
    rig.run(1000)
    rig.vehicle("B")
    rig.run(100000)
    assert rig.cells[core.WAKE] == 0
