"""Lamp and buzzer follow the table of firmware/outlet/signals.py."""

from firmware.outlet import signals
from firmware.safety import faults
from tests.pile import CARD, charging, simulate, step


class Light:
    def __init__(self):
        self.colours = []
        self.sounds = []

    def show(self, red, green, blue):
        self.colours.append((red, green, blue))

    def sound(self, on):
        self.sounds.append(bool(on))


class Outlet:
    charging_state = 0
    authorised = inoperative = False


class Line:
    ready = True


def shown(standing=0, hard=0, **outlet):
    """A `Signals` with what it tells; let time pass with `run`."""
    made = Outlet()
    for name in outlet:
        setattr(made, name, outlet[name])
    cells = [0] * 30
    cells[signals.STANDING] = standing
    cells[signals.HARD] = hard
    light = Light()
    names = []

    def record(what, value):
        names.append(value)

    found = signals.Signals(cells, made, light, light, Line(), record, {})
    return found, light, names


def run(found, ms, now_ms=0):
    for t in range(now_ms, now_ms + ms, 20):
        found.tick(t & 0x3FFFFFFF)


def names_of(trace):
    return [line["value"] for line in trace.of("signal")]


def test_each_line_of_the_table_has_its_condition():
    for name, given in (
        ("service", {"standing": faults.WELD}),
        ("service", {"standing": faults.RESIDUAL, "hard": faults.RESIDUAL}),
        ("fault", {"standing": faults.RESIDUAL}),
        ("charging", {"charging_state": 2}),
        ("paused", {"charging_state": 3}),
        ("waiting", {"charging_state": 4}),
        ("plugged", {"charging_state": 1}),
        ("expecting", {"authorised": True}),
        ("expecting", {"authorised": True, "inoperative": True}),
        ("unavailable", {"inoperative": True}),
        ("unavailable", {"inoperative": True, "charging_state": 1}),
        ("free", {}),
    ):
        found, _, names = shown(**given)
        run(found, 200)
        assert names == [name], (name, names)


def test_offline_and_asking():
    found, _, names = shown()
    found._backend = Outlet()
    found._backend.ready = False
    run(found, 200)
    found.asking = True
    run(found, 200, 200)
    assert names == ["offline", "asking"]


def test_a_latched_fault_beeps_three_times_and_stays_red():
    found, light, _ = shown(standing=faults.WELD)
    run(found, 8000)
    assert set(light.colours) == {(255, 0, 0)}
    rises = [a for a, b in zip(light.sounds[1:], light.sounds) if a and not b]
    assert light.sounds[0] and len(rises) == 2
    assert light.sounds.count(True) == 15 and not light.sounds[-1]


def test_a_rhythm_goes_on_for_hours_and_over_the_clocks_wrap():
    found, light, names = shown(charging_state=4)
    run(found, 200000, 0x3FFFFFFF - 100000)
    assert names == ["waiting"]
    lit = light.colours.count((0, 0, 255))
    assert abs(lit * 10 - len(light.colours)) <= 20
    assert not any(light.sounds)


def test_every_answer_to_a_card_is_heard():
    found, light, names = shown()
    run(found, 200)
    found.answer(False)
    run(found, 1000, 200)
    found.answer(False)
    run(found, 5000, 1200)
    assert names == ["free", "refused", "refused", "free"]
    rises = [a for a, b in zip(light.sounds[1:], light.sounds) if a and not b]
    assert len(rises) == 4


def test_a_session_in_signals():
    trace, _ = simulate(40000, charging(step(20000, "pause"), step(30000, "unplug")))
    assert names_of(trace) == [
        "offline", "free", "plugged", "asking", "accepted", "charging", "paused", "free",
    ]  # fmt: skip
    trace, _ = simulate(9000, [step(1000, "card", uid="FFFFFFFF"), step(6000, "card", uid=CARD)])
    assert names_of(trace)[2:] == ["asking", "refused", "free", "asking", "accepted"]


def test_without_lamp_and_buzzer_the_trace_tells():
    trace, _ = simulate(8000, charging(step(6000, "estop")))
    assert names_of(trace)[-1] == "fault"
