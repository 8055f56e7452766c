"""Compare a board's meter with a reference meter, and calibrate it in the board's file.

The pile runs meanwhile, as under `monitor`: current and power want a steady load, and of several
phases power wants it on one alone. Give what the reference meter shows while the readings are
taken. With --write the new gains go into the board's file, and `flash` takes them to the board.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

from . import board as checker
from . import build, flash, monitor, port
from .errors import BadInput, Failed

# quantity: (unit, its cell in hal.roles.Meter, in thousandths; what is not there when it is 0)
QUANTITIES = {"voltage": ("V", 4, "no mains"), "current": ("A", 7, "no load flows"),
              "power": ("W", 10, "no load flows")}
# These chips calculate power from calibrated voltage and current: it changes with those gains.
POWER_FOLLOWS = ("atm90e32",)
READINGS = 10
FRESH_MS = 1000  # hal.roles.Meter
APART_MS = 100  # a reading's moment, from its age, is not known better
STEADY = 100  # readings may differ by a hundredth
LEAST = 10  # below a tenth of the reference there is nothing to calibrate
OTHER_MA = 100  # on the other phases, while power is calibrated
MOST_PPM = 500000  # hal.chips.spec.gain_ppm

_OUTLETS = """
import json
try:
    print(json.dumps(json.load(open("board.json")).get("outlets", [])))
except (OSError, ValueError):
    print("[]")
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.add_argument("--board", metavar="NAME|FILE", required=True,
                        help="what was flashed: a file of hal/boards, `virtual`, or a file")
    port.argument(parser)
    parser.add_argument("--outlet", type=int, default=1, metavar="N", help="from 1 (default: 1)")
    parser.add_argument("--phase", type=int, default=1, metavar="N", help="from 1 (default: 1)")
    for quantity, (unit, _, _) in QUANTITIES.items():
        parser.add_argument("--" + quantity, type=thousandths, metavar=unit,
                            help="what the reference meter shows")
    parser.add_argument("--wait", dest="wait_s", type=float, default=60, metavar="S",
                        help="how long a steady load may be awaited (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write the board's FILE")


def thousandths(text):
    """A reference value in mV, mA or mW."""
    try:
        value = round(float(text) * 1000)
    except (OverflowError, ValueError):
        value = 0
    if value <= 0:
        raise argparse.ArgumentTypeError("expected a number above 0, found %r" % text)
    return value


def shown(quantity, value):
    """`value`, in thousandths, for people."""
    return "%.3f %s" % (value / 1000, QUANTITIES[quantity][0])


def meter_of(path, spec, args):
    """(the meter's object in the board `spec`, phases of the outlet) that `args` names."""
    outlets = spec.get("outlets", ())
    if not 1 <= args.outlet <= len(outlets):
        raise BadInput("--outlet: expected 1 to %d, the outlets of %s, found %d"
                       % (len(outlets), path, args.outlet))
    outlet = outlets[args.outlet - 1]
    phases = outlet.get("phases", 1)
    if not 1 <= args.phase <= phases:
        raise BadInput("--phase: expected 1 to %d, the phases of outlet %d, found %d"
                       % (phases, args.outlet, args.phase))
    if "meter" not in outlet:
        raise BadInput("--board: %s: outlets[%d].meter: expected a meter, found none"
                       % (path, args.outlet - 1))
    return outlet["meter"], phases


def takes(meter, phases, quantity):
    """Whether the driver of the chip `meter` reads a calibration of `quantity`."""
    module = checker.driver(meter.get("chip", ""))
    if module is None:
        return False
    recorder = checker.Recorder()
    recorder.spec = meter
    try:
        module.make(recorder, {**meter, "calibration": {quantity: None}}, phases)
    except ValueError as error:
        return str(error).startswith("calibration")
    except KeyError:
        pass
    return False


