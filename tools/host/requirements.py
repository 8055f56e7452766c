"""What an AC pile must do, requirement by requirement: the scenario, what is measured, the limit.

A requirement is one `Requirement(...)` below. Its scenario is played at several random phases on
each profile; `measure(trace)` gives one number (or several) of each run, and all of them must lie
from `least` to `most`. `time(a, b)` measures ms from the first line that matches `a` to the first
one from then on that matches `b`, `count(a)` how often `a` is seen. A line matcher is one of the
small functions below (`step("pause")`, `pwm`, `opened`, ...), or any function of a trace's line.

Where a limit is not the standard's but our own, `clause` says so: IEC 61851-1 leaves it to the
maker. Those of the protections are the table's in firmware/safety/faults.py.
"""

import itertools

from .errors import Failed

CARD = "04A1B2C3D4E5F6"
EVENT_MS = 12000  # by then a vehicle has been charging for seconds, self-tests included
IEC = "IEC 61851-1 Table A.6, "
OURS = "our own: "
BOTH = ("rp2040", "esp32")


class Never(Failed):
    """What a requirement waits for did not happen in a run."""


class Requirement:
    """`id` is unique; `clause` says where the limit comes from, `text` what must be true.

    `steps`: the scenario's; `variants`: fields of the scenario for one run each ("steps" among
    them are added). `watch`: the trace also has `pilot` and `current` lines.
    `config`: fields of config.json. `phases`: at most so many random phases,
    since the run is long or the phase says little; `every`: at least so many. `fixed`: at the
    instants given, at no random phase.
    """

    def __init__(self, id, clause, text, measure, *, least=None, most=None, unit="ms", steps=(),
                 until_ms=EVENT_MS + 2000, variants=({},), profiles=BOTH, phases=None, every=1,
                 watch=False, fixed=False, config=None):
        self.id, self.clause, self.text = id, clause, text
        self.measure = measure
        self.least, self.most, self.unit = least, most, unit
        self.steps, self.until_ms = list(steps), until_ms
        self.variants, self.profiles = list(variants), profiles
        self.phases, self.every = phases, every
        self.watch, self.fixed, self.config = watch, fixed, config or {}

    @property
    def limit(self):
        """The limit in words."""
        unit = " " + self.unit if self.unit else ""
        if self.least is None and self.most:
            return "at most %g%s" % (self.most, unit)
        if self.most is None:
            return "at least %g%s" % (self.least, unit)
        if self.least == self.most or self.least is None:
            return "%g%s" % (self.most, unit)
        return "%g to %g%s" % (self.least, self.most, unit)

    def holds(self, value):
        """Whether a measured value keeps the limit."""
        return (self.least is None or value >= self.least) \
            and (self.most is None or value <= self.most)


# --- what to look for in a trace's line ---

def step(do, **fields):
    """The step `do` taking effect."""
    return lambda line: line["what"] == "step" and line["step"]["do"] == do \
        and all(line["step"].get(name) == value for name, value in fields.items())


def state(letters):
    """The pile shows a state that begins so."""
    return lambda line: line["what"] == "state" and line["value"].startswith(letters)


def fault(code=None):
    """A fault is shown: this one, or any."""
    return lambda line: line["what"] == "fault" and code in (None, line["code"])


def clear(code):
    """A fault's end is shown."""
    return lambda line: line["what"] == "clear" and line["code"] == code


def pwm(line):
    """The pilot's duty is set to offer a current."""
    return line["what"] == "duty" and 0 < line["permille"] < 1000


def steady(line):
    """The pilot is set to steady +12 V."""
    return line["what"] == "duty" and line["permille"] == 1000


def state_f(line):
    """The pilot is set to steady -12 V."""
    return line["what"] == "duty" and line["permille"] == 0


def asked(line):
    """A card was read, and decided about."""
    return line["what"] == "access"


def no_pwm(line):
    """PWM ends."""
    return steady(line) or state_f(line)


def released(line):
    """The drive pin is off."""
    return line["what"] == "contactor" and not line["command"]


def driven(line):
    """The drive pin is on, the metal still open."""
    return line["what"] == "contactor" and line["command"] and not line["closed"]


def opened(line):
    """The metal is open, and nobody wants it closed."""
    return line["what"] == "contactor" and not line["closed"] and not line["command"]


def metal_open(line):
    """The metal is open, whatever the drive pin says: a stalled pile cannot withdraw it."""
    return line["what"] == "contactor" and not line["closed"]


def closed(line):
    """The metal is closed."""
    return line["what"] == "contactor" and line["closed"] and line["command"]


def shunt_tripped(line):
    """The shunt trip opens the breaker upstream."""
    return line["what"] == "shunt_trip"


def unlocked(line):
    """The plug's lock is open."""
    return line["what"] == "lock" and not line["locked"]


def locked(line):
    """The plug's lock is closed."""
    return line["what"] == "lock" and line["locked"]


def vehicle(r_ohm):
    """The vehicle's resistance becomes this."""
    return lambda line: line["what"] == "vehicle" and line["r_ohm"] == r_ohm


def either(*matchers):
    """Any of them."""
    return lambda line: any(match(line) for match in matchers)


def on(outlet, match):
    """A line of this outlet of several."""
    return lambda line: line.get("outlet", 1) == outlet and match(line)


# --- what to measure in a trace ---

def first(trace, match, after=-1):
    """The index of the first line beyond index `after` that matches; raises Never."""
    for i in range(after + 1, len(trace)):
        if match(trace[i]):
            return i
    raise Never("never: %s" % (match.__doc__ or getattr(match, "__qualname__", "")).split("\n")[0])


def chain(trace, matches):
    """The indices of lines that match one after the other."""
    found = []
    for match in matches:
        found.append(first(trace, match, found[-1] if found else -1))
    return found


class Span(float):
    """A time in ms that knows where in the run it lies."""

    def __new__(cls, begin_us, end_us):
        """From `begin_us` to `end_us`."""
        made = super().__new__(cls, (end_us - begin_us) / 1000)
        made.begin_us, made.end_us = begin_us, end_us
        return made


def time(*matches):
    """ms from the last but one of a chain of lines to the last."""
    def measured(trace):
        found = chain(trace, matches)
        return [Span(*(trace[i]["t_us"] for i in found[-2:]))]
    return measured


def count(match, *after, needs=(), within_ms=None):
    """How many lines match, beyond the chain `after`; each of `needs` must be seen somewhere."""
    def measured(trace):
        for need in needs:
            first(trace, need)
        found = chain(trace, after)
        begin = found[-1] if found else -1
        end_us = trace[begin]["t_us"] + within_ms * 1000 if within_ms else 1 << 60
        return [sum(match(line) and line["t_us"] <= end_us for line in trace[begin + 1:])]
    return measured


