"""A whole virtual AC pile behind the roles: run by a scenario, in virtual time or in real time.

Its board file: {"mcu": "virtual", "time": "simulated" | "real", "scenario": FILE, "trace": FILE},
and "flash": DIR where store and FRAM are wanted when the scenario is over. Without a scenario it
runs on, nothing happens to it, and its store and FRAM are files; without a trace it keeps its last
lines in memory, as boards do (hal.log). Of "outlets", which boards have, it takes the meters'
"calibration".
"""

import os
import time

from hal.virtual import scenario as _scenario
from hal.virtual.buses import Buses
from hal.virtual.line import SimulatedLine
from hal.virtual.pilot import BurstPilot, PacedPilot, PowerCut
from hal.virtual.plant import Plant
from hal.virtual.random import Random
from hal.virtual.trace import Kept, Trace

_TICKS = (1 << 30) - 1
_MAIN_LOOP_US = 20000
_SHOW_US = 100000
_STEADY_US = 60000000  # see hal

# profile: (safety period in us, a tick this much later opens, in ms, the pilot's sampler)
_PROFILES = {"rp2040": (2000, 20, PacedPilot), "esp32": (10000, 40, BurstPilot)}
# ESP32 stops for garbage collection: 5 ms, every 0.5 to 1.5 s (design.md, "Fail open, in
# hardware")
_GC_US = 5000
_HOLD_MS = 60  # the dead-man's window
_OFTEN = 40
_SHOWN_US = 500000  # a card is held to the reader

_FRAM = "fram.bin"

# As in a board file. 0.25 mOhm bear 120 A; the divider, 535 V.
_METERS = {
    1: {
        "chip": "bl0942",
        "uart": 1,
        "baud": 9600,
        "shunt_uohm": 250,
        "divider_ohm": [3900000, 510],
    },
    3: {"chip": "atm90e32", "spi": 1},
}
_READER = {"chip": "pn532", "i2c": 0}
_LIMIT_INPUT = {"chip": "contact", "pin": "limit_input"}
_MEMORY = {"chip": "fm24", "i2c": 1, "kbit": 256}


def _chip(buses, spec, phases=1):
    module = __import__("hal.chips." + spec["chip"], None, None, ("make",))
    return module.make(buses, spec, phases)


BOOT_ONLY = ()


def make_safe(spec):
    """Nothing to do: a virtual contactor's pins are pulled down until its board exists."""


def retained(spec):
    """The word that `retain` kept in the file that `spec` names as "retained"; 0 without one."""
    try:
        with open(spec["retained"]) as file:
            return int(file.read())
    except (KeyError, OSError, ValueError):
        return 0


def retain(spec, word):
    """Keep `word` through a reset, which is another process here."""
    if "retained" in spec:
        with open(spec["retained"], "w") as file:
            file.write(str(word))


def watch():
    """Nothing watches: what hangs here is seen."""


def make(spec, path):
    """The board that `spec` describes. Raises ValueError with the file, the field and what was
    expected.
    """
    for field in ("scenario", "trace"):
        if not isinstance(spec.get(field, ""), str):
            raise ValueError(
                "%s: %s: expected a file's path, found %r" % (path, field, spec.get(field))
            )
    if spec.get("time") not in ("simulated", "real"):
        raise ValueError(
            '%s: time: expected "simulated" or "real", found %r' % (path, spec.get("time"))
        )
    scenario = {"until_ms": 1 << 50, "profile": "esp32", "steps": []}
    if "scenario" in spec:
        scenario = _scenario.load(spec["scenario"])
    trace = open(spec["trace"], "w") if "trace" in spec else Kept()
    board = VirtualBoard(scenario, trace, spec["time"] == "real", spec.get("outlets", ()))
    board.forget_crashes = lambda: retain(spec, 0)
    board.flash = spec.get("flash")
    if spec.get("outlets") == []:
        board.be_safe()
    if "scenario" not in spec:
        board.store.in_files = True
        if board.memory:
            board.memory.in_file()
    return board