class Readings:
    """The last fresh readings of an outlet, by quantity, in thousandths. `wanted`: the references
    of those that are to be read.
    """

    def __init__(self, outlet, phase, wanted):
        self._outlet = outlet
        self._phase = phase
        self._wanted = wanted
        self._at_ms = None
        self.obstacle = "expected a look at the pile, found none; reset it and try again"
        self.kept = []

    def take(self, seen):
        """Take a look, as of monitor.watch; whether there are enough steady readings. `obstacle`
        says what is in the way.
        """
        cells = seen["outlets"][self._outlet - 1]["meter"]
        at_ms = seen["ms"] - cells[2]
        if cells[2] >= FRESH_MS:
            self._at_ms = None
        elif self._at_ms is not None and abs(at_ms - self._at_ms) < APART_MS:
            return False  # the same again
        else:
            self._at_ms = at_ms
        self.obstacle = self._hindrance(seen, cells)
        if self.obstacle:
            self.kept.clear()
            return False
        self.kept.append({quantity: self._value(quantity, cells) for quantity in self._wanted})
        del self.kept[:-READINGS]
        self.obstacle = self._unsteady()
        return len(self.kept) == READINGS and not self.obstacle

    def sum(self, quantity):
        """Of all that is kept."""
        return sum(reading[quantity] for reading in self.kept)

    def _value(self, quantity, cells):
        return cells[QUANTITIES[quantity][1] + (self._phase - 1) * (quantity != "power")]

    def _hindrance(self, seen, cells):
        if cells[2] >= FRESH_MS:
            return ("outlet %d: expected a meter's reading of the last %d ms, found %s; check the"
                    " meter's supply and wiring"
                    % (self._outlet, FRESH_MS,
                       "one of %d ms ago" % cells[2] if cells[2] < 1 << 29 else "none ever"))
        for quantity, true in self._wanted.items():
            value = self._value(quantity, cells)
            if abs(value) * LEAST < true:
                return ("outlet %d: %s: expected about %s, found %s: %s (%s); let it flow"
                        % (self._outlet, quantity, shown(quantity, true), shown(quantity, value),
                           QUANTITIES[quantity][2],
                           "; ".join(seen["why"][self._outlet - 1]) or "the pile sees no reason"))
        for i, ma in enumerate(cells[7:10]):
            if "power" in self._wanted and i + 1 != self._phase and ma > OTHER_MA:
                return ("outlet %d: power: expected a load on L%d alone, found %s on L%d: the"
                        " meter tells the power of all; load one phase"
                        % (self._outlet, self._phase, shown("current", ma), i + 1))
        return ""

    def _unsteady(self):
        for quantity in self._wanted:
            values = [reading[quantity] for reading in self.kept]
            if (max(values) - min(values)) * STEADY > abs(values[-1]):
                return ("outlet %d: %s: expected it steady within %d %%, found %s to %s; let the"
                        " load settle" % (self._outlet, quantity, 100 // STEADY,
                                          shown(quantity, min(values)),
                                          shown(quantity, max(values))))
        return ""


def read(board, readings, wait_s):
    """Run the pile until `readings` are complete, telling what they wait for."""
    end = time.monotonic() + wait_s
    told = ""
    with port.bar("reading", READINGS) as advance:
        before = 0

        def heard(seen):
            nonlocal told, before
            complete = readings.take(seen)
            advance(len(readings.kept) - before)
            before = len(readings.kept)
            if complete:
                raise monitor.Enough
            # what is found differs each time
            kind = readings.obstacle.partition("found")[0]
            if kind and kind != told:
                print("waiting: " + readings.obstacle, flush=True)
            told = kind or told
            if readings.obstacle and time.monotonic() > end:
                raise Failed(readings.obstacle)

        monitor.watch(board, heard)


