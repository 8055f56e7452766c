"""A wrong scenario exits with 2 and names file, field and expectation before anything starts."""

import json

import pytest

from hal.virtual import scenario as virtual
from tools import pile
from tools.host import scenario
from tools.host.errors import BadInput

PLUG = {"at_ms": 1000, "do": "plug"}


def steps(*given):
    return {"until_ms": 5000, "steps": list(given)}


def step(do, **fields):
    return steps(PLUG, {"at_ms": 2000, "do": do, **fields})


WRONG = [
    # what is in the file, words that the error must have
    ("", ["line 1, column 1", "expected JSON"]),
    ('{"until_ms": 5000,\n "steps": [}', ["line 2, column 12"]),
    ('{"until_ms": NaN}', ["NaN"]),
    ('{"until_ms": 1, "until_ms": 2}', ["until_ms", "twice"]),
    ("[" * 100_000, ["nested too deeply"]),
    (b"\xff\xfe{}", ["UTF-8", "0xff"]),
    ([], ["the file", "object"]),
    ({}, ["until_ms", "found nothing"]),
    ({"until_ms": "long"}, ["until_ms", '"long"', "a number"]),
    ({"until_ms": True}, ["until_ms", "true"]),
    ({"until_ms": 0}, ["until_ms", "found 0"]),
    ({"until_ms": 1e300}, ["until_ms"]),
    ({"until_ms": 5000, "until": 1}, ["until:", "unknown field", "did you mean", "until_ms"]),
    ({"until_ms": 5000, "steps": {}}, ["steps", "list"]),
    ({"until_ms": 5000, "seed": 1.5}, ["seed", "whole number"]),
    ({"until_ms": 5000, "seed": -1}, ["seed"]),
    ({"until_ms": 5000, "profile": "esp8266"}, ["profile", "rp2040", "esp32"]),
    ({"until_ms": 5000, "ticks_start_ms": 2 ** 30}, ["ticks_start_ms", str(2 ** 30 - 1)]),
    ({"until_ms": 5000, "outlet": 32}, ["outlet", "object"]),
    ({"until_ms": 5000, "outlet": {"max_a": 5}}, ["outlet.max_a", "from 6 to 80 A"]),
    ({"until_ms": 5000, "outlet": {"kind": "tram"}}, ["outlet.kind", '"ac"']),
    ({"until_ms": 5000, "outlet": {"amps": 6}}, ["outlet.amps", "unknown field"]),
    (steps(5), ["steps[0]", "object"]),
    (steps({"at_ms": 1}), ["steps[0].do", "found nothing"]),
    (steps({"at_ms": 1, "do": None}), ["steps[0].do", "found null"]),
    (steps({"at_ms": 1, "do": ["plug"]}), ["steps[0].do"]),
    (steps(PLUG, {"at_ms": 1, "do": "plgu"}), ["steps[1].do", 'did you mean "plug"']),
    (steps({"do": "plug"}), ["steps[0].at_ms", "found nothing"]),
    (steps({"do": "plug", "at_ms": -1}), ["steps[0].at_ms", "from 0"]),
    (steps({"do": "plug", "at_ms": None}), ["steps[0].at_ms", "null"]),
    (steps({"do": "plug", "at_ms": True}), ["steps[0].at_ms", "true"]),
    (step("plug", r_ohm="many"), ["steps[1].r_ohm", "whole number", '"many"']),
    (step("plug", r_ohm=0), ["steps[1].r_ohm"]),
    (step("plug", r_ohm=2740.5), ["steps[1].r_ohm", "2740.5"]),
    (step("limit_input"), ["steps[1].do", '"limit_input": true', "found null"]),
    (dict(step("limit_input", active=1), limit_input=True), ["steps[1].active", "true or false"]),
    ({"until_ms": 5000, "limit_input": 1}, ["limit_input", "true or false"]),
    (step("plug", diode=1), ["steps[1].diode", "true or false"]),
    (step("plug", ohms=1), ["steps[1].ohms", "unknown field", "r_ohm"]),
    (step("unplug", r_ohm=1), ["steps[1].r_ohm", "unknown field"]),
    (step("ohms"), ["steps[1].value", "null (open)"]),
    (step("ohms", value=-1), ["steps[1].value"]),
    (step("ohms", value=5, for_ms=0), ["steps[1].for_ms"]),
    (step("diode"), ["steps[1].ok"]),
    (step("card"), ["steps[1].uid"]),
    (step("card", uid=""), ["steps[1].uid", "text"]),
    (step("card", uid=4), ["steps[1].uid", "text"]),
    (step("draw", ma="all"), ["steps[1].ma", "null (follows the offer)"]),
    (step("link"), ["steps[1].up"]),
    (step("link", up="no"), ["steps[1].up", "true or false"]),
    (step("backend"), ["steps[1].message"]),
    (step("backend", message=[], replayed=0), ["steps[1].replayed"]),
    (step("noise", mv=100), ["steps[1].outliers_per_s"]),
    (step("noise", outliers_per_s=21), ["steps[1].outliers_per_s", "20"]),
    (step("adc_freeze", fault="yes"), ["steps[1].fault"]),
    (step("stall_main"), ["steps[1].for_ms"]),
]

