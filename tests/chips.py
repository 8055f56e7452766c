"""What the drivers' tests share: a small plant, buses that lie, and fuzzing in stretches of truth,
lies and silence.

A driver's test builds plant, emulation and driver with one of the Lying... buses between them, and
hands a function that does so to `fuzz_meter`, `fuzz_reader` or, for other roles, `fuzz`. It has a
function `fuzz(n, seed)`, or `test_fuzz...(n=3000, seed=1)`: tools/soak.py finds and calls it.
"""

from array import array

from hal.chips.spec import calibrated_ppm
from hal.virtual.random import Random

STALE_MS = 2000  # supervision calls a meter's reading this old stale
NEVER_MS = 1 << 29
_MASK = (1 << 30) - 1


class Load:
    """A stand-in for hal.virtual.plant.Plant with what a chip sees of it: mains and a load."""

    def __init__(self, phases=1, mv=230000, ma=16000, mhz=50000):
        self.now_us = 0
        self.phases = phases
        self.powered = True
        self.mains_mhz = mhz
        self.mv = [mv] * phases
        self.ma = [ma] * phases
        self._fj = 0  # mV x mA x us
        self.queue = []  # what `at` was given: [us, function, argument]

    def phase_mv(self, i):
        return self.mv[i]

    def phase_ma(self, i):
        return self.ma[i]

    def power_mw(self):
        return sum([self.mv[i] * self.ma[i] for i in range(self.phases)]) // 1000

    def energy_mwh(self):
        return self._fj // (3600 * 10**9)

    def energy_mj(self):
        return self._fj // 10**9

    def at(self, t_us, function, argument=None):
        self.queue.append([t_us, function, argument])

    def advance(self, t_us):
        """Let time pass until `t_us`; change `mv` and `ma` between two of these only."""
        while self.queue:
            due = min(self.queue, key=lambda one: one[0])
            if due[0] > t_us:
                break
            self.queue.remove(due)
            self._pass(due[0])
            due[1](due[2])
        self._pass(t_us)

    def _pass(self, t_us):
        if t_us > self.now_us:
            power = sum([self.mv[i] * self.ma[i] for i in range(self.phases)])
            self._fj += power * (t_us - self.now_us)
            self.now_us = t_us


class Buses:
    """The role Buses over one emulated chip, whatever it is asked for; `level` is what inputs
    read.
    """

    def __init__(self, chip):
        self.chip = chip
        self.asked = []  # (what, arguments) of each call

    def uart(self, spec, baud, parity=None, stop=1):
        self.asked.append(("uart", baud, parity, stop))
        return self.chip

    def i2c(self, spec, hz=400000):
        self.asked.append(("i2c", hz))
        return self.chip

    def spi(self, spec, hz, polarity=0, phase=0):
        self.asked.append(("spi", hz, polarity, phase))
        return self.chip, self.chip.select

    def output(self, pin, value=0):
        return lambda level: None

    def input(self, pin, pull_up=True):
        return lambda: 1


class Line:
    """A serial line with a chip that says what `answer(question)` gives, after `heard`; `asked`
    has the questions.
    """

    def __init__(self, answer=None):
        self._answer = answer
        self.asked = []
        self.heard = b""

    def any(self):
        return len(self.heard)

    def readinto(self, into):
        n = min(len(into), len(self.heard))
        into[:n] = self.heard[:n]
        self.heard = self.heard[n:]
        return n or None

    def write(self, data):
        self.asked.append(bytes(data))
        if self._answer:
            self.heard += self._answer(bytes(data)) or b""
        return len(data)


class Bench:
    """A load, the emulation of a chip and its driver, and the main loop that ticks it. `driver`
    and `emulation` are modules; `wrap(chip)` is the bus between them, `buses(bus, chip)` the role.
    """

    def __init__(self, driver, emulation, spec, phases=1, wrap=None, buses=None):
        self.plant = Load(phases)
        self.chip = emulation.make(self.plant, spec)
        self.bus = wrap(self.chip) if wrap else self.chip
        self.buses = buses(self.bus, self.chip) if buses else Buses(self.bus)
        self.driver = driver.make(self.buses, spec, phases)
        self.now_ms = (1 << 30) - 500  # just before the wrap

    def tick(self, every_ms=20):
        self.plant.advance(self.plant.now_us + every_ms * 1000)
        self.now_ms = (self.now_ms + every_ms) & _MASK
        self.driver.tick(self.now_ms)


