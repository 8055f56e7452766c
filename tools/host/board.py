"""Judge a board's file: every mistake by name, before anything is soldered or flashed.

`board check FILE` reads it by hal/boards/schema.json, has each chip's driver read its own fields,
and holds every pin against what the controller can do with it. Exit code 0: no mistake.
"""

import ast
import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

from .errors import BadInput

REPO = Path(__file__).resolve().parents[2]
BOARDS = REPO / "hal" / "boards"
SCHEMA = BOARDS / "schema.json"

# The roles that a chip can have, as in hal/mcu/common.py
CHIPS = ("meter", "billing", "thermometer", "socket", "lamp", "buzzer")
INPUTS = ("rcd", "estop", "earth", "live", "door", "tilt", "smoke")
KINDS = ("wifi", "ethernet", "modem")  # of a network's link, in the order of the schema


class Controller:
    """What the pins of a variant can do. `taken`: why a pin must not be used."""

    def __init__(self, mcu, pins, adc, uarts, i2cs, spis, **more):
        self.mcu = mcu
        self.pins = pins
        self.adc = adc  # usable at any time
        self.buses = {"uart": uarts, "i2c": i2cs, "spi": spis}
        self.adc2 = more.get("adc2", ())  # the Wi-Fi's while it is there
        self.inputs_only = more.get("inputs_only", ())
        self.high_at_boot = more.get("high_at_boot", ())
        self.taken = {}
        for pins_taken, why in more.get("taken", ()):
            self.taken.update(dict.fromkeys(pins_taken, why))
        self.wifi = more.get("wifi", True)


STRAPPING = "a strapping pin: its level at reset decides how the controller boots"
FLASH = "the flash memory's"
CONSOLE = "the console's"
_RP2040_PINS = range(30)
_RP2040_BUSES = (range(2), range(2), range(2))

# Sources: the data sheets of ESP32, ESP32-S3, ESP32-C3 ("Pin definitions", "Strapping pins"),
# RP2040 (table 2), Pico and Pico W.
CONTROLLERS = {
    "esp32": Controller(
        "esp32",
        (*range(20), *range(21, 24), *range(25, 28), *range(32, 40)),
        range(32, 40), range(1, 3), range(2), range(1, 3),
        adc2=(0, 2, 4, 12, 13, 14, 15, 25, 26, 27),
        inputs_only=range(34, 40),
        high_at_boot=(1, 3, 5, 14, 15),
        taken=(
            (range(6, 12), FLASH),
            ((0, 2, 5, 12, 15), STRAPPING),
            ((1, 3), CONSOLE),
            ((37, 38), "not led out of the module"),
        ),
    ),
    "esp32s3": Controller(
        "esp32",
        (*range(22), *range(26, 49)),
        range(1, 11), range(1, 3), range(2), range(1, 3),
        adc2=range(11, 21),
        taken=(
            (range(26, 33), FLASH),
            (range(33, 38), "the memory's in modules with octal flash or PSRAM"),
            ((0, 3, 45, 46), STRAPPING),
            ((19, 20), "the USB port's"),
            ((43, 44), CONSOLE),
        ),
    ),
    "esp32c3": Controller(
        "esp32",
        range(22),
        range(5), range(1, 2), range(1), range(1, 2),
        taken=(
            (range(11, 18), FLASH),
            ((2, 8, 9), STRAPPING),
            ((18, 19), "the USB port's"),
            ((20, 21), CONSOLE),
        ),
    ),
    "rp2040": Controller("rp2040", _RP2040_PINS, range(26, 30), *_RP2040_BUSES, wifi=False),
    "pico": Controller(
        "rp2040", _RP2040_PINS, range(26, 30), *_RP2040_BUSES, wifi=False,
        taken=(((23, 24, 29), "the Pico's own supply's"),),
    ),
    "picow": Controller(
        "rp2040", _RP2040_PINS, range(26, 30), *_RP2040_BUSES,
        taken=(((23, 24, 25, 29), "the Wi-Fi chip's"),),
    ),
}  # fmt: skip
# The RMII pins of an ESP32, which cannot be chosen
RMII = (19, 21, 22, 25, 26, 27)


