"""Explores the shipped safety core exhaustively, and then the AC outlet with the core in the loop.

    tools/explore.py [--on safety|outlet] [--seconds N] [--profile rp2040|esp32]

Breadth-first from boot, through the real classes and not a model of them. A state is the canonical
snapshot of what they remember: statistics are dropped, counters of samples keep what the code can
tell, and a timer is the interval between two thresholds in which it stands (exact within one tick
of each) together with the order in which the timers will reach their next thresholds. A step is
one tick under one input of the alphabet below, or the wait under a steady input until the last
tick before the next threshold of any timer; the tick after it and the next are steps of their own.
At most two faults hold at a time, those that the core still remembers included.

Each transition is judged by the rules below. A broken rule prints the shortest sequence of inputs
from boot and ends with exit code 1. The exploration checks itself on samples: a wait equals its
ticks one by one; counters near their wrap change nothing; and two snapshots that were taken for
one state do the same next.

To extend it: a new fault is a line in FAULTS, a new input a field of Input, a new timer a line in
TIMERS (a cell named *_MS that is missing there is split at every threshold of core.py, any other
unknown cell is kept exactly: sound, but slow), a new rule a line in the tables of rules.
"""

import argparse
import ast
import inspect
import itertools
import random
import sys
import time
import types
from array import array
from bisect import bisect_right
from collections import Counter
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
WRAP = (1 << 30) - 1

# --- The alphabet

LEVEL_MV = {"A": 12000, "B": 8980, "C": 5995, "D": 2930, "E": 0}
# What the outlet asks for: (REQUEST, OFFERED_MA).
REQUESTS = {"16 A": (1, 16000), "10 A": (1, 10000), "5 A": (1, 5000), "off": (0, 0)}


class Fault:
    """A fault of the input, or another thing that happens. `codes`: the names under which the core
    shows it, if it does. `passing`: it lasts one tick. `pairs`: it is tried together with every
    other such fault. `bits`: of the input word. `driven`: it must open a driven contactor
    in the time of its code (the diode has a rule of its own: it is seen only while PWM runs).
    Other fields are those of Input.
    """

    def __init__(self, name, *codes, passing=False, pairs=False, bits=0, driven=True, **fields):
        self.name = name
        self.codes = codes
        self.passing = passing
        self.pairs = pairs
        self.bits = bits
        self.driven = driven
        self.fields = fields


FAULTS = [
    Fault("diode shorted", "DiodeFault", pairs=True, driven=False, diode=False),
    Fault("samples stand still", "PilotSamplesStale", pairs=True, highs=0, lows=0),
    Fault("high samples stand still", "PilotSamplesStale", highs=0),
    Fault("low samples stand still", "PilotSamplesStale", lows=0),
    Fault("lease stands still", "RequestStale", pairs=True, lease=0),
    Fault("tick 1 ms too late", "TickLate", passing=True, pairs=True, late_ms=1),
    Fault("tick 70 s late", "TickLate", passing=True, late_ms=70000),
    Fault("tick again in the same ms", passing=True, again=True),
    Fault("the newest sample wrong", passing=True, wrong=1),
    Fault("the sample before wrong", passing=True, wrong=2),
    Fault("the oldest sample wrong", passing=True, wrong=3),
    Fault("samples older than the last duty", passing=True, lag=True),
    Fault("sampling raises", "InternalError", passing=True, raises="sample"),
    Fault("feeding raises", "InternalError", passing=True, raises="feed"),
    Fault("the pilot raises", "InternalError", passing=True, raises="set_permille"),
    Fault("the witness raises", "InternalError", passing=True, raises="witness"),
    Fault("residual current", "GroundFailure", pairs=True, bits=1),
    Fault("emergency stop", "EmergencyStop", bits=2),
    Fault("earth lost", "ProtectiveEarthLost", pairs=True, bits=4),
    Fault("voltage and mirror while open", "PowerSwitchFailure", pairs=True, driven=False,
          closed=1),
    Fault("no mirror while driven", "EVSEContactorFault", closed=0),
    Fault("no voltage while closed", "PowerLoss", live=0),
    Fault("door open", "EnclosureOpen", bits=32),
    Fault("tilted", "TiltDetected", bits=64),
    Fault("smoke", "SmokeDetected", bits=128),
    Fault("sensor not tested", sensor=0),
    Fault("sensor being tested", sensor=2),
    Fault("not locked", locked=0),
    Fault("over-current", "OverCurrentFailure", condition="OverCurrentFailure"),
    Fault("under-voltage", "UnderVoltage", pairs=True, condition="UnderVoltage"),
    Fault("meter silent", "PowerMeterFailure", condition="PowerMeterFailure"),
    Fault("wake-up", passing=True, wake=1),
    Fault("reset", passing=True, reset=1),
]
# Which vehicle and request a fault is tried with, and a pair of faults.
SINGLE = ("A 16 A", "B 16 A", "C 16 A", "C off", "D 16 A")
PAIR = ("A 16 A", "C 16 A", "C off")


class Input:
    """What the core meets in one tick."""

    def __init__(self, level, request, faults=()):
        self.level = level
        self.request, self.offered = REQUESTS[request]
        self.diode = True
        self.highs = self.lows = 2  # new samples
        self.lease = 1
        self.late_ms = 0
        self.again = self.lag = False
        self.wrong = 0
        self.raises = self.condition = ""
        self.closed = self.live = None  # what mirror contact and voltage say; None: the drive pin
        self.sensor = self.locked = 1
        self.wake = self.reset = 0
        self.bits = 0
        for fault in faults:
            self.bits |= fault.bits
            for field, value in fault.fields.items():
                if not hasattr(self, field):
                    raise Imprecise("no field %s in Input" % field)
                setattr(self, field, value)
        self.fresh = self.highs > 0 and self.lows > 0
        self.steady = not any(fault.passing for fault in faults)
        self.codes = {code for fault in faults for code in fault.codes}
        self.opens = {code for fault in faults for code in fault.codes if fault.driven}
        if level == "E":
            self.codes.add("PilotFault")
            self.opens.add("PilotFault")
        self.name = ", ".join([level, "asked " + request] + [f.name for f in faults])
        self.well = level in "CD" and not (set(faults) - {f for f in faults if f.name == "reset"})


def fault_sets(most):
    """The sets of up to `most` faults that are explored together, the small ones first."""
    yield ()
    if most > 0:
        yield from ((fault,) for fault in FAULTS)
    if most > 1:
        yield from itertools.combinations([fault for fault in FAULTS if fault.pairs], 2)


