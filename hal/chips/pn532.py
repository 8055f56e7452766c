"""PN532, a card reader for ISO 14443 type A, on I2C or UART (NXP's user manual UM0701-02; shared
facts 5.2).

Board file: {"chip": "pn532", "i2c": ...} or {"chip": "pn532", "uart": ..., "tx": ..., "rx": ...},
optional "byte_order": "msb" or "lsb".

A tick sends one command or looks for its answer: at most 42 bytes on I2C, 1 ms at 400 kHz. A
card is told READ_MS after it was presented at the latest. The frames' checksum is a mere sum, so
an identifier counts when two polls in a row give it.
"""

from micropython import const

from hal.chips import card, diff

READ_MS = const(300)
_ADDRESS = const(0x24)
_PAUSE_MS = const(60)  # between polls of an empty field
_ANSWER_MS = const(100)  # the field takes 10 to 30 ms to be looked through
_LOOKS = const(3)
_SIZE = const(64)
_I2C_SIZE = const(41)  # a card's identifier of 10 bytes takes 26
_POLL = const(3)  # of _COMMANDS

_COMMANDS = (
    b"\x14\x01\x14\x01",  # SAMConfiguration: normal mode
    # SetParameters: no automatic RATS, whose answer would make the frame as long as the card likes
    b"\x12\x04",
    b"\x32\x05\xff\x01\x01",  # RFConfiguration, MaxRetries: an empty field is told after 2 tries
    b"\x4a\x01\x00",  # InListPassiveTarget: one card, 106 kbit/s type A
)
# Wakes the UART, and gives the oscillator the time of 14 bytes to start.
_WAKE = b"\x55\x55" + bytes(14)


def make(buses, spec, phases=1):
    """The reader at `spec`'s bus. Raises ValueError for a field that makes no sense."""
    return Pn532(buses, spec)


def frame(command):
    """`command` (bytes) as the normal information frame that carries it to the chip."""
    n = len(command) + 1
    return (
        bytes((0, 0, 0xFF, n, -n & 255, 0xD4)) + command + bytes((-0xD4 - sum(command) & 255, 0))
    )


_FRAMES = [frame(command) for command in _COMMANDS]


class Pn532(card.Reader):
    """The role CardReader."""

    def __init__(self, buses, spec):
        card.Reader.__init__(self, spec, 2)
        self._on_i2c = "i2c" in spec
        if self._on_i2c:
            self._bus = buses.i2c(spec, 400000)
        elif "uart" in spec:
            self._bus = buses.uart(spec, spec.get("baud", 115200))
        else:
            raise ValueError("i2c: expected i2c or uart, found neither")
        self._in = bytearray(_SIZE)
        self._view = memoryview(self._in)
        self._n = 0
        self._looks = 0  # for the answer
        self._next = 0  # of _COMMANDS
        self._sent_ms = None  # None: no answer is awaited

    def tick(self, now_ms):
        """One step: send the next command, or see whether its answer is there."""
        self._aged(now_ms)
        try:
            if self._sent_ms is None:
                if self._age_ms < _PAUSE_MS and self._steady:
                    return
                self._send()
                self._sent_ms = now_ms
                return
            self._receive()
            if self._answered():
                self._age_ms = 0
                self._sent_ms = None
                self._next = min(self._next + 1, _POLL)
                return
            # A main loop that is slow looks seldom: the first look may find the acknowledgement.
            self._looks += 1
            if diff(now_ms, self._sent_ms) < _ANSWER_MS or self._looks < _LOOKS:
                return
        except OSError:
            pass
        # It may have lost its supply: begin with its settings.
        self._sent_ms = None
        self._next = 0

    def _send(self):
        out = _FRAMES[self._next]
        if self._on_i2c:
            self._bus.writeto(_ADDRESS, out)
        else:
            self._bus.readinto(self._in)  # what came too late
            self._bus.write(out if self._next else _WAKE + out)
        self._n = self._looks = 0

    def _receive(self):
        if self._on_i2c:
            # Each read begins anew: whether there is something, then the frame.
            self._n = 0
            self._bus.readfrom_into(_ADDRESS, self._view[:1])
            if self._in[0] & 1:
                self._bus.readfrom_into(_ADDRESS, self._view[:_I2C_SIZE])
                self._n = _I2C_SIZE
        else:
            if self._n == _SIZE:
                self._n = 0  # noise
            self._n += self._bus.readinto(self._view[self._n :]) or 0

    def _answered(self):
        # Whether the buffer holds the command's answer: 00 FF LEN LCS D5 command+1 ... DCS. An
        # acknowledgement (LEN 0) and an error (7F) are other frames and looked past.
        data = self._in
        code = _COMMANDS[self._next][0] + 1
        for i in range(self._n - 6):
            n = data[i + 2]
            end = i + 4 + n  # of its checksum
            if (
                not data[i]
                and data[i + 1] == 0xFF
                and not (n + data[i + 3]) & 255
                and 2 <= n < self._n - i - 4
                and data[i + 4] == 0xD5
                and data[i + 5] == code
                and not sum(self._view[i + 4 : end + 1]) & 255
            ):
                return self._next != _POLL or self._target(i + 6, end)
        return False

    def _target(self, at, end):
        # NbTg, then for one target Tg SENS_RES(2) SEL_RES, length and bytes of its identifier.
        uid = None
        if at == end or self._in[at] > 1:
            return False
        if self._in[at]:
            if at + 6 > end:
                return False
            n = self._in[at + 5]
            if n not in (4, 7, 10) or at + 6 + n > end:
                return False
            uid = bytes(self._view[at + 6 : at + 6 + n])
        self._polled(uid)
        return True