def arguments(parser):
    """Declare the sub-command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("check", help="name every mistake of a board's file")
    action.add_argument("file", metavar="FILE", help="the board's file, or a name of hal/boards")


def main(args):
    """Run the sub-command; returns the exit code."""
    path = find(args.file)
    spec = load(path)
    found = check(spec)
    for mistake in found:
        print("%s: %s" % (path, mistake), file=sys.stderr)
    if found:
        print("%s: %d mistake%s" % (path, len(found), "s" * (len(found) > 1)), file=sys.stderr)
        return 1
    print(
        "%s: no mistake; %d outlet%s, %d pins, chips: %s"
        % (
            path,
            len(spec["outlets"]),
            "s" * (len(spec["outlets"]) > 1),
            len(pins(spec)),
            ", ".join(sorted({chip["chip"] for _, chip, _ in chips(spec)})) or "none",
        )
    )
    return 0


def find(name):
    """The path of the board's file `name`: a path, or the name of one in hal/boards."""
    path = Path(name)
    if not path.exists() and (BOARDS / (name + ".json")).exists():
        path = BOARDS / (name + ".json")
    return path


def names():
    """The names of the reference boards."""
    return sorted(path.stem for path in BOARDS.glob("*.json") if path != SCHEMA)


def load(path):
    """The board's file as an object. Raises BadInput."""
    try:
        spec = json.loads(Path(path).read_text())
    except OSError as error:
        raise BadInput("%s: expected a board's file, found %s" % (path, error.strerror)) from None
    except ValueError as error:
        raise BadInput("%s: not JSON: %s" % (path, error)) from None
    if not isinstance(spec, dict):
        raise BadInput("%s: expected a JSON object" % path)
    return spec


def chips(spec):
    """(where it stands, its object, phases) of each chip of the board `spec`."""
    for i, outlet in enumerate(spec["outlets"]):
        for role in CHIPS:
            if role in outlet:
                yield "outlets[%d].%s" % (i, role), outlet[role], outlet.get("phases", 1)
    for role in ("reader", "memory", "limit_input"):
        if role in spec:
            yield role, spec[role], 1


def modules(spec):
    """The modules of hal that the board `spec` needs, sorted: what to compile and to copy beside
    boot, main and firmware. A virtual board's are not among them.
    """
    wanted = ["hal", "hal.mcu." + spec["mcu"]]
    wanted += ["hal.begin", "hal.mcu.rtc", "hal.mcu.secrets"]  # imported within functions
    for _, chip, _ in chips(spec):
        wanted += ["hal.chips." + chip["chip"], "hal.chips.spec", "hal.chips.spec_" + chip["chip"]]
    if any("billing" in outlet for outlet in spec["outlets"]):
        wanted.append("hal.mcu.billed")
    wanted += ["hal.mcu.network_" + link["kind"] for link in spec.get("network", ())]
    found = set()
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        path = source(name)
        if path is None:
            continue
        found.add(name)
        if "." in name:
            wanted.append(name.rpartition(".")[0])
        wanted += imports(path)
    return sorted(found)


def source(name):
    """The file of a module below hal; None when there is none."""
    base = REPO / name.replace(".", "/")
    return next((f for f in (base / "__init__.py", base.with_suffix(".py")) if f.exists()), None)


def imports(path):
    """The modules of hal that the file `path` imports at its beginning."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] + ["%s.%s" % (node.module, a.name) for a in node.names]
        else:
            continue
        yield from (n for n in names if n.split(".")[0] == "hal" and source(n))


def schema_mistakes(spec):
    """What hal/boards/schema.json finds, each once, as "field: problem"."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    found = {}  # an object that lacks two fields is two errors, which both name both
    for error in sorted(validator.iter_errors(spec), key=lambda e: [str(p) for p in e.path]):
        found.update(dict.fromkeys(schema_mistake(error)))
    return list(found)


def schema_mistake(error):
    where = list(error.absolute_path)
    if error.validator == "oneOf":
        # of the alternatives, the one that its "kind" names; without one, another error says so
        if not isinstance(error.instance, dict) or "kind" not in error.instance:
            return
        kind = error.instance["kind"]
        if kind not in KINDS:
            at = place([*where, "kind"])
            yield "%s: expected wifi, ethernet or modem, found %r" % (at, kind)
        for other in error.context:
            if kind in KINDS and other.schema_path[0] == KINDS.index(kind):
                yield from schema_mistake(other)
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield "%s: missing" % place([*where, name])
    elif error.validator == "additionalProperties":
        patterns = error.schema.get("patternProperties", {})
        for name in error.instance:
            known = name in error.schema.get("properties", {})
            if not known and not any(re.search(pattern, name) for pattern in patterns):
                yield "%s: no such field" % place([*where, name])
    elif error.validator == "pattern" and "description" in error.schema:
        yield "%s: expected %s, found %r" % (
            place(where), error.schema["description"], error.instance)
    else:
        yield "%s: %s" % (place(where), error.message)


