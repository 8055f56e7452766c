"""What stays of hal.mcu.rp2040 while the pile runs: the safety tick, and what it reads and drives.

The tick runs in a hard interrupt, where nothing may be allocated: an integer has 31 bits there, so
registers are reached in viper, their addresses kept in arrays. Sections are those of the RP2040
datasheet.
"""

from array import array
from time import ticks_ms

import machine
import micropython
from micropython import const

from hal.mcu import common

# ADC (4.9.6)
_CS_READY = const(1 << 8)
_FCS_LEVEL = const(15 << 16)
_TIMERAWL = const(0x40054028)  # 4.6.5: microseconds since boot
SCRATCH = const(0x4005800C)  # 4.7.6: the watchdog's first; bootrom and SDK use others

_RING = const(16)  # halfwords

# Cells of a Pilot's array; those that hal.mcu.rp2040 fills stand there too
_CC_AT = const(0)  # the slice's two channels in one register
_CC_SHIFT = const(1)
_CC_KEEP = const(2)
_COUNTS = const(3)  # of the PWM in a period
_ZERO_MV = const(4)
_SPAN_MV = const(5)
_CS_AT = const(6)
_FCS_AT = const(7)
_RINGS = const(8)  # this and the following: of highs, then of lows
_POINTERS = const(10)
_PLACES = const(12)  # in the ring, when samples were last counted
_TAKEN = const(16)

_TICK_MS = const(2)
_EARLY_US = const(1000)
_ERRORS = const(2)  # cell of _clock: 1 once an exception reached the timer's callback


class Board(common.Board):
    """An RP2040's pile: `outlets`, and what keeps them ticking."""

    late_ms = 20

    def __init__(self, outlets, pilots, circle):
        self.outlets = outlets
        self._pilots = pilots
        self._circle = circle
        self._seen = []

    def retain(self, word):
        """Keep `word`, 0 to 255, through resets."""
        machine.mem32[SCRATCH] = word

    def start(self, tick):
        """Begin to call `tick(now_ms)` every 2 ms."""
        global _tick, _drives
        micropython.alloc_emergency_exception_buf(100)
        _drives = [outlet.contactor.drive for outlet in self.outlets]
        _tick = tick
        _kept.append(self)
        _kept.append(
            machine.Timer(
                -1, mode=machine.Timer.PERIODIC, period=_TICK_MS, callback=_on_timer, hard=True
            )
        )
        return machine.WDT(timeout=common.WATCHDOG_MS).feed

    def stop(self):
        """End the timer and open every contactor."""
        if _kept:
            _kept[-1].deinit()
        for outlet in self.outlets:
            outlet.contactor.drive(False)

    def check(self):
        """Start a sampler anew that stands still; its outlets opened long ago. False when the
        tick raised.
        """
        taken = [pilot.taken() for pilot in self._pilots]
        if any(a == b for a, b in zip(taken, self._seen)):
            from hal import let_go
            from hal.mcu import rp2040

            rp2040.start(self._circle)
            let_go(rp2040.BOOT_ONLY)
        self._seen = taken
        return _clock[_ERRORS] == 0


# What the hard timer needs lives here: what nobody refers to is collected, and a collected timer
# or DMA channel stops without a word.
_kept = []
_tick = _drives = None
_clock = array("i", [_TIMERAWL, 0, 0])  # address, when the last tick began in us, _ERRORS


@micropython.viper
def _on_timer(_):
    r = ptr32(_clock)
    now_us = ptr32(r[0])[0]
    # Ticks missed while interrupts were off come back to back: only the first may count.
    if (now_us - r[1]) & 0x3FFFFFFF < _EARLY_US:
        return
    r[1] = now_us
    # An exception that left this function would end the timer for good.
    try:
        _tick(ticks_ms())  # pyright: ignore[reportOptionalCall]
    except BaseException:
        _clock[_ERRORS] = 1
        _open()


@micropython.native
def _open():
    for drive in _drives:  # pyright: ignore[reportOptionalIterable]
        drive(False)


class Analogue:
    """A pin of the converter, whose newest result is at the address `at`."""

    def __init__(self, at):
        self._at = at

    def read_mv(self):
        """The voltage at the pin in mV, at most 4 ms old."""
        return machine.mem16[self._at] * 3300 >> 12


