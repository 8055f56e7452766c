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

    class Indicator(Protocol):
        """Shows what the safety core is at: lamps on a board, the trace of the virtual one."""

        def state(self, name: str) -> None:
            """Tick. The vehicle interface is now in `name`: "A1" ... "D2", "E", "F"."""
            ...

        def fault(self, code: str, active: int) -> None:
            """Tick. The fault `code` (OCPP's and MREC's names) came (1) or went (0)."""
            ...

    class Meter(Protocol):
        """The energy meter of one outlet."""

        def read(self, into) -> None:
            """Fill array("i") `into` with [mV, mA, energy Wh, energy mWh (0 ... 999), age of the
            reading in ms].
            """
            ...

    class CardReader(Protocol):
        def read(self) -> "str | None":
            """The identifier of a card that was newly presented, upper-case hex, once; None
            otherwise.
            """
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
        pilot: Pilot
        contactor: Contactor
        indicator: Indicator
        meter: Meter

    class Board(Protocol):
        """All the hardware of one pile."""

        clock: Clock
        log: Log
        outlets: "list[Outlet]"
        reader: CardReader
        late_ms: int
        vendor: str
        model: str

        def nonce(self) -> str:
            """A short word that differs from boot to boot: message and transaction ids begin with
            it.
            """
            ...

        def run(self, station) -> None:
            """Call station.safety_tick(now_ms) from a timer and station.tick(now_ms) every 20 ms,
            and move the line's bytes.
            """
            ...
