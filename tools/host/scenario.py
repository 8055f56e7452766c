"""Scenario files of `pile.py sim`: what a scenario may say, as tables, and the check against them.

A new step is one line in STEPS here, and one in hal/virtual/scenario.py that does it. `load`
gives back the scenario with its own defaults filled in and the steps, as they were given (the
trace repeats them so), sorted by `at_ms`; steps of one instant keep the file's order. Times
(`at_ms`, `for_ms`, `until_ms`) may be fractional; they are kept to the microsecond.
"""

import difflib
import json

from firmware import config as fields

from .errors import BadInput

REQUIRED = object()
YEAR_MS = 366 * 86_400_000


class Field:
    """One field's type, range and default; `null` says what null means where null is allowed."""

    def __init__(self, default=REQUIRED, null=None):
        self.default = default
        self.null = null

    def expectation(self):
        """Complete the sentence 'expected ...'."""
        return self.kind() + (" or null (%s)" % self.null if self.null else "")

    def described(self):
        """For --help: what it may be, and its default."""
        if self.default is REQUIRED:
            return self.expectation() + "; must be given"
        return "%s; default %s" % (self.expectation(), json.dumps(self.default))

    def check(self, value, where):
        """Return the value in its normal form or raise BadInput that names `where`."""
        if value is None and self.null:
            return None
        return self.parse(value, where)

    def wrong(self, value, where):
        return BadInput("%s: expected %s, found %s" % (where, self.expectation(), shown(value)))


class Number(Field):
    """A number from `low` to `high`; whole numbers stay integers, others keep three decimals."""

    def __init__(self, low, high, unit="", default=REQUIRED, null=None):
        super().__init__(default, null)
        self.low, self.high, self.unit = low, high, unit

    def kind(self):
        return "a number from %s to %s%s" % (self.low, self.high, self.unit)

    def parse(self, value, where):
        # bool is an int in Python; the range test also turns away inf and nan
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not self.low <= value <= self.high:
            raise self.wrong(value, where)
        return int(value) if value == int(value) else round(value, 3)


class Whole(Number):
    """A whole number from `low` to `high`."""

    def kind(self):
        return "a whole number from %s to %s%s" % (self.low, self.high, self.unit)

    def parse(self, value, where):
        value = super().parse(value, where)
        if not isinstance(value, int):
            raise self.wrong(value, where)
        return value


class Flag(Field):
    """true or false."""

    def kind(self):
        return "true or false"

    def parse(self, value, where):
        if not isinstance(value, bool):
            raise self.wrong(value, where)
        return value


class Text(Field):
    """A text of 1 to 255 characters (OCPP's longest identifier)."""

    def kind(self):
        return "a text of 1 to 255 characters"

    def parse(self, value, where):
        if not isinstance(value, str) or not 1 <= len(value) <= 255:
            raise self.wrong(value, where)
        return value


class OneOf(Field):
    """One of a few words; `later` are words of the design that are not simulated yet."""

    def __init__(self, words, later=(), default=REQUIRED):
        super().__init__(default)
        self.words, self.later = words, later

    def kind(self):
        return "one of %s" % ", ".join(json.dumps(word) for word in self.words)

    def parse(self, value, where):
        if isinstance(value, str) and value in self.later:
            raise not_yet(where, value, self.expectation())
        if isinstance(value, bool) or value not in self.words:
            raise self.wrong(value, where)
        return value


class Json(Field):
    """Any JSON value: a backend may send what it likes, and the pile must bear it. The trace
    repeats it, which bounds its depth.
    """

    DEEPEST = 50

    def kind(self):
        return "a JSON value nested at most %d deep" % self.DEEPEST

    def parse(self, value, where):
        level = [value]
        for _ in range(self.DEEPEST):
            level = [item for part in level if isinstance(part, (list, dict))
                     for item in (part.values() if isinstance(part, dict) else part)]
            if not level:
                return value
        raise BadInput("%s: expected %s, found it deeper" % (where, self.expectation()))


