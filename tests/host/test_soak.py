"""The short form of `make soak`: a virtual minute each, 1,000 answers a driver; and that a soak
sees what moves and what lies.
"""

import pytest

from tools import soak
from tools.host import warm


def test_short_soak():
    told = []
    assert soak.soak(soak.plan_of([], short=True), told.append) == 0, told
    assert len(told) == 11 + len(soak.fuzzers()) + len(soak.cutters())


@pytest.mark.parametrize("step", [
    {"at_ms": 60000, "do": "adc_freeze"},
    {"at_ms": 60000, "do": "ohms", "value": 2740, "for_ms": 30},
])
def test_a_soak_sees_what_moves(step):
    job = soak.job("noise-C", "rp2040", 30000)
    job["scenario"]["steps"].append(step)
    (trace,) = warm.run_all([job])
    assert "events, the first of them {'t_us': 600" in soak.problem("noise-C", trace)


def test_a_soak_that_does_not_get_there_fails():
    job = soak.job("nuisance", "esp32", 5000)
    job["scenario"]["steps"] = job["scenario"]["steps"][:1]
    (trace,) = warm.run_all([job])
    assert "expected state C2" in soak.problem("nuisance", trace)


def test_soaks_are_as_long_as_promised():
    others = ("buses", "cuts", "days", "offline", "fuzz")
    plan = [one for one in soak.plan_of([]) if one[0] not in others]
    assert len(plan) == 8
    assert all(for_ms == (10 if name == "nuisance" else 24) * 3600000 for name, _, for_ms in plan)


def test_each_driver_gets_as_many_answers_as_promised():
    plan = soak.plan_of(["buses"])
    assert {driver for _, driver, _ in plan} >= {"bl0942", "hlw8032", "atm90e32", "ade7953"}
    assert all(one == ("buses", one[1], 100000) for one in plan)


def test_there_are_as_many_power_cuts_as_promised():
    plan = soak.plan_of(["cuts"])
    assert ("cuts", "journal_cuts", 10000) in plan
    assert all(one == ("cuts", one[1], 10000) for one in plan)


def test_a_power_cut_that_loses_something_fails():
    told = []
    assert soak.soak([("cuts", "fm24", 1000)], told.append) == 1
    assert "cut(..., 1)" in told[0]


def test_a_ledger_that_tells_too_little_fails():
    assert soak.plan_of(["days"]) == [("days", "rp2040", (30, 1))]
    found = soak.sold((1, 1, soak.HOUR_MS, 1), None)
    assert found is None
    wrong = soak.sold((1, 1, 300000, 1), None)  # ends with the vehicle still there
    assert "never ended" in wrong


def test_a_day_without_a_line_is_as_long_as_promised_and_seen_when_it_fails():
    assert soak.plan_of(["offline"]) == [("offline", "rp2040", (1,))]
    wrong = soak.sold((1, 120000, 2), what="offline")  # too short for two
    assert "1 transactions, expected at least 2" in wrong


def test_a_driver_that_does_not_hold_fails(monkeypatch):
    monkeypatch.setattr(soak, "fuzzers", lambda: {"bl0942": ["no_such_function"]})
    told = []
    assert soak.soak([("buses", "bl0942", 1000)], told.append) == 1
    assert "no_such_function(1000, 1)" in told[0]