def alphabet(faults=()):
    """Every input in which none, one or all of `faults` hold."""
    for level, request in itertools.product(LEVEL_MV, REQUESTS):
        if not faults or request in ("16 A", "off"):
            yield Input(level, request)
    for holding in [(fault,) for fault in faults] + ([faults] if len(faults) > 1 else []):
        for base in SINGLE if len(holding) == 1 else PAIR:
            yield Input(*base.split(" ", 1), holding)


# --- What the code remembers

# Timers: (cell, +1 counts up or -1 down, when it matters, the thresholds at which the code looks).
# What is left out here is shown not to matter by the samples of two snapshots of one state.
ALWAYS_MATTERS, PWM, DRIVEN, OPEN = "always", "PWM", "driven", "open"
TIMERS = [
    ("GUARD_MS", -1, ALWAYS_MATTERS, (0,)),
    ("_LEASE_AGE_MS", 1, ALWAYS_MATTERS, ("_LEASE_MS",)),
    ("_DUTY_AGE_MS", 1, PWM, ("_DUTY_MS",)),
    ("_READY_MS", 1, OPEN, (0, "_SETTLE_MS", "_CAP_MS")),
    ("_STOP_MS", 1, DRIVEN, (0, "_OBEY_MS")),
    ("_SWITCH_MS", 1, ALWAYS_MATTERS, ("_DEAF_MS",)),
    ("_SWITCH_MS", 1, DRIVEN, ("_HARD_MS",)),
    ("_F_MS", -1, ALWAYS_MATTERS, (0,)),
]
NO_TIMERS = {"_LAST_MS", "_LATE_MS", "CLOSE_MS"}
# Written and never read by the core, or set anew by each input.
DROPPED = ("TICKS", "CLOSINGS", "FORCED", "FORCED_MA", "ERRORS", "INPUTS", "LEVEL_MV", "_LAST_MS",
           "CONDITIONS", "SENSOR", "LOCKED", "CURRENT_MA")
# Counters that wrap at 2^30, the clock among them.
WRAPPING = ("_LOWS", "_LOWS_AT_DUTY", "_HIGHS", "_LAST_MS", "LEASE", "_LEASE_SEEN", "TICKS")
# Cells that count something and whose other side has seen so many: only the difference matters.
SEEN = {"LEASE": "_LEASE_SEEN", "WAKE": "_WAKE_SEEN", "RESET": "_RESET_SEEN"}

# The judge's own memory: what has happened at the core's terminals, not what the core thinks.
JUDGED = (
    "PERMILLE",  # before the last tick
    "STALE",  # consecutive ticks without new samples, at most 3
    "DIODE",  # a diode was seen since plug-in
    "NO_DIODE",  # consecutive ticks in which PWM ran and showed none, at most 9
    "OFF_MS",  # since PWM went off while driven
    "UNASKED_MS",  # since the request ended while driven
    "LEASE_MS",  # since the lease last moved
    "ASKING_MS",  # the vehicle asks and PWM runs
    "GOOD_MS",  # everything is as it should be for a closing
    "HOLD_MS",  # left until a closing is allowed
    "DUTY_MS",  # since the duty last changed
    "F_MS",  # that F has been driven
    "CAUSE",  # 1 + the fault whose condition has held while driven, 0: none
    "CAUSE_MS",  # for how long it has
)
JUDGE_TIMERS = [
    ("OFF_MS", 1, DRIVEN, (0, 6000)),
    ("UNASKED_MS", 1, DRIVEN, (0, 6000)),
    ("LEASE_MS", 1, ALWAYS_MATTERS, (0, 500)),
    ("LEASE_MS", 1, DRIVEN, (6500,)),
    ("ASKING_MS", 1, OPEN, (0, 500)),
    ("GOOD_MS", 1, OPEN, (0, 3000)),
    ("HOLD_MS", -1, OPEN, (0,)),
    ("DUTY_MS", 1, PWM, (5000,)),
    ("F_MS", 1, ALWAYS_MATTERS, (0, 300)),
    ("CAUSE_MS", 1, DRIVEN, (0, 50, 100, 250, 500, 1000, 3000, 5000, 7000)),
]
CAP_MS = 100  # beyond the last threshold a judge's timer stands still after so long

# --- The rules: (what is forbidden, in words; does it hold?). `t` is a Transition.

WHILE_DRIVEN = [
    ("driven in state A", lambda t: t.level == "A"),
    ("driven in state B", lambda t: t.level == "B"),
    ("driven in state D without ventilation", lambda t: t.level == "D" and not t.ventilated),
    ("driven in state E", lambda t: t.level == "E"),
    ("driven in state F", lambda t: t.permille == 0),
    ("driven while the pilot says nothing", lambda t: t.blind),
    ("driven, and the state shown is not C or D", lambda t: t.state[0] not in "CD"),
    ("driven without a diode seen since plug-in", lambda t: not t.diode),
    ("driven although no diode was seen for 4 ticks with PWM", lambda t: t.no_diode > 4),
    ("driven with a fault that opens", lambda t: t.faults & t.opening),
    ("driven on samples that stood still for two ticks", lambda t: t.stale >= 2),
    ("driven after a late tick", lambda t: t.was_driven and t.dt > t.late_ms),
    ("driven after an exception", lambda t: t.raised),
    ("driven although a fault's condition has held for its time",
     lambda t: t.cause_ms > t.trip_ms + 2 * t.tick_ms and t.cause_bit & t.opening),
    ("PWM although a fault's condition has held for its time",
     lambda t: t.cause_ms > t.trip_ms + 2 * t.tick_ms and t.pwm),
    ("driven 6 s after the request ended", lambda t: t.unasked_ms > 6000 + 2 * t.tick_ms),
    ("driven 6.5 s after the lease last moved", lambda t: t.lease_ms > 6500 + 2 * t.tick_ms),
    ("driven more than 6 s after PWM went off", lambda t: t.off_ms > 6000),
    ("driven and not fed", lambda t: t.dt and not t.fed),
]
ON_CLOSING = [
    ("closed without a request", lambda t: not t.asked),
    ("closed on a stale request", lambda t: t.lease_ms > 500),
    ("closed with a fault", lambda t: t.faults),
    ("closed without PWM", lambda t: not t.pwm),
    ("closed unlocked", lambda t: not t.input.locked),
    ("closed without a tested residual-current sensor", lambda t: t.input.sensor != 1),
    ("closed while an input says no", lambda t: t.input.bits or t.input.closed),
    ("closed before C was steady for 500 ms", lambda t: t.asking_ms < 500 - t.tick_ms),
    ("closed within 5 s of an opening or 30 s of a fault", lambda t: t.hold_ms > 0),
]
ON_OPENING = [
    ("forced open earlier than 6 s after PWM off",
     lambda t: not t.cause and t.was_off_ms + t.dt < 6000),
]
ALWAYS = [
    ("the drive pin is not what the core thinks", lambda t: t.pin != t.driven),
    ("the pilot is not what the core thinks", lambda t: t.pilot != t.permille),
    ("fed while open", lambda t: t.fed and not t.driven and not t.raised),
    ("an exception", lambda t: t.errors != t.raised),
    ("PWM in state A or E", lambda t: t.pwm and t.dt and t.level in "AE"),
    ("PWM begins during a guard", lambda t: t.pwm and not t.was_pwm and t.guard_ms),
    ("PWM without a live request",
     lambda t: t.pwm and t.dt and (not t.asked or t.lease_ms > 500 + t.tick_ms)),
    ("the duty changed twice within 5 s",
     lambda t: t.pwm and t.was_pwm and t.changed and t.was_duty_ms + t.dt < 5000),
    ("not closed within 3 s though everything is well", lambda t: t.good_ms > 3000),
    ("a latched fault went without an unplugging or a reset",
     lambda t: t.cleared & t.unplug and t.letter and not t.input.reset),
    ("a fault went that only service clears", lambda t: t.cleared & t.service),
    ("a new fault is not shown by F", lambda t: t.new & t.opening and t.permille),
    ("F ended before 300 ms", lambda t: t.was_f_ms and t.permille and not t.errors
     and t.was_f_ms + t.dt < 300),
]