LATER = [
    ({"until_ms": 5000, "outlet": {"kind": kind}}, "outlet.kind")
    for kind in ("dc", "socket", "bay")
]


def write(tmp_path, content):
    path = tmp_path / "wrong.json"
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(tmp_path, capsys, content):
    """The one line that `sim` says about a file that it refuses."""
    path, out = write(tmp_path, content), tmp_path / "out.jsonl"
    assert pile.main(["sim", str(path), "--trace", str(out)]) == 2
    assert not out.exists(), "nothing may start"
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(path) in error
    return error


@pytest.mark.parametrize("content, words", WRONG)
def test_wrong_file(tmp_path, capsys, content, words):
    error = refused(tmp_path, capsys, content)
    for word in words:
        assert word in error


@pytest.mark.parametrize("content, field", LATER)
def test_not_simulated_yet(tmp_path, capsys, content, field):
    error = refused(tmp_path, capsys, content)
    assert field + ": " in error and "not simulated yet" in error


def test_missing_file(tmp_path, capsys):
    assert pile.main(["sim", str(tmp_path / "no.json"), "--trace", str(tmp_path / "t")]) == 2
    assert "no.json: expected a readable scenario file" in capsys.readouterr().err


def test_trace_that_cannot_be_written(tmp_path, capsys):
    path = write(tmp_path, steps(PLUG))
    for trace in (tmp_path / "none" / "t.jsonl", tmp_path, path):
        assert pile.main(["sim", str(path), "--trace", str(trace)]) == 2
        assert "--trace: expected" in capsys.readouterr().err
    assert path.read_text() == json.dumps(steps(PLUG)), "the scenario survived"


def test_wrong_arguments_are_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        pile.main(["sim"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_step_that_is_checked_is_simulated():
    assert set(scenario.STEPS) == set(virtual.STEPS) | set(virtual.STATION_STEPS)
    assert set(scenario.STEPS) == set(scenario.ABOUT)


def test_help_lists_every_step_and_field(capsys):
    with pytest.raises(SystemExit):
        pile.main(["sim", "--help"])
    text = capsys.readouterr().out
    for name, fields in scenario.STEPS.items():
        assert "\n  %s: " % name in text
        assert all("      %s: " % field in text for field in fields)


def test_a_message_too_deep_for_the_pile_is_refused(tmp_path, capsys):
    error = refused(tmp_path, capsys, step("backend", message=json.loads("[" * 900 + "]" * 900)))
    assert "steps[1].message" in error and "50" in error


def test_a_trace_that_is_no_file_is_refused(tmp_path, capsys):
    path = write(tmp_path, steps(PLUG))
    assert pile.main(["sim", str(path), "--trace", "/dev/null"]) == 2
    assert "--trace" in capsys.readouterr().err


def test_steps_stay_as_given_and_are_sorted():
    checked = scenario.check(steps(
        {"at_ms": 3000, "do": "draw"}, {"at_ms": 1000.0, "do": "plug"},
        {"at_ms": 2000.2500004, "do": "ohms", "value": None}, {"at_ms": 1000, "do": "link",
                                                              "up": False}))
    assert checked == {
        "until_ms": 5000, "seed": 0, "profile": "rp2040", "ticks_start_ms": 0,
        "tick_ms": None, "phases": 1, "config": {},
        "outlet": {"kind": "ac", "max_a": 32, "cable": "attached", "standard": "iec61851",
                   "ventilated": False},
        "outlets": 1,
        "limit_input": False,
        "steps": [
            {"at_ms": 1000, "do": "plug"},
            {"at_ms": 1000, "do": "link", "up": False},
            {"at_ms": 2000.25, "do": "ohms", "value": None},
            {"at_ms": 3000, "do": "draw"},
        ]}
    assert isinstance(checked["steps"][0]["at_ms"], int)


def test_checking_a_checked_scenario_changes_nothing():
    checked = scenario.check(step("ohms", value=5, for_ms=0.5))
    assert scenario.check(checked) == checked


def test_a_hand_written_error_stays_readable():
    with pytest.raises(BadInput) as error:
        scenario.check(step("card", uid=["x" * 500]))
    assert len(str(error.value)) < 200
