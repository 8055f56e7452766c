"""Voltpile on an RP2040: the pilot sampled by hardware alone, a hard timer, a hold fed by PIO.

Python takes part in none of the sampling. Three PWM slices run in step: the pilot's, one that
wraps 30 us after the pilot's rise, one that wraps 10 us before the next. Each wrap lets a DMA
channel start one conversion, and a second channel moves its result to a ring; the four are chained
in a circle. Several outlets share the converter: theirs follow one another at the same instants.

The safety tick, in hal.mcu.rp2040_tick, reads the rings. What is here makes the board, and is let
go of then. Sections are those of the RP2040 datasheet.
"""

from array import array

import machine
import rp2
import uctypes
from micropython import const

from hal.mcu import board_file, port, rp2040_tick
from hal.mcu.rp2040_tick import SCRATCH

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
_CS_AINSEL = const(12)
_FCS_SET_UP = const(1 << 0 | 1 << 3 | 1 << 10 | 1 << 11 | 1 << 24)  # on, DREQ, flags off, from 1
# DMA (2.5.7): channels of 0x40 bytes; requests (2.5.3.1)
_DMA = const(0x50000000)
_CHANNEL = const(0x40)
_WRITE_ADDR = const(0x04)
_CTDREQ = const(0x800)
_DREQ_PWM_WRAP = const(24)
_DREQ_ADC = const(36)
_DREQ_ALWAYS = const(0x3F)
_GPIO_IN = const(0xD0000004)  # 2.3.1.7: also the levels of outputs
# PIO 0 (3.7)
_FSTAT = const(0x50200004)
_TXF = const(0x50200010)
_TX_EMPTY = const(24)

_HIGH_US = const(30)  # after the rise
_LOW_US = const(10)  # before the next

_RING = const(16)  # halfwords

# Cells of a Pilot's array, as in hal.mcu.rp2040_tick
_CC_AT = const(0)
_CC_SHIFT = const(1)
_CC_KEEP = const(2)
_COUNTS = const(3)
_ZERO_MV = const(4)
_SPAN_MV = const(5)
_CS_AT = const(6)
_FCS_AT = const(7)
_RINGS = const(8)
_POINTERS = const(10)
_PILOT_CELLS = const(18)

_PIO_HZ = const(64000)
_PULSE_CYCLES = const(64)

# What is let go of once the board runs.
BOOT_ONLY = ("hal.mcu.board_file", "hal.mcu.port", "hal.mcu.secrets", "hal.mcu.rp2040")

make_safe = port.make_safe
watch = port.watch


def retained(spec):
    """The word that `retain` kept; 0 after power-up."""
    return machine.mem32[SCRATCH] & 255


def retain(spec, word):
    """Keep `word`, 0 to 255, through resets."""
    machine.mem32[SCRATCH] = word


class Circle:
    """The sampling's channels, rings and slices. It stays, so it has no methods: with them this
    module would.
    """


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


def make(spec, path):
    """The board that `spec`, read from the file `path`, describes. Raises ValueError."""
    make_safe(spec)
    board_file.check_deadman(spec, path, hold_ms(spec), 31)
    places = spec["outlets"]
    circle = Circle()
    if places:
        arrange(circle, [place["pilot"] for place in places])
    pilots = []
    outlets = []
    for i, place in enumerate(places):
        contactor = make_contactor(place["contactor"], i, spec["deadman"].get("pulses", 20))
        inputs = make_inputs(place.get("inputs", {}), place["contactor"])
        pilots.append(make_pilot(circle, i))
        outlets.append(board_file.outlet(place, pilots[i], contactor, inputs))
    board = rp2040_tick.Board(outlets, pilots, circle)
    port.equip(board, spec, path, lambda pin: also(circle, pin), retained(spec))
    return board


