"""What the safety core's tick costs, in empty ticks: the stand-in for a board that runs anywhere.

`measure` starts MicroPython on this very module, which times both in turns.
"""

import gc
import time

_TURNS = 300
_TICKS = 200  # 400 ms: the outlet's lease lasts that long
_MASK = 0x3FFFFFFF


class _Empty:
    def tick(self, now_ms):
        pass


class _Steady:
    # New samples of a charging vehicle at each tick, as cheap as Python can give them: what a
    # sampler takes is its own cost.
    def sample(self, window):
        window[0] = (window[0] + 2) & _MASK
        window[1] = (window[1] + 2) & _MASK


def _time_us(tick, now_ms):
    began = time.ticks_us()
    for _ in range(_TICKS):
        now_ms = (now_ms + 2) & _MASK
        tick(now_ms)
    return time.ticks_diff(time.ticks_us(), began)


def on_micropython():
    """Prints the ratio for a core that charges."""
    from firmware.safety.core import DRIVE
    from tests.rig import Rig

    rig = Rig()
    rig.charge()
    rig.core._sample = _Steady().sample
    empty = _Empty()
    empty_us = tick_us = 1 << 30
    for _ in range(_TURNS):
        rig.outlet.tick(rig.now_ms)
        gc.collect()
        empty_us = min(empty_us, _time_us(empty.tick, rig.now_ms))
        tick_us = min(tick_us, _time_us(rig.core.tick, rig.now_ms))
        rig.now_ms = (rig.now_ms + 2 * _TICKS) & _MASK
        if not rig.cells[DRIVE]:
            raise RuntimeError("the core no longer charges: what was timed is not its usual tick")
    print(tick_us / empty_us)


def measure(micropython):
    """{"empty_ticks": a tick's time in empty ticks}; `micropython` is the interpreter's path."""
    import os
    import pathlib
    import subprocess

    repo = pathlib.Path(__file__).resolve().parents[1]
    told = subprocess.run(
        [micropython, "-c", "from tools.bench_tick import on_micropython as go; go()"],
        cwd=repo,
        env=dict(os.environ, MICROPYPATH="%s:.frozen" % repo),
        check=True,
        capture_output=True,
        text=True,
    )
    return {"empty_ticks": round(float(told.stdout), 1)}
