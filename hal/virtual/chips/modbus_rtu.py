"""A Modbus RTU meter at its serial line: frames, CRC, exceptions, timing; each meter's module has
its registers.
"""

from hal.virtual.chips.serial import SerialChip


def crc(data):
    """The CRC of `data` as its two bytes on the wire, by the definition."""
    value = 0xFFFF
    for b in data:
        value ^= b
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return bytes((value & 255, value >> 8))


def single(number, parts=1):
    """`number` / `parts` as the four bytes of the nearest IEEE 754 single, high byte first."""
    sign = 0
    if number < 0:
        sign = 0x80
        number = -number
    if number == 0:
        return bytes(4)
    exponent = 150
    while number >= parts << 24:
        parts <<= 1
        exponent += 1
    while number < parts << 23:
        number <<= 1
        exponent -= 1
    mantissa = (2 * number + parts) // (2 * parts)
    if mantissa == 1 << 24:
        mantissa >>= 1
        exponent += 1
    mantissa &= (1 << 23) - 1
    return bytes(
        (
            sign | exponent >> 1,
            (exponent & 1) << 7 | mantissa >> 16,
            mantissa >> 8 & 255,
            mantissa & 255,
        )
    )


class RtuMeter(SerialChip):
    """`values` = {register: function that gives (number, parts)}: singles in two registers each;
    other registers up to `last` read 0.

    Faults: `silent`; `exception` = code that it answers with (6: busy); `wrong` = n: so many
    answers with a wrong CRC; `delay_us` until it answers; `mute` = n: so many questions it does
    not hear; `not_a_number` = True: every value is NaN; `echo`.
    """

    def __init__(self, plant, spec, baud, function, values, last):
        baud = spec.get("baud", baud)
        bits = 10 if spec.get("parity", "none") == "none" else 11
        SerialChip.__init__(self, plant, baud, bits)
        self.address = spec.get("address", 1)
        self.delay_us = 40000
        self.exception = self.wrong = self.mute = 0
        self.not_a_number = False
        self.answered = 0
        self.start_mwh = 1234567890  # what it had counted when it was built in
        self._function = function
        self._values = values
        self._last = last
        self._received = b""
        self._heard_us = 0

    def reset(self):
        """Its counter begins at 0."""
        self.start_mwh = -self.plant.energy_mwh()

    def energy_mwh(self):
        """What it has counted."""
        return self.start_mwh + self.plant.energy_mwh()

    def _heard(self, data, t_us):
        # A frame ends with a silence of 3.5 characters; what stands before it is part of it.
        began_us = t_us - len(data) * self._byte_us
        if began_us - self._heard_us > 35 * self._byte_us // 10:
            self._received = b""
        self._heard_us = t_us
        frame = self._received + data
        self._received = frame
        if len(frame) < 8 or frame[0] != self.address or crc(frame[:-2]) != frame[-2:]:
            return
        if self.mute:
            self.mute -= 1
            return
        function = frame[1]
        register = frame[2] << 8 | frame[3]
        count = frame[4] << 8 | frame[5]
        code = self.exception
        if function != self._function:
            code = 1
        elif len(frame) != 8 or not 1 <= count <= 50:  # some refuse more than 50
            code = 3
        elif register + count > self._last + 1:
            code = 2
        if code:
            out = bytes((self.address, function | 0x80, code))
        else:
            out = bytes((self.address, function, 2 * count)) + self._read(register, count)
        out += crc(out)
        if self.wrong:
            self.wrong -= 1
            out = out[:-1] + bytes((out[-1] ^ 0x10,))
        self.answered += 1
        self._say(out, t_us + self.delay_us)

    def _read(self, register, count):
        out = b""
        for at in range(register & ~1, register + count, 2):
            value = b"\0\0\0\0"
            if at in self._values:
                number, parts = self._values[at]()
                value = b"\x7f\xc0\0\0" if self.not_a_number else single(number, parts)
            out += value
        at = 2 * (register & 1)
        return out[at : at + 2 * count]
