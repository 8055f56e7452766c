"""boot.py and main.py on register models: outputs first, crash loops, safe mode, the prompt."""

import asyncio
import json
import pathlib
import sys

import pytest

import hal
import hal.mcu
from firmware import config
from firmware.station import Station
from tests.host.fake_rp2040 import Chip, load
from tests.host.test_esp32 import SPEC as ESP32_SPEC
from tests.host.test_esp32 import Chip as Esp32
from tests.host.test_rp2040 import SPEC as RP2040_SPEC

SCRATCH = 0x4005800C
RUNS_MS = 60000


class Rp2040:
    """A pile on an RP2040 whose registers but the scratch are lost at each reset."""

    name, spec = "rp2040", RP2040_SPEC
    scratch = 0

    def boot(self):
        self.chip = Chip()
        self.chip.registers[SCRATCH] = self.scratch
        module = load(self.chip)
        self.modules = self.chip.modules()
        return module

    def reset(self):
        self.scratch = self.chip.registers[SCRATCH]

    def power_up(self):
        self.scratch = 0


class OnEsp32(Rp2040):
    """The same on an ESP32."""

    name, spec = "esp32", ESP32_SPEC
    memory = b""

    def boot(self):
        self.chip = Esp32()
        self.chip.memory = self.memory
        self.modules = {}
        return self.chip.module

    def reset(self):
        self.memory = self.chip.memory

    def power_up(self):
        self.memory = b""


@pytest.fixture(params=[Rp2040, OnEsp32])
def pile(request, tmp_path):
    pile = request.param()
    pile.path = str(tmp_path / "board.json")
    (tmp_path / "board.json").write_text(json.dumps(pile.spec))

    before = dict(sys.modules)

    def boot():
        module = type(pile).boot(pile)
        # What is let go of may be imported again.
        sys.modules.update({**pile.modules, "hal.mcu." + pile.name: module})
        setattr(hal.mcu, pile.name, module)
        hal.boot(pile.path)

    pile.boot_py = boot
    yield pile
    for name in set(sys.modules) - set(before):
        if name in pile.modules:
            del sys.modules[name]
    hal.let_go(["hal.mcu." + pile.name])


def crash(pile, times=1):
    for _ in range(times):
        pile.boot_py()
        hal.start(pile.path)
        pile.reset()


def outlets(pile):
    """How many outlets it comes up with; None: it stays at the prompt."""
    pile.boot_py()
    board = hal.start(pile.path)
    pile.reset()
    return None if board is None else len(board.outlets)


def test_outputs_are_low_before_the_word_is_touched(pile):
    seen = []
    pile.boot_py()
    module = sys.modules["hal.mcu." + pile.name]
    module.make_safe = lambda spec: seen.append("safe")
    module.retained = lambda spec: seen.append("read") or 1
    module.retain = lambda spec, word: seen.append(word)
    hal.boot(pile.path)
    assert seen == ["safe", "read", 2]


def test_five_starts_that_crashed_are_followed_by_safe_mode_and_five_more_by_the_prompt(pile):
    n = len(pile.spec["outlets"])
    for _ in range(hal.SAFE):
        assert outlets(pile) == n
    for _ in range(hal.PROMPT - hal.SAFE):
        assert outlets(pile) == 0
    for _ in range(20):
        assert outlets(pile) is None


def test_power_up_begins_anew(pile):
    crash(pile, hal.SAFE)
    pile.power_up()
    assert outlets(pile) == len(pile.spec["outlets"])


def test_boots_that_stay_at_the_prompt_are_no_crashes(pile):
    for _ in range(20):  # as mpremote's soft resets: boot.py runs, main.py does not
        pile.boot_py()
        pile.reset()
    assert outlets(pile) == len(pile.spec["outlets"])


def run(board, until_ms):
    """Run `board` for that long; asyncio's sleeping takes no time."""

    class Quiet:
        safety_tick = staticmethod(lambda now_ms: None)

        def heartbeats(self):
            return []

        async def main(self):
            for _ in range(0, until_ms, 500):
                await asyncio.sleep_ms(500)

    station = Quiet()
    real = asyncio.sleep_ms

    async def sleep_ms(ms):
        assert ms == 500
        await real(0)

    asyncio.sleep_ms = sleep_ms
    try:
        board.run(station)
    finally:
        asyncio.sleep_ms = real


@pytest.mark.parametrize("lasts_ms", [RUNS_MS - 2000, RUNS_MS + 2000])
def test_a_run_of_60_s_forgets_the_crashes(pile, lasts_ms):
    crash(pile, hal.SAFE - 1)
    pile.boot_py()
    run(hal.start(pile.path), lasts_ms)
    pile.reset()
    assert outlets(pile) == (len(pile.spec["outlets"]) if lasts_ms > RUNS_MS else 0)


def test_safe_mode_lasts_until_a_run_of_60_s(pile):
    crash(pile, hal.SAFE)
    pile.boot_py()
    board = hal.start(pile.path)
    assert board.outlets == [] and board.devices == []
    run(board, RUNS_MS + 2000)
    pile.reset()
    assert outlets(pile) == len(pile.spec["outlets"])


def test_a_reset_for_a_reason_is_no_crash_and_tells_it(pile):
    for _ in range(2 * hal.SAFE):
        pile.boot_py()
        board = hal.start(pile.path)
        board.outlets[0].contactor.drive(True)
        board.reset("RemoteReset")
        assert pile.chip.resets == 1
        assert board.outlets[0].contactor.drive() == 0
        pile.reset()
    pile.boot_py()
    assert hal.start(pile.path).boot_reason == "RemoteReset"
    pile.reset()
    pile.boot_py()  # that one crashed
    pile.chip.cause = 3
    assert hal.start(pile.path).boot_reason == "Watchdog"


@pytest.mark.parametrize(("cause", "reason"), [(1, "PowerUp"), (3, "Watchdog")])
def test_the_reset_s_cause(pile, cause, reason):
    pile.boot_py()
    pile.chip.cause = cause
    board = hal.start(pile.path)
    assert board.boot_reason == reason
    assert board.serial == "E6614864D3778D28"


def test_the_bench_can_keep_it_at_the_prompt_and_let_it_go(pile):
    pile.boot_py()
    hal.retain(pile.path, hal.PROMPT)
    pile.reset()
    assert outlets(pile) is None
    pile.boot_py()
    hal.retain(pile.path, 0)
    pile.reset()
    assert outlets(pile) == len(pile.spec["outlets"])


def configured(pile):
    path = pathlib.Path(pile.path).with_name("config.json")
    path.write_text('{"station_id": "CP-1"}')
    return config.load(str(path))


def test_a_station_without_outlets_runs_but_charges_nobody(pile):
    crash(pile, hal.SAFE)
    pile.boot_py()
    board = hal.start(pile.path)
    station = Station(board, configured(pile))
    for now_ms in range(0, 5000, 20):
        station.safety_tick(now_ms)
        station.tick(now_ms)
    assert station.errors == 0 and station.heartbeats() == []


def test_a_station_with_outlets_runs_on_the_models(pile):
    pile.boot_py()
    board = hal.start(pile.path)
    station = Station(board, configured(pile))
    for now_ms in range(0, 5000, 20):
        station.tick(now_ms)
    assert station.errors == 0 and len(station.heartbeats()) == 2 * len(board.outlets)
