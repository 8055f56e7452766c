"""What happens when: the steps of a scenario, done to the virtual board at their time."""

import json

from hal.virtual import plant as _plant


def load(path):
    """The scenario in the file `path`, its steps in the order of their time. `tools/pile.py sim`
    has checked its fields.

    Raises ValueError with the file, the field and what was expected.
    """
    try:
        with open(path) as file:
            scenario = json.load(file)
    except OSError:
        raise ValueError("%s: no such file; expected a scenario" % path)
    except ValueError:
        raise ValueError("%s: not JSON; expected a scenario" % path)
    for i, step in enumerate(scenario["steps"]):
        if step["do"] not in STEPS:
            raise ValueError("%s: steps[%d].do: %r is not simulated yet" % (path, i, step["do"]))
    return scenario


def schedule(scenario, board):
    """Queue every step on the board's plant."""
    for step in scenario["steps"]:
        board.plant.at(int(step["at_ms"] * 1000 + 0.5), _do, (board, step))


def _do(argument):
    board, step = argument
    if board.plant.catch_up:
        board.plant.catch_up(board.plant.now_us)
    board.trace.at(board.plant.now_us, "step", {"step": step})
    STEPS[step["do"]](board, step)


def _plug(board, step):
    board.plant.plug(
        step.get("r_ohm", _plant.R_B), step.get("diode", True), step.get("pp_ohm", 220)
    )


def _ohms(board, step):
    board.plant.ohms(step["value"], _us(step))


def _noise(board, step):
    board.pilot.noise(step["outliers_per_s"], step.get("mv", 0))


def _freeze(board, step):
    board.pilot.frozen = _fault(step)


def _stick(board, step):
    board.pilot.stuck_mv = step["mv"] if _fault(step) else None


def _link(board, step):
    board.line.up = step["up"]


def _reader(board, step):
    board.reader.silent = _fault(step)


def _clock(board, step):
    board.line.clock_jump_s += int(step["jump_s"])


def _mains(board, step):
    plant = board.plant
    volts = step.get("v", plant.mains_mv / 1000)
    hertz = step.get("hz", plant.mains_mhz / 1000)
    plant.supply(mains_mv=int(volts * 1000 + 0.5), mains_mhz=int(hertz * 1000 + 0.5))


def _switch(name):
    """A step that sets the plant's switch `name`."""
    return lambda board, step: board.plant.switch(name, _fault(step))


def _fault(step):
    return step.get("fault", True)


def _us(step):
    return int(step["for_ms"] * 1000 + 0.5) if step.get("for_ms") is not None else None


# step: what it does, given the board and the step
STEPS = {
    "plug": _plug,
    "unplug": lambda board, step: board.plant.unplug(),
    "ready": lambda board, step: board.plant.want(_plant.R_C),
    "pause": lambda board, step: board.plant.want(_plant.R_B),
    "vent": lambda board, step: board.plant.want(_plant.R_D),
    "ohms": _ohms,
    "diode": lambda board, step: board.plant.set_diode(step["ok"]),
    "card": lambda board, step: board.reader.show(step["uid"]),
    "draw": lambda board, step: board.plant.draw(step.get("ma"), step.get("obey", True)),
    "link": _link,
    "backend": lambda board, step: board.line.send(step["message"], step.get("replayed", False)),
    "noise": _noise,
    "adc_freeze": _freeze,
    "adc_stuck": _stick,
    "cp_short": lambda board, step: board.plant.short(step.get("ohm", 80), _us(step)),
    "rcd": lambda board, step: board.plant.set_residual(_fault(step)),
    "rcd_mute": _switch("residual_mute"),
    "pe": _switch("earth_lost"),
    "estop": _switch("estop"),
    "door": _switch("door"),
    "lock": lambda board, step: setattr(board.plant, "lock_jams", _fault(step)),
    "weld": lambda board, step: board.plant.weld(_fault(step)),
    "no_close": lambda board, step: board.plant.refuse_to_close(_fault(step)),
    "phase_loss": lambda board, step: board.plant.supply(phase_missing=_fault(step)),
    "mains": _mains,
    "temperature": lambda board, step: setattr(board.plant, "temperature_c", step["c"]),
    "meter": lambda board, step: board.meter.silence(_fault(step)),
    "reader": _reader,
    "clock": _clock,
    "power": lambda board, step: board.cut_power(_us(step)),
    "stall": lambda board, step: board.stall(_us(step)),
    "stall_main": lambda board, step: board.stall_main(_us(step)),
}
