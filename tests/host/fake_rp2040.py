"""As much of an RP2040 as hal/mcu/rp2040.py touches: registers, PWM, converter, DMA, pins.

Its rules are those of the datasheet as far as the sampling rests on them: what wraps when, what a
request lets through, what a chain starts, what the FIFO holds. It cannot prove that the chip does
the same: a DMA channel, for one, counts here only the requests that come while it is active.
"""

import importlib
import sys
import types
from array import array
from fractions import Fraction

import hal.mcu
from tests.host import fake_port

PERIOD = 64516  # counts of the PWM in 1 ms, as MicroPython sets them up for 1 kHz at 125 MHz
CONVERSION = 129  # counts in 2 us
PWM, PWM_EN = 0x40050000, 0x400500A0
CS, FCS, FIFO = 0x4004C000, 0x4004C008, 0x4004C00C
DMA, TIMERAWL, GPIO_IN = 0x50000000, 0x40054028, 0xD0000004
FSTAT, TXF = 0x50200004, 0x50200010
START_ONCE, READY, WRITE_ADDR = 1 << 2, 1 << 8, 4


class Pointer:
    """What viper's ptr16 and ptr32 are: to an address of the chip, or into an array."""

    def __init__(self, chip, target, size):
        self._chip = chip
        self._array = target if isinstance(target, array) else None
        self._address = None if self._array is not None else target & 0xFFFFFFFF
        self._size = size

    def __getitem__(self, i):
        if self._array is not None:
            return self._array[i]
        value = self._chip.read(self._address + self._size * i, self._size)
        return signed(value) if self._size == 4 else value

    def __setitem__(self, i, value):
        if self._array is not None:
            self._array[i] = signed(value)
        else:
            self._chip.write(self._address + self._size * i, value & 0xFFFFFFFF)