def offered_a(permille):
    """The current that a vehicle reads from a duty (IEC 61851-1 Table A.8), in A."""
    if 100 <= permille <= 850:
        return permille * 0.06
    if 850 < permille <= 960:
        return (permille - 640) * 0.25
    return 6.0 if 80 <= permille < 100 else 80.0 if 960 < permille <= 970 else 0.0


def first_offer(trace):
    """What the pilot's first duty offers, in A."""
    return [offered_a(trace[first(trace, pwm)]["permille"])]


def offer_error(trace):
    """By how much what the pilot's first duty offers differs from what the pile means, in A."""
    meant_ma = trace[first(trace, lambda line: line["what"] == "limit" and line["offered_ma"])]
    return [abs(first_offer(trace)[0] - meant_ma["offered_ma"] / 1000)]


def gaps(match):
    """ms between neighbouring lines that match, from the second on."""
    def measured(trace):
        at_us = [line["t_us"] for line in trace if match(line)]
        if len(at_us) < 3:
            raise Never("never: a third such line")
        return [Span(*pair) for pair in itertools.pairwise(at_us)][1:]
    return measured


def current_at(*matches):
    """The current in A when the last of a chain of lines is seen (its run is watched)."""
    def measured(trace):
        line = chain(trace, matches)[-1]
        drawn = [one["ma"] for one in trace[:line] if one["what"] == "current"]
        return [drawn[-1] / 1000 if drawn else 0.0]
    return measured


# --- scenarios ---

def at(at_ms, do, **fields):
    """A step of a scenario."""
    return {"at_ms": at_ms, "do": do, **fields}


def charging(*more, **plug):
    """A vehicle charges from about 6.5 s on; then `more`, usually at EVENT_MS."""
    return [at(1000, "plug", **plug), at(2000, "card", uid=CARD), at(6000, "ready"), *more]


def ventilated(*more):
    """A vehicle asks for ventilation and charges, as `charging`."""
    return [at(1000, "plug"), at(2000, "card", uid=CARD), at(6000, "vent"), *more]


def event(do, after_ms=0, **fields):
    """A step at the time of the event that is measured."""
    return at(EVENT_MS + after_ms, do, **fields)


def ohm_for(volt):
    """The resistance behind the diode that takes the pilot's high plateau there."""
    return round(1000 * (volt - 0.7) / (12 - volt))


def ramp(begin_volt, end_volt, at_ms, for_ms=4000, pieces=40):
    """The vehicle's resistance drifts so that the pilot goes from one voltage to the other."""
    volts = [begin_volt + (end_volt - begin_volt) * i / pieces for i in range(pieces + 1)]
    return [at(at_ms + round(i * for_ms / pieces), "ohms", value=ohm_for(volt))
            for i, volt in enumerate(volts)]


def noisy(mv):
    """One wrong sample a second that reads `mv`."""
    return at(EVENT_MS - 500, "noise", outliers_per_s=1, mv=mv)


START_2 = [2, "start-2", "RequestStartTransaction", {
    "remoteStartId": 2, "evseId": 2, "idToken": {"idToken": "DRIVER", "type": "Central"}}]
VENTILATED = [{"outlet": {"ventilated": True}}]
WRONG = [{"steps": [noisy(mv)]} for mv in (12000, 9000, 6000, 3000, 0, -12000)]

