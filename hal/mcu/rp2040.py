"""Voltpile on an RP2040: the pilot sampled by hardware alone, a hard timer, a hold fed by PIO.

Python takes part in none of the sampling. Three PWM slices run in step: the pilot's, one that
wraps 30 us after the pilot's rise, one that wraps 10 us before the next. Each wrap lets a DMA
channel start one conversion, and a second channel moves its result to a ring; the four are chained
in a circle. Several outlets share the converter: theirs follow one another at the same instants.

The safety tick reads the rings. It runs in a hard interrupt, where nothing may be allocated: an
integer has 31 bits there, so registers are reached in viper, their addresses kept in arrays.
Sections are those of the RP2040 datasheet.
"""

from array import array
from time import ticks_ms

import machine
import micropython
import rp2
import uctypes
from micropython import const

from hal.mcu import common, port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rp2.asm_pio import jmp, label, noblock, not_x, out, pins, pull, set, x, x_dec

# Atomic aliases of a peripheral's registers (2.1.2)
_SET = const(0x2000)
_CLEAR = const(0x3000)
# PWM (4.5.3): slices of 0x14 bytes
_PWM = const(0x40050000)
_SLICE = const(0x14)
_DIV = const(0x04)
_CTR = const(0x08)
_CC = const(0x0C)
_TOP = const(0x10)
_EN = const(0xA0)
# ADC (4.9.6)
_CS = const(0x4004C000)
_FCS = const(0x4004C008)
_FIFO = const(0x4004C00C)
_CS_EN = const(1 << 0)
_CS_START_ONCE = const(1 << 2)
_CS_READY = const(1 << 8)
_CS_AINSEL = const(12)
_FCS_LEVEL = const(15 << 16)
_FCS_SET_UP = const(1 << 0 | 1 << 3 | 1 << 10 | 1 << 11 | 1 << 24)  # on, DREQ, flags off, from 1
# DMA (2.5.7): channels of 0x40 bytes; requests (2.5.3.1)
_DMA = const(0x50000000)
_CHANNEL = const(0x40)
_WRITE_ADDR = const(0x04)
_CTDREQ = const(0x800)
_DREQ_PWM_WRAP = const(24)
_DREQ_ADC = const(36)
_DREQ_ALWAYS = const(0x3F)
_TIMERAWL = const(0x40054028)  # 4.6.5: microseconds since boot
_GPIO_IN = const(0xD0000004)  # 2.3.1.7: also the levels of outputs
_SCRATCH = const(0x4005800C)  # 4.7.6: the watchdog's first; bootrom and SDK use others
# PIO 0 (3.7)
_FSTAT = const(0x50200004)
_TXF = const(0x50200010)
_TX_EMPTY = const(24)

_RING = const(16)  # halfwords
_HIGH_US = const(30)  # after the rise
_LOW_US = const(10)  # before the next

# Cells of a Pilot's array
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
_NEW_PLACES = const(14)
_TAKEN = const(16)
_PILOT_CELLS = const(18)

_TICK_MS = const(2)
_EARLY_US = const(1000)
_PIO_HZ = const(64000)
_PULSE_CYCLES = const(64)
_ERRORS = const(2)  # cell of _clock: 1 once an exception reached the timer's callback


@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT)
def hold_program():
    """X counts the pulses still owed. An empty FIFO pulls X itself, so that a word that was fed
    replaces what is owed, never adds to it; five bits cap it at 31 pulses. A pulse is 64 cycles.
    """
    label("top")  # a label after the last instruction would corrupt the jump to it
    pull(noblock)
    out(x, 5)
    jmp(not_x, "top")
    set(pins, 1)[29]
    set(pins, 0)[29]
    jmp(x_dec, "top")


def hold_ms(spec):
    """The longest time from the last feed until the coil is off, in ms, of the board `spec`.

    A word waits in the FIFO while the pulse under way ends; then come its pulses, then the time
    that the hold's own circuit and the coil take (`deadman.release_ms`, from the schematic).
    """
    deadman = spec["deadman"]
    pulses = deadman.get("pulses", 20) + 1
    return (pulses * _PULSE_CYCLES * 1000 + _PIO_HZ - 1) // _PIO_HZ + deadman["release_ms"]


def make_safe(spec):
    """Pull every output of the board low, what energises first. A soft reset leaves pins as they
    were, so this comes first in boot.py.
    """
    for pin in common.outputs(spec):
        machine.Pin(pin, machine.Pin.OUT, value=0)


