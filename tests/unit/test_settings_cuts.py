"""Configuration, staged changes and history on one flash, with power cuts at every write of it:
the configuration is the last one or the one that was being kept, and no session is lost or twice.
"""

import json
import sys

import firmware
import firmware.ledger
from firmware import changes, commit, config
from firmware.ledger import durable, events, history, journal, spill
from tests import cuts
from tests.support import Kept


class Wall:
    boot = 1
    is_set = True
    start_ms = 0
    boots = ()


class Pile:
    """What a boot makes of `board`; the contactor is open unless `closed`."""

    def __init__(self, board):
        self.store = board.store
        del config.problems[:]
        self.config = config.merged("config.json", board.store.load, board.store.save)
        self.said = list(config.problems)
        self.closed = False
        self.journal, cells = durable.open(board, 1, lambda: self.closed)
        commits = {10: lambda data: changes.save(self.store, json.loads(data))}
        self.staged = commit.open(self.journal, lambda: self.closed, commits, cells[-1], Wall)

    def run(self):
        for _ in range(2000):
            self.staged.tick(0)
            if self.staged.needs() == self.journal.next:
                break


def _json(**fields):
    return json.dumps(fields).encode()


def _script(rounds):
    def script(recorder, board):
        note = recorder.note
        board.store.save("config.json", _json(station_id="CP-1", root="r0"))
        note(("root", "r0"))
        pile = Pile(board)
        for n in range(1, rounds + 1):
            pile.closed = True
            number = pile.journal.next
            pile.journal.append(b"\x01 an event")
            note(("keeping", n))
            pile.staged.put(10, _json(keepalive_s=10 + n))
            note(("kept", n))
            note(("ending", number))
            dated = (events.DATED, 1, 1780000000000 + n)
            pile.journal.append(events.summary(1, number, None, dated, dated, n, n, "Local"))
            note(("ended", number))
            pile.closed = False
            for _ in range(1100):
                pile.staged.tick(0)
            pile.journal.release(pile.staged.needs())
            for _ in range(5):
                board.now_ms += 1000
                pile.journal.tick(board.now_ms)
            if n % 3 == 0:
                note(("provisioning", "r%d" % n))
                board.store.save("config.json", _json(station_id="CP-1", root="r%d" % n))
                note(("root", "r%d" % n))
                pile = Pile(board)

    return script


def _check(board, pile, notes):
    last = dict(notes)
    assert pile.config["station_id"] == "CP-1"
    assert pile.config["root"] in (last.get("root", "r0"), last.get("provisioning"))
    # a copy that was torn is the flash's business, which here tears none
    assert pile.said == [], pile.said
    pile.run()
    found = Pile(board).config["keepalive_s"]
    kept = last.get("kept", 0)
    assert found in (10 + kept if kept else 30, 10 + last.get("keeping", 0)), (found, kept)
    told = [one["transaction"] for one in history.sessions(board.store, _raise)]
    ended = ["%s-t%d" % (pile.journal.id, number) for what, number in notes if what == "ended"]
    ending = "%s-t%d" % (pile.journal.id, last.get("ending", 0))
    assert told == ended or told == ended + [ending], (told, ended, ending)


def _raise(words):
    raise ValueError(words)


def _boot(board):
    if board.store.load("config.json") is None:  # before it was provisioned
        board.store.save("config.json", _json(station_id="CP-1", root="r0"))
    return Pile(board)


def cut(rounds, nth, told=print):
    """Cut the power; returns how many times."""
    # With littlefs as the current directory nothing can be imported.
    for room, name, module in (
        (firmware, "changes", changes),
        (firmware, "commit", commit),
        (firmware, "config", config),
        (firmware.ledger, "events", events),
        (firmware.ledger, "history", history),
        (firmware.ledger, "spill", spill),
    ):
        sys.modules[room.__name__ + "." + name] = module
        setattr(room, name, module)
    with Kept(config, commit, durable, journal):
        recorder = cuts.Recorder()
        recorder.run(_script(rounds))
        tried = cuts.replay(recorder, _boot, _check, nth, 1, 5)
    told("%d cuts tried, 0 lost" % tried)
    return tried


def test_the_power_is_cut_at_every_write():
    assert cut(6, 20) > 100