SEQUENCES = [
    Requirement(
        "1.1", OURS + IEC + "sequence 1.1 (no limit)", "Plug-in with S2 open: state B is shown",
        time(step("plug"), state("B")), most=100, steps=[at(1000, "plug")], until_ms=3000),
    Requirement(
        "1.2", OURS + IEC + "sequence 1.2 (no limit)",
        "Plug-in with S2 closed (simplified vehicle): state C is shown",
        time(step("plug"), state("C")), most=100, steps=[at(1000, "plug", r_ohm=882)],
        until_ms=3000),
    Requirement(
        "1.2-closed", IEC + "sequence 1.2",
        "Plug-in with S2 closed, nobody authorised: no PWM, no closing",
        count(either(pwm, driven), needs=[state("C1")]), most=0, unit="times",
        steps=[at(1000, "plug", r_ohm=882)], until_ms=10000),
    Requirement(
        "1.2-charges", IEC + "sequences 1.2 and 4",
        "A simplified vehicle (A to C) charges: closed after PWM begins",
        time(pwm, closed), most=3000,
        steps=[at(1000, "plug", r_ohm=882), at(2000, "card", uid=CARD)]),
    Requirement(
        "2.1", OURS + IEC + "sequence 2.1 (no limit)", "Unplugged in state B: PWM ends",
        time(pwm, step("unplug"), steady), most=100,
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD), event("unplug")]),
    Requirement(
        "2.2", IEC + "sequence 2.2", "Unplugged in state C: the contactor is open",
        time(closed, step("unplug"), opened), most=100, steps=charging(event("unplug"))),
    Requirement(
        "2.2-D", IEC + "sequence 2.2", "Unplugged in state D of a ventilated site: open",
        time(closed, step("unplug"), opened), most=100, variants=VENTILATED,
        steps=ventilated(event("unplug"))),
    Requirement(
        "3.1", OURS + IEC + "sequence 3.1 (no limit)", "Authorised in state B: PWM begins",
        time(step("card"), pwm), most=1000, steps=charging()),
    Requirement(
        "3.2", OURS + IEC + "sequence 3.2 (no limit)", "Authorised in state C: PWM begins",
        time(step("card"), pwm), most=1000,
        steps=[at(1000, "plug", r_ohm=882), at(5000, "card", uid=CARD)]),
    Requirement(
        "3.2-close", IEC + "sequences 3.2 and 4",
        "PWM begins in state C: the contactor is closed", time(pwm, closed), most=3000,
        steps=[at(1000, "plug", r_ohm=882), at(5000, "card", uid=CARD)]),
    Requirement(
        "4", IEC + "sequence 4", "The vehicle asks while PWM is on: the contactor is closed",
        time(step("ready"), closed), most=3000, steps=charging()),
    Requirement(
        "4-D", IEC + "sequence 4",
        "The vehicle asks for ventilation that the site has, PWM on: the contactor is closed",
        time(step("vent"), closed), most=3000, variants=VENTILATED, steps=ventilated()),
    Requirement(
        "4-settle", OURS + "vehicles that flicker (peers 5c, 3)",
        "It closes only after C has been steady for 500 ms, counted in ticks",
        time(step("ready"), driven), least=485,
        steps=charging()),
    Requirement(
        "4-flicker", OURS + "vehicles that flicker (peers 5c, 3)",
        "C for 250 ms, five times: the contactor does not close",
        count(driven, needs=[pwm, state("C2")]), most=0, unit="times",
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)]
        + [at(6000 + 700 * i, "ohms", value=882, for_ms=250) for i in range(5)]),
    Requirement(
        "6-down", IEC + "sequence 6 (10 s UNCONFIRMED)",
        "A limit falls from 32 to 10 A: the duty follows", time(closed, step("draw"), pwm),
        most=10000, steps=charging(event("draw"), event("limit", ma=10000)), until_ms=25000),
    Requirement(
        "6-up", IEC + "sequence 6 (10 s UNCONFIRMED)",
        "A limit rises from 10 to 32 A: the duty follows", time(closed, step("draw"), pwm),
        most=10000, until_ms=25000,
        steps=charging(event("draw"), at(500, "limit", ma=10000), event("limit", ma=32000))),
    Requirement(
        "6-gap", IEC + "sequence 6",
        "The limit changes each second: one change of duty per 5 s",
        gaps(pwm), least=5000, until_ms=45000,
        steps=charging(*[at(EVENT_MS + 1000 * i, "limit", ma=10000 if i % 2 else 6000 + 1000 * i)
                         for i in range(20)])),
    Requirement(
        "6-least", IEC + "sequence 6; peers 5c, 17",
        "A limit falls to 5 A, which no duty offers: PWM ends",
        time(closed, step("draw"), steady), most=10000,
        steps=charging(event("draw"), event("limit", ma=5000)), until_ms=25000),
    Requirement(
        "6-pause", OURS + "peers 5c, 17: 300 s unless configured, 20 s here",
        "A limit below 6 A for 2 s: the offer comes back after the pause, and 30 s of a limit that"
        " stays", time(closed, step("draw"), steady, pwm), least=30000, most=53000, phases=2,
        steps=charging(event("draw"), event("limit", ma=5000), event("limit", 2000, ma=16000)),
        config={"min_pause_s": 20}, until_ms=EVENT_MS + 60000),
    Requirement(
        "6-vehicle", IEC + "sequence 6 (the vehicle's side)",
        "A vehicle that follows the offer draws at most the new one, 5 s after the duty fell",
        lambda trace: [current_at(closed, step("draw"), pwm, step("card"))(trace)[0]],
        most=10.5, unit="A", watch=True,
        steps=charging(event("draw"), event("limit", ma=10000),
                       event("card", after_ms=6000, uid="FFFFFFFF")),
        until_ms=EVENT_MS + 8000),
    Requirement(
        "7", IEC + "sequence 7 (1 A: peers 5c, 12)",
        "Stop that the vehicle obeys: current at the opening",
        current_at(closed, step("card"), opened), most=1, unit="A", watch=True,
        steps=charging(event("card", uid=CARD)), until_ms=EVENT_MS + 4000),
    Requirement(
        "8.1", IEC + "sequence 8.1", "S2 opens (C to B): the contactor is open",
        time(closed, step("pause"), opened), most=100, steps=charging(event("pause"))),
    Requirement(
        "8.1-D", IEC + "sequence 8.1",
        "The vehicle asks for ventilation that the site has not (C to D): the contactor is open",
        time(closed, step("vent"), opened), most=100, steps=charging(event("vent"))),
    Requirement(
        "8.1-D-B", IEC + "sequence 8.1", "S2 opens in state D of a ventilated site: open",
        time(closed, step("pause"), opened), most=100, variants=VENTILATED,
        steps=ventilated(event("pause"))),
    Requirement(
        "8.2", IEC + "sequence 8.2", "The pilot's wire is lost: the contactor is open",
        time(closed, step("ohms"), opened), most=100,
        steps=charging(event("ohms", value=None))),
    Requirement(
        "9.1", OURS + IEC + "sequence 9.1 (no limit)", "A stop is asked for: PWM ends",
        time(closed, step("card"), asked, steady), most=100,
        steps=charging(event("card", uid=CARD)), until_ms=EVENT_MS + 4000),
    Requirement(
        "9.1-keep", IEC + "sequence 9.1",
        "After PWM has ended the contactor waits for S2, for less than 6 s",
        time(closed, step("card"), steady, released), least=900, most=5999,
        steps=charging(event("card", uid=CARD)), until_ms=EVENT_MS + 8000),
    Requirement(
        "10.1", IEC + "sequences 10.1 and 8.1",
        "The vehicle answers a stop with S2: the contactor is open",
        time(closed, step("card"), vehicle(2740), opened), most=100,
        steps=charging(event("card", uid=CARD)), until_ms=EVENT_MS + 4000),
    Requirement(
        "10.2", IEC + "sequence 10.2 (never before 6 s; 200 ms ours)",
        "The vehicle ignores a stop: opened under load, counted from PWM's end",
        time(closed, step("card"), steady, released), least=6000, most=6200,
        steps=charging(at(9000, "draw", obey=False), event("card", uid=CARD)),
        until_ms=EVENT_MS + 8000),
    Requirement(
        "10.2-resume", IEC + "sequence 10.2 (peers 5c, 14)",
        "The offer comes back 4 s after a pause that the vehicle ignored: no opening",
        count(released, closed, needs=[steady]), most=0, unit="times",
        steps=charging(at(9000, "draw", obey=False), event("limit", ma=0),
                       event("limit", 4000, ma=16000)),
        config={"min_pause_s": 0}, until_ms=EVENT_MS + 16000),
    Requirement(
        "11", IEC + "sequence 11", "The vehicle toggles B-C-B in 200 ms: the pile sees it",
        count(state("C"), pwm), least=1, most=1, unit="times",
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD),
               event("ohms", value=882, for_ms=200)]),
    Requirement(
        "11-long", IEC + "sequences 11, 4 and 8.1",
        "The vehicle toggles B-C-B in 3 s: closed in it, and open after it",
        time(closed, vehicle(2740), opened), most=100,
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD),
               event("ohms", value=882, for_ms=3000)], until_ms=EVENT_MS + 5000),
    Requirement(
        "12", IEC + "sequence 12", "A fault of the pile (emergency stop): the contactor is open",
        time(closed, step("estop"), opened), most=100, steps=charging(event("estop"))),
    Requirement(
        "12-F", OURS + "a fault is shown by F", "A fault drives F for 300 ms, then steady +12 V",
        time(closed, step("estop"), state_f, steady), least=300, most=400,
        steps=charging(event("estop"))),
    Requirement(
        "12-unplug", OURS + "a fault is shown by F",
        "Unplugged while a fault stands: the pile sees it",
        time(closed, step("unplug"), state("A")), most=100,
        steps=charging(event("estop"), event("unplug", after_ms=2000)),
        until_ms=EVENT_MS + 4000),
    Requirement(
        "A.4.9", "IEC 61851-1 A.4.9", "120 ohm from CP to PE in C: the contactor is open",
        time(closed, step("cp_short"), opened), most=3000,
        steps=charging(event("cp_short", ohm=120)), until_ms=EVENT_MS + 4000),
    Requirement(
        "A.4.9-fast", OURS + "IEC 61851-1 A.4.9 allows 3 s",
        "80 ohm from CP to PE in C: the contactor is open",
        time(closed, step("cp_short"), opened), most=100, steps=charging(event("cp_short"))),
    Requirement(
        "A.4.9-name", OURS + "peers 5c, 8", "A shorted pilot is called PilotFault",
        time(closed, step("cp_short"), fault("PilotFault")), most=100,
        steps=charging(event("cp_short"))),
    Requirement(
        "A.4.9-E", OURS + "peers 5c, 8",
        "A shorted pilot is shown as state E, once F has been shown for 300 ms",
        time(closed, step("cp_short"), state("E")), most=500,
        steps=charging(event("cp_short"))),
    Requirement(
        "A.4.9-back", OURS + "guard after a fault",
        "The short ends: charging goes on by itself after the guard",
        time(closed, opened, closed), least=30000, most=40000,
        steps=charging(event("cp_short", for_ms=2000)), until_ms=EVENT_MS + 45000),
    Requirement(
        "A.5.3", "IEC 61851-1 A.5.3", "A vehicle sleeps in B2: woken by F for 4 s",
        time(pwm, state_f, either(steady, pwm)), least=3900, most=4100,
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)], config={"wake_after_s": 30},
        until_ms=40000, phases=3),
    Requirement(
        "A.5.3-when", OURS + "90 s", "A vehicle sleeps in B2: how long it is let sleep",
        time(pwm, state_f), least=90000, most=91000,
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)], until_ms=95000, phases=1),
    Requirement(
        "A.5.3-once", "IEC 61851-1 A.5.3", "A vehicle that goes on sleeping is woken once",
        count(state_f, pwm), least=1, most=1, unit="times",
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)], config={"wake_after_s": 30},
        until_ms=150000, phases=1),
]

