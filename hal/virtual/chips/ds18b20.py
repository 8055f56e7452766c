"""The thermometer DS18B20 at its one-wire bus: scratchpad with CRC, a conversion that takes its
time, 85 degrees after power-on.
"""

_CONVERSION_US = (93750, 187500, 375000, 750000)


def make(plant, spec):
    """The sensor on the pin that `spec` names."""
    return Ds18b20(plant, spec.get("pin"))


def crc8(data):
    """The bus's CRC: x^8 + x^5 + x^4 + 1, least significant bit first, from 0."""
    crc = 0
    for byte in data:
        for i in range(8):
            bit = (crc ^ byte >> i) & 1
            crc >>= 1
            if bit:
                crc ^= 0x8C
    return crc


class Ds18b20:
    """`plant.temperature_c` in degrees Celsius, None: nobody answers. `pins` is for
    hal.virtual.buses.

    Faults: `silent`; `shorted`, the bus is at ground; `corrupt`, a bit of the scratchpad flips on
    its way; `parasite`, the supply is too weak, so that each conversion ends in a reset;
    `power_cycle()`.
    """

    def __init__(self, plant, pin=None):
        self._plant = plant
        self.pins = {pin: self}
        self.silent = self.shorted = self.corrupt = self.parasite = False
        self.config = 0x7F  # R1 R0 in bits 6 and 5: 12 bits
        self.power_cycle()

    def power_cycle(self):
        """The supply was away for a moment."""
        # 85 degrees; alarms and reserved bytes as delivered
        self.scratchpad = bytearray(b"\x50\x05\x4b\x46\x00\xff\x0c\x10")
        self._command = None  # after a reset: None; then skip ROM; then what it does
        self._done_us = None
        self._at = 0

    def _settle(self):
        # A conversion that is due has ended.
        done_us = self._done_us
        if done_us is None or self._plant.now_us < done_us:
            return
        if self.parasite:
            self.power_cycle()
            return
        self._done_us = None
        step = 8 >> (self.config >> 5 & 3)
        raw = int(self._plant.temperature_c * 16) // step * step
        self.scratchpad[0] = raw & 0xFF
        self.scratchpad[1] = raw >> 8 & 0xFF
        self.scratchpad[6] = 0x10 - (raw & 0xF)

    def _there(self):
        return not self.silent and self._plant.temperature_c is not None

    def reset(self):
        """The reset pulse; whether something held the bus down after it."""
        if self.shorted:
            return True
        if not self._there():
            return False
        self._settle()
        self._command = 0
        return True

    def writebyte(self, byte):
        """Eight write slots."""
        if self.shorted or not self._there():
            return
        self._settle()
        if self._command == 0:
            self._command = 1 if byte == 0xCC else None  # no other ROM command is known
        elif self._command == 1:
            self._command = byte
            self._at = 0
            if byte == 0x44:
                self._done_us = self._plant.now_us + _CONVERSION_US[self.config >> 5 & 3]

    def readbyte(self):
        """Eight read slots: ones where nobody pulls down."""
        if self.shorted:
            return 0
        if not self._there():
            return 0xFF
        self._settle()
        if self._command == 0x44:
            return 0xFF if self._done_us is None else 0
        if self._command != 0xBE:
            return 0xFF
        self.scratchpad[4] = self.config
        whole = bytes(self.scratchpad) + bytes([crc8(self.scratchpad)])
        at = self._at
        self._at = at + 1
        if at >= 9:
            return 0xFF
        byte = whole[at]
        return byte ^ 0x10 if self.corrupt and at == 1 else byte
