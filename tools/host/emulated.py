"""A Pico in the emulator rp2040py, with the firmware in its flash and a vehicle at its pilot.

Runs in the emulator's own venv. What the emulator lacks is put right here, on its own classes, by
the RP2040 datasheet: a wrap of a PWM slice is one DMA request and not a level (2.5.3.2),
START_ONCE of the converter clears itself (4.9.6), PWM's EN register can be read (4.5.3). No host
is on USB: the CPU sleeps when the firmware does. Flash has no cache to miss and the bus no second
master, so what is measured here is less than on a chip.
"""

import json
import pathlib
import struct
import subprocess
import tempfile

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import decode_block
from rp2040py.peripherals import adc, dma, pwm
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from tools import size, viper

FLASH = 0x10000000
RAM = 0x20000000
# The file system of RPI_PICO: the last 352 blocks of 2 MiB
_BLOCK, _BLOCKS = 4096, 352
_FILES_AT = (2 << 20) - _BLOCK * _BLOCKS
_MARK = 0x14  # the watchdog's SCRATCH2

PILOT_MV = {"A": 12000, "B": 9000, "C": 6000, "D": 3000}
_PWM, _DRIVE, _HOLD, _MIRROR, _SHUNT, _RCD, _ESTOP, _LIVE = 2, 10, 11, 12, 13, 14, 15, 16
BOARD = {
    "mcu": "rp2040",
    "deadman": {"release_ms": 15},
    "outlets": [
        {
            "max_ma": 32000,
            "pilot": {"pwm": _PWM, "adc": 26, "zero_mv": -15000, "full_mv": 15000},
            "contactor": {"drive": _DRIVE, "hold": _HOLD, "mirror": _MIRROR, "shunt": _SHUNT},
            "inputs": {"rcd": _RCD, "estop": _ESTOP, "live": _LIVE, "active_low": ["live"]},
        }
    ],
}
_CONTACTOR_NS = 15e6

_MAKE_FILES = """
import json, os, vfs
class Memory:
    def __init__(self):
        self.bytes = bytearray({size} * {count})
    def readblocks(self, n, into, at=0):
        at += n * {size}
        into[:] = self.bytes[at : at + len(into)]
    def writeblocks(self, n, data, at=0):
        at += n * {size}
        self.bytes[at : at + len(data)] = data
    def ioctl(self, what, _):
        return {{4: {count}, 5: {size}}}.get(what, 0)
memory = Memory()
vfs.VfsLfs2.mkfs(memory, progsize=256)
made = vfs.VfsLfs2(memory, progsize=256)
folders = set()
for name in json.loads(open("names").read()):
    parts = name.split("/")
    for i in range(1, len(parts)):
        folder = "/" + "/".join(parts[:i])
        if folder not in folders:
            folders.add(folder)
            made.mkdir(folder)
    with open("file-" + name.replace("/", "-"), "rb") as file, made.open("/" + name, "wb") as to:
        to.write(file.read())
made.umount()
open("flash", "wb").write(memory.bytes)
"""


def _take_request(channel):
    # A request that was counted lets one transfer through.
    if channel._treq_value in range(24, 32) and channel._dreq_counter:
        channel.transfer_alarm.schedule(0)
        return
    _schedule_transfer(channel)


_schedule_transfer = dma.RPDMAChannel.schedule_transfer
_transfer = dma.RPDMAChannel.transfer
_set_dreq = dma.RPDMA.set_dreq
_write_adc = adc.RPADC.write_uint32


def _transfer_one(channel):
    if channel._dreq_counter:
        channel._dreq_counter -= 1
    _transfer(channel)


def _request(controller, number):
    if number not in range(24, 32):
        _set_dreq(controller, number)
        return
    for channel in controller.channels:
        if channel.treq == number and (channel.active or Pico.counts_always):
            channel._dreq_counter = min(channel._dreq_counter + 1, 63)
            if channel.active:
                channel.schedule_transfer()


def _write_converter(converter, offset, value):
    _write_adc(converter, offset, value)
    converter.cs &= ~adc.CS_START_ONE


def _patch():
    dma.RPDMAChannel.schedule_transfer = _take_request
    dma.RPDMAChannel.transfer = _transfer_one
    dma.RPDMA.set_dreq = _request
    adc.RPADC.write_uint32 = _write_converter
    enable = pwm.PWMChannel.en
    pwm.PWMChannel.en = property(lambda channel: channel.csr & 1, enable.fset)


_patch()