LEVELS = [
    Requirement(
        "A.4.11-AB", "IEC 61851-1 A.4.11", "The pilot drifts 11.5 V, 9.5 V and back: changes",
        count(state(""), step("plug")), least=2, most=2, unit="changes",
        steps=[at(1000, "plug", r_ohm=ohm_for(11.5)), *ramp(11.5, 9.5, 3000),
               *ramp(9.5, 11.5, 8000)]),
    Requirement(
        "A.4.11-BC", "IEC 61851-1 A.4.11", "The pilot drifts 8.5 V, 6.5 V and back: changes",
        count(state(""), step("ohms")), least=2, most=2, unit="changes",
        steps=[at(1000, "plug"), *ramp(8.5, 6.5, 3000), *ramp(6.5, 8.5, 8000)]),
    Requirement(
        "A.4.11-CD", "IEC 61851-1 A.4.11", "The pilot drifts 5.5 V, 3.5 V and back: changes",
        count(state(""), step("ohms")), least=2, most=2, unit="changes",
        steps=[at(1000, "plug", r_ohm=882), *ramp(5.5, 3.5, 3000), *ramp(3.5, 5.5, 8000)]),
    Requirement(
        "A.4.11-DE", "IEC 61851-1 A.4.11",
        "The pilot drifts 2.5 V, 0.9 V and back: changes to D and E",
        count(either(state("D"), state("E")), step("ohms")), least=2, most=2, unit="changes",
        steps=[at(1000, "plug", r_ohm=246), *ramp(2.5, 0.9, 3000), *ramp(0.9, 2.5, 8000)]),
    Requirement(
        "A.4.11-held", "IEC 61851-1 A.4.11",
        "The pilot stands for 10 s just on a threshold, with 5 mV of noise: changes",
        count(state(""), step("ohms")), most=1, unit="changes",
        steps=[at(1000, "plug", r_ohm=1300)],
        variants=[{"steps": [at(2000, "ohms", value=ohm_for(volt))]}
                  for volt in (7.5, 7.2, 7.8, 4.5, 4.2, 10.5, 10.2)], phases=1),
    Requirement(
        "R-B", "IEC 61851-1 Table A.4 (shared facts 1.1)",
        "1870 to 4610 ohm are state B, and never charge",
        count(either(state("A"), state("C"), state("D"), driven), pwm, needs=[state("B2")]),
        most=0, unit="times", steps=[at(2000, "card", uid=CARD)],
        variants=[{"steps": [at(1000, "plug", r_ohm=ohm)]} for ohm in (1870, 2740, 4610)],
        phases=2),
    Requirement(
        "R-C", "IEC 61851-1 Table A.4 (shared facts 1.1)",
        "682 to 1058 ohm are state C: the contactor is closed",
        time(step("ohms"), closed), most=3000,
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)],
        variants=[{"steps": [at(6000, "ohms", value=ohm)]} for ohm in (682, 882, 1058)],
        phases=2),
    Requirement(
        "drift", OURS + "the undefined bands (peers 5c, 11)",
        "A vehicle in C drifts 6 V +- 0.9 V: charging goes on",
        count(released, closed), most=0, unit="openings",
        steps=charging(*ramp(6, 6.9, EVENT_MS), *ramp(6.9, 5.1, EVENT_MS + 5000),
                       *ramp(5.1, 6, EVENT_MS + 10000)), until_ms=EVENT_MS + 16000, phases=2),
    *(Requirement(
        "duty-%d" % amps, "IEC 61851-1 Table A.7 (0.5 A ours)",
        "The duty that offers %d A, as the vehicle reads it" % amps, first_offer,
        least=amps - 0.5, most=amps + 0.5, unit="A", steps=charging(), until_ms=5000,
        variants=[{"outlet": {"max_a": amps}}], phases=1,
        profiles=BOTH if amps <= 48 else ("rp2040",))
      for amps in (6, 10, 13, 16, 20, 25, 32, 40, 48, 51, 63, 80)),
    Requirement(
        "duty-all", "IEC 61851-1 Table A.7 (0.5 A ours)",
        "Offers of 6 to 80 A in whole A (but 52 A, which no duty says): how far off the vehicle"
        " reads them", offer_error, most=0.5, unit="A", steps=charging(), until_ms=4000, phases=1,
        variants=[{"outlet": {"max_a": amps}} for amps in range(6, 81) if amps != 52],
        profiles=("rp2040",)),
    Requirement(
        "duty-cap", OURS + "offered only what the sampling can prove the diode at",
        "A board of 80 A with an ESP32, whose bursts miss the short low phase: charges, no fault",
        count(fault(), needs=[closed]), most=0, unit="faults", steps=charging(), phases=2,
        variants=[{"outlet": {"max_a": 80}}], profiles=("esp32",)),
    Requirement(
        "gbt-clamp", "GB/T 18487.1 (shared facts 1.3)",
        "A GB/T board of 80 A offers what the standard ends at", first_offer, least=62.5,
        most=63.5, unit="A", steps=charging(), until_ms=5000, phases=1, profiles=("rp2040",),
        variants=[{"outlet": {"max_a": 80, "standard": "gbt18487"}}]),
    Requirement(
        "gbt-D", "GB/T 18487.1 (shared facts 1.6)",
        "A GB/T pile knows no state D, ventilated or not: 246 ohm never closes",
        count(either(driven, state("D")), needs=[pwm]), most=0, unit="times", phases=2,
        steps=ventilated(),
        variants=[{"outlet": {"standard": "gbt18487", "ventilated": True}}]),
    Requirement(
        "pilot-authorised", "IEC 61851-1 Table A.6, sequence 3.1",
        "A vehicle that nobody has authorised: steady +12 V, no closing",
        count(either(pwm, state_f, driven)), most=0, unit="times",
        steps=[at(1000, "plug"), at(2000, "card", uid="DEADBEEF"), at(6000, "ready")]),
]

