"""Eastron's single-phase meter at 2400 baud against its emulation."""

from hal.chips import sdm120
from hal.virtual.chips import sdm120 as emulation
from tests import chips, rtu
from tests.support import raises

SPEC = {"chip": "sdm120", "uart": 1, "tx": 17, "rx": 16}
MOST = [0, 0, 0, 65000, 300000, 0, 0, 54000, 0, 0, 16200000]


def bench(phases=1, **spec):
    return chips.MeterBench(sdm120, emulation, dict(SPEC, **spec), phases)


def test_an_hour_within_its_resolution():
    rtu.an_hour(bench(), 1000)


def test_at_9600_baud():
    one = bench(baud=9600, parity="even", address=7)
    assert one.buses.asked[0] == ("uart", 9600, 0, 1)
    one.run(1000)
    assert one.run(20000)[2] < 500 and one.oldest_ms < 500


def test_first_reading_within_its_time_at_2400_baud():
    one = bench()
    assert one.buses.asked[0] == ("uart", 2400, None, 1)
    assert one.run(40)[2] == 1 << 29 and sum(one.cells) == 1 << 29
    assert one.run(sdm120.READ_MS)[2] < 1000
    assert list(one.cells[3:]) == [50000, 230000, 0, 0, 16000, 0, 0, 3680000]


def test_silence_ages_and_keeps_the_old():
    one = bench()
    one.run(2000)
    kept = list(one.cells)
    one.chip.silent = True
    one.run(3000)
    assert one.cells[2] - kept[2] == 3000
    one.chip.silent = False
    assert one.run(sdm120.READ_MS)[2] < 1000


def test_lies_are_none():
    for fault, value in (
        ("wrong", 99),
        ("exception", 6),
        ("not_a_number", True),
        ("mute", 99),
        ("address", 2),
    ):
        one = bench()
        one.run(2000)
        setattr(one.chip, fault, value)
        assert one.run(4000)[2] > 3000, fault


def test_beyond_its_range_is_none():
    for name, value in (("mv", 300100), ("ma", 54001), ("mains_mhz", 65100), ("mains_mhz", 44900)):
        one = bench()
        one.run(2000)
        if name == "mains_mhz":
            one.plant.mains_mhz = value
        else:
            getattr(one.plant, name)[0] = value
        assert one.run(4000)[2] > 3000, name
        assert one.cells[4:] == bench().run(2000)[4:]


def test_one_lost_question_costs_less_than_stale():
    one = bench()
    one.run(2000)
    one.chip.mute = 1
    one.run(5000)
    assert one.oldest_ms < 2000


def test_an_echo_of_its_own_questions():
    one = bench()
    one.chip.echo = True
    assert one.run(2000)[2] < 1000 and one.cells[4] == 230000


def test_a_meter_that_begins_at_0_loses_little_and_gains_nothing():
    one = bench()
    one.run(60000)
    before_mwh = one.mwh()
    one.chip.reset()
    one.run(60000)
    assert one.oldest_ms < 2000
    gained_mwh = one.mwh() - before_mwh
    flowed_mwh = 3680000 // 60
    assert flowed_mwh - 3000 <= gained_mwh <= flowed_mwh + 1000
    one.chip.start_mwh += 5000000000  # another meter in its place
    before_mwh = one.mwh()
    one.run(60000)
    assert flowed_mwh - 3000 <= one.mwh() - before_mwh <= flowed_mwh + 1000


def test_power_that_flows_back():
    one = bench()
    one.plant.ma[0] = -10000
    one.run(2000)
    assert one.cells[7] == 10000 and one.cells[10] == -2300000 and one.mwh() == 0


def test_more_than_one_phase_is_none_of_its():
    assert "phases" in str(raises(ValueError, bench, 3))


def fuzz(n, seed):
    """Called by tools/soak.py too."""
    return rtu.fuzzed(sdm120, emulation, dict(SPEC, baud=9600), MOST, n, seed, 1)


def test_fuzzed():
    assert fuzz(3000, 1) >= 3000
