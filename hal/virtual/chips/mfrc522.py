"""An MFRC522 at its SPI bus: registers, FIFO, timer, and cards of ISO 14443-3 type A in its field,
bit by bit (NXP's data sheet 3.9; shared facts 5.1).
"""

_COMMAND, _IRQ, _ERROR, _FIFO, _LEVEL, _CONTROL = 0x01, 0x04, 0x06, 0x09, 0x0A, 0x0C
_FRAMING, _COLLISION, _MODE, _TX_CONTROL, _TX_ASK = 0x0D, 0x0E, 0x11, 0x14, 0x15
_TIMER, _PRESCALER, _RELOAD_HIGH, _RELOAD_LOW, _VERSION = 0x2A, 0x2B, 0x2C, 0x2D, 0x37
_RESET = ((_COMMAND, 0x20), (_IRQ, 0x14), (_COLLISION, 0x80), (_MODE, 0x3F), (_TX_CONTROL, 0x80))
_BIT_NS = 9440  # 106 kbit/s; a byte has a parity bit too
_ANSWER_US = 87  # frame delay time


def make(plant, spec):
    """The chip; whatever its pins are."""
    return Mfrc522(plant)


def crc_a(data):
    """CRC_A of `data` as its two bytes on the wire, by the definition."""
    value = 0x6363
    for b in data:
        for i in range(8):
            low = (value ^ b >> i) & 1
            value = value >> 1 ^ (0x8408 if low else 0)
    return bytes((value & 255, value >> 8))


class Card:
    """A card with the identifier `uid` (bytes): what it does with each frame."""

    def __init__(self, uid):
        self.uid = uid
        # what it says at each cascade level: four bytes and their exclusive or
        self._parts = []
        for i in range(0, len(uid) - 4, 3):
            self._parts.append(b"\x88" + uid[i : i + 3])
        self._parts.append(uid[-4:])
        self.off()

    def off(self):
        """It has lost the field."""
        self._halted = False
        self._level = -1  # -1: idle or halted; then the level; as many as there are: active

    def frame(self, data, bits):
        """What it answers to the first `bits` of `data`: (bits, number whose lowest bit goes
        first), or None.
        """
        level = self._level
        if bits == 7:
            self._level = -1
            if level == -1 and (data[0] == 0x52 or (data[0] == 0x26 and not self._halted)):
                self._level = 0
                return 16, 0x0004 + 0x40 * (len(self._parts) - 1)
            if level != -1:
                return None
        elif 0 <= level < len(self._parts) and data[0] == 0x93 + 2 * level and bits >= 16:
            part = self._parts[level]
            whole = part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],))
            if data[1] == 0x70:
                if bits == 72 and data[2:7] == whole and crc_a(data[:7]) == data[7:9]:
                    self._level += 1
                    sak = b"\x04" if self._level < len(self._parts) else b"\x08"
                    sak += crc_a(sak)
                    return 24, _number(sak)
            else:
                known = ((data[1] >> 4) - 2) * 8 + (data[1] & 7)
                if bits == 16 + known and known <= 32:
                    asked = _number(data[2:]) & (1 << known) - 1
                    if _number(whole) & (1 << known) - 1 == asked:
                        return 40 - known, _number(whole) >> known
                    return None  # it is not meant, and waits
        elif level == len(self._parts) and data == b"\x50\0\x57\xcd":
            self._halted = True
        self._level = -1
        return None


def _number(data):
    value = 0
    for i in range(len(data)):
        value |= data[i] << 8 * i
    return value


