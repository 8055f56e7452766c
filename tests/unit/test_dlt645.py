"""The driver for meters of DL/T 645-2007 against their emulation, and the facts' vectors."""

from hal.chips import dlt645
from hal.virtual.chips import dlt645 as emulation
from tests import chips, rtu
from tests.support import raises

SPEC = {"chip": "dlt645", "uart": 1, "tx": 17, "rx": 16}
FAST = {"chip": "dlt645", "uart": 1, "tx": 17, "rx": 16, "baud": 9600}
MOST = [0, 0, 0, 65000, 300000, 0, 0, 120000, 0, 0, 36000000]
ADDRESS = bytes.fromhex("129078563412")

READ_U = "FEFEFEFE68129078563412681104333434356B16"
U_2205 = "FEFEFEFE681290785634126891063334343538557A16"
READ_KWH = "FEFEFEFE68129078563412681104333334336816"
KWH_123456 = "FEFEFEFE681290785634126891083333343389674533" + "5416"
READ_ADDRESS = "FEFEFEFE68AAAAAAAAAAAA681300DF16"


def bench(phases=1, **spec):
    return chips.MeterBench(dlt645, emulation, dict(SPEC, **spec), phases)


def test_the_facts_frames_of_both_sides():
    for module in (dlt645, emulation):
        assert module.frame(ADDRESS, 0x11, b"\0\1\1\2") == bytes.fromhex(READ_U)
        assert module.frame(ADDRESS, 0x11, b"\0\0\1\0") == bytes.fromhex(READ_KWH)
        assert module.frame(b"\xaa" * 6, 0x13, b"") == bytes.fromhex(READ_ADDRESS)
    u = b"\0\1\1\2" + emulation.bcd(2205, 2)
    assert emulation.frame(ADDRESS, 0x91, u) == bytes.fromhex(U_2205)
    kwh = b"\0\0\1\0" + emulation.bcd(123456, 4)
    assert emulation.frame(ADDRESS, 0x91, kwh) == bytes.fromhex(KWH_123456)


def told(forge=None, known=True):
    """The line and the meter after 2 s of answers, of which that about the voltage is forged:
    `forge(answer)` changes the bytes from 68 to the last of the data.
    """
    answers = {}
    line = chips.Line(answers.get)
    for di, number, size in (
        (b"\0\1\1\2", 2205, 2),
        (b"\0\0\1\0", 123456, 4),
        (b"\0\1\2\2", -7654, 3),
        (b"\0\0\3\2", -16880, 3),
        (b"\2\0\x80\2", 4998, 2),
    ):
        answer = emulation.frame(ADDRESS, 0x91, di + emulation.bcd(number, size))
        if forge and di[2] == 1 and size == 2:
            body = bytearray(answer[4:-2])
            end = forge(body) or 0x16
            answer = bytes(body) + bytes((sum(body) & 255, end))
        answers[emulation.frame(ADDRESS, 0x11, di)] = answer
    spec = dict(SPEC, address="123456789012") if known else SPEC
    meter = dlt645.make(chips.Buses(line), spec)
    for now_ms in range(0, 2000, 20):
        meter.tick(now_ms)
    return line, meter


def test_the_facts_answers_are_read():
    line, meter = told()
    assert list(meter.cells[3:]) == [49980, 220500, 0, 0, 7654, 0, 0, -1688000]
    assert meter.cells[2] < 400 and bytes.fromhex(READ_U) in line.asked


def test_answers_of_another_make_are_none():
    def put(i, value):
        def forge(body):
            body[i] = value

        return forge

    def longer(body):
        body[9] += 1
        body.append(0x33)

    def wrong_end(body):
        return 0x17

    assert told(lambda body: None)[1].cells[2] < 400
    for forge in (
        put(1, 0x13),  # another meter
        put(7, 0x69),
        put(8, 0xB1),  # more follows
        put(8, 0x11),  # a question
        put(11, 0x35),  # another value
        put(14, 0x0A + 0x33),  # no digit
        put(14, 0xA0 + 0x33 & 255),
        put(15, 0xFF + 0x33 & 255),
        put(15, 0x30 + 0x33),  # 3005.5 V
        longer,
        wrong_end,
    ):
        assert told(forge)[1].cells[2] == 1 << 29


