"""Power cuts at every write: a Recorder notes each FRAM byte, block program and block erase that a
script makes, and `replay` cuts the power at each, torn ones included.

    recorder = Recorder()
    recorder.run(script)            # script(recorder, board) calls recorder.note(...) in between
    tried = replay(recorder, boot, check, nth)

After each cut `boot(board)` recovers, and `check(board, made, notes)` gets what that returned and
what was noted before the cut; it raises where anything is lost. The flash is a real littlefs,
MicroPython's VfsLfs2, on a block device in memory where the interpreter has one; elsewhere a store
that replaces and removes in one piece.
"""

import os

from hal.chips import fm24
from hal.mcu.common import Files
from hal.virtual.chips import fm24 as emulation
from hal.virtual.random import Random
from tests.chips import Buses

try:
    from vfs import VfsLfs2, mount, umount
except ImportError:
    VfsLfs2 = mount = umount = None

BLOCK = 4096
PROGRAM = 256  # as the RP2040's port mounts its flash


class Blocks:
    """NOR flash as littlefs wants it. `log` hears of each erase and program; `erases` and
    `programs` count them for each block.
    """

    def __init__(self, blocks, log=None):
        self.blocks = blocks
        self.erases = [0] * len(blocks)
        self.programs = [0] * len(blocks)
        self._log = log

    def readblocks(self, n, into, at=0):
        into[:] = memoryview(self.blocks[n])[at : at + len(into)]

    def writeblocks(self, n, data, at=0):
        block = self.blocks[n]
        if bytes(memoryview(block)[at : at + len(data)]) != b"\xff" * len(data):
            raise ValueError("block %d was not erased at %d" % (n, at))
        block[at : at + len(data)] = data
        self.programs[n] += 1
        if self._log is not None:
            self._log.append(("program", n, at, bytes(data)))

    def ioctl(self, op, n):
        if op == 4:
            return len(self.blocks)
        if op == 5:
            return BLOCK
        if op == 6:
            self.blocks[n][:] = b"\xff" * BLOCK
            self.erases[n] += 1
            if self._log is not None:
                self._log.append(("erase", n, 0, b""))
        return 0


class Kept:
    """A store in memory, for interpreters without littlefs. Also stands for one that `fails` with
    that errno, or is full beyond so many bytes.
    """

    def __init__(self, kept, log=None):
        self.kept = kept
        self.fails = 0
        self.capacity = None
        self._log = log

    def save(self, name, data):
        self.replace(name, (data,))

    def replace(self, name, chunks):
        data = b"".join([bytes(chunk) for chunk in chunks])
        if self.fails:
            raise OSError(self.fails)
        used = sum([len(self.kept[other]) for other in self.kept if other != name])
        if self.capacity is not None and used + len(data) > self.capacity:
            raise OSError(28)
        self.kept[name] = data
        if self._log is not None:
            self._log.append(("file", name, 0, data))

    def load(self, name):
        return self.kept.get(name)

    def read(self, name, at, into):
        data = self.kept.get(name, b"")[at : at + len(into)]
        into[: len(data)] = data
        return len(data)

    def remove(self, name):
        if self.fails:
            raise OSError(self.fails)
        if self.kept.pop(name, None) is not None and self._log is not None:
            self._log.append(("file", name, 0, None))

    def names(self, prefix):
        return sorted([name for name in self.kept if name.startswith(prefix)])


class Memory:
    """The FM24's emulation behind its driver; `log` hears of each write."""

    def __init__(self, chip, log=None):
        self.chip = chip
        self._driver = fm24.make(Buses(chip), {"chip": "fm24", "i2c": 0, "kbit": _kbit(chip)})
        self.size = self._driver.size
        self.read = self._driver.read
        self._log = log

    def write(self, at, data):
        self._driver.write(at, data)
        if self._log is not None:
            self._log.append(("fram", 0, at, bytes(data)))


def _kbit(chip):
    return len(chip.memory) >> 7


class Board:
    """As much of a board as the ledger knows."""

    def __init__(self, memory, store, boots=1):
        self.memory = memory
        self.store = store
        self.clock = self.log = self
        self.said = []
        self.now_ms = 0
        self._boots = boots

    def ticks_ms(self):
        return self.now_ms

    def nonce(self):
        return "b%d" % self._boots

    def record(self, what, **fields):
        fields["what"] = what
        self.said.append(fields)


