"""The thermometer DS18B20 on a one-wire bus of its own, with its supply connected (no parasite
power).

Board file: {"chip": "ds18b20", "pin": PIN}.

A byte takes 0.6 ms in which Python stands still, so a tick moves one. A reading takes READ_MS: the
conversion (750 ms at 12 bits, datasheet "thermometer resolution") and fifteen ticks.
"""

from micropython import const

from hal.chips import diff

READ_MS = const(1200)

_LOST_MS = const(5000)
_CONVERSION_MS = const(760)
_PAUSE_MS = const(200)  # until an absent sensor is looked for again
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ_SCRATCHPAD = const(0xBE)

# What a tick does: reset, write this byte, or read one (None).
_STEPS = (
    (-1, _SKIP_ROM, _CONVERT)
    + (-1, _SKIP_ROM, _READ_SCRATCHPAD)
    + (None, None, None, None, None, None, None, None, None)
)
_CONVERTED = const(3)  # the step that waits for the conversion
_FIRST = const(6)  # the step that reads the first byte
_LAST = const(14)

# What the chip holds after power-on, before its first conversion (datasheet "memory")
_POWER_ON = const(0x0550)
_NEAR = const(50)  # tenths of a degree


def make(buses, spec, phases=1):
    """The thermometer that `spec` describes."""
    return Ds18b20(buses.onewire(spec["pin"]))


class Ds18b20:
    """The thermometer role."""

    def __init__(self, wire):
        self._wire = wire
        self._step = 0
        self._wait_ms = 0  # nothing to do for so long
        self._since_ms = 0  # after this
        self._asked_ms = 0  # when the conversion under way began
        self._taken_ms = 0  # when that of `_tenths` began
        self._bytes = bytearray(9)
        self._crc = 0
        self._tenths = None

    def read(self):
        """Tenths of a degree Celsius, -550 to 1250, not older than 5 s; None: lost.

        Exactly 85.0 is what a sensor shows that lost its power; it counts only when the reading
        before it was within 5 degrees.
        """
        return self._tenths

    def tick(self, now_ms):
        """One reset or byte on the bus."""
        if self._tenths is not None and diff(now_ms, self._taken_ms) >= _LOST_MS:
            self._tenths = None
        if self._wait_ms:
            if diff(now_ms, self._since_ms) < self._wait_ms:
                return
            self._wait_ms = 0
        try:
            self._do(now_ms)
        except OSError:
            self._again(now_ms)

    def _again(self, now_ms):
        self._step = 0
        self._since_ms = now_ms
        self._wait_ms = _PAUSE_MS

    def _do(self, now_ms):
        step = self._step
        what = _STEPS[step]
        self._step = step + 1
        if what is None:
            i = step - _FIRST
            byte = self._wire.readbyte() & 0xFF
            self._bytes[i] = byte
            crc = byte ^ (self._crc if i else 0)
            for _ in range(8):  # x^8 + x^5 + x^4 + 1, least significant bit first
                crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
            self._crc = crc
            if step == _LAST:
                self._step = 0
                if crc == 0:  # the ninth byte is the CRC of the others
                    self._take()
        elif what < 0:
            if not self._wire.reset():
                self._again(now_ms)
        else:
            self._wire.writebyte(what)
            if what == _CONVERT:
                self._asked_ms = self._since_ms = now_ms
                self._wait_ms = _CONVERSION_MS

    def _take(self):
        low, high, _, _, config, _, _, _, _ = self._bytes
        # A bus shorted to ground reads as zeros, whose CRC is right; the configuration's lower
        # bits are ones, its highest is not.
        if config & 0x9F != 0x1F:
            return
        raw = high << 8 | low
        raw = (raw ^ 0x8000) - 0x8000 & ~((8 >> (config >> 5)) - 1)  # below 12 bits some are void
        tenths = raw * 10 + 8 >> 4
        if not -550 <= tenths <= 1250:
            return
        if raw == _POWER_ON and (self._tenths is None or abs(self._tenths - tenths) > _NEAR):
            return
        self._tenths = tenths
        self._taken_ms = self._asked_ms
