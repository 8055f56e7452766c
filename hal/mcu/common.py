"""What the boards of both microcontrollers share; imports no `machine`."""

import asyncio
import os
from errno import ENOENT
from time import ticks_ms

from micropython import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from hal import roles

CHECK_MS = const(500)
# A counter may stand still so long; flash and TLS hold Python up for 0.5 s at a time.
_ALIVE_MS = const(4000)
WATCHDOG_MS = const(8000)  # an RP2040's reaches 8388 ms

# A start that lasted so long was none that crashed (see hal).
_STEADY_CHECKS = const(120)

_NEW = "store.new"


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
    """The board role, less what each microcontroller has its own; hal.mcu.board_file.equip brings
    the rest.
    """

    late_ms = 0
    stalls = False
    vendor = "Voltpile"
    serial = ""
    boot_reason = "Unknown"

    if TYPE_CHECKING:
        model: str
        clock: roles.Clock
        log: roles.Log
        reader: roles.CardReader
        memory: "roles.Memory | None"
        limit_input: "roles.Contact | None"
        store: roles.Store
        outlets: "list[roles.Outlet]"
        devices: "list[roles.Device]"

        def retain(self, word):
            """Keep the word of `hal`."""

        def start(self, tick):
            """Have the timer call `tick(now_ms)`; returns the function that feeds the watchdog."""
            return lambda: None

        def stop(self):
            """End the timer and open every contactor."""

        def check(self) -> bool:
            """Look after the hardware, every CHECK_MS; False when only a reset helps."""
            return True

        def restart(self):
            """Reset the controller."""

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

    def secret(self, n):
        """`n` random bytes, fit for a key."""
        return os.urandom(n)

    def reset(self, reason):
        """Open everything and start anew, for `reason` (OCPP's BootReasonEnumType)."""
        self.stop()
        code = REASONS.index(reason) + 1 if reason in REASONS else 0
        self.retain(code << 5)
        self.restart()

    def name_servers(self):
        """The addresses of the name servers, as the network has told; [] where it has not."""
        import network

        try:
            found = network.ipconfig("dns")
        except (AttributeError, OSError, ValueError):
            return []
        return [found] if found and found != "0.0.0.0" else []

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
                self.retain(0)
            await asyncio.sleep_ms(CHECK_MS)


# Reasons of a reset by software: their number from 1 on stands above the lowest 5 bits of the
# retained word.
REASONS = ("RemoteReset", "LocalReset", "FirmwareUpdate", "ScheduledReset")


class Dark:
    """The witness that sees nothing."""

    def state(self, name):
        pass

    def fault(self, code, active, latched):
        pass


class NoMeter:
    """For ever silent."""

    def read(self, into):
        for i in range(11):
            into[i] = 0
        into[2] = 1 << 29


class Files:
    """The store, in files."""

    def save(self, name, data):
        self.replace(name, (data,))

    def replace(self, name, chunks):
        # Renaming replaces the old file in one piece. What a cut leaves under the one name
        # gets overwritten by the next.
        with open(_NEW, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.rename(_NEW, name)

    def load(self, name):
        try:
            with open(name, "rb") as file:
                return file.read()
        except OSError:
            return None

    def read(self, name, at, into):
        try:
            with open(name, "rb") as file:
                file.seek(at)
                return file.readinto(into)
        except OSError:
            return 0

    def remove(self, name):
        try:
            os.remove(name)
        except OSError as error:
            if error.args[0] != ENOENT:
                raise

    def names(self, prefix):
        return sorted([name for name in os.listdir() if name.startswith(prefix)])


class Nobody:
    """The reader that is not there."""

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
