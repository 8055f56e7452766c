"""The MCP2515: bit timing, two controllers on one bus, filters, errors, and what is no chip."""

from hal.chips import mcp2515
from hal.chips.mcp2515 import CAN
from hal.virtual.can import CanBus, Node
from hal.virtual.chips.mcp2515 import Mcp2515
from hal.virtual.random import Random
from tests.chips import NEVER_MS, Buses, Load, LyingSpi

_MASK = (1 << 30) - 1
EXT = CAN.FLAG_EXT_ID
SPEC = {"chip": "mcp2515", "spi": 0, "cs": 5, "osc_hz": 8000000, "bitrate": 250000}


class Slow:
    """A controller's SPI: every byte takes a microsecond of the plant's time, and every transfer
    40 us of Python.
    """

    def __init__(self, chip, plant):
        self._chip = chip
        self._plant = plant
        self.bytes = 0

    def select(self, level):
        self._chip.select(level)
        self._plant.advance(self._plant.now_us + 20)

    def write(self, out):
        self.bytes += len(out)
        self._plant.advance(self._plant.now_us + len(out))
        self._chip.write(out)

    def write_readinto(self, out, into):
        self.bytes += len(out)
        self._plant.advance(self._plant.now_us + len(out))
        self._chip.write_readinto(out, into)


