"""ADE7953: Analog Devices' single-phase metering chip, on I2C.

In a board file: {"chip": "ade7953", "i2c": 0, "scl": 5, "sda": 4} and, where they differ from
these, "channel": 0 (0: A, 1: B), the counts that wiring gives a unit, "counts_v": 26000,
"counts_a": 100000, "counts_w": 154, and "calibration": {"voltage": ppm, "current": ppm, "power":
ppm}.

Registers are those of shared facts 4.3, read as 32 bits, of which the upper 8 repeat the sign.
What a count of its energy registers means, the facts do not say: energy is the integral of the
power here, read each 100 ms, and nothing while the chip was silent for more than 10 s. No meter
for billing. The data sheet's full scale (rev. B): 9032007 in RMS, 4862401 in power.
"""

from micropython import const

from hal.chips import AGE, MA, MHZ, MV, MW, Meter, diff, scaled

READ_MS = 400

_ADDRESS = const(0x38)
_OPTIMUM = const(0x120)
_MOST_RMS = const(9032007)
_MOST_WATT = const(4862401)
_GAP_MS = const(10000)


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    return Ade7953(buses, spec, phases)


class Ade7953(Meter):
    def __init__(self, buses, spec, phases):
        from hal.chips.spec import field, gain_ppm, ratio

        if phases != 1:
            raise ValueError("phases: expected 1, found %r" % phases)
        channel = field(spec, "channel", 0, 0, 1)
        # (register, full scale, cell, ratio)
        self._values = [
            (register, most, cell, ratio(1000, field(spec, name, counts, 1, 10000000), ppm))
            for register, most, cell, name, counts, ppm in (
                (0x31C, _MOST_RMS, MV, "counts_v", 26000, gain_ppm(spec, "voltage")),
                (0x31A + channel, _MOST_RMS, MA, "counts_a", 100000, gain_ppm(spec, "current")),
                (0x312 + channel, _MOST_WATT, MW, "counts_w", 154, gain_ppm(spec, "power")),
            )
        ]
        super().__init__(scaled(_MOST_WATT, self._values[2][3]))
        self._i2c = buses.i2c(spec)
        self._word = bytearray(2)
        self._long = bytearray(4)
        self._new = [0, 0, 0]
        self._at = 0
        self._began_ms = 0

    def _get16(self, register):
        self._i2c.readfrom_mem_into(_ADDRESS, register, self._word, addrsize=16)
        return self._word[0] << 8 | self._word[1]

    def _step(self, now_ms):
        at = self._at
        self._at = 0  # where it begins anew, should this one fail
        if at == 0:
            self._began_ms = now_ms
            if self._get16(_OPTIMUM) != 0x30:
                # it has begun anew; the second of these must follow the first at once
                write = self._i2c.writeto_mem
                write(_ADDRESS, 0x102, b"\x00\x04", addrsize=16)  # no other bus than this
                write(_ADDRESS, 0x0FE, b"\xad", addrsize=16)
                write(_ADDRESS, _OPTIMUM, b"\x00\x30", addrsize=16)
                return
        elif at <= 3:
            register, most, _, by = self._values[at - 1]
            f = self._long
            self._i2c.readfrom_mem_into(_ADDRESS, register, f, addrsize=16)
            value = (f[1] << 16 | f[2] << 8 | f[3]) - (f[0] & 1) * 0x1000000
            if f[0] not in (0, 0xFF) or not (-most if at == 3 else 0) <= value <= most:
                return
            self._new[at - 1] = scaled(value, by)
        else:
            mhz = 223750000 // (1 + self._get16(0x10E))
            if self._new[0] < 20000:
                mhz = 0  # no mains
            elif not 40000 <= mhz <= 70000:
                return
            self._take(mhz)
            return
        self._at = at + 1

    def _take(self, mhz):
        cells = self.cells
        # the reading before this one was as old as its cell says, less the age of this one
        ms = cells[AGE] - diff(self._now_ms, self._began_ms)
        power = cells[MW] + self._new[2]
        if 0 < ms <= _GAP_MS and power > 0:
            self.flowed((power * ms << 30) // 7200000)
        cells[MHZ] = mhz
        for i in range(3):
            cells[self._values[i][2]] = self._new[i]
        self.fresh(self._began_ms)