def place(path):
    """outlets[0].pilot.adc for ("outlets", 0, "pilot", "adc")."""
    text = ""
    for part in path:
        text += "[%d]" % part if isinstance(part, int) else "." * bool(text) + str(part)
    return text or "the file"


class Recorder:
    """The role `Buses`: notes what a driver asks for, and leads nowhere."""

    def __init__(self):
        self.where = ""
        self.uses = []  # (pin, where, kind): pwm, adc, output, coil, input, up, or of a bus
        self.buses = []  # (kind, number, {signal: pin}, where)

    def use(self, pin, name, kind):
        if type(pin) is not int:
            raise ValueError("%s: expected a pin's number, found %r" % (name, pin))
        self.uses.append((pin, "%s.%s" % (self.where, name), kind))

    def named(self, spec, pin):
        # the field that has the pin which the driver asks for; 30 may be a percentage too
        named = [n for n, v in spec.items() if v == pin and type(v) is int]
        return named[0] if len(named) == 1 else "pin"

    def bus(self, kind, spec, signals):
        number = spec[kind]
        if type(number) is not int:
            raise ValueError("%s: expected its number, found %r" % (kind, number))
        pins = {signal: spec[signal] for signal in signals}
        for signal, pin in pins.items():
            self.use(pin, signal, (kind, number, signal))
        self.buses.append((kind, number, pins, self.where))
        return Nowhere()

    def uart(self, spec, baud, parity=None, stop=1):
        return self.bus("uart", spec, ("tx", "rx"))

    def i2c(self, spec, hz=400000):
        return self.bus("i2c", spec, ("scl", "sda"))

    def spi(self, spec, hz, polarity=0, phase=0):
        bus = self.bus("spi", spec, ("sck", "mosi", "miso"))
        self.use(spec["cs"], "cs", "output")
        return bus, Nowhere()

    def output(self, pin, value=0):
        self.use(pin, self.named(self.spec, pin), "output")
        return Nowhere()

    def input(self, pin, pull_up=True):
        self.use(pin, self.named(self.spec, pin), "up" if pull_up else "input")
        return Nowhere()

    def adc(self, pin):
        self.use(pin, self.named(self.spec, pin), "adc")
        return Nowhere()

    def onewire(self, pin):
        return self.output(pin)

    def pixels(self, pin, n):
        return self.output(pin)