class VirtualBoard:
    """The board role, with `plant`, `pilot`, `reader`, `line` and `trace` to act on."""

    vendor = "Voltpile"
    model = "Virtual AC"

    def __init__(self, scenario, trace_file, real_time=False, outlets=()):
        self.scenario = scenario
        self.real_time = real_time
        self._seed = scenario.get("seed", 0)
        self._start_ms = scenario.get("ticks_start_ms", 0)
        profile_us, late_ms, sampler = _PROFILES[scenario.get("profile", "rp2040")]
        # A stretched tick stretches with it what is measured in ticks.
        self._tick_us = int((scenario.get("tick_ms") or profile_us / 1000) * 1000)
        stretch = max(self._tick_us // profile_us, 1)
        self.late_ms = late_ms * stretch
        self.flash = None  # the directory where store and FRAM go when the scenario is over
        self._boots = 1
        self._collects = self.stalls = sampler is BurstPilot
        self.places = []
        for number in range(1, scenario.get("outlets", 1) + 1):
            place = _Outlet(scenario, self._seed, number, sampler, stretch, trace_file)
            if number <= len(outlets):
                place.calibration = outlets[number - 1].get("meter", {}).get("calibration", {})
            self.places.append(place)
        self.outlets = self.places
        self.shown = 0  # cards, so far
        self.shown_us = _SHOWN_US * stretch
        self.boot_reason = "PowerUp"
        self.plant = self.places[0].plant
        self.trace = self.log = self.places[0].trace
        self.store = _Store(self)
        self.line = SimulatedLine(self.plant)
        self.clock = self
        self._main_stalled_until_us = 0
        self._stalled_until_us = 0
        self._dark_until_us = 0
        self.limited = False  # the grid operator's contact is active
        self.places[0].buses.pins["limit_input"] = lambda: int(self.limited)
        if real_time:
            self._introduce()
        self._boot()
        _scenario.schedule(scenario, self)

    def ticks_ms(self):
        """The plant's time as a clock that wraps at 2^30 ms."""
        return (self._start_ms + self.plant.now_us // 1000) & _TICKS

    def nonce(self):
        """Depends on the seed and the boot count only."""
        return "s%db%d" % (self._seed, self._boots)

    def random(self, n):
        """A random whole number from 0 to n - 1."""
        return self.plant.random.below(n)

    def date(self):
        """The host's date, as RFC 3339."""
        return "%04d-%02d-%02dT%02d:%02d:%02dZ" % tuple(time.gmtime()[:6])

    def set_date(self, text):
        """Nothing to do: the host's clock is its own."""

    def name_servers(self):
        """None: the host looks names up, and knows some of its own."""
        return []

    def secret(self, n):
        """`n` bytes by the seed, not out of the plant's sequence: no other event shifts by it."""
        random = Random(self._seed + n)
        return bytes([random.below(256) for _ in range(n)])

    def stall(self, for_us):
        """All of Python stands still for `for_us`, the safety tick too, as in a flash erase."""
        self._stalled_until_us = self.plant.now_us + for_us

    def stall_main(self, for_us):
        """The main loop stands still for `for_us`."""
        self._main_stalled_until_us = self.plant.now_us + for_us

    def cut_power(self, for_us):
        """The supply of pile and vehicle is gone for `for_us`; then the firmware boots."""
        for place in self.places:
            place.plant.power(False)
        self._dark_until_us = max(self._dark_until_us, self.plant.now_us + for_us)

    def reset(self, reason):
        """Start the firmware anew; what is wired to it goes on."""
        self.boot_reason = reason
        for place in self.places:
            place.plant.set_drive(False)
            place.plant.set_permille(1000)
        self._resetting = True

    def be_safe(self):
        """Show the station no outlet and no chip, as in safe mode (see hal). What is wired to the
        pile stays.
        """
        self.outlets = []
        self.devices = []
        self.memory = self.limit_input = None

    def note_write(self, medium, n):
        """Trace that `n` bytes are written to "fram" or "flash"."""
        closed = any(place.plant.closed for place in self.places)
        self.trace.record("write", medium=medium, bytes=n, closed=closed)

    def forget_crashes(self):
        """This run was none that crashed, see hal."""

    def _boot(self):
        # The drivers' memory is gone; what is wired to the pile is not.
        self.reader = _Reader(self.places[0].buses)
        self.memory = _Memory(self)
        for place in self.places:
            place.connect()
        # The ATM90E32 of three phases is read in forty steps, the BL0942 in one.
        often = self.scenario.get("phases") == 3 and self._tick_us > _MAIN_LOOP_US
        self.devices = [_Often(p.meter) if often else p.meter for p in self.places]
        self.devices += [self.reader, self.memory]
        self.limit_input = None
        if self.scenario.get("limit_input"):
            self.limit_input = _chip(self.places[0].buses, _LIMIT_INPUT)
            self.devices.append(self.limit_input)
        self._resetting = False
        self.trace.record("boot", reason=self.boot_reason)

    def _introduce(self):
        import sys

        implementation = sys.implementation
        version = ".".join([str(n) for n in implementation.version[:3]])
        self.trace.record(
            "interpreter", name=implementation.name, version=version, platform=sys.platform
        )

    def run(self, station):
        """Run `station` until the scenario's end."""
        if self.real_time:
            import asyncio

            asyncio.run(self._run_real(station))
        else:
            self._run_simulated(station)
        given_mwh = sum([place.plant.energy_mwh() for place in self.places])
        self.trace.record("end", energy_mwh=given_mwh)
        self.trace.flush()
        if self.flash:
            self.store.keep(self.flash)
            if self.memory:
                with open("%s/%s" % (self.flash, _FRAM), "wb") as file:
                    file.write(self.memory.chip.memory)

    def _run_simulated(self, station):
        until_us = int(self.scenario["until_ms"] * 1000)
        self.station = station
        while self._simulate(station, until_us):
            # What was not durable is gone, and the firmware starts anew.
            self._boots += 1
            self._start_ms = -(self.plant.now_us // 1000)
            self._boot()
            self.line.cut()
            station = self.station = station.__class__(self, station.config)
        self._advance(until_us)

    def _advance(self, t_us):
        for place in self.places:
            place.plant.advance(t_us)

    def _simulate(self, station, until_us):
        """Run until the scenario's end or until the firmware starts anew; whether it does."""
        plant = self.plant
        start_ms = self._start_ms
        tick_us = self._tick_us
        safety_tick = station.safety_tick
        next_us = plant.now_us + plant.random.below(tick_us)  # the timer's phase against the pilot
        main_us = plant.now_us
        collect_us = plant.now_us + 500000 if self._collects else 1 << 60
        alone = len(self.places) == 1
        advance = plant.advance if alone else self._advance
        while next_us <= until_us:
            if alone and plant.next_us > next_us:
                plant.now_us = next_us  # nothing is due: the hottest path of the simulator
            else:
                advance(next_us)
            if not plant.powered:
                while plant.now_us < self._dark_until_us:  # one cut may follow upon another
                    advance(self._dark_until_us)
                # What stood still before, or would have meanwhile, is gone.
                self._stalled_until_us = self._main_stalled_until_us = 0
                for place in self.places:
                    place.plant.power(True)
                    for chip in place.buses.chips.values():
                        chip.reset()
                self.boot_reason = "PowerUp"
                return plant.now_us <= until_us
            if next_us < self._stalled_until_us:
                # All of Python stands still. Ticks that were missed fire in a burst afterwards.
                next_us = self._stalled_until_us
                while plant.powered and plant.now_us < next_us:  # a cut ends it
                    advance(min([next_us] + [place.plant.next_us for place in self.places]))
                if not plant.powered:
                    next_us = plant.now_us
                    continue
                safety_tick((start_ms + next_us // 1000) & _TICKS)
                safety_tick((start_ms + next_us // 1000) & _TICKS)
                continue
            try:
                safety_tick((start_ms + next_us // 1000) & _TICKS)
            except PowerCut:
                continue
            if next_us >= main_us:
                main_us = max(main_us + _MAIN_LOOP_US, next_us - _MAIN_LOOP_US)
                if next_us >= self._main_stalled_until_us:
                    now_ms = (start_ms + next_us // 1000) & _TICKS
                    station.tick(now_ms)
                    self.line.move(station.backend.link, now_ms)
                    if self._resetting:
                        return True
            next_us += tick_us
            if next_us >= collect_us:
                collect_us += 500000 + plant.random.below(1000000)
                next_us += _GC_US
        return False

    async def _run_real(self, station):
        import asyncio

        main = asyncio.create_task(station.main())
        self.station = station
        plant = self.plant
        began_us = time.ticks_us()
        until_us = int(self.scenario["until_ms"] * 1000)
        show_us = 0
        steady_us = _STEADY_US
        while plant.now_us < until_us:
            if plant.now_us >= steady_us:
                steady_us = until_us
                self.forget_crashes()
            # The hard timer's stand-in: asyncio wakes it about every safety period.
            plant.advance(time.ticks_diff(time.ticks_us(), began_us))
            station.safety_tick(self.ticks_ms())
            if plant.now_us >= show_us:
                show_us += _SHOW_US
                self._show()
            await asyncio.sleep_ms(self._tick_us // 1000)
        main.cancel()

    def _show(self):
        plant = self.plant
        self.trace.record(
            "plant",
            pilot_high_mv=plant.high_mv if plant.permille else plant.low_mv,
            pilot_low_mv=plant.low_mv if plant.permille < 1000 else plant.high_mv,
            permille=plant.permille,
            offered_ma=plant.offered_ma(),
            current_ma=plant.current_ma,
            energy_mwh=plant.energy_mwh(),
            state=self.places[0].witness.name,
            closed=plant.closed,
        )
        self.trace.flush()


class _Outlet:
    # One outlet's plant, and its hardware behind the roles.
    def __init__(self, scenario, seed, number, sampler, stretch, trace_file):
        outlet = scenario.get("outlet", {})
        self.kind = outlet.get("kind", "ac")
        self.standard = outlet.get("standard", "iec61851")
        self.ventilated = outlet.get("ventilated", False)
        self.max_ma = int(outlet.get("max_a", 32) * 1000)
        self.phases = scenario.get("phases", 1)
        self.plant = Plant(seed, self._event, _HOLD_MS * stretch, self.phases)
        self.trace = Trace(trace_file, self.now_us, number)
        self.sampler = sampler(self.plant, stretch)
        self.pilot = _Pilot(self)
        self.contactor = _Contactor(self.plant)
        self.inputs = _Inputs(self.plant)
        self.witness = _Witness(self.trace)
        self.buses = Buses(self.plant)
        self.thermometer = _Thermometer(self.plant)
        self.socket = _Socket(self.plant) if outlet.get("cable") == "socket" else None
        self.billing = None
        self.nameplate = {"vendor": "Voltpile", "model": "Virtual"}
        self.lamp = self.buzzer = None  # the trace tells what they would show
        self.calibration = {}  # of the meter

    def connect(self):
        """Make the drivers of what is wired to the outlet."""
        spec = dict(_METERS[self.phases], calibration=self.calibration)
        self.meter = _chip(self.buses, spec, self.phases)
        self.meter_chip = self.buses.chips[spec["chip"]]

    def now_us(self):
        return self.plant.now_us

    def _event(self, what, fields, t_us):
        self.trace.at(t_us, what, fields)


class _Pilot:
    def __init__(self, place):
        self._trace = place.trace
        self._plant = place.plant
        self.sample = place.sampler.sample
        self.max_ma = place.sampler.max_ma
        self.max_reason = place.sampler.max_reason

    def set_permille(self, permille):
        self._trace.record("duty", permille=permille)
        self._plant.set_permille(permille)


class _Contactor:
    def __init__(self, plant):
        self._plant = plant
        self.drive = plant.set_drive
        self.feed = plant.feed
        self.shunt_trip = plant.shunt_trip

    def closed(self):
        return self._plant.closed


class _Witness:
    def __init__(self, trace):
        self._trace = trace
        self.name = ""

    def state(self, name):
        self.name = name
        self._trace.record("state", value=name)

    def fault(self, code, active, latched):
        if active:
            self._trace.record("fault", code=code, latched=latched)
        else:
            self._trace.record("clear", code=code)


class _Inputs:
    tests_residual = True

    def __init__(self, plant):
        self.read = plant.inputs
        self.test_residual = plant.test_residual


class _Thermometer:
    def __init__(self, plant):
        self._plant = plant

    def read(self):
        c = self._plant.temperature_c
        return None if c is None else int(c * 10)


class _Socket:
    def __init__(self, plant):
        self._plant = plant
        self.lock = plant.lock

    def proximity_ohm(self):
        return self._plant.pp_ohm

    def locked(self):
        return self._plant.locked


class _Memory:
    # FRAM behind its driver: what it keeps outlives `power`.
    def __init__(self, board):
        self._board = board
        self._driver = _chip(board.places[0].buses, _MEMORY)
        self.chip = board.places[0].buses.chips[_MEMORY["chip"]]
        self.size = self._driver.size
        self.read = self._driver.read
        self.tick = self._driver.tick

    def write(self, at, data):
        self._board.note_write("fram", len(data))
        self._driver.write(at, data)
        if self._board.store.in_files:
            with open(_FRAM, "r+b") as file:
                file.seek(at)
                file.write(data)

    def in_file(self):
        """From now on what it keeps is in a file, too."""
        try:
            with open(_FRAM, "rb") as file:
                kept = file.read()
        except OSError:
            kept = b""
        if len(kept) == self.size:
            self.chip.memory[:] = kept
        else:
            with open(_FRAM, "wb") as file:
                file.write(self.chip.memory)


class _Store:
    # Flash: what it keeps outlives `power`. `fails`: an errno with which every write fails.
    def __init__(self, board):
        self._board = board
        self._kept = {}
        self.in_files = False
        self.fails = 0

    def save(self, name, data):
        self._writes(len(data))
        self._kept[name] = bytes(data)
        if self.in_files:
            with open(name, "wb") as file:
                file.write(data)

    def replace(self, name, chunks):
        self.save(name, b"".join([bytes(chunk) for chunk in chunks]))

    def load(self, name):
        if self.in_files and name not in self._kept:
            try:
                with open(name, "rb") as file:
                    self._kept[name] = file.read()
            except OSError:
                return None
        return self._kept.get(name)

    def read(self, name, at, into):
        data = (self.load(name) or b"")[at : at + len(into)]
        into[: len(data)] = data
        return len(data)

    def remove(self, name):
        if self.load(name) is not None:
            self._writes(0)
            del self._kept[name]
            if self.in_files:
                os.remove(name)

    def names(self, prefix):
        found = os.listdir() if self.in_files else self._kept
        return sorted([name for name in found if name.startswith(prefix)])

    def keep(self, directory):
        """Put the files into the directory."""
        for name in self._kept:
            with open("%s/%s" % (directory, name), "wb") as file:
                file.write(self._kept[name])

    def _writes(self, n):
        if self.fails:
            raise OSError(self.fails)
        self._board.note_write("flash", n)


class _Often:
    # With stretched ticks: a driver takes the steps of the ticks that are left out.
    def __init__(self, device):
        self._tick = device.tick

    def tick(self, now_ms):
        for _ in range(_OFTEN):
            self._tick(now_ms)


class _Reader:
    # A PN532 on I2C; identifiers that no card can have come in behind it.
    def __init__(self, buses):
        self._driver = _chip(buses, _READER)
        self.chip = buses.chips[_READER["chip"]]
        self.tick = self._driver.tick
        self._foreign = None

    def show(self, uid):
        try:
            if uid is None or len(bytes.fromhex(uid)) in (4, 7, 10):
                self.chip.present(uid)
                return
        except ValueError:
            pass
        if not self.chip.silent:
            self._foreign = uid

    def read(self):
        uid = self._foreign
        if uid is None:
            return self._driver.read()
        self._foreign = None
        return uid
