"""MFRC522 (RC522), a card reader for ISO 14443 type A, on SPI (NXP's data sheet 3.9; shared facts
5.1).

Board file: {"chip": "mfrc522", "spi": 0, "sck": 18, "mosi": 19, "miso": 16, "cs": 17}, optional
"hz": 4000000 and "byte_order": "msb" or "lsb".

A tick reads what came of one exchange with a card and starts the next: at most 13 transfers, 44
bytes, below 1 ms. All cards in the field are woken, one is chosen, selected and halted, which
takes 3 ticks and 2 for each cascade level; so a card that stays is seen again and again, and is
one event. A card is told READ_MS after it was presented at the latest.
"""

from micropython import const

from hal.chips import card, diff

READ_MS = const(300)
_BUSY_MS = const(60)  # the chip's own timer ends an exchange after 5 ms

# Registers, shifted as they go out.
_COMMAND = const(0x01 << 1)
_IRQ = const(0x04 << 1)
_ERROR = const(0x06 << 1)
_FIFO = const(0x09 << 1)
_LEVEL = const(0x0A << 1)
_FRAMING = const(0x0D << 1)
_COLLISION = const(0x0E << 1)

# What is set, and seen to be so after each exchange: the timer, which starts by itself and ends
# after 200 steps of 25 us (a card answers within 0.1 ms), 100 % ASK, the antenna on.
_SETTINGS = b"\x54\x56\x58\x5a\x2a\x28"  # the registers 2A, 2B, 2C, 2D, 15, 14, shifted too
_VALUES = b"\x80\xa9\x00\xc8\x40\x83"
# _IRQ, _ERROR, _LEVEL, _COLLISION and _SETTINGS, each with the bit that reads; an end
_READ = b"\x88\x8c\x94\x9c\xd4\xd6\xd8\xda\xaa\xa8\0"
_READ_FIFO = b"\x92\x92\x92\x92\x92\0"

# What is next, or under way.
_RESET = const(0)
_SET = const(1)
_WAKE = const(2)
_CHOOSE = const(3)
_SELECT = const(4)
_HALT = const(5)


def make(buses, spec, phases=1):
    """The reader at `spec`'s bus. Raises ValueError for a field that makes no sense."""
    return Mfrc522(buses, spec)


def crc_a(data):
    """CRC_A (ISO 14443-3) of `data`, low byte first on the wire; with it appended, 0."""
    value = 0x6363
    for b in data:
        b ^= value & 255
        b ^= b << 4 & 255
        value = value >> 8 ^ b << 8 ^ b << 3 ^ b >> 4
    return value