def make(spec, path):
    """The board that `spec`, read from the file `path`, describes. Raises ValueError."""
    make_safe(spec)
    common.check_deadman(spec, path, hold_ms(spec), 31)
    return Board(spec, path)


def retained(spec):
    """The word that a board's `retain` kept; 0 after power-up."""
    return machine.mem32[_SCRATCH] & 255


def retain(spec, word):
    """Keep `word`, 0 to 255, through resets."""
    machine.mem32[_SCRATCH] = word


watch = port.watch


class Board(common.Board):
    """An RP2040's pile: `outlets`, and what keeps them ticking."""

    late_ms = 20

    def __init__(self, spec, path):
        made = []
        self._pilots = []
        places = spec["outlets"]
        self._sampler = Sampler([place["pilot"] for place in places]) if places else None
        for i, place in enumerate(places):
            contactor = Contactor(place["contactor"], i, spec["deadman"].get("pulses", 20))
            inputs = Inputs(place.get("inputs", {}), place["contactor"])
            pilot = Pilot(self._sampler, i)
            self._pilots.append(pilot)
            made.append(common.Outlet(place, pilot, contactor, inputs))
        super().__init__(spec, path, made, Buses(self._sampler))

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
        return watch()

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
        if self._sampler:
            self._sampler.check([pilot.taken() for pilot in self._pilots])
        return _clock[_ERRORS] == 0


# What the hard timer needs lives here: what nobody refers to is collected, and a collected timer
# or DMA channel stops without a word.
_kept = []
_tick = _drives = None
_clock = array("i", [_TIMERAWL, 0, 0])  # address, when the last tick began in us, _ERRORS


@micropython.viper
def _due() -> int:
    # Ticks missed while interrupts were off come back to back: only the first may count.
    r = ptr32(_clock)
    now_us = ptr32(r[0])[0]
    if (now_us - r[1]) & 0x3FFFFFFF < _EARLY_US:
        return 0
    r[1] = now_us
    return 1


@micropython.native
def _on_timer(_):
    # An exception that left this function would end the timer for good.
    try:
        if _due():
            _tick(ticks_ms())  # pyright: ignore[reportOptionalCall]
    except BaseException:
        _clock[_ERRORS] = 1
        for drive in _drives:  # pyright: ignore[reportOptionalIterable]
            drive(False)