# The outlet with the core in the loop: what the outlet is told, and what it may not do.
ACTIONS = ("", "authorise", "stop", "5 A")
OUTLET_FAULTS = (
    "diode shorted", "samples stand still", "lease stands still", "sampling raises",
    "tick 1 ms too late", "residual current", "emergency stop", "under-voltage", "reset",
)
OUTLET_TIMERS = [
    ("_waiting_ms", 1, ALWAYS_MATTERS, (0, "_wake_after_ms")),
    ("_last_ms", -1, ALWAYS_MATTERS, ()),
]
CONSTANT = ("_wake_after_ms",)
OUTLET = [
    ("an unauthorised request", lambda t: t.requested and not t.authorised and t.main),
    ("a request below 6 A", lambda t: t.requested and t.main and t.low),
    ("a request with nobody plugged in", lambda t: t.requested and not t.outlet.plugged),
    ("authorised by nobody", lambda t: t.outlet.authorised and not t.authorised and t.main),
    ("closed for a vehicle that nobody authorised",
     lambda t: t.driven and not t.was_driven and not t.was_authorised),
    ("shown as charging, and open", lambda t: t.charging and t.main and not t.driven),
    ("shown as idle, and driven", lambda t: t.idle and t.main and t.driven),
]


class Broken(Exception):
    """A rule is broken."""


class Imprecise(Exception):
    """The exploration misjudges the code: a table above must be extended."""


# --- The code under exploration


def firmware_path():
    for path in (REPO / "tools/shim", REPO):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    stand_in = getattr(sys.modules.get("micropython"), "__file__", None) or ""
    if "shim" not in stand_in:
        sys.modules.pop("micropython", None)


def load(name, text=None, observe=None):
    """The firmware module `name` (dotted) from its file, or from `text`; with `observe`, every
    condition in it is reported as observe[line, column, condition].add(truth).
    """
    path = REPO / (name.replace(".", "/") + ".py")
    text = path.read_text() if text is None else text
    tree = ast.parse(text)
    module = types.ModuleType(name)
    module.text = text
    if observe is not None:
        tree = ast.fix_missing_locations(Conditions(observe).visit(tree))

        def seen(key, value):
            observe[key].add(bool(value))
            return value

        module.__dict__["_seen"] = seen
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module


class Conditions(ast.NodeTransformer):
    """Wraps every condition, and every operand of `and` and `or`, in a call of _seen."""

    def __init__(self, observe):
        self.observe = observe

    def wrap(self, node):
        if isinstance(node, (ast.BoolOp, ast.Constant)):
            return node  # its operands are wrapped
        key = (node.lineno, node.col_offset, ast.unparse(node))
        self.observe.setdefault(key, set())
        made = ast.parse("_seen(0, 0)", mode="eval").body
        made.args = [ast.Constant(key), node]
        return ast.copy_location(made, node)

    def conditional(self, node):
        self.generic_visit(node)
        node.test = self.wrap(node.test)
        return node

    def visit_If(self, node):
        # what only the type checker reads is no branch
        return node if "TYPE_CHECKING" in ast.unparse(node.test) else self.conditional(node)

    visit_While = visit_IfExp = conditional

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        node.values = [self.wrap(value) for value in node.values]
        return node


class Surroundings:
    """Pilot, contactor, witness and inputs of one core: they do what the input says."""

    def __init__(self):
        self.input = Input("A", "off")
        self.permille = self.former = 1000
        self.pin = False
        self.fed = 0
        self.lamp = ""
        self.high = LEVEL_MV["A"]
        self.counts = [0, 0]
        self.raised = False

    def _may_raise(self, what):
        # Once in a tick: the core's way out must not meet it again.
        if self.input.raises == what and not self.raised:
            self.raised = True
            raise RuntimeError(what)

    def set_permille(self, permille):
        self._may_raise("set_permille")
        self.permille = permille

    def sample(self, w):
        self._may_raise("sample")
        now = self.input
        high = self.high
        permille = self.former if now.lag else self.permille
        if permille == 1000:
            low = high
        elif permille == 0:
            high = low = -12000
        else:
            low = -12000 if now.diode else -high
        w[0], w[1] = self.counts
        w[2] = w[3] = w[4] = high
        w[5] = w[6] = w[7] = low
        if now.wrong:
            w[1 + now.wrong] = 12000 if high < 9000 else 0
            w[4 + now.wrong] = 0 if low < 0 else -12000

    def drive(self, on):
        self.pin = bool(on)

    def feed(self):
        self._may_raise("feed")
        self.fed += 1

    def closed(self):
        return self.pin

    def shunt_trip(self):
        pass

    def state(self, name):
        self._may_raise("witness")
        self.lamp = name

    def fault(self, code, active, latched=False):
        self._may_raise("witness")

    def read(self):
        now = self.input
        closed = self.pin if now.closed is None else now.closed
        word = now.bits
        if closed:
            word |= 16
            if now.live is None:
                word |= 8
        return word


