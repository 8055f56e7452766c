"""Whatever arrives on the backend's line: what is invalid changes nothing, and MQTT is read by the
letter. `make soak` has fifty times as much; `python -m tools.host.fuzz SEED N` repeats a seed.
"""

import pytest

from tools.host import fuzz

CASES = 10000  # under each of SEEDS
SEEDS = (1000001, 1000002)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_invalid_changes_nothing(seed):
    assert fuzz.problems(seed, CASES) is None


def test_what_has_shown_something_once_does_not_again():
    corpus = fuzz.corpus()
    assert len(corpus) > 50
    wrong, _ = fuzz.run(corpus.values())
    names = {case: name for name, case in corpus.items()}
    assert not [(names[case], found) for case, found in wrong]


def test_a_seed_gives_the_same_cases_each_time():
    first, again, other = ([case.line() for case in fuzz.cases(seed, 300)] for seed in (1, 1, 2))
    assert first == again != other


def test_there_are_cases_of_each_kind():
    cases = list(fuzz.cases(7, 3000))
    verdicts = [fuzz.problem(case.data) for case in cases if case.kind == "m"]
    bad = [wrong for wrong in verdicts if wrong]
    assert 0.05 < verdicts.count(None) / len(verdicts) < 0.5
    assert len([wrong for wrong in bad if wrong.startswith("no JSON")]) > 300
    for word in ("Request", "Response", "message id", "wrong fields", "utf-8", "twice"):
        assert [wrong for wrong in bad if word in wrong], word
    found = [fuzz.packets(case.data) for case in cases if case.kind == "f"]
    assert {(bool(fed), dropped) for fed, dropped in found} == {
        (False, False), (False, True), (True, False), (True, True)}


@pytest.mark.parametrize("text", [
    b"", b"[1,]", b"[1 2]", b'{"a":1,"a":2}', b"[NaN]", b"[01]", b'["\t"]', b'["\\x41"]', b"[1]\0",
    b"\xef\xbb\xbf[]", b'["\xc0\x80"]', b'["\xed\xa0\x80"]', b"[1]".decode().encode("utf-16"),
])
def test_the_oracle_knows_json(text):
    with pytest.raises(ValueError):
        fuzz.strict(text)


def test_the_oracle_knows_mqtt():
    topic = b"\x00\x0eocpp/CP-1/down"
    publish = b"\x32\x14" + topic + b"\0\1[]"
    assert fuzz.packets(publish + b"\xd0\x00\x40\x02\x00\x01") == ([(b"[]", 0, 0)], False)
    assert fuzz.packets(publish[:-1]) == ([], False)
    assert fuzz.packets(b"\x3b" + publish[1:] + b"\x20\x02\x00\x00" + publish) == (
        [(b"[]", 1, 1)], True)


def test_a_pile_that_heeds_what_is_invalid_is_found_out():
    good, bad = (fuzz.Case("m", "0", data) for data in (
        b'[2,"a","ClearCache",{}]', b'[2,"a","ClearCache",{"all":true}]'))
    fine = {"answers": ['[4,"a","FormatViolation","",{}]'], "changed": [], "errors": []}
    assert fuzz.verdict(bad, fine) is None
    assert "changed" in fuzz.verdict(bad, {**fine, "changed": ["store"]})
    assert "ours" in fuzz.verdict(bad, {**fine, "errors": ["KeyError()"]})
    assert "answered" in fuzz.verdict(bad, {**fine, "answers": ['[4,"a","Odd","",{}]']})
    assert fuzz.verdict(good, {**fine, "changed": ["store"]}) is None
    assert "one answer" in fuzz.verdict(good, {**fine, "answers": []})
    assert "answered" in fuzz.verdict(good, {**fine, "answers": ['[3,"a",{"status":"Odd"}]']})
    packet = fuzz.Case("f", "4", b"\xd0\x00\xe0\x00")
    assert fuzz.verdict(packet, {"errors": [], "fed": [], "dropped": True}) is None
    assert "dropped" in fuzz.verdict(packet, {"errors": [], "fed": [], "dropped": False})
    assert "come out" in fuzz.verdict(packet, {"errors": [], "fed": [["61", False, False]],
                                               "dropped": True})


def test_a_pile_that_breaks_is_told_of():
    with pytest.raises(AssertionError, match="the pile broke"):
        fuzz.run([fuzz.Case("x", "?", b"")])
