"""The virtual board comes back from every power cut, whenever it comes and however short it is."""

from tests.pile import CARD, charging, simulate, step


def _charges_again(*steps):
    more = [step(30000, "unplug"), step(32000, "plug"), step(33000, "card", uid=CARD)]
    trace, station = simulate(45000, charging(*steps) + more + [step(34000, "ready")])
    assert [line["reason"] for line in trace.of("boot")] == ["PowerUp", "PowerUp"]
    assert station.board.plant.powered
    assert trace.ms("contactor", 30000, command=True, closed=True)
    return trace


def test_a_cut_between_two_ticks():
    for profile in ("rp2040", "esp32"):
        for us in range(0, 10000, 1930):
            steps = [step(1000 + us / 1000, "power", for_ms=0.5)]
            trace, station = simulate(1100, steps, profile=profile)
            assert len(trace.of("boot")) == 2 and station.board.plant.powered


def test_a_cut_while_all_of_python_stands_still():
    steps = (step(10000, "stall", for_ms=5000), step(11000, "power", for_ms=1000))
    trace = _charges_again(*steps)
    assert trace.of("boot")[1]["t_us"] == 12000000


def test_what_stood_still_runs_after_a_cut():
    steps = (step(10000, "stall_main", for_ms=60000), step(11000, "power", for_ms=1000))
    _charges_again(*steps)


def test_a_cut_upon_a_cut_and_a_stall_in_the_dark():
    trace = _charges_again(
        step(10000, "power", for_ms=3000),
        step(11000, "stall", for_ms=60000),
        step(12000, "power", for_ms=3000),
    )
    assert trace.of("boot")[1]["t_us"] == 15000000