class Mfrc522:
    """`present(uid)` puts a card before it. Faults: `silent` = True: the line stays at `floats`;
    `stuck` = True: no exchange ends; `noisy` = n: so many answers have a wrong bit; `reset()`: a
    dip of its supply. `version`: 0x92, a clone's 0x12, 0x18, 0x88.
    """

    def __init__(self, plant):
        self.plant = plant
        self.silent = False
        self.floats = 0xFF
        self.stuck = False
        self.noisy = 0
        self.version = 0x92
        self.exchanges = 0
        self._cards = []
        self._selected = False
        self._address = None
        self.reset()

    def reset(self):
        """As after power-up: nothing configured, antenna off."""
        self._registers = bytearray(64)
        for register, value in _RESET:
            self._registers[register] = value
        self._fifo = b""
        self._due = None  # [us, irq, error, collision, FIFO, last bits] of the exchange under way
        for one in self._cards:
            one.off()

    def present(self, uid, *more):
        """Put the card with the identifier `uid` (hex of 4, 7 or 10 bytes) before the antenna, and
        `more` beside it; None takes all away.
        """
        self._cards = [Card(bytes.fromhex(one)) for one in (uid,) + more if one]

    # --- SPI ---

    def select(self, level):
        """Its chip select: 0 begins a transfer, 1 ends it."""
        self._selected = not level
        self._address = None

    def write(self, out):
        """Bytes to the chip."""
        self._exchange(out, None)

    def write_readinto(self, out, into):
        """Bytes to the chip, and what it says meanwhile."""
        self._exchange(out, into)

    def _exchange(self, out, into):
        if not self.plant.powered:
            self.reset()
        dead = self.silent or not self.plant.powered or not self._selected
        for i in range(len(out)):
            said = self.floats if dead else self._byte(out[i])
            if into is not None:
                into[i] = said

    def _byte(self, b):
        # A read answers with the register of the byte before, a write goes to that of the first.
        before = self._address
        said = 0
        if before is not None and before & 0x80:
            said = self._get(before >> 1 & 0x3F)
            self._address = b
        elif before is None:
            self._address = b
        else:
            self._set(before >> 1 & 0x3F, b)
        return said

    # --- registers ---

    def _get(self, register):
        self._settle()
        if register == _FIFO:
            value = self._fifo[0] if self._fifo else 0
            self._fifo = self._fifo[1:]
            return value
        if register == _LEVEL:
            return len(self._fifo)
        if register == _VERSION:
            return self.version
        return self._registers[register]

    def _set(self, register, value):
        self._settle()
        if register == _FIFO:
            self._fifo = (self._fifo + bytes((value,)))[:64]
        elif register == _LEVEL:
            if value & 0x80:
                self._fifo = b""
                self._registers[_ERROR] = 0
        elif register == _IRQ:
            if value & 0x80:
                self._registers[_IRQ] |= value & 0x7F
            else:
                self._registers[_IRQ] &= ~value & 0x7F
        elif register == _COMMAND:
            self._registers[_COMMAND] = value & 0x3F
            self._due = None
            if value & 15 == 15:
                self.reset()
        elif register == _COLLISION:
            self._registers[_COLLISION] = value & 0x80 | self._registers[_COLLISION] & 0x3F
        elif register == _TX_CONTROL:
            self._registers[_TX_CONTROL] = value
            if not value & 3:
                for one in self._cards:
                    one.off()
        elif register not in (_ERROR, _VERSION):
            self._registers[register] = value & 0x7F if register == _FRAMING else value
            if register == _FRAMING and value & 0x80 and self._registers[_COMMAND] & 15 == 0x0C:
                self._transceive()

    # --- the field ---

    def _transceive(self):
        data = self._fifo
        self._fifo = b""
        framing = self._registers[_FRAMING]
        last = framing & 7
        align = framing >> 4 & 7
        bits = 8 * len(data) - (8 - last if last else 0)
        now_us = self.plant.now_us
        registers = self._registers
        # The timer runs from the end of the question on.
        prescaler = registers[_PRESCALER] | (registers[_TIMER] & 15) << 8
        step_ns = (2 * prescaler + 1) * 1000000 // 13560
        reload = registers[_RELOAD_HIGH] << 8 | registers[_RELOAD_LOW]
        sent_us = now_us + bits * _BIT_NS * 9 // 8000
        self.exchanges += 1
        answers = []
        if data and registers[_TX_CONTROL] & 3 == 3 and registers[_TX_ASK] & 0x40:
            for one in self._cards:
                answer = one.frame(data, bits)
                if answer:
                    answers.append(answer)
        if self.stuck:
            return
        if not answers:
            if registers[_TIMER] & 0x80:
                self._due = [sent_us + (reload + 1) * step_ns // 1000, 0x41, 0, 0x20, b"", 0]
            return
        n, value = answers[0]
        error = 0
        collision = 0x20  # CollPosNotValid
        differs = 0
        for _, other in answers[1:]:
            differs |= value ^ other
        if differs:
            at = 0
            while not differs >> at & 1:
                at += 1
            error = 8
            if bits > 7:
                collision = at + 1 + ((data[1] >> 4) - 2) * 8 + (data[1] & 7) & 0x1F
            if not registers[_COLLISION] & 0x80:
                value &= (1 << at) - 1
        if self.noisy:
            self.noisy -= 1
            value ^= 1 << n // 2
        value <<= align
        out = bytes([value >> 8 * i & 255 for i in range((n + align + 7) // 8)])
        due_us = sent_us + _ANSWER_US + n * _BIT_NS * 9 // 8000
        self._due = [due_us, 0x64, error, collision, out, (n + align) & 7]

    def _settle(self):
        due = self._due
        if due and due[0] <= self.plant.now_us:
            self._due = None
            registers = self._registers
            registers[_IRQ] |= due[1] | (2 if due[2] else 0)
            registers[_ERROR] = due[2]
            registers[_COLLISION] = registers[_COLLISION] & 0x80 | due[3]
            self._fifo = due[4]
            registers[_CONTROL] = due[5]
