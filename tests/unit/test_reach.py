"""The reference boards' meters read as much as the supervision has to see."""

import json
import os
from array import array

from tests import chips


def _module(name):
    return __import__(name, None, None, ("make",))


def _outlets():
    """(file, outlet) of each reference board."""
    for name in sorted(os.listdir("hal/boards")):
        if name.endswith(".json") and name != "schema.json":
            with open("hal/boards/" + name) as file:
                for outlet in json.load(file)["outlets"]:
                    yield name, outlet


def test_130_percent_of_the_voltage_and_125_of_the_current_are_fresh_readings():
    seen = 0
    for name, outlet in _outlets():
        spec = outlet["meter"]
        phases = outlet["phases"]
        mv, ma = 230000 * 130 // 100, outlet["max_ma"] * 125 // 100
        load = chips.Load(phases, mv, ma)
        chip = _module("hal.virtual.chips." + spec["chip"]).make(load, spec)
        driver = _module("hal.chips." + spec["chip"]).make(chips.Buses(chip), spec, phases)
        for now_ms in range(0, 3000, 20):
            load.advance(now_ms * 1000)
            driver.tick(now_ms)
        reading = array("i", [0] * 11)
        driver.read(reading)
        assert reading[2] < 1000, (name, reading)
        for i in range(phases):
            assert abs(reading[4 + i] - mv) < mv // 200, (name, reading)
            assert abs(reading[7 + i] - ma) < ma // 200, (name, reading)
        seen += 1
    assert seen >= 3