class MeterBench(Bench):
    """`cells` are the last reading; `oldest_ms` is the age of the oldest since `run` began."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cells = array("i", [0] * 11)
        self.oldest_ms = 0

    def run(self, ms):
        """Ticks for `ms`; the last reading."""
        self.oldest_ms = 0
        for _ in range(0, ms, 20):
            self.tick()
            self.oldest_ms = max(self.oldest_ms, self.driver.cells[2])
        self.driver.read(self.cells)
        return self.cells

    def mwh(self):
        return self.cells[0] * 1000 + self.cells[1]

    def surplus_mwh(self, ms):
        """Ticks for `ms`; by how much the energy grew more than the plant's meanwhile."""
        before = self.mwh() - self.plant.energy_mwh()
        self.run(ms)
        return self.mwh() - self.plant.energy_mwh() - before

    def calibration(self):
        """What `pile calibrate` would write by the last reading and a new Load, the reference."""
        return {
            "voltage": calibrated_ppm(self.cells[4], 230000),
            "current": calibrated_ppm(self.cells[7], 16000),
            "power": calibrated_ppm(self.cells[10], 3680000),
        }


class ReaderBench(Bench):
    """`told` has the cards that the reader told of."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []

    def run(self, ms, every_ms=20):
        """Ticks for `ms`; how long until a card was told, None: none was."""
        first = None
        for passed in range(0, ms, every_ms):
            self.tick(every_ms)
            uid = self.driver.read()
            if uid:
                self.told.append(uid)
                first = passed + every_ms if first is None else first
        return first

    def one_event_a_card(self, uid, other):
        """Half a second is enough, and a card that is left there is one event."""
        self.run(500)
        for _ in range(3):
            self.chip.present(uid)
            self.run(500)
            self.chip.present(None)
            self.run(700)
        assert self.told == [uid] * 3
        self.chip.present(uid)
        self.run(20000)
        self.chip.present(None)  # held badly for a moment
        self.run(200)
        self.chip.present(uid)
        self.run(1000)
        assert self.told[3:] == [uid]
        self.chip.present(other)  # another one, without a pause
        self.run(300)
        assert self.told[4:] == [other]

    def silence(self, uid, other, most_ms):
        """Silence ages and tells nothing; `most_ms`: the age after a second of it."""
        assert self.driver.age_ms() == NEVER_MS
        self.chip.silent = True
        self.chip.present(uid)
        self.run(1000)
        assert self.driver.age_ms() == NEVER_MS
        self.chip.silent = False
        self.run(1000)
        assert self.told == [uid]
        self.chip.silent = True
        self.chip.present(other)
        self.run(1000)
        assert 900 <= self.driver.age_ms() <= most_ms
        self.chip.silent = False
        self.run(1000)
        assert self.told == [uid, other]


class _Liar:
    """`mode`: "truth" hands everything on, "lie" about one answer in two, "silence" nothing.
    `lies` counts the answers that were not handed on as they were.
    """

    def __init__(self, bus, random):
        self.bus = bus
        self.random = random
        self.mode = "truth"
        self.lies = 0

    def set(self, mode):
        self.mode = mode

    def _noise(self, into):
        for i in range(len(into)):
            into[i] = self.random.below(256)


class LyingSerial(_Liar):
    """A serial line whose bursts (bytes without a pause of a poll between them) are cut, altered,
    glued, late, doubled or lost.

    `seal(bytearray)` makes a checksum right again, for lies that no checksum tells. `most`: so
    many bytes are held at most, like a controller's buffer.
    """

    def __init__(self, bus, random, seal=None, most=256):
        super().__init__(bus, random)
        self._seal = seal
        self._most = most
        self._burst = bytearray()
        self._out = bytearray()
        self._polls = 0  # to go until a late burst is let out
        self._chunk = bytearray(64)

    def set(self, mode):
        self.mode = mode
        if mode == "truth":
            self._out += self._burst
        elif mode == "silence":
            self._out = bytearray()
        self._burst = bytearray()
        self._polls = 0

    def any(self):
        self._pull()
        return len(self._out)

    def readinto(self, into, n=None):
        self._pull()
        n = min(len(into) if n is None else n, len(self._out))
        if not n:
            return None
        into[:n] = self._out[:n]
        self._out = self._out[n:]
        return n

    def read(self, n=None):
        into = bytearray(len(self._out) + 64 if n is None else n)
        n = self.readinto(into)
        return bytes(into[:n]) if n else None

    def write(self, data):
        if self.mode == "lie" and self.random.below(8) == 0:
            return None if self.random.below(2) else 0  # the buffer is full
        return self.bus.write(data)

    def _pull(self):
        came = False
        while self.bus.any():
            n = self.bus.readinto(self._chunk) or 0
            came = True
            if self.mode == "truth":
                self._out += self._chunk[:n]
            elif self.mode == "lie":
                self._burst += self._chunk[:n]
        if self._polls:
            self._polls -= 1
        elif self._burst and not came:
            self._lie()
        if len(self._out) > self._most:
            self._out = self._out[: self._most]

    def _lie(self):
        burst = self._burst
        below = self.random.below
        kind = below(20)
        self._burst = bytearray()
        if kind >= 10:
            self._out += burst
            return
        self.lies += 1
        n = len(burst)
        if kind == 0:  # cut short, at either end
            burst = burst[: below(n)] if below(2) else burst[below(n) :]
        elif kind == 1:  # one bit
            burst[below(n)] ^= 1 << below(8)
        elif kind == 2:  # a few bytes
            for _ in range(1 + below(4)):
                burst[below(n)] = below(256)
        elif kind == 3:  # bytes lost or too many inside
            at = below(n)
            noise = bytearray(below(4))
            self._noise(noise)
            burst = burst[:at] + noise + burst[at + below(4) :]
        elif kind == 4:  # noise before or instead
            noise = bytearray(1 + below(40))
            self._noise(noise)
            burst = noise + burst if below(2) else noise
        elif kind == 5:  # late, and perhaps glued to what comes meanwhile
            self._polls = 1 + below(100)
            self._burst = burst
            return
        elif kind == 6:
            burst = burst + burst
        elif kind == 7:
            return
        else:  # wrong fields under a right checksum
            for _ in range(1 + below(6)):
                burst[below(n)] = (0, 255, 128, below(256))[below(4)]
            if self._seal:
                self._seal(burst)
        self._out += burst


class LyingI2c(_Liar):
    """An I2C bus whose answers are altered, old, all ones or zeros, or do not come (OSError)."""

    ADDRESS = 0

    def __init__(self, bus, random):
        super().__init__(bus, random)
        self._before = bytearray(1)

    def readfrom_into(self, address, into, stop=True):
        self._ask()
        self.bus.readfrom_into(address, into)
        self._answer(into)

    def readfrom_mem_into(self, address, memory, into, addrsize=8):
        self._ask()
        self.bus.readfrom_mem_into(address, memory, into, addrsize=addrsize)
        self._answer(into)

    def writeto(self, address, data, stop=True):
        self._ask()
        return self.bus.writeto(address, data, stop)

    def writeto_mem(self, address, memory, data, addrsize=8):
        self._ask()
        self.bus.writeto_mem(address, memory, data, addrsize=addrsize)

    def _ask(self):
        if self.mode == "silence":
            raise OSError(19)
        if self.mode == "lie" and self.random.below(10) == 0:
            self.lies += 1
            raise OSError((5, 19, 110)[self.random.below(3)])

    def _answer(self, into):
        if self.mode == "lie":
            _spoil(self, into)


class LyingSpi(_Liar):
    """An SPI bus whose answers are altered, old, shifted, or all ones or zeros; a silent chip
    leaves the line at `floats`.
    """

    def __init__(self, bus, random, floats=0xFF):
        super().__init__(bus, random)
        self._before = bytearray(1)
        self._floats = floats

    def select(self, level):
        self.bus.select(level)

    def __call__(self, level):
        self.bus.select(level)

    def write(self, data):
        if self.mode == "truth" or (self.mode == "lie" and self.random.below(10)):
            self.bus.write(data)

    def write_readinto(self, out, into):
        if self.mode == "silence":
            for i in range(len(into)):
                into[i] = self._floats
            return
        self.bus.write_readinto(out, into)
        if self.mode == "lie":
            _spoil(self, into)


def _spoil(liar, into):
    """Alter `into`, in one case of two."""
    below = liar.random.below
    n = len(into)
    before = liar._before
    kind = below(16)
    if kind >= 8:
        liar._before = bytearray(into)
        return
    liar.lies += 1
    if kind == 0:
        into[below(n)] ^= 1 << below(8)
    elif kind == 1:
        liar._noise(into)
    elif kind == 2:
        for i in range(n):
            into[i] = 0xFF
    elif kind == 3:
        for i in range(n):
            into[i] = 0
    elif kind == 4:  # the answer before
        for i in range(n):
            into[i] = before[i % len(before)]
    elif kind == 5:  # a clock edge too many
        for i in range(n):
            into[i] = (into[i] << 1 | (into[i + 1] >> 7 if i + 1 < n else 1)) & 0xFF
    elif kind == 6:
        into[below(n)] = below(256)
    else:  # cut short
        for i in range(below(n), n):
            into[i] = 0xFF


def fuzz(plant, liar, driver, n, random, judge, read_ms):
    """Tick `driver` in stretches of truth, lies and silence until `n` answers were lied about.

    Calls judge(mode, since ms, elapsed ms, now ms) after each tick: the mode, since when, and the
    time since the tick before. Truth lasts `read_ms` and a little more; the first stretch is
    truth. Counters start just before their wrap.
    """
    now_ms = (1 << 30) - 3000
    modes = ("truth", "lie", "truth", "silence", "lie", "silence")
    turn = 0
    while liar.lies < n:
        mode = modes[turn % 6]
        turn += 1
        liar.set(mode)
        if mode == "truth":
            until_ms = read_ms + random.below(300)
        else:
            until_ms = random.below(8000 if mode == "lie" else 4000)
        since_ms = 0
        while since_ms <= until_ms:
            # the main loop's period; now and then it was held up
            elapsed_ms = 20 if random.below(64) or mode == "truth" else 20 + random.below(300)
            since_ms += elapsed_ms
            now_ms = (now_ms + elapsed_ms) & _MASK
            plant.advance(plant.now_us + elapsed_ms * 1000)
            driver.tick(now_ms)
            judge(mode, since_ms, elapsed_ms, now_ms)


def fuzz_meter(make, n, seed, most, read_ms, near_permille=20):
    """Fuzz a meter's driver with `n` wrong answers.

    `make(random)` returns (plant, liar, driver). `most`: eleven largest values that the chip's
    documented range allows, in the order of Meter.read (energy and age are not looked at; the
    power may be as much below 0). `read_ms`: the driver's READ_MS. In truth the readings must come
    within `near_permille` of the plant's, whose load changes at the beginning of each stretch of
    lies, to at most 260 V, 40 A and two thirds of the range.

    Asserts: no exception, nothing beyond `most` while fresh, ages that grow exactly in silence,
    energy that never falls and grows no faster than `most` allows, no read longer than `read_ms`
    once lies stop.
    """
    random = Random(seed)
    plant, liar, driver = make(random)
    reading = array("i", [0] * 11)
    driver.read(reading)
    assert reading[2] == NEVER_MS and sum(reading) == NEVER_MS, ("before the first", reading)
    kept = [NEVER_MS, 0, 0, "", 0]  # age, mWh, elapsed ms, mode, mWh that fit so far

    def judge(mode, since_ms, elapsed_ms, now_ms):
        driver.read(reading)
        seen = (seed, mode, since_ms, list(reading))
        age_ms = reading[2]
        mwh = reading[0] * 1000 + reading[1]
        assert 0 <= age_ms <= NEVER_MS and 0 <= reading[1] < 1000, seen
        assert mwh >= kept[1], ("energy fell", kept, seen)
        kept[2] += elapsed_ms
        # what flows in the time that passed, a second more, and once as much after each reset
        assert mwh <= most[10] * (kept[2] * 2 + 10000) // 3600000, ("too much energy", kept, seen)
        if age_ms < STALE_MS:
            for i in range(3, 11):
                assert abs(reading[i]) <= most[i], ("beyond the range", i, seen)
                assert reading[i] >= 0 or i == 10, ("below 0", i, seen)
        if mode == "silence" and since_ms > elapsed_ms + 60:
            assert age_ms == min(kept[0] + elapsed_ms, NEVER_MS), ("silent", kept, seen)
        if mode == "truth" and since_ms > read_ms:
            assert age_ms < 1000, ("not read within %d ms" % read_ms, seen)
            near = _near(plant, reading, near_permille)
            assert near, (near_permille, seen, plant.mv, plant.ma)
        kept[0] = age_ms
        kept[1] = mwh
        if mode == "lie" and kept[3] != mode:
            for i in range(plant.phases):
                plant.mv[i] = 200000 + random.below(60000)
                plant.ma[i] = random.below(min(40000, most[7] * 2 // 3))
        kept[3] = mode

    fuzz(plant, liar, driver, n, random, judge, read_ms)
    return liar.lies


def _near(plant, reading, permille):
    power_mw = plant.power_mw()
    near = abs(reading[10] - power_mw) * 1000 <= power_mw * permille + 5000000
    for i in range(plant.phases):
        mv, ma = plant.phase_mv(i), plant.phase_ma(i)
        near = near and abs(reading[4 + i] - mv) * 1000 <= mv * permille + 1000000
        near = near and abs(reading[7 + i] - ma) * 1000 <= ma * permille + 50000
    return near


def fuzz_reader(make, n, seed, cards, read_ms, liable=False):
    """Fuzz a card reader's driver with `n` wrong answers.

    `make(random)` returns (plant, liar, driver, present): `present(uid)` puts the card with the
    identifier `uid` (upper-case hex), or none (None), before the reader. `cards`: identifiers to
    choose from. `read_ms`: a card newly presented is told within that time from good wiring.

    Asserts: no exception, nothing told but upper-case hex of 4, 7 or 10 bytes, nothing told and an
    age that grows in silence, and in truth each card once. `liable`: what the bus alters may
    pass the chip's checks; without it, only cards that were presented are ever told.
    """
    random = Random(seed)
    plant, liar, driver, present = make(random)
    state = [None, 0, "", 0, 0]  # card before the reader, times told, mode, age, events

    def judge(mode, since_ms, elapsed_ms, now_ms):
        uid = driver.read()
        age_ms = driver.age_ms()
        seen = (seed, mode, since_ms, uid, age_ms, state)
        assert driver.read() is None, ("told twice", seen)
        assert 0 <= age_ms <= NEVER_MS, seen
        if uid is not None:
            state[4] += 1
            assert len(uid) in (8, 14, 20) and uid == uid.upper(), seen
            int(uid, 16)
            assert liable or uid in cards, ("a card that was never there", seen)
        if mode == "silence" and since_ms > elapsed_ms + 60:
            assert uid is None, ("told in silence", seen)
            assert age_ms == min(state[3] + elapsed_ms, NEVER_MS), ("silent", seen)
        state[3] = age_ms
        if mode == "truth":
            if state[2] != mode:
                state[0] = None
                state[1] = 0
                present(None)
            # nothing for a while, then a card that stays
            if since_ms > read_ms and state[0] is None:
                state[0] = cards[random.below(len(cards))]
                present(state[0])
            elif uid is not None and state[0] is not None:
                assert uid == state[0], ("another card", seen)
                state[1] += 1
                assert state[1] == 1, ("the same card again", seen)
            if since_ms > 2 * read_ms + 40:
                assert state[1] == 1, ("not told within %d ms" % read_ms, seen)
                assert age_ms < 1000, seen
        elif random.below(50) == 0:
            present(cards[random.below(len(cards))] if random.below(2) else None)
        state[2] = mode

    fuzz(plant, liar, driver, n, random, judge, 2 * read_ms + 100)
    return state[4]
