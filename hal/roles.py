"""The contracts between firmware and hardware, one small role each; for the type checker and the
reader only.

Each role has a virtual implementation (`hal/virtual`) and later a real one (`hal/mcu`,
`hal/chips`). A method called from the safety tick (marked "tick") must not allocate, wait or
raise.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Pilot(Protocol):
        """The control pilot of one outlet: 1 kHz through 1 kOhm, +-12 V (IEC 61851-1 annex A)."""

        max_ma: int  # the highest offer at which the sampler still sees the diode
        max_reason: str  # why no more, in words; "" where it sees it up to 80 A

        def set_permille(self, permille: int) -> None:
            """Tick. Offer: 1000 steady +12 V, 0 steady -12 V, between: that part of the period at
            +12 V, from its next period.
            """
            ...

        def sample(self, window) -> None:
            """Tick. Fill array("i") `window` with [highs seen, lows seen, 3 newest highs, 3 newest
            lows].

            Plateau readings in mV at the pilot, newest first. The counts grow with each sample
            that was really taken, modulo 2^30; a sampler that stands still must not advance them.
            """
            ...

    class Contactor(Protocol):
        """The contactor's two elements in series, and its mirror contact."""

        def drive(self, on: bool) -> None:
            """Tick. The drive pin; repeating a level changes nothing."""
            ...

        def feed(self) -> None:
            """Tick. Keep the pulse-fed hold alive for one more dead-man's window."""
            ...

        def closed(self) -> bool:
            """Whether the metal is closed, by the mirror contact."""
            ...

        def shunt_trip(self) -> None:
            """Tick. Trip the breaker upstream: the contactor is welded."""
            ...

    class Witness(Protocol):
        """Is told what the safety core is at: a console, or the trace of the virtual board."""

        def state(self, name: str) -> None:
            """Tick. The vehicle interface is now in `name`: "A1" ... "D2", "E", "F"."""
            ...

        def fault(self, code: str, active: int, latched: bool) -> None:
            """Tick. The fault `code` (OCPP's and MREC's names) came (1) or went (0)."""
            ...

    class Inputs(Protocol):
        """The digital inputs of one outlet, read as one word."""

        def read(self) -> int:
            """Tick. The sum of what holds now: 1 residual current, 2 emergency stop pressed, 4
            earth lost, 8 voltage behind the contactor, 16 contactor closed (mirror), 32 door open,
            64 tilted, 128 smoke. What a board has not reads as 0, and 16 then as the drive pin
            says.
            """
            ...

        tests_residual: bool  # whether a residual-current sensor is there, with a test pin

        def test_residual(self, on: bool) -> None:
            """Make the residual-current sensor's self-test pin active, or not."""
            ...

    class Thermometer(Protocol):
        def read(self) -> "int | None":
            """The temperature at the contactor in tenths of a degree Celsius; None: sensor lost.
            """
            ...

    class Socket(Protocol):
        """Proximity pilot and lock of an outlet with a socket (IEC 62196-2 type 2)."""

        def proximity_ohm(self) -> "int | None":
            """The resistance from proximity pilot to earth, in ohm; None: open."""
            ...

        def lock(self, on: bool) -> None:
            """Drive the lock's motor towards locked or unlocked; ends by itself."""
            ...

        def locked(self) -> bool:
            """The lock's feedback."""
            ...

    class Meter(Protocol):
        """The energy meter of one outlet."""

        def read(self, into) -> None:
            """Fill array("i") `into` with [energy Wh, energy mWh (0 ... 999), age of the reading
            in ms, frequency mHz, mV L1, L2, L3, mA L1, L2, L3, active power mW]; phases that are
            not there read 0.
            """
            ...

    class CardReader(Protocol):
        def read(self) -> "str | None":
            """The identifier of a card that was newly presented, upper-case hex, once; None
            otherwise.
            """
            ...

    class Store(Protocol):
        """A few named pieces of data that outlive a reboot.

        Never to be called while a contactor is closed: on flash it stops all of Python.
        """

        def save(self, name: str, data: bytes) -> None:
            """Keep `data` under `name`. A power cut may leave the old, the new, or a torn one."""
            ...

        def load(self, name: str) -> "bytes | None":
            """What was saved under `name`; None: nothing."""
            ...

    class Clock(Protocol):
        def ticks_ms(self) -> int:
            """Monotonic milliseconds, wrapping at 2^30."""
            ...

    class Log(Protocol):
        def record(self, what: str, **fields: "Any") -> None:
            """Note an event. Not for the tick: it may allocate and wait."""
            ...

    class Outlet(Protocol):
        """The hardware of one place where energy leaves."""

        kind: str
        max_ma: int
        phases: int  # 1 or 3
        standard: str  # "iec61851", or "gbt18487": no state D, at most 63 A (90 % duty)
        ventilated: bool  # the site has ventilation, so that state D may charge
        pilot: Pilot
        contactor: Contactor
        inputs: Inputs
        witness: Witness
        meter: Meter
        thermometer: "Thermometer | None"
        socket: "Socket | None"  # None: the cable is attached

    class Board(Protocol):
        """All the hardware of one pile."""

        clock: Clock
        log: Log
        outlets: "list[Outlet]"
        reader: CardReader
        store: Store
        late_ms: int
        vendor: str
        model: str

        def nonce(self) -> str:
            """A short word that differs from boot to boot: message and transaction ids begin with
            it.
            """
            ...

        def random(self, n: int) -> int:
            """A random whole number from 0 to n - 1."""
            ...

        def run(self, station) -> None:
            """Call station.safety_tick(now_ms) from a timer and station.tick(now_ms) every 20 ms,
            and move the line's bytes.
            """
            ...
