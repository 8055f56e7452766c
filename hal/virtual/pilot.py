"""How a controller reads the control pilot: the sampling schemes of RP2040 and ESP32, on the
plant's voltage.

Both fill the same window: counts of highs and lows seen, then the three newest plateau readings of
each, newest first.
"""

from array import array

from micropython import const

from hal.burst import READS, plateaus

_PERIOD_US = const(1000)
_NOISE = const(1021)  # a prime, so that the noise does not beat with the sampling
_COUNT = const((1 << 30) - 1)
_READ_US = const(50)


class PowerCut(BaseException):
    """The supply went in the middle of a tick: no Python runs on, and nothing catches this."""


class _Sampler:
    """`stretch`: for runs over weeks, only every so many periods are looked at."""

    def __init__(self, plant, stretch=1):
        self._plant = plant
        self._stretch = stretch
        self._highs = 0
        self._lows = 0
        self._high = array("i", [0] * 4)  # rings of four; the newest at the count - 1
        self._low = array("i", [0] * 4)
        self.frozen = False  # the sample ring stands still
        self.stuck_mv = None  # it moves but reads this, always
        # 5 mV of noise at the converter: the sum of three even distributions
        self._noise = array(
            "i",
            [sum([plant.random.below(11) - 5 for _ in range(3)]) * 9 // 10 for _ in range(_NOISE)],
        )
        self._noise_at = 0
        self._outlier_mv = 0
        self._outlier_mean_us = 0
        self._outlier_us = 1 << 60

    def noise(self, outliers_per_s, mv):
        """Single wrong samples that read `mv`, so many a second on average, at least 50 ms apart;
        0 ends them.
        """
        self._outlier_mv = mv
        self._outlier_mean_us = int(1000000 / outliers_per_s) if outliers_per_s else 0
        self._outlier_us = self._plant.now_us + self._gap_us() if outliers_per_s else 1 << 60

    def _gap_us(self):
        return 50000 + self._plant.random.below(max(2 * (self._outlier_mean_us - 50000), 1))

    def set_permille(self, permille):
        """The pilot's duty, from its next period on."""
        self._plant.set_permille(permille)

    def _fill(self, window):
        h, n = self._high, self._highs
        window[0] = n & _COUNT
        window[2] = h[(n - 1) & 3]
        window[3] = h[(n - 2) & 3]
        window[4] = h[(n - 3) & 3]
        h, n = self._low, self._lows
        window[1] = n & _COUNT
        window[5] = h[(n - 1) & 3]
        window[6] = h[(n - 2) & 3]
        window[7] = h[(n - 3) & 3]


class PacedPilot(_Sampler):
    """RP2040: one sample 30 us after the rise and one 10 us before the next, paced by the PWM
    through DMA, without Python.
    """

    max_ma = 80000
    max_reason = ""

    def __init__(self, plant, stretch=1):
        super().__init__(plant, stretch)
        self._low_next = False
        self._next_us = 30
        plant.catch_up = self._take

    def _take(self, t_us):
        # Take every sample whose instant lies before t_us, at the levels that hold until now. In
        # locals: it is the simulator's hottest loop.
        next_us = self._next_us
        if next_us >= t_us:
            return
        plant = self._plant
        high_mv = plant.high_mv if plant.permille else plant.low_mv
        low_mv = plant.low_mv if plant.permille < 1000 else plant.high_mv
        noise = self._noise
        i = self._noise_at
        low = self._low_next
        gap_us = self._stretch * 1000 - 960
        if self.stuck_mv is not None:
            high_mv = low_mv = self.stuck_mv
        while next_us < t_us:
            i += 1
            if i == _NOISE:
                i = 0
            mv = noise[i] + (low_mv if low else high_mv)
            if next_us >= self._outlier_us and plant.random.below(2):  # highs and lows alike
                mv = self._outlier_mv
                self._outlier_us = next_us + self._gap_us()
            if low:
                if not self.frozen:
                    self._low[self._lows & 3] = mv
                    self._lows += 1
                low = False
                next_us += gap_us
            else:
                if not self.frozen:
                    self._high[self._highs & 3] = mv
                    self._highs += 1
                low = True
                next_us += 960
        self._noise_at = i
        self._low_next = low
        self._next_us = next_us

    def sample(self, window):
        """The newest readings, in the role's order."""
        self._take(self._plant.now_us)
        self._fill(window)


class BurstPilot(_Sampler):
    """ESP32: at each tick a burst of one-shot conversions over three periods of the pilot, then
    the plateaus picked out.

    A conversion takes 50 us. In each run of readings on one side of the middle, the last lies on
    the plateau, for ringing follows an edge for 20 us only; unless it was taken while the next
    edge slewed: then the one before it does. A phase of less than 100 us (low: above 90 %, 65 A)
    may give one reading only, which says nothing, and the diode cannot be proven.
    """

    max_ma = 48000  # as hal.mcu.esp32 caps it
    max_reason = "the sampler cannot prove the diode above 48 A"

    def __init__(self, plant, stretch=1):
        super().__init__(plant, stretch)
        self._burst = array("i", [0] * READS)
        self._counts = array("i", [0, 0])

    def sample(self, window):
        """Read a burst (it takes 3.2 ms of the plant's time) and give the newest three plateaus of
        each kind.
        """
        plant = self._plant
        burst = self._burst
        t_us = plant.now_us
        for i in range(READS):
            t_us += _READ_US
            plant.advance(t_us)
            if not plant.powered:
                raise PowerCut
            self._noise_at = (self._noise_at + 1) % _NOISE
            mv = plant.pilot_mv(t_us) if self.stuck_mv is None else self.stuck_mv
            burst[i] = mv + self._noise[self._noise_at]
        if t_us >= self._outlier_us:
            self._outlier_us = t_us + self._gap_us()
            burst[plant.random.below(READS)] = self._outlier_mv
        if not self.frozen:
            plateaus(burst, plant.permille in (0, 1000), self._high, self._low, self._counts)
            self._highs, self._lows = self._counts
        self._fill(window)
