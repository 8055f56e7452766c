"""A whole virtual AC pile behind the roles: run by a scenario, in virtual time or in real time.

Its board file: {"mcu": "virtual", "time": "simulated" | "real", "scenario": FILE, "trace": FILE}.
"""

import time

from hal.virtual import scenario as _scenario
from hal.virtual.line import SimulatedLine
from hal.virtual.pilot import BurstPilot, PacedPilot
from hal.virtual.plant import Plant
from hal.virtual.trace import Trace

_TICKS = (1 << 30) - 1
_MAIN_LOOP_US = 20000
_SHOW_US = 100000

# profile: (safety period in us, a tick this much later opens, in ms, the pilot's sampler)
_PROFILES = {"rp2040": (2000, 20, PacedPilot), "esp32": (10000, 40, BurstPilot)}
# ESP32 stops for garbage collection: 5 ms, every 0.5 to 1.5 s (design.md, "Fail open, in
# hardware")
_GC_US = 5000


def make_safe(spec):
    """Nothing to do: a virtual contactor's pins are pulled down until its board exists."""


def make(spec, path):
    """The board that `spec` describes. Raises ValueError with the file, the field and what was
    expected.
    """
    for field in ("scenario", "trace"):
        if not isinstance(spec.get(field), str):
            raise ValueError(
                "%s: %s: expected a file's path, found %r" % (path, field, spec.get(field))
            )
    if spec.get("time") not in ("simulated", "real"):
        raise ValueError(
            '%s: time: expected "simulated" or "real", found %r' % (path, spec.get("time"))
        )
    scenario = _scenario.load(spec["scenario"])
    return VirtualBoard(scenario, open(spec["trace"], "w"), spec["time"] == "real")


class VirtualBoard:
    """The board role, with `plant`, `pilot`, `reader`, `line` and `trace` to act on."""

    vendor = "Voltpile"
    model = "Virtual AC"

    def __init__(self, scenario, trace_file, real_time=False):
        outlet = scenario.get("outlet", {})
        self.scenario = scenario
        self.real_time = real_time
        self._seed = scenario.get("seed", 0)
        self._start_ms = scenario.get("ticks_start_ms", 0)
        max_ma = int(outlet.get("max_a", 32) * 1000)
        self.plant = Plant(self._seed, self._plant_event)
        self.trace = self.log = Trace(trace_file, lambda: self.plant.now_us)
        self._tick_us, self.late_ms, sampler = _PROFILES[scenario.get("profile", "rp2040")]
        self._collects = sampler is BurstPilot
        self.pilot = sampler(self.plant)
        self.reader = _Reader()
        self.line = SimulatedLine(self.plant)
        self.clock = self
        self.outlets = [_Outlet(self, outlet.get("kind", "ac"), max_ma)]
        self._main_stalled_until_us = 0
        if real_time:
            self._introduce()
        self.trace.record("boot", reason="PowerUp")
        _scenario.schedule(scenario, self)

    def ticks_ms(self):
        """The plant's time as a clock that wraps at 2^30 ms."""
        return (self._start_ms + self.plant.now_us // 1000) & _TICKS

    def nonce(self):
        """Depends on the seed and the boot count only."""
        return "s%db1" % self._seed

    def stall_main(self, for_us):
        """The main loop stands still for `for_us`."""
        self._main_stalled_until_us = self.plant.now_us + for_us

    def _introduce(self):
        import sys

        implementation = sys.implementation
        version = ".".join([str(n) for n in implementation.version[:3]])
        self.trace.record(
            "interpreter", name=implementation.name, version=version, platform=sys.platform
        )

    def _plant_event(self, what, fields, t_us):
        self.trace.at(t_us, what, fields)

    def run(self, station):
        """Run `station` until the scenario's end."""
        if self.real_time:
            import asyncio

            asyncio.run(self._run_real(station))
        else:
            self._run_simulated(station)
        self.trace.record("end", energy_mwh=self.plant.energy_mwh())
        self.trace.flush()

    def _run_simulated(self, station):
        plant = self.plant
        until_us = int(self.scenario["until_ms"] * 1000)
        start_ms = self._start_ms
        tick_us = self._tick_us
        safety_tick = station.safety_tick
        next_us = plant.random.below(tick_us)  # the timer's phase against the pilot's
        main_us = 0
        collect_us = 500000 if self._collects else 1 << 60
        while next_us <= until_us:
            plant.advance(next_us)
            safety_tick((start_ms + next_us // 1000) & _TICKS)
            if next_us >= main_us:
                main_us += _MAIN_LOOP_US
                if next_us >= self._main_stalled_until_us:
                    now_ms = (start_ms + next_us // 1000) & _TICKS
                    station.tick(now_ms)
                    self.line.move(station.backend.link, now_ms)
            next_us += tick_us
            if next_us >= collect_us:
                collect_us += 500000 + plant.random.below(1000000)
                next_us += _GC_US
        plant.advance(until_us)

    async def _run_real(self, station):
        import asyncio

        main = asyncio.create_task(station.main())
        plant = self.plant
        began_us = time.ticks_us()
        until_us = int(self.scenario["until_ms"] * 1000)
        show_us = 0
        while plant.now_us < until_us:
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
            state=self.outlets[0].indicator.name,
            closed=plant.closed,
        )
        self.trace.flush()


class _Outlet:
    # The hardware of the one outlet.
    def __init__(self, board, kind, max_ma):
        self.kind = kind
        self.max_ma = max_ma
        self.pilot = _Pilot(board)
        self.contactor = _Contactor(board.plant)
        self.indicator = _Indicator(board.trace)
        self.meter = _Meter(board.plant)


class _Pilot:
    def __init__(self, board):
        self._trace = board.trace
        self._plant = board.plant
        self.sample = board.pilot.sample

    def set_permille(self, permille):
        self._trace.record("duty", permille=permille)
        self._plant.set_permille(permille)


class _Contactor:
    def __init__(self, plant):
        self._plant = plant
        self.drive = plant.set_drive
        self.feed = plant.feed

    def closed(self):
        return self._plant.closed


class _Indicator:
    def __init__(self, trace):
        self._trace = trace
        self.name = ""

    def state(self, name):
        self.name = name
        self._trace.record("state", value=name)

    def fault(self, code, active):
        if active:
            self._trace.record("fault", code=code, latched=False)
        else:
            self._trace.record("clear", code=code)


class _Meter:
    # An ideal meter: the plant's own integral, fresh at each reading.
    def __init__(self, plant):
        self._plant = plant

    def read(self, into):
        plant = self._plant
        mwh = plant.energy_mwh()
        into[0] = plant.mains_mv
        into[1] = plant.current_ma
        into[2] = mwh // 1000
        into[3] = mwh % 1000
        into[4] = 0


class _Reader:
    def __init__(self):
        self._uid = None

    def show(self, uid):
        self._uid = uid

    def read(self):
        uid = self._uid
        self._uid = None
        return uid
