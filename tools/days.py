"""A pile that sells for days on end, in virtual time with stretched ticks: what its backend hears
against what the plant gave. `tools/soak.py days` runs it under MicroPython.

Fifty sessions a day, power cuts, a line that is gone for up to three hours, a backend that does
not answer while the broker does, a date that jumps. Judged is what the backend can know: it drops
what it has already had, and adds up what the transactions tell.

- Each transaction has one Started, first, and one Ended, last, and every seqNo between.
- Its energies never fall.
- The sum of them is the plant's integral, but for the chip's resolution at both ends of a session
  and for what a power cut may cost: KEPT_S of the power that flowed.
- Nothing is written to flash while a contactor is closed; there is no fault and no error.
- At the end the heap holds no more than after the first day, within HEAP_BYTES.

`tools/soak.py offline` lives through a day without a line: all of it must come afterwards, each
message behind those before it, and the heap stays as it was.
"""

import gc
import json
import sys

DAY_MS = 86400000
HOUR_MS = 3600000
SESSIONS = 50
TICK_MS = 200  # a main loop's turn, too: those are 20 ms on a board
RESOLUTION_MWH = 1500  # of the virtual board's BL0942: a count, see hal/chips/bl0942.py
KEPT_S = 10  # as often what flows is durable, see firmware/ledger/session.py
HEAP_BYTES = 4096  # what waits to be written, or is imported just then, differs by as much
CARD = "04A1B2C3D4E5F6"
CONFIG = {"sample_interval_s": 300, "min_pause_s": 0}


class Backend:
    """The trace's file, and who reads it: keeps sums, and of transactions only those that run."""

    def __init__(self):
        self.open = {}  # transaction: [next seqNo, register at its start, register last, boots]
        self.ended = 0
        self.mwh = 0
        self.cuts = 0
        self.cut_mwh = 0  # what power cuts may have cost
        # Of transactions that have ended, the newest: the last seqNo. As many from the beginning
        # on, for the heap is watched.
        self.order = ["none-%d" % i for i in range(2 * SESSIONS)]
        self.last = dict.fromkeys(self.order, 0)
        self.orderly = False  # whether they are to come in the order of their numbers
        self.newest = 0  # number of the newest record that was told
        self.told = bytearray(1 << 13)  # a bit for each number
        self.wrong = []
        self.written = {}

    def write(self, line):
        """Take note of one line of the trace."""
        if '"what": "uplink"' in line:
            if '"TransactionEvent"' in line:
                message = json.loads(line)["message"]
                number = int(message[1].split("-")[-1])
                at = number >> 3 & len(self.told) - 1
                bit = 1 << (number & 7)
                if self.orderly and number < self.newest and not self.told[at] & bit:
                    self._say("record %d told after %d" % (number, self.newest))
                self.told[at] |= bit
                self.newest = max(self.newest, number)
                self._heard(message[3])
        elif '"what": "write"' in line:
            fields = json.loads(line)
            medium = fields["medium"]
            self.written[medium] = self.written.get(medium, 0) + 1
            if medium == "flash" and fields["closed"]:
                self._say("flash written while closed: %s" % line)
        elif '"what": "fault"' in line or '"what": "error"' in line:
            if "PowerLoss" not in line:
                self._say(line)

    def flush(self):
        """As a file."""

    def _say(self, words):
        if len(self.wrong) < 20:
            self.wrong.append(words)

    def _heard(self, event):
        name = event["transactionInfo"]["transactionId"]
        seq = event["seqNo"]
        if name in self.last:
            if seq > self.last[name]:
                self._say("%s: %d after its end" % (name, seq))
            return
        one = self.open.get(name)
        if one is None:
            if seq or event["eventType"] != "Started":
                self._say("%s begins with %s %d" % (name, event["eventType"], seq))
            one = self.open[name] = [0, None, None]
        if seq < one[0]:
            return  # had before
        if seq > one[0]:
            self._say("%s: seqNo %d, expected %d" % (name, seq, one[0]))
        one[0] = seq + 1
        for values in event.get("meterValue", ()):
            for sample in values["sampledValue"]:
                if sample["measurand"] == "Energy.Active.Import.Register":
                    self._energy(name, one, sample["value"])
        if event["eventType"] == "Ended":
            self.ended += 1
            if one[1] is not None:
                self.mwh += one[2] - one[1]
            del self.open[name]
            self.last[name] = seq
            self.order.append(name)
            del self.last[self.order.pop(0)]

    def _energy(self, name, one, wh):
        mwh = int(wh * 1000 + 0.5)
        if one[1] is None:
            one[1] = one[2] = mwh
        if mwh < one[2]:
            self._say("%s: energy fell from %d to %d mWh" % (name, one[2], mwh))
        one[2] = mwh