def signed(value):
    return (value + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


class Chip:
    """`plateau(input, high)` gives the converter's count; time is `now`, in counts of the PWM."""

    def __init__(self):
        self.now = 0
        self.registers = {}
        self.memory = []  # (address, bytearray or array)
        self.pins = {}  # number: level
        self.log = []  # (what, number, ...) in the order it was done
        self.fifo = []
        self.converting = None  # (when it ends, its result)
        self.later = None
        self.queues = False
        self.channels = {}
        self.active = None
        self.started = {}  # slice: when its counter would have been 0
        self.instants = []  # (input, us after the first slice's rise) of each conversion
        self.pilots = {0: 0}  # input: slice and channel as 2 * slice + channel
        self.plateau = lambda channel, high: 4000 if high else 100
        self.fed = []
        self.timers = []
        self.watchdog = 0
        self.timer_us = 0

    # --- time ---
    def run(self, us):
        """Let `us` pass."""
        until = self.now + Fraction(us) * PERIOD / 1000
        while True:
            events = [(self.wrap(s), s) for s in self.started]
            if self.converting:
                events.append((self.converting[0], "converted"))
            event = min(events, default=(until + 1, None), key=lambda e: e[0])
            if event[0] > until:
                break
            self.now = event[0]
            if event[1] == "converted":
                self.fifo.append(self.converting[1])
                self.converting = None
                if self.later is not None:
                    self.convert(self.later)
                    self.later = None
                self.request(36)
            else:
                self.request(24 + event[1])
        self.now = until

    def wrap(self, slice):
        """When the slice wraps next."""
        return self.now + PERIOD - (self.now - self.started[slice]) % PERIOD

    # --- converter and DMA ---
    def request(self, treq):
        channel = self.channels.get(self.active)
        if channel and channel.ctrl and channel.ctrl["treq_sel"] == treq:
            self.transfer(channel)

    def transfer(self, channel):
        ctrl = channel.ctrl
        size = 1 << ctrl["size"]
        self.write(channel.write, self.read(channel.read_address, size), size)
        ring = 1 << ctrl["ring_size"]
        if ctrl["inc_write"]:
            assert ctrl["ring_sel"]
            channel.write = channel.write & ~(ring - 1) | channel.write + size & ring - 1
        if ctrl["inc_read"]:
            assert not ctrl["ring_sel"]
            at = channel.read_address
            channel.read_address = at & ~(ring - 1) | at + size & ring - 1
        self.trigger(ctrl["chain_to"])

    def trigger(self, number):
        self.active = number
        channel = self.channels[number]
        if channel.ctrl["treq_sel"] == 0x3F or channel.ctrl["treq_sel"] == 36 and self.fifo:
            self.transfer(channel)

    def convert(self, cs):
        if self.converting:  # the datasheet does not say: forgotten, or done next
            self.later = cs if self.queues else None
            return
        channel = cs >> 12 & 7
        number = self.pilots.get(channel)
        result = 2000
        if number is not None:
            place = (self.now - self.started[number >> 1]) % PERIOD
            cc = self.registers[PWM + 0x14 * (number >> 1) + 0x0C] >> 16 * (number & 1) & 0xFFFF
            self.instants.append((channel, float(place * 1000 / PERIOD)))
            result = self.plateau(channel, place < cc)
        self.converting = (self.now + CONVERSION, result)

    def foreign_read(self):
        """As machine.ADC(4).read_u16() would: the result stays in the FIFO."""
        self.convert(4 << 12 | START_ONCE)
        self.run(3)

    # --- the bus ---
    def read(self, address, size=4):
        for base, block in self.memory:
            data = memoryview(block).cast("B")
            if base <= address < base + len(data):
                at = address - base
                return int.from_bytes(data[at : at + size], "little")
        if address == FIFO:
            return self.fifo.pop(0) if self.fifo else 0
        if address == FCS:
            return self.registers.get(FCS, 0) | len(self.fifo) << 16
        if address == CS:
            return self.registers.get(CS, 0) | (0 if self.converting else READY)
        if address == TIMERAWL:
            return self.timer_us & 0xFFFFFFFF
        if address == GPIO_IN:
            return sum(1 << number for number, level in self.pins.items() if level)
        if DMA <= address < DMA + 0x300 and address & 0x3F == WRITE_ADDR:
            return self.channels[(address - DMA) // 0x40].write
        return self.registers.get(address, 0)

    def write(self, address, value, size=4):
        for base, block in self.memory:
            data = memoryview(block).cast("B")
            if base <= address < base + len(data):
                at = address - base
                data[at : at + size] = value.to_bytes(size, "little")
                return
        if address == PWM_EN + 0x2000:
            for slice in range(8):
                if value >> slice & 1:
                    ctr = self.registers.get(PWM + 0x14 * slice + 0x08, 0)
                    self.started[slice] = self.now - ctr
        elif address == PWM_EN + 0x3000:
            for slice in range(8):
                if value >> slice & 1:
                    self.started.pop(slice, None)
        elif address == CS:
            self.registers[CS] = value & ~START_ONCE
            if value & START_ONCE:
                self.convert(value)
        elif TXF <= address < TXF + 16:
            self.fed.append(((address - TXF) // 4, value))
        else:
            self.registers[address] = value

    # --- MicroPython's modules ---
    def modules(self):
        machine = types.ModuleType("machine")
        rp2 = types.ModuleType("rp2")
        uctypes = types.ModuleType("uctypes")
        for module, make in ((machine, self._machine), (rp2, self._rp2)):
            for name, value in make().items():
                setattr(module, name, value)
        uctypes.addressof = self._addressof
        return {"machine": machine, "rp2": rp2, "uctypes": uctypes}

    def _addressof(self, block):
        for base, known in self.memory:
            if known is block:
                return base
        base = 0x20010010 + 0x1000 * len(self.memory)  # no multiple of 32
        self.memory.append((base, block))
        return base

    def _machine(chip):
        class Mem:
            def __init__(self, size):
                self.size = size

            def __getitem__(self, address):
                return chip.read(address, self.size)

            def __setitem__(self, address, value):
                chip.write(address, value & 0xFFFFFFFF, self.size)

        class Pin:
            OUT, IN, PULL_UP = "out", "in", "up"

            def __init__(self, number, mode=None, pull=None, value=None):
                self.number = number
                if mode:
                    chip.log.append(("pin", number, mode, value))
                if value is not None:
                    chip.pins[number] = value

            def value(self, *level):
                if not level:
                    return chip.pins.get(self.number, 0)
                chip.pins[self.number] = int(level[0])
                chip.log.append(("level", self.number, int(level[0])))

            __call__ = value

            def on(self):
                self.value(1)

        class PWM:
            def __init__(self, pin, freq, duty_u16):
                assert freq == 1000 and duty_u16 == 65535
                slice, odd = pin.number >> 1 & 7, pin.number & 1
                chip.log.append(("pwm", pin.number))
                base = PWM_BASE + 0x14 * slice
                chip.registers[base + 0x04] = 31
                chip.registers[base + 0x10] = PERIOD - 1
                cc = chip.registers.get(base + 0x0C, 0)
                chip.registers[base + 0x0C] = cc & 0xFFFF << 16 * (1 - odd) | PERIOD << 16 * odd

        PWM_BASE = globals()["PWM"]

        class Timer:
            PERIODIC = 1

            def __init__(self, number, **how):
                self.how = how
                self.running = True
                chip.timers.append(how)

            def deinit(self):
                self.running = False

        class WDT:
            def __init__(self, timeout):
                assert timeout <= 8388
                chip.log.append(("watchdog", timeout))

            def feed(self):
                chip.watchdog += 1

        return {
            **fake_port.machine(chip),
            "mem16": Mem(2),
            "mem32": Mem(4),
            "Pin": Pin,
            "PWM": PWM,
            "ADC": lambda pin: chip.log.append(("adc", pin.number)),
            "Timer": Timer,
            "WDT": WDT,
        }

    def _rp2(chip):
        class DMA:
            def __init__(self):
                self.channel = len(chip.channels) + 2  # others may have taken some
                self.ctrl = self.read_address = self.write = None
                chip.channels[self.channel] = self

            def pack_ctrl(self, **fields):
                return fields

            def config(self, read=None, write=None, count=None, ctrl=None):
                if read is not None:
                    self.read_address = read
                if write is not None:
                    self.write = write
                if ctrl is not None:
                    self.ctrl = ctrl or None
                assert count in (None, 1)

            def active(self, on):
                if on:
                    chip.trigger(self.channel)
                elif chip.active == self.channel:
                    chip.active = None

        class StateMachine:
            def __init__(self, number, program, freq, set_base):
                chip.log.append(("hold", set_base.number, number, freq))

            def exec(self, instruction):
                assert instruction == "set(x, 0)"

            def active(self, on):
                pass

        class PIO:
            OUT_LOW = SHIFT_RIGHT = 0

        return {"DMA": DMA, "StateMachine": StateMachine, "PIO": PIO, "asm_pio": asm_pio}


class _Word:
    def __init__(self, words, word):
        self.words = words
        words.append(word)

    def __getitem__(self, delay):
        assert 0 <= delay <= 31
        self.words[-1] |= delay << 8


def asm_pio(**_):
    """Assembles the few instructions that the hold has (datasheet 3.4) to a list of words."""

    def decorate(function):
        words = []
        labels = {}
        names = {
            "label": lambda name: labels.setdefault(name, len(words)),
            "noblock": 0,
            "x": 1,
            "pins": 0,
            "not_x": 1,
            "x_dec": 2,
            "pull": lambda block: _Word(words, 0x8080 | block << 5),
            "out": lambda to, bits: _Word(words, 0x6000 | to << 5 | bits),
            "set": lambda to, data: _Word(words, 0xE000 | to << 5 | data),
            "jmp": lambda condition, to: _Word(words, condition << 5 | labels[to]),
        }
        before = dict(function.__globals__)
        function.__globals__.update(names)
        try:
            function()
        finally:
            function.__globals__.clear()
            function.__globals__.update(before)
        return words

    return decorate


def load(chip):
    """The module hal.mcu.rp2040 on `chip`; what stays of it is its `rp2040_tick`."""
    module = load_port("hal.mcu.rp2040", chip.modules())
    module.rp2040_tick.ptr16 = lambda target: Pointer(chip, target, 2)
    module.rp2040_tick.ptr32 = lambda target: Pointer(chip, target, 4)
    return module


def load_port(name, modules):
    """The module `name` with `modules` for a port's own, loaded anew."""
    anew = (name, "hal.mcu.port", "hal.mcu.rtc", name + "_tick")
    before = {key: sys.modules.get(key) for key in (*modules, *anew)}
    sys.modules.update(modules)
    for key in anew:
        sys.modules.pop(key, None)
        if hasattr(hal.mcu, key.split(".")[-1]):
            delattr(hal.mcu, key.split(".")[-1])
    try:
        module = importlib.import_module(name)
    finally:
        for key, value in before.items():
            if value is None:
                sys.modules.pop(key, None)
            else:
                sys.modules[key] = value
    return module
