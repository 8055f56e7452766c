"""The safety core by itself: when it closes, and everything that opens it. Numbers are IEC 61851-1
table A.6 sequences.
"""

from firmware.safety import core
from tests.rig import Rig


def test_boot_is_open_and_steady():
    rig = Rig()
    assert not rig.contactor.on and rig.pilot.permille == 1000
    rig.run(100)
    assert rig.lamps.name == "A1" and not rig.lamps.seen


def test_sequence_1_and_3_plug_then_offer():
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    assert rig.lamps.name == "B1" and rig.pilot.permille == 1000
    rig.outlet.authorise()
    rig.run(100)
    assert rig.lamps.name == "B2" and rig.pilot.permille == 533
    assert not rig.contactor.on


def test_sequence_4_closes_within_3_s_but_not_for_a_flicker():
    rig = Rig()
    rig.vehicle("B")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(200)
    rig.vehicle("C")
    rig.run(250)
    rig.vehicle("B")
    rig.run(2000)
    assert rig.cells[core.CLOSINGS] == 0
    rig.vehicle("C")
    assert 500 <= rig.until(lambda: rig.contactor.on, 3000) <= 3000


def test_never_closes_without_request():
    rig = Rig()
    rig.vehicle("C")
    rig.run(20000)
    assert rig.lamps.name == "C1" and rig.cells[core.CLOSINGS] == 0


def test_vehicle_ready_before_boot_charges_all_the_same():
    rig = Rig()
    rig.vehicle("C")
    rig.run(100)
    rig.outlet.authorise()
    rig.until(lambda: rig.contactor.on, 3000)
    assert not rig.lamps.seen


def test_sequence_8_1_s2_opens():
    rig = Rig()
    rig.charge()
    rig.vehicle("B")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(100)
    assert rig.pilot.permille == 1000  # the guard after an opening


def test_sequence_2_2_unplug():
    rig = Rig()
    rig.charge()
    rig.vehicle("A")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(100)
    assert rig.cells[core.DEPARTED] == 1 and not rig.outlet.authorised


def test_state_d_without_ventilation_opens():
    rig = Rig()
    rig.charge()
    rig.vehicle("D")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(20000)
    assert rig.cells[core.CLOSINGS] == 1


def test_state_d_with_ventilation_charges():
    rig = Rig(ventilated=True)
    rig.charge()
    rig.vehicle("D")
    rig.run(5000)
    assert rig.contactor.on and rig.lamps.name == "D2"


def test_guard_of_5_s_after_an_opening():
    rig = Rig()
    rig.charge()
    rig.vehicle("B")
    rig.run(100)
    rig.vehicle("C")
    ms = rig.until(lambda: rig.contactor.on, 9000)
    assert 5000 <= ms + 100 <= 6000


def test_single_wrong_samples_change_nothing():
    for letter in "ABC":
        for wrong in (15000, 12000, 9000, 6000, 3000, 0, -12000, -15000):
            rig = Rig()
            if letter == "C":
                rig.charge()
            else:
                rig.vehicle(letter)
                rig.run(500)
            name = rig.lamps.name
            for _ in range(20):
                rig.pilot.wrong = wrong
                for _ in range(25):
                    rig.tick()
                    assert rig.lamps.name == name, (letter, wrong)
            assert rig.contactor.on == (letter == "C") and not rig.lamps.seen


def test_opens_with_a_wrong_sample_in_the_way():
    for wrong in (12000, 6000, -12000):
        rig = Rig()
        rig.charge()
        rig.vehicle("B")
        rig.pilot.wrong = wrong
        assert rig.until(lambda: not rig.contactor.on, 100) <= 6


def test_hysteresis_one_transition_each_way():
    rig = Rig()
    rig.run(20)
    seen = []
    for mv in list(range(12000, 0, -20)) + list(range(0, 12000, 20)):
        rig.pilot.high = mv
        rig.run(12)
        if not seen or seen[-1] != rig.lamps.name:
            seen.append(rig.lamps.name)
    assert seen == ["A1", "B1", "C1", "D1", "F", "E", "D1", "C1", "B1", "A1"], seen