def build(core, around, **options):
    """A Safety of the module `core`, each of its parameters filled by name."""
    given = dict(pilot=around, contactor=around, witness=around, inputs=around, **options)
    parameters = inspect.signature(core.Safety.__init__).parameters.values()
    wanted = {}
    for parameter in list(parameters)[1:]:
        if parameter.name in given:
            wanted[parameter.name] = given[parameter.name]
        elif parameter.default is parameter.empty:
            raise Imprecise("Safety wants %s: name it in build()" % parameter.name)
    return core.Safety(**wanted)


class Timers:
    """Tells the interval in which each timer stands. `table`: rows as in TIMERS, by index; `ages`:
    {index: (bit, thresholds while the fault does not stand, while it stands)}.
    """

    def __init__(self, table, ages, standing, tick_ms):
        self.tick_ms = tick_ms
        self.ages = ages
        self.standing = standing
        self.all = sorted({i for i, *_ in table})
        self.moving = [*self.all, *ages]
        self.by_mode = {}
        for pwm, driven in itertools.product((False, True), (0, 1)):
            matters = {ALWAYS_MATTERS, DRIVEN if driven else OPEN, PWM if pwm else ALWAYS_MATTERS}
            found = {}
            for i, way, when, at in table:
                if when in matters:
                    found.setdefault(i, (way, set()))[1].update(at)
                    if way > 0:  # >= and > are both used
                        found[i][1].update(ms + 1 for ms in at)
            self.by_mode[pwm, driven] = [(i, way, sorted(at), {}) for i, (way, at)
                                         in sorted(found.items())]

    def extend(self, rows):
        self.all += [row[0] for row in rows]
        self.moving += [row[0] for row in rows]
        for known in self.by_mode.values():
            known += [(i, way, sorted({*at, *(ms + 1 for ms in at)}), {})
                      for i, way, _, at in rows]

    def place(self, way, at, value):
        """(interval, and whether the next tick leaves it; ms to the next threshold or 0)."""
        n = bisect_right(at, value)
        if way < 0:
            # going down, a threshold itself belongs to what lies below
            if n and value == at[n - 1]:
                n -= 1
            left = value - at[n - 1] if n else 0
        else:
            left = at[n] - value if n < len(at) else 0
        near = 0 < left <= self.tick_ms
        return 2 * n + near, 0 if near else left

    def classify(self, values, into, mode):
        """Replaces the timers in `into` by their intervals; returns those still running."""
        running = []
        for i in self.all:
            into[i] = 0
        for i, way, at, known in self.by_mode[mode]:
            value = values[i]
            found = known.get(value)
            if found is None:
                found = known[value] = self.place(way, at, value)
            into[i] = found[0]
            if found[1]:
                running.append(found[1])
        standing = values[self.standing]
        for i, (bit, trip, clear) in self.ages.items():
            if values[i]:
                into[i], left = self.place(1, clear if standing & bit else trip, values[i])
                if left:
                    running.append(left)
        return running

    def ticks_left(self, before, after, mode):
        """How many more ticks like the one from `before` to `after` leave every timer short of its
        next threshold; 0 when a timer did not just run, None when no threshold lies ahead.
        """
        least = None
        if any(abs(after[i] - before[i]) not in (0, self.tick_ms) for i in self.moving):
            return 0
        standing = after[self.standing]
        rows = [(i, 1, clear if standing & bit else trip)
                for i, (bit, trip, clear) in self.ages.items() if after[i]]
        for i, way, at in rows + [row[:3] for row in self.by_mode[mode]]:
            if after[i] == before[i]:
                continue
            if after[i] - before[i] != way * self.tick_ms:
                return 0
            kind, left = self.place(way, at, after[i])
            if kind & 1 or kind != self.place(way, at, before[i])[0]:
                return 0
            if left:
                left = (left - 1) // self.tick_ms
                if least is None or left < least:
                    least = left
        return least


class Transition:
    """What the rules look at."""


