"""ATM90E32: Microchip's metering chip of three phases, on SPI (mode 3).

In a board file: {"chip": "atm90e32", "spi": 1, "sck": 12, "mosi": 11, "miso": 13, "cs": 10} and,
where they differ from these, "hz": 400000, "voltage_gain": 7305, "current_gain": 27961 (what the
divider and the transformers give the registers UgainA and IgainA, by design: 1 to 65535),
"mains_hz": 50 (or 60), "amplified": 1 (2 or 4: the current channels' PGA), "calibration":
{"voltage": ppm, "current": ppm, "power": ppm}, each one number or one a phase. The chip itself is
told of the calibration, so that its power and energy follow.

Units are those of shared facts 4.3: 10 mV, mA, 0.32 mW, 10 mHz, and with its meter constant of
3200 a count of energy each 3.125 mWh, cleared when read. The power's low words are at C1 (the
facts say F, where the peaks are). A transfer has no checksum: LastSPIData confirms each, and
MeterEn is 1 while the chip is there and has not begun anew.
"""

from array import array

from micropython import const

from hal.chips import CELLS, MA, MHZ, MV, MW, Meter, diff

READ_MS = 1500

METER_EN = const(0x00)
_LAST = const(0x78)
_FREQ = const(0xF8)
_MOST_MV = const(500000)
_MOST_MA = const(65534)


def make(buses, spec, phases=1):
    """The meter that `spec` describes. Raises ValueError."""
    return Atm90e32(buses, spec, phases)


class Atm90e32(Meter):
    def __init__(self, buses, spec, phases):
        from hal.chips.spec import field
        from hal.chips.spec_atm90e32 import config

        super().__init__(_MOST_MV // 1000 * _MOST_MA * phases)
        self._phases = phases
        self._config = config(spec, phases)
        self._spi, self._cs = buses.spi(spec, field(spec, "hz", 400000, 10000, 1200000), 1, 1)
        self._io = bytearray(4)
        self._next = array("i", [0] * CELLS)
        self._taken_ms = [0] * phases  # when the energy was read
        self._flows = 0  # read, and not yet part of a whole reading; in counts
        self._at = -len(self._config)  # below 0: still to configure; then steps of a reading
        self._began_ms = 0

    def _transfer(self, high, low, value=0):
        io = self._io
        io[0] = high
        io[1] = low
        io[2] = value >> 8
        io[3] = value & 0xFF
        self._cs(0)
        self._spi.write_readinto(io, io)
        self._cs(1)
        return io[2] << 8 | io[3]

    def _get(self, register):
        # Two of three that agree; OSError: none.
        a = self._transfer(0x80, register)
        b = self._transfer(0x80, _LAST)
        if a != b:
            c = self._transfer(0x80, _LAST)
            if c != a and c != b:
                raise OSError(5)
            a = c
        return a

    def _step(self, now_ms):
        at = self._at
        if at < 0:
            register, value = self._config[at]
            self._transfer(0, register, value)
            if at == -len(self._config) or self._get(register) == value:
                self._at = at + 1
            else:
                self._at = -len(self._config)
            return
        what = at // self._phases
        phase = at % self._phases
        new = self._next
        if what == 0:
            if phase == 0:
                self._began_ms = now_ms
            new[MV + phase] = self._get(0xD9 + phase) * 10
        elif what == 1:
            new[MA + phase] = self._get(0xDD + phase)
        elif what == 2:
            power = self._get(0xB1 + phase)
            power = (power ^ 0x8000) - 0x8000 << 16 | self._get(0xC1 + phase)
            new[MW] = (0 if phase == 0 else new[MW]) + power * 8 // 25
        elif self._get(METER_EN) != 1:
            # not there, or it has begun anew
            self._at = -len(self._config)
            return
        elif what == 3:
            self._energy(self._get(0x81 + phase), phase, now_ms)
        else:
            new[MHZ] = self._get(_FREQ) * 10
            at = -1
            self._take()
        self._at = at + 1

    def _energy(self, count, phase, now_ms):
        # 3.125 mWh each, and no more than the wiring can give
        ms = diff(now_ms, self._taken_ms[phase])
        self._taken_ms[phase] = now_ms
        if 0 <= count * 25 // 8 <= self._most_mw // self._phases * (ms + 40) // 3600000 + 7:
            self._flows += count

    def _take(self):
        new = self._next
        live = False
        for i in range(self._phases):
            if new[MV + i] > _MOST_MV or new[MA + i] > _MOST_MA:
                return
            live = live or new[MV + i] > 20000
        if not live:
            new[MHZ] = 0
        elif not 40000 <= new[MHZ] <= 70000:
            return
        if abs(new[MW]) > self._most_mw:
            return
        for i in range(MHZ, CELLS):
            self.cells[i] = new[i]
        self.flowed(self._flows * 25 << 27)
        self._flows = 0
        self.fresh(self._began_ms)
