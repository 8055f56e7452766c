"""The CAN controller MCP2515 at its SPI bus: registers, buffers, filters, modes, error counters;
on a `hal.virtual.can.CanBus`.

Section numbers are those of the datasheet DS20001801.
"""

from hal.virtual.can import FLAG_EXT_ID, FLAG_RTR, CanBus

_OST_CYCLES = 128  # after a reset the chip does not listen (9.0)

# (12.10) what BIT MODIFY can do on single bits; on any other register the mask is 0xFF
_MODIFIABLE = (0x0C, 0x0D, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x30, 0x40, 0x50, 0x60, 0x70)
_FILTERS = (0x00, 0x04, 0x08, 0x10, 0x14, 0x18)
_LOAD = (0x31, 0x36, 0x41, 0x46, 0x51, 0x56)
_READ_RX = (0x61, 0x66, 0x71, 0x76)


def make(plant, spec):
    """The controller of the driver's board file `spec`, on a bus of its bitrate: `bus`."""
    return Mcp2515(plant, CanBus(plant, spec.get("bitrate", 250000)), spec.get("osc_hz", 8000000))


class Mcp2515:
    """One controller, joined to `bus`. Faults: `silent`, the SPI answers 0xFF and nothing is
    taken; `reset()`, as by a dip of the supply.
    """

    def __init__(self, plant, bus, osc_hz=8000000):
        self._plant = plant
        self._osc_hz = osc_hz
        self.bus = bus
        self.silent = False
        self.registers = bytearray(128)
        self._command = None
        self._ready_us = 0
        self.reset()
        bus.join(self)

    def reset(self):
        """All registers as after power-on: configuration mode."""
        r = self.registers
        for i in range(128):
            r[i] = 0
        r[0x0E] = 0x80
        r[0x0F] = 0x87
        self._wanted = 4  # the mode asked for
        self.tec = self.rec = 0
        self._since_us = [0, 0, 0]  # when the transmit buffers were asked to go
        self._flying_next = 0
        self._flying = None  # the transmit buffer whose frame is under way
        self._recovered_us = None  # set while bus-off
        self._ready_us = self._plant.now_us + (_OST_CYCLES * 1000000 + self._osc_hz - 1) // (
            self._osc_hz
        )

    @property
    def mode(self):
        """0 normal, 1 sleep, 2 loopback, 3 listen only, 4 configuration."""
        return self.registers[0x0E] >> 5

    # --- SPI ---

    def select(self, level):
        """The chip's select line: 0 selects."""
        if level and self._command is not None and 0x90 <= self._command <= 0x96:
            self.registers[0x2C] &= ~(1 << (self._command >> 2 & 1))  # READ RX BUFFER clears
        self._command = None
        self._step = 0

    def write(self, out):
        """Bytes whose answers nobody takes."""
        for byte in out:
            self._byte(byte)

    def write_readinto(self, out, into):
        """Full duplex."""
        for i in range(len(out)):
            into[i] = self._byte(out[i])

    def _byte(self, byte):
        if self.silent or self._plant.now_us < self._ready_us:
            return 0xFF
        step = self._step
        self._step = step + 1
        if step == 0:
            self.bus.run()
            self._command = byte
            if byte == 0xC0:
                self.reset()
                self._command = None
            elif byte & 0xF8 == 0x80:
                for i in range(3):
                    if byte >> i & 1:
                        self._write(0x30 + 16 * i, 0x08, 0x08)
            elif byte & 0xF9 == 0x90:
                self._at = _READ_RX[byte >> 1 & 3]
            elif 0x40 <= byte <= 0x45:
                self._at = _LOAD[byte - 0x40]
            return 0xFF
        command = self._command
        if command in (0x02, 0x03, 0x05) and step == 1:
            self._at = byte & 0x7F
            return 0xFF
        if command == 0x03 or (command is not None and 0x90 <= command <= 0x96):
            value = self._read(self._at)
            self._at = (self._at + 1) & 0x7F
            return value
        if command == 0x02 or (command is not None and 0x40 <= command <= 0x45):
            self._write(self._at, byte, 0xFF)
            self._at = (self._at + 1) & 0x7F
        elif command == 0x05:
            if step == 2:
                at = self._at
                self._mask = byte if at in _MODIFIABLE or at & 0xF == 0xF else 0xFF
            elif step == 3:
                self._write(self._at, byte, self._mask)
        elif command == 0xA0:
            r = self.registers
            value = r[0x2C] & 3
            for i in range(3):
                value |= (r[0x30 + 16 * i] >> 3 & 1) << (2 + 2 * i)
                value |= (r[0x2C] >> (2 + i) & 1) << (3 + 2 * i)
            return value
        return 0xFF

    # --- registers (11.0) ---

    def _read(self, at):
        low = at & 0xF
        if low >= 0xE:
            return self.registers[low]
        if at == 0x1C:
            return min(self.tec, 255)
        if at == 0x1D:
            return min(self.rec, 255)
        if at == 0x2D:
            return self._eflg()
        return self.registers[at]

    def _eflg(self):
        value = self.registers[0x2D] & 0xC0
        if self._recovered_us is not None:
            return value | 0x35  # TEC has passed 255, so all of these hold
        if self.tec >= 128:
            value |= 0x10
        if self.rec >= 128:
            value |= 0x08
        if self.tec >= 96:
            value |= 0x05
        if self.rec >= 96:
            value |= 0x03
        return value

    def _write(self, at, value, mask):
        r = self.registers
        low = at & 0xF
        before = r[low] if low >= 0xE else r[at]
        value = before & ~mask | value & mask
        if low == 0xE or at in (0x1C, 0x1D) or 0x61 <= at <= 0x6D or at >= 0x71:
            return
        if low == 0xF:
            self._control(value)
        elif at == 0x2D:
            r[at] &= value | 0x3F  # the overrun flags can be cleared
        elif at < 0x2B and at != 0x0C:
            if self.mode == 4:  # filters, masks, timing: in configuration mode only
                sidl = 0xEB if at < 0x20 else 0xE3
                r[at] = value & sidl if at & 3 == 1 and at < 0x28 and at != 0x0D else value
        elif at in (0x30, 0x40, 0x50):
            self._request(at, value)
        elif 0x30 <= at < 0x60:
            if not r[at & 0x70] & 0x08:
                r[at] = value
        elif at in (0x60, 0x70):
            r[at] = value & (0x64 if at == 0x60 else 0x60)
        else:
            r[at] = value

    def _control(self, value):
        self.registers[0x0F] = value
        self._wanted = value >> 5
        if value & 0x10:  # ABAT
            for i in range(3):
                self._abort(i)
        self._change_mode()

    def _change_mode(self):
        # A frame under way is ended first (10.0).
        if self._flying is None and self._wanted != self.mode:
            self.registers[0x0E] = self._wanted << 5
            if self._wanted == 4:
                self.tec = self.rec = 0
                self._recovered_us = None
            self._loop_back()

    def _request(self, at, value):
        r = self.registers
        i = (at >> 4) - 3
        was = r[at] & 0x08
        if value & 0x08 and not was:
            r[at] = value & 0x0B
            self._since_us[i] = self._plant.now_us
            self._loop_back()
        elif was and not value & 0x08:
            r[at] = r[at] & ~3 | value & 3
            self._abort(i)
        else:
            r[at] = r[at] & ~3 | value & 3

    def _abort(self, i):
        at = 0x30 + 16 * i
        if self.registers[at] & 0x08 and self._flying != i:
            self.registers[at] = self.registers[at] & ~0x08 | 0x40

    def _loop_back(self):
        while self.mode == 2:
            i = self._best(self._plant.now_us)
            if i < 0:
                return
            self._accept(self._frame(i))
            self._done(i)

    # --- on the bus ---

    def bitrate(self):
        """By its timing registers (5.0)."""
        r = self.registers
        quanta = 3 + (r[0x29] & 7) + (r[0x29] >> 3 & 7) + (r[0x28] & 7) + 1
        divider = 2 * ((r[0x2A] & 0x3F) + 1) * quanta
        return self._osc_hz // divider if r[0x29] & 0x80 else 0

    def acknowledges(self):
        """Whether it takes part: in normal mode, neither bus-off nor, set up wrong, passive."""
        if self.mode != 0 or self._recovered_us is not None:
            return False
        return self.rec < 128 or self.bitrate() == self.bus.bitrate

    def _best(self, at_us):
        # The buffer that goes next: the highest priority, then the highest number (3.2). -1: none.
        best = -1
        for i in range(3):
            control = self.registers[0x30 + 16 * i]
            if control & 0x08 and self._since_us[i] <= at_us:
                if best < 0 or control & 3 >= self.registers[0x30 + 16 * best] & 3:
                    best = i
        return best

    def offer(self, at_us):
        """(since when, frame) of what goes next; None as the frame: nothing."""
        recovered_us = self._recovered_us
        if recovered_us is not None and self._plant.now_us >= recovered_us:
            self._recovered_us = None
            self.tec = self.rec = 0
            at_us = max(at_us, recovered_us)
        elif recovered_us is not None:
            return 0, None
        if self.mode != 0:
            return 0, None
        waiting = [self._since_us[i] for i in range(3) if self.registers[0x30 + 16 * i] & 0x08]
        if not waiting:
            return 0, None
        since_us = max(at_us, min(waiting))
        self._flying_next = self._best(since_us)
        return since_us, self._frame(self._flying_next)

    def _frame(self, i):
        r = self.registers
        at = 0x30 + 16 * i
        number = r[at + 1] << 3 | r[at + 2] >> 5
        flags = 0
        if r[at + 2] & 0x08:
            number = number << 18 | (r[at + 2] & 3) << 16 | r[at + 3] << 8 | r[at + 4]
            flags = FLAG_EXT_ID
        n = min(r[at + 5] & 15, 8)
        if r[at + 5] & 0x40:
            return number, flags | FLAG_RTR, bytes(n)
        return number, flags, bytes(r[at + 6 : at + 6 + n])

    def _done(self, i):
        self.registers[0x30 + 16 * i] &= ~0x08
        self.registers[0x2C] |= 4 << i

    def began(self):
        """Its frame is on the bus."""
        self._flying = self._flying_next

    def broke_off(self):
        """Whether it was reset since."""
        return self._flying is None

    def sent(self):
        """Its frame got through."""
        i = self._flying
        self._flying = None
        self.tec = max(self.tec - 1, 0)
        self._done(i)
        self._change_mode()

    def failed(self, at_us, disturbed, recovered_us):
        """Its frame was disturbed, or nobody acknowledged it: it will be sent again."""
        i = self._flying
        if i is None:
            return
        self._flying = None
        self.registers[0x30 + 16 * i] |= 0x10
        if disturbed or self.tec < 128:  # a passive node does not count what nobody acknowledges
            self.tec += 8
        if self.tec > 255:
            self._recovered_us = recovered_us
        self._change_mode()

    def lost(self):
        """Another frame went first."""
        self.registers[0x30 + 16 * self._flying_next] |= 0x20

    def disturbed(self):
        """It saw an error frame."""
        if self.mode == 0 and self._recovered_us is None:
            self.rec = min(self.rec + 1, 255)

    def heard(self, frame):
        """A frame of somebody else got through."""
        if self.mode in (0, 3) and self._recovered_us is None:
            if self.mode == 0 and self.rec:
                self.rec = min(self.rec - 1, 119)
            self._accept(frame)

    def _accept(self, frame):
        r = self.registers
        if self._passes(0, frame):
            if not r[0x2C] & 1:
                self._store(0, frame)
            elif not r[0x60] & 4:
                r[0x2D] |= 0x40
            elif not r[0x2C] & 2:
                self._store(1, frame)
            else:
                r[0x2D] |= 0x80
        elif self._passes(1, frame):
            if not r[0x2C] & 2:
                self._store(1, frame)
            else:
                r[0x2D] |= 0x80

    def _passes(self, buffer, frame):
        r = self.registers
        if r[0x60 + 16 * buffer] & 0x60 == 0x60:
            return True
        number, flags, data = frame
        extended = flags & FLAG_EXT_ID
        mask = self._number(0x20 + 4 * buffer)
        if extended:
            bits = number
        else:
            # the lower bits of the filter are held against the first two bytes (4.5)
            bits = number << 18
            if not flags & FLAG_RTR:
                for i in range(min(len(data), 2)):
                    bits |= data[i] << (8 - 8 * i)
            mask &= ~0x30000
        for at in _FILTERS[:2] if buffer == 0 else _FILTERS[2:]:
            if bool(r[at + 1] & 0x08) == bool(extended) and not (self._number(at) ^ bits) & mask:
                return True
        return False

    def _number(self, at):
        r = self.registers
        high = r[at] << 3 | r[at + 1] >> 5
        return high << 18 | (r[at + 1] & 3) << 16 | r[at + 2] << 8 | r[at + 3]

    def _store(self, buffer, frame):
        number, flags, data = frame
        r = self.registers
        at = 0x61 + 16 * buffer
        remote = flags & FLAG_RTR
        if flags & FLAG_EXT_ID:
            r[at] = number >> 21
            r[at + 1] = (number >> 18 & 7) << 5 | 0x08 | number >> 16 & 3
            r[at + 2] = number >> 8 & 0xFF
            r[at + 3] = number & 0xFF
        else:
            r[at] = number >> 3
            r[at + 1] = (number & 7) << 5 | (0x10 if remote else 0)
            r[at + 2] = r[at + 3] = 0
        r[at + 4] = len(data) | (0x40 if remote and flags & FLAG_EXT_ID else 0)
        if not remote:
            for i in range(len(data)):
                r[at + 5 + i] = data[i]
        r[0x2C] |= 1 << buffer
