"""The ADE7953 at its I2C bus: registers of 8, 16, 24 and 32 bits behind addresses of 16.

Of its registers those that hal/chips/ade7953.py names. Not emulated: gains, energy registers, the
current channel that is not wired.
"""

ADDRESS = 0x38
_DEFAULTS = {0x0FE: 0, 0x102: 0x8004, 0x120: 0}


def make(plant, spec):
    return Ade7953(plant, spec)


class Ade7953:
    """Faults: `silent`; `reset()`: as after a loss of its supply."""

    ADDRESS = ADDRESS

    def __init__(self, plant, spec):
        self.plant = plant
        self.silent = False
        self._channel = spec.get("channel", 0)
        self._counts = [
            spec.get(name, default)
            for name, default in (("counts_v", 26000), ("counts_a", 100000), ("counts_w", 154))
        ]
        self._pointer = 0
        self.reset()

    def reset(self):
        self.registers = dict(_DEFAULTS)
        self._unlocked = False

    def readfrom_mem_into(self, addr, mem, buf, addrsize=8):
        self._address(addr)
        if addrsize != 16:
            raise OSError(5)
        value = self._get(mem)
        for i in range(len(buf)):
            buf[len(buf) - 1 - i] = value >> 8 * i & 0xFF

    def writeto_mem(self, addr, mem, buf, addrsize=8):
        self._address(addr)
        if addrsize != 16:
            raise OSError(5)
        value = 0
        for byte in buf:
            value = value << 8 | byte
        if mem != 0x120 or self._unlocked:
            self.registers[mem] = value
        self._unlocked = mem == 0x0FE and value == 0xAD

    def writeto(self, addr, buf, stop=True):
        self._address(addr)
        self._pointer = buf[0] << 8 | buf[1]
        if len(buf) > 2:
            self.writeto_mem(addr, self._pointer, buf[2:], addrsize=16)

    def readfrom_into(self, addr, buf):
        self.readfrom_mem_into(addr, self._pointer, buf, addrsize=16)

    def _address(self, addr):
        if addr != ADDRESS or self.silent or not self.plant.powered:
            raise OSError(19)

    def _get(self, register):
        plant = self.plant
        of_volt, of_ampere, of_watt = self._counts
        if register == 0x31C:
            return min(plant.phase_mv(0) * of_volt // 1000, 0xFFFFFF)
        if register == 0x31A + self._channel:
            return min(plant.phase_ma(0) * of_ampere // 1000, 0xFFFFFF)
        if register == 0x312 + self._channel:
            return plant.power_mw() * of_watt // 1000
        if register == 0x10E:
            return 223750000 // plant.mains_mhz - 1 if plant.phase_mv(0) > 20000 else 0
        return self.registers.get(register, 0)