def test_only_an_address_is_one():
    question = bytes.fromhex(READ_ADDRESS)
    for answer, good in (
        (emulation.frame(ADDRESS, 0x93, ADDRESS), True),
        (emulation.frame(ADDRESS, 0x91, ADDRESS), False),
        (emulation.frame(ADDRESS, 0x93, b"\1" + ADDRESS[1:]), False),
    ):
        line = chips.Line({question: answer}.get)
        meter = dlt645.make(chips.Buses(line), SPEC)
        for now_ms in range(0, 1500, 20):
            meter.tick(now_ms)
        assert (line.asked[-1] != question) == good


def test_noise_as_long_as_the_buffer():
    one = bench(baud=9600)
    one.run(2000)
    for _ in range(60):
        one.chip._say(bytes(80), one.plant.now_us)  # and in the midst of it an answer
        one.run(200)
    one.run(2000)
    assert one.cells[2] < 1000


def test_an_hour_within_its_resolution():
    rtu.an_hour(chips.MeterBench(dlt645, emulation, FAST), 10000, 1000)


def test_an_hour_of_three_phases_within_its_resolution():
    rtu.an_hour(chips.MeterBench(dlt645, emulation, FAST, 3), 10000, 1000)


def test_first_reading_within_its_time_and_no_older_than_a_second_after():
    for phases, baud in ((1, 2400), (1, 9600), (3, 4800), (3, 9600)):
        one = bench(phases, baud=baud)
        assert one.buses.asked[0] == ("uart", baud, 0, 1)
        assert one.run(200)[2] == 1 << 29 and sum(one.cells) == 1 << 29
        assert one.run(dlt645.READ_MS)[2] < 1000
        one.run(30000)
        assert one.oldest_ms < (1000 if baud < 9600 else 450)


def test_three_phases_each():
    one = bench(3, baud=9600)
    one.plant.mv = [231000, 229000, 0]
    one.plant.ma = [16000, 10000, 0]
    one.run(dlt645.READ_MS)
    assert list(one.cells[3:]) == [50000, 231000, 229000, 0, 16000, 10000, 0, 5986000]


def test_the_address_is_asked_for_unless_it_is_known():
    line = chips.Line()
    meter = dlt645.make(chips.Buses(line), SPEC)
    meter.tick(0)
    assert line.asked == [bytes.fromhex(READ_ADDRESS)]
    one = bench(baud=9600)
    one.run(3000)
    assert bytes(reversed(one.driver.number)) == bytes.fromhex(one.chip.address)
    one.chip.address = "000000000017"  # another meter in its place
    one.run(10000)
    assert one.cells[2] < 1000 and one.cells[4] == 230000
    one = bench(address="000000000017", baud=9600)
    one.run(3000)
    assert one.cells[2] < 1000
    one.chip.address = "000000000018"
    assert one.run(10000)[2] > 9000