class Members(Json):
    """A JSON object."""

    def kind(self):
        return "an object nested at most %d deep" % self.DEEPEST

    def parse(self, value, where):
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        return super().parse(value, where)


STEPS = {
    "plug": {"r_ohm": Whole(1, 1_000_000, " ohm", 2740), "diode": Flag(True),
             "pp_ohm": Whole(0, 1_000_000, " ohm", 220, "open")},
    "unplug": {},
    "ready": {},
    "pause": {},
    "vent": {},
    "ohms": {"value": Whole(0, 1_000_000, " ohm", null="open"),
             "for_ms": Number(0.001, YEAR_MS, " ms", None, "for good")},
    "diode": {"ok": Flag()},
    "card": {"uid": Text()},
    "draw": {"ma": Whole(0, 200_000, " mA", None, "follows the offer"), "obey": Flag(True)},
    "link": {"up": Flag()},
    "backend": {"message": Json(), "replayed": Flag(False)},
    "answer": {"action": Text(), "fields": Members()},
    # at least 50 ms lie between two wrong samples, hence at most 20 in a second
    "noise": {"outliers_per_s": Number(0, 20, " per second"),
              "mv": Whole(-20_000, 20_000, " mV", 0)},
    "cp_short": {"ohm": Whole(0, 1_000_000, " ohm", 80),
                 "for_ms": Number(0.001, YEAR_MS, " ms", None, "for good")},
    **{name: {"fault": Flag(True)} for name in (
        "rcd", "rcd_mute", "pe", "weld", "no_close", "lock", "meter", "reader", "estop", "door",
        "phase_loss", "adc_freeze", "tilt", "smoke", "no_output", "fram", "flash", "mute",
        "refuse")},
    "leak": {"ma": Whole(0, 80_000, " mA")},
    "limit": {"ma": Whole(0, 80_000, " mA"),
              "for_ms": Number(1, 2 ** 29 - 1, " ms", None, "for good"),
              "fallback_ma": Whole(0, 80_000, " mA", 0)},
    "limit_input": {"active": Flag(True)},
    "service": {},
    "adc_stuck": {"fault": Flag(True), "mv": Whole(-20_000, 20_000, " mV")},
    "temperature": {"c": Number(-50, 200, " C", null="sensor lost")},
    "mains": {"v": Number(0, 500, " V", 230), "hz": Number(0, 100, " Hz", 50)},
    "power": {"for_ms": Number(0.001, YEAR_MS, " ms")},
    "stall": {"for_ms": Number(0.001, YEAR_MS, " ms")},
    "clock": {"jump_s": Whole(-100 * 366 * 86_400, 100 * 366 * 86_400, " s")},
    "date": {"text": Text(null="the date")},
    "stall_main": {"for_ms": Number(0.001, YEAR_MS, " ms")},
}

# What each is, for --help.
ABOUT = {
    "plug": "the vehicle's plug goes in", "unplug": "it comes out",
    "ready": "the vehicle asks for current (882 ohm)", "pause": "it asks no more (2740 ohm)",
    "vent": "it asks, and wants ventilation (246 ohm)",
    "ohms": "any resistance behind the vehicle's diode", "diode": "shorted when not ok",
    "card": "held to the reader for 0.5 s", "draw": "what the vehicle takes",
    "link": "the line to the backend", "backend": "a message from it, live or as a replay",
    "answer": "what the backend says besides from now on, when it answers this action",
    "noise": "single wrong samples of the pilot", "cp_short": "from the pilot to earth",
    "rcd": "residual current flows", "rcd_mute": "its sensor fails its self-test",
    "pe": "the protective earth is lost", "weld": "the contactor's contacts stick together",
    "no_close": "the contactor does not close", "lock": "the plug's lock jams",
    "meter": "the energy meter is silent", "reader": "the card reader is silent",
    "estop": "the emergency stop is pressed", "door": "the enclosure is open",
    "phase_loss": "a phase is missing", "adc_freeze": "the pilot's samples stand still",
    "tilt": "the pile leans", "smoke": "smoke in the enclosure",
    "no_output": "no voltage behind the closed contactor",
    "leak": "a load's current past the open contactor, unseen by its mirror (not `rcd`)",
    "limit": "what a site allows, for good or for a time",
    "limit_input": "the grid operator's contact, which the field limit_input has",
    "service": "a technician was there",
    "adc_stuck": "the pilot's samples move, and read one value",
    "temperature": "at the contactor", "mains": "the supply",
    "power": "a cut; then the pile boots", "stall": "all of Python stops, as in a flash erase",
    "clock": "the wall clock jumps", "stall_main": "main loop and services stop",
    "fram": "the memory of the journal is silent", "flash": "every write finds it full",
    "mute": "the backend answers nothing, the broker does",
    "refuse": "it answers every message with an error", "date": "what it says as currentTime",
}