DIODE = [
    Requirement(
        "diode-C", OURS + "peers need 75 to 250 ms", "The diode is shorted in C: open",
        time(closed, step("diode"), opened), most=100,
        steps=charging(event("diode", ok=False))),
    Requirement(
        "diode-B", "IEC 61851-1 Table A.4", "A vehicle without diode: the contactor never closes",
        count(driven, needs=[pwm, fault("DiodeFault")]), most=0, unit="closings",
        steps=charging(diode=False), until_ms=50000, phases=2),
    Requirement(
        "diode-resistor", "IEC 61851-1 Table A.4",
        "882 ohm without diode (a finger, a leak): the contactor never closes",
        count(driven, needs=[pwm, fault("DiodeFault")]), most=0, unit="closings",
        steps=[at(1000, "plug", r_ohm=882, diode=False), at(2000, "card", uid=CARD)],
        until_ms=50000, phases=2),
    Requirement(
        "diode-name", OURS + "a fault's name is right",
        "A shorted diode is called a DiodeFault and nothing else",
        count(lambda line: fault()(line) and not fault("DiodeFault")(line),
              needs=[fault("DiodeFault")]), most=0, unit="other faults",
        steps=charging(event("diode", ok=False)), until_ms=EVENT_MS + 5000),
    Requirement(
        "diode-back", OURS + "guard after a fault",
        "The diode is back: seen by PWM after the guard, then closed",
        time(closed, opened, closed), least=30000, most=45000,
        steps=charging(event("diode", ok=False), event("diode", after_ms=3000, ok=True)),
        until_ms=EVENT_MS + 50000, phases=2),
]

GUARDS = [
    Requirement(
        "guard-C", OURS + "5 s after C is left",
        "C is left and comes back at once: PWM begins again",
        time(closed, released, pwm), least=5000, most=5200,
        steps=charging(event("pause"), event("ready", after_ms=700)),
        until_ms=EVENT_MS + 10000),
    Requirement(
        "guard-C-steady", OURS + "5 s after C is left",
        "In the guard the pilot is steady +12 V",
        count(pwm, closed, released, within_ms=4999), most=0, unit="times",
        steps=charging(event("pause"), event("ready", after_ms=700)),
        until_ms=EVENT_MS + 10000),
    Requirement(
        "guard-C-close", IEC + "sequence 4",
        "After the guard, closed within 3 s of PWM and C together",
        time(closed, released, pwm, closed), most=3000,
        steps=charging(event("pause"), event("ready", after_ms=700)),
        until_ms=EVENT_MS + 10000),
    Requirement(
        "guard-fault", OURS + "30 s after a fault",
        "A fault comes and goes: PWM begins again", time(closed, released, pwm), least=30000,
        most=31500, steps=charging(event("adc_freeze"),
                                   event("adc_freeze", after_ms=1000, fault=False)),
        until_ms=EVENT_MS + 35000, phases=3),
    Requirement(
        "guard-wrap", OURS + "the clock wraps at 2^30 ms",
        "The guard of 5 s across the wrap of the clock",
        time(closed, released, pwm), least=5000, most=5200,
        steps=charging(event("pause"), event("ready", after_ms=700)),
        variants=[{"ticks_start_ms": 2 ** 30 - EVENT_MS - before}
                  for before in (200, 2500, 4900)],
        until_ms=EVENT_MS + 10000, phases=2),
    Requirement(
        "spam", OURS + "contactor life (peers 5c, 15)",
        "A vehicle toggles each 2 s for 2 min: from an opening to the next closing",
        lambda trace: [ms for i, line in enumerate(trace) if released(line) and line["closed"]
                       for ms in time(released, driven)(trace[i:])][:-1],
        least=5000, steps=charging(*(
            event("pause" if i % 2 == 0 else "ready", after_ms=2000 * i) for i in range(60)),
            event("ready", after_ms=122000)),
        until_ms=EVENT_MS + 135000, phases=1),
    Requirement(
        "spam-rests", OURS + "contactor life (peers 5c, 15): thirty closings at will, then one a"
        " minute", "A vehicle toggles each 2 s for 10 min: closings", count(driven), most=41,
        unit="closings", least=30, phases=1, until_ms=EVENT_MS + 600000,
        steps=charging(*(event("pause" if i % 2 == 0 else "ready", after_ms=2000 * i)
                         for i in range(300)))),
]

STALLS = [
    Requirement(
        "lease-pwm", OURS + "the request is a lease of 500 ms", "The main loop stalls: PWM ends",
        time(closed, step("stall_main"), steady), most=520,
        steps=charging(event("stall_main", for_ms=3000)), until_ms=EVENT_MS + 5000),
    Requirement(
        "lease-S2", OURS + "the request is a lease of 500 ms",
        "The main loop stalls, the vehicle answers PWM's end with S2: open",
        time(closed, step("stall_main"), steady, vehicle(2740), opened), most=100,
        steps=charging(event("stall_main", for_ms=5000)), until_ms=EVENT_MS + 6000),
    Requirement(
        "lease-6s", OURS + "the request is a lease; " + IEC + "sequence 10.2",
        "The main loop stalls, the vehicle ignores PWM's end: opened",
        time(closed, step("stall_main"), steady, released), least=6000, most=6200,
        steps=charging(at(9000, "draw", obey=False), event("stall_main", for_ms=20000)),
        until_ms=EVENT_MS + 10000, phases=3),
    Requirement(
        "lease-short", OURS + "the request is a lease of 500 ms",
        "The main loop stalls for 400 ms, each second: nothing happens",
        count(either(released, no_pwm), closed), most=0, unit="times",
        steps=charging(*(event("stall_main", after_ms=1000 * i, for_ms=400) for i in range(10))),
        until_ms=EVENT_MS + 11000, phases=2),
    Requirement(
        "lease-back", OURS + "the pile recovers by itself",
        "After a stall of the main loop of 10 s charging goes on",
        time(closed, opened, closed), least=5000, most=20000,
        steps=charging(event("stall_main", for_ms=10000)), until_ms=EVENT_MS + 30000, phases=3),
    Requirement(
        "freeze", OURS + "samples must be new", "The sample ring stands still: open",
        time(closed, step("adc_freeze"), opened), most=100,
        steps=charging(event("adc_freeze"))),
    Requirement(
        "stuck", OURS + "samples must be plausible",
        "The converter gives 6 V for ever, high and low alike: open",
        time(closed, step("adc_stuck"), opened), most=100,
        steps=charging(event("adc_stuck", mv=6000))),
    Requirement(
        "stall", OURS + "the dead-man's window of 60 ms, and 20 ms",
        "All of Python stalls: the metal is open",
        time(closed, step("stall"), metal_open), most=80, steps=charging(),
        variants=[{"steps": [event("stall", for_ms=ms)]} for ms in (200, 1000, 5000, 60000)],
        until_ms=EVENT_MS + 62000, phases=1),
    Requirement(
        "stall-back", OURS + "the pile recovers by itself",
        "After a stall of all of Python charging goes on",
        time(closed, metal_open, closed), most=45000, steps=charging(event("stall", for_ms=1000)),
        until_ms=EVENT_MS + 50000, phases=2),
]

