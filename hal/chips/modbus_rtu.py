"""Modbus RTU (Modbus over Serial Line V1.02): a master that never waits, and the meters that are
read through one.

Fields of a board file that each such meter takes, with their defaults: "uart", "tx", "rx", "baud",
"parity": "none" ("even", "odd"), "address": 1 (1 to 247), "direction": the pin that makes the
RS-485 transceiver send. That pin falls in the first tick after the question has gone out, up to 20
ms later: a meter that answers sooner wants a transceiver that finds the direction itself.
"""

from array import array

from micropython import const

from hal.chips import CELLS, MW, WH, Meter, diff

WAITING = const(0)
DONE = const(1)
FAILED = const(2)  # silence, an exception, or nothing that makes sense

_SIZE = const(96)  # an echo of the question, an answer of 40 registers
_THINK_MS = const(240)  # what a meter may take to answer, and two ticks
_MWH_PER_WH = const(1000 << 30)  # as hal.chips.spec.ratio
_PARITY = {"none": None, "even": 0, "odd": 1}


def crc(data):
    """The CRC of `data` (bytes) as a number; on the wire its low byte goes first. With the CRC
    appended, 0.
    """
    value = 0xFFFF
    for b in data:
        # eight steps with 0xA001 in one: what a byte adds depends on its bits and their parity
        b ^= value & 255
        odd = b ^ b >> 4
        odd ^= odd >> 2
        value = value >> 8 ^ b << 6 ^ b << 7
        if (odd ^ odd >> 1) & 1:
            value ^= 0xC001
    return value


def fixed(data, at, digits):
    """The IEEE 754 single at data[at] (high byte first) x 10^digits, rounded; None: not a number,
    or not below 2^30. In integers: a board's own floats have but 22 to 24 bits.
    """
    exponent = (data[at] & 0x7F) << 1 | data[at + 1] >> 7
    if not exponent:
        return 0
    mantissa = (data[at + 1] | 0x80) << 16 | data[at + 2] << 8 | data[at + 3]
    shift = 150 - exponent  # mantissa / 2^shift
    if shift < -6:
        return None
    if shift < 0:
        mantissa <<= -shift
        shift = 0
    elif shift > 26:  # what is left of a digit then is below 2^-26
        mantissa >>= min(shift - 26, 24)
        shift = 26
    value = mantissa >> shift
    for _ in range(digits):
        mantissa = (mantissa & (1 << shift) - 1) * 10
        if value > 107374180:
            return None
        value = value * 10 + (mantissa >> shift)
    value += (mantissa & (1 << shift) - 1) << 1 >> shift
    return -value if data[at] & 0x80 else value


class Master:
    """One question at a time: `ask`, then `poll` in each tick until it is not WAITING; `data` is
    then the answer's registers, and `exception` the code of an answer that is one, otherwise 0.
    """

    def __init__(self, buses, spec, baud):
        from hal.chips.spec import field

        self._address = field(spec, "address", 1, 1, 247)
        baud = field(spec, "baud", baud, 1200, 115200)
        parity = spec.get("parity", "none")
        if parity not in _PARITY:
            raise ValueError("parity: expected none, even or odd, found %r" % (parity,))
        self._line = buses.uart(spec, baud, _PARITY[parity])
        self._direction = buses.output(spec["direction"]) if "direction" in spec else None
        self._baud = baud
        self._in = bytearray(_SIZE)
        self._view = memoryview(self._in)
        self._n = 0
        self._function = self._count = self._answer_ms = 0
        self._out = None  # a question that waits for the line to be quiet
        self._since_ms = None  # last byte heard, then the question's first
        self.data = self._view[:0]
        self.exception = 0

    def ask(self, function, register, count):
        """Read `count` registers (at most 40) from `register` on by `function` 3 or 4."""
        out = bytes((self._address, function, register >> 8, register & 255, 0, count))
        value = crc(out)
        self._out = out + bytes((value & 255, value >> 8))
        self._function = function
        self._count = count
        self._answer_ms = _THINK_MS + (13 + 2 * count) * 11000 // self._baud

    def poll(self, now_ms):
        """One step: send the question once the line has been quiet, or see what was answered."""
        if self._n == _SIZE:
            self._n = 0  # noise
        n = self._line.readinto(self._view[self._n :]) or 0
        if self._out:
            if n or self._since_ms is None:
                self._since_ms = now_ms
            # 3.5 characters of 11 bits; what was heard now ended before
            elif diff(now_ms, self._since_ms) > 38500 // self._baud:
                if self._direction:
                    self._direction(1)
                self._line.write(self._out)
                self._since_ms = now_ms
                self._out = None
                self._n = 0
            return WAITING
        self._n += n
        passed_ms = diff(now_ms, self._since_ms)
        if self._direction and passed_ms > 88000 // self._baud:
            self._direction(0)
        self.exception = 0
        found = self._find()
        if found == WAITING and passed_ms > self._answer_ms:
            found = FAILED
        if found and n:
            self._since_ms = now_ms
        return found

    def _find(self):
        # Anywhere in what was heard: a transceiver may echo the question, or make a byte of noise
        # when it turns round.
        data = self._view
        size = 2 * self._count
        for i in range(self._n - 4):
            if data[i] == self._address:
                function = data[i + 1]
                if function == self._function and data[i + 2] == size:
                    end = i + 5 + size
                    if end <= self._n and not crc(data[i:end]):
                        self.data = data[i + 3 : end - 2]
                        return DONE
                elif function == self._function | 0x80 and not crc(data[i : i + 5]):
                    self.exception = data[i + 2]
                    return FAILED
        return WAITING


class RtuMeter(Meter):
    """A meter whose values are singles in blocks of registers, asked for in turn.

    `blocks`: of (register, how many, values), each value (cell, which register of the block,
    digits, least, most): single x 10^digits is what the cell wants, Wh for the energy. A reading
    with a value outside least to most is none. It is as old as its first question.
    """

    def __init__(self, buses, spec, baud, function, blocks, most_mw):
        super().__init__(most_mw)
        self._master = Master(buses, spec, baud)
        self._function = function
        self._blocks = blocks
        self._block = 0
        self._asked = False
        self._began_ms = 0
        self._values = array("i", [0] * CELLS)

    def _step(self, now_ms):
        register, count, values = self._blocks[self._block]
        if not self._asked:
            if not self._block:
                self._began_ms = now_ms
            self._master.ask(self._function, register, count)
            self._asked = True
        found = self._master.poll(now_ms)
        if found == WAITING:
            return
        self._asked = False
        self._block += 1
        if found == FAILED or not self._take(values):
            self._block = 0
        elif self._block == len(self._blocks):
            self._block = 0
            values = self._values
            if self.counted(values[WH], _MWH_PER_WH, (1 << 30) - 1):
                for i in range(3, CELLS):
                    self.cells[i] = values[i] if i == MW else abs(values[i])
                self.fresh(self._began_ms)

    def _take(self, values):
        for cell, at, digits, least, most in values:
            value = fixed(self._master.data, 2 * at, digits)
            if value is None or not least <= value <= most:
                return False
            self._values[cell] = value
        return True