class World:
    """One safety core with its judge."""

    def __init__(self, core, tick_ms=2, late_ms=20, ventilated=False):
        self.core = core
        self.around = Surroundings()
        self.safety = build(core, self.around, late_ms=late_ms, ventilated=ventilated)
        self.cells = self.safety.cells
        self.judge = array("i", [0] * len(JUDGED))
        self.tick_ms = tick_ms
        self.late_ms = late_ms
        self.shift = 0  # added to every wrapping counter, to show that it does not matter
        size = len(self.cells)
        # cells are the constants above STATES, by their numbers
        text = core.text.split("\nSTATES =")[0]
        values = {name: value for name, value in vars(core).items() if isinstance(value, int)}
        self.at = at = {name: value for name, value in values.items()
                        if value < size and "\n%s = const(%d)" % (name, value) in text}
        self.names = ["cell %d" % i for i in range(size)]
        for name, i in at.items():
            self.names[i] = name
        table = core.FAULTS
        self.codes = [fault[0] for fault in table]
        self.bit = {code: 1 << i for i, code in enumerate(self.codes)}
        self.trips = [fault[1] for fault in table]
        self.ages = range(at["_AGES"], at["_AGES"] + len(table))
        self.drop = [at[name] for name in DROPPED if name in at]
        thresholds = sorted(v for n, v in values.items() if n.endswith("_MS") and n not in at)
        timers = []
        listed = {row[0] for row in TIMERS} | NO_TIMERS
        self.unlisted = [name for name in at if name.endswith("_MS") and name not in listed]
        unlisted = [(name, 1, ALWAYS_MATTERS, (0, *thresholds)) for name in self.unlisted]
        for name, way, when, limits in TIMERS + unlisted:
            if name in at:
                limits = [values[a] if isinstance(a, str) else a for a in limits]
                timers.append((at[name], way, when, limits))
        for name, *row in JUDGE_TIMERS:
            timers.append((size + JUDGED.index(name), *row))
        ages = {}
        for i, fault in enumerate(table):
            # 0 says that nothing is timed; a latched fault's age says nothing once it stands
            clear = [1, fault[2] + 1] if fault[4] == core.SELF else [1]
            ages[at["_AGES"] + i] = 1 << i, [1, fault[1] + 1], clear
        self.timers = Timers(timers, ages, at["STANDING"], tick_ms)
        self.is_timer = {row[0] for row in timers} | set(ages)
        self.judge[JUDGED.index("DUTY_MS")] = 5000 + CAP_MS
        self.judge[JUDGED.index("PERMILLE")] = 1000
        self.names_after = []
        self.views = [memoryview(a).cast("B") for a in (self.cells, self.judge)]
        self.t = t = Transition()
        t.opening = self.mask(lambda fault: fault[3])
        t.unplug = self.mask(lambda fault: fault[4] == core.UNPLUG)
        t.service = self.mask(lambda fault: fault[4] not in (core.SELF, core.UNPLUG))
        t.ventilated = ventilated
        t.tick_ms = tick_ms
        t.late_ms = late_ms
        self.charging = "CD" if ventilated else "C"

    def mask(self, which):
        return sum(1 << i for i, fault in enumerate(self.core.FAULTS) if which(fault))

    # A snapshot is bytes; `load` is its inverse, but for what the surroundings repeat.

    def save(self):
        return b"".join([bytes(view) for view in self.views])

    def load(self, raw):
        start = 0
        for view in self.views:
            view[:] = raw[start : start + len(view)]
            start += len(view)
        cells = self.cells
        around = self.around
        around.permille = cells[self.core.PERMILLE]
        around.pin = cells[self.core.DRIVE]

    def values(self):
        return self.cells.tolist() + self.judge.tolist()

    def put(self, values):
        n = len(self.cells)
        self.cells[:] = array("i", values[:n])
        self.judge[:] = array("i", values[n : n + len(JUDGED)])

    def key(self):
        """The canonical form of the present state."""
        values = self.values()
        into = list(values)
        mode = self.mode(values)
        if not mode[0]:
            into[self.at["_LOWS"]] = 0  # low samples say nothing without PWM
        running = self.timers.classify(values, into, mode)
        if len(running) > 1:
            order = sorted(set(running))
            into += [order.index(ms) for ms in running]
        return tuple(into)

    def mode(self, values):
        return 0 < values[self.core.PERMILLE] < 1000, values[self.core.DRIVE]

    def memory(self):
        """The faults that stand or are being timed, as bits."""
        c = self.cells
        found = c[self.core.STANDING]
        if c[self.at["_PENDING"]]:
            for i, cell in enumerate(self.ages):
                if c[cell]:
                    found |= 1 << i
        return found

    def needs_service(self):
        return self.cells[self.core.STANDING] & (self.t.service | self.cells[self.core.HARD])

    def normalise(self):
        """Brings what only counts back to small numbers, so that equal states look alike."""
        c = self.cells
        at = self.at
        c[at["_LOWS"]] = min((c[at["_LOWS"]] - c[at["_LOWS_AT_DUTY"]]) & WRAP, 9)
        c[at["_LOWS_AT_DUTY"]] = 0
        c[at["_HIGHS"]] = 0
        self.normalise_outlet()
        for i in self.drop:
            c[i] = 0
        if c[at["CLOSE_MS"]] > 0:
            c[at["CLOSE_MS"]] = 0

    def normalise_outlet(self):
        c = self.cells
        for name in ("DEPARTED", "REQUEST", "OFFERED_MA"):
            c[self.at[name]] = 0
        for other, seen in SEEN.items():
            c[self.at[other]] = c[self.at[seen]] = 0

    def after(self, now, t):
        """What follows a tick, and is judged."""

    def move_counters(self, by):
        """Adds `by` to every counter that wraps at 2^30."""
        c = self.cells
        for name in WRAPPING:
            c[self.at[name]] = (c[self.at[name]] + by) & WRAP

    def ask(self, now):
        """What the outlet and the supervision have written before this tick."""
        c = self.cells
        core = self.core
        c[core.REQUEST] = now.request
        c[core.OFFERED_MA] = now.offered
        c[core.LEASE] = (c[core.LEASE] + now.lease) & WRAP
        self.supervise(now)

    def supervise(self, now):
        c = self.cells
        core = self.core
        c[core.LOCKED] = now.locked
        c[core.SENSOR] = now.sensor
        c[core.WAKE] += now.wake
        c[core.RESET] += now.reset
        c[core.CONDITIONS] = self.bit[now.condition] if now.condition else 0

    def step(self, now):
        """One tick under the input `now`; Broken when a rule is."""
        c = self.cells
        core = self.core
        at = self.at
        around = self.around
        t = self.t
        (former, stale, diode, no_diode, off_ms, unasked_ms, lease_ms, asking_ms,
         good_ms, hold_ms, duty_ms, f_ms, cause, cause_ms) = self.judge
        t.was_driven = was_driven = c[core.DRIVE]
        was_permille = c[core.PERMILLE]
        t.was_pwm = was_pwm = 0 < was_permille < 1000
        was_faults = c[core.STANDING]
        t.blind = not was_permille or c[at["_BLIND"]] > 0  # this tick's samples do not count
        started = c[at["_STARTED"]]
        dt = 0 if now.again else self.late_ms + now.late_ms if now.late_ms else self.tick_ms
        if self.shift:
            self.move_counters(self.shift)
        self.ask(now)
        # the surroundings
        around.input = now
        around.raised = False
        around.fed = 0
        around.former = former
        # what stands still reads on as it was, and during F and just after it nothing is seen
        name = "ABCDE"[c[at["_LETTER"]]]
        if now.highs and dt and not t.blind:
            name = now.level
        t.level = name
        around.high = LEVEL_MV[now.level if t.blind else name]
        around.counts[0] = (c[at["_HIGHS"]] + now.highs) & WRAP
        around.counts[1] = (c[at["_LOWS"]] + now.lows) & WRAP
        t.asked = asked = c[core.REQUEST] == 1 and c[core.OFFERED_MA] >= 6000
        renewed = c[core.LEASE] != c[at["_LEASE_SEEN"]]
        errors = c[core.ERRORS]
        self.safety.tick((c[at["_LAST_MS"]] + dt) & WRAP)
        # what has happened, seen from outside
        if not started:
            dt = 0
        t.input = now
        t.letter = c[at["_LETTER"]]
        t.driven = driven = c[core.DRIVE]
        t.permille = permille = c[core.PERMILLE]
        t.pwm = 0 < permille < 1000
        t.faults = faults = c[core.STANDING]
        t.new = faults & ~was_faults if dt and not around.raised else 0
        t.cleared = was_faults & ~faults
        t.state = core.STATES[c[core.STATE]]
        t.pin = around.pin
        t.pilot = around.permille
        t.fed = around.fed
        t.raised = around.raised
        t.errors = c[core.ERRORS] - errors
        t.guard_ms = c[core.GUARD_MS]
        t.dt = dt
        t.was_off_ms = off_ms
        t.was_duty_ms = duty_ms
        t.was_f_ms = f_ms
        if dt:
            stale = 0 if now.fresh else min(stale + 1, 3)
            if was_permille:
                if name == "A":
                    diode = no_diode = 0
                if was_pwm and name in "BCD" and now.lows and not now.lag:
                    if now.diode:
                        diode, no_diode = 1, 0
                    else:
                        no_diode = min(no_diode + 1, 9)
            off_ms = min(off_ms + dt, 6000 + CAP_MS) if was_driven and not was_pwm else 0
            unasked_ms = 0 if asked or not was_driven else min(unasked_ms + dt, 6000 + CAP_MS)
            most = 6500 if was_driven else 500
            # in a tick that comes late the outlet had no chance
            lease_ms = 0 if renewed else min(lease_ms + min(dt, self.late_ms), most + CAP_MS)
            # so long has the vehicle been seen asking, the time before a late tick left out
            if was_pwm and name in self.charging:
                asking_ms = min(asking_ms + min(dt, self.late_ms), 500 + CAP_MS)
            else:
                asking_ms = 0
            well = now.well and asked and lease_ms <= 500 and not faults and hold_ms <= 0
            well = well and name in self.charging and not driven
            good_ms = min(good_ms + self.tick_ms, 3000 + CAP_MS) if well else 0
            hold_ms = max(hold_ms - dt, 0)
            duty_ms = min(duty_ms + dt, 5000 + CAP_MS)
            if permille == 0:
                if was_permille == 0:
                    f_ms = min(f_ms + dt, 300 + CAP_MS)
                else:  # goes on after an exception, or begins
                    f_ms = 1 if t.new & t.opening or now.wake else 300 + CAP_MS
            else:
                f_ms = 0
            number = 0
            if was_driven and now.steady and now.opens:
                number = max(self.bit[code] for code in now.opens).bit_length()
                if self.codes[number - 1] == "GroundFailure" and c[at["_SWITCH_MS"]] < 1000:
                    number = 0
            if number != cause:
                cause_ms = 0
            elif number:
                cause_ms = min(cause_ms + dt, 7000 + CAP_MS)
            cause = number
        t.changed = permille != was_permille
        if t.changed:
            duty_ms = no_diode = 0
        t.cause_ms = cause_ms
        t.trip_ms = self.trips[cause - 1] if cause else 0
        if cause and self.codes[cause - 1] == "RequestStale":
            t.trip_ms += 500
        t.cause_bit = 1 << cause >> 1
        t.stale = stale
        t.diode = diode
        t.no_diode = no_diode
        t.off_ms = off_ms
        t.unasked_ms = unasked_ms
        t.lease_ms = lease_ms
        t.asking_ms = asking_ms
        t.good_ms = good_ms
        t.hold_ms = hold_ms
        t.duty_ms = duty_ms
        t.cause = faults & t.opening or name not in self.charging or t.raised
        for text, broken in ALWAYS:
            if broken(t):
                raise Broken(text)
        if driven:
            for text, broken in WHILE_DRIVEN:
                if broken(t):
                    raise Broken(text)
            if not was_driven:
                for text, broken in ON_CLOSING:
                    if broken(t):
                        raise Broken(text)
        else:
            off_ms = unasked_ms = cause = cause_ms = 0
            if lease_ms > 500 + CAP_MS:
                lease_ms = 500 + CAP_MS
            if was_driven:
                for text, broken in ON_OPENING:
                    if broken(t):
                        raise Broken(text)
                hold_ms = max(hold_ms, 5000)
        if faults & t.opening & ~self.bit["DiodeFault"] or t.new & t.opening:
            hold_ms = 30000
        elif faults and t.guard_ms > hold_ms:
            hold_ms = t.guard_ms  # a diode that is missing still
        self.judge[:] = array("i", (
            was_permille, stale, diode, no_diode, off_ms, unasked_ms, lease_ms,
            asking_ms, good_ms, hold_ms, duty_ms, f_ms, cause, cause_ms))
        self.after(now, t)
        if self.shift:
            self.move_counters(-self.shift)
        self.normalise()


