"""`pile.py conform`: what it measures, how it judges, and what it writes."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from tools.host import conform, requirements, scenario
from tools.host.errors import BadInput
from tools.host.requirements import (
    Requirement,
    charging,
    closed,
    count,
    event,
    opened,
    step,
    time,
)

KEYS = ["id", "clause", "limit", "min", "max", "pass"]


def opening(**limits):
    """A small requirement: S2 opens, the contactor is open."""
    return Requirement("x", "y", "z", time(closed, step("pause"), opened),
                       steps=charging(event("pause")), profiles=("rp2040",), **limits)


def one(requirement, phases=1):
    (result,) = conform.conform([requirement], phases)
    return result


def test_a_requirement_that_holds_passes_with_what_was_measured():
    row = one(opening(most=100), 2).row()
    assert list(row) == KEYS
    assert row["pass"] is True and row["limit"] == "at most 100 ms"
    assert 15 < row["min"] <= row["max"] < 25


@pytest.mark.parametrize("limits", [{"most": 1}, {"least": 1000}, {"least": 30, "most": 40}])
def test_a_planted_failing_requirement_fails(limits):
    assert one(opening(**limits)).row()["pass"] is False


def test_what_never_happens_fails_and_says_so():
    result = one(Requirement("x", "y", "z", time(step("unplug"), opened), most=100,
                             steps=charging(event("unplug", after_ms=60000)), profiles=("esp32",)))
    assert result.passed is False and result.row()["max"] is None
    assert result.shown.problem.startswith("never")


def test_a_count_needs_what_gives_it_a_meaning():
    never_closed = Requirement("x", "y", "z", count(opened, needs=[closed]), most=0,
                               steps=[], until_ms=1000, profiles=("rp2040",))
    assert one(never_closed).passed is False


def test_what_cannot_be_simulated_is_open(monkeypatch):
    monkeypatch.setattr(scenario, "LATER_STEPS", ("earthquake",))
    result = one(Requirement("x", "y", "z", time(step("earthquake"), opened), most=100,
                             steps=charging(event("earthquake"))))
    assert result.row()["pass"] is None and result.open == '"earthquake"'


def test_a_wrong_scenario_names_its_requirement():
    with pytest.raises(BadInput, match=r"requirement x: steps\[\d\].do"):
        one(Requirement("x", "y", "z", time(opened), steps=[event("plugg")]))


def test_the_requirements_are_what_the_standard_lists():
    ids = [one.id for one in requirements.REQUIREMENTS]
    assert len(ids) >= 40 and len(set(ids)) == len(ids)
    assert {"1.1", "1.2", "2.1", "2.2", "3.1", "3.2", "4", "6-down", "7", "8.1", "8.2", "9.1",
            "10.1", "10.2", "11", "12", "A.4.9", "A.4.11-BC", "A.5.3"} <= set(ids)
    for requirement in requirements.REQUIREMENTS:
        assert requirement.least is not None or requirement.most is not None, requirement.id


def test_the_two_files(tmp_path, capsys, monkeypatch):
    failing = opening(most=1)
    failing.id = "8.x"
    shown = [*requirements.SEQUENCES, failing]
    monkeypatch.setattr(requirements, "REQUIREMENTS", shown)
    monkeypatch.setattr(requirements, "SECTIONS", {"Sequences": shown})
    args = {"only": ["8"], "phases": 1, "seed": 1, "out": str(tmp_path),
            "interpreter": "micropython"}
    assert conform.main(type("Args", (), args)) == 1
    assert "FAILED 8.x" in capsys.readouterr().out
    rows = json.loads((tmp_path / "conformance.json").read_text())["requirements"]
    assert all(list(row) == KEYS for row in rows)
    assert len(rows) > 3 and [row["pass"] for row in rows] == [True] * (len(rows) - 1) + [False]
    text = (tmp_path / "conformance.html").read_text()
    assert not re.search(r"(src|href)=|url\(|https?://|@import", text)
    plots = re.findall(r"<svg viewBox=\"0 0 560.*?</svg>", text, re.S)
    assert len(plots) == 2 * len(rows)  # each row has the whole run and what was measured
    for plot in plots:
        ElementTree.fromstring(plot)
    args["only"] = ["8.1"]
    assert conform.main(type("Args", (), args)) == 0


def test_an_unknown_requirement_is_bad_input():
    with pytest.raises(BadInput, match="beginning of a requirement's id"):
        conform.chosen(["sequence"])
