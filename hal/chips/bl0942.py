"""BL0942: Belling's single-phase metering chip, on a UART of 4800 to 38400 baud, 8N1.

In a board file: {"chip": "bl0942", "uart": 1, "tx": 17, "rx": 16} and, where they differ from
these, "baud": 4800 (what the chip's pin SCLK_BPS gives it, 4800 or 9600; 19200 and 38400 are asked
of it, at 4800), "address": 0 (0 to 3), "shunt_uohm": 1000, "divider_ohm": [1950000, 510] (line to
pin, pin to neutral), "calibration": {"voltage": ppm, "current": ppm, "power": ppm} (the energy
follows the power).

Numbers are the data sheet's (V1.06), with its reference of 1.218 V: V_RMS = 73989 U / 1.218, I_RMS
= 305978 I / 1.218, WATT = 3537 U I / 1.218^2 with mV at the pins, a CF pulse each 1638.4 x 256
seconds x WATT. The pins take 70 mV and 30 mV at most: 30 A at 1 mOhm, so 32 A want 0.5 mOhm.
"""

from micropython import const

from hal.chips import MA, MHZ, MV, MW, Meter, diff, scaled

READ_MS = 1000

_BYTES = const(23)
_ASK_MS = const(200)  # the chip renews its numbers every 400 ms
_ANSWER_MS = const(160)  # 25 characters at 4800 baud take 52 ms, and the main loop has its pauses
_DEAF = const(5)  # questions without an answer, then the baud rate is asked for again
_MOST_V = const(4252241)  # of V_RMS at 70 mV
_MOST_I = const(7536404)  # of I_RMS at 30 mV
_MOST_P = const(5006795)  # of WATT at both


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    return Bl0942(buses, spec, phases)


class Bl0942(Meter):
    def __init__(self, buses, spec, phases):
        from hal.chips.spec import field
        from hal.chips.spec_bl0942 import ratios

        if phases != 1:
            raise ValueError("phases: expected 1, found %r" % phases)
        self._baud = spec.get("baud", 4800)
        if self._baud not in (4800, 9600, 19200, 38400):
            raise ValueError("baud: expected 4800 to 38400, found %r" % self._baud)
        self._ratios = ratios(spec)
        super().__init__(scaled(_MOST_P, self._ratios[2]))
        address = field(spec, "address", 0, 0, 3)
        self._ask = bytes((0x58 | address, 0xAA))
        self._open = lambda baud: buses.uart(spec, baud)
        self._line = self._open(self._baud)
        self._frame = bytearray(_BYTES)
        self._asked_ms = None
        self._waits = False  # for an answer
        self._deaf = 0

    def _step(self, now_ms):
        ms = _ASK_MS if self._asked_ms is None else diff(now_ms, self._asked_ms)
        line = self._line
        n = line.any()
        if self._waits:
            if n >= _BYTES:
                self._waits = False
                if line.readinto(self._frame) == _BYTES and self._take():
                    self.fresh(self._asked_ms)
                    self._deaf = 0
            elif ms > _ANSWER_MS:
                self._waits = False
        elif n:
            # nobody asked: noise, or an answer that was late, and perhaps more of it to come
            line.readinto(self._frame)
        elif ms >= _ASK_MS:
            self._asked_ms = now_ms
            self._deaf += 1
            if self._baud > 9600 and self._deaf >= _DEAF:
                self._change_baud()
            else:
                self._waits = True
                line.write(self._ask)

    def _change_baud(self):
        # in the first turn at 4800 baud: WRPROT open, MODE with the rate; then back to that rate
        if self._deaf == _DEAF:
            self._line = self._open(4800)
            self._write(0x1D, 0x55)
            self._write(0x19, 0x287 if self._baud == 19200 else 0x387)
        else:
            self._line = self._open(self._baud)
            self._deaf = 0

    def _write(self, register, value):
        out = bytearray((self._ask[0] ^ 0xF0, register, value & 0xFF, value >> 8, 0, 0))
        out[5] = ~sum(out) & 0xFF
        self._line.write(out)

    def _take(self):
        f = self._frame
        if f[0] != 0x55 or (self._ask[0] + sum(f)) & 0xFF != 0xFF:
            return False
        volt = _u24(f, 4)
        current = _u24(f, 1)
        power = (_u24(f, 10) ^ 0x800000) - 0x800000
        period = f[16] | f[17] << 8  # us
        if volt > _MOST_V or current > _MOST_I or not -_MOST_P <= power <= _MOST_P:
            return False
        if volt < _MOST_V >> 4:
            period = 0  # no mains, no zero crossings
        elif not 14000 <= period <= 25000:
            return False
        mv, ma, mw, mwh = self._ratios
        watt = scaled(power, mw)
        if not self.counted(_u24(f, 13), mwh, 0xFFFFFF, watt, self._asked_ms):
            return False
        cells = self.cells
        cells[MHZ] = period and (1000000000 + period // 2) // period
        cells[MV] = scaled(volt, mv)
        cells[MA] = scaled(current, ma)
        cells[MW] = watt
        return True


def _u24(f, i):
    return f[i] | f[i + 1] << 8 | f[i + 2] << 16