def station_files():
    """{path: bytes} of what a board loads, compiled as for a board."""
    files = {"board.json": json.dumps(BOARD).encode(), "config.json": b'{"station_id": "EMU"}'}
    hal = size.ROOT / "hal"
    paths = [*(size.ROOT / "firmware").rglob("*.py"), *hal.glob("*.py"), *hal.glob("mcu/*.py")]
    with tempfile.TemporaryDirectory() as scratch:
        source, target = pathlib.Path(scratch, "source.py"), pathlib.Path(scratch, "x.mpy")
        for path in paths:
            name = path.relative_to(size.ROOT).as_posix()
            text = path.read_text()
            module = name[:-3].replace("/", ".")
            source.write_text(viper.for_board(module, text, True))
            command = [size.MPY_CROSS, "-O2", "-march=armv6m", "-s", name]
            size.output([*command, "-o", target, source])
            files[name.replace(".py", ".mpy")] = target.read_bytes()
    for path in (size.UMQTT / "umqtt").glob("*.py"):
        files["umqtt/" + path.name] = path.read_bytes()
    files["socket.py"] = files["usocket.py"] = b""  # imported; a plain Pico has no network
    files["boot.py"] = (size.ROOT / "boot.py").read_bytes()
    files["main.py"] = (size.ROOT / "tools" / "host" / "emulated_main.py").read_bytes()
    cells = viper.constants((size.ROOT / "firmware/safety/core.py").read_text())
    files["names.py"] = "\n".join("%s = %d" % cell for cell in cells.items()).encode()
    files["run.py"] = (size.ROOT / "main.py").read_bytes()
    return files


def _file_system(files):
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            pathlib.Path(scratch, "file-" + name.replace("/", "-")).write_bytes(content)
        pathlib.Path(scratch, "names").write_text(json.dumps(sorted(files)))
        code = _MAKE_FILES.format(size=_BLOCK, count=_BLOCKS)
        command = [size.BIN / "micropython", "-X", "heapsize=64M", "-c", code]
        subprocess.run([str(part) for part in command], cwd=scratch, check=True)
        return pathlib.Path(scratch, "flash").read_bytes()


