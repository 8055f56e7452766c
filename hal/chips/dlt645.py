"""Meters that speak DL/T 645-2007, China's meter protocol, on RS-485, 8E1 (shared facts 4.1).

Board file: {"chip": "dlt645", "uart": 1, "tx": 17, "rx": 16} and, where they differ from these,
"baud": 2400 (1200 to 19200), "address": its 12 digits (without it, whichever meter is alone on the
line is asked for its own), "max_a": 100, "answer_ms": 300 (how long it thinks, 500 by the standard
at most), "direction": the pin that makes the transceiver send. That pin falls in the first tick
after the question, up to 20 ms later; a meter waits at least as long.

Currents and voltages are read in each round, the energy (forward active, in steps of 10 Wh) in
every other, power and frequency in every fourth. A reading is as old as the older of current and
voltage, which stays below a second from 2400 baud on, with three phases from 4800 on. A meter that
does not tell the frequency reads 0 there.
Beyond 300 V, 1.2 times `max_a`, or outside 45 to 65 Hz there is no reading.
"""

from array import array

from micropython import const

from hal.chips import AGE, CELLS, MA, MHZ, MV, MW, WH, Meter, diff

READ_MS = 3600  # at 2400 baud, from silence, its address included

_MASK = const((1 << 30) - 1)
_MWH_PER_COUNT = const(10000 << 30)  # as hal.chips.spec.ratio
_SIZE = const(80)  # an echo of the question, an answer
_FORGET_MS = const(4000)  # nothing that is this much older than the rest is ever told
_SIGNED = (0, 3)  # the highest bit of currents and powers is their sign
_ENERGY = const(2)
_FREQUENCY = const(4)
# (DI, low byte first; cell; bytes a value; what a unit is in the cell's)
_ITEMS = (
    (b"\x00\x01\x02\x02", MA, 3, 1),
    (b"\x00\x01\x01\x02", MV, 2, 100),
    (b"\x00\x00\x01\x00", WH, 4, 1),  # in 10 Wh
    (b"\x00\x00\x03\x02", MW, 3, 100),
    (b"\x02\x00\x80\x02", MHZ, 2, 10),
)
_TURNS = b"\x02\x03\x04\x02"  # the third item of each round


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    return Dlt645(buses, spec, phases)


def frame(address, code, data):
    """The question `code` about `data` to `address` (6 bytes, low byte first), with the bytes that
    wake the line.
    """
    out = b"\x68" + address + bytes((0x68, code, len(data)))
    out += bytes([b + 0x33 & 255 for b in data])
    return b"\xfe\xfe\xfe\xfe" + out + bytes((sum(out) & 255, 0x16))