def test_hysteresis_holds_at_each_bound():
    for bound, above in ((10500, "A1"), (7500, "B1"), (4500, "C1"), (1800, "D1")):
        rig = Rig()
        rig.pilot.high = bound + 1000
        rig.run(100)
        assert rig.lamps.name == above
        changes = 0
        name = rig.lamps.name
        for i in range(200):
            rig.pilot.high = bound + (250 if i % 2 else -250)
            rig.run(8)
            changes += rig.lamps.name != name
            name = rig.lamps.name
        assert changes == 0, (bound, changes)


def test_no_diode_never_closes():
    rig = Rig()
    rig.pilot.diode = False
    rig.vehicle("C")
    rig.run(100)
    rig.outlet.authorise()
    rig.run(120000)
    assert rig.cells[core.CLOSINGS] == 0 and rig.lamps.seen == {"DiodeFault"}


def test_diode_lost_while_charging_opens_and_comes_back_after_the_guard():
    rig = Rig()
    rig.charge()
    rig.pilot.diode = False
    assert rig.until(lambda: not rig.contactor.on, 100) <= 6
    rig.run(10000)
    assert "DiodeFault" in rig.lamps.faults  # it clears only after a good check
    rig.pilot.diode = True
    ms = rig.until(lambda: rig.contactor.on, 40000)
    assert 10000 + ms >= 30000 and not rig.lamps.faults


def test_pilot_short_opens_names_itself_and_recovers():
    rig = Rig()
    rig.charge()
    rig.vehicle("E")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(100)
    assert rig.lamps.name == "F" and rig.lamps.faults == {"PilotFault"}
    rig.run(400)
    assert rig.lamps.name == "E" and rig.pilot.permille == 1000
    rig.vehicle("C")
    ms = rig.until(lambda: rig.contactor.on, 40000)
    assert ms >= 30000 and not rig.lamps.faults
    assert rig.outlet.authorised  # the vehicle never left


def test_frozen_samples_open_after_two_ticks():
    rig = Rig()
    rig.charge()
    rig.pilot.still = True
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(100)
    assert rig.lamps.faults == {"PilotSamplesStale"}
    rig.pilot.still = False
    assert rig.until(lambda: rig.contactor.on, 40000) >= 30000


def test_only_one_of_the_two_rings_frozen_opens():
    for frozen in (0, 1):
        rig = Rig()
        rig.charge()
        sample = rig.pilot.sample
        window = rig.core._window
        held = window[frozen]

        def half(into):
            sample(into)
            into[frozen] = held

        rig.core._sample = half
        assert rig.until(lambda: not rig.contactor.on, 100) <= 6


def test_stale_request_goes_to_12_v_and_opens_on_s2():
    rig = Rig()
    rig.charge()
    rig.main = False
    ms = rig.until(lambda: rig.pilot.permille == 1000, 2000)
    assert 480 <= ms <= 520
    assert rig.contactor.on and rig.lamps.faults == {"RequestStale"}
    rig.run(1000)
    rig.vehicle("B")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4


def test_stale_request_opens_after_6_s_under_load():
    rig = Rig()
    rig.charge()
    rig.main = False
    rig.until(lambda: rig.pilot.permille == 1000, 2000)
    ms = rig.until(lambda: not rig.contactor.on, 7000)
    assert 5990 <= ms <= 6010
    assert rig.cells[core.FORCED] == 1
    rig.main = True
    rig.until(lambda: rig.contactor.on, 9000)
    assert not rig.lamps.faults


def test_sequence_9_1_and_10_1_stop_waits_for_s2():
    rig = Rig()
    rig.charge()
    rig.outlet.stop()
    rig.run(40)
    assert rig.pilot.permille == 1000 and rig.contactor.on
    rig.run(2000)
    rig.vehicle("B")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    assert rig.cells[core.FORCED] == 0


def test_sequence_10_2_forced_open_6_s_after_pwm_off_never_before():
    rig = Rig()
    rig.charge()
    rig.outlet.stop()
    rig.until(lambda: rig.pilot.permille == 1000, 100)
    ms = rig.until(lambda: not rig.contactor.on, 7000)
    assert 6000 <= ms <= 6010, ms
    assert rig.cells[core.FORCED] == 1


def test_resume_before_the_vehicle_left_c_cancels_the_6_s():
    rig = Rig()
    rig.charge()
    rig.outlet.stop()
    rig.run(3000)
    rig.outlet.authorise()
    rig.run(20000)
    assert rig.contactor.on and rig.cells[core.CLOSINGS] == 1 and rig.cells[core.FORCED] == 0