def arrange(c, pilots):
    """Take what the sampling of `pilots` needs, and start it: for each outlet {"pwm", "adc":
    pins, "zero_mv", "full_mv": the pilot's voltage that puts 0 V and 3.3 V on the converter's
    pin}.
    """
    n = len(pilots)
    c.pilots = pilots
    used = [_slice(c, i) for i in range(n)]
    c.free = [i for i in range(7, -1, -1) if i not in used][:2]
    mask = 0
    for i in used + c.free:
        mask |= 1 << i
    c.mask = mask
    for pilot in pilots:
        machine.ADC(machine.Pin(pilot["adc"]))  # switches converter and pin
        machine.PWM(machine.Pin(pilot["pwm"]), freq=1000, duty_u16=65535)
    mem = machine.mem32
    first = _PWM + _SLICE * used[0]
    c.counts = mem[first + _TOP] + 1
    for i in c.free:
        mem[_PWM + _SLICE * i + _DIV] = mem[first + _DIV]
        mem[_PWM + _SLICE * i + _TOP] = mem[first + _TOP]
    # A ring of 32 bytes begins at a multiple of 32. After them what the other inputs need.
    c.memory = bytearray(2 * _RING * (2 * n + 2))
    c.rings = (uctypes.addressof(c.memory) + 31) & ~31
    c.inputs = []
    word = _CS_EN | _CS_START_ONCE
    c.words = array("I", [word | (p["adc"] - 26) << _CS_AINSEL for p in pilots])
    c.dma = [rp2.DMA() for _ in range(4 * n)]
    for k, dma in enumerate(c.dma):
        i, low, reads = _link(c, k)
        if reads:  # one result to its ring
            dma.config(read=_FIFO, write=_ring(c, i, low)[0], count=1)
        else:  # start a conversion
            dma.config(read=uctypes.addressof(c.words) + 4 * i, write=_CS, count=1)
    start(c)


def _link(c, k):
    # (outlet, 0 high or 1 low or 2 other inputs, 0 starts or 1 reads) of the k-th channel in
    # the circle.
    n = len(c.pilots)
    return k // 2 % n, k // 2 // n, k & 1


def _slice(c, i):
    # The PWM slice of outlet i's pilot (4.5.2).
    return c.pilots[i]["pwm"] >> 1 & 7


def _ring(c, i, low):
    # (address of outlet i's ring, address of the register that points into it)
    reads = c.dma[2 * (i + low * len(c.pilots)) + 1]
    return c.rings + 32 * (2 * i + low), _DMA + _CHANNEL * _number(reads) + _WRITE_ADDR


def also(c, pin):
    """Convert another pin too, at least every 4 ms: a further link of the circle, for a read
    by anybody else would swap highs and lows. The `Analogue` of it.

    One channel starts conversions from a ring of four words, the other moves the results to a
    ring of four halfwords; fewer inputs take turns.
    """
    machine.ADC(machine.Pin(pin))
    inputs = c.inputs
    if not inputs:
        c.dma += [rp2.DMA(), rp2.DMA()]
    inputs.append(pin)
    words = c.rings + 64 * len(c.pilots)
    for i in range(4):
        channel = inputs[i % len(inputs)] - 26
        machine.mem32[words + 4 * i] = _CS_EN | _CS_START_ONCE | channel << _CS_AINSEL
    start(c)
    return rp2040_tick.Analogue(words + 14 + 2 * len(inputs))


def start(c):
    """Let the circle run, whatever it was at before. The rings go on where they were."""
    mem = machine.mem32
    mem[_PWM + _CLEAR + _EN] = c.mask
    for dma in c.dma:
        dma.config(ctrl=0)  # off before it is aborted, so that it chains to nobody
    for dma in c.dma:
        dma.active(0)
    mem[_FCS] = _FCS_SET_UP
    for _ in range(4):
        mem[_FIFO]  # reading empties it
    words = c.rings + 64 * len(c.pilots)
    for k, dma in enumerate(c.dma):
        i, low, reads = _link(c, k)
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
            request = _DREQ_PWM_WRAP + c.free[low]
        else:  # as soon as the result before is in its ring
            request = _DREQ_ALWAYS
        ctrl = dma.pack_ctrl(
            size=1 if reads else 2,
            inc_read=low > 1 and not reads,
            inc_write=bool(reads),
            ring_size=ring,
            ring_sel=bool(reads),
            treq_sel=request,
            chain_to=_number(c.dma[(k + 1) % len(c.dma)]),
        )
        dma.config(ctrl=ctrl)
        mem[_DMA + _CTDREQ + _CHANNEL * _number(dma)] = 0  # requests of the past
    for i in range(len(c.pilots)):
        mem[_PWM + _SLICE * _slice(c, i) + _CTR] = 0
    counts = c.counts
    for i, us in ((0, 1000 - _HIGH_US), (1, _LOW_US)):
        mem[_PWM + _SLICE * c.free[i] + _CTR] = counts * us // 1000
    c.dma[0].active(1)
    mem[_PWM + _SET + _EN] = c.mask  # all at once


