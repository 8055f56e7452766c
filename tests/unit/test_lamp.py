"""Lamps and buzzers show what they were told, and cost nothing while nothing changes."""

from hal.chips import buzzer, lamp
from hal.virtual.buses import Buses
from hal.virtual.chips import buzzer as emulated_buzzer
from hal.virtual.chips import lamp as emulation
from tests.chips import Load


def _made(driver, emulated, spec):
    plant = Load()
    chip = emulated.make(plant, spec)
    buses = Buses(plant)
    buses.pins.update(chip.pins)
    return plant, chip, driver.make(buses, spec)


def test_pixels_get_green_red_blue():
    _, chip, driver = _made(lamp, emulation, {"chip": "lamp", "pixels": 3, "count": 4})
    driver.show(1, 2, 3)
    assert not chip.told
    driver.tick(0)
    assert chip.record == [(0, b"\x02\x01\x03" * 4)]
    assert chip.colour == (1, 2, 3) and chip.pixels == [(1, 2, 3)] * 4


def test_pixels_are_dimmed():
    spec = {"chip": "lamp", "pixels": 3, "percent": 20}
    _, chip, driver = _made(lamp, emulation, spec)
    driver.show(255, 160, 0)
    driver.tick(0)
    assert chip.colour == (51, 32, 0)


def test_a_colour_that_stays_is_told_once_a_second():
    for start_ms in (0, (1 << 30) - 3000):
        plant, chip, driver = _made(lamp, emulation, {"chip": "lamp", "pixels": 3})
        for i in range(500):
            plant.advance(plant.now_us + 20000)
            driver.show(0, 255, 0)
            driver.tick((start_ms + i * 20) & ((1 << 30) - 1))
        assert chip.told == 10
        chip.pixels[0] = (9, 9, 9)  # noise
        for i in range(500, 551):
            driver.tick((start_ms + i * 20) & ((1 << 30) - 1))
        assert chip.colour == (0, 255, 0)


def test_at_most_one_transfer_a_tick():
    _, chip, driver = _made(lamp, emulation, {"chip": "lamp", "pixels": 3})
    for i in range(100):
        for colour in range(10):
            driver.show(colour, i, 255 - i)
        driver.tick(i * 20)
        assert chip.told == i + 1
        assert chip.colour == (9, i, 255 - i)


def test_plain_lights_are_lit_from_the_half_on():
    for on in (0, 1):
        spec = {"chip": "lamp", "red": 1, "green": 2, "blue": 3, "on": on}
        _, chip, driver = _made(lamp, emulation, spec)
        for shown, lit in (
            ((255, 0, 0), (255, 0, 0)),
            ((255, 160, 0), (255, 255, 0)),
            ((127, 127, 128), (0, 0, 255)),
            ((0, 0, 0), (0, 0, 0)),
        ):
            driver.show(*shown)
            driver.tick(0)
            assert chip.colour == lit


def test_a_board_may_have_some_of_the_lights():
    _, chip, driver = _made(lamp, emulation, {"chip": "lamp", "green": 2})
    driver.show(255, 255, 255)
    assert chip.colour == (0, 255, 0)


def test_outputs_begin_dark_and_quiet():
    began = []

    class Wires(Buses):
        def output(self, pin, value=0):
            began.append((pin, value))
            return lambda level: None

    for on in (0, 1):
        lamp.make(Wires(None), {"chip": "lamp", "red": 1, "on": on})
        buzzer.make(Wires(None), {"chip": "buzzer", "pin": 2, "on": on})
    assert began == [(1, 1), (2, 1), (1, 0), (2, 0)]


def test_the_buzzer_sounds_while_it_is_told_to():
    for on in (0, 1):
        spec = {"chip": "buzzer", "pin": 7, "on": on}
        plant, chip, driver = _made(buzzer, emulated_buzzer, spec)
        for sound in (False, True, True, False):
            plant.advance(plant.now_us + 20000)
            driver.sound(sound)
            driver.tick(0)
            assert chip.sounds is sound
        assert chip.record == [(40000, True), (80000, False)]


def test_nonsense_is_named():
    for spec, field in (
        ({}, "pixels"),
        ({"pixels": 3, "count": 0}, "count"),
        ({"pixels": 3, "count": 100}, "count"),
        ({"pixels": 3, "percent": 0}, "percent"),
        ({"red": 3, "on": 2}, "on"),
    ):
        buses = Buses(None)
        buses.pins[3] = None
        try:
            lamp.make(buses, spec)
        except ValueError as error:
            assert str(error).startswith(field + ": expected"), error
        else:
            raise AssertionError(spec)