class Told(dict):
    """A chip's object of the board file, that knows which of its fields its driver has read: a
    misspelt one would leave the default in force.
    """

    def __init__(self, given):
        super().__init__((name, Told(value) if isinstance(value, dict) else value)
                         for name, value in given.items())
        self._read = {"chip", "why"}

    def unread(self):
        """The names of the others, with those of the objects inside."""
        names = [name for name in self if name not in self._read]
        return names + ["%s.%s" % (name, inner) for name, value in self.items()
                        if name in self._read and isinstance(value, Told)
                        for inner in value.unread()]

    def get(self, name, default=None):
        self._read.add(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self._read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self._read.add(name)
        return super().__contains__(name)


class Nowhere:
    """The other end of a bus that nobody is at."""

    def __call__(self, *_):
        return 0

    def __getattr__(self, name):
        return lambda *_, **__: 0


def driver(name):
    """The module of the chip `name`; None when there is no such file."""
    if not (REPO / "hal" / "chips" / (name + ".py")).exists():
        return None
    # A site-packages of ours has a `micropython` too, which is no stand-in.
    module = sys.modules.get("micropython")
    if not hasattr(module, "const"):
        sys.modules.pop("micropython", None)
        sys.path.insert(0, str(REPO / "tools" / "shim"))
        importlib.import_module("micropython")
    return importlib.import_module("hal.chips." + name)


def record(spec):
    """(the Recorder of all that the board `spec` uses, mistakes that the drivers found)."""
    recorder = Recorder()
    found = []
    for i, outlet in enumerate(spec["outlets"]):
        at = "outlets[%d]" % i
        recorder.where = at + ".pilot"
        recorder.use(outlet["pilot"]["pwm"], "pwm", "pwm")
        recorder.use(outlet["pilot"]["adc"], "adc", "adc")
        recorder.where = at + ".contactor"
        for name, kind in (
            ("drive", "coil"),
            ("hold", "coil"),
            ("shunt", "coil"),
            ("mirror", "up"),
        ):
            if name in outlet["contactor"]:
                recorder.use(outlet["contactor"][name], name, kind)
        recorder.where = at + ".inputs"
        for name in (*INPUTS, "test"):
            if name in outlet.get("inputs", {}):
                recorder.use(outlet["inputs"][name], name, "output" if name == "test" else "up")
    for where, chip, phases in chips(spec):
        recorder.where = where
        recorder.spec = chip
        module = driver(chip["chip"])
        if module is None:
            found.append("%s.chip: no hal/chips/%s.py" % (where, chip["chip"]))
            continue
        told = Told(chip)
        if where.endswith((".meter", ".billing")):
            told.pop("nameplate", None)  # the receipt's, by the schema
        try:
            module.make(recorder, told, phases)
            found += ["%s.%s: no such field of a %s" % (where, name, chip["chip"])
                      for name in told.unread()]
        except KeyError as error:
            found.append("%s.%s: missing" % (where, error.args[0]))
        except (TypeError, ValueError) as error:
            found.append("%s.%s" % (where, error))
    for i, link in enumerate(spec.get("network", ())):
        recorder.where = "network[%d]" % i
        recorder.spec = link
        if link["kind"] == "modem":
            recorder.uart(link, 115200)
        elif "spi" in link:
            missing = [n for n in ("sck", "mosi", "miso", "cs") if n not in link]
            found += ["%s.%s: missing" % (recorder.where, name) for name in missing]
            if not missing:
                recorder.spi(link, 20000000)
        for name in ("mdc", "mdio", "ref_clk", "power", "reset"):
            if name in link:
                recorder.use(link[name], name, "output")
        if "int" in link:
            recorder.use(link["int"], "int", "input")
        if link["kind"] == "ethernet" and "mdc" in link:
            for pin in RMII:
                recorder.use(pin, "RMII", "output")
    return recorder, found


def pins(spec):
    """{pin: [where it is used, ...]} of the board `spec`, one without mistakes."""
    used = {}
    for pin, where, _ in record(spec)[0].uses:
        used.setdefault(pin, []).append(where)
    return used


def check(spec):
    """Every mistake of the board `spec`, as "field: what is wrong". Those of its shape hide the
    others.
    """
    found = schema_mistakes(spec)
    if found:
        return found
    controller = CONTROLLERS[spec["variant"]]
    if controller.mcu != spec["mcu"]:
        return ["variant: expected one of mcu %s, found %s" % (spec["mcu"], spec["variant"])]
    recorder, found = record(spec)
    complete = not found
    found += pin_mistakes(spec, controller, recorder)
    found += bus_mistakes(controller, recorder)
    if spec["mcu"] == "rp2040":
        found += rp2040_mistakes(spec, recorder)
    found += deadman_mistakes(spec)
    for i, outlet in enumerate(spec["outlets"]):
        found += outlet_mistakes(spec, controller, outlet, "outlets[%d]" % i)
    if spec.get("sells_energy", True) and "memory" not in spec:
        found.append(
            "memory: missing: a board that sells energy keeps its journal in FRAM, for "
            "flash cannot be written while a contactor is closed"
        )
    for i, link in enumerate(spec.get("network", ())):
        found += network_mistakes(controller, link, "network[%d]" % i)
    if complete:
        found += explanation_mistakes(spec, recorder)
    return found


def pin_mistakes(spec, controller, recorder):
    wifi = any(link["kind"] == "wifi" for link in spec.get("network", ()))
    seen = {}
    for pin, where, kind in recorder.uses:
        if pin not in controller.pins:
            yield "%s: pin %d: %s has no such pin" % (where, pin, spec["variant"])
            continue
        if pin in seen and (
            seen[pin][1] != kind or not isinstance(kind, tuple) or kind[0] == "uart"
        ):
            yield "%s: pin %d: used twice, by %s too" % (where, pin, seen[pin][0])
        repeated = pin in seen
        seen.setdefault(pin, (where, kind))
        if repeated:
            continue
        if pin in controller.taken:
            yield "%s: pin %d: %s" % (where, pin, controller.taken[pin])
        drives = (
            kind in ("output", "coil", "pwm")
            or isinstance(kind, tuple)
            and kind[2] not in ("rx", "miso")
        )
        if drives and pin in controller.inputs_only:
            yield "%s: pin %d: input only, expected one that can drive" % (where, pin)
        if kind == "up" and pin in controller.inputs_only:
            yield (
                "%s: pin %d: has no pull-up inside: a broken wire would not be seen" % (where, pin)
            )
        if kind == "coil" and pin in controller.high_at_boot:
            yield "%s: pin %d: high while the controller boots" % (where, pin)
        if kind == "adc" and pin in controller.adc2:
            if wifi or where.endswith("pilot.adc"):
                yield (
                    "%s: pin %d: of converter 2, which %s: expected one of %s"
                    % (
                        where,
                        pin,
                        "Wi-Fi stops" if wifi else "the port gives to Wi-Fi",
                        several(p for p in controller.adc if p not in controller.taken),
                    )
                )
        elif kind == "adc" and pin not in controller.adc:
            yield "%s: pin %d: not the converter's, expected one of %s" % (
                where,
                pin,
                several(p for p in controller.adc if p not in controller.taken),
            )


def several(numbers):
    return ", ".join(str(number) for number in numbers)


def bus_mistakes(controller, recorder):
    first = {}
    for kind, number, signals, where in recorder.buses:
        if number not in controller.buses[kind]:
            yield "%s.%s: %d: expected one of %s" % (
                where,
                kind,
                number,
                several(controller.buses[kind]),
            )
        if (kind, number) not in first:
            first[kind, number] = signals, where
            continue
        signals_before, before = first[kind, number]
        if kind == "uart":
            yield "%s.uart: %d: used twice, by %s too" % (where, number, before)
        for signal, pin in signals.items():
            if kind != "uart" and signals_before[signal] != pin:
                yield "%s.%s: pin %d: %s has pin %d for the same bus" % (
                    where,
                    signal,
                    pin,
                    before,
                    signals_before[signal],
                )


def rp2040_bus(kind, signal, pin):
    """The number of the bus that has `signal` on `pin` (RP2040 data sheet, table 2), or None."""
    if kind == "uart":
        return (pin + 4) // 8 % 2 if pin % 4 == ("tx", "rx").index(signal) else None
    if kind == "i2c":
        return pin // 2 % 2 if pin % 2 == ("sda", "scl").index(signal) else None
    return pin // 8 % 2 if pin % 4 == {"miso": 0, "sck": 2, "mosi": 3}[signal] else None


def rp2040_mistakes(spec, recorder):
    for kind, number, signals, where in recorder.buses:
        for signal, pin in signals.items():
            if pin < 30 and rp2040_bus(kind, signal, pin) != number:
                yield "%s.%s: pin %d: cannot be %s %d's %s, expected one of %s" % (
                    where,
                    signal,
                    pin,
                    kind.upper(),
                    number,
                    signal,
                    several(p for p in range(30) if rp2040_bus(kind, signal, p) == number),
                )
    outlets = spec["outlets"]
    slices = {}
    for i, outlet in enumerate(outlets):
        pin = outlet["pilot"]["pwm"]
        if pin % 16 in slices:
            yield (
                "outlets[%d].pilot.pwm: pin %d: PWM channel of outlets[%d] too (pins 16 apart)"
                % (i, pin, slices[pin % 16])
            )
        slices.setdefault(pin % 16, i)
    taken = len({pin // 2 for pin in slices})
    if taken > 6:
        yield (
            "outlets: pilots in %d PWM slices, expected at most 6: the sampling needs two" % taken
        )
    if len(outlets) > 4:
        yield "outlets: %d, expected at most 4: a hold takes a state machine of PIO 0" % len(
            outlets
        )
    others = sum(
        1 for _, where, kind in recorder.uses if kind == "adc" and not where.endswith(".pilot.adc")
    )
    if others > 4:
        yield "outlets: %d analogue inputs beside the pilots, expected at most 4" % others
    wifi = 2 if any(link["kind"] == "wifi" for link in spec.get("network", ())) else 0
    channels = 4 * len(outlets) + (2 if others else 0) + wifi
    if channels > 12:
        yield (
            "outlets: %d DMA channels, expected at most 12: 4 an outlet, 2 for other analogue "
            "inputs, 2 for Wi-Fi" % channels
        )


def hold_ms(spec):
    """The longest from the last feed until the coil is off, as hal/mcu has it."""
    deadman = spec["deadman"]
    waiting = 1 if spec["mcu"] == "rp2040" else 0
    return deadman.get("pulses", 20) + waiting + deadman["release_ms"]


def deadman_mistakes(spec):
    deadman = spec["deadman"]
    most = 31 if spec["mcu"] == "rp2040" else 40
    if deadman.get("pulses", 20) > most:
        yield "deadman.pulses: expected 1 to %d, found %d" % (most, deadman["pulses"])
    window_ms = deadman.get("window_ms", 60)
    if hold_ms(spec) > window_ms:
        yield (
            "deadman.window_ms: the hold may last %d ms after the last feed, expected at most %d"
            % (hold_ms(spec), window_ms)
        )


def outlet_mistakes(spec, controller, outlet, at):
    contactor = outlet["contactor"]
    inputs = outlet.get("inputs", {})
    if "hold" not in contactor:
        yield (
            at + ".contactor.hold: missing: not fail-safe: nothing opens the contactor when the "
            "firmware stands still"
        )
    if "mirror" not in contactor:
        yield at + ".contactor.mirror: missing: a welded contactor would not be seen"
    if "rcd" not in inputs:
        yield at + ".inputs.rcd: missing: residual current would not be seen"
    elif "test" not in inputs:
        yield at + ".inputs.test: missing: the residual-current sensor could not be tested"
    if "meter" not in outlet:
        yield at + ".meter: missing: neither over-current nor energy would be seen"
    if "thermometer" not in outlet:
        yield at + ".thermometer: missing: a hot contact would not be seen"
    for name in inputs.get("active_low", ()):
        if name not in inputs:
            yield "%s.inputs.active_low: %s is no input of this board" % (at, name)
    max_ma = outlet["max_ma"]
    for field, most, what in (
        ("contactor.rated_ma", contactor["rated_ma"], "the contactor's rating"),
        ("wiring_ma", outlet["wiring_ma"], "the board's rating"),
        ("cable_ma", outlet.get("cable_ma", max_ma), "the cable's rating"),
    ):
        if max_ma > most:
            yield "%s.max_ma: %d is above %s, %s %d" % (at, max_ma, what, field, most)
    if outlet.get("cable_ma", 0) > outlet["wiring_ma"]:
        yield "%s.cable_ma: %d is above the board's rating, wiring_ma %d" % (
            at,
            outlet["cable_ma"],
            outlet["wiring_ma"],
        )
    if "socket" in outlet and "cable_ma" in outlet:
        yield at + ".cable_ma: a socket has no attached cable"
    if "socket" not in outlet and "cable_ma" not in outlet:
        yield at + ".cable_ma: missing: without a socket the cable is attached"
    if controller.mcu == "esp32" and max_ma > 48000:
        yield (
            "%s.max_ma: %d, but above 48000 this controller's sampling cannot prove the "
            "vehicle's diode" % (at, max_ma)
        )
    if outlet.get("standard") == "gbt18487" and max_ma > 63000:
        yield "%s.max_ma: %d, but GB/T 18487.1 ends at 63000" % (at, max_ma)
    yield from pilot_mistakes(controller, outlet["pilot"], at + ".pilot")


def pilot_mistakes(controller, pilot, at):
    zero_mv, span_mv = pilot["zero_mv"], pilot["full_mv"] - pilot["zero_mv"]
    least, most = (150, 2900) if controller.mcu == "esp32" else (0, 3300)
    for mv in (-12600, 12600):
        pin_mv = (mv - zero_mv) * 3300 // span_mv if span_mv else -1
        if not least <= pin_mv <= most:
            yield (
                "%s: %d mV of the pilot put %d mV on the pin, expected %d to %d, what can be read"
                % (at, mv, pin_mv, least, most)
            )


def network_mistakes(controller, link, at):
    kind = link["kind"]
    if kind == "wifi" and not controller.wifi:
        yield at + ".kind: this controller has no Wi-Fi"
    if kind == "ethernet":
        spi = link["phy"] == "W5500"
        if spi and "spi" not in link:
            yield at + ".spi: missing: a W5500 is on SPI"
        if not spi and controller is not CONTROLLERS["esp32"]:
            yield "%s.phy: %s, but only the ESP32 has RMII: expected W5500" % (at, link["phy"])
        elif not spi:
            for name in ("mdc", "mdio"):
                if name not in link:
                    yield "%s.%s: missing: it is how the controller talks to the PHY" % (at, name)


def explanation_mistakes(spec, recorder):
    if "pins" not in spec:
        return
    used = {pin: where for pin, where, _ in reversed(recorder.uses)}
    for pin in sorted(used):
        if str(pin) not in spec["pins"]:
            yield "pins.%d: missing: %s uses it" % (pin, used[pin])
    for pin in spec["pins"]:
        if int(pin) not in used:
            yield "pins.%s: nothing uses it" % pin