class Pilot:
    """The pilot role, on the rings that the sampling fills; `r` has the cells named above."""

    max_ma = 80000
    max_reason = ""

    def __init__(self, r):
        self._r = r

    def taken(self):
        """How many high samples `sample` has counted."""
        return self._r[_TAKEN]

    @micropython.viper
    def set_permille(self, permille: int):
        """The pilot's duty, from its next period on."""
        r = ptr32(self._r)
        cc = ptr32(r[_CC_AT])
        # A half of the register cannot be written alone (2.1.4).
        cc[0] = cc[0] & r[_CC_KEEP] | r[_COUNTS] * permille // 1000 << r[_CC_SHIFT]

    @micropython.viper
    def sample(self, window):
        """The newest readings, in the role's order. The counts stand still while the converter's
        FIFO holds something: then somebody else has used it, and highs and lows are swapped.
        """
        r = ptr32(self._r)
        w = ptr32(window)
        cs = ptr32(r[_CS_AT])
        fcs = ptr32(r[_FCS_AT])
        # Conversions may be under way, for some us twice in 1000. A converter that is busy now and
        # in all the time after the work below has a foreign entry.
        busy = fcs[0] & _FCS_LEVEL | cs[0] & _CS_READY ^ _CS_READY
        zero_mv = r[_ZERO_MV]
        span_mv = r[_SPAN_MV]
        # Written out twice: as a loop it took 4 us more.
        ring = ptr16(r[_RINGS])
        high = (ptr32(r[_POINTERS])[0] - r[_RINGS]) >> 1
        w[2] = zero_mv + (ring[(high - 1) & (_RING - 1)] * span_mv >> 12)
        w[3] = zero_mv + (ring[(high - 2) & (_RING - 1)] * span_mv >> 12)
        w[4] = zero_mv + (ring[(high - 3) & (_RING - 1)] * span_mv >> 12)
        ring = ptr16(r[_RINGS + 1])
        low = (ptr32(r[_POINTERS + 1])[0] - r[_RINGS + 1]) >> 1
        w[5] = zero_mv + (ring[(low - 1) & (_RING - 1)] * span_mv >> 12)
        w[6] = zero_mv + (ring[(low - 2) & (_RING - 1)] * span_mv >> 12)
        w[7] = zero_mv + (ring[(low - 3) & (_RING - 1)] * span_mv >> 12)
        left = 64
        while busy and left:
            left -= 1
            busy = fcs[0] & _FCS_LEVEL | cs[0] & _CS_READY ^ _CS_READY
        if not busy:
            r[_TAKEN] = (r[_TAKEN] + ((high - r[_PLACES]) & (_RING - 1))) & 0x3FFFFFFF
            r[_TAKEN + 1] = (r[_TAKEN + 1] + ((low - r[_PLACES + 1]) & (_RING - 1))) & 0x3FFFFFFF
        r[_PLACES] = high
        r[_PLACES + 1] = low
        w[0] = r[_TAKEN]
        w[1] = r[_TAKEN + 1]


class Contactor:
    """The contactor role, of functions of its pins; `r` [address of the FIFOs' levels, bit of ours
    when empty, its address, pulses in a train].
    """

    def __init__(self, drive, closed, shunt_trip, machine, r):
        self.drive = drive
        self.closed = closed
        self.shunt_trip = shunt_trip
        self._machine = machine  # of PIO: what nobody refers to is collected
        self._r = r

    @micropython.viper
    def feed(self):
        """One train more, in place of what is still owed; nothing when the FIFO holds one."""
        r = ptr32(self._r)
        if ptr32(r[0])[0] & r[1]:
            ptr32(r[2])[0] = r[3]


def nothing(on=True):
    """In place of an output that is not there."""


class Inputs:
    """The inputs role: `r` [address of the levels, which are active low, all, the levels and the
    word of the last time, the masks of the eight].
    """

    def __init__(self, r, test):
        self._r = r
        self.tests_residual = test is not nothing
        self.test_residual = test

    @micropython.viper
    def read(self) -> int:
        """The word of the role."""
        r = ptr32(self._r)
        levels = (ptr32(r[0])[0] ^ r[1]) & r[2]
        if levels == r[3]:
            return r[4]
        word = 0
        i = 0
        while i < 8:
            if levels & r[5 + i]:
                word |= 1 << i
            i += 1
        r[3] = levels
        r[4] = word
        return word