def _number(dma):
    return dma.channel  # which the stubs do not know


def _signed(value):
    return value - (1 << 32) if value >= 1 << 31 else value


def make_pilot(c, i):
    """The pilot role of outlet `i` on the circle `c`."""
    spec = c.pilots[i]
    odd = spec["pwm"] & 1
    high, low = _ring(c, i, 0), _ring(c, i, 1)
    r = [0] * _PILOT_CELLS
    r[_CC_AT] = _PWM + _SLICE * _slice(c, i) + _CC
    r[_CC_SHIFT] = 16 * odd
    r[_CC_KEEP] = 0xFFFF if odd else -0x10000
    r[_COUNTS] = c.counts
    r[_ZERO_MV] = spec["zero_mv"]
    r[_SPAN_MV] = spec["full_mv"] - spec["zero_mv"]
    r[_CS_AT] = _CS
    r[_FCS_AT] = _FCS
    r[_RINGS], r[_POINTERS] = high
    r[_RINGS + 1], r[_POINTERS + 1] = low
    return rp2040_tick.Pilot(array("i", [_signed(value) for value in r]))


def make_contactor(spec, i, pulses):
    """The contactor role: `spec` {"drive", "hold", "mirror", "shunt": pins}, of which a board may
    lack all but the first. State machine `i` of PIO 0 pulses the hold, `pulses` of 1 ms per feed.
    """
    r = array("i", [_FSTAT, 0, _TXF + 4 * i, pulses])
    drive = machine.Pin(spec["drive"], machine.Pin.OUT, value=0)
    closed = drive.value
    trip = rp2040_tick.nothing
    pulses_by = None
    if "mirror" in spec:
        closed = machine.Pin(spec["mirror"], machine.Pin.IN, machine.Pin.PULL_UP).value
    if "shunt" in spec:
        trip = machine.Pin(spec["shunt"], machine.Pin.OUT, value=0).on
    if "hold" in spec:
        hold = machine.Pin(spec["hold"], machine.Pin.OUT, value=0)
        pulses_by = rp2.StateMachine(i, hold_program, freq=_PIO_HZ, set_base=hold)
        pulses_by.exec("set(x, 0)")  # a reset leaves X as it was
        pulses_by.active(1)
        r[1] = 1 << _TX_EMPTY + i
    return rp2040_tick.Contactor(drive.value, closed, trip, pulses_by, r)


def make_inputs(spec, contactor):
    """The inputs role: `spec` has the pin of each of board_file.INPUTS that is there, the output
    pin "test" of a residual-current sensor, and in the list "active_low" those that are.

    All are pulled up: a normally closed contact to ground whose wire breaks reads as active. The
    mirror is the `contactor`'s, or its drive pin.
    """
    low = 0
    every = 0
    masks = []
    for name in board_file.INPUTS:
        mask = 0
        if name == "mirror":
            mask = 1 << contactor.get("mirror", contactor["drive"])
        elif name in spec:
            machine.Pin(spec[name], machine.Pin.IN, machine.Pin.PULL_UP)
            mask = 1 << spec[name]
            if name in spec.get("active_low", ()):
                low |= mask
        masks.append(mask)
        every |= mask
    test = rp2040_tick.nothing
    if "test" in spec:
        test = machine.Pin(spec["test"], machine.Pin.OUT, value=0).value
    return rp2040_tick.Inputs(array("i", [_signed(_GPIO_IN), low, every, -1, 0] + masks), test)
