"""Runs in `.venv/pio`: plays feeds to a PIO program and tells the pin's edges, cycle by cycle.

Reads {"opcodes": [word, ...], "runs": [{"feeds": [[cycle, word], ...], "stacked": bool, "until":
cycle}, ...]} as JSON, prints a list with {"edges": [[cycle, level], ...], "fed": [cycle, ...]} for
each run. As the tick does, a feed is given only while the FIFO is empty, unless `stacked`.
"""

import json
import sys
from collections import deque
from dataclasses import replace

from pioemu import State, emulate


def play(opcodes, feeds, until, stacked=False):
    state = State(pin_directions=1)
    level = 0
    edges = []
    fed = []
    for cycle, word in [*feeds, [until, None]]:
        stop_when = lambda _, state, cycle=cycle: state.clock >= cycle  # noqa: E731
        # Instructions are whole: one that began before the feed ends after it.
        for before, after in emulate(opcodes, stop_when=stop_when, initial_state=state):
            state = after
            if state.pin_values & 1 != level:
                level = state.pin_values & 1
                edges.append([before.clock, level])
        if word is not None and (stacked or not state.transmit_fifo):
            fed.append(cycle)
            state = replace(state, transmit_fifo=deque([*state.transmit_fifo, word]))
    return {"edges": edges, "fed": fed}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump([play(asked["opcodes"], **run) for run in asked["runs"]], sys.stdout)
