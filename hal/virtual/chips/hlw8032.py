"""The HLW8032 at its UART: a frame every 105 ms, unasked, with cycles in whole microseconds.

Its coefficients are those of a chip whose frames somebody published. What is emulated is in
hal/chips/hlw8032.py; not emulated: how fast RMS values follow.
"""

from hal.virtual.chips.serial import SerialChip

_FACTORY = (192200, 16230, 5317000)  # voltage, current, power
_PERIOD_US = 105060  # 24 characters of 11 bits at 4800 baud, and 50 ms
_LONGEST = 0xFEFF01  # a cycle that goes on


def make(plant, spec):
    return Hlw8032(plant, spec)


class Hlw8032(SerialChip):
    """Faults: `silent`; `bad_checksum`; `uncalibrated` (frames begin with AA); `state`: more bits
    of the first byte (8 voltage, 4 current, 1 coefficients); `reset()`: the pulses begin at 0.
    `count` is where the pulses began: set it to be near their wrap.
    """

    def __init__(self, plant, spec):
        super().__init__(plant, 4800, 11)
        self.bad_checksum = self.uncalibrated = False
        self.state = 0
        high, low = spec.get("divider_ohm", [1880000, 1000])
        shunt = spec.get("shunt_uohm", 1000)
        volt, current, power = _FACTORY
        # the cycle is [0] // (what * [1])
        self._cycles = (
            (volt * high, low),
            (current * 1000000, shunt),
            (power * high * 1000, low * shunt),
        )
        self._next_us = plant.now_us
        self.reset()

    def reset(self):
        """As after a loss of its supply."""
        self.count = 0
        self._since_mwh = self.plant.energy_mwh()

    def pulses(self):
        """Its counter, of 17 bits here: the highest is the one that the data update byte shows."""
        above, below = self._cycles[2]
        mwh = self.plant.energy_mwh() - self._since_mwh
        return (self.count + mwh * 3600000000 * below // above) & 0x1FFFF

    def any(self):
        self._due()
        return super().any()

    def readinto(self, into, nbytes=None):
        self._due()
        return super().readinto(into, nbytes)

    def _due(self):
        now_us = self.plant.now_us
        if now_us >= self._next_us:
            late = (now_us - self._next_us) // _PERIOD_US
            if late > 5:  # nobody looked: a controller's buffer keeps no more
                self._next_us += (late - 5) * _PERIOD_US
            while now_us >= self._next_us:
                self._say(self.frame(), self._next_us)
                self._next_us += _PERIOD_US

    def frame(self):
        """The 24 bytes that it would send now."""
        plant = self.plant
        out = bytearray(24)
        state = self.state
        ready = 0
        for i, value, bit, beyond in (
            (0, plant.phase_mv(0), 0x40, 8),
            (1, plant.phase_ma(0), 0x20, 0),
            (2, plant.power_mw(), 0x10, 2),
        ):
            above, below = self._cycles[i]
            cycle = above // (value * below) if value else _LONGEST
            if cycle < _LONGEST:
                ready |= bit
            else:
                # a current of nothing has no cycle at all in the published frames
                cycle = _LONGEST if beyond else 0
                state |= beyond
            _put(out, 2 + 6 * i, _FACTORY[i])
            _put(out, 5 + 6 * i, cycle)
        count = self.pulses()
        out[0] = 0xAA if self.uncalibrated else 0xF0 | state if state else 0x55
        out[1] = 0x5A
        out[20] = ready | (0x80 if count > 0xFFFF else 0) | 1
        out[21] = count >> 8 & 0xFF
        out[22] = count & 0xFF
        out[23] = (sum(out[2:23]) + (1 if self.bad_checksum else 0)) & 0xFF
        return out


def _put(out, i, value):
    out[i] = value >> 16
    out[i + 1] = value >> 8 & 0xFF
    out[i + 2] = value & 0xFF
