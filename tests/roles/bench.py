"""What a contract is handed: the board, time, and hands. Runs on the board itself."""

import sys
import time
from array import array

HALF = 1 << 29
MASK = (1 << 30) - 1

# What the vehicle's simulator is set to, and the plateau that the pilot must show (IEC 61851-1
# annex A) and how far it may be off.
VEHICLE = {
    "A": ("unplug the vehicle simulator", None, 12000),
    "B": ("plug the vehicle simulator in, state B: diode and 2.74 kOhm", 2740, 9000),
    "C": ("set the vehicle simulator to state C: diode and 882 Ohm", 882, 6000),
    "D": ("set the vehicle simulator to state D: diode and 246 Ohm", 246, 3000),
}


class Bench:
    """A real board under test: timer, watchdog and chips go on while a contract waits."""

    def __init__(self, board, hands=True):
        self.board = board
        self.outlets = board.outlets
        self.hands = hands  # whether somebody is there to do what is asked for
        self.feeding = False  # whether the contactors' holds are fed
        self.windows = []
        self._samples = []
        self._feeds = []
        self._main_ms = 0
        for place in board.outlets:
            window = array("i", [0] * 8)
            self.windows.append(window)
            self._samples.append((place.pilot.sample, window))
            self._feeds.append(place.contactor.feed)
        self._begin()

    def _begin(self):
        self._watch = self.board.start(self.tick)

    def end(self):
        """Leave the board as it is safe."""
        self.feeding = False
        for place in self.outlets:
            place.contactor.drive(False)
            place.pilot.set_permille(1000)
        self._stop()

    def _stop(self):
        self.board.stop()

    def tick(self, now_ms):
        """What the safety core would do; allocates nothing."""
        for sample, window in self._samples:
            sample(window)
        if self.feeding:
            for feed in self._feeds:
                feed()

    def now_ms(self):
        """The board's clock."""
        return self.board.clock.ticks_ms()

    def wait(self, ms):
        """Let `ms` pass; chips are ticked every 20 ms."""
        begin = self.now_ms()
        while self.since(begin) < ms:
            now_ms = self.now_ms()
            if self.since(self._main_ms) >= 20:
                self._main_ms = now_ms
                self._watch()
                for device in self.board.devices:
                    device.tick(now_ms)
            self._pass()

    def _pass(self):
        time.sleep_ms(1)

    def since(self, begin):
        """Milliseconds since `begin`, a value of now_ms."""
        return (((self.now_ms() - begin) & MASK) ^ HALF) - HALF

    def until(self, condition, most_ms, what):
        """How many ms it takes until `condition()`; fails with `what` after `most_ms`."""
        begin = self.now_ms()
        while not condition():
            self.expect(self.since(begin) <= most_ms, "%s within %d ms" % (what, most_ms), "not")
            self.wait(1)
        return self.since(begin)

    def note(self, what, value):
        """A finding for the report."""
        print("=%s: %s" % (what, value))

    def expect(self, holds, expected, found):
        """Fails, in words, unless `holds`."""
        if not holds:
            raise AssertionError("expected %s, found %s" % (expected, found))

    def between(self, what, least, value, most):
        """Note `value`, and fail unless it is within the bounds."""
        self.note(what, value)
        self.expect(least <= value <= most, "%s from %d to %d" % (what, least, most), value)

    def ask(self, text):
        """Have a technician do something; whether it was done."""
        if not self.hands:
            self.note("not tried", "needs hands: " + text)
            return False
        print("?" + text)
        import select

        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN)
        while not poll.poll(0):
            self.wait(20)
        return sys.stdin.readline().strip() != "no"

    def vehicle(self, letter, place):
        """Bring the vehicle at the outlet `place` to "A" ... "D"; whether that was done."""
        return self.ask("outlet %d: %s" % (self.outlets.index(place) + 1, VEHICLE[letter][0]))

    def closing(self, place):
        """Whether the contactor may be closed now."""
        return self.ask(
            "outlet %d: the contactor is about to close; is nothing plugged in?"
            % (self.outlets.index(place) + 1)
        )

    def card(self):
        """Have a card presented; whether that was done."""
        return self.ask("hold a card to the reader, and keep it there")


class VirtualBench(Bench):
    """A virtual board: time is what the plant is told, hands are the scenario's steps."""

    def _begin(self):
        self._due_us = self._main_us = 0

    def _stop(self):
        pass

    def now_ms(self):
        return self.board.ticks_ms()

    def wait(self, ms):
        board = self.board
        until_us = board.plant.now_us + ms * 1000
        while board.plant.now_us < until_us:
            now_us = min(self._due_us, until_us)
            for place in board.outlets:
                place.plant.advance(now_us)
            if now_us < self._due_us:
                continue
            self._due_us += 2000
            self.tick(self.now_ms())
            if now_us >= self._main_us:
                self._main_us = now_us + 20000
                for device in board.devices:
                    device.tick(self.now_ms())

    def do(self, place, name, **fields):
        """A step of a scenario, now."""
        from hal.virtual import scenario

        fields["do"] = name
        scenario._do((self.board, place, fields))

    def ask(self, text):
        return True

    def vehicle(self, letter, place):
        ohm = VEHICLE[letter][1]
        if ohm is None:
            self.do(place, "unplug")
        else:
            self.do(place, "plug", r_ohm=ohm)
        return True

    def card(self):
        self.do(self.outlets[0], "card", uid="04A1B2C3D4E5F6")
        return True


def bench(board, hands=True):
    """The bench for `board`, virtual or real."""
    return (VirtualBench if hasattr(board, "plant") else Bench)(board, hands)


def attempt(name, contract, made):
    """Run one contract and print how it went."""
    try:
        contract(made)
        print("!" + name, "ok")
    except AssertionError as error:
        print("!" + name, "failed", error)
    except Exception as error:
        print("!" + name, "failed", repr(error))
    made.end()