class Sampler:
    """The converter, paced by the pilots' PWM. `pilots`: for each outlet {"pwm", "adc": pins,
    "zero_mv", "full_mv": the pilot's voltage that puts 0 V and 3.3 V on the converter's pin}.
    """

    def __init__(self, pilots):
        n = len(pilots)
        self.pilots = pilots
        used = [self.slice(i) for i in range(n)]
        self._free = [i for i in range(7, -1, -1) if i not in used][:2]
        mask = 0
        for i in used + self._free:
            mask |= 1 << i
        self._mask = mask
        for pilot in pilots:
            machine.ADC(machine.Pin(pilot["adc"]))  # switches converter and pin
            machine.PWM(machine.Pin(pilot["pwm"]), freq=1000, duty_u16=65535)
        mem = machine.mem32
        first = _PWM + _SLICE * used[0]
        self.counts = mem[first + _TOP] + 1
        for i in self._free:
            mem[_PWM + _SLICE * i + _DIV] = mem[first + _DIV]
            mem[_PWM + _SLICE * i + _TOP] = mem[first + _TOP]
        # A ring of 32 bytes begins at a multiple of 32. After them what the other inputs need.
        self._memory = bytearray(2 * _RING * (2 * n + 2))
        self._rings = (uctypes.addressof(self._memory) + 31) & ~31
        self._inputs = []
        word = _CS_EN | _CS_START_ONCE
        self._words = array("I", [word | (p["adc"] - 26) << _CS_AINSEL for p in pilots])
        self._dma = [rp2.DMA() for _ in range(4 * n)]
        for k, dma in enumerate(self._dma):
            i, low, reads = self._link(k)
            if reads:  # one result to its ring
                dma.config(read=_FIFO, write=self.ring(i, low)[0], count=1)
            else:  # start a conversion
                dma.config(read=uctypes.addressof(self._words) + 4 * i, write=_CS, count=1)
        self._seen = []
        self.start()

    def _link(self, k):
        # (outlet, 0 high or 1 low or 2 other inputs, 0 starts or 1 reads) of the k-th channel in
        # the circle.
        n = len(self.pilots)
        return k // 2 % n, k // 2 // n, k & 1

    def slice(self, i):
        """The PWM slice of outlet i's pilot (4.5.2)."""
        return self.pilots[i]["pwm"] >> 1 & 7

    def ring(self, i, low):
        """(address of outlet i's ring, address of the register that points into it)."""
        reads = self._dma[2 * (i + low * len(self.pilots)) + 1]
        return self._rings + 32 * (2 * i + low), _DMA + _CHANNEL * _number(reads) + _WRITE_ADDR

    def also(self, pin):
        """Convert another pin too, at least every 4 ms: a further link of the circle, for a read
        by anybody else would swap highs and lows. The `Analogue` of it.

        One channel starts conversions from a ring of four words, the other moves the results to a
        ring of four halfwords; fewer inputs take turns.
        """
        machine.ADC(machine.Pin(pin))
        inputs = self._inputs
        if not inputs:
            self._dma += [rp2.DMA(), rp2.DMA()]
        inputs.append(pin)
        words = self._rings + 64 * len(self.pilots)
        for i in range(4):
            channel = inputs[i % len(inputs)] - 26
            machine.mem32[words + 4 * i] = _CS_EN | _CS_START_ONCE | channel << _CS_AINSEL
        self.start()
        return Analogue(words + 14 + 2 * len(inputs))

    def check(self, taken):
        """Start anew when one of the counts `taken` is what it was at the last call."""
        if any(a == b for a, b in zip(taken, self._seen)):
            self.start()
        self._seen = taken

    def start(self):
        """Let it run, whatever it was at before. The rings go on where they were."""
        mem = machine.mem32
        mem[_PWM + _CLEAR + _EN] = self._mask
        for dma in self._dma:
            dma.config(ctrl=0)  # off before it is aborted, so that it chains to nobody
        for dma in self._dma:
            dma.active(0)
        mem[_FCS] = _FCS_SET_UP
        for _ in range(4):
            mem[_FIFO]  # reading empties it
        words = self._rings + 64 * len(self.pilots)
        for k, dma in enumerate(self._dma):
            i, low, reads = self._link(k)
            ring = 5
            if low > 1:
                # In step: the first result is that of the first word.
                if reads:
                    dma.config(read=_FIFO, write=words + 16, count=1)
                else:
                    dma.config(read=words, write=_CS, count=1)
                ring = 4 - reads
            if reads:
                request = _DREQ_ADC
            elif i == 0 and low < 2:
                request = _DREQ_PWM_WRAP + self._free[low]
            else:  # as soon as the result before is in its ring
                request = _DREQ_ALWAYS
            ctrl = dma.pack_ctrl(
                size=1 if reads else 2,
                inc_read=low > 1 and not reads,
                inc_write=bool(reads),
                ring_size=ring,
                ring_sel=bool(reads),
                treq_sel=request,
                chain_to=_number(self._dma[(k + 1) % len(self._dma)]),
            )
            dma.config(ctrl=ctrl)
            mem[_DMA + _CTDREQ + _CHANNEL * _number(dma)] = 0  # requests of the past
        for i in range(len(self.pilots)):
            mem[_PWM + _SLICE * self.slice(i) + _CTR] = 0
        counts = self.counts
        for i, us in ((0, 1000 - _HIGH_US), (1, _LOW_US)):
            mem[_PWM + _SLICE * self._free[i] + _CTR] = counts * us // 1000
        self._dma[0].active(1)
        mem[_PWM + _SET + _EN] = self._mask  # all at once


class Buses(port.Buses):
    """The role of that name."""

    retained = staticmethod(retained)
    retain = staticmethod(retain)

    def __init__(self, sampler):
        super().__init__()
        self.adc = sampler and sampler.also


class Analogue:
    """A pin of the converter, whose newest result is at the address `at`."""

    def __init__(self, at):
        self._at = at

    def read_mv(self):
        """The voltage at the pin in mV, at most 4 ms old."""
        return machine.mem16[self._at] * 3300 >> 12


def _number(dma):
    return dma.channel  # which the stubs do not know


def _signed(value):
    return value - (1 << 32) if value >= 1 << 31 else value


