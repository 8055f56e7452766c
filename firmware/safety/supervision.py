"""The slower half of safety, every 20 ms: meter, mains, temperature and the residual-current
sensor's self-test.

It tells the core which conditions hold; the core times them by the table of faults and decides. It
allocates nothing.
"""

from array import array

from micropython import const

from firmware.energy.limits import NO_LIMIT_MA, TEMPERATURE
from firmware.safety import faults
from firmware.safety.core import (
    CONDITIONS,
    CURRENT_MA,
    DEPARTED,
    DRIVE,
    IN_LIVE,
    IN_MIRROR,
    IN_RESIDUAL,
    INPUTS,
    PERMILLE,
    SENSOR,
    STANDING,
)
from firmware.ticks import diff

# Of the meter's reading, as in hal.roles.Meter.
_AGE = const(2)
_MHZ = const(3)
_MV = const(4)
_MA = const(7)

_OLD_MS = const(2000)  # a reading this old says nothing; 5 s more of it and the meter has failed
_FOLLOW_MS = const(5000)  # a vehicle may take so long to follow a lower offer (table A.6, seq. 6)
_OPEN_MA = const(1000)  # more than this through an open contactor is no meter's offset
_MEAN_MS = const(800)  # a chip's mean may be of so long ago when it is read
_LONG_MS = const(4000)  # open for so long: no reading that counts is older

_DERATE = const(650)  # tenths of a degree: from here 1 A less every _STEP_MS, to 6 A
_RERATE = const(630)
_STOP = const(710)
_RESUME = const(620)
_STEP_MS = const(5000)
_STEP_MA = const(1000)
_LEAST_MA = const(6000)

# The residual-current sensor's self-test (shared facts 1.7: pulse 30 ms to 1.2 s, answer after
# about 0.75 s).
_PULSE_MS = const(250)
_ANSWER_MS = const(1500)
_RELEASE_MS = const(3000)
_RETRY_MS = const(60000)
_DAY_MS = const(86400000)


