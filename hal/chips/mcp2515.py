"""The CAN controller MCP2515 over SPI, in the shape of MicroPython's `machine.CAN` (since 1.28),
so that code for it also runs on a port that has one.

Board file: {"chip": "mcp2515", "spi": N, "sck": PIN, "mosi": PIN, "miso": PIN, "cs": PIN,
"osc_hz": 8000000, "bitrate": 250000, "sample_point": 75}. `osc_hz` is the crystal's.

What differs from `machine.CAN`: there is no irq(); tick() every 20 ms (and recv(), and poll() as
often as one likes) asks the chip. It has two receive buffers: at 250 kbit/s two frames may follow
one another within 1.2 ms, and of what comes faster than it is asked for the rest is lost, and told
as RECV_ERR_OVERRUN. recv(list) puts a memoryview of the driver's own buffer into the list, valid
until the next recv. A filter set anew sets the whole chip up anew. A bus-off that ends by itself
between two polls (after 1408 bits) is not seen.

Numbers of registers and instructions are those of the datasheet DS20001801.
"""

from micropython import const

from hal.chips import NEVER_MS, diff

_RESET = const(0xC0)
_READ = const(0x03)
_WRITE = const(0x02)
_MODIFY = const(0x05)
_LOAD_TX = const(0x40)
_READ_RX = const(0x90)
_READ_STATUS = const(0xA0)

_CANCTRL = const(0x0F)
_TEC = const(0x1C)
_MASKS = const(0x20)
_CNF3 = const(0x28)
_EFLG = const(0x2D)  # CANSTAT and CANCTRL follow, as in every row
_TXBCTRL = const(0x30)  # and 0x10 further for each
_RXB0CTRL = const(0x60)

_CONFIGURE = const(0x80)  # of CANCTRL: the mode
_CLKPRE = const(3)  # of CANCTRL: set, with the clock's output off, so that it never reads as 0
_TXREQ = const(0x08)
_ABTF = const(0x40)
_ROLL_OVER = const(0x04)
_EXIDE = const(0x08)
_SRR = const(0x10)
_RTR = const(0x40)

# EFLG when TEC is above 255: bus-off, passive and warning hold together
_OFF = const(0x35)
_PASSIVE = const(0x18)
_WARNING = const(0x07)
_OVERRUN = const(0xC0)

_REGISTERS = const(0x2C)  # that are written at once: filters, masks, timing, no interrupts
_FRAME = const(13)
_FRAMES = const(16)  # that wait for recv
_AT_ONCE = const(4)  # frames that a poll fetches at most
_DOUBTS = const(3)  # wrong answers on end after which the chip is set up anew
_PATIENCE = const(25)  # the same while it waits for a pause on the bus to take part

# Of set-up: what the next tick does
_STOPPED = const(0)
_BEGIN = const(1)
_CONFIGURED = const(2)
_VERIFY = const(3)
_JOIN = const(4)
_RUN = const(5)


def make(buses, spec, phases=1):
    """The controller that `spec` describes, being set up. Raises ValueError with the field."""
    from hal.chips.spec import field

    osc_hz = field(spec, "osc_hz", 8000000, 1000000, 40000000)
    bitrate = field(spec, "bitrate", 250000, 5000, 1000000)
    spi, cs = buses.spi(spec, min(10000000, osc_hz))
    can = CAN(spi, cs, osc_hz)
    can.init(bitrate, sample_point=field(spec, "sample_point", 75, 50, 90))
    return can


