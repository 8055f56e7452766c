"""The contracts between firmware and hardware, one small role each; for the type checker and the
reader only.

Each role has a virtual implementation (`hal/virtual`) and later a real one (`hal/mcu`,
`hal/chips`). A method called from the safety tick (marked "tick") must not allocate, wait or
raise.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

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

    class Contact(Protocol):
        active: "bool | None"  # without its bouncing; None: not known yet

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
        """The energy meter of one outlet. One that tells its own number has it as `number`: bytes,
        two digits each, the last digits first; None until then.
        """

        def read(self, into) -> None:
            """Fill array("i") `into` with [energy Wh, energy mWh (0 ... 999), age of the reading
            in ms, frequency mHz (0: the meter does not measure it), mV L1, L2, L3, mA L1, L2, L3,
            active power mW]; phases that are not there read 0.
            """
            ...

    class CardReader(Protocol):
        def read(self) -> "str | None":
            """The identifier of a card that was newly presented, upper-case hex, once; None
            otherwise.
            """
            ...

    class Lamp(Protocol):
        def show(self, red: int, green: int, blue: int) -> None:
            """This colour, each part 0 ... 255, from now on; repeating one costs nothing."""
            ...

    class Buzzer(Protocol):
        def sound(self, on: bool) -> None:
            """Sound, or be quiet; repeating it costs nothing."""
            ...

    class Memory(Protocol):
        """Memory that keeps each byte as soon as it is written, power or none: FRAM."""

        size: int  # bytes

        def read(self, at: int, into) -> None:
            """Fill the buffer `into` from the byte `at` on. Raises OSError when the chip does not
            answer.
            """
            ...

        def write(self, at: int, data) -> None:
            """Write `data` from the byte `at` on. Raises OSError when the chip does not answer;
            then any part of it may be written.
            """
            ...

    class Device(Protocol):
        """The driver of a chip, whatever its role. Of a link it may have `interface`, "Wired" or
        "Wireless", and `rejoin(anew)`, see hal/mcu/network_wifi.py.
        """

        def tick(self, now_ms: int) -> None:
            """Every 20 ms: one bounded step, at most one short transfer. Never waits or raises."""
            ...

    class Serial(Protocol):
        """A UART's subset; never blocks."""

        def any(self) -> int:
            """How many bytes have been received and not read."""
            ...

        def readinto(self, buffer) -> "int | None":
            """Move what is there, at most what fits, to `buffer`; how many bytes. None: nothing
            there.
            """
            ...

        def write(self, data) -> "int | None":
            """Send `data`, at most 128 bytes."""
            ...

    class I2c(Protocol):
        """An I2C controller's subset. Each raises OSError when nobody answers at `address`."""

        def readfrom_into(self, address: int, buffer) -> None: ...

        def writeto(self, address: int, data, stop: bool = True) -> "Any": ...

        def readfrom_mem_into(self, address: int, at: int, buffer, *, addrsize: int = 8) -> None:
            """Write `at`, as `addrsize` bits, and read after a repeated start."""
            ...

        def writeto_mem(self, address: int, at: int, data, *, addrsize: int = 8) -> None: ...

    class Spi(Protocol):
        def write_readinto(self, out, into) -> None:
            """Send `out` while as many bytes come into `into`; the same buffer may serve as both.
            """
            ...

        def write(self, out) -> None: ...

    class Analogue(Protocol):
        def read_mv(self) -> int:
            """The voltage at the pin in mV, at most some ms old."""
            ...

    class OneWire(Protocol):
        def reset(self) -> bool:
            """Whether anybody is there."""
            ...

        def writebyte(self, byte: int) -> None: ...

        def readbyte(self) -> int: ...

    class Buses(Protocol):
        """What a chip can be wired to. `spec` is the board file's object of the chip: it names the
        bus and its pins ("uart", "tx", "rx"; "i2c", "scl", "sda"; "spi", "sck", "mosi", "miso",
        "cs"). Several chips may share an I2C or SPI bus: each then names the same pins. Raises
        ValueError, OSError or KeyError for a bus or pin that is not there.
        """

        def uart(
            self, spec: dict, baud: int, parity: "int | None" = None, stop: int = 1
        ) -> Serial:
            """`parity` None, 0 even, 1 odd."""
            ...

        def i2c(self, spec: dict, hz: int = 400000) -> I2c:
            """The bus runs at what its first chip asks for."""
            ...

        def spi(
            self, spec: dict, hz: int, polarity: int = 0, phase: int = 0
        ) -> "tuple[Spi, Callable[[int], Any]]":
            """The bus, and the chip's select line: 0 selects it, 1 lets go."""
            ...

        def output(self, pin: int, value: int = 0) -> "Callable[[int], Any]": ...

        def input(self, pin: int, pull_up: bool = True) -> "Callable[[], int]": ...

        def adc(self, pin: int) -> Analogue: ...

        def onewire(self, pin: int) -> OneWire: ...

        def pixels(self, pin: int, n: int) -> "Callable[[Any], None]":
            """Takes n x 3 bytes, green, red, blue of each WS2812; stops Python for 30 us each."""
            ...

    class Store(Protocol):
        """A few named pieces of data that outlive a reboot: files in flash. Names have no "/".

        `save`, `replace` and `remove` are never to be called while a contactor is closed: on
        flash they stop all of Python. They raise OSError where the flash is full, read-only or
        broken; then what was there before is there still.
        """

        def save(self, name: str, data: bytes) -> None:
            """Keep `data` under `name`. A power cut leaves the old or the new one."""
            ...

        def replace(self, name: str, chunks) -> None:
            """As `save`, of all the bytes that the iterable `chunks` gives, one after the other.
            """
            ...

        def load(self, name: str) -> "bytes | None":
            """What was saved under `name`; None: nothing."""
            ...

        def read(self, name: str, at: int, into) -> int:
            """Fill the buffer `into` from byte `at` of what is under `name`; how many bytes there
            were, 0 where there is nothing.
            """
            ...

        def remove(self, name: str) -> None:
            """Forget what is under `name`, if anything."""
            ...

        def names(self, prefix: str) -> "list[str]":
            """The names that begin with `prefix`, sorted."""
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
        billing: "Meter | None"  # whose energy `meter` tells, where another one counts it
        nameplate: "dict[str, str]"  # of what counts: some of vendor, model, serial, firmware
        thermometer: "Thermometer | None"
        socket: "Socket | None"  # None: the cable is attached
        lamp: "Lamp | None"
        buzzer: "Buzzer | None"

    class Board(Protocol):
        """All the hardware of one pile."""

        clock: Clock
        log: Log
        outlets: "list[Outlet]"
        reader: CardReader
        store: Store
        memory: "Memory | None"
        limit_input: "Contact | None"  # by which the grid operator limits the pile
        devices: "list[Device]"
        late_ms: int
        stalls: bool  # whether a long call of Python's, as in TLS, holds up the safety tick
        vendor: str
        model: str
        boot_reason: str  # why it started last: OCPP's BootReasonEnumType

        def reset(self, reason: str) -> None:
            """Open everything and start anew; `reason` is `boot_reason` then. On a board it does
            not return.
            """
            ...

        def date(self) -> "str | None":
            """The date in UTC by the controller's calendar, as RFC 3339; None: never set."""
            ...

        def set_date(self, text: str) -> None:
            """Set the calendar to an RFC 3339 date-time in UTC."""
            ...

        def name_servers(self) -> "list[str]":
            """The addresses of the name servers; none: getaddrinfo looks names up."""
            ...

        def nonce(self) -> str:
            """A short word that differs from boot to boot: message and transaction ids begin with
            it.
            """
            ...

        def random(self, n: int) -> int:
            """A random whole number from 0 to n - 1."""
            ...

        def secret(self, n: int) -> bytes:
            """`n` random bytes, fit for a key."""
            ...

        def run(self, station) -> None:
            """Call station.safety_tick(now_ms) from a timer and station.tick(now_ms) every 20 ms,
            and move the line's bytes.
            """
            ...