def test_late_tick_opens_and_guards():
    rig = Rig()
    rig.charge()
    rig.now_ms += 30
    rig.core.tick(rig.now_ms)
    assert not rig.contactor.on
    rig.run(500)
    assert rig.lamps.faults == {"TickLate"}
    assert rig.until(lambda: rig.contactor.on, 40000) >= 29000
    assert not rig.lamps.faults


def test_a_burst_of_ticks_after_a_stall_counts_once():
    rig = Rig()
    rig.charge()
    ticks = rig.cells[core.TICKS]
    rig.pilot.still = True
    for _ in range(25):
        rig.core.tick(rig.now_ms)
    assert rig.contactor.on and rig.cells[core.TICKS] == ticks and not rig.lamps.seen


def test_hold_is_fed_while_driven_and_only_then():
    rig = Rig()
    rig.run(1000)
    assert rig.contactor.feeds == 0
    rig.charge()
    feeds = rig.contactor.feeds
    rig.run(100)
    assert rig.contactor.feeds == feeds + 50
    rig.vehicle("B")
    rig.run(10)
    feeds = rig.contactor.feeds
    rig.run(100)
    assert rig.contactor.feeds == feeds


def test_an_exception_in_the_tick_opens_counts_and_recovers():
    rig = Rig()
    rig.charge()
    sample = rig.core._sample
    rig.core._sample = None  # calling it raises
    rig.tick()
    assert not rig.contactor.on and rig.cells[core.ERRORS] == 1 and rig.cells[core.DRIVE] == 0
    rig.core._sample = sample
    rig.run(20)
    assert rig.lamps.faults == {"InternalError"} and rig.pilot.permille == 1000
    assert rig.until(lambda: rig.contactor.on, 40000) >= 29000


def test_duty_table():
    for ma, permille in (
        (6000, 100),
        (10000, 167),
        (16000, 267),
        (32000, 533),
        (51000, 850),
        (63000, 892),
        (80000, 960),
    ):
        assert core.permille_of(ma) == permille
    for ma in range(6000, 80001, 100):
        d = core.permille_of(ma)
        offered = d * 60 if d <= 850 else (d - 640) * 250
        assert offered <= ma + 30
        assert (
            offered >= ma - 500 or 51000 < ma < 52750 and offered == 51000
        )  # the gap between the two lines


def test_duty_changes_at_most_every_5_s():
    rig = Rig()
    rig.charge()
    rig.outlet.limits.set(5, 10000, "test")
    first = rig.until(lambda: rig.pilot.permille == 167, 6000)
    rig.outlet.limits.set(5, 16000, "test")
    assert rig.until(lambda: rig.pilot.permille == 267, 6000) >= 4900
    assert first <= 5000 and rig.contactor.on


def test_limit_below_6_a_pauses():
    rig = Rig()
    rig.charge()
    rig.outlet.limits.set(5, 5999, "test")
    rig.run(100)
    assert rig.pilot.permille == 1000
    rig.vehicle("B")
    rig.run(20)
    assert not rig.contactor.on


def test_timers_cross_the_wrap_of_the_clock():
    for before in (0, 100, 600, 3000, 9000):
        rig = Rig(now_ms=(1 << 30) - before - 1600)
        rig.charge()
        rig.outlet.stop()
        rig.until(lambda: rig.pilot.permille == 1000, 100)
        assert 6000 <= rig.until(lambda: not rig.contactor.on, 7000) <= 6010
        assert not rig.lamps.seen


def test_vehicles_that_change_places_while_the_main_loop_stands_still():
    rig = Rig()
    rig.charge()
    rig.main = False
    rig.vehicle("A")
    rig.run(300)
    rig.vehicle("B")
    rig.run(200)
    rig.main = True
    rig.run(100)
    assert rig.outlet.departed and not rig.outlet.authorised
    assert rig.pilot.permille == 1000


def test_gbt_has_no_state_d():
    rig = Rig(gbt=True)
    rig.charge()
    rig.vehicle("D")
    assert rig.until(lambda: not rig.contactor.on, 100) <= 4
    rig.run(500)
    assert rig.lamps.name == "E" and rig.lamps.faults == {"PilotFault"}
    rig.vehicle("C")
    rig.until(lambda: rig.contactor.on, 40000)
    assert not rig.lamps.faults