NOISE = [
    Requirement(
        "noise-A", OURS + "peers 5c, 6", "One wrong sample a second in state A: changes",
        count(either(state(""), fault()), step("noise")), most=0, unit="changes",
        variants=WRONG, until_ms=EVENT_MS + 30000, phases=1),
    Requirement(
        "noise-B", OURS + "peers 5c, 6", "One wrong sample a second in state B2: changes",
        count(either(state(""), fault(), driven), step("noise")), most=0, unit="changes",
        steps=[at(1000, "plug"), at(2000, "card", uid=CARD)], variants=WRONG,
        until_ms=EVENT_MS + 30000, phases=1),
    Requirement(
        "noise-C", OURS + "peers 5c, 6",
        "One wrong sample a second while charging: changes and openings",
        count(either(state(""), fault(), released), step("noise"), needs=[closed]), most=0,
        unit="changes", steps=charging(), variants=WRONG, until_ms=EVENT_MS + 30000, phases=1),
]

PROTECTIONS = [
    Requirement(
        "rcd-rp2040", OURS + "two ticks of 2 ms, and 2 ms", "Residual current: the command falls",
        time(closed, step("rcd"), released), most=6, steps=charging(event("rcd")),
        profiles=("rp2040",), every=20),
    Requirement(
        "rcd-esp32", OURS + "two ticks of 10 ms, and 10 ms",
        "Residual current: the command falls", time(closed, step("rcd"), released), most=30,
        steps=charging(event("rcd")), profiles=("esp32",), every=20),
    Requirement(
        "rcd", "GB/T 18487.1 sequence 12 (100 ms)", "Residual current: the contactor is open",
        time(closed, step("rcd"), metal_open), most=100, steps=charging(event("rcd"))),
    Requirement(
        "rcd-latch", OURS + "latched until unplugging or Reset",
        "Residual current, gone after 1 s: no closing in the next minute",
        count(closed, closed, step("rcd")), most=0, unit="closings",
        steps=charging(event("rcd"), event("rcd", after_ms=1000, fault=False)),
        until_ms=EVENT_MS + 60000, phases=2),
    Requirement(
        "rcd-name", OURS + "a fault's name is right", "Residual current is called GroundFailure",
        count(fault("GroundFailure"), step("rcd")), least=1, most=1, unit="times",
        steps=charging(event("rcd"))),
    Requirement(
        "rcd-unplug", OURS + "latched until unplugging or Reset",
        "Residual current is gone, the vehicle comes again: it charges",
        time(step("rcd", fault=False), step("ready"), closed), most=3000,
        steps=charging(event("rcd"), event("rcd", after_ms=1000, fault=False),
                       event("unplug", after_ms=5000), event("plug", after_ms=45000),
                       event("card", after_ms=46000, uid=CARD),
                       event("ready", after_ms=50000)),
        until_ms=EVENT_MS + 55000, phases=2),
    Requirement(
        "rcd-hard", OURS + "within 2 s of closing: only service clears it",
        "Residual current 1.5 s after closing: no closing, not even for the next vehicle",
        count(closed, closed, step("rcd"), needs=[fault("GroundFailure")]), most=0,
        unit="closings",
        steps=charging(at(8000, "rcd"), at(9000, "rcd", fault=False), at(12000, "unplug"),
                       at(50000, "plug"), at(51000, "card", uid=CARD), at(55000, "ready")),
        until_ms=62000, phases=2),
    Requirement(
        "rcd-mute", OURS + "the sensor's self-test",
        "The residual-current sensor is silent at its self-test: no closing",
        count(driven, needs=[fault("ResidualCurrentSensorFault")]), most=0, unit="closings",
        steps=[at(0, "rcd_mute"), *charging()], until_ms=40000, phases=2, fixed=True),
    Requirement(
        "pe", OURS + "50 ms, then at once", "Protective earth is lost: the contactor is open",
        time(closed, step("pe"), opened), most=100, steps=charging(event("pe"))),
    Requirement(
        "weld", OURS + "seen within 1 s of the opening",
        "The contactor sticks: PowerSwitchFailure is shown",
        time(closed, step("pause"), fault("PowerSwitchFailure")), most=1000,
        steps=charging(at(11000, "weld"), event("pause")), until_ms=EVENT_MS + 5000),
    Requirement(
        "weld-latch", OURS + "only service clears it",
        "The contactor stuck once: no closing, not even for the next vehicle",
        count(driven, step("weld"), needs=[fault("PowerSwitchFailure")]), most=0,
        unit="closings",
        steps=charging(at(11000, "weld"), event("pause"), event("weld", 3000, fault=False),
                       event("unplug", 4000), event("plug", 6000),
                       event("card", 40000, uid=CARD), event("ready", 41000)),
        until_ms=EVENT_MS + 50000, phases=2),
    Requirement(
        "weld-shunt", OURS + "shunt trip at once when a weld is seen",
        "The contactor sticks: the breaker upstream is tripped",
        time(closed, step("pause"), shunt_tripped), most=1000,
        steps=charging(at(11000, "weld"), event("pause")), until_ms=EVENT_MS + 5000),
    Requirement(
        "no-close", OURS + "seen within 1 s of the command",
        "The contactor does not close: EVSEContactorFault is shown",
        time(driven, fault("EVSEContactorFault")), most=1000,
        steps=[at(500, "no_close"), *charging()]),
    Requirement(
        "no-close-name", OURS + "a fault's name is right",
        "A contactor that does not close is no fault of earth or pilot",
        count(lambda line: fault()(line) and not fault("EVSEContactorFault")(line),
              needs=[fault("EVSEContactorFault")]), most=0, unit="other faults",
        steps=[at(500, "no_close"), *charging()]),
    Requirement(
        "estop-latch", OURS + "latched until unplugging or Reset",
        "Emergency stop, pulled out again after 2 s: no closing in the next minute",
        count(driven, closed, step("estop")), most=0, unit="closings",
        steps=charging(event("estop"), event("estop", after_ms=2000, fault=False)),
        until_ms=EVENT_MS + 60000, phases=2),
    Requirement(
        "door", OURS + "100 ms, then at once", "The door opens: the contactor is open",
        time(closed, step("door"), opened), most=200, steps=charging(event("door"))),
    Requirement(
        "tilt", OURS + "100 ms, then at once", "The pile is tilted: the contactor is open",
        time(closed, step("tilt"), opened), most=200, steps=charging(event("tilt"))),
    Requirement(
        "smoke", OURS + "100 ms, then at once", "Smoke: the contactor is open",
        time(closed, step("smoke"), opened), most=200, steps=charging(event("smoke"))),
    Requirement(
        "smoke-latch", OURS + "latched until unplugging or Reset",
        "Smoke for 2 s: no closing in the next minute",
        count(driven, closed, step("smoke")), most=0, unit="closings",
        steps=charging(event("smoke"), event("smoke", after_ms=2000, fault=False)),
        until_ms=EVENT_MS + 60000, phases=2),
    Requirement(
        "reset", OURS + "OCPP Reset lets go of what unplugging does",
        "Emergency stop, pulled out again, then Reset of the outlet: the fault is cleared",
        time(closed, step("backend"), clear("EmergencyStop")), most=100, phases=2,
        steps=charging(event("estop"), event("estop", after_ms=2000, fault=False),
                       event("backend", after_ms=4000, message=[
                           2, "r1", "Reset", {"type": "OnIdle", "evseId": 1}])),
        until_ms=EVENT_MS + 6000),
    Requirement(
        "output", OURS + "0.5 s, then at once", "Closed, and no voltage behind it: released",
        time(closed, step("no_output"), released), most=700,
        steps=charging(event("no_output"))),
    Requirement(
        "output-name", OURS + "a fault's name is right", "No voltage behind it is PowerLoss",
        count(fault(), closed, needs=[fault("PowerLoss")]), least=1, most=1, unit="faults",
        steps=charging(event("no_output")), phases=2),
    Requirement(
        "leak", OURS + "1 s, then it latches for service",
        "Current flows past the open contactor: the fault is shown",
        time(step("leak"), fault("CurrentWhileOpen")), most=1400,  # the meter is read each 200 ms
        steps=[at(EVENT_MS, "leak", ma=2000)]),
    Requirement(
        "leak-latch", OURS + "only service clears it",
        "Current flowed past the open contactor for 5 s: no closing for the next vehicle",
        count(driven, needs=[fault("CurrentWhileOpen")]), most=0, unit="closings",
        steps=[at(500, "leak", ma=2000), at(5500, "leak", ma=0), *charging()], phases=2),
    Requirement(
        "service", OURS + "faults for service outlive a power cut",
        "A hard fault, then a power cut: no closing", count(closed, step("power")), most=0,
        unit="closings", phases=2, until_ms=60000,
        steps=charging(at(8000, "rcd"), at(9000, "rcd", fault=False), at(12000, "unplug"),
                       at(15000, "power", for_ms=1000), at(20000, "plug"),
                       at(21000, "card", uid=CARD), at(22000, "ready"))),
    Requirement(
        "phase-loss", OURS + "1 s, then at once", "A phase is missing: the contactor is open",
        time(closed, step("phase_loss"), opened), most=1500,
        variants=[{"phases": 3}], steps=charging(event("phase_loss")), until_ms=EVENT_MS + 4000),
    Requirement(
        "two-outlets", OURS + "each outlet has a safety core of its own",
        "The pilot of one of two outlets is shorted: the other one charges on",
        count(on(2, either(released, fault(), no_pwm)), on(2, closed),
              needs=[on(1, fault("PilotFault"))]),
        most=0, unit="times", variants=[{"outlets": 2}], phases=2,
        steps=charging(
            at(3000, "plug", outlet=2), at(4000, "backend", message=START_2),
            at(6500, "ready", outlet=2), event("cp_short"))),
    Requirement(
        "over-current", "peers 5c, 16: (I + 0.5 A) * 1.1 for 7 s",
        "The vehicle draws 40 A of an offered 32 A: the command falls",
        time(closed, step("draw"), released), least=7000, most=8500,
        steps=charging(event("draw", ma=40000)), until_ms=EVENT_MS + 12000, phases=3),
    Requirement(
        "over-current-not", "peers 5c, 16: (I + 0.5 A) * 1.1 for 7 s",
        "The vehicle draws 35 A of an offered 32 A: no opening",
        count(released, step("draw"), needs=[closed]), most=0, unit="openings",
        steps=charging(event("draw", ma=35000)), until_ms=EVENT_MS + 20000, phases=2),
    Requirement(
        "voltage-low", "UNCONFIRMED: below 0.8 for 3 s", "175 V: the offer ends",
        time(closed, step("mains"), no_pwm), least=3000, most=4000,
        steps=charging(event("mains", v=175, hz=50)), until_ms=EVENT_MS + 6000, phases=3),
    Requirement(
        "voltage-high", "UNCONFIRMED: above 1.15 for 1 s", "270 V: the contactor is open",
        time(closed, step("mains"), opened), least=1000, most=2000,
        steps=charging(event("mains", v=270, hz=50)), until_ms=EVENT_MS + 6000, phases=3),
    Requirement(
        "voltage-fair", "UNCONFIRMED: 0.8 to 1.15", "190 V and 260 V: no opening",
        count(either(released, no_pwm), closed), most=0, unit="openings", steps=charging(),
        variants=[{"steps": [event("mains", v=volt, hz=50)]} for volt in (190, 260)],
        until_ms=EVENT_MS + 10000, phases=1),
    Requirement(
        "voltage-back", "UNCONFIRMED: 0.9 to 1.09 for 60 s",
        "The voltage is back: charging goes on after a minute",
        time(closed, step("mains", v=270), step("mains", v=230), pwm), least=60000, most=95000,
        steps=charging(event("mains", v=270, hz=50),
                       event("mains", after_ms=5000, v=230, hz=50)),
        until_ms=EVENT_MS + 105000, phases=1),
    Requirement(
        "frequency", "UNCONFIRMED: 47.5 to 51.5 Hz, 3 s", "47 Hz, 52 Hz: the offer ends",
        time(closed, step("mains"), no_pwm), least=3000, most=4000, steps=charging(),
        variants=[{"steps": [event("mains", v=230, hz=hz)]} for hz in (47, 52)],
        until_ms=EVENT_MS + 6000, phases=2),
    Requirement(
        "hot-derate", "peers 5c, 24: from 65 C in steps of 1 A",
        "66 C at the contactor: a lower offer",
        lambda trace: [offered_a(trace[chain(trace, [closed, step("temperature"), pwm])[-1]]
                                 ["permille"])],
        least=30.5, most=31.5, unit="A", steps=charging(event("temperature", c=66)),
        until_ms=EVENT_MS + 9000, phases=2),
    Requirement(
        "hot-stop", "peers 5c, 24: stop at 71 C", "72 C at the contactor: the offer ends",
        time(closed, step("temperature"), no_pwm), most=5000,
        steps=charging(event("temperature", c=72)), until_ms=EVENT_MS + 10000, phases=3),
    Requirement(
        "hot-resume", "peers 5c, 24: resume at 62 C",
        "After 72 C: not at 64 C, but at 61 C",
        time(closed, step("temperature", c=72), no_pwm, step("temperature", c=61), pwm),
        most=40000, steps=charging(
            event("temperature", c=72), event("temperature", after_ms=10000, c=64),
            event("temperature", after_ms=50000, c=61)),
        until_ms=EVENT_MS + 95000, phases=1),
    Requirement(
        "hot-hysteresis", "peers 5c, 24: resume at 62 C", "After 72 C, at 64 C: no new offer",
        count(pwm, closed, step("temperature", c=72), no_pwm), most=0, unit="offers",
        steps=charging(event("temperature", c=72), event("temperature", after_ms=10000, c=64)),
        until_ms=EVENT_MS + 60000, phases=1),
    Requirement(
        "hot-lost", OURS + "1 s, then in good order", "The temperature sensor is lost: it shows",
        time(closed, step("temperature"), fault("TemperatureSensorLost")), most=3000,
        steps=charging(event("temperature", c=None)), until_ms=EVENT_MS + 6000, phases=3),
    Requirement(
        "meter", OURS + "5 s, then in good order", "The meter is silent: the offer ends",
        time(closed, step("meter"), no_pwm), least=5000, most=11000,
        steps=charging(event("meter")), until_ms=EVENT_MS + 14000, phases=3),
]

