"""Charging profiles with power cuts at every write of their changes: those hold that were kept,
and at most the change that was being kept beside them.
"""

import sys

import firmware
from firmware import commit
from firmware.energy import profile, profiles
from firmware.ledger import durable, journal, spill
from tests import cuts
from tests.support import Kept

composite = profile.composite


class Wall:
    boot = 1
    is_set = False
    uptime_ms = start_ms = 0
    boots = ()


class Backend:
    ready = False


class Station:
    """What Profiles needs of one without an outlet, on `board`; a contactor is open unless
    `closed`.
    """

    wall = Wall
    backend = Backend
    sessions = ()
    profiles = None
    config = {"fallback_a": 6, "after_power_cut": "end"}

    def __init__(self, board):
        self.board = self
        self.store = board.store
        self.log = self
        self.services = []
        self.said = []
        self.closed = False
        self.journal, cells = durable.open(board, 1, lambda: self.closed)
        self.staged = commit.open(self.journal, lambda: self.closed, {}, cells[-1], Wall)
        waiting = []
        for number in range(self.staged.needs(), self.journal.next):
            record = self.journal.read(number)
            if record and record[:2] == bytes((6, profiles.CHANGES)):
                waiting.append(record[2:])
        self.found = profiles.Profiles(self)
        self.found.restore(waiting)

    def record(self, what, **fields):
        if what == "error":
            self.said.append(fields)

    def run(self):
        """Do what waits, with every contactor open."""
        self.closed = False
        for _ in range(3000):
            self.staged.tick(0)
            if self.staged.needs() == self.journal.next:
                break


def _profile(number, amps):
    return profile.check({
        "id": number,
        "stackLevel": number,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [{
            "id": 1,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
        }],
    }, 0)  # fmt: skip


def _script(rounds):
    def script(recorder, board):
        note = recorder.note
        note(("kept", ()))
        station = Station(board)
        for n in range(1, rounds + 1):
            for closed, gone, amps in ((True, [], n), (True, [n - 1], None), (False, [], n + 30)):
                station.closed = closed
                data = _profile(n, amps) if amps else None
                after = tuple(profiles._changed(station.found.kept, gone, data))
                note(("keeping", after))
                station.found.change(composite, gone, data)
                note(("kept", after))
            station.run()
            station.journal.release(station.staged.needs())

    return script


def _check(board, station, notes):
    last = dict(notes)
    assert station.said == [], station.said
    found = tuple(station.found.kept)
    assert found in (last["kept"], last.get("keeping")), (found, last)
    station.run()
    assert not station.found.waiting
    assert tuple(profiles.load(board.store)) == tuple(station.found.kept) == found


def cut(rounds, nth, told=print):
    """Cut the power; returns how many times."""
    # With littlefs as the current directory nothing can be imported.
    sys.modules["firmware.commit"] = commit
    firmware.commit = commit
    sys.modules["firmware.ledger.spill"] = spill
    borrows = profiles.borrow
    profiles.borrow = lambda name: composite
    try:
        with Kept(commit, durable, journal):
            recorder = cuts.Recorder()
            recorder.run(_script(rounds))
            tried = cuts.replay(recorder, Station, _check, nth, 1, 5)
    finally:
        profiles.borrow = borrows
    told("%d cuts tried, 0 lost" % tried)
    return tried


def test_the_power_is_cut_at_every_write():
    assert cut(4, 10) > 100