# Steps of a design that are not simulated yet.
LATER_STEPS = ()

# `outlet`, `outlets`, `standard`, `ventilated` and `config` are ours, beyond the design's format;
# so are the steps tilt, smoke, no_output, leak, limit, limit_input (and the field), service, fram,
# flash, mute, refuse, date, answer.
EVERY_STEP = {"at_ms": Number(0, YEAR_MS, " ms"), "do": Text(), "outlet": Whole(1, 4, "", 1)}

OUTLET = {
    "kind": OneOf(("ac",), ("dc", "socket", "bay"), "ac"),
    "max_a": Whole(6, 80, " A", 32),
    "cable": OneOf(("attached", "socket"), default="attached"),
    "standard": OneOf(("iec61851", "gbt18487"), default="iec61851"),
    "ventilated": Flag(False),
}

SCENARIO = {
    "until_ms": Number(1, YEAR_MS, " ms"),
    "seed": Whole(0, 2 ** 32 - 1, "", 0),
    "profile": OneOf(("rp2040", "esp32"), default="rp2040"),
    "ticks_start_ms": Whole(0, 2 ** 30 - 1, " ms", 0),
    "tick_ms": Number(1, 60_000, " ms", None, "the profile's own"),
    "phases": OneOf((1, 3), default=1),
    "outlets": Whole(1, 4, "", 1),
    "limit_input": Flag(False),
}


def vocabulary():
    """What a scenario may say, as text: its fields, then each step with its own."""
    lines = ["fields of a scenario (and \"steps\", a list):"]
    tables = (("", SCENARIO), ("outlet.", OUTLET))
    lines += ["  %s%s: %s" % (prefix, name, field.described())
              for prefix, table in tables for name, field in table.items()]
    lines += ["  config: an object; fields of config.json (firmware/config.py)",
              "", 'steps, each {"at_ms": ..., "do": NAME, ...}:']
    for name, table in sorted(STEPS.items()):
        lines.append("  %s: %s" % (name, ABOUT[name]))
        lines += ["      %s: %s" % (field_name, field.described())
                  for field_name, field in table.items()]
    return "\n".join(lines)