class Supervision:
    """`place` is the outlet's hardware, `limits` its limits, `max_ma` its rating; `plug` the
    socket's watch, or None.

    `config` gives nominal_v and the bounds of voltage (percent) and frequency (mHz).
    """

    def __init__(self, cells, place, limits, plug, config):
        self.reading = array("i", [0] * 11)
        self._cells = cells
        self._meter = place.meter
        self._inputs = place.inputs
        self._thermometer = place.thermometer
        self._phases = place.phases
        self._max_ma = place.max_ma
        self._limits = limits
        self._plug = plug
        volts = config["nominal_v"] * 10
        self._lost_mv = volts * 50
        self._low_mv = volts * config["under_voltage_pct"]
        self._low_back_mv = volts * config["under_voltage_back_pct"]
        self._high_mv = volts * config["over_voltage_pct"]
        self._high_back_mv = volts * config["over_voltage_back_pct"]
        self._low_mhz = config["under_frequency_mhz"]
        self._high_mhz = config["over_frequency_mhz"]
        self._last_ms = 0
        self._started = False
        self._allowed_ma = 0
        self._follow_ms = 0
        self._open_ms = 0  # since the contactor was seen open
        self._derated_ma = self._max_ma
        self._step_ms = 0
        self._test = 0  # of the sensor: 0 none, 1 waits for its answer, 2 for its release
        self._test_ms = 0
        self._until_test_ms = 0
        self._departures = 0
        self._failed = False  # the sensor's last self-test
        if not place.inputs.tests_residual:
            cells[SENSOR] = 1

    def tick(self, now_ms):
        """Look once at everything."""
        dt = diff(now_ms, self._last_ms) if self._started else 0
        self._started = True
        self._last_ms = now_ms
        c = self._cells
        raw = 0
        reading = self.reading
        self._meter.read(reading)
        if reading[_AGE] >= _OLD_MS:
            raw = faults.METER
        else:
            raw = self._mains(reading, c[STANDING]) | self._current(reading, dt)
        if self._thermometer:
            raw |= self._temperature(self._thermometer.read(), c[STANDING], dt)
        if self._inputs.tests_residual:
            raw |= self._residual(dt)
        if self._plug:
            raw |= self._plug.tick(dt)
        c[CONDITIONS] = raw

    def _mains(self, reading, standing):
        raw = 0
        low = self._low_back_mv if standing & faults.UNDER_VOLTAGE else self._low_mv
        high = self._high_back_mv if standing & faults.OVER_VOLTAGE else self._high_mv
        for i in range(_MV, _MV + self._phases):
            mv = reading[i]
            if mv < self._lost_mv:
                raw |= faults.PHASE_LOSS
            elif mv < low:
                raw |= faults.UNDER_VOLTAGE
            elif mv > high:
                raw |= faults.OVER_VOLTAGE
        mhz = reading[_MHZ]  # 0: this meter does not measure it
        if mhz and not raw & faults.PHASE_LOSS and not self._low_mhz <= mhz <= self._high_mhz:
            raw |= faults.FREQUENCY
        return raw

    def _current(self, reading, dt):
        c = self._cells
        most = 0
        for i in range(_MA, _MA + self._phases):
            if reading[i] > most:
                most = reading[i]
        c[CURRENT_MA] = most
        # What the duty says, not what the outlet wishes: the duty changes every 5 s at most, and
        # the vehicle has 5 s to follow.
        d = c[PERMILLE]
        offered = 0 if d >= 1000 else d * 60 if d <= 850 else (d - 640) * 250
        if offered >= self._allowed_ma:
            self._allowed_ma = offered
            self._follow_ms = _FOLLOW_MS
        elif self._follow_ms > 0:
            self._follow_ms -= dt
        else:
            self._allowed_ma = offered
        if c[DRIVE] or c[INPUTS] & (IN_MIRROR | IN_LIVE):
            self._open_ms = 0
        elif self._open_ms < _LONG_MS:
            self._open_ms += dt
        if c[DRIVE]:
            return faults.OVER_CURRENT if most > (self._allowed_ma + 500) * 11 // 10 else 0
        # What flowed before the opening is shown for a while: for long, if the meter falls silent
        # or the main loop stands still then.
        if most > _OPEN_MA and reading[_AGE] + _MEAN_MS < self._open_ms:
            return faults.CURRENT_WHILE_OPEN
        return 0

    def _temperature(self, tenths, standing, dt):
        if tenths is None:
            return faults.TEMPERATURE_SENSOR
        self._step_ms -= dt
        if self._step_ms <= 0:
            self._step_ms = _STEP_MS
            if tenths >= _DERATE:
                self._derated_ma = max(self._derated_ma - _STEP_MA, _LEAST_MA)
                self._limits.set(TEMPERATURE, self._derated_ma, "the contactor is hot")
            elif tenths < _RERATE and self._derated_ma < self._max_ma:
                self._derated_ma += _STEP_MA
                if self._derated_ma >= self._max_ma:
                    self._derated_ma = self._max_ma
                    self._limits.set(TEMPERATURE, NO_LIMIT_MA, "")
                else:
                    self._limits.set(TEMPERATURE, self._derated_ma, "the contactor was hot")
        if tenths >= _STOP or (standing & faults.HOT and tenths > _RESUME):
            return faults.HOT
        return 0

    def _residual(self, dt):
        """The sensor's self-test: at boot, when a vehicle has left, daily, and every minute while
        it fails.
        """
        c = self._cells
        tripped = c[INPUTS] & IN_RESIDUAL
        self._test_ms += dt
        self._until_test_ms -= dt
        if self._test == 0:
            if c[DEPARTED] != self._departures:
                self._departures = c[DEPARTED]
                self._until_test_ms = 0
            if self._until_test_ms <= 0 and not c[DRIVE] and not c[STANDING] & faults.RESIDUAL:
                self._test = 1
                self._test_ms = 0
                c[SENSOR] = 2
                self._inputs.test_residual(True)
        elif self._test == 1:
            if self._test_ms >= _PULSE_MS:
                self._inputs.test_residual(False)
            if tripped:
                self._inputs.test_residual(False)
                self._test = 2
                self._test_ms = 0
            elif self._test_ms >= _ANSWER_MS:
                self._end_test(False)
        elif not tripped:
            self._end_test(True)
        elif self._test_ms >= _RELEASE_MS:
            self._end_test(False)
        return faults.RESIDUAL_SENSOR if self._failed else 0

    def _end_test(self, passed):
        self._test = 0
        self._failed = not passed
        self._until_test_ms = _DAY_MS if passed else _RETRY_MS
        self._cells[SENSOR] = 1 if passed else 0
