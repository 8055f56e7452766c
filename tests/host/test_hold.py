"""The hold's PIO program, cycle by cycle in an emulator: a finite train per feed, then silence."""

import itertools
import json
import pathlib
import subprocess

import pytest

from tests.host.fake_rp2040 import Chip, load

ROOT = pathlib.Path(__file__).resolve().parents[2]
RP2040 = load(Chip())
PULSE = 64  # cycles
HZ = 64000
TICK = 128  # cycles in 2 ms
SPEC = {"deadman": {"release_ms": 30}}


def play(*runs):
    asked = json.dumps({"opcodes": RP2040.hold_program, "runs": runs})
    command = [str(ROOT / ".venv" / "pio" / "bin" / "python"), "tests/host/pio_runs.py"]
    done = subprocess.run(
        command, cwd=ROOT, input=asked, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    return json.loads(done.stdout)


def run(*feeds, until=2400, stacked=False):
    return {"feeds": [list(feed) for feed in feeds], "until": until, "stacked": stacked}


def pulses(played):
    return sum(level for _, level in played["edges"])


def test_the_program_is_what_was_meant():
    # pull(noblock); out(x, 5); jmp(not_x, 0); set(pins, 1)[29]; set(pins, 0)[29]; jmp(x_dec, 0)
    assert RP2040.hold_program == [0x8080, 0x6025, 0x0020, 0xFD01, 0xFD00, 0x0040]
    # pitfall 6: no jump beyond the last instruction
    assert all(word & 0x1F < 6 for word in RP2040.hold_program if word >> 13 == 0)


def test_a_feed_gives_one_train_then_silence():
    for played, count in zip(play(*[run((100, n)) for n in range(32)]), range(32), strict=True):
        assert pulses(played) == count
        if count:
            assert 100 <= played["edges"][0][0] < 110
            assert played["edges"][-1][1] == 0  # low for ever
            rises = [cycle for cycle, level in played["edges"] if level]
            assert all(b - a == PULSE for a, b in itertools.pairwise(rises))


def test_silence_lasts():
    (played,) = play(run((0, 20), until=40000))
    assert pulses(played) == 20


def test_a_feed_replaces_what_is_owed():
    for played in play(*[run((0, 20), (phase, 20)) for phase in range(400, 400 + PULSE)]):
        done = sum(level for cycle, level in played["edges"] if cycle < played["fed"][1] + PULSE)
        assert pulses(played) <= done + 20
        assert 26 <= pulses(played) <= 28  # 6 to 8 before, 20 after; adding would make 40


def test_a_feed_of_zero_ends_the_train():
    (played,) = play(run((0, 20), (400, 0)))
    assert pulses(played) <= 8


def test_words_that_pile_up_in_the_fifo_do_not_add_up():
    # The tick never does this: it feeds an empty FIFO only.
    (played,) = play(run(*[(0, 20)] * 4, stacked=True))
    assert pulses(played) == 3 + 20


def test_any_word_gives_at_most_31():
    words = [0xFFFFFFFF, 0xFFFFFFE0, 32, 31, 1 << 31, 0xDEADBEEF]
    counts = [pulses(played) for played in play(*[run((0, word)) for word in words])]
    assert counts == [31, 0, 0, 31, 0, 0xDEADBEEF & 31]


def test_without_a_feed_there_is_no_edge():
    # A level that is stuck holds nothing: the hold is coupled by a capacitor.
    (played,) = play(run(until=6400))
    assert played["edges"] == []


def test_fed_every_tick_it_never_pauses():
    (played,) = play(run(*[(cycle, 20) for cycle in range(0, 12800, TICK)], until=12800))
    rises = [cycle for cycle, level in played["edges"] if level]
    assert len(played["fed"]) == 100
    assert max(b - a for a, b in itertools.pairwise(rises)) <= PULSE + 3


def test_from_the_last_feed_to_silence_at_every_phase():
    # The last feed comes at each cycle of the pulse under way, over whichever it finds.
    runs = [
        run((0, 20), (2 * PULSE + phase, 20), (2 * PULSE + phase + TICK, 20))
        for phase in range(2 * PULSE)
    ]
    longest = 0
    for played in play(*runs):
        longest = max(longest, played["edges"][-1][0] - played["fed"][-1])
    train_ms = longest * 1000 / HZ
    bound_ms = RP2040.hold_ms(SPEC) - SPEC["deadman"]["release_ms"]
    assert bound_ms - 1.5 <= train_ms <= bound_ms  # the bound holds, and is no fantasy
    assert RP2040.hold_ms(SPEC) == 51 <= 60


def test_the_longest_train_that_a_board_may_ask_for():
    spec = {"deadman": {"release_ms": 28, "pulses": 31}}
    (played,) = play(run((0, 31)))
    assert played["edges"][-1][0] * 1000 / HZ <= RP2040.hold_ms(spec) - 28
    assert RP2040.hold_ms(spec) == 60
