"""The electrical plant of one outlet: vehicle, control pilot, contactor, mains and energy, in
integers over microseconds.

Time stands where `advance` left it; what is due lies in a queue of events. Between two events
nothing changes but the pilot's square wave and the energy that flows, so both are known exactly at
any moment.
"""

from hal.virtual.random import Random

# Ohm of a vehicle in state B, C, D (IEC 61851-1 annex A; shared facts 1.1)
R_B, R_C, R_D = 2740, 882, 246

_PILOT_MV = 12000
_SOURCE_OHM = 1000
_DIODE_MV = 700
_PERIOD_US = 1000
_SLEW_US = 10
_RINGING_US = 10
_RINGING_MV = 400

_CLOSING_US = 20000
_OPENING_US = 15000
_RAMP_US = 100000  # a vehicle changes its current in ten steps of this
_RAMP_STEPS = 8
_TEST_US = 100000
_LOCK_US = 300000
_OBEY_US = (
    1000000  # a vehicle that obeys opens S2 so long after the offer ended, its current gone before
)


class Plant:
    """`on_event(what, fields, t_us)` hears of `contactor` and `vehicle` changes. `hold_ms`: the
    dead-man's window.
    """

    def __init__(self, seed, on_event, hold_ms=60, phases=1):
        self.now_us = 0
        self.random = Random(seed)
        self.catch_up = (
            None  # called with the time before anything that the sampler could see changes
        )
        self._on_event = on_event
        self._queue = []  # (due us, number, function, argument), soonest last
        self._queued = 0
        self.next_us = 1 << 60  # when the next event is due
        # the vehicle
        self.r_ohm = None
        self.diode = True
        self._wants_ohm = R_B  # what its charger asks for; S2 may be open all the same
        self._draws_ma = None  # None: follows the offer
        self._obeys = True
        self._inhibited = False  # it has answered a stop and waits for PWM
        self._stop_number = 0
        self.plugged = False
        self._restoring = None  # [the resistance that comes back], while `ohms` lasts
        # the pilot
        self.short_ohm = None
        self.permille = 1000
        self._pilot_number = 0
        self.high_mv = _PILOT_MV
        self.low_mv = -_PILOT_MV
        # the contactor
        self.drive = False
        self.closed = False
        self._hold_us = hold_ms * 1000
        self._held_until_us = 0
        self._hold_queued = False
        self._moving = 0
        self.welded = False
        self.fails_to_close = False
        # mains and energy
        self.phases = phases
        self.powered = True  # the controller's supply, and with it the mains
        self.mains_mv = 230000
        self.mains_mhz = 50000
        self.phase_missing = False  # the last one
        self.no_output = False  # a wire behind the closed contactor is off
        self.leak_ma = 0  # flows past the open contactor, unseen by its mirror
        self.tripped = False  # the shunt trip has opened the breaker upstream
        self.current_ma = 0  # in each phase
        self._target_ma = 0
        self._ramp_number = 0
        self._energy_fj = 0  # integral of mV * mA * us, in 1e-12 J
        self._energy_us = 0
        # inputs
        self._word = 0
        self.residual = False  # residual current flows
        self.residual_mute = False  # the sensor does not answer its self-test
        self._residual_test = False
        self.estop = False
        self.door = False
        self.tilt = False
        self.smoke = False
        self.earth_lost = False
        # the rest
        self.temperature_c = 25  # at the contactor; None: the sensor is lost
        self.pp_ohm = None
        self.locked = False
        self.lock_jams = False
        self._lock_number = 0

    # --- time ---

    def at(self, t_us, function, argument=None):
        """Call `function(argument)` when the plant's time reaches `t_us`; what is due at the same
        time keeps its order.
        """
        queue = self._queue
        self._queued += 1
        i = len(queue)
        while i > 0 and queue[i - 1][0] <= t_us:
            i -= 1
        queue.insert(i, (t_us, self._queued, function, argument))
        self.next_us = queue[-1][0]

    def advance(self, t_us):
        """Let time pass until `t_us`."""
        while self.next_us <= t_us:
            due_us, _, function, argument = self._queue.pop()
            self.next_us = self._queue[-1][0] if self._queue else 1 << 60
            if due_us > self.now_us:
                self.now_us = due_us
            function(argument)
        if t_us > self.now_us:
            self.now_us = t_us

    # --- the vehicle ---

    def plug(self, r_ohm=R_B, diode=True, pp_ohm=220):
        """A vehicle's plug goes in; in a socket it brings a cable of `pp_ohm`."""
        self.pp_ohm = pp_ohm
        self.plugged = True
        self._restoring = None
        self.diode = diode
        self._inhibited = False
        self._wants_ohm = r_ohm
        self._set_ohm(r_ohm)

    def unplug(self):
        """The plug comes out, even out of a lock."""
        self.pp_ohm = None
        self.plugged = False
        self._restoring = None
        self._set_ohm(None)
        self.diode = True

    def want(self, r_ohm):
        """The vehicle's charger wants `r_ohm`: R_B to pause, R_C to charge, R_D to charge with
        ventilation.
        """
        if not self.plugged:
            return  # nobody is there to want anything
        self._inhibited = False
        self._restoring = None
        self._wants_ohm = r_ohm
        self._set_ohm(r_ohm)

    def ohms(self, r_ohm, for_us=None):
        """Any resistance behind the diode (None: open), for `for_us` or for good."""
        self._inhibited = False
        if for_us is None:
            self._restoring = None
            self._wants_ohm = r_ohm
        else:
            # One that begins while another lasts ends in what was before both.
            before = self._restoring[0] if self._restoring else self.r_ohm
            self._restoring = [before]
            self.at(self.now_us + for_us, self._restore, self._restoring)
        self._set_ohm(r_ohm)

    def _restore(self, restoring):
        if restoring is self._restoring:
            self._restoring = None
            self._set_ohm(restoring[0])

    def set_diode(self, ok):
        """The vehicle's diode: shorted when not `ok`."""
        self._changing()
        self.diode = ok
        self._levels()

    def draw(self, ma, obey):
        """What the vehicle takes, in mA; None: what is offered; `obey` a stop or not."""
        self._draws_ma = ma
        self._obeys = obey
        self._aim()

    def _set_ohm(self, r_ohm):
        self._changing()
        if r_ohm != self.r_ohm:
            self.r_ohm = r_ohm
            self._on_event("vehicle", {"r_ohm": r_ohm}, self.now_us)
        self._levels()
        self._aim()

    def _asks(self):
        return (
            self.r_ohm is not None and self.r_ohm < 1870
        )  # below the range of state B: S2 is closed

    def _aim(self):
        # The current that the vehicle now goes for, in steps.
        target = 0
        if self.live() and self._asks():
            if self._draws_ma is not None and not (self._obeys and self._inhibited):
                target = self._draws_ma
            elif self.permille < 1000 and not self._inhibited:
                target = self.offered_ma()
            elif not self._obeys:
                target = self.current_ma
        if not self.live() or self.r_ohm is None:
            self._set_current(0)
        if target != self._target_ma:
            self._target_ma = target
            self._ramp_number += 1
            self._ramp((self._ramp_number, _RAMP_STEPS))

    def _ramp(self, argument):
        number, left = argument
        if number != self._ramp_number:
            return
        self._set_current(self.current_ma + (self._target_ma - self.current_ma) // left)
        if left > 1:
            self.at(self.now_us + _RAMP_US, self._ramp, (number, left - 1))

    def _set_current(self, ma):
        self._integrate()
        self.current_ma = ma if self.live() else 0

    def offered_ma(self):
        """What the pilot's duty tells a vehicle (standards facts 1.3), in mA."""
        d = self.permille
        if d < 80 or d > 970:
            return 0
        if d <= 100:
            return 6000
        if d <= 850:
            return d * 60
        return min(d - 640, 320) * 250

    # --- the pilot ---

    def set_permille(self, permille):
        """The pilot's duty, from its next period on."""
        self._pilot_number += 1
        period_us = self.now_us - self.now_us % _PERIOD_US + _PERIOD_US
        self.at(period_us, self._apply_permille, (self._pilot_number, permille))

    def _apply_permille(self, argument):
        number, permille = argument
        if number != self._pilot_number:
            return
        self._changing()
        stopped = self.permille < 1000 <= permille
        resumed = permille < 1000 <= self.permille
        self.permille = permille
        self._stop_number += 1
        if stopped and self._obeys and self._asks():
            self._inhibited = True
            self.at(self.now_us + _OBEY_US, self._open_s2, self._stop_number)
        elif resumed and self._inhibited:
            self.at(self.now_us + _OBEY_US, self._close_s2, self._stop_number)
        self._aim()

    def _open_s2(self, number):
        if number == self._stop_number and self._inhibited and self._asks():
            self._set_ohm(R_B)

    def _close_s2(self, number):
        if number == self._stop_number and self._inhibited and self.r_ohm is not None:
            self._inhibited = False
            self._set_ohm(self._wants_ohm)

    def short(self, ohm, for_us=None):
        """`ohm` from pilot to earth beside the vehicle, for `for_us` or for good; None ends it."""
        self._changing()
        self.short_ohm = ohm
        self._levels()
        if for_us is not None:
            self.at(self.now_us + for_us, self.short, None)

    def _changing(self):
        self._integrate()
        if self.catch_up:
            self.catch_up(self.now_us)

    def _levels(self):
        self.high_mv = self._node_mv(_PILOT_MV if self.powered else 0)
        self.low_mv = self._node_mv(-_PILOT_MV if self.powered else 0)

    def _node_mv(self, source_mv):
        # Kirchhoff at the pilot: the source behind 1 kOhm, the vehicle behind its diode, a short
        # beside it. Scaled by 10^9 to stay in integers.
        g = 10**9 // _SOURCE_OHM
        i = source_mv * g
        if self.short_ohm is not None:
            g += 10**9 // max(self.short_ohm, 1)
        if self.r_ohm is None:
            return i // g
        vehicle = 10**9 // max(self.r_ohm, 1)
        if not self.diode:
            return i // (g + vehicle)
        if i // g <= _DIODE_MV:
            return i // g  # the diode blocks
        return (i + _DIODE_MV * vehicle) // (g + vehicle)

    def pilot_mv(self, t_us):
        """The pilot's voltage at `t_us`, edges and ringing included, noise not; `t_us` not before
        the last event.
        """
        phase = t_us % _PERIOD_US
        if self.permille >= 1000:
            return self.high_mv
        if self.permille <= 0:
            return self.low_mv
        if phase < self.permille:
            since, level, before = phase, self.high_mv, self.low_mv
        else:
            since, level, before = phase - self.permille, self.low_mv, self.high_mv
        if since < _SLEW_US:
            return before + (level - before) * since // _SLEW_US
        if since < _SLEW_US + _RINGING_US:
            return (
                level
                + (_RINGING_MV if since % 4 < 2 else -_RINGING_MV)
                * (_SLEW_US + _RINGING_US - since)
                // _RINGING_US
            )
        return level

    # --- the contactor ---

    def set_drive(self, on):
        """The drive pin."""
        if on != self.drive:
            self.drive = on
            self._trace_contactor()
            self._coil()

    def feed(self):
        """A pulse train at the hold: it stays alive for the dead-man's window."""
        self._held_until_us = self.now_us + self._hold_us
        if not self._hold_queued:
            self._hold_queued = True
            self.at(self._held_until_us, self._hold_due)
            self._coil()

    def _hold_due(self, _):
        if self.now_us < self._held_until_us:
            self.at(self._held_until_us, self._hold_due)
        else:
            self._hold_queued = False
            self._coil()

    def _coil(self):
        # In series: the drive pin, the hold, and the residual-current device, without Python's
        # help.
        self._moving += 1
        on = self.drive and self._hold_queued and not self.residual
        if self.welded:
            on = True
        elif self.fails_to_close:
            on = False
        if on != self.closed:
            self.at(
                self.now_us + (_CLOSING_US if on else _OPENING_US), self._move, (self._moving, on)
            )

    def _move(self, argument):
        number, closed = argument
        if number == self._moving and closed != self.closed:
            self._integrate()
            self.closed = closed
            self._read_inputs()
            self._trace_contactor()
            self._aim()

    def _trace_contactor(self):
        fields = {"command": self.drive, "closed": self.closed, "ma": self.current_ma}
        self._on_event("contactor", fields, self.now_us)

    def weld(self, fault):
        """The contactor's contacts stick together, or come apart again."""
        self.welded = fault
        self._coil()
        if fault and not self.closed:
            self._move((self._moving, True))

    def refuse_to_close(self, fault):
        """The contactor does not close any more, whatever its coil says."""
        self.fails_to_close = fault
        self._coil()

    def shunt_trip(self):
        """The breaker upstream opens, for good."""
        if not self.tripped:
            self.supply(tripped=True)
            self._on_event("shunt_trip", {}, self.now_us)

    # --- mains ---

    def supply(self, **changes):
        """Change what the mains are: mains_mv, mains_mhz, phase_missing, no_output, leak_ma,
        tripped, powered.
        """
        self._integrate()
        for name in changes:
            setattr(self, name, changes[name])
        self._read_inputs()
        self._aim()

    def phase_mv(self, i):
        """The voltage of phase `i` (from 0) before the contactor, in mV."""
        if not self.powered or self.tripped or (self.phase_missing and i == self.phases - 1):
            return 0
        return self.mains_mv

    def phase_ma(self, i):
        """The current in phase `i` (from 0), in mA."""
        return (self.current_ma or self.leak_ma) if self.phase_mv(i) else 0

    def power_mw(self):
        """The active power of all phases, in mW."""
        return self._power() // 1000

    def _power(self):
        # in uW
        power = 0
        ma = self.current_ma or self.leak_ma
        if ma:
            for i in range(self.phases):
                power += self.phase_mv(i) * ma
        return power

    def live(self):
        """Whether there is voltage behind the contactor."""
        return self.closed and not self.no_output and self.phase_mv(0) > 50000

    def power(self, on):
        """Cut the supply of pile and mains, or restore it."""
        self._changing()
        self.supply(powered=on)
        if not on:
            self.drive = False
            self.permille = 1000
            self._pilot_number += 1
            self._held_until_us = self.now_us
            self._coil()
            self._trace_contactor()
        self._levels()

    # --- inputs ---

    def switch(self, name, on):
        """Set `estop`, `door`, `tilt`, `smoke`, `earth_lost` or `residual_mute`."""
        setattr(self, name, on)
        self._read_inputs()

    def set_residual(self, fault):
        """Residual current flows, or no more."""
        self.residual = fault
        self._coil()
        self._read_inputs()

    def test_residual(self, on):
        """The pin of the sensor's self-test; its output follows 100 ms later."""
        self.at(self.now_us + _TEST_US, self._set_test, on)

    def _set_test(self, on):
        self._residual_test = on
        self._read_inputs()

    def inputs(self):
        """The input word of hal.roles.Inputs."""
        return self._word

    def _read_inputs(self):
        word = 1 if self.residual or (self._residual_test and not self.residual_mute) else 0
        if self.estop:
            word |= 2
        if self.earth_lost:
            word |= 4
        if self.closed:
            word |= 24 if self.live() else 16
        if self.door:
            word |= 32
        if self.tilt:
            word |= 64
        if self.smoke:
            word |= 128
        self._word = word

    # --- socket ---

    def lock(self, on):
        """Drive the lock's motor; it takes 300 ms."""
        self._lock_number += 1
        self.at(self.now_us + _LOCK_US, self._lock_moved, (self._lock_number, on))

    def _lock_moved(self, argument):
        number, on = argument
        if number == self._lock_number and not self.lock_jams and on != self.locked:
            self.locked = on
            self._on_event("lock", {"locked": on}, self.now_us)

    # --- energy ---

    def _integrate(self):
        power = self._power()
        if power:
            self._energy_fj += power * (self.now_us - self._energy_us)
        self._energy_us = self.now_us

    def energy_mwh(self):
        """What has flowed since the start, in mWh."""
        self._integrate()
        return self._energy_fj // (3600 * 10**9)

    def energy_mj(self):
        """The same in mJ."""
        self._integrate()
        return self._energy_fj // 10**9
