"""A meter that speaks DL/T 645-2007 at its serial line: frames, checksums, errors, timing (shared
facts 4.1): 0.1 V, 1 mA, 0.1 W, 0.01 Hz and 10 Wh.
"""

from hal.virtual.chips.serial import SerialChip

_GAP_US = 500000  # within a frame


def make(plant, spec):
    """The meter, with the baud rate and the address that its driver expects."""
    return Dlt645(plant, spec.get("baud", 2400), spec.get("address", "123456789012"))


def frame(address, code, data, wake=4):
    """The frame of `code` and `data` from or to `address` (6 bytes, low byte first)."""
    body = bytearray(b"\x68" + address + bytes((0x68, code, len(data))))
    for b in data:
        body.append((b + 0x33) % 256)
    body.append(sum(body) % 256)
    return b"\xfe" * wake + bytes(body) + b"\x16"


def bcd(number, size):
    """`number` in `size` bytes of two digits, low byte first; a sign is the highest bit."""
    out = bytearray()
    left = abs(number)
    for _ in range(size):
        out.append(left // 10 % 10 << 4 | left % 10)
        left //= 100
    if number < 0:
        out[-1] |= 0x80
    return bytes(out)


class Dlt645(SerialChip):
    """Faults: `silent`; `errors` = n: so many answers are D1; `wrong` = n: so many have a wrong
    checksum; `mute` = n: so many questions it does not hear; `delay_us` until it answers (20 to
    500 ms by the standard); `without` = {DI, ...}: what it does not know; `echo`; `reset()`.
    """

    def __init__(self, plant, baud, address):
        SerialChip.__init__(self, plant, baud, 11)
        self.address = address
        self.delay_us = 40000
        self.errors = self.wrong = self.mute = 0
        self.without = set()
        self.answered = 0
        self.wake = 4  # so many FE before an answer
        self.start_mwh = 1234567890  # what it had counted when it was built in
        self._received = b""
        self._heard_us = 0

    def reset(self):
        """Its counters begin at 0."""
        self.start_mwh = -self.plant.energy_mwh()

    def _heard(self, data, t_us):
        if t_us - len(data) * self._byte_us - self._heard_us > _GAP_US:
            self._received = b""
        self._heard_us = t_us
        heard = self._received + data
        at = 0
        while at + 12 <= len(heard):
            end = at + 10 + heard[at + 9]
            if heard[at] != 0x68 or heard[at + 7] != 0x68:
                at += 1
            elif end + 2 > len(heard):
                break
            elif heard[end + 1] != 0x16 or heard[end] != sum(heard[at:end]) % 256:
                at += 1
            else:
                data = bytes([(b - 0x33) % 256 for b in heard[at + 10 : end]])
                self._question(heard[at + 1 : at + 7], heard[at + 8], data, t_us)
                at = end + 2
        self._received = heard[at:]

    def _question(self, address, code, data, t_us):
        digits = self.address
        own = bytes([int(digits[i : i + 2], 16) for i in range(10, -1, -2)])
        # AA stands for any two digits
        for i in range(6):
            if address[i] not in (own[i], 0xAA):
                return
        if self.mute:
            self.mute -= 1
            return
        if code == 0x13:
            out = frame(own, 0x93, own, self.wake)
        elif code != 0x11:
            return
        else:
            value = self._value(data)
            if self.errors or value is None:
                self.errors = max(self.errors - 1, 0)
                out = frame(own, 0xD1, b"\x02", self.wake)  # no such data
            else:
                out = frame(own, 0x91, data + value, self.wake)
        if self.wrong:
            self.wrong -= 1
            out = out[:-2] + bytes(((out[-2] + 1) % 256,)) + out[-1:]
        self.answered += 1
        self._say(out, t_us + self.delay_us)

    def _value(self, data):
        plant = self.plant
        if len(data) != 4:
            return None
        di = data[3] << 24 | data[2] << 16 | data[1] << 8 | data[0]
        if di in self.without:
            return None
        kind = di >> 16
        phase = di >> 8 & 255  # 1 to 3, FF: the block of all
        if kind in (0x0201, 0x0202) and not di & 255:
            phases = range(plant.phases) if phase == 0xFF else (phase - 1,)
            if not 0 <= phases[0] < plant.phases:
                return None
            if kind == 0x0201:
                return b"".join([bcd((plant.phase_mv(i) + 50) // 100, 2) for i in phases])
            return b"".join([bcd(plant.phase_ma(i), 3) for i in phases])
        if di == 0x02030000:
            return bcd((plant.power_mw() + 50) // 100, 3)
        if di == 0x02800002:
            return bcd((plant.mains_mhz + 5) // 10, 2)
        if di in (0x00000000, 0x00010000):
            return bcd((self.start_mwh + plant.energy_mwh()) // 10000, 4)
        if di == 0x04000401:
            return bytes([int(self.address[i : i + 2], 16) for i in range(10, -1, -2)])
        return None
