"""`pile.py calibrate` on a virtual board whose meter is wrong; and what it refuses."""

import json
import re
import shutil

import pytest

from tests.host.bench_port import REPO, board, flashed, within
from tools.host import board as checker
from tools.host import build, calibrate
from tools.host.errors import Failed

REFERENCE = ("--voltage", "230", "--current", "10", "--power", "2300")
# On the virtual board nobody charges; what flows past the open contactor is metered too.
LOAD = {"until_ms": 1000000, "profile": "esp32",
        "steps": [{"at_ms": 10, "do": "leak", "ma": 10000}]}
METER = {"chip": "bl0942", "calibration": {"voltage": 20000, "power": -30000}}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with board(flashed(tmp_path_factory.mktemp("calibrate") / "flash")) as found:
        yield found


def test_a_wrong_meter_is_right_afterwards(served, tmp_path):
    path = tmp_path / "mine.json"
    text = '{"mcu": "virtual", "time": "real", "retained": "word", "scenario": "load.json",\n' \
        ' "outlets": [{"kind":  "ac", "meter": %s}]\n}\n'
    path.write_text(text % json.dumps(METER))
    (served.flash / "load.json").write_text(json.dumps(LOAD))
    shutil.copy(path, served.flash / "board.json")
    told = served.pile("calibrate", "--board", path, *REFERENCE, "--write")
    assert re.search(r"voltage +234\.\d+ V +230\.000 V +20000 ", told), told
    assert "mine.json; `pile.py flash --board" in told
    made = json.loads(path.read_text())["outlets"][0]["meter"]["calibration"]
    # the plant's chip is exact, but for its counts
    assert set(made) == {"voltage", "current", "power"}
    assert all(abs(ppm) < 200 for ppm in made.values()), made
    assert path.read_text() == text % json.dumps(dict(METER, calibration=made))
    # What the board does not have yet would be taken into account twice.
    told = served.within("calibrate", "--board", path, *REFERENCE, code=2)
    assert "flash this file first" in told and told.count("\n") == 1
    shutil.copy(path, served.flash / "board.json")
    told = served.within("monitor", "--for", "1.5")
    assert "230.0 V   10.00 A   2.300 kW" in told


def test_without_a_load_it_says_so(served):
    shutil.copy(build.VIRTUAL, served.flash / "board.json")
    told = served.within("calibrate", "--board", "virtual", *REFERENCE, "--wait", "1", code=1)
    assert "waiting: outlet 1: current: expected about 10.000 A, found 0.000 A: no load" in told
    assert "no vehicle is plugged in" in told and "quantity" not in told


def look(ms, age_ms=100, mv=230000, ma=(10000, 0, 0), mw=2300000):
    cells = [0, 0, age_ms, 50000, mv, mv, mv, *ma, mw]
    return {"ms": ms, "outlets": [{"meter": cells}], "why": [["no vehicle is plugged in"]]}


def test_only_fresh_and_steady_readings_count():
    readings = calibrate.Readings(1, 1, {"voltage": 231000, "current": 10000, "power": 2300000})
    assert not readings.take(look(1000, age_ms=1 << 29)) and "found none ever" in readings.obstacle
    assert not readings.take(look(1500, age_ms=1500)) and "1500 ms ago" in readings.obstacle
    readings.take(look(2000))
    readings.take(look(2400, age_ms=500))  # the same reading
    assert len(readings.kept) == 1
    readings.take(look(2500, ma=(10200, 0, 0)))
    assert "expected it steady within 1 %, found 10.000 A to 10.200 A" in readings.obstacle
    readings.take(look(3000, ma=(10000, 5000, 0)))
    assert "a load on L1 alone, found 5.000 A on L2" in readings.obstacle and not readings.kept
    complete = [readings.take(look(3500 + 500 * i)) for i in range(calibrate.READINGS)]
    assert complete == [False] * (calibrate.READINGS - 1) + [True]
    assert not readings.take(look(20000, mv=0)) and "no mains" in readings.obstacle


def kept(**values):
    readings = calibrate.Readings(1, 2, dict.fromkeys(values))
    readings.kept = [values] * calibrate.READINGS
    return readings


def test_what_is_too_far_off_is_no_calibration():
    for meter, mw in (({"chip": "bl0942"}, 1400000), ({"chip": "bl0942"}, -2300000),
                      ({"chip": "bl0942", "calibration": {"power": 400000}}, 2100000)):
        with pytest.raises(Failed, match="power: expected within 50 % of 2300"):
            calibrate.gains(meter, 1, {"power": 2300000}, kept(power=mw))


def test_one_phase_of_three_whose_power_follows():
    meter = {"chip": "atm90e32", "calibration": {"voltage": 1000, "power": [1, 2, 3]}}
    wanted = {"voltage": 230000, "current": 10000, "power": 2300000}
    # The chip shows 1 % too much voltage, 1 % too little current; its power is right, and was
    # wrong by neither.
    found = calibrate.gains(meter, 2, wanted, kept(voltage=232300, current=9900, power=2300000))
    assert found["voltage"] == (1000, -8911) and found["current"] == (0, 10101)
    power = 2300000 * (1 - 0.0099 / 1.0) * 1.010101
    assert abs(found["power"][1] - (2300000 / power * 1000002 - 1000000)) < 20
    made = calibrate.calibration(meter, 3, 2, found)
    assert made["voltage"] == [1000, -8911, 1000] and made["current"] == [0, 10101, 0]
    assert made["power"] == [1, found["power"][1], 3]


@pytest.mark.parametrize("name", checker.names())
def test_nothing_else_in_the_file_changes(name):
    text = (checker.BOARDS / (name + ".json")).read_text()
    once = calibrate.replaced(text, 1, {"voltage": 5})
    spec = json.loads(text)
    spec["outlets"][0]["meter"]["calibration"] = {"voltage": 5}
    assert json.loads(once) == spec and not checker.check(spec)
    assert once.replace(', "calibration": {"voltage": 5}', "") == text
    twice = calibrate.replaced(once, 1, {"voltage": [1, 2, 3]})
    assert twice == once.replace('{"voltage": 5}', '{"voltage": [1, 2, 3]}')


@pytest.mark.parametrize(("arguments", "words"), [
    (["virtual"], "give --voltage, --current or --power"),
    (["virtual", "--voltage", "0"], "--voltage: expected a number above 0, found '0'"),
    (["virtual", "--voltage", "230", "--outlet", "2"], "--outlet: expected 1 to 1"),
    (["virtual", "--voltage", "230", "--phase", "2"], "--phase: expected 1 to 1"),
    (["ac-22kw-esp32s3", "--voltage", "230", "--write"], "copy it first, and flash the copy"),
    (["SDM120", "--power", "2300"], "--power: expected a meter chip that takes a calibration"),
    (["virtual", "--voltage", "230"], "found no /dev/nowhere"),
])
def test_what_is_wrong_is_named_in_one_line(tmp_path, arguments, words):
    name, *rest = arguments
    if name == "SDM120":
        spec = json.loads((REPO / "hal" / "boards" / "ac-7kw-esp32.json").read_text())
        meter = spec["outlets"][0]["meter"]
        spec["outlets"][0]["meter"] = {
            "chip": "sdm120", "uart": meter["uart"], "tx": meter["tx"], "rx": meter["rx"]}
        name = tmp_path / "mine.json"
        name.write_text(json.dumps(spec))
    told = within("calibrate", "--port", "/dev/nowhere", "--board", name, *rest, code=2)
    assert words in told and told.count("\n") == 1, told
