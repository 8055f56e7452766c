"""A PN532 at its I2C or serial bus: frames, checksums, acknowledgements, and cards at its antenna
(NXP's user manual UM0701-02; shared facts 5.2).
"""

from hal.virtual.chips.serial import SerialChip

ADDRESS = 0x24
ACK = b"\x00\x00\xff\x00\xff\x00"
ERROR = b"\x00\x00\xff\x01\xff\x7f\x81\x00"
_ACK_US = 500
_COMMAND_US = 1000
_TRY_US = 6000  # of an empty field
_CARD_US = 6000  # request and answer, and for each cascade level:
_LEVEL_US = 4000
_RATS_US = 6000


def make(plant, spec):
    """The chip at the bus that `spec` names, as its driver does."""
    return Pn532(plant, spec.get("baud", 115200) if "uart" in spec else 0)


def frame(tfi, data):
    """A normal information frame from (0xD5) or to (0xD4) the chip."""
    n = len(data) + 1
    return bytes((0, 0, 0xFF, n, -n & 255, tfi)) + data + bytes((-tfi - sum(data) & 255, 0))


class Pn532(SerialChip):
    """`present(uid)` puts a card before it. Faults: `silent`; `busy` = True: it takes commands and
    never answers; `wrong` = n: so many answers with a wrong checksum; `errors` = n: so many error
    frames instead of answers; `reset()`: a dip of its supply.

    `baud` 0: on I2C.
    """

    ADDRESS = ADDRESS

    def __init__(self, plant, baud):
        SerialChip.__init__(self, plant, baud or 400000)
        self._i2c = not baud
        self.busy = False
        self.wrong = 0
        self.errors = 0
        self.commands = 0  # how many it has understood
        self._card = None  # (identifier, ATS)
        self._since_us = 0
        self.reset()

    def reset(self):
        """As after power-up: asleep on the serial line, nothing configured."""
        self._hush()
        self._received = b""
        self._awake = self._i2c
        self._configured = False
        self._automatic_rats = True
        self._tries = 256  # 255 retries: for ever
        self._answers = []  # of I2C: [when it is ready, frame]
        self._search_us = None  # since when it looks for a card

    def present(self, uid, ats=b""):
        """Put the card with the identifier `uid` (hex of 4, 7 or 10 bytes) before the antenna;
        None takes it away. `ats`: it speaks ISO 14443-4 and answers a RATS so.
        """
        self._settle(self.plant.now_us)
        self._card = None if uid is None else (bytes.fromhex(uid), ats)
        self._since_us = self.plant.now_us

    # --- I2C ---

    def writeto(self, address, data, stop=True):
        """A command's frame. Raises OSError when the chip does not answer."""
        self._addressed(address)
        self._heard(bytes(data), self.plant.now_us)
        return len(data)

    def readfrom_into(self, address, into, stop=True):
        """Whether there is an answer, and the answer. Raises OSError as writeto."""
        self._addressed(address)
        now_us = self.plant.now_us
        self._settle(now_us)
        for i in range(len(into)):
            into[i] = 0x80 if i else 0
        if self._answers and self._answers[0][0] <= now_us:
            into[0] = 1
            if len(into) > 1:
                data = self._answers.pop(0)[1][: len(into) - 1]
                into[1 : 1 + len(data)] = data

    def _addressed(self, address):
        if not self.plant.powered:
            self.reset()
        if address != ADDRESS or self.silent or not self.plant.powered or not self._i2c:
            raise OSError(19)

    # --- the serial line ---

    def any(self):
        """As SerialChip."""
        self._settle(self.plant.now_us)
        return SerialChip.any(self)

    # --- the chip ---

    def _heard(self, data, t_us):
        if not self._awake:
            if data[0] != 0x55:
                return
            self._awake = True
        self._settle(t_us)
        data = self._received + data
        at = 0
        while at + 5 <= len(data):
            n = data[at + 2]
            if data[at] or data[at + 1] != 0xFF or (n + data[at + 3]) & 255:
                at += 1
            elif n == 0:  # the host's ACK ends what the chip is at
                self._abort()
                at += 5
            elif at + n + 5 > len(data):
                break
            else:
                if data[at + 4] == 0xD4 and not sum(data[at + 4 : at + n + 5]) & 255:
                    self._command(data[at + 5 : at + n + 4], t_us)
                at += n + 5
        self._received = data[at:]

    def _abort(self):
        self._search_us = None
        self._answers = []

    def _command(self, command, t_us):
        self._abort()
        self.commands += 1
        self._answer(ACK, t_us + _ACK_US)
        code = command[0]
        done_us = t_us + _COMMAND_US
        if self.busy:
            return
        if self.errors:
            self.errors -= 1
            self._answer(ERROR, done_us)
        elif code == 0x02:  # GetFirmwareVersion: PN532 V1.6
            self._answer(frame(0xD5, b"\x03\x32\x01\x06\x07"), done_us)
        elif code == 0x14 and len(command) >= 2:  # SAMConfiguration
            self._configured = command[1] == 1
            self._answer(frame(0xD5, b"\x15"), done_us)
        elif code == 0x12 and len(command) == 2:  # SetParameters
            self._automatic_rats = bool(command[1] & 0x10)
            self._answer(frame(0xD5, b"\x13"), done_us)
        elif code == 0x32 and len(command) >= 2:  # RFConfiguration
            if command[1] == 5 and len(command) == 5:
                self._tries = command[4] + 1
            self._answer(frame(0xD5, b"\x33"), done_us)
        elif code == 0x4A and command[2:] == b"\x00" and self._configured:
            self._search_us = t_us
        else:
            self._answer(ERROR, done_us)

    def _settle(self, now_us):
        # What came of the search for a card up to `now_us`; nobody has changed the card since.
        if not self.plant.powered:
            self.reset()
        if self._search_us is None:
            return
        until_us = self._search_us + self._tries * _TRY_US
        from_us = max(self._search_us, self._since_us)
        if self._card and (from_us <= until_us or self._tries == 256):
            uid, ats = self._card
            levels = len(uid) // 3  # 4, 7, 10 bytes: 1, 2, 3 cascade levels
            took_us = _CARD_US + levels * _LEVEL_US
            target = bytes((0x4B, 1, 1, 0, 4 + 64 * (levels - 1)))
            target += bytes((0x20 if ats else 8 if levels == 1 else 0, len(uid))) + uid
            if ats and self._automatic_rats:
                target += ats
                took_us += _RATS_US
            self._answer(frame(0xD5, target), from_us + took_us)
        elif now_us >= until_us and self._tries < 256:
            self._answer(frame(0xD5, b"\x4b\x00"), until_us)
        else:
            return
        self._search_us = None

    def _answer(self, data, t_us):
        if self.wrong and data != ACK:
            self.wrong -= 1
            data = data[:-2] + bytes(((data[-2] + 1) & 255, data[-1]))
        if self._i2c:
            self._answers.append([t_us, data])
        else:
            self._say(data, t_us)