class Dlt645(Meter):
    """The role Meter."""

    def __init__(self, buses, spec, phases):
        from hal.chips.spec import field

        most_ma = field(spec, "max_a", 100, 1, 600) * 1200
        most_mw = most_ma * 300 * phases
        super().__init__(most_mw)
        self._most = (most_ma, 300000, 99999999, most_mw, 65000)  # of _ITEMS
        baud = field(spec, "baud", 2400, 1200, 19200)
        address = spec.get("address")
        self._known = None
        if address is not None:
            if type(address) is not str or len(address) != 12 or not address.isdigit():
                raise ValueError("address: expected 12 digits, found %r" % (address,))
            self._known = bytes([int(address[i : i + 2], 16) for i in range(10, -1, -2)])
        self.number = self._known  # see roles.Meter
        self._phases = phases
        self._line = buses.uart(spec, baud, 0)
        self._direction = buses.output(spec["direction"]) if "direction" in spec else None
        # 20 bytes of 11 bits there, 29 back, and two ticks
        self._sent_ms = 220000 // baud
        self._late_ms = field(spec, "answer_ms", 300, 20, 500) + 539000 // baud + 40
        self._in = bytearray(_SIZE)
        self._view = memoryview(self._in)
        self._n = 0
        self._asked_ms = 0
        self._waits = False  # for an answer
        self._told_ms = [0, 0]  # currents, voltages
        self._at = 0  # of the round
        self._round = 0
        self._values = array("i", [0] * CELLS)

    def _step(self, now_ms):
        if self._n == _SIZE:
            self._n = 0  # noise
        self._n += self._line.readinto(self._view[self._n :]) or 0
        if not self._waits:
            self._ask(now_ms)
            return
        passed_ms = diff(now_ms, self._asked_ms)
        if self._direction and passed_ms > self._sent_ms:
            self._direction(0)
        good = self._answered()
        self._waits = good is None and passed_ms <= self._late_ms
        if not self._waits and not good and self.cells[AGE] > _FORGET_MS:
            self._at = self._round = 0
            self.number = self._known  # see roles.Meter

    def _item(self):
        return self._at if self._at < 2 else _TURNS[self._round & 3]

    def _identifier(self):
        # Of one phase, or of the block of all three.
        identifier = _ITEMS[self._item()][0]
        if self._phases > 1 and self._at < 2:
            identifier = identifier[:1] + b"\xff" + identifier[2:]
        return identifier

    def _ask(self, now_ms):
        if self.number:
            out = frame(self.number, 0x11, self._identifier())
        else:
            out = frame(b"\xaa" * 6, 0x13, b"")
        if self._direction:
            self._direction(1)
        self._asked_ms = now_ms
        self._waits = True
        self._n = 0
        self._line.write(out)

    def _answered(self):
        # Whether the answer is good; None: it is not among what was heard.
        heard = self._in
        for i in range(self._n - 11):
            end = i + 10 + heard[i + 9]
            if (
                heard[i] == 0x68
                and heard[i + 7] == 0x68
                and end + 1 < self._n
                and heard[end + 1] == 0x16
                and heard[end] == sum(self._view[i:end]) & 255
            ):
                code = heard[i + 8]
                address = bytes(self._view[i + 1 : i + 7])
                data = bytes([b - 0x33 & 255 for b in self._view[i + 10 : end]])
                if not self.number:
                    if code == 0x93 and data == address:
                        self.number = address
                        return True
                elif address == self.number:
                    if code == 0xD1 or (code == 0x91 and data[:4] == self._identifier()):
                        return self._take(code, data) and self._next()
        return None

    def _take(self, code, data):
        item = self._item()
        _, cell, size, unit = _ITEMS[item]
        if code == 0xD1:
            self._values[cell] = 0
            return item == _FREQUENCY
        n = self._phases if item < 2 else 1
        if len(data) != 4 + n * size:
            return False
        for i in range(n):
            value = _bcd(data[4 + i * size : 4 + i * size + size], item in _SIGNED)
            if value is None:
                return False
            value *= unit
            if cell == MA:
                value = abs(value)
            if abs(value) > self._most[item] or (item == _FREQUENCY and value < 45000):
                return False
            self._values[cell + i] = value
        return item != _ENERGY or self.counted(self._values[WH], _MWH_PER_COUNT, _MASK)

    def _next(self):
        at = self._at
        if at < 2:
            # It cannot be older than the end of the question.
            self._told_ms[at] = (self._asked_ms + self._sent_ms) & _MASK
            if self._round > 2:  # everything was told once
                self.fresh(self._told_ms[1 - at])
        if self._round > 2:
            self.cells[3:CELLS] = self._values[3:CELLS]
        self._at = at + 1
        if at == 2:
            self._at = 0
            self._round = self._round + 1 if self._round < 7 else 4
        return True


def _bcd(data, signed):
    # `data`, low byte first, two digits a byte; None: a digit that is none.
    value = 0
    sign = 1
    for i in range(len(data) - 1, -1, -1):
        b = data[i]
        if signed and i == len(data) - 1 and b & 0x80:
            sign = -1
            b &= 0x7F
        if b & 15 > 9 or b >> 4 > 9:
            return None
        value = value * 100 + (b >> 4) * 10 + (b & 15)
    return sign * value