# --- The search


class OutletWorld(World):
    """The AC outlet, ticked after each tick of its core."""

    def __init__(self, core, outlet, limits, *args):
        super().__init__(core, *args)
        self.limits = limits.Limits(32000)
        self.backend = limits.BACKEND
        self.module = outlet
        self.outlet = outlet.AcOutlet(self.cells, self.limits)
        self.outlet.tick(0)
        self.fields = sorted(name for name, value in vars(self.outlet).items()
                             if isinstance(value, int) and name not in CONSTANT)
        self.kinds = [type(getattr(self.outlet, name)) for name in self.fields]
        self.mine = array("i", [0] * (len(self.fields) + 1))  # and whether somebody authorised it
        self.views.append(memoryview(self.mine).cast("B"))
        base = len(self.cells) + len(JUDGED)
        self.names_after = [*self.fields, "AUTHORISED"]
        rows = []
        for name, way, when, limits_ms in OUTLET_TIMERS:
            if name in self.fields:
                at = [getattr(self.outlet, ms) if isinstance(ms, str) else ms for ms in limits_ms]
                rows.append((base + self.fields.index(name), way, when, at))
        self.timers.extend(rows)
        self.is_timer |= {row[0] for row in rows}
        self.pack()

    def pack(self):
        self.mine[:-1] = array("i", [getattr(self.outlet, name) for name in self.fields])

    def load(self, raw):
        super().load(raw)
        for name, kind, value in zip(self.fields, self.kinds, self.mine):
            setattr(self.outlet, name, kind(value))

    def values(self):
        return super().values() + self.mine.tolist()

    def put(self, values):
        super().put(values)
        self.mine[:] = array("i", values[-len(self.mine):])

    def move_counters(self, by):
        super().move_counters(by)
        self.outlet._last_ms = (self.outlet._last_ms + by) & WRAP

    def ask(self, now):
        self.supervise(now)

    def after(self, now, t):
        outlet = self.outlet
        c = self.cells
        core = self.core
        states = self.module
        was_plugged = outlet.plugged
        t.was_authorised = outlet.authorised
        departed = c[core.DEPARTED] != outlet._departures
        if now.lease:
            if now.action == "authorise":
                outlet.authorise()
                self.mine[-1] = 1
            elif now.action == "stop":
                outlet.stop()
                self.mine[-1] = 0
            self.limits.set(self.backend, 5000 if now.action == "5 A" else 16000, "")
            outlet.tick(c[self.at["_LAST_MS"]])
            if departed and was_plugged:
                self.mine[-1] = 0
        t.outlet = outlet
        t.main = now.lease
        t.authorised = self.mine[-1]
        t.requested = c[core.REQUEST]
        t.charging = outlet.charging_state == states.CHARGING
        t.idle = outlet.charging_state == states.IDLE
        t.low = now.action == "5 A"
        for text, broken in OUTLET:
            if broken(t):
                raise Broken(text)

    def normalise_outlet(self):
        c = self.cells
        core = self.core
        outlet = self.outlet
        c[core.DEPARTED] = c[core.DEPARTED] != outlet._departures
        outlet._departures = 0
        for other, seen in SEEN.items():
            c[self.at[other]] = c[self.at[other]] != c[self.at[seen]]
            c[self.at[seen]] = 0
        outlet._last_ms = (outlet._last_ms - c[self.at["_LAST_MS"]]) & WRAP
        self.pack()


