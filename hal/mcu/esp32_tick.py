"""What stays of hal.mcu.esp32 while the pile runs: the tick, and what it reads and drives."""

from array import array
from time import ticks_ms

import esp32
import machine
from micropython import const

from hal.burst import READS, plateaus
from hal.mcu import common

_TICK_MS = const(10)
PULSE_US = const(1000)
# A burst must put two readings on the low plateau. Conversions take 40 to 60 us, an edge needs
# 20 us to settle, and Wi-Fi's interrupts delay a reading by as much again.
_LOW_US = const(200)


def retained(spec):
    """The word that a board's `retain` kept; 0 after power-up."""
    memory = machine.RTC().memory()
    return memory[0] if memory else 0


def retain(spec, word):
    """Keep `word`, 0 to 255, through resets."""
    machine.RTC().memory(bytes((word,)))


class Board(common.Board):
    """An ESP32's pile: `outlets`, and what keeps them ticking."""

    late_ms = 40
    stalls = True

    _tick = None
    _failed = False

    def __init__(self, outlets):
        self.outlets = outlets

    def retain(self, word):
        """Keep `word`, 0 to 255, through resets."""
        retain(None, word)

    def start(self, tick):
        """Begin to call `tick(now_ms)` every 10 ms, between two bytecodes."""
        self._tick = tick
        self._timer = machine.Timer(
            0, mode=machine.Timer.PERIODIC, period=_TICK_MS, callback=self._on_timer
        )
        return machine.WDT(timeout=common.WATCHDOG_MS).feed

    def _on_timer(self, _):
        try:
            self._tick(ticks_ms())  # pyright: ignore[reportOptionalCall]
        except BaseException:
            self._failed = True
            self._open()

    def _open(self):
        for outlet in self.outlets:
            outlet.contactor.drive(False)

    def stop(self):
        """End the timer and open every contactor."""
        if self._tick:
            self._timer.deinit()
        self._open()

    def check(self):
        """False when the tick raised."""
        return not self._failed


class Analogue:
    """One pin of converter 1; converter 2 is the Wi-Fi's."""

    def __init__(self, pin):
        self._read_uv = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB).read_uv

    def read_mv(self):
        """The voltage at the pin, in mV."""
        return self._read_uv() // 1000


class Pilot:
    """The pilot role: `spec` {"pwm", "adc": pins, "zero_mv", "full_mv": the pilot's voltage that
    puts 0 V and 3.3 V on the converter's pin}.

    Each sample takes a burst of three periods, 3 to 4 ms, and picks the plateaus out. The shorter
    the low phase, the fewer readings fall on it: without two the diode cannot be proven.
    """

    max_ma = 60 * (1000 - _LOW_US)  # IEC 61851-1 table A.7
    max_reason = (
        "above 48 A the pilot's low phase is shorter than 200 us, too short for this "
        "controller's sampling to prove the vehicle's diode"
    )

    def __init__(self, spec):
        self._pwm = machine.PWM(machine.Pin(spec["pwm"]), freq=1000, duty_u16=65535)
        self._set = self._pwm.duty_u16
        self._read_uv = machine.ADC(machine.Pin(spec["adc"]), atten=machine.ADC.ATTN_11DB).read_uv
        self._zero_mv = spec["zero_mv"]
        self._span_mv = spec["full_mv"] - spec["zero_mv"]
        self._permille = 1000
        self._burst = array("i", [0] * READS)
        self._high = array("i", [0] * 4)
        self._low = array("i", [0] * 4)
        self._counts = array("i", [0, 0])

    def set_permille(self, permille):
        """The pilot's duty, from its next period on."""
        self._permille = permille
        self._set(permille * 65535 // 1000)

    def sample(self, window):
        """Take a burst; the newest readings, in the role's order."""
        burst = self._burst
        read_uv = self._read_uv
        for i in range(READS):
            burst[i] = read_uv()
        zero_mv = self._zero_mv
        span_mv = self._span_mv
        for i in range(READS):
            burst[i] = zero_mv + burst[i] // 1000 * span_mv // 3300
        counts = self._counts
        high = self._high
        low = self._low
        plateaus(burst, self._permille in (0, 1000), high, low, counts)
        n = counts[0]
        window[0] = n
        window[2] = high[(n - 1) & 3]
        window[3] = high[(n - 2) & 3]
        window[4] = high[(n - 3) & 3]
        n = counts[1]
        window[1] = n
        window[5] = low[(n - 1) & 3]
        window[6] = low[(n - 2) & 3]
        window[7] = low[(n - 3) & 3]


class Contactor:
    """The contactor role: `spec` {"drive", "hold", "mirror", "shunt": pins}, of which a board may
    lack all but the first. A feed is `pulses` of 1 ms.
    """

    def __init__(self, spec, pulses):
        drive = machine.Pin(spec["drive"], machine.Pin.OUT, value=0)
        self.drive = drive.value
        self.closed = drive.value
        self.shunt_trip = _nothing
        self._hold = None
        self._train = (PULSE_US // 2,) * (2 * pulses)
        if "mirror" in spec:
            self.closed = machine.Pin(spec["mirror"], machine.Pin.IN, machine.Pin.PULL_UP).value
        if "shunt" in spec:
            self.shunt_trip = machine.Pin(spec["shunt"], machine.Pin.OUT, value=0).on
        if "hold" in spec:
            hold = machine.Pin(spec["hold"], machine.Pin.OUT, value=0)
            self._hold = esp32.RMT(pin=hold, resolution_hz=1000000, idle_level=False)

    def feed(self):
        """One train more once the last has ended: writing to a busy RMT would block. Never looped:
        a loop would outlive Python.
        """
        hold = self._hold
        if hold and hold.wait_done():
            hold.write_pulses(self._train, True)


def _nothing(on=True):
    pass


class Inputs:
    """The inputs role: `spec` has the pin of each of `names` that is there, the output pin
    "test" of a residual-current sensor, and in the list "active_low" the names of those that are.

    All are pulled up: a normally closed contact to ground whose wire breaks reads as active. The
    mirror is the `contactor`'s.
    """

    def __init__(self, spec, contactor, names):
        self._levels = []
        self._low = 0
        for i, name in enumerate(names):
            if name == "mirror":
                self._levels.append((1 << i, contactor.closed))
            elif name in spec:
                pin = machine.Pin(spec[name], machine.Pin.IN, machine.Pin.PULL_UP)
                self._levels.append((1 << i, pin.value))
                if name in spec.get("active_low", ()):
                    self._low |= 1 << i
        self.tests_residual = "test" in spec
        self.test_residual = _nothing
        if self.tests_residual:
            self.test_residual = machine.Pin(spec["test"], machine.Pin.OUT, value=0).value

    def read(self):
        """The word of the role."""
        word = self._low
        for bit, level in self._levels:
            if level():
                word ^= bit
        return word
