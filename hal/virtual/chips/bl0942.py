"""The BL0942 at its UART: packets, registers, write protection, baud rates, pulses of energy.

Numbers as in hal/chips/bl0942.py, from the same data sheet. WATT is the mean since the last
packet; the chip's is that of its last 400 ms. Not emulated: the creep threshold, SPI.
"""

from hal.virtual.chips.serial import SerialChip

_MODE = 0x19
_RESET = 0x1C
_PROTECTION = 0x1D


def make(plant, spec):
    return Bl0942(plant, spec)


class Bl0942(SerialChip):
    """Faults: `silent`; `bad_checksum`; `reset()`: registers and counters at their defaults.
    `count` is CF_CNT's start: set it to be near its wrap. `host_baud` is what the controller sends
    and listens at: where the chip is at another rate, neither understands the other.
    """

    def __init__(self, plant, spec):
        self._pin_baud = self.baud = self.host_baud = spec.get("baud", 4800)
        super().__init__(plant, self.baud)
        self.bad_checksum = False
        self.count = 0
        high, low = spec.get("divider_ohm", [1950000, 510])
        shunt = spec.get("shunt_uohm", 1000)
        whole = high + low
        self._address = spec.get("address", 0)
        # raw = what * [0] // [1]
        self._of_mv = (73989000 * low, 1218 * whole)
        self._of_ma = (305978 * shunt, 1218000)
        self._of_mw = (3537000 * low * shunt, 1483524 * whole)
        self._kept = b""
        if self._pin_baud > 9600:
            self._pin_baud = 4800
        self._told_us = plant.now_us  # when WATT was last told, and the energy then
        self._told_mj = plant.energy_mj()
        self._power_mw = 0
        self._defaults()

    def _mean_mw(self):
        us = self.plant.now_us - self._told_us
        if us:
            mj = self.plant.energy_mj()
            self._power_mw = (mj - self._told_mj) * 1000000 // us
            self._told_us += us
            self._told_mj = mj
        return self._power_mw

    def reset(self):
        """As after a loss of its supply."""
        self.count = 0
        self._defaults()
        self._rate(self._pin_baud)

    def _rate(self, baud):
        self.baud = baud
        self._byte_us = 10000000 // baud

    def _defaults(self):
        self._since_mwh = self.plant.energy_mwh()
        self.registers = {_MODE: 0x87, _PROTECTION: 0}
        self._hush()

    def cf_count(self):
        mwh = self.plant.energy_mwh() - self._since_mwh
        mul, div = self._of_mw
        return (self.count + mwh * 36000 * mul // (div * 4194304)) & 0xFFFFFF

    def _heard(self, data, t_us):
        if self.host_baud != self.baud:
            return
        data = self._kept + data
        while data:
            n = self._understood(data, t_us)
            if not n:
                break
            data = data[n:]
        self._kept = data[:5]

    def _understood(self, data, t_us):
        # how many bytes that was; 0: more must come
        if data[0] == 0x58 | self._address:
            if len(data) < 2:
                return 0
            if data[1] == 0xAA:
                self._say(self.packet(), t_us)
            else:
                value = self.registers.get(data[1], 0)
                out = bytearray((value & 0xFF, value >> 8 & 0xFF, value >> 16))
                out.append(~(sum(data[:2]) + sum(out)) & 0xFF)
                self._say(out, t_us)
            return 2
        if data[0] == 0xA8 | self._address:
            if len(data) < 6:
                return 0
            if ~sum(data[:5]) & 0xFF == data[5]:
                self._set(data[1], data[2] | data[3] << 8 | data[4] << 16)
            return 6
        return 1

    def _set(self, register, value):
        if register == _PROTECTION or self.registers[_PROTECTION] == 0x55:
            if register == _RESET and value == 0x5A5A5A:
                self.reset()
                return
            self.registers[register] = value
            if register == _MODE:
                self._rate((self._pin_baud, self._pin_baud, 19200, 38400)[value >> 8 & 3])

    def packet(self):
        """The 23 bytes that it answers to 58 AA now."""
        plant = self.plant
        volt = _raw(plant.phase_mv(0), self._of_mv)
        current = _raw(plant.phase_ma(0), self._of_ma)
        period = 1000000000 // plant.mains_mhz if volt > 100000 else 0xFFFF
        out = bytearray(23)
        out[0] = 0x55
        fields = ((1, current), (4, volt), (7, current), (10, _raw(self._mean_mw(), self._of_mw)))
        for i, value in fields + ((13, self.cf_count()),):
            out[i] = value & 0xFF
            out[i + 1] = value >> 8 & 0xFF
            out[i + 2] = value >> 16 & 0xFF
        out[16] = period & 0xFF
        out[17] = period >> 8
        out[22] = ~((0x58 | self._address) + sum(out)) & 0xFF
        if self.bad_checksum:
            out[22] ^= 0xFF
        return out


def _raw(value, by):
    return value * by[0] // by[1]