class Explorer:
    """Breadth-first over a world, from the state it is in. `twin`: the same world from code that
    reports its conditions.
    """

    def __init__(self, world, inputs, seconds, twin=None, seed=1):
        self.world = world
        self.inputs = inputs
        self.seconds = seconds  # of processor time
        self.twin = twin
        self.random = random.Random(seed)
        self.ids = {}
        self.raws = []
        self.parents = []  # (state, number of the input, further ticks)
        self.source = array("I")
        self.target = array("I")
        self.driven = bytearray()
        self.memory = []  # the faults that each state remembers
        self.served = bytearray()  # whether only a technician can help
        self.transitions = self.waits = self.checked = self.split = 0
        self.complete = False
        self.spent_s = 0

    def add(self, raw, parent):
        key = self.world.key()
        known = self.ids.get(key)
        if known is None:
            known = self.ids[key] = self.append(raw, parent)
        elif raw != self.raws[known] and self.random.random() < self.sample:
            known = self.compare(known, raw, parent)
        return known

    def append(self, raw, parent):
        self.raws.append(raw)
        self.parents.append(parent)
        self.driven.append(self.world.cells[self.world.core.DRIVE])
        self.memory.append(self.world.memory())
        self.served.append(self.world.needs_service() != 0)
        return len(self.raws) - 1

    def compare(self, known, raw, parent):
        """Two snapshots of one state must do the same next; where they do not, both are kept."""
        world = self.world
        now = self.random.choice(self.inputs)
        found = []
        for start in (self.raws[known], raw):
            world.load(start)
            try:
                world.step(now)
            except Broken as broken:
                found.append(str(broken))
            else:
                found.append(world.key())
        self.checked += 1
        world.load(raw)
        if found[0] != found[1]:
            self.split += 1
            return self.append(raw, parent)
        return known

    def same(self, raw, now, key):
        """The step from `raw` must look alike near the wrap of the counters."""
        world = self.world
        world.load(raw)
        world.shift = self.random.choice((WRAP - 1, WRAP - 4, WRAP - 7, WRAP // 2))
        shift = world.shift
        try:
            world.step(now)
            if world.key() != key:
                raise Broken("the wrap of a counter changes what happens (counters %d before it)"
                             % (WRAP + 1 - shift))
        finally:
            world.shift = 0

    def replay(self, raw, now, ticks, key):
        """The wait that `ticks` ticks amount to must have led to the present state."""
        world = self.world
        waited = world.values()
        world.load(raw)
        before = world.values()
        for _ in range(ticks):
            world.step(now)
        if world.key() != key:
            names = world.names + list(JUDGED) + world.names_after
            rows = zip(names, before, world.values(), waited)
            raise Imprecise(
                "%d ticks of '%s' do not add up to a wait: a threshold is missing in TIMERS "
                "(name, before, by ticks, by waiting: %s)" % (ticks, now.name, "; ".join(
                    "%s %d %d %d" % row for row in rows if row[2] != row[3])))

    def run(self, sample=0.02):
        self.sample = sample
        start = time.process_time()
        self.add(self.world.save(), None)
        at = 0
        while at < len(self.raws) and self.spent_s < self.seconds:
            self.expand(at, self.random.random, sample)
            at += 1
            if at % 16 == 0:
                self.spent_s = time.process_time() - start
        self.complete = at == len(self.raws)
        self.spent_s = time.process_time() - start

    def expand(self, at, chance, sample):
        world = self.world
        raw = self.raws[at]
        before = None
        reached = {}
        for number, now in enumerate(self.inputs):
            world.load(raw)
            try:
                world.step(now)
            except Broken as broken:
                raise self.found(broken, at, number)
            self.transitions += 1
            after = world.save()
            size = len(self.raws)
            state = reached.get(after)
            fresh = state is None
            if fresh:
                state = reached[after] = self.add(after, (at, number, 0))
                self.source.append(at)
                self.target.append(state)
            if self.twin and (fresh and state >= size or chance() < 0.02):
                self.twin.load(raw)
                self.twin.step(now)
            if state >= size or chance() < sample / 4:
                world.load(after)
                key = world.key()
                self.checked += 1
                try:
                    self.same(raw, now, key)
                except Broken as broken:
                    raise self.found(broken, at, number)
            if not (now.steady and fresh):
                continue
            # a wait: every further tick of this input only moves timers
            if before is None:
                world.load(raw)
                before = world.values()
                mode = world.mode(before)
                fixed = [i for i in range(len(before)) if i not in world.is_timer
                         and (mode[0] or i != world.at["_LOWS"])]
            world.load(after)
            values = world.values()
            if any(values[i] != before[i] for i in fixed) or world.mode(values) != mode:
                continue
            left = world.timers.ticks_left(before, values, world.mode(values))
            if not left:
                continue
            for i in world.is_timer:
                values[i] += left * (values[i] - before[i])
            world.put(values)
            self.transitions += 1
            self.waits += 1
            waited = world.save()
            state = self.add(waited, (at, number, left))
            self.source.append(at)
            self.target.append(state)
            if left < 400 and chance() < 0.05 or chance() < sample / 10:
                world.load(waited)
                key = world.key()
                self.checked += 1
                self.replay(raw, now, left + 1, key)

    def path(self, at):
        """[(state, input, ticks)] from boot to the state `at`."""
        steps = []
        while self.parents[at] is not None:
            source, number, further = self.parents[at]
            steps.append((source, self.inputs[number], 1 + further))
            at = source
        return steps[::-1]

    def found(self, broken, at, number):
        """`broken` with the sequence that leads to it."""
        lines = ["%s:" % broken]
        world = self.world
        merged = []
        for _, now, ticks in [*self.path(at), (at, self.inputs[number], 1)]:
            if merged and merged[-1][0] is now:
                merged[-1][1] += ticks
            else:
                merged.append([now, ticks])
        ms = 0
        for now, ticks in merged:
            lines.append("  from %7d ms, %5d tick%s: %s"
                         % (ms, ticks, " " if ticks == 1 else "s", now.name))
            ms += ticks * world.tick_ms
        return Broken("\n".join(lines))

    def dead_ends(self):
        """{faults: states from which the contactor can never be closed again}, those excepted
        whose fault only a technician clears. Nothing when the search is not complete.
        """
        if not self.complete:
            return {}
        before = [[] for _ in self.raws]
        for source, target in zip(self.source, self.target):
            before[target].append(source)
        alive = bytearray(self.driven)
        todo = [i for i, driven in enumerate(alive) if driven]
        while todo:
            for source in before[todo.pop()]:
                if not alive[source]:
                    alive[source] = 1
                    todo.append(source)
        return Counter(self.memory[i] for i, well in enumerate(alive)
                       if not well and not self.served[i])


def unreached(observed):
    """Lines on the conditions that were never true, never false or never asked."""
    for (line, _, text), seen in sorted(observed.items()):
        if len(seen) < 2:
            never = "never asked" if not seen else "never %s" % (not next(iter(seen)))
            yield "line %d: `%s` %s" % (line, text, never)


PROFILES = {"rp2040": (2, 20), "esp32": (10, 30)}


class Report:
    """Sums up explorations."""

    def __init__(self, about, out):
        self.about = about
        self.out = out
        self.searches = []
        self.start = time.monotonic()

    def add(self, name, search):
        self.searches.append(search)
        for memory, count in search.dead_ends().items():
            shown = [c for i, c in enumerate(search.world.codes) if memory >> i & 1]
            raise Broken("%d states with %s have no way back to charging (explored with: %s)"
                         % (count, ", ".join(shown) or "no fault", name))
        if not search.complete:
            self.out("  not to its end: %s" % name)

    def sum(self, field):
        return sum(getattr(search, field) for search in self.searches)

    def tell(self, planned, file, observed):
        self.out("%s: %d of %d sets of faults explored, %d to the end: %d states, %d transitions"
                 " (%d waits), %.0f s (%.0f s of processor)" % (
                     self.about, len(self.searches), planned, self.sum("complete"),
                     sum(len(search.raws) for search in self.searches), self.sum("transitions"),
                     self.sum("waits"), time.monotonic() - self.start, self.sum("spent_s")))
        self.out("  checked on %d samples; %d snapshots kept apart that looked like one state"
                 % (self.sum("checked"), self.sum("split")))
        for name in self.searches[0].world.unlisted:
            self.out("  a timer that is not in TIMERS: %s" % name)
        self.out("  branches of %s: %d of %d outcomes reached" % (
            file, sum(map(len, observed.values())), 2 * len(observed)))
        for line in unreached(observed):
            self.out("    " + line)


def explore(about, world, twin, sets, inputs, seconds, out):
    """Explores with each of `sets` of faults in turn, while there is time; returns the Report."""
    boot = world.save()
    told = Report(about, out)
    left_s = seconds
    for number, faults in enumerate(sets):
        if left_s <= 0:
            break
        # what one set does not need, the next may
        search = Explorer(world, inputs(faults), max(left_s / (len(sets) - number) * 4, 1), twin)
        world.load(boot)
        search.run()
        left_s -= search.spent_s
        told.add(", ".join(fault.name for fault in faults) or "no fault", search)
    return told


def explore_safety(
    seconds, profile="rp2040", ventilated=False, faults=2, text=None, out=print, only=None
):
    """Explores the core, or `text` in its place, in sets of up to so many `faults`, or with those
    named in `only`; returns the Report. Broken is raised on a broken rule.
    """
    firmware_path()
    name = "firmware.safety.core"
    observed = {}
    worlds = [World(load(name, text, observe), *PROFILES[profile], ventilated)
              for observe in (None, observed)]
    sets = list(fault_sets(faults))
    if only is not None:
        sets = [tuple(fault for fault in FAULTS if fault.name in only)]
    told = explore("safety alone", *worlds, sets, lambda s: list(alphabet(s)), seconds, out)
    told.tell(len(sets), "core.py", observed)
    return told


def outlet_alphabet(faults):
    for holding in ((), *((fault,) for fault in faults)):
        for level, action in itertools.product("ABC" if holding else "ABCE", ACTIONS):
            now = Input(level, "off", holding)
            now.action = action
            now.well = False  # the outlet may have its reasons
            now.name = ", ".join([level, *filter(None, (action, *(f.name for f in holding)))])
            yield now


def explore_outlet(seconds, profile="rp2040", text=None, out=print):
    """Explores the outlet with its core; returns the Report. Broken as above."""
    firmware_path()
    names = "firmware.safety.core", "firmware.outlet.ac", "firmware.energy.limits"
    observed = {}
    worlds = []
    for observe in (None, observed):
        core, limits = (load(name) for name in names[::2])
        outlet = load(names[1], text, observe)
        worlds.append(OutletWorld(core, outlet, limits, *PROFILES[profile]))
    sets = [(), *((fault,) for fault in FAULTS if fault.name in OUTLET_FAULTS)]
    told = explore("outlet with the core in the loop", *worlds, sets,
                   lambda s: list(outlet_alphabet(s)), seconds, out)
    told.tell(len(sets), "ac.py", observed)
    return told


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=280, help="of processor time (280)")
    parser.add_argument("--on", choices=("safety", "outlet"), help="only one of the two")
    parser.add_argument("--profile", choices=PROFILES, default="rp2040")
    parser.add_argument("--ventilated", action="store_true")
    parser.add_argument("--faults", type=int, default=2, choices=(0, 1, 2))
    parser.add_argument("--core", type=Path, help="another file in place of core.py")
    args = parser.parse_args(argv)
    text = args.core.read_text() if args.core else None
    try:
        left_s = args.seconds
        if args.on != "outlet":
            seconds = left_s if args.on else left_s * 2 // 3
            told = explore_safety(seconds, args.profile, args.ventilated, args.faults, text)
            left_s -= told.sum("spent_s")
        if args.on != "safety":
            explore_outlet(left_s, args.profile)
    except Broken as broken:
        print("BROKEN: %s" % broken)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
