"""hal/mcu/esp32.py on stand-ins: bursts at every phase, and an RMT that is never looped, never
waited for.
"""

import asyncio
import types
from array import array

import pytest

from hal.virtual.plant import R_B, R_C, R_D, Plant
from tests.host import fake_port
from tests.host.fake_rp2040 import load_port

SPEC = {
    "mcu": "esp32",
    "deadman": {"release_ms": 30},
    "outlets": [
        {
            "max_ma": 63000,
            "pilot": {"pwm": 2, "adc": 34, "zero_mv": -15000, "full_mv": 15000},
            "contactor": {"drive": 10, "hold": 11, "mirror": 12},
            "inputs": {"rcd": 14, "live": 16, "active_low": ["live"]},
        }
    ],
}
NOISE_MV = 30  # the converter's steps of 1 mV are 9 mV at the pilot


class Chip:
    """What the module asks of an ESP32; `read_uv` is what the converter's pin has."""

    def __init__(self):
        chip = self
        self.pins = {}
        self.log = []
        self.timers = []
        self.watchdog = 0
        self.duty = None
        self.read_uv = lambda: 0
        self.busy_until = 0
        self.now_ms = 0
        self.trains = []

        class Pin:
            OUT, IN, PULL_UP = "out", "in", "up"

            def __init__(self, number, mode=None, pull=None, value=None):
                self.number = number
                chip.log.append((number, mode, value))
                if value is not None:
                    chip.pins[number] = value

            def value(self, *level):
                if level:
                    chip.pins[self.number] = int(level[0])
                return chip.pins.get(self.number, 0)

            __call__ = value

            def on(self):
                self.value(1)

        class PWM:
            def __init__(self, pin, freq, duty_u16):
                assert freq == 1000
                self.duty_u16(duty_u16)

            def duty_u16(self, duty):
                assert 0 <= duty <= 65535
                chip.duty = duty

        class ADC:
            ATTN_11DB = 3

            def __init__(self, pin, atten):
                self.read_uv = lambda: chip.read_uv()

        class Timer:
            PERIODIC = 1

            def __init__(self, number, **how):
                assert "hard" not in how  # the port refuses it
                chip.timers.append(how)

            def deinit(self):
                chip.timers.clear()

        class WDT:
            def __init__(self, timeout):
                pass

            def feed(self):
                chip.watchdog += 1

        class RMT:
            # It has no `loop`: asking for one would raise.
            def __init__(self, *, pin, resolution_hz, idle_level):
                assert resolution_hz == 1000000 and not idle_level

            def wait_done(self, timeout=0):
                assert timeout == 0
                return chip.now_ms >= chip.busy_until

            def write_pulses(self, durations, level):
                assert self.wait_done(), "it would block"
                assert level and len(durations) % 2 == 0 and len(durations) // 2 <= 48
                assert all(0 < us <= 32767 for us in durations)
                chip.trains.append((chip.now_ms, sum(durations) // 1000))
                chip.busy_until = chip.now_ms + sum(durations) // 1000

        machine = types.ModuleType("machine")
        esp32 = types.ModuleType("esp32")
        for name, value in fake_port.machine(self).items():
            setattr(machine, name, value)
        for kind in (Pin, PWM, ADC, Timer, WDT):
            setattr(machine, kind.__name__, kind)
        esp32.RMT = RMT
        self.module = load_port("hal.mcu.esp32", {"machine": machine, "esp32": esp32})


def _pilot(chip, plant, read_us):
    def read_uv():
        plant.advance(plant.now_us + read_us())
        return (plant.pilot_mv(plant.now_us) + 15000) * 110

    chip.read_uv = read_uv
    return chip.module.esp32_tick.Pilot(SPEC["outlets"][0]["pilot"])


@pytest.mark.parametrize("read_us", [40, 45, 50, 55, 60])
def test_bursts_read_the_plateaus_at_every_phase_and_speed(read_us):
    chip = Chip()
    window = array("i", [0] * 8)
    for r_ohm in (None, R_B, R_C, R_D, 0):
        for permille in (100, 133, 267, 533, 800):
            for phase in range(0, 1000, 11):
                plant = Plant(1, lambda *_: None)
                plant.plug(r_ohm, True)
                plant.set_permille(permille)
                plant.advance(3000 + phase)
                pilot = _pilot(chip, plant, lambda: read_us)
                pilot.set_permille(permille)
                pilot.sample(window)
                where = (r_ohm, permille, phase, list(window))
                # At 6 A a high phase has 100 us: one in a burst is sure. Else two are.
                assert window[0] >= (1 if permille == 100 else 2) and window[1] >= 2, where
                for i in range(min(window[0], 3)):
                    assert abs(window[2 + i] - plant.high_mv) <= NOISE_MV, where
                for i in range(min(window[1], 3)):
                    assert abs(window[5 + i] - plant.low_mv) <= NOISE_MV, where


def test_readings_that_an_interrupt_delays_are_no_worse():
    chip = Chip()
    window = array("i", [0] * 8)
    plant = Plant(1, lambda *_: None)
    plant.plug(R_C, True)
    plant.set_permille(800)
    reads = iter(range(10**9))
    pilot = _pilot(chip, plant, lambda: 50 + (60 if next(reads) % 7 == 3 else 0))
    pilot.set_permille(800)
    for _ in range(200):
        plant.advance(plant.now_us + 6813)
        pilot.sample(window)
        assert all(abs(mv - plant.high_mv) <= NOISE_MV for mv in window[2:5]), list(window)
        assert all(abs(mv - plant.low_mv) <= NOISE_MV for mv in window[5:]), list(window)


def test_counts_grow_with_each_burst_and_stay_within_30_bits():
    chip = Chip()
    window = array("i", [0] * 8)
    plant = Plant(1, lambda *_: None)
    plant.plug(R_C, True)
    pilot = _pilot(chip, plant, lambda: 50)
    pilot._counts[0] = pilot._counts[1] = (1 << 30) - 3
    for permille in (1000, 533):
        plant.set_permille(permille)
        pilot.set_permille(permille)
        seen = []
        for _ in range(5):
            plant.advance(plant.now_us + 6800)
            pilot.sample(window)
            seen.append((window[0], window[1]))
            assert 0 <= window[0] < 1 << 30 and 0 <= window[1] < 1 << 30
        assert len(set(seen)) == 5


def test_duty():
    chip = Chip()
    pilot = chip.module.esp32_tick.Pilot(SPEC["outlets"][0]["pilot"])
    assert chip.duty == 65535
    for permille in (0, 100, 533, 1000):
        pilot.set_permille(permille)
        assert abs(chip.duty * 1000 - permille * 65536) <= 65536
    assert chip.duty == 65535  # which the port takes for wholly on


def test_the_offer_is_capped_in_words_where_the_diode_cannot_be_proven():
    chip = Chip()
    outlet = chip.module.make(SPEC, "board.json").outlets[0]
    assert outlet.max_ma == 48000 and "diode" in outlet.max_reason
    small = {**SPEC, "outlets": [{**SPEC["outlets"][0], "max_ma": 32000}]}
    outlet = chip.module.make(small, "board.json").outlets[0]
    assert outlet.max_ma == 32000 and outlet.max_reason == ""


def test_the_hold_is_fed_when_idle_never_waited_for():
    chip = Chip()
    contactor = chip.module.make(SPEC, "board.json").outlets[0].contactor
    for chip.now_ms in range(0, 500, 10):
        contactor.feed()
    assert [at for at, _ in chip.trains] == list(range(0, 500, 20))
    chip.now_ms = 503  # a late tick, then none
    contactor.feed()
    last = 503
    bound_ms = chip.module.hold_ms(SPEC)
    assert chip.busy_until - last + SPEC["deadman"]["release_ms"] <= bound_ms <= 60


def test_a_hold_that_outlasts_its_window_is_refused_by_name():
    for deadman, field in (
        ({"release_ms": 41}, "deadman.window_ms"),
        ({"release_ms": 1, "pulses": 41}, "deadman.pulses"),
    ):
        with pytest.raises(ValueError, match="board.json: " + field):
            Chip().module.make({**SPEC, "deadman": deadman}, "board.json")


def test_outputs_are_low_before_anything_else():
    chip = Chip()
    chip.module.make(SPEC, "board.json")
    assert chip.log[:2] == [(10, "out", 0), (11, "out", 0)]


def test_inputs():
    chip = Chip()
    outlet = chip.module.make(SPEC, "board.json").outlets[0]
    chip.pins.update({14: 0, 16: 1, 12: 0})
    assert outlet.inputs.read() == 0
    chip.pins.update({14: 1, 16: 0, 12: 1})
    assert outlet.inputs.read() == 1 + 8 + 16
    assert outlet.contactor.closed()


def test_an_exception_opens_and_ends_the_feeding():
    chip = Chip()
    board = chip.module.make(SPEC, "board.json")

    def tick(now_ms):
        raise MemoryError

    class Station:
        safety_tick = tick

        def heartbeats(self):
            return [0]

        async def main(self):
            board.outlets[0].contactor.drive(True)
            chip.timers[0]["callback"](None)
            assert chip.pins[10] == 0
            await asyncio.sleep_ms(1)

    board.run(Station())
    assert chip.watchdog == 0 and chip.timers == []