class Pico:
    """`image` (a path) booted with `files`. `vehicle` is the letter that the pilot shows, `diode`
    whether it has one, `shorted` a pilot at 0 V, `edges` [(ns, level)] of three pins.

    `counts_always`: DMA requests count while their channel is not active too; the datasheet leaves
    that open.
    """

    counts_always = False
    PWM, DRIVE, HOLD = _PWM, _DRIVE, _HOLD

    def __init__(self, image, files):
        self.simulator = Simulator(rp2040=RP2040())
        self.mcu = mcu = self.simulator.rp2040
        self.clock = mcu.clock
        mcu.logger = ConsoleLogger(LogLevel.ERROR)
        mcu.load_bootrom(BOOTROM_B1)
        for at, data in _blocks(image):
            mcu.flash[at : at + len(data)] = data
        data = _file_system(files)
        mcu.flash[_FILES_AT : _FILES_AT + len(data)] = data
        mcu.core.pc = FLASH
        self.vehicle = "A"
        self.diode = True
        self.shorted = False
        self.frozen = False  # whether the converter gives no results any more
        self.wrong = {}  # {conversions from now: mV}
        self.instants = []  # us after the pilot's rise, of each conversion, with its reading
        self.marks = {}  # {number: ns}, by the program's `mark` or the host's
        scratch = mcu.watchdog.write_uint32

        def write(offset, value):
            if offset == _MARK:
                self.mark(value)
            scratch(offset, value)

        mcu.watchdog.write_uint32 = write
        self.edges = {_PWM: [], _DRIVE: [], _HOLD: []}  # (ns, level)
        for number in self.edges:
            mcu.gpio[number].add_listener(self._noting(number))
        mcu.adc.on_adc_read = self._convert
        self._sample = mcu.clock.create_alarm(
            lambda: mcu.adc.complete_adc_read(self._count, False)
        )
        self._count = 0
        self._metal = mcu.clock.create_alarm(self._moved)
        self.closed = False
        for number, level in ((_MIRROR, 0), (_LIVE, 1), (_RCD, 0), (_ESTOP, 0)):
            mcu.gpio[number].set_input_value(bool(level))

    # --- What is around the chip ---

    def _noting(self, number):
        edges = self.edges[number]

        def note(state, _):
            level = int(state) == 1
            if not edges or edges[-1][1] != level:
                edges.append((self.clock.nanos, level))
                if number == _DRIVE:
                    self._metal.schedule(_CONTACTOR_NS)

        return note

    def level(self, number):
        """The output pin's level."""
        return int(self.mcu.gpio[number].value) == 1

    def _moved(self):
        self.closed = self.level(_DRIVE)
        self.mcu.gpio[_MIRROR].set_input_value(self.closed)
        self.mcu.gpio[_LIVE].set_input_value(not self.closed)

    def pilot_mv(self):
        """The pilot's voltage now."""
        if self.shorted:
            return 0
        high = PILOT_MV[self.vehicle]
        if self.level(_PWM):
            return high
        return -12000 if self.diode or self.vehicle == "A" else -high

    def trip(self):
        """A residual current."""
        self.mcu.gpio[_RCD].set_input_value(True)

    def fed_within(self, ms):
        """Whether the hold pulsed so lately."""
        return self.clock.nanos - self.edges[_HOLD][-1][0] < ms * 1e6

    def _convert(self, channel):
        if self.frozen:
            return
        mv = self.pilot_mv() if channel == 0 else 0
        if channel == 0:
            if self.wrong:
                self.wrong = {n - 1: wrong for n, wrong in self.wrong.items()}
                mv = self.wrong.pop(0, mv)
            self.instants.append((self.clock.nanos, mv))
        self._count = min(max((mv + 15000) * 4096 // 30000, 0), 4095)
        self._sample.schedule(2000)

    # --- Time ---

    @property
    def ms(self):
        return self.clock.nanos / 1e6

    def run(self, ms, until=None):
        """Let `ms` pass, or less when `until()` became true, which is asked every 0.1 ms. Returns
        whether it did, or True.
        """
        end = self.clock.nanos + ms * 1e6
        done = []

        def look():
            if self.clock.nanos >= end - 1 or (until and until()):
                done.append(1)
                self.simulator.stopped = True
            else:
                alarm.schedule(min(step, end - self.clock.nanos))

        step = 1e5 if until else ms * 1e6
        alarm = self.clock.create_alarm(look)
        alarm.schedule(min(step, ms * 1e6))
        while not done:
            self.simulator.stopped = False
            self.simulator._execute_batch()
        return until is None or bool(until())

    def at(self, ms, do):
        """Call `do()` in `ms`."""
        alarm = self.clock.create_alarm(do)
        alarm.schedule(ms * 1e6)
        return alarm

    def step(self):
        """One instruction, or the sleep until the next event. Returns whether it slept."""
        core, clock = self.mcu.core, self.clock
        waiting = core.waiting
        if waiting:
            ns = clock.nanos_to_next_alarm
        else:
            ns = core.execute_instruction() * 8.0
        clock.tick(ns)
        cycles = int(ns / 8) or 1
        for pio in self.mcu.pio:
            if not pio.stopped:
                pio.advance(cycles)
        return waiting

    # --- Talking to the program in it ---

    @property
    def _box(self):
        at = self.mcu.watchdog.scratch_data[3]
        return at - RAM if at else None

    def mark(self, number):
        """Note the time."""
        self.marks[number] = self.clock.nanos

    def deafen(self):
        """Have `listens` wait for the program's next start."""
        self.mcu.sram[self._box] = 0

    def listens(self):
        """Whether the program is where `ask` reaches it."""
        return self._box is not None and self.mcu.sram[self._box] == 3

    def tell(self, text):
        """Have the pile run the Python `text`."""
        ram, at = self.mcu.sram, self._box
        data = text.encode()
        ram[at + 4 : at + 4 + len(data)] = data
        ram[at + 2 : at + 4] = struct.pack("<H", len(data))
        ram[at] = 1

    def told(self):
        """What the pile wrote last: JSON, or a traceback."""
        if self._box is None:
            return ""
        ram, at = self.mcu.sram, self._box
        n = struct.unpack("<H", bytes(ram[at + 2 : at + 4]))[0]
        return bytes(ram[at + 4 : at + 4 + n]).decode()

    def ask(self, text, ms=2000):
        """The value of the expression `text`, or None after the statements `text`, in the pile."""
        ram, at = self.mcu.sram, self._box
        self.tell(text)
        if not self.run(ms, lambda: ram[at] == 2):
            raise RuntimeError("no answer to " + text)
        if ram[at + 1]:
            raise RuntimeError(self.told())
        return json.loads(self.told())


def _blocks(image):
    data = pathlib.Path(image).read_bytes()
    if data[:4] != b"UF2\n":
        return [(0, data)]
    blocks = [decode_block(data[i : i + 512]) for i in range(0, len(data), 512)]
    return [(block.flash_address - FLASH, block.payload) for block in blocks]
