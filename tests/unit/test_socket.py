"""The socket: the cable's resistance through the schematic's divider, and a lock that is driven no
longer than its pulse.
"""

from firmware.outlet.plug import cable_ma
from hal.chips import socket
from hal.virtual.buses import Buses
from hal.virtual.chips import socket as emulation
from hal.virtual.random import Random
from tests.chips import Load

_MASK = (1 << 30) - 1
SPEC = {"chip": "socket", "adc": 27, "up_ohm": 1000, "lock": 10, "unlock": 11, "feedback": 12}
# 5 V through 330 ohm, halved for the converter
DIVIDED = {"supply_mv": 5000, "up_ohm": 330, "top_ohm": 10000, "bottom_ohm": 10000}


class Bench:
    def __init__(self, now_ms=0, **fields):
        spec = dict(SPEC)
        spec.update(fields)
        self.plant = Load()
        self.plant.pp_ohm = None
        self.now_ms = now_ms
        self.chip = emulation.make(self.plant, spec)
        self.moves = []
        self.chip.moved = self.moves.append
        buses = Buses(self.plant)
        buses.pins.update(self.chip.pins)
        self.socket = socket.make(buses, spec)

    def run(self, ms):
        for _ in range(ms // 20):
            self.plant.advance(self.plant.now_us + 20000)
            self.now_ms = (self.now_ms + 20) & _MASK
            self.socket.tick(self.now_ms)

    def ohm(self, pp_ohm):
        self.plant.pp_ohm = pp_ohm
        self.run(60)
        return self.socket.proximity_ohm()


def test_each_cable_is_read_as_what_it_is():
    for fields in (
        {},
        {"up_ohm": 330},
        DIVIDED,
        {"supply_mv": 12000, "up_ohm": 2700, "top_ohm": 33000, "bottom_ohm": 10000},
    ):
        bench = Bench(**fields)
        for ohm in (0, 59, 80, 100, 140, 164, 220, 308, 400, 680, 936, 1100, 1500, 2460, 4600):
            found = bench.ohm(ohm)
            assert abs(found - ohm) <= ohm // 50 + 2, (fields, ohm, found)
        for ohm, ma in (
            (100, 63000),
            (220, 32000),
            (680, 20000),
            (1500, 13000),
            (50, 0),
            (5000, 0),
        ):
            assert cable_ma(bench.ohm(ohm)) == ma
        assert bench.ohm(None) is None
        assert bench.ohm(10**6) is None
        assert bench.ohm(220) is not None


def test_one_wrong_reading_changes_nothing():
    bench = Bench()
    steady = bench.ohm(680)
    for ohm in (None, 0, 100, 5000):
        for _ in range(5):
            bench.plant.pp_ohm = ohm
            bench.run(20)
            assert bench.socket.proximity_ohm() == steady
            bench.plant.pp_ohm = 680
            bench.run(60)
            assert bench.socket.proximity_ohm() == steady


def test_a_silent_converter_is_an_open_pilot_after_a_second():
    bench = Bench(_MASK - 1000)
    assert bench.ohm(220) is not None
    bench.chip.silent = True
    bench.run(960)
    assert bench.socket.proximity_ohm() is not None
    bench.run(40)
    assert bench.socket.proximity_ohm() is None
    bench.chip.silent = False
    bench.run(40)
    assert bench.socket.proximity_ohm() is None
    bench.run(20)
    assert abs(bench.socket.proximity_ohm() - 220) < 5


def test_the_lock_goes_out_and_in_and_says_so():
    for level in (0, 1):
        bench = Bench(_MASK - 700, locked=level)
        assert not bench.socket.locked()
        for on in (True, False, True):
            bench.socket.lock(on)
            # the contact closes at the end of the way, and opens at its beginning
            bench.run(340 if on else 60)
            assert bench.socket.locked() is not on
            bench.run(40)
            assert bench.socket.locked() is on
            bench.run(1000)
            assert bench.socket.locked() is on
        assert bench.moves == [True, False, True]
        assert bench.chip.driven_us == 600000
        assert not bench.chip.shorted


def test_the_pulse_is_bounded_whatever_is_asked():
    for pulse_ms in (50, 300, 900):
        bench = Bench(pulse_ms=pulse_ms)
        bench.chip.jam = True
        for _ in range(10):
            bench.socket.lock(True)
            for _ in range(50):
                bench.run(20)
                if bench.now_ms % 100 == 0 and bench.now_ms % 1000 < pulse_ms - 20:
                    bench.socket.lock(True)  # within a pulse: it does not begin anew
        assert pulse_ms * 1000 <= bench.chip.driven_us <= pulse_ms * 1000 + 20000
        assert not bench.socket.locked()
        bench.chip.jam = False
        bench.socket.lock(True)
        bench.run(1000)
        assert bench.socket.locked() is (pulse_ms >= 300)


def test_both_sides_of_the_bridge_are_never_on_at_once():
    bench = Bench()
    random = Random(6)
    for _ in range(2000):
        bench.socket.lock(random.below(2))
        if random.below(3):
            bench.socket.lock(random.below(2))
        bench.run(20 * random.below(8))
        assert not bench.chip.shorted
        assert bench.chip.driven_us <= 600000
    bench.run(1000)
    assert bench.chip._on == [0, 0]


def test_turning_round_in_the_middle_ends_where_it_was_told_last():
    bench = Bench()
    bench.socket.lock(True)
    bench.run(160)
    bench.socket.lock(False)
    bench.run(1000)
    assert not bench.socket.locked() and bench.chip.at_us == 0
    assert bench.moves == []


def test_a_jam_and_a_stuck_contact_are_seen_at_the_feedback():
    bench = Bench()
    bench.chip.jam = True
    bench.socket.lock(True)
    bench.run(2000)
    assert not bench.socket.locked()
    bench = Bench()
    bench.chip.stuck = 0
    bench.run(60)
    assert bench.socket.locked()
    bench.socket.lock(False)
    bench.run(2000)
    assert bench.socket.locked()


def test_a_chattering_contact_changes_nothing():
    bench = Bench()
    bench.socket.lock(True)
    bench.run(1000)
    for i in range(100):
        bench.chip.stuck = 1 if i % 3 else 0
        bench.run(20)
        assert bench.socket.locked()
    bench.chip.stuck = 1
    bench.run(60)
    assert not bench.socket.locked()


def test_fuzzed_it_never_raises(n=3000, seed=1):
    bench = Bench(**DIVIDED)
    random = Random(seed)

    class Liar:
        lies = 0

        def read_mv(self):
            self.lies += 1
            kind = random.below(4)
            if kind == 0:
                raise OSError(5)
            return (-random.below(9000), random.below(5000), random.below(1 << 16))[kind - 1]

    liar = bench.socket._adc = Liar()
    while liar.lies < n:
        bench.run(20)
        ohm = bench.socket.proximity_ohm()
        assert ohm is None or 0 <= ohm < 20000
    bench.socket._adc = bench.chip
    assert abs(bench.ohm(220) - 220) < 8


def test_nonsense_is_named():
    for fields, field in (
        ({"up_ohm": None}, "up_ohm"),
        ({"up_ohm": 10}, "up_ohm"),
        ({"supply_mv": 3}, "supply_mv"),
        ({"top_ohm": 10000}, "bottom_ohm"),
        ({"bottom_ohm": 10000}, "bottom_ohm"),
        ({"pulse_ms": 1000}, "pulse_ms"),
        ({"locked": True}, "locked"),
    ):
        try:
            Bench(**fields)
        except ValueError as error:
            assert str(error).startswith(field + ": expected"), error
        else:
            raise AssertionError(field)