def shown(value):
    """A value as it stands in the file, short enough for one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def not_yet(where, value, alternative):
    return BadInput("%s: %s is not simulated yet; expected %s"
                    % (where, shown(value), alternative))


def guess(name, known):
    """Help with a misspelt name: the nearest one of the known."""
    near = difflib.get_close_matches(name, known, 1)
    return '; did you mean "%s"?' % near[0] if near else ""


def known_only(given, known, prefix):
    """Raise BadInput for the first field of `given` that is not among the known."""
    for name in given:
        if name not in known:
            raise BadInput("%s%s: expected one of the fields %s, found an unknown field%s"
                           % (prefix, name, ", ".join(known), guess(name, known)))


def fill(table, given, prefix):
    """Check the object `given` against a table of fields and return it with defaults filled in."""
    known_only(given, list(table), prefix)
    filled = {}
    for name, field in table.items():
        where = prefix + name
        if name in given:
            filled[name] = field.check(given[name], where)
        elif field.default is REQUIRED:
            raise BadInput("%s: expected %s, found nothing" % (where, field.expectation()))
        else:
            filled[name] = field.default
    return filled


def an_object(value, where):
    if not isinstance(value, dict):
        raise BadInput("%s: expected an object {...}, found %s" % (where, shown(value)))
    return value


def check_step(step, where):
    """Check one step and return it as given, its numbers in their normal form."""
    do = an_object(step, where).get("do")
    if do is None:
        raise BadInput('%s.do: expected a step\'s name such as "plug", found %s'
                       % (where, "null" if "do" in step else "nothing"))
    if do in LATER_STEPS:
        raise not_yet(where + ".do", do, "one of " + ", ".join(STEPS))
    if not isinstance(do, str) or do not in STEPS:
        raise BadInput("%s.do: expected one of %s, found %s%s"
                       % (where, ", ".join(STEPS), shown(do), guess(str(do), list(STEPS))))
    filled = fill(dict(EVERY_STEP, **STEPS[do]), step, where + ".")
    return {name: filled[name] for name in step}


def check(scenario):
    """Check a parsed scenario; returns it complete and sorted, or raises BadInput."""
    an_object(scenario, "the file")
    known_only(scenario, [*SCENARIO, "outlet", "config", "steps"], "")
    given = dict(scenario)
    outlet = an_object(given.pop("outlet", {}), "outlet")
    steps = given.pop("steps", [])
    config = an_object(given.pop("config", {}), "config")
    if not isinstance(steps, list):
        raise BadInput("steps: expected a list [...], found %s" % shown(steps))
    complete = fill(SCENARIO, given, "")
    complete["outlet"] = fill(OUTLET, outlet, "outlet.")
    try:
        fields.check(dict({"station_id": "CP-1"}, **config), "config")
    except ValueError as error:
        raise BadInput(str(error)) from None
    complete["config"] = config
    checked = [check_step(step, "steps[%d]" % index) for index, step in enumerate(steps)]
    for index, step in enumerate(checked):
        if step.get("outlet", 1) > complete["outlets"]:
            raise BadInput("steps[%d].outlet: expected at most %d (the field outlets), found %d"
                           % (index, complete["outlets"], step["outlet"]))
        if step["do"] == "limit_input" and not complete["limit_input"]:
            raise BadInput('steps[%d].do: expected "limit_input": true beside the steps, found %s'
                           % (index, shown(given.get("limit_input"))))
    complete["steps"] = sorted(checked, key=lambda step: step["at_ms"])
    return complete


def no_constant(name):
    raise ValueError("%s is no JSON number" % name)


def no_duplicates(pairs):
    seen = dict(pairs)
    if len(seen) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError('the field "%s" stands twice in one object' % twice)
    return seen


def load(path):
    """Read and check a scenario file; raises BadInput naming file, place and expectation."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
        return check(json.loads(text, parse_constant=no_constant, object_pairs_hook=no_duplicates))
    except OSError as error:
        raise BadInput("%s: expected a readable scenario file: %s"
                       % (path, error.strerror)) from None
    except UnicodeDecodeError as error:
        raise BadInput("%s: expected UTF-8 text, found byte 0x%02x at offset %d"
                       % (path, error.object[error.start], error.start)) from None
    except json.JSONDecodeError as error:
        raise BadInput("%s: line %d, column %d: expected JSON: %s"
                       % (path, error.lineno, error.colno, error.msg)) from None
    except RecursionError:
        raise BadInput("%s: expected a scenario, found JSON nested too deeply" % path) from None
    except ValueError as error:
        raise BadInput("%s: expected JSON: %s" % (path, error)) from None
    except BadInput as error:
        raise BadInput("%s: %s" % (path, error)) from None