class Mfrc522(card.Reader):
    """The role CardReader."""

    def __init__(self, buses, spec):
        from hal.chips.spec import field

        card.Reader.__init__(self, spec, 1)
        self._spi, self._cs = buses.spi(spec, field(spec, "hz", 4000000, 100000, 10000000))
        self._in = bytearray(11)
        self._view = memoryview(self._in)
        self._state = _RESET
        self._sent_ms = 0
        self._uid_so_far = b""
        self._part = bytearray(5)  # this cascade level's bytes and their BCC,
        self._bits = 0  # of which so many are known
        self._level = 0

    def tick(self, now_ms):
        """One step: see what came of the last exchange, start the next."""
        self._aged(now_ms)
        try:
            if self._state == _RESET:
                self._write(_COMMAND, 0x0F)
                self._state = _SET
            elif self._state == _SET:
                for i in range(len(_SETTINGS)):
                    self._write(_SETTINGS[i], _VALUES[i])
                self._write(_COLLISION, 0)  # bits after a collision read 0
                self._start(_HALT)
                self._sent_ms = now_ms
            elif self._step(diff(now_ms, self._sent_ms)):
                self._sent_ms = now_ms
        except OSError:
            self._state = _RESET

    def _step(self, passed_ms):
        got = self._in
        self._transfer(_READ)
        irq, error, n, collision = got[1], got[2], got[3], got[4]
        if got[5:] != _VALUES or collision & 0x80:
            self._state = _RESET  # not there, or it has lost its settings
            return False
        if not irq & 0x31:  # answered, idle, no answer in time
            if passed_ms > _BUSY_MS:
                self._state = _RESET
            return False
        self._age_ms = 0
        self._start(self._next(irq, error, n, collision))
        return True

    def _next(self, irq, error, n, collision):
        # What to do after the exchange `_state`; _WAKE begins anew.
        state = self._state
        if state == _HALT:
            return _WAKE  # it has no answer
        if state == _WAKE:
            if irq & 0x20:
                self._present_ms = self._now_ms  # a card that cannot be read is not gone
            else:
                self._polled(None)
        if not irq & 0x20 or not 1 <= n <= 5 or error & 0x13:
            return _WAKE
        if state == _WAKE:  # two cards may have answered in one another's way
            self._uid_so_far = b""
            self._level = self._bits = 0
            return _CHOOSE
        self._transfer(_READ_FIFO[5 - n :])
        part = self._part
        if state == _CHOOSE:
            at = self._bits >> 3
            if error & 8:
                return self._choose(n, at, collision)
            if at + n != 5:
                return _WAKE
            self._join(n, at)
            return _SELECT if not part[0] ^ part[1] ^ part[2] ^ part[3] ^ part[4] else _WAKE
        # Of _SELECT: SAK and its CRC.
        if n != 3 or error & 0xC or crc_a(self._view[1:4]):
            return _WAKE
        if self._in[1] & 4:  # more to come: part[0] is the cascade tag
            self._uid_so_far += bytes(part[1:4])
            self._level += 1
            self._bits = 0
            return _CHOOSE if part[0] == 0x88 and self._level < 3 else _WAKE
        if part[0] != 0x88:
            self._polled(self._uid_so_far + bytes(part[:4]))
        return _HALT

    def _join(self, n, at):
        # The answer's first byte holds what was not known of part[at].
        part = self._part
        known = (1 << (self._bits & 7)) - 1
        part[at] = part[at] & known | self._in[1] & ~known & 255
        for i in range(1, n):
            part[at + i] = self._in[1 + i]

    def _choose(self, n, at, collision):
        # Two cards differ in one bit: go on with the one that has it set.
        bits = collision & 0x1F or 32
        if collision & 0x20 or bits <= self._bits or at + n > 5:
            return _WAKE
        self._join(n, at)
        part = self._part
        bit = bits - 1
        part[bit >> 3] = part[bit >> 3] & (1 << (bit & 7)) - 1 | 1 << (bit & 7)
        self._bits = bits
        if bits < 32:
            return _CHOOSE
        part[4] = part[0] ^ part[1] ^ part[2] ^ part[3]
        return _SELECT

    def _start(self, state):
        self._state = state
        framing = 0
        if state == _WAKE:
            out = b"\x52"
            framing = 7
        elif state == _CHOOSE:
            last = self._bits & 7
            n = self._bits + 7 >> 3
            framing = last << 4 | last
            out = bytes((0x93 + 2 * self._level, 0x20 + (self._bits >> 3 << 4) + last))
            out += self._part[:n]
        else:
            out = b"\x50\0"
            if state == _SELECT:
                out = bytes((0x93 + 2 * self._level, 0x70)) + self._part
            value = crc_a(out)
            out += bytes((value & 255, value >> 8))
        self._write(_COMMAND, 0)
        self._write(_IRQ, 0x7F)
        self._write(_LEVEL, 0x80)
        self._send(bytes((_FIFO,)) + out)
        self._write(_COMMAND, 0x0C)
        self._write(_FRAMING, 0x80 | framing)

    def _write(self, register, value):
        self._send(bytes((register, value)))

    def _send(self, out):
        self._cs(0)
        self._spi.write(out)
        self._cs(1)

    def _transfer(self, out):
        self._cs(0)
        self._spi.write_readinto(out, self._view[: len(out)])
        self._cs(1)
