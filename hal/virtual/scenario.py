"""What happens when: the steps of a scenario, done to the virtual board at their time."""

import json

from micropython import const

from hal.virtual import plant as _plant

_SITE = const(4)  # of firmware.energy.limits
_FULL = const(28)  # ENOSPC


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
        if step["do"] not in STEPS and step["do"] not in STATION_STEPS:
            raise ValueError("%s: steps[%d].do: %r is not simulated yet" % (path, i, step["do"]))
    return scenario


def schedule(scenario, board):
    """Queue every step on the plant of its outlet, the first unless it says `outlet`."""
    for step in scenario["steps"]:
        place = board.places[step.get("outlet", 1) - 1]
        place.plant.at(int(step["at_ms"] * 1000 + 0.5), _do, (board, place, step))


def _do(argument):
    board, place, step = argument
    if place.plant.catch_up:
        place.plant.catch_up(place.plant.now_us)
    place.trace.at(place.plant.now_us, "step", {"step": step})
    do = step["do"]
    if do in STATION_STEPS:
        STATION_STEPS[do](board, step)
    else:
        STEPS[do](place, step)


def _plug(place, step):
    place.plant.plug(
        step.get("r_ohm", _plant.R_B), step.get("diode", True), step.get("pp_ohm", 220)
    )


def _ohms(place, step):
    place.plant.ohms(step["value"], _us(step))


def _noise(place, step):
    place.sampler.noise(step["outliers_per_s"], step.get("mv", 0))


def _freeze(place, step):
    place.sampler.frozen = _fault(step)


def _stick(place, step):
    place.sampler.stuck_mv = step["mv"] if _fault(step) else None


def _link(board, step):
    board.line.up = step["up"]


def _reader(board, step):
    board.reader.chip.silent = _fault(step)


def _card(board, step):
    # Held to the reader for a while; the next card takes its place.
    board.reader.show(step["uid"])
    board.shown += 1
    board.plant.at(board.plant.now_us + board.shown_us, _take_card, (board, board.shown))


def _take_card(argument):
    board, number = argument
    if number == board.shown:
        board.reader.show(None)


def _limit(board, step):
    # What a site's controller or a schedule would set: a lease.
    limits = board.station.outlets[step.get("outlet", 1) - 1].limits
    for_ms = int(step["for_ms"]) if step.get("for_ms") is not None else 0
    limits.set(
        _SITE, step["ma"], "set by the site", board.ticks_ms(), for_ms, step.get("fallback_ma", 0)
    )


def _clock(board, step):
    board.line.clock_jump_s += int(step["jump_s"])


def _date(board, step):
    board.line.date = step["text"]


def _limit_input(board, step):
    board.limited = step.get("active", True)


def _flash(board, step):
    board.store.fails = _FULL if _fault(step) else 0


def _mains(place, step):
    plant = place.plant
    volts = step.get("v", plant.mains_mv / 1000)
    hertz = step.get("hz", plant.mains_mhz / 1000)
    plant.supply(mains_mv=int(volts * 1000 + 0.5), mains_mhz=int(hertz * 1000 + 0.5))


def _switch(name):
    """A step that sets the plant's switch `name`."""
    return lambda place, step: place.plant.switch(name, _fault(step))


def _fault(step):
    return step.get("fault", True)


def _us(step):
    return int(step["for_ms"] * 1000 + 0.5) if step.get("for_ms") is not None else None


# step: what it does to an outlet, given its hardware and the step
STEPS = {
    "plug": _plug,
    "unplug": lambda place, step: place.plant.unplug(),
    "ready": lambda place, step: place.plant.want(_plant.R_C),
    "pause": lambda place, step: place.plant.want(_plant.R_B),
    "vent": lambda place, step: place.plant.want(_plant.R_D),
    "ohms": _ohms,
    "diode": lambda place, step: place.plant.set_diode(step["ok"]),
    "draw": lambda place, step: place.plant.draw(step.get("ma"), step.get("obey", True)),
    "noise": _noise,
    "adc_freeze": _freeze,
    "adc_stuck": _stick,
    "cp_short": lambda place, step: place.plant.short(step.get("ohm", 80), _us(step)),
    "rcd": lambda place, step: place.plant.set_residual(_fault(step)),
    "rcd_mute": _switch("residual_mute"),
    "pe": _switch("earth_lost"),
    "estop": _switch("estop"),
    "door": _switch("door"),
    "tilt": _switch("tilt"),
    "smoke": _switch("smoke"),
    "lock": lambda place, step: setattr(place.plant, "lock_jams", _fault(step)),
    "weld": lambda place, step: place.plant.weld(_fault(step)),
    "no_close": lambda place, step: place.plant.refuse_to_close(_fault(step)),
    "no_output": lambda place, step: place.plant.supply(no_output=_fault(step)),
    "leak": lambda place, step: place.plant.supply(leak_ma=step["ma"]),
    "phase_loss": lambda place, step: place.plant.supply(phase_missing=_fault(step)),
    "mains": _mains,
    "temperature": lambda place, step: setattr(place.plant, "temperature_c", step["c"]),
    "meter": lambda place, step: setattr(place.meter_chip, "silent", _fault(step)),
}

# and what the whole station feels, given the board and the step
STATION_STEPS = {
    "card": _card,
    "link": _link,
    "backend": lambda board, step: board.line.send(step["message"], step.get("replayed", False)),
    "answer": lambda board, step: board.line.more.update({step["action"]: step["fields"]}),
    "reader": _reader,
    "limit": _limit,
    "limit_input": _limit_input,
    "service": lambda board, step: board.station.upkeep.serviced(),
    "clock": _clock,
    "date": _date,
    "mute": lambda board, step: setattr(board.line, "mute", _fault(step)),
    "refuse": lambda board, step: setattr(board.line, "refuses", _fault(step)),
    "fram": lambda board, step: setattr(board.memory.chip, "silent", _fault(step)),
    "flash": _flash,
    "power": lambda board, step: board.cut_power(_us(step)),
    "stall": lambda board, step: board.stall(_us(step)),
    "stall_main": lambda board, step: board.stall_main(_us(step)),
}