def gains(meter, phase, wanted, readings):
    """{quantity: (old ppm, new ppm)} by the sums of `readings`."""
    spec = checker.driver("spec")
    found = {}
    follow, followed = 1, 1
    for quantity, true in wanted.items():
        old = spec.gain_ppm(meter, quantity, phase - 1)
        value, true = readings.sum(quantity), true * len(readings.kept)
        if quantity == "power":
            value = value * follow // followed
        try:
            new = spec.calibrated_ppm(value, true, old)
            if abs(new) > MOST_PPM:
                raise ValueError
        except ValueError:
            raise Failed("%s: expected within 50 %% of %s, found %s with %d ppm: that is no"
                         " calibration any more; check the reference, --outlet and --phase, how"
                         " the current sensor is turned, and the wiring that the board's file"
                         " gives the meter"
                         % (quantity, shown(quantity, wanted[quantity]),
                            shown(quantity, value // len(readings.kept)), old)) from None
        if meter["chip"] in POWER_FOLLOWS:
            follow *= 1000000 + new
            followed *= 1000000 + old
        found[quantity] = old, new
    return found


def table(wanted, readings, found):
    """What was found, as lines."""
    yield "%-9s%13s%13s%10s%10s" % ("quantity", "shown", "reference", "old ppm", "new ppm")
    for quantity, (old, new) in found.items():
        mean = readings.sum(quantity) / len(readings.kept)
        yield "%-9s%13s%13s%10d%10d" % (quantity, shown(quantity, mean),
                                        shown(quantity, wanted[quantity]), old, new)


def calibration(meter, phases, phase, found):
    """The object "calibration" of `meter` with what was `found`; of several phases as lists."""
    gain_ppm = checker.driver("spec").gain_ppm
    made = dict(meter.get("calibration", {}))
    for quantity, (_, new) in found.items():
        ppm = [gain_ppm(meter, quantity, i) for i in range(phases)]
        ppm[phase - 1] = new
        made[quantity] = ppm if phases > 1 else new
    return made


def span(text, path, at=0):
    """(begin, end) of the value at `path`, of names and indices that are there, in JSON."""
    decoder = json.JSONDecoder()

    def skip(at):
        return re.compile(r"\s*").match(text, at).end()

    at = skip(at)
    if not path:
        return at, decoder.raw_decode(text, at)[1]
    named = text[at] == "{"
    i = 0
    while True:
        at = skip(at + 1)
        key = i
        if named:
            key, at = decoder.raw_decode(text, at)
            at = skip(skip(at) + 1)
        if key == path[0]:
            return span(text, path[1:], at)
        at = skip(decoder.raw_decode(text, at)[1])
        i += 1


def replaced(text, outlet, made):
    """The board's file `text` with the calibration `made`, all else as it stands there."""
    path = ("outlets", outlet - 1, "meter")
    begin, end = span(text, path)
    value = json.dumps(made)
    if "calibration" in json.loads(text[begin:end]):
        begin, end = span(text, (*path, "calibration"))
        return text[:begin] + value + text[end:]
    before = text[: end - 1].rstrip()
    return '%s, "calibration": %s%s' % (before, value, text[len(before) :])


def writable(path):
    """Raises BadInput when `path` is not to be written."""
    if path.resolve().parent in (checker.BOARDS, build.VIRTUAL.parent):
        raise BadInput("--write: expected a board's file of your own, found the reference board"
                       " %s; copy it first, and flash the copy" % path)
    if not os.access(path, os.W_OK):
        raise BadInput("--write: expected a file that can be written, found %s" % path)


def main(args):
    """Run the sub-command; returns the exit code."""
    path, spec = build.load_board(args.board)
    flash.refuse_mistakes(path, spec)
    if args.write:
        writable(path)
    meter, phases = meter_of(path, spec, args)
    wanted = {quantity: getattr(args, quantity) for quantity in QUANTITIES
              if getattr(args, quantity) is not None}
    if not wanted:
        raise BadInput("expected what the reference meter shows, found nothing: give --voltage,"
                       " --current or --power")
    for quantity in wanted:
        if not takes(meter, phases, quantity):
            raise BadInput("--%s: expected a meter chip that takes a calibration of it, found %s:"
                           " what it shows cannot be changed" % (quantity, meter.get("chip")))
    readings = Readings(args.outlet, args.phase, wanted)
    with port.Port(args.port) as board:
        board.bench()
        there = json.loads(board.run(_OUTLETS))
        has = there[args.outlet - 1].get("meter") if args.outlet <= len(there) else None
        if has != meter:
            board.leave(2)
            raise BadInput("--board: %s: expected the meter that the board at %s has, %s, found"
                           " %s; flash this file first"
                           % (path, args.port, json.dumps(has), json.dumps(meter)))
        read(board, readings, args.wait_s)
    found = gains(meter, args.phase, wanted, readings)
    for line in table(wanted, readings, found):
        print(line)
    if not args.write:
        print("nothing was written: --write puts it into a board's file")
        return 0
    text = Path(path).read_bytes().decode("utf-8")
    made = calibration(meter, phases, args.phase, found)
    Path(path).write_bytes(replaced(text, args.outlet, made).encode("utf-8"))
    print("written to %s; `pile.py flash --board %s --port %s` takes it to the board"
          % (path, path, args.port))
    return 0
