"""Both sampling schemes read the plateaus, wherever their instants fall on the pilot's period."""

from array import array

from hal.virtual.pilot import BurstPilot, PacedPilot
from hal.virtual.plant import R_B, R_C, R_D, Plant

_NOISE_MV = 20
_LOADS = (None, R_B, R_C, R_D, 0)


def _plant(r_ohm, permille, diode=True):
    plant = Plant(1, lambda what, fields, t_us: None)
    plant.plug(r_ohm, diode)
    plant.set_permille(permille)
    plant.advance(2000)
    return plant


def _reads(pilot, plant, window):
    pilot.sample(window)
    return all(abs(window[i] - plant.high_mv) <= _NOISE_MV for i in (2, 3, 4)) and all(
        abs(window[i] - plant.low_mv) <= _NOISE_MV for i in (5, 6, 7)
    )


def test_levels_are_those_of_the_standard():
    for r_ohm, mv in ((None, 12000), (R_B, 8979), (R_C, 5995), (R_D, 2930), (0, 700)):
        assert abs(_plant(r_ohm, 500).high_mv - mv) <= 20
        assert _plant(r_ohm, 500).low_mv == -12000
    assert abs(_plant(R_C, 500, diode=False).low_mv + 5624) <= 20


def test_a_short_pulls_both_plateaus_down():
    plant = _plant(R_C, 500)
    plant.short(80)
    assert 0 < plant.high_mv < 1000 and -1000 < plant.low_mv < 0
    plant.short(0)
    assert abs(plant.high_mv) < 20 and abs(plant.low_mv) < 20


def test_bursts_read_the_plateaus_at_every_phase():
    # Conversions of 50 us divide the period: a phase that hits an edge hits it in every period.
    window = array("i", [0] * 8)
    for r_ohm in _LOADS:
        for permille in (100, 167, 267, 533, 800, 850, 892):
            plant = _plant(r_ohm, permille)
            for phase in range(50):
                plant = _plant(r_ohm, permille)
                pilot = BurstPilot(plant)
                plant.advance(3000 + phase)
                assert _reads(pilot, plant, window), (r_ohm, permille, phase, list(window))


def test_bursts_leave_out_a_wrong_reading():
    window = array("i", [0] * 8)
    for phase in range(0, 50, 7):
        for wrong in (15000, 12000, 6000, 0, -12000):
            plant = _plant(R_C, 267)
            pilot = BurstPilot(plant)
            plant.advance(3000 + phase)
            pilot.noise(20, wrong)
            for _ in range(40):
                plant.advance(plant.now_us + 6800)
                pilot.sample(window)
                highs = sorted([window[2], window[3], window[4]])
                lows = sorted([window[5], window[6], window[7]])
                assert abs(highs[1] - plant.high_mv) <= _NOISE_MV, (phase, wrong, highs)
                assert abs(lows[1] - plant.low_mv) <= _NOISE_MV, (phase, wrong, lows)


def test_paced_samples_read_the_plateaus_and_count():
    window = array("i", [0] * 8)
    for r_ohm in _LOADS:
        for permille in (50, 100, 533, 960):
            plant = Plant(1, lambda what, fields, t_us: None)
            pilot = PacedPilot(plant)
            plant.plug(r_ohm)
            plant.set_permille(permille)
            plant.advance(10500)
            assert _reads(pilot, plant, window)
            assert window[0] == 11 and window[1] == 10
            pilot.frozen = True
            plant.advance(20500)
            pilot.sample(window)
            assert window[0] == 11 and window[1] == 10


def test_steady_levels():
    window = array("i", [0] * 8)
    for kind in (PacedPilot, BurstPilot):
        for permille, mv in ((1000, 8979), (0, -12000)):
            plant = Plant(1, lambda what, fields, t_us: None)
            pilot = kind(plant)
            plant.plug(R_B)
            plant.set_permille(permille)
            plant.advance(10000)
            pilot.sample(window)
            assert all(abs(window[i] - mv) <= _NOISE_MV for i in range(2, 8)), list(window)