class Recorder:
    """`log` has ("fram", 0, place, bytes), ("erase", block, 0, b""), ("program", block, place,
    bytes), ("file", name, 0, bytes or None) and ("note", whatever was noted, 0, b"") in order.
    """

    def __init__(self, kbit=64, blocks=24):
        self.log = []
        self.kbit = kbit
        self.count = blocks
        self.blocks = None
        self.start = []  # what the blocks have in them before the log
        self._board = Board(Memory(emulation.Fm24(kbit), self.log), None)

    def note(self, what):
        """Put `what` into the log: `check` sees it for cuts from here on."""
        self.log.append(("note", what, 0, b""))

    def run(self, script):
        """Call `script(self, board)` on an empty board."""
        if VfsLfs2 is None:
            self._board.store = Kept({}, self.log)
            script(self, self._board)
            return
        self.blocks = Blocks(_erased(self.count), self.log)
        VfsLfs2.mkfs(self.blocks, progsize=PROGRAM)
        del self.log[:]
        self.start = [bytes(block) for block in self.blocks.blocks]
        self._board.store = Files()
        mounted(self.blocks, lambda: script(self, self._board))


def _erased(count):
    return [bytearray(b"\xff" * BLOCK) for _ in range(count)]


def mounted(blocks, function):
    """What `function()` returns, called with `blocks` mounted as the current directory."""
    before = os.getcwd()
    mount(VfsLfs2(blocks, progsize=PROGRAM), "/cuts")
    os.chdir("/cuts")
    try:
        return function()
    finally:
        os.chdir(before)
        umount("/cuts")


class _State:
    # What memory and flash have in them, at one moment of a log. Its blocks may be shared with
    # another.
    def __init__(self, recorder):
        self.fram = bytearray(recorder.kbit << 7)
        self.kbit = recorder.kbit
        self.kept = {}
        self.blocks = recorder.start[:]

    def do(self, entry):
        kind, n, at, data = entry
        if kind == "fram":
            self.fram[at : at + len(data)] = data
        elif kind == "erase":
            self.blocks[n] = b"\xff" * BLOCK
        elif kind == "program":
            block = self.blocks[n]
            self.blocks[n] = block[:at] + data + block[at + len(data) :]
        elif kind == "file":
            if data is None:
                del self.kept[n]
            else:
                self.kept[n] = data

    def boot(self, check, boots, log=None):
        """What `check(board)` returns with a board that has copies of all this."""
        chip = emulation.Fm24(self.kbit)
        chip.memory[:] = self.fram
        memory = Memory(chip, log)
        if not self.blocks:
            return check(Board(memory, Kept(dict(self.kept), log), boots))
        blocks = Blocks([bytearray(block) for block in self.blocks], log)
        return mounted(blocks, lambda: check(Board(memory, Files(), boots)))


def torn(entry, state, random):
    """Of one write, ways in which a cut may leave it behind: entries of a log."""
    kind, n, at, data = entry
    if kind == "fram":
        for k in range(len(data)):
            yield ("fram", 0, at, data[:k])
    elif kind == "program":
        half = len(data) // 2
        yield ("program", n, at, b"")
        yield ("program", n, at, data[:half])
        # of the byte at which it was, and of those around it, some bits
        ragged = bytes([byte | random.below(256) for byte in data[half : half + 16]])
        yield ("program", n, at, data[:half] + ragged)
        yield ("program", n, at, bytes([byte | random.below(256) for byte in data]))
    elif kind == "erase":
        old = bytes(state.blocks[n])
        yield ("program", n, 0, b"")
        yield ("program", n, 0, b"\xff" * (BLOCK // 2) + old[BLOCK // 2 :])
        yield ("program", n, 0, old[: BLOCK // 2] + b"\xff" * (BLOCK // 2))
        yield ("program", n, 0, bytes([byte | random.below(256) for byte in old]))
    elif kind == "file":
        yield ("fram", 0, 0, b"")


def fram_bytes(recorder):
    """How many bytes went to FRAM."""
    return sum([len(entry[3]) for entry in recorder.log if entry[0] == "fram"])


def replay(recorder, boot, check, nth=1, seed=1, deeper=0):
    """Cut at each byte that goes to FRAM, of which one in `nth` is tried, and in each way at each
    write to flash. Every `deeper`th cut is followed by one at a random write of `boot`. Returns
    how many cuts were tried.
    """
    random = Random(seed)
    state = _State(recorder)
    notes = []
    tried = turn = 0

    def whole(board):
        check(board, boot(board), notes)

    for entry in recorder.log:
        if entry[0] == "note":
            notes.append(entry[1])
            continue
        for cut in torn(entry, state, random):
            if cut[0] == "fram":
                turn += 1
                if turn % nth:
                    continue
            left = _State(recorder)
            left.fram[:] = state.fram
            left.kept = dict(state.kept)
            left.blocks = state.blocks[:]
            left.do(cut)
            tried += 1
            if deeper and tried % deeper == 0:
                tried += _again(left, boot, random, tried)
            left.boot(whole, tried + 1)
        state.do(entry)
    state.boot(whole, tried + 2)
    return tried


def _again(state, boot, random, boots):
    log = []
    state.boot(boot, boots + 1, log)
    if not log:
        return 0
    cut = random.below(len(log))
    for entry in log[:cut]:
        state.do(entry)
    ways = list(torn(log[cut], state, random))
    state.do(ways[random.below(len(ways))])
    return 1
