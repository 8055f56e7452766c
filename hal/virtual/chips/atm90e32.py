"""The ATM90E32 at its SPI bus: registers of 16 bits, gains, energy that reading clears.

Of its registers those that hal/chips/atm90e32.py names, in the same units. A load's energy is
shared out evenly to the phases. Not emulated: start-up thresholds, phase angles, reactive energy.
"""

_UNLOCKED = 0x55AA


def make(plant, spec):
    return Atm90e32(plant, spec)


class Atm90e32:
    """Faults: `silent` (the line floats at ones); `reset()`: as after a loss of its supply.

    `voltage_gain`, `current_gain`: what UgainA and IgainA (and B, C) must be for true readings, by
    phase; `power_ppm`: by how much its power reads too high.
    """

    def __init__(self, plant, spec):
        self.plant = plant
        self.silent = False
        self.voltage_gain = [spec.get("voltage_gain", 7305)] * 3
        self.current_gain = [spec.get("current_gain", 27961)] * 3
        self.power_ppm = [0] * 3
        self._selected = False
        self.reset()

    def reset(self):
        self.registers = {0x00: 0, 0x7F: 0, 0x31: 0x0861, 0x32: 0xC468, 0x33: 0x87, 0x34: 0}
        for i in range(3):
            self.registers[0x61 + 4 * i] = self.registers[0x62 + 4 * i] = 0x8000
            self.registers[0x47 + 2 * i] = 0
        self._last = 0
        self._power = [0, 0, 0]
        self._cleared = [self._counts()] * 3

    def select(self, level):
        self._selected = not level

    def write(self, out):
        self.write_readinto(out, bytearray(len(out)))

    def write_readinto(self, out, into):
        """A transfer of four bytes: the address, 8000 added to read, and the value."""
        register = (out[0] << 8 | out[1]) & 0x3FF
        read = out[0] & 0x80
        value = out[2] << 8 | out[3]
        if self.silent or not self.plant.powered or not self._selected or len(out) != 4:
            value = 0xFFFF
        elif not read:
            self._last = value
            self._set(register, value)
            value = 0
        elif register == 0x78:
            value = self._last
        else:
            self._last = value = self._get(register) & 0xFFFF
        for i in range(len(into)):
            into[i] = 0xFF if i < 2 else value >> 8 if i == 2 else value & 0xFF

    def _set(self, register, value):
        if register == 0x70:
            if value == 0x789A:
                self.reset()
        elif register == 0x7F or self.registers[0x7F] == _UNLOCKED:
            self.registers[register] = value

    def _get(self, register):
        phase = (register & 15) - 1
        if register in self.registers:
            return self.registers[register]
        if not self.registers[0x00]:
            return 0  # it does not meter
        if 0xD9 <= register <= 0xDB:
            return min(self._volt(register - 0xD9) // 10, 0xFFFF)
        if 0xDD <= register <= 0xDF:
            return min(self._current(register - 0xDD), 0xFFFF)
        if 0xB1 <= register <= 0xB3:
            self._power[phase] = self._watt(phase)
            return self._power[phase] >> 16
        if 0xC1 <= register <= 0xC3:
            return self._power[phase]
        if register == 0xF8:
            return self.plant.mains_mhz // 10 if self._volt(0) > 20000 else 0
        if 0x81 <= register <= 0x83:
            if phase >= self.plant.phases:
                return 0
            counts = self._counts()
            more = min((counts - self._cleared[phase]) // self.plant.phases, 0xFFFF)
            self._cleared[phase] += more * self.plant.phases
            return more
        return 0

    def _counts(self):
        return self.plant.energy_mwh() * 8 // 25

    def _volt(self, i):
        if i >= self.plant.phases:
            return 0
        return self.plant.phase_mv(i) * self.registers[0x61 + 4 * i] // self.voltage_gain[i]

    def _current(self, i):
        if i >= self.plant.phases:
            return 0
        return self.plant.phase_ma(i) * self.registers[0x62 + 4 * i] // self.current_gain[i]

    def _watt(self, i):
        gain = self.registers[0x47 + 2 * i]
        gain = (gain ^ 0x8000) - 0x8000
        power = self._volt(i) * self._current(i) * (32768 + gain) >> 15
        return power * (1000000 + self.power_ppm[i]) // 1000000 // 320
