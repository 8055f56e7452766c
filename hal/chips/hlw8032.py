"""HLW8032 and CSE7766: single-phase metering chips that send what they measure, unasked, on a UART
of 4800 baud, 8E1: a frame of 24 bytes, a pause of 50 ms, and so on.

In a board file: {"chip": "hlw8032", "uart": 1, "rx": 5} and, where they differ from these,
"shunt_uohm": 1000, "divider_ohm": [1880000, 1000] (line to pin, pin to neutral; a CSE7766 behind 1
MOhm has [1000000, 1000]), "calibration": {"voltage": ppm, "current": ppm, "power": ppm} (the
energy follows the power).

A frame has for each quantity a coefficient, which the chip was given in the factory for 1 mOhm and
1000 to 1, and a cycle in us: volts are their quotient (shared facts 4.3; the facts' "kWh" of a
pulse is Wh). The pins take 700 mV and 43.75 mV peak: 30.9 A at 1 mOhm, so 32 A want 0.5 mOhm. It
does not measure the frequency: 0.
"""

from micropython import const

from hal.chips import MA, MV, MW, Meter, diff, scaled

READ_MS = 1000

_BYTES = const(24)
_PAUSE_MS = const(40)  # a frame begins after it
_VOLT = const(0x40)  # of the byte 20: the cycle is complete
_CURRENT = const(0x20)
_POWER = const(0x10)


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    from hal.chips.spec_hlw8032 import factors

    return Hlw8032(factors(spec, phases), buses.uart(spec, 4800, 0))


class Hlw8032(Meter):
    def __init__(self, factors, line):
        self._mv, self._ma, self._mw, self._most_mv, self._most_ma = factors
        super().__init__(self._most_mv * self._most_ma // 1000)
        self._line = line
        self._chunk = bytearray(32)
        self._frame = bytearray(_BYTES)
        self._n = 0  # bytes of it that are here
        self._empty_ms = self._began_ms = None  # when nothing waited; the same, before the frame
        self._factory = None

    def _step(self, now_ms):
        if self._empty_ms is None or diff(now_ms, self._empty_ms) < 0:
            self._empty_ms = now_ms
        n = self._line.readinto(self._chunk) if self._line.any() else 0
        if n:
            if self._n and diff(now_ms, self._heard_ms) >= _PAUSE_MS:
                self._n = 0
            self._heard_ms = now_ms
            for i in range(n):
                self._byte(self._chunk[i])
        if not n or n < len(self._chunk):
            self._empty_ms = now_ms

    def _byte(self, byte):
        n = self._n
        if n == 0:
            self._began_ms = self._empty_ms
            if byte != 0x55 and byte < 0xF0:
                return  # AA: not calibrated
        elif n == 1 and byte != 0x5A:
            self._n = 0
            return
        self._frame[n] = byte
        self._n = n = n + 1
        if n == _BYTES:
            self._n = 0
            if (sum(self._frame) - self._frame[0] - 0x5A - 2 * byte) & 0xFF == 0 and self._take():
                self.fresh(self._began_ms)

    def _take(self):
        f = self._frame
        state = f[0] & 15 if f[0] >= 0xF0 else 0
        ready = f[20]
        # the voltage's or the current's cycle beyond its range, or the coefficients lost
        if state & 13 or not ready & _VOLT:
            return False
        # what the factory wrote never changes: else the checksum is right by chance
        factory = f[2:5] + f[8:11] + f[14:17]
        if factory != self._factory:
            self._factory = factory
            return False
        cells = self.cells
        mv = self._quotient(2, self._mv, ready & _VOLT, 0)
        ma = self._quotient(8, self._ma, ready & _CURRENT, cells[MA])
        mw = self._quotient(14, self._mw, ready & _POWER, cells[MW])
        if state & 2:  # so little that its cycle is beyond the range
            mw = 0
            if not ready & _CURRENT:
                ma = 0
        if mv > self._most_mv or ma > self._most_ma or mw > self._most_mw:
            return False
        if not self.counted(f[21] << 8 | f[22], _u24(f, 14) * self._mw // 3600000000, 0xFFFF):
            return False
        cells[MV] = mv
        cells[MA] = ma
        cells[MW] = mw
        return True

    def _quotient(self, i, by, complete, before):
        cycle = _u24(self._frame, i + 3)
        if not cycle:
            return 0
        value = scaled(_u24(self._frame, i), by) // cycle
        # a cycle that goes on is a bound from above
        return value if complete else min(value, before)


def _u24(f, i):
    return f[i] << 16 | f[i + 1] << 8 | f[i + 2]