SOCKETS = [
    *(Requirement(
        "pp-%d" % amps, "IEC 62196-2 (shared facts 1.5)",
        "A socket outlet of 63 A with a cable of %d A (%d ohm) offers" % (amps, ohm),
        first_offer, least=amps - 0.5, most=amps + 0.5, unit="A", phases=1,
        variants=[{"outlet": {"cable": "socket", "max_a": 63}}],
        steps=charging(pp_ohm=ohm), until_ms=9000, profiles=("rp2040",))
      for amps, ohm in ((13, 1500), (20, 680), (32, 220), (63, 100))),
    Requirement(
        "pp-none", "IEC 62196-2 (shared facts 1.5)",
        "A plug whose PP is open or shorted: no closing",
        count(driven), most=0, unit="closings", phases=1, until_ms=EVENT_MS + 10000,
        variants=[{"outlet": {"cable": "socket"}, "steps": charging(pp_ohm=ohm)}
                  for ohm in (10, 100000)]),
    Requirement(
        "lock", OURS + "peers 5c, 26", "The lock jams: no closing",
        count(driven, needs=[fault("ConnectorLockFailure")]), most=0, unit="closings", phases=1,
        variants=[{"outlet": {"cable": "socket"}}], until_ms=EVENT_MS + 30000,
        steps=[at(500, "lock"), *charging(pp_ohm=220)]),
    Requirement(
        "lock-first", OURS + "peers 5c, 26", "Locked before the contactor closes",
        time(step("plug"), locked, driven), least=0, most=10000,
        variants=[{"outlet": {"cable": "socket"}}], steps=charging(pp_ohm=220)),
    Requirement(
        "unlock", "GB/T 18487.1 sequence 12",
        "A stop, and the plug is unlocked: counted from the open contactor",
        time(closed, step("card"), opened, unlocked), least=100, most=5000,
        variants=[{"outlet": {"cable": "socket"}}],
        steps=charging(event("card", uid=CARD), pp_ohm=220), until_ms=EVENT_MS + 10000),
    Requirement(
        "lock-weld", OURS + "unlock only after the contactor is seen open",
        "The contactor sticks: the plug stays locked",
        count(unlocked, locked, needs=[closed, fault("PowerSwitchFailure")]), most=0,
        unit="times", variants=[{"outlet": {"cable": "socket"}}],
        steps=charging(at(11000, "weld"), event("card", uid=CARD), pp_ohm=220),
        until_ms=EVENT_MS + 20000, phases=2),
    Requirement(
        "lock-closes", IEC + "sequence 4", "A socket outlet with a lock that works: closed",
        time(step("ready"), closed), most=3000,
        variants=[{"outlet": {"cable": "socket"}}], steps=charging(pp_ohm=220)),
]

