"""What the boards of both microcontrollers share; imports no `machine`."""

import asyncio
import os
from array import array
from time import ticks_ms

from micropython import const

from hal import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal import roles

CHECK_MS = const(500)
_ALIVE_MS = const(4000)  # design.md, "Watchdog"
WATCHDOG_MS = const(8000)  # an RP2040's reaches 8388 ms

# A start that lasted so long was none that crashed (see hal).
_STEADY_CHECKS = const(120)


class Supervisor:
    """Feeds the watchdog while every counter moves."""

    def __init__(self, feed):
        self._feed = feed
        self._seen = []
        self._left_ms = []

    def check(self, counters):
        """Call it every CHECK_MS with a list of integers; returns whether it fed."""
        if len(counters) != len(self._seen):
            self._seen = [None] * len(counters)
            self._left_ms = [_ALIVE_MS] * len(counters)
        for i, count in enumerate(counters):
            if count != self._seen[i]:
                self._seen[i] = count
                self._left_ms[i] = _ALIVE_MS
            else:
                self._left_ms[i] -= CHECK_MS
        fed = all(left_ms > 0 for left_ms in self._left_ms)
        if fed:
            self._feed()
        return fed


class Board:
    """The board role, less what each microcontroller has its own: `start`, `stop`, `check`.
    `retain(spec, word)` keeps the word of `hal`; hal.mcu.board_file brings what hangs on buses.
    """

    late_ms = 0
    vendor = "Voltpile"
    serial = ""
    boot_reason = "Unknown"

    def __init__(self, spec, outlets, retain=None):
        self.model = spec.get("model", spec["mcu"])
        self.clock: "roles.Clock" = self
        self.log: "roles.Log" = log
        self.reader: "roles.CardReader" = _Nobody()
        self.memory: "roles.Memory | None" = None
        self.store: "roles.Store" = _Files()
        self.outlets: "list[roles.Outlet]" = outlets
        self.devices: "list[roles.Device]" = []
        self._retain = retain

    def ticks_ms(self) -> int:
        """Monotonic milliseconds, wrapping at 2^30."""
        return ticks_ms()  # pyright: ignore[reportReturnType]

    def nonce(self):
        """Eight random hex digits."""
        return "".join(["%02x" % byte for byte in os.urandom(4)])

    def random(self, n):
        """A random whole number from 0 to n - 1; n is small against 2^24."""
        a, b, c, d = os.urandom(4)
        return ((a << 8 | b) << 8 | c) * n >> 24

    def start(self, tick):
        """Have the timer call `tick(now_ms)`; returns the function that feeds the watchdog."""
        raise NotImplementedError

    def stop(self):
        """End the timer and open every contactor."""
        raise NotImplementedError

    def check(self):
        """Look after the hardware, every CHECK_MS; False when only a reset helps."""
        raise NotImplementedError

    def restart(self):
        """Reset the controller."""
        raise NotImplementedError

    def reset(self, reason):
        """Open everything and start anew, for `reason` (OCPP's BootReasonEnumType)."""
        self.stop()
        code = REASONS.index(reason) + 1 if reason in REASONS else 0
        self._retain(None, code << 5)  # pyright: ignore[reportOptionalCall]
        self.restart()

    def date(self):
        """The date in UTC by the controller's calendar, as RFC 3339; None: it was never set."""
        from hal.mcu import rtc

        return rtc.date()

    def set_date(self, text):
        """Set the calendar to an RFC 3339 date-time in UTC."""
        from hal.mcu import rtc

        rtc.set_date(text)

    def run(self, station):
        """Run `station` for ever. When it ends all the same everything opens, and the watchdog
        resets the pile.
        """
        try:
            asyncio.run(self._run(station))
        finally:
            self.stop()

    async def _run(self, station):
        supervisor = Supervisor(self.start(station.safety_tick))
        self._supervising = asyncio.create_task(self._supervise(station, supervisor))
        await station.main()

    async def _supervise(self, station, supervisor):
        checks = 0
        while self.check():
            supervisor.check(station.heartbeats())
            checks += 1
            if checks == _STEADY_CHECKS:
                self._retain(None, 0)  # pyright: ignore[reportOptionalCall]
            await asyncio.sleep_ms(CHECK_MS)


# Reasons of a reset by software: their number from 1 on stands above the lowest 5 bits of the
# retained word.
REASONS = ("RemoteReset", "LocalReset", "FirmwareUpdate", "ScheduledReset")


class Outlet:
    """The hardware of one outlet. `max_ma` is the lower of what its wiring and its pilot's
    sampling allow, `max_reason` says in words when it is the latter.
    """

    def __init__(self, spec, pilot, contactor, inputs):
        self.kind = spec.get("kind", "ac")
        self.phases = spec.get("phases", 1)
        self.standard = spec.get("standard", "iec61851")
        self.ventilated = spec.get("ventilated", False)
        self.max_ma = min(spec["max_ma"], pilot.max_ma)
        self.max_reason = pilot.max_reason if pilot.max_ma < spec["max_ma"] else ""
        self.pilot: "roles.Pilot" = pilot
        self.contactor: "roles.Contactor" = contactor
        self.inputs: "roles.Inputs" = inputs
        self.witness: "roles.Witness" = _Dark()
        self.meter: "roles.Meter" = _NoMeter()
        self.billing: "roles.Meter | None" = None
        self.thermometer: "roles.Thermometer | None" = None
        self.socket: "roles.Socket | None" = None
        self.lamp: "roles.Lamp | None" = None
        self.buzzer: "roles.Buzzer | None" = None


class _Dark:
    def state(self, name):
        pass

    def fault(self, code, active, latched):
        pass


class _NoMeter:
    def read(self, into):
        for i in range(11):
            into[i] = 0
        into[2] = 1 << 29  # for ever silent


class Billed:
    """A meter whose energy another one counts; as old as the older of the two."""

    def __init__(self, meter, billing):
        self._meter = meter
        self._billing = billing
        self._billed = array("i", [0] * 11)

    def read(self, into):
        """See roles.Meter."""
        billed = self._billed
        self._billing.read(billed)
        self._meter.read(into)
        into[0] = billed[0]
        into[1] = billed[1]
        into[2] = max(into[2], billed[2])


class _Files:
    def save(self, name, data):
        # Renaming replaces the old file in one piece.
        with open(name + ".new", "wb") as file:
            file.write(data)
        os.rename(name + ".new", name)

    def load(self, name):
        try:
            with open(name, "rb") as file:
                return file.read()
        except OSError:
            return None


class _Nobody:
    def read(self):
        return None


class Serial:
    """The role of that name at a machine.UART."""

    def __init__(self, uart):
        self._uart = uart
        self.any = uart.any
        self.write = uart.write

    def readinto(self, buffer):
        """See the role. Asked for more than is there, both ports would wait for it."""
        n = min(self._uart.any(), len(buffer))
        return self._uart.readinto(buffer, n) if n else None


def pixels(bitstream, line):
    """What roles.Buses.pixels gives, by machine.bitstream."""
    # Of a WS2812: a 0 is high for 400 ns and low for 850, a 1 high for 800 and low for 450.
    return lambda data: bitstream(line, 0, (400, 850, 800, 450), data)