def day(random, at_ms, day_ms, sessions):
    """The steps of the day that begins at `at_ms`."""
    steps = []

    def add(ms, do, **fields):
        fields["at_ms"] = at_ms + ms
        fields["do"] = do
        steps.append(fields)

    def some_ms(most):
        return random.below(most // 1000) * 1000

    slot_ms = day_ms // sessions
    for i in range(sessions):
        begin = i * slot_ms + 1000 + some_ms(120000)
        length = 300000 + some_ms(1000000)
        add(begin, "plug")
        add(begin + 2000 + some_ms(5000), "card", uid=CARD)
        add(begin + 10000, "ready")
        if random.below(4) == 0:
            add(begin + length // 3, "pause")
            add(begin + length // 2, "ready")
        add(begin + length, "unplug")
    for _ in range(3):
        add(some_ms(day_ms - 400000), "power", for_ms=1000 + some_ms(60000))
    for _ in range(2):
        gone_ms = some_ms(day_ms * 4 // 5)
        add(gone_ms, "link", up=False)
        add(gone_ms + 60000 + some_ms(day_ms // 8), "link", up=True)
    mute_ms = some_ms(day_ms * 4 // 5)
    add(mute_ms, "mute")
    add(mute_ms + day_ms // 144, "mute", fault=False)
    if random.below(3) == 0:
        add(some_ms(day_ms), "clock", jump_s=random.below(7200) - 3600)
    # The day ends as it began: with a line, and nobody there.
    add(day_ms - 300000, "link", up=True)
    steps.sort(key=lambda step: step["at_ms"])
    return steps


def _board(backend, until_ms, seed):
    """A virtual board whose power cuts `backend` counts."""
    from hal.virtual.board import VirtualBoard

    board = VirtualBoard(
        {"until_ms": until_ms, "steps": [], "tick_ms": TICK_MS, "seed": seed}, backend
    )

    def cut(for_us):
        backend.cuts += 1
        backend.cut_mwh += board.plant.power_mw() * KEPT_S // 3600
        cut_power(for_us)

    cut_power = board.cut_power
    board.cut_power = cut
    return board


def _plan(board, steps):
    from hal.virtual import scenario

    def do(step):
        scenario._do((board, board.places[0], step))

    for step in steps:
        board.plant.at(step["at_ms"] * 1000, do, step)


def _heap(board):
    gc.collect()
    # The virtual board's flash is in the heap, too.
    return gc.mem_alloc() - sum([len(board.store.load(name)) for name in board.store.names("")])


def _live(board, backend):
    """Live to the end, and judge what was told; returns what was found as a dict."""
    from firmware import config as fields
    from firmware.station import Station

    made = {name: field[1] for name, field in fields.FIELDS.items()}
    made.update({"station_id": "CP-1", "broker": "127.0.0.1:1883"})
    made.update(CONFIG)
    board.run(Station(board, made))
    plant_mwh = board.plant.energy_mwh()
    allowed = backend.cut_mwh + 2 * RESOLUTION_MWH * (backend.ended + backend.cuts)
    if abs(plant_mwh - backend.mwh) > allowed:
        backend._say(
            "%d mWh told, %d given, at most %d between them expected"
            % (backend.mwh, plant_mwh, allowed)
        )
    if backend.open:
        backend._say("%d transactions never ended" % len(backend.open))
    return {
        "transactions": backend.ended,
        "cuts": backend.cuts,
        "plant_mwh": plant_mwh,
        "told_mwh": backend.mwh,
        "allowed_mwh": allowed,
        "writes": backend.written,
        "wrong": backend.wrong,
    }


def run(days, seed, day_ms=DAY_MS, sessions=SESSIONS):
    """Live so many days, of `day_ms` with so many sessions each, and print a line on each; returns
    what was found as a dict.
    """
    from hal.virtual.random import Random

    backend = Backend()
    random = Random(seed)
    board = _board(backend, days * day_ms, seed)
    heaps = []

    def begin(number):
        _plan(board, day(random, number * day_ms, day_ms, sessions))
        if number + 1 < days:
            board.plant.at((number + 1) * day_ms * 1000, begin, number + 1)
        board.plant.at(((number + 1) * day_ms - 1000) * 1000, end, number + 1)

    def end(number):
        heaps.append(_heap(board))
        print(
            "day %d: %d transactions, %.3f kWh of %.3f, heap %d, %s"
            % (
                number,
                backend.ended,
                backend.mwh / 1e6,
                board.plant.energy_mwh() / 1e6,
                heaps[-1],
                "; ".join(backend.wrong) or "nothing wrong",
            )
        )

    begin(0)
    found = _live(board, backend)
    if heaps[-1] - heaps[0] > HEAP_BYTES:
        backend._say("heap: %d bytes after the first day, %d at the end" % (heaps[0], heaps[-1]))
    found["days"] = days
    found["heap_bytes"] = heaps
    return found


def offline(seed, day_ms=DAY_MS, sessions=SESSIONS, cuts=True):
    """Live a day of which all but the first session is without a line, with power `cuts`, and then
    an hour with one; returns what was found as a dict.
    """
    from hal.virtual.random import Random

    backend = Backend()
    backend.orderly = True
    steps = [
        step
        for step in day(Random(seed), 0, day_ms, sessions)
        if step["do"] not in ("link", "mute", "clock") and (cuts or step["do"] != "power")
    ]
    gone_ms = day_ms // sessions  # a card is known from the first session on
    steps.append({"at_ms": gone_ms, "do": "link", "up": False})
    for at_ms in (300, 700):  # a first boot needs less heap
        steps.append({"at_ms": at_ms, "do": "power", "for_ms": 100})
    steps.append({"at_ms": day_ms, "do": "link", "up": True})
    board = _board(backend, day_ms + HOUR_MS, seed)
    plant = board.plant
    heaps = []
    files = []
    drained = []

    def look(at_ms):
        heaps.append(_heap(board))
        files.append(len([name for name in board.store.names("") if name.startswith("j")]))
        print("hour %.1f without a line: heap %d, %d files of the journal in flash, %d needed"
              % ((at_ms - gone_ms) / HOUR_MS, heaps[-1], files[-1], owed()))

    def owed():
        journal = board.station.journal
        return journal.next - journal.first

    def watch(at_ms):
        if not board.station.backend.outbox.owes:
            drained.append((at_ms - day_ms) // 1000)
        else:
            plant.at((at_ms + 1000) * 1000, watch, at_ms + 1000)

    _plan(board, steps)
    looks = 8
    for i in range(looks):
        # Where nobody is plugged in, at the end of a slot.
        at_ms = (1 + i * (sessions - 1) // looks) * gone_ms + gone_ms - 1000
        plant.at(at_ms * 1000, look, at_ms)
    plant.at((day_ms + 1000) * 1000, watch, day_ms + 1000)
    found = _live(board, backend)
    if backend.ended < sessions:
        backend._say("%d transactions, expected at least %d" % (backend.ended, sessions))
    if not drained:
        backend._say("not drained within the hour")
    if max(heaps) - heaps[0] > HEAP_BYTES:
        backend._say("heap: %d bytes at first, %d at most" % (heaps[0], max(heaps)))
    found["heap_bytes"] = heaps
    found["files"] = files
    found["records"] = backend.newest
    found["drained_s"] = drained
    return found


def main(*args, what=run):
    """`run` or `offline`, and the result as the last line; ends with exit code 1 where something
    was wrong.
    """
    found = what(*args)
    print(json.dumps(found))
    sys.exit(1 if found["wrong"] else 0)