class Bench:
    """Controllers with their drivers on one bus."""

    def __init__(self, n=2, now_ms=0, join=True, wrap=None, **fields):
        self.plant = Load()
        self.bus = CanBus(self.plant, 250000)
        self.now_ms = now_ms
        spec = dict(SPEC)
        spec.update(fields)
        self.chips = [Mcp2515(self.plant, self.bus, spec["osc_hz"]) for _ in range(n)]
        wires = [wrap(chip) if wrap else Slow(chip, self.plant) for chip in self.chips]
        self.wires = wires
        self.cans = [mcp2515.make(Buses(wire), spec) for wire in wires]
        for can in self.cans:
            can.set_filters(None)
        if join:
            self.run(100)
            assert [can.state() for can in self.cans] == [CAN.STATE_ACTIVE] * n

    def run(self, ms):
        for _ in range(ms // 20):
            self.plant.advance(self.plant.now_us + 20000)
            self.now_ms = (self.now_ms + 20) & _MASK
            for can in self.cans:
                can.tick(self.now_ms)

    def creep(self, ms):
        """The same, with polls every millisecond."""
        for _ in range(ms):
            self.plant.advance(self.plant.now_us + 1000)
            for can in self.cans:
                can.poll()


def _frames(can):
    found = []
    while True:
        frame = can.recv()
        if frame is None:
            return found
        found.append((frame[0], bytes(frame[1]), frame[2], frame[3]))


def _refused(function, *args):
    try:
        function(*args)
    except ValueError as error:
        return str(error)
    raise AssertionError(args)


# --- bit timing ---


def test_the_bit_timing_is_exact_for_the_crystals_in_use():
    for osc_hz in (8000000, 16000000, 20000000, 12000000, 24000000):
        for bitrate in (50000, 125000, 250000, 500000):
            prescaler, one, two = mcp2515.timing(osc_hz, bitrate)
            assert osc_hz == 2 * prescaler * (1 + one + two) * bitrate
            assert 1 <= prescaler <= 64 and 2 <= two <= 8 and two <= one <= 16
            assert 700 <= (1 + one) * 1000 // (1 + one + two) <= 800, (osc_hz, bitrate)
    assert mcp2515.timing(16000000, 1000000) == (1, 5, 2)
    assert mcp2515.timing(8000000, 250000) == (1, 11, 4)
    assert mcp2515.timing(8000000, 250000, 87) == (1, 13, 2)
    # the datasheet's example (5.3): 20 MHz, 125 kbit/s, sampled at 10 of 16 quanta
    assert mcp2515.timing(20000000, 125000, 75, 1, 9, 6) == (5, 9, 6)
    assert "bitrate" in _refused(mcp2515.timing, 8000000, 1000000)
    assert "bitrate" in _refused(mcp2515.timing, 8000000, 33333)
    assert "bitrate" in _refused(mcp2515.timing, 8000000, 250000, 75, 4, 11, 4)


def test_the_registers_say_the_same():
    for osc_hz in (8000000, 16000000, 20000000):
        for bitrate in (125000, 250000, 500000):
            bench = Bench(1, osc_hz=osc_hz, bitrate=bitrate)
            assert bench.chips[0].bitrate() == bitrate
            assert bench.cans[0].get_timings()[0] == bitrate
    bench = Bench(1, osc_hz=20000000)
    bench.cans[0].init(125000, tseg1=9, tseg2=6)
    bench.run(100)
    chip = bench.chips[0]
    assert chip.bitrate() == 125000
    assert chip.registers[0x2A] == 4 and chip.registers[0x28] == 5
    assert bench.cans[0].get_timings() == [125000, 1, 9, 6, None, None]


# --- frames ---


def test_frames_of_every_kind_arrive_as_they_were_sent():
    bench = Bench()
    a, b = bench.cans
    for number, data, flags in (
        (0x123, b"\x01\x02\x03", 0),
        (0, b"", 0),
        (0x7FF, b"12345678", 0),
        (0x1826F456, b"\x01\x01\x00", EXT),  # CHM of GB/T 27930
        (0x1FFFFFFF, b"\xff" * 8, EXT),
        (0, b"\x00", EXT),
        (0x555, bytes(8), CAN.FLAG_RTR),
        (0x15555555, bytes(2), CAN.FLAG_RTR | EXT),
    ):
        assert a.send(number, data, flags) == 0
        bench.run(20)
        assert _frames(b) == [(number, data, flags, 0)]
        assert _frames(a) == []
        assert b.send(number, data, flags) == 0
        bench.run(20)
        assert _frames(a) == [(number, data, flags, 0)]
    assert len(bench.bus.record) == 16
    assert a.get_counters() == [0, 0, 0, 0, 0, 0, 0, 0]


def test_recv_fills_a_list_that_it_is_given():
    bench = Bench()
    a, b = bench.cans
    frame = [0, memoryview(bytearray(8)), 0, 0]
    assert b.recv(frame) is None
    for n in (8, 3, 0, 8):
        a.send(0x100 + n, bytes(range(n)))
        bench.run(20)
        assert b.recv(frame) is frame
        assert frame[0] == 0x100 + n and bytes(frame[1]) == bytes(range(n))


def _at_once(chip):
    return chip  # its SPI takes no time


def test_three_wait_and_the_lowest_identifier_wins_the_bus():
    bench = Bench(wrap=_at_once)
    a, b = bench.cans
    for number in (0x18FF0001, 0x10FF0002, 0x00FF0003):
        assert a.send(number, b"a", EXT) is not None
    assert a.send(0x18FF0004, b"a", EXT) is None  # no buffer is free
    for number in (0x300, 0x18FF0000, 0x00FF0002):
        assert b.send(number, b"b", EXT if number > 0x7FF else 0) is not None
    bench.creep(10)
    # a's first began while nothing else waited; from then on who is lower goes first
    assert [frame[1] for frame in bench.bus.record] == [
        0x18FF0001,
        0x00FF0002,
        0x00FF0003,
        0x300,
        0x10FF0002,
        0x18FF0000,
    ]
    assert len(_frames(b)) == 3 and len(_frames(a)) == 3


def test_a_standard_frame_wins_over_an_extended_one_that_begins_alike():
    bench = Bench(3, wrap=_at_once)
    a, b, c = bench.cans
    c.send(0x7FF, bytes(8))  # while it is under way the others queue
    a.send(0x123 << 18, b"x", EXT)
    b.send(0x123, b"s")
    bench.run(20)
    assert [frame[2] for frame in bench.bus.record] == [0, 0, EXT]
    assert bench.chips[0].registers[0x30] & 0x20  # it lost arbitration once


def test_one_identifier_keeps_its_order():
    bench = Bench(wrap=_at_once)
    a, b = bench.cans
    assert a.send(0x100, b"12345678") is not None
    assert a.send(0x100, b"22345678") is None
    assert a.send(0x100, b"22345678", CAN.FLAG_UNORDERED) is not None
    assert a.send(0x100, b"32345678", EXT) is not None  # another identifier
    bench.creep(10)
    assert a.send(0x100, b"42345678") is not None
    bench.creep(10)
    assert sorted([frame[1][:1] for frame in _frames(b)]) == [b"1", b"2", b"3", b"4"]


def test_counters_and_timings_fill_a_list_that_they_are_given():
    can = Bench(1).cans[0]
    for function, n in ((can.get_counters, 8), (can.get_timings, 6)):
        given = [None] * n
        assert function(given) is given and given == function() and len(given) == n


def test_what_waits_can_be_cancelled():
    bench = Bench()
    a, b = bench.cans
    assert a.send(0x100, bytes(8)) == 0
    assert a.send(0x200, b"no") == 1
    assert a.get_counters()[5] == 2
    assert a.cancel_send(1)
    assert not a.cancel_send(1) and not a.cancel_send(2)
    bench.run(20)
    assert [frame[0] for frame in _frames(b)] == [0x100]
    _refused(a.cancel_send, 3)


def test_nonsense_is_refused():
    bench = Bench(1)
    can = bench.cans[0]
    for number, flags in ((0x800, 0), (-1, 0), (1 << 29, EXT)):
        assert _refused(can.send, number, b"", flags) == "invalid id"
    assert _refused(can.send, 1, bytes(9)).startswith("data: expected")
    assert _refused(can.init, 250000, 1).startswith("mode: expected")
    assert _refused(can.init, 7).startswith("bitrate: expected")
    for fields, name in (({"osc_hz": 1}, "osc_hz"), ({"bitrate": "fast"}, "bitrate")):
        spec = dict(SPEC)
        spec.update(fields)
        assert _refused(mcp2515.make, Buses(bench.wires[0]), spec).startswith(name)


# --- receiving in bounded steps ---


def test_a_burst_keeps_its_order_and_what_is_lost_is_told():
    bench = Bench(1)
    can = bench.cans[0]
    node = Node(bench.plant, bench.bus)
    # as fast as the bus: 18 frames of 0.6 ms, polled every 1 ms; two of them wait in the chip
    for i in range(18):
        node.send(0x1CECF456, bytes([i]) + bytes(7))
    bench.creep(25)
    found = []
    while True:
        frame = can.recv()
        if not frame:
            break
        found.append(frame[1][0])
        assert not frame[3] & CAN.RECV_ERR_OVERRUN
    assert found == list(range(18))
    # polled every 20 ms the chip keeps two
    _frames(can)
    for i in range(20):
        node.send(0x1CECF456, bytes([i]) + bytes(7))
    bench.run(40)
    found = _frames(can)
    assert [frame[1][0] for frame in found][:2] == [0, 1] and len(found) < 10
    assert any(frame[3] & CAN.RECV_ERR_OVERRUN for frame in found)
    assert can.get_counters()[7] > 0


def test_order_holds_whenever_the_polls_come():
    for seed in range(6):
        random = Random(seed)
        bench = Bench(1)
        can = bench.cans[0]
        node = Node(bench.plant, bench.bus)
        found = []
        for i in range(200):
            node.send(0x100 + (i & 3), bytes([i]), 0)
            bench.plant.advance(bench.plant.now_us + 100 + random.below(700))
            can.poll()
            found += [frame[1][0] for frame in _frames(can)]
        bench.run(40)
        found += [frame[1][0] for frame in _frames(can)]
        assert found == sorted(found), (seed, found)
        assert len(found) > 150


def test_a_poll_is_bounded():
    bench = Bench(1)
    can = bench.cans[0]
    node = Node(bench.plant, bench.bus)
    wire = bench.wires[0]
    most = 0
    for i in range(500):
        node.send(i, b"12345678", 0)
        if i % 3:
            bench.plant.advance(bench.plant.now_us + 1200)
        before = wire.bytes
        can.poll()
        most = max(most, wire.bytes - before)
        if i % 20 == 0:
            _frames(can)
    assert most <= 5 + 4 + 4 * 16, most


# --- filters ---


def _passed(filters, frames, bench=None):
    bench = bench or Bench(1, join=False)
    can = bench.cans[0]
    can.set_filters(filters)
    bench.run(100)
    assert can.state() == CAN.STATE_ACTIVE
    node = Node(bench.plant, bench.bus)
    found = []
    for number, flags in frames:
        node.send(number, b"\x12\x34", flags)
        bench.run(20)
        found += [(frame[0], frame[2]) for frame in _frames(can)]
    return found


def test_filters_let_through_what_they_should():
    some = [(0x301, 0), (0x302, 0), (0x700, 0), (0x50700, EXT), (0x50701, EXT), (0x301, EXT)]
    assert _passed(None, some) == some
    assert _passed((), some) == []
    assert _passed([(0x301, 0x7FF, 0), (0x700, 0x7FF, 0)], some) == [(0x301, 0), (0x700, 0)]
    assert _passed([(0x300, 0x700, 0), (0x50700, 0x1FFFFFFF, EXT)], some) == [
        (0x301, 0),
        (0x302, 0),
        (0x50700, EXT),
    ]
    # what is for the charger, whatever its priority: PF and DA, SA (facts 2.1)
    frames = [(0x1826F456, EXT), (0x182756F4, EXT), (0x102756F4, EXT), (0x181356F4, EXT)]
    assert _passed([(0x56F4, 0xFFFF, EXT)], frames) == frames[1:]
    six = [(0x100 + i, 0x7FF, 0) for i in range(6)]
    assert _passed(six, [(0x100 + i, 0) for i in range(8)]) == [(0x100 + i, 0) for i in range(6)]
    six = [(0x100 + i, 0x7FF, 0) for i in range(4)] + [(7, 0x7F, EXT), (9, 0x7F, EXT)]
    assert len(_passed(six, [(0x100 + i, 0) for i in range(6)] + [(0x87, EXT), (8, EXT)])) == 5


def test_nothing_comes_before_filters_are_set():
    bench = Bench(1, join=False)
    bench.cans[0] = mcp2515.make(Buses(bench.wires[0]), SPEC)
    bench.run(100)
    node = Node(bench.plant, bench.bus)
    node.send(1, b"", 0)
    node.send(1, b"")
    bench.run(20)
    assert _frames(bench.cans[0]) == [] and node.failures == 0
    some = [(1, 0), (1, EXT)]
    assert _passed(None, some, bench) == some


def test_filters_that_the_chip_has_not_are_refused():
    can = Bench(1).cans[0]
    for filters, text in (
        ([(0x800, 0x7FF, 0)], "invalid id"),
        ([(0, 1 << 29, EXT)], "invalid id"),
        ([(0, 0, CAN.FLAG_RTR)], "flags: expected"),
        ([(i, 0x7FF, 0) for i in range(7)], "filters: expected"),
        ([(i, 0x700 + i, 0) for i in range(3)], "filters: expected"),
        ([(i, 0x7FF, 0) for i in range(3)] + [(i, 0xF, 0) for i in range(3)], "filters: expected"),
        ([(i, 0x7FF, 0) for i in range(5)] + [(0, 0xF, 0)], "filters: expected"),
    ):
        assert _refused(can.set_filters, filters).startswith(text)


# --- errors ---


def test_alone_on_the_bus_it_gets_passive_and_never_off():
    bench = Bench(1)
    can = bench.cans[0]
    can.send(0x100, b"x")
    bench.run(2000)
    assert can.state() == CAN.STATE_PASSIVE
    assert can.get_counters() == [128, 0, 1, 1, 0, 1, 0, 0]
    Node(bench.plant, bench.bus)  # somebody acknowledges
    bench.run(40)
    assert can.get_counters()[5] == 0
    for i in range(128):
        can.send(i, b"")
        bench.run(20)
    assert can.state() == CAN.STATE_ACTIVE


def test_disturbed_frames_lead_to_bus_off_and_restart_leads_back():
    bench = Bench(2, (1 << 30) - 500)
    a, b = bench.cans
    bench.bus.jam = 1000000
    a.send(0x100, b"lost")
    for _ in range(200):
        bench.plant.advance(bench.plant.now_us + 1000)
        a.poll()
        if a.state() == CAN.STATE_BUS_OFF:
            break
    assert a.state() == CAN.STATE_BUS_OFF
    try:
        a.send(0x100, b"x")
    except OSError as error:
        assert error.args[0] == 5
    else:
        raise AssertionError
    bench.bus.jam = 0
    bench.run(1000)
    # the chip would have recovered and sent on; it must not
    assert a.state() == CAN.STATE_BUS_OFF and bench.bus.record == []
    assert a.get_counters()[2:5] == [1, 1, 1]
    a.restart()
    bench.run(100)
    assert a.state() == CAN.STATE_ACTIVE
    assert a.get_counters() == [0, 0, 0, 0, 0, 0, 0, 0]
    a.send(0x100, b"back")
    bench.run(20)
    assert [frame[1] for frame in _frames(b)] == [b"back"]


def test_a_single_disturbed_frame_is_sent_again():
    bench = Bench()
    a, b = bench.cans
    bench.bus.jam = 3
    a.send(0x100, b"x")
    bench.run(20)
    assert [frame[1] for frame in _frames(b)] == [b"x"]
    assert a.get_counters()[0] == 3 * 8 - 1 and b.get_counters()[1] == 2


def test_a_node_of_another_bitrate_disturbs_every_frame():
    bench = Bench(3)
    a, b, c = bench.cans
    c.init(125000)
    bench.run(100)
    a.send(0x100, b"x")
    bench.creep(50)
    # 32 errors are 256 for the sender, who leaves, and 32 for the others
    assert a.state() == CAN.STATE_BUS_OFF
    assert bench.bus.record == [] and _frames(c) == []
    assert b.get_counters()[1] == c.get_counters()[1] == 32
    c.deinit()
    a.restart()
    bench.run(100)
    a.send(0x100, b"x")
    bench.run(20)
    assert len(_frames(b)) == 1


def test_silent_mode_acknowledges_nothing_and_hears_everything():
    bench = Bench()
    a, b = bench.cans
    b.init(250000, CAN.MODE_SILENT)
    b.set_filters(None)
    bench.run(100)
    assert b.state() == CAN.STATE_ACTIVE
    a.send(1, b"x")
    bench.run(100)
    assert bench.bus.record == [] and a.state() != CAN.STATE_ACTIVE
    node = Node(bench.plant, bench.bus)
    bench.run(20)
    assert len(_frames(b)) == 1 and len(node.frames) == 1


def test_silent_loopback_needs_no_bus():
    bench = Bench(1)
    can = bench.cans[0]
    can.init(250000, CAN.MODE_SILENT_LOOPBACK)
    bench.run(100)
    can.send(0x12345, b"self", EXT)
    bench.run(20)
    assert _frames(can) == [(0x12345, b"self", EXT, 0)]
    assert bench.bus.record == []


# --- what is no chip ---


def test_a_chip_that_lost_its_supply_is_set_up_anew():
    bench = Bench()
    a, b = bench.cans
    b.set_filters([(0x100, 0x7FF, 0)])
    bench.run(100)
    bench.chips[1].reset()
    bench.run(200)
    assert b.state() == CAN.STATE_ACTIVE and b.age_ms() == 0
    a.send(0x100, b"1")
    a.send(0x101, b"2")
    bench.run(20)
    assert [frame[0] for frame in _frames(b)] == [0x100]


def test_silence_is_stopped_and_its_age_grows():
    bench = Bench(2, _MASK - 1000)
    a, b = bench.cans
    assert b.age_ms() == 0
    bench.chips[1].silent = True
    bench.run(1000)
    assert b.state() == CAN.STATE_STOPPED
    assert 980 <= b.age_ms() <= 1000
    for function in (lambda: b.send(1, b""),):
        try:
            function()
        except OSError as error:
            assert error.args[0] == 19
        else:
            raise AssertionError
    assert b.recv() is None and not b.cancel_send(0)
    assert b.get_counters()[:2] == [None, None]
    bench.chips[1].silent = False
    bench.run(200)
    assert b.state() == CAN.STATE_ACTIVE and b.age_ms() == 0


def test_no_chip_at_all():
    for level in (0, 0xFF):

        class Nobody:
            def select(self, level):
                pass

            def write(self, out):
                pass

            def write_readinto(self, out, into, level=level):
                for i in range(len(into)):
                    into[i] = level

        can = mcp2515.make(Buses(Nobody()), SPEC)
        can.set_filters(None)
        for i in range(200):
            can.tick(i * 20)
            assert can.state() == CAN.STATE_STOPPED and can.recv() is None
        assert can.age_ms() == NEVER_MS


def test_deinit_stops_it():
    bench = Bench()
    a, b = bench.cans
    b.deinit()
    bench.run(200)
    assert b.state() == CAN.STATE_STOPPED and bench.chips[1].mode == 4
    a.send(1, b"")
    bench.run(200)
    assert a.state() == CAN.STATE_PASSIVE
    b.init(250000)
    bench.run(100)
    assert len(_frames(b)) == 1


def test_fuzzed_it_raises_nothing_and_takes_no_lasting_harm(n=3000, seed=1):
    for floats in (0xFF, 0):
        random = Random(seed + floats)
        liars = []

        def wrap(chip, floats=floats, random=random, liars=liars):
            liars.append(LyingSpi(chip, random, floats))
            return liars[-1]

        bench = Bench(1, wrap=wrap)
        can = bench.cans[0]
        node = Node(bench.plant, bench.bus)
        liar = liars[0]
        frame = [0, None, 0, 0]
        while liar.lies < n // 2:
            for mode in ("lie", "silence", "lie"):
                liar.set(mode)
                for _ in range(random.below(60)):
                    node.send(random.below(1 << 29), bytes(random.below(9)))
                    bench.run(20)
                    while random.below(8) and can.recv(frame):
                        assert 0 <= frame[0] < 1 << 29 and len(frame[1]) <= 8
                        assert 0 <= frame[2] <= 3 and 0 <= frame[3] <= 3
                    try:
                        can.send(random.below(0x800), bytes(random.below(9)))
                    except OSError:
                        assert can.state() in (CAN.STATE_STOPPED, CAN.STATE_BUS_OFF)
                    can.get_counters()
                    can.cancel_send(random.below(3))
            liar.set("truth")
            if can.state() == CAN.STATE_BUS_OFF:
                can.restart()
            bench.run(700)
            assert can.state() == CAN.STATE_ACTIVE
            _frames(can)
            del node.frames[:]
            node.send(0x123, b"true", 0)
            can.send(0x321, b"back")
            bench.run(40)
            assert _frames(can)[-1][:2] == (0x123, b"true")
            assert node.frames[-1] == (0x321, 0, b"back")