SUPPLY = [
    Requirement(
        "power", OURS + "the coil has no supply", "The supply is cut: the metal is open",
        time(closed, step("power"), metal_open), most=100,
        steps=charging(event("power", for_ms=2000)), until_ms=EVENT_MS + 4000, phases=3),
    Requirement(
        "power-session", OURS + "nobody has authorised this boot",
        "After a power cut the vehicle is still there: no closing before a card",
        count(driven, step("power")), most=0, unit="closings", phases=2,
        steps=charging(event("power", for_ms=2000)), until_ms=EVENT_MS + 60000),
    Requirement(
        "power-again", OURS + "nobody has authorised this boot",
        "A card after a power cut: it charges again",
        time(step("power"), step("card"), closed), most=5000, phases=2,
        steps=charging(event("power", for_ms=2000), event("card", after_ms=8000, uid=CARD)),
        until_ms=EVENT_MS + 20000),
    Requirement(
        "clock", OURS + "only the monotonic clock counts",
        "The wall clock jumps a year forth or back while charging: nothing happens",
        count(either(released, no_pwm, fault()), closed), most=0, unit="times",
        steps=charging(),
        variants=[{"steps": [event("clock", jump_s=jump)]} for jump in (31622400, -31622400)],
        until_ms=EVENT_MS + 10000, phases=1),
    Requirement(
        "start-delay", OURS + "configurable: 20 s here",
        "Booted with a vehicle: PWM begins at a random time",
        time(lambda line: line["what"] == "boot", pwm), least=2000, most=21000,
        steps=[at(0, "plug"), at(2000, "card", uid=CARD)], config={"start_delay_s": 20},
        until_ms=25000, fixed=True),
    Requirement(
        "boot-C", "peers 5c, 27", "Booted with a vehicle in C: no fault, then it charges",
        count(either(fault(), lambda line: line["what"] == "error"), needs=[closed]), most=0,
        unit="faults", steps=[at(0, "plug", r_ohm=882), at(2000, "card", uid=CARD)],
        fixed=True),
]

# What the report's parts are called.
SECTIONS = {
    "Sequences of Table A.6 and what belongs to them": SEQUENCES,
    "Levels and duty": LEVELS,
    "The diode": DIODE,
    "Guards": GUARDS,
    "Stalls: main loop, samples, all of Python": STALLS,
    "Noise": NOISE,
    "Protections": PROTECTIONS,
    "Socket outlets": SOCKETS,
    "Supply and clock": SUPPLY,
}
REQUIREMENTS = [one for section in SECTIONS.values() for one in section]