def test_silence_ages_and_keeps_the_old():
    one = bench(baud=9600)
    one.run(3000)
    kept = list(one.cells)
    one.chip.silent = True
    one.run(3000)
    assert one.cells[2] - kept[2] == 3000 and list(one.cells[3:]) == kept[3:]
    one.run(60000)
    one.plant.ma[0] = 5000
    one.chip.silent = False
    before_mwh = one.mwh()
    one.run(dlt645.READ_MS)
    assert one.cells[2] < 1000 and one.cells[7] == 5000 and one.cells[10] == 1150000
    assert abs(one.mwh() - before_mwh - 63 * 3680000 // 3600) < 20000


def test_lies_are_none():
    for fault, value in (("wrong", 99), ("errors", 99), ("mute", 99)):
        one = bench(baud=9600)
        one.run(2000)
        setattr(one.chip, fault, value)
        assert one.run(2500)[2] > 1900, fault
    one = bench(baud=9600)
    one.run(2000)
    for fault in ("wrong", "errors", "mute"):
        setattr(one.chip, fault, 1)  # one is no harm
        one.run(3000)
        assert one.oldest_ms < 2000


def test_beyond_its_range_is_none():
    for name, value in (
        ("mv", 300100),
        ("ma", 120001),
        ("mains_mhz", 65100),
        ("mains_mhz", 44900),
    ):
        one = bench(baud=9600)
        one.run(2000)
        if name == "mains_mhz":
            one.plant.mains_mhz = value
        else:
            getattr(one.plant, name)[0] = value
        assert one.run(5000)[2] > 3000, name
        assert one.cells[4] <= 230000 and one.cells[7] <= 16000


def test_what_came_before_long_nonsense_is_not_told_after_it():
    one = bench(baud=9600)
    one.run(3000)
    one.plant.mains_mhz = 70000  # no such frequency: every round ends there
    one.run(10000)
    assert one.cells[2] > 9000
    one.plant.mains_mhz = 50000
    one.plant.ma[0] = 1000
    while one.run(20)[2] > 2000:
        assert one.now_ms < 1 << 30
    assert list(one.cells[3:]) == [50000, 230000, 0, 0, 1000, 0, 0, 230000]


def test_a_meter_without_frequency():
    one = bench(baud=9600)
    one.chip.without.add(0x02800002)
    one.run(3000)
    assert one.cells[2] < 1000 and one.cells[3] == 0
    one.chip.without = set()
    one.run(3000)
    assert one.cells[3] == 50000
    one.chip.without = {0x02800002}
    one.run(3000)
    assert one.cells[2] < 1000 and one.cells[3] == 0
    one.chip.without.add(0x02010100)
    assert one.run(3000)[2] > 2000


def test_few_and_many_bytes_to_wake_and_an_echo():
    for wake in (0, 1, 20):
        one = bench(baud=9600)
        one.chip.wake = wake
        one.chip.echo = True
        assert one.run(3000)[2] < 1000 and one.cells[4] == 230000


def test_a_slow_meter_by_the_standard():
    one = bench(baud=9600, answer_ms=500)
    one.chip.delay_us = 500000
    assert one.run(12000)[2] < 4000
    one = bench(baud=9600)
    one.chip.delay_us = 500000  # answers to the question before
    assert one.run(12000)[2] > 5000


def test_a_meter_that_begins_at_0_loses_little_and_gains_nothing():
    one = bench(baud=9600)
    one.run(60000)
    before_mwh = one.mwh()
    one.chip.reset()
    one.run(60000)
    flowed_mwh = 3680000 // 60
    assert flowed_mwh - 20000 <= one.mwh() - before_mwh <= flowed_mwh + 10000
    one.chip.start_mwh = 999999999999 - one.plant.energy_mwh() - 20000000  # its digits end
    before_mwh = one.mwh()
    one.run(60000)
    assert abs(one.mwh() - before_mwh - flowed_mwh) <= 20000


def test_the_direction_pin_falls_when_the_question_is_out():
    levels = []

    class Pinned(chips.Buses):
        def output(self, pin, value=0):
            assert (pin, value) == (4, 0)
            return levels.append

    meter = dlt645.make(Pinned(chips.Line()), dict(SPEC, direction=4))
    meter.tick(0)
    assert levels == [1]
    for now_ms in (20, 40, 60, 80):  # 16 bytes take 74 ms, 20 take 92 ms
        meter.tick(now_ms)
    assert levels == [1]
    meter.tick(100)
    assert levels == [1, 0]


def test_fields_of_the_board_file():
    for field, value in (
        ("address", "12345678901"),
        ("address", 123456789012),
        ("address", "12345678901A"),
        ("baud", 300),
        ("max_a", 0),
        ("answer_ms", 1000),
    ):
        error = raises(ValueError, dlt645.make, chips.Buses(None), dict(SPEC, **{field: value}))
        assert field in str(error) and "expected" in str(error)


def seal(burst):
    """Make the sum of the answer in `burst` right again."""
    at = 0
    while at < len(burst) and burst[at] == 0xFE:
        at += 1
    if len(burst) - at > 12:
        burst[-2] = sum(burst[at:-2]) & 255


def fuzz(n, seed, phases=0):
    """Called by tools/soak.py too: most on one phase, the rest on three, unless `phases` says."""
    if not phases:
        return fuzz(n - n // 4, seed, 1) + fuzz(n // 4, seed, 3)

    def make(random):
        one = chips.MeterBench(
            dlt645, emulation, FAST, phases, lambda chip: chips.LyingSerial(chip, random, seal)
        )
        one.chip.delay_us = 20000
        return one.plant, one.bus, one.driver

    most = MOST if phases == 1 else MOST[:4] + [300000] * 3 + [120000] * 3 + [108000000]
    return chips.fuzz_meter(make, n, seed, most, dlt645.READ_MS)


def test_fuzzed():
    assert fuzz(3000, 1) >= 3000
