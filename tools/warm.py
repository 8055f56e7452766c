"""Runs one scenario after the other in a single warm process, under MicroPython or CPython.

Reads a job a line from stdin and writes its trace to stdout, then {"what": "done"}. A job is
{"scenario": a checked scenario, "keep": kinds of trace lines or null for all, "watch": whether to
tell the pilot and the current at each change, "cuts": whether to tell the energy at each power cut
and what the ledger knows of it right after the boot that follows, "ledger": whether to tell how
long current flowed outside of a transaction, and at the end which sessions are in flash, "limits":
what every session may take at most (firmware.ledger.session), "progress_ms": how often to tell the
time, 0 for never}.
"""

import json
import sys

from firmware import config as _config
from firmware.ledger.session import Session
from firmware.station import Station
from hal.virtual.board import VirtualBoard


class _Kept:
    # The trace's file: of its lines only those that are wanted go on.
    def __init__(self, kinds):
        self._marks = None if kinds is None else ['"what": "%s"' % kind for kind in kinds]

    def write(self, line):
        if self._marks is None or any(mark in line for mark in self._marks):
            sys.stdout.write(line)

    def flush(self):
        pass


def settings(changes):
    """A complete configuration: the defaults, what `sim` uses, and `changes`."""
    made = {name: field[1] for name, field in _config.FIELDS.items()}
    made.update({"station_id": "CP-1", "broker": "127.0.0.1:1883"})
    made.update(changes)
    return made


def _watch(board):
    # Tell the pilot's levels and the current whenever the plant computes them anew.
    plant = board.plant

    def after(name, what, values):
        inner = getattr(plant, name)
        last = [None]

        def watched(*given):
            inner(*given)
            found = values()
            if found != last[0]:
                last[0] = found
                board.trace.record(what, **found)

        setattr(plant, name, watched)

    after("_levels", "pilot", lambda: {"high_mv": plant.high_mv, "low_mv": plant.low_mv})
    after("_set_current", "current", lambda: {"ma": plant.current_ma})


def _watch_cuts(board):
    # `cut`: the plant's energy; `back`: the first outlet's register, once the pile runs again.
    cut_power = board.cut_power
    plant = board.plant
    cuts = [0]

    def back(number):
        if not plant.powered:  # it is short, and was not noticed yet
            plant.at(plant.now_us + 1000, back, number)
        elif number == cuts[0]:  # else it was cut again in the dark
            board.trace.record("back", mwh=board.station.sessions[0].register.mwh)

    def cut(for_us):
        board.trace.record("cut", mwh=plant.energy_mwh())
        cut_power(for_us)
        cuts[0] += 1
        plant.at(board._dark_until_us + 1, back, cuts[0])

    board.cut_power = cut


def _watch_sessions(board):
    # `outside`: since `ms` current has flowed without a transaction.
    plant = board.plant

    def look(since_ms):
        session = board.station.sessions[0]
        ms = plant.now_us // 1000
        if not plant.current_ma or session.tx or not plant.powered:
            since_ms = ms
        elif ms > since_ms:
            board.trace.record("outside", ms=ms - since_ms)
        plant.at(plant.now_us + 100000, look, since_ms)

    plant.at(100000, look, 0)


def _tell_filed(board):
    # `filed`: the transactions of which flash has a record.
    from firmware.ledger import history

    names = [told["transaction"] for told in history.sessions(board.store, print)]
    board.trace.record("filed", names=names)


def _limited(limits):
    # Session.start, with `limits` for every session.
    start = Session.start

    def limited(session, token, token_type, group=None, remote_id=None, _=None, *more):
        return start(session, token, token_type, group, remote_id, limits, *more)

    Session.start = limited
    return start


def _tell_time(argument):
    plant, every_us = argument
    sys.stdout.write('{"t_us": %d, "what": "progress"}\n' % plant.now_us)
    plant.at(plant.now_us + every_us, _tell_time, argument)


def run(job):
    """Run one job."""
    board = VirtualBoard(job["scenario"], _Kept(job.get("keep")))
    if job.get("watch"):
        _watch(board)
    if job.get("cuts"):
        _watch_cuts(board)
    if job.get("ledger"):
        _watch_sessions(board)
    start = _limited(job["limits"]) if job.get("limits") else Session.start
    station = Station(board, settings(job["scenario"].get("config", {})))
    if job.get("progress_ms"):
        every_us = job["progress_ms"] * 1000
        board.plant.at(every_us, _tell_time, (board.plant, every_us))
    board.run(station)
    Session.start = start
    if job.get("ledger"):
        _tell_filed(board)


def main():
    """Serve jobs until stdin ends."""
    for line in sys.stdin:
        run(json.loads(line))
        sys.stdout.write('{"what": "done"}\n')
        sys.stdout.flush() if hasattr(sys.stdout, "flush") else None