class Pilot:
    """The pilot role of outlet `i`, on the rings that `sampler` fills."""

    max_ma = 80000
    max_reason = ""

    def __init__(self, sampler, i):
        spec = sampler.pilots[i]
        odd = spec["pwm"] & 1
        high, low = sampler.ring(i, 0), sampler.ring(i, 1)
        r = [0] * _PILOT_CELLS
        r[_CC_AT] = _PWM + _SLICE * sampler.slice(i) + _CC
        r[_CC_SHIFT] = 16 * odd
        r[_CC_KEEP] = 0xFFFF if odd else -0x10000
        r[_COUNTS] = sampler.counts
        r[_ZERO_MV] = spec["zero_mv"]
        r[_SPAN_MV] = spec["full_mv"] - spec["zero_mv"]
        r[_CS_AT] = _CS
        r[_FCS_AT] = _FCS
        r[_RINGS], r[_POINTERS] = high
        r[_RINGS + 1], r[_POINTERS + 1] = low
        self._r = array("i", [_signed(value) for value in r])

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
        i = 0
        at = 2
        while i < 2:
            ring = ptr16(r[_RINGS + i])
            place = (ptr32(r[_POINTERS + i])[0] - r[_RINGS + i]) >> 1
            r[_NEW_PLACES + i] = place
            w[at] = zero_mv + (ring[(place - 1) & (_RING - 1)] * span_mv >> 12)
            w[at + 1] = zero_mv + (ring[(place - 2) & (_RING - 1)] * span_mv >> 12)
            w[at + 2] = zero_mv + (ring[(place - 3) & (_RING - 1)] * span_mv >> 12)
            at = 5
            i += 1
        at = 64
        while busy and at:
            at -= 1
            busy = fcs[0] & _FCS_LEVEL | cs[0] & _CS_READY ^ _CS_READY
        i = 0
        while i < 2:
            if not busy:
                new = (r[_NEW_PLACES + i] - r[_PLACES + i]) & (_RING - 1)
                r[_TAKEN + i] = (r[_TAKEN + i] + new) & 0x3FFFFFFF
            r[_PLACES + i] = r[_NEW_PLACES + i]
            i += 1
        w[0] = r[_TAKEN]
        w[1] = r[_TAKEN + 1]


class Contactor:
    """The contactor role: `spec` {"drive", "hold", "mirror", "shunt": pins}, of which a board may
    lack all but the first. State machine `i` of PIO 0 pulses the hold, `pulses` of 1 ms per feed.
    """

    def __init__(self, spec, i, pulses):
        drive = machine.Pin(spec["drive"], machine.Pin.OUT, value=0)
        self.drive = drive.value
        self.closed = drive.value
        self.shunt_trip = _nothing
        if "mirror" in spec:
            self.closed = machine.Pin(spec["mirror"], machine.Pin.IN, machine.Pin.PULL_UP).value
        if "shunt" in spec:
            self.shunt_trip = machine.Pin(spec["shunt"], machine.Pin.OUT, value=0).on
        empty = 0
        if "hold" in spec:
            hold = machine.Pin(spec["hold"], machine.Pin.OUT, value=0)
            self._machine = rp2.StateMachine(i, hold_program, freq=_PIO_HZ, set_base=hold)
            self._machine.exec("set(x, 0)")  # a reset leaves X as it was
            self._machine.active(1)
            empty = 1 << _TX_EMPTY + i
        self._r = array("i", [_FSTAT, empty, _TXF + 4 * i, pulses])

    @micropython.viper
    def feed(self):
        """One train more, in place of what is still owed; nothing when the FIFO holds one."""
        r = ptr32(self._r)
        if ptr32(r[0])[0] & r[1]:
            ptr32(r[2])[0] = r[3]


def _nothing(on=True):
    pass


class Inputs:
    """The inputs role: `spec` has the pin of each of common.INPUTS that is there, the output pin
    "test" of a residual-current sensor, and in the list "active_low" the names of those that are.

    All are pulled up: a normally closed contact to ground whose wire breaks reads as active. The
    mirror is the `contactor`'s, or its drive pin.
    """

    def __init__(self, spec, contactor):
        low = 0
        masks = []
        for name in common.INPUTS:
            mask = 0
            if name == "mirror":
                mask = 1 << contactor.get("mirror", contactor["drive"])
            elif name in spec:
                machine.Pin(spec[name], machine.Pin.IN, machine.Pin.PULL_UP)
                mask = 1 << spec[name]
                if name in spec.get("active_low", ()):
                    low |= mask
            masks.append(mask)
        # address, active low, all, the levels and the word of the last time, the eight
        every = 0
        for mask in masks:
            every |= mask
        self._r = array("i", [_signed(_GPIO_IN), low, every, -1, 0] + masks)
        self.tests_residual = "test" in spec
        self.test_residual = _nothing
        if self.tests_residual:
            self.test_residual = machine.Pin(spec["test"], machine.Pin.OUT, value=0).value

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