def timing(osc_hz, bitrate, sample_point=75, sjw=1, tseg1=None, tseg2=None):
    """(prescaler 1 to 64, tseg1, tseg2) that give exactly `bitrate`: the nearest to
    `sample_point` percent, of those the one of most quanta. Raises ValueError.

    Datasheet 5.3: PropSeg + PS1 >= PS2, PS2 > SJW, PS2 at least 2 quanta.
    """
    best = None
    least = 1000
    for total in range(25, 4, -1):
        prescaler, rest = divmod(osc_hz, 2 * bitrate * total)
        one = tseg1 if tseg1 else (total * sample_point + 50) // 100 - 1
        two = total - 1 - one
        if rest or not 1 <= prescaler <= 64 or (tseg1 and two != tseg2):
            continue
        if not (2 <= two <= 8 and two <= one <= 16 and sjw < two and sjw <= one // 2):
            continue
        far = abs((1 + one) * 1000 // total - 10 * sample_point)
        if far < least:
            least = far
            best = (prescaler, one, two)
    if not best:
        raise ValueError("bitrate: expected one that %d Hz can give, found %r" % (osc_hz, bitrate))
    return best


def _spread(into, at, number, extended):
    # An identifier as the four registers SIDH, SIDL, EID8, EID0.
    into[at + 2] = into[at + 3] = 0
    low = 0
    if extended:
        into[at + 3] = number & 0xFF
        into[at + 2] = number >> 8 & 0xFF
        low = number >> 16 & 3
        number >>= 18
    into[at] = number >> 3
    into[at + 1] = (number & 7) << 5 | low


def _into(given, values):
    if given is None:
        return list(values)
    given[:] = values
    return given


def _check(number, extended):
    if not 0 <= number <= (0x1FFFFFFF if extended else 0x7FF):
        raise ValueError("invalid id")


class CAN:
    """`machine.CAN`, less irq(); plus poll(), tick(now_ms) and age_ms()."""

    MODE_NORMAL = 0
    MODE_SILENT = 3
    MODE_SILENT_LOOPBACK = 4  # nothing leaves the chip
    STATE_STOPPED = 0  # not initialised, or the chip does not answer
    STATE_ACTIVE = 1
    STATE_WARNING = 2
    STATE_PASSIVE = 3
    STATE_BUS_OFF = 4
    FLAG_RTR = 1
    FLAG_EXT_ID = 2
    FLAG_UNORDERED = 16
    RECV_ERR_FULL = 1
    RECV_ERR_OVERRUN = 2
    FILTERS_MAX = 6  # of at most two different masks, one of them with at most two filters
    TX_QUEUE_LEN = 3

    def __init__(self, spi, cs, osc_hz):
        self._spi = spi
        self._cs = cs
        self._osc_hz = osc_hz
        cs(1)
        # WRITE from register 0 on; CANCTRL is in there twice
        self._image = bytearray(2 + _REGISTERS)
        self._image[0] = _WRITE
        self._image[2 + _CANCTRL] = self._image[2 + 0x1F] = _CONFIGURE | _CLKPRE
        self._timings = (0, 0, 0, 0)
        self._mode = 0
        self._step = _STOPPED
        self._state = 0
        self._doubts = 0
        self._now_ms = None
        self._age_ms = NEVER_MS
        self._entered = [0, 0, 0]  # warning, passive, bus off
        self._overruns = 0
        self._lost = False
        self._ids = [-1, -1, -1]  # of the transmit buffers
        buffer = memoryview(bytearray(1 + _FRAME))
        self._buffer = buffer
        self._two = buffer[:2]
        self._five = buffer[:5]
        self._fifo = bytearray(_FRAMES * _FRAME)
        self._first = 0
        self._count = 0
        self._last = 1  # the receive buffer that was read last
        data = memoryview(bytearray(8))
        self._views = [data[:n] for n in range(9)]
        self.set_filters(())

    # --- set-up ---

    def init(self, bitrate, mode=0, sample_point=75, sjw=1, tseg1=None, tseg2=None):
        """Set the chip up, within four ticks; state() tells. Raises ValueError."""
        if mode not in (self.MODE_NORMAL, self.MODE_SILENT, self.MODE_SILENT_LOOPBACK):
            raise ValueError("mode: expected normal, silent or silent loopback, found %r" % mode)
        prescaler, one, two = timing(self._osc_hz, bitrate, sample_point, sjw, tseg1, tseg2)
        half = one // 2
        image = self._image
        image[2 + _CNF3] = two - 1
        image[3 + _CNF3] = 0x80 | (one - half - 1) << 3 | half - 1
        image[4 + _CNF3] = (sjw - 1) << 6 | prescaler - 1
        self._timings = (bitrate, sjw, one, two)
        self._mode = 0x40 if mode == self.MODE_SILENT_LOOPBACK else mode << 5
        self.restart()

    def restart(self):
        """Leave bus-off: the chip is set up anew, the counters begin at 0, what waited to be sent
        is gone.
        """
        self._entered = [0, 0, 0]
        self._overruns = 0
        self._begin()

    def deinit(self):
        """Stop taking part."""
        self._first = self._count = 0
        self._stop(self.STATE_STOPPED)

    def _stop(self, state):
        self._step = _STOPPED
        self._state = state
        self._send(bytes((_RESET,)))

    def _begin(self):
        self._step = _BEGIN
        self._state = self.STATE_STOPPED
        self._ids = [-1, -1, -1]
        self._doubts = 0

    def set_filters(self, filters):
        """As `machine.CAN`; before the first call nothing is received. Raises ValueError."""
        if filters is None:
            filters = ((0, 0, 0), (0, 0, self.FLAG_EXT_ID))
        elif not filters:
            # The chip cannot refuse everything; this identifier nobody should have.
            filters = ((0x1FFFFFFF, 0x1FFFFFFF, self.FLAG_EXT_ID),)
        groups = []  # (mask's four registers, [filter's four registers])
        number = 0
        for identifier, bits, flags in filters:
            extended = flags & self.FLAG_EXT_ID
            if flags & ~self.FLAG_EXT_ID:
                raise ValueError("flags: expected 0 or FLAG_EXT_ID, found %r" % flags)
            _check(identifier, extended)
            _check(bits, extended)
            mask = bytearray(4)
            wanted = bytearray(4)
            _spread(mask, 0, bits, extended)
            _spread(wanted, 0, identifier, extended)
            wanted[1] |= _EXIDE if extended else 0
            number += 1
            for group in groups:
                if group[0] == mask:
                    group[1].append(wanted)
                    break
            else:
                groups.append((mask, [wanted]))
        # Receive buffer 0 has two filters under the first mask, buffer 1 four under the second.
        if len(groups) == 1:
            groups = groups * 2
            fits = number <= 6
            whole = groups[0][1]
            pairs = (whole[:2], whole[2:] or whole)
        else:
            groups.sort(key=lambda group: len(group[1]))
            fits = len(groups) == 2 and len(groups[0][1]) <= 2 and len(groups[1][1]) <= 4
            pairs = (groups[0][1], groups[-1][1])
        if not fits:
            raise ValueError("filters: expected at most two masks, with 2 and 4 filters")
        image = self._image
        for i in range(6):
            of = pairs[0 if i < 2 else 1]
            at = 2 + (i * 4 if i < 3 else i * 4 + 4)
            image[at : at + 4] = of[i % len(of)]
        at = 2 + _MASKS
        image[at : at + 4] = groups[0][0]
        image[at + 4 : at + 8] = groups[1][0]
        if self._step != _STOPPED:
            self._begin()

    # --- the bus ---

    def tick(self, now_ms):
        """Set up, or poll."""
        if self._now_ms is not None:
            self._age_ms = min(self._age_ms + max(diff(now_ms, self._now_ms), 0), NEVER_MS)
        self._now_ms = now_ms
        step = self._step
        if step >= _JOIN:
            self.poll()
        elif step == _BEGIN:
            self._send(bytes((_RESET,)))
            self._step = _CONFIGURED  # a tick later: the oscillator takes 128 cycles (9.0)
        elif step == _CONFIGURED:
            self._send(self._image)
            self._send(bytes((_WRITE, _RXB0CTRL, _ROLL_OVER)))
            self._step = _VERIFY
        elif step == _VERIFY:
            if self._verified():
                self._send(bytes((_WRITE, _CANCTRL, self._mode | _CLKPRE)))
                self._step = _JOIN
            else:
                self._step = _BEGIN

    def age_ms(self):
        """Milliseconds since the chip last gave a sensible answer, up to 2^29."""
        return self._age_ms

    def _verified(self):
        found = bytearray(2 + _REGISTERS)
        found[0] = _READ
        if not self._exchange(found):
            return False
        image = self._image
        for at, end in ((2, 14), (18, 30), (34, 46)):  # the filters, the filters, masks and timing
            if found[at:end] != image[at:end]:
                return False
        return True

    def poll(self):
        """Look after the chip's state, and fetch at most four frames."""
        if self._step < _JOIN:
            return
        five = self._five
        five[0] = _READ
        five[1] = _EFLG
        mode = self._mode
        if not self._exchange(five) or five[3] != mode or five[4] != mode | _CLKPRE:
            self._doubts += 1
            if self._doubts >= (_DOUBTS if self._step == _RUN else _PATIENCE):
                self._begin()
            return
        self._step = _RUN
        self._doubts = 0
        self._age_ms = 0
        errors = five[2]
        state = self.STATE_ACTIVE
        if errors & _OFF == _OFF:
            state = self.STATE_BUS_OFF
        elif errors & _PASSIVE:
            state = self.STATE_PASSIVE
        elif errors & _WARNING:
            state = self.STATE_WARNING
        for i in range(max(self._state, 1), state):
            self._entered[i - 1] += 1
        self._state = state
        if errors & _OVERRUN:
            self._overruns += 1
            self._lost = True
            self._send(bytes((_MODIFY, _EFLG, _OVERRUN, 0)))
        self._fetch()
        if state == self.STATE_BUS_OFF:
            self._stop(state)  # it would recover by itself and send what nobody wants any more

    def _fetch(self):
        # The older of two frames is in buffer 0, unless that was read while the other waited.
        two = self._two
        buffer = self._buffer
        for _ in range(_AT_ONCE):
            if self._count == _FRAMES:
                return  # they wait in the chip, which tells when it loses one
            two[0] = _READ_STATUS
            if not self._exchange(two):
                return
            full = two[1] & 3
            if not full:
                self._last = 1
                return
            self._last = 1 if full == 2 or (full == 3 and self._last == 0) else 0
            buffer[0] = _READ_RX | self._last << 2
            if not self._exchange(buffer):
                return
            at = (self._first + self._count) % _FRAMES * _FRAME
            self._fifo[at : at + _FRAME] = buffer[1:]
            self._count += 1

    def recv(self, arg=None):
        """[identifier, memoryview of the data, flags, errors], in `arg` when given; None: nothing
        has come.
        """
        if not self._count:
            self.poll()
            if not self._count:
                return None
        fifo = self._fifo
        at = self._first * _FRAME
        errors = self.RECV_ERR_FULL if self._count == _FRAMES else 0
        self._first = (self._first + 1) % _FRAMES
        self._count -= 1
        if self._lost:
            self._lost = False
            errors |= self.RECV_ERR_OVERRUN
        low = fifo[at + 1]
        number = fifo[at] << 3 | low >> 5
        flags = 0
        remote = low & _SRR
        if low & _EXIDE:
            number = (number << 2 | low & 3) << 16 | fifo[at + 2] << 8 | fifo[at + 3]
            flags = self.FLAG_EXT_ID
            remote = fifo[at + 4] & _RTR
        if remote:
            flags |= self.FLAG_RTR
        n = min(fifo[at + 4] & 15, 8)
        if arg is None:
            arg = [0, memoryview(bytearray(8))[:n], 0, 0]
        else:
            arg[1] = self._views[n]
        for i in range(n):
            arg[1][i] = 0 if remote else fifo[at + 5 + i]
        arg[0] = number
        arg[2] = flags
        arg[3] = errors
        return arg

    def send(self, id, data, flags=0):
        """The number of the buffer, 0 to 2, that now waits to be sent; None: none is free, or one
        with the same identifier still waits. Raises OSError when stopped or bus-off, ValueError.

        Lower identifiers go first, by their two highest bits only.
        """
        extended = flags & self.FLAG_EXT_ID
        _check(id, extended)
        n = len(data)
        if n > 8:
            raise ValueError("data: expected at most 8 bytes, found %d" % n)
        if self._step != _RUN:
            raise OSError(19 if self._state == self.STATE_STOPPED else 5)
        waiting = self._waiting()
        key = id | (1 << 29 if extended else 0)
        free = -1
        for i in range(3):
            if not waiting >> i & 1:
                if free < 0:
                    free = i
            elif self._ids[i] == key and not flags & self.FLAG_UNORDERED:
                return None
        if free < 0:
            return None
        frame = bytearray(6 + n)
        frame[0] = _LOAD_TX | free << 1
        _spread(frame, 1, id, extended)
        if extended:
            frame[2] |= _EXIDE
        frame[5] = n
        if flags & self.FLAG_RTR:
            frame[5] |= _RTR
        else:
            frame[6:] = data
        priority = 3 - (id >> (27 if extended else 9))
        if not self._send(frame):
            return None
        if not self._send(bytes((_WRITE, _TXBCTRL + (free << 4), _TXREQ | priority))):
            return None
        self._ids[free] = key
        return free

    def cancel_send(self, index):
        """Whether the frame in the buffer `index` waited, and now never will be sent."""
        if not 0 <= index < 3:
            raise ValueError("index: expected 0 to 2, found %r" % index)
        if self._step != _RUN or not self._waiting() >> index & 1:
            return False
        at = _TXBCTRL + (index << 4)
        self._send(bytes((_MODIFY, at, _TXREQ, 0)))
        found = bytearray((_READ, at, 0))
        return self._exchange(found) and found[2] & (_TXREQ | _ABTF) == _ABTF

    def _waiting(self):
        # The transmit buffers that wait, one bit each; all when the chip does not answer.
        two = self._two
        two[0] = _READ_STATUS
        if not self._exchange(two):
            return 7
        status = two[1]
        return status >> 2 & 1 | status >> 3 & 2 | status >> 4 & 4

    def state(self):
        """The state seen by the last poll."""
        return self._state

    def get_counters(self, list=None):
        """As `machine.CAN`: TEC, REC, times warning, passive and bus-off were entered, frames that
        wait to be sent and to be received, overruns; as far as the polls saw. None: not known.
        """
        found = bytearray((_READ, _TEC, 0, 0))
        known = self._step == _RUN and self._exchange(found)
        waiting = self._waiting() if known else 0
        counters = [found[2], found[3]] if known else [None, None]
        counters += self._entered
        counters.append((waiting & 1) + (waiting >> 1 & 1) + (waiting >> 2))
        counters.append(self._count)
        counters.append(self._overruns)
        return _into(list, counters)

    def get_timings(self, list=None):
        """As `machine.CAN`: bitrate, sjw, tseg1, tseg2, None, None."""
        return _into(list, self._timings + (None, None))

    # --- SPI: False when it fails ---

    def _exchange(self, buffer):
        try:
            self._cs(0)
            self._spi.write_readinto(buffer, buffer)
        except OSError:
            return False
        finally:
            self._cs(1)
        return True

    def _send(self, data):
        try:
            self._cs(0)
            self._spi.write(data)
        except OSError:
            return False
        finally:
            self._cs(1)
        return True
