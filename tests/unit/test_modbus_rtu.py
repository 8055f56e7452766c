"""The Modbus RTU master: the facts' vectors, singles without floats, gaps, echoes, exceptions."""

from hal.chips import modbus_rtu
from hal.chips.modbus_rtu import DONE, FAILED, WAITING, fixed
from hal.virtual.chips import modbus_rtu as emulation
from hal.virtual.random import Random
from tests.chips import Buses, Line
from tests.support import raises


def asked(function=4, register=0, count=2, **spec):
    """(wire, master) after the question, at 40 ms."""
    wire = Line()
    master = modbus_rtu.Master(Buses(wire), spec, 9600)
    master.ask(function, register, count)
    for now_ms in (0, 20, 40):
        assert master.poll(now_ms) == WAITING
    return wire, master


def test_the_facts_questions():
    for question in ("010400000002", "010320000002", "010340000002"):
        data = bytes.fromhex(question)
        wire, _ = asked(data[1], data[2] << 8 | data[3])
        assert wire.asked == [data + emulation.crc(data)]
    for whole in ("01040000000271CB", "010320000002CFCB", "010340000002D1CB"):
        data = bytes.fromhex(whole)
        assert modbus_rtu.crc(data) == 0 and emulation.crc(data[:-2]) == data[-2:]


ANSWER = bytes.fromhex("010404436600000E1F")


def test_the_facts_answer():
    wire, master = asked()
    wire.heard = ANSWER
    assert master.poll(60) == DONE
    assert bytes(master.data) == b"\x43\x66\0\0" and fixed(master.data, 0, 3) == 230000


def test_an_answer_in_pieces_behind_an_echo_and_noise():
    wire, master = asked()
    whole = b"\0" + wire.asked[0] + b"\0" + ANSWER
    for i in range(len(whole) - 1):
        wire.heard = whole[i : i + 1]
        assert master.poll(60 + i) == WAITING
    wire.heard = whole[-1:] + b"glued"
    assert master.poll(90) == DONE and bytes(master.data) == b"\x43\x66\0\0"


def sealed(text):
    data = bytes.fromhex(text)
    return data + emulation.crc(data)


def test_wrong_answers_are_none():
    for wrong in (
        ANSWER[:-1],
        ANSWER[:-1] + b"\x1e",
        b"\x02" + ANSWER[1:],
        sealed("02040443660000"),  # another meter's
        sealed("0104024366"),  # another question's
        sealed("01030443660000"),  # another function's
        sealed("018306"),
        sealed("018406")[:-1] + b"\0",
        bytes(200),
        b"\x01\x04\x04" * 40,
    ):
        wire, master = asked()
        wire.heard = wrong
        now_ms = 40
        while now_ms < 40 + 240 + 25:
            now_ms += 20
            found = master.poll(now_ms)
            if found != WAITING:
                break
        assert found == FAILED and now_ms >= 280 and master.exception == 0


def test_an_exception_is_told_at_once():
    wire, master = asked()
    out = b"\x01\x84\x06"
    wire.heard = out + emulation.crc(out)
    assert master.poll(60) == FAILED and master.exception == 6
    wire.heard = b""
    master.ask(4, 0, 2)
    for now_ms in (80, 100):
        master.poll(now_ms)
    wire.heard = ANSWER
    assert master.poll(120) == DONE and master.exception == 0


def test_the_question_waits_for_a_quiet_line():
    wire = Line()
    master = modbus_rtu.Master(Buses(wire), {"baud": 1200}, 9600)  # 3.5 characters: 32 ms
    master.ask(4, 0, 2)
    for now_ms in range(0, 200, 20):
        wire.heard = b"?"
        assert master.poll(now_ms) == WAITING and not wire.asked
    master.poll(200)
    assert not wire.asked
    master.poll(220)
    assert len(wire.asked) == 1


def test_the_next_question_waits_too():
    wire = Line()
    master = modbus_rtu.Master(Buses(wire), {"baud": 1200}, 9600)
    master.ask(4, 0, 2)
    for now_ms in (0, 20, 40):
        master.poll(now_ms)
    wire.heard = ANSWER
    assert len(wire.asked) == 1 and master.poll(300) == DONE
    master.ask(4, 0, 2)
    master.poll(320)
    assert len(wire.asked) == 1
    master.poll(340)
    assert len(wire.asked) == 2


def test_noise_as_long_as_the_buffer():
    wire, master = asked()
    wire.heard = bytes(96)
    assert master.poll(60) == WAITING
    wire.heard = ANSWER
    assert master.poll(80) == DONE


def test_the_direction_pin():
    levels = []

    class Pinned(Buses):
        def output(self, pin, value=0):
            assert (pin, value) == (4, 0)
            return levels.append

    wire = Line()
    master = modbus_rtu.Master(Pinned(wire), {"direction": 4, "baud": 2400}, 9600)
    master.ask(4, 0, 2)
    master.poll(0)
    assert levels == []
    master.poll(20)
    assert levels == [1]
    master.poll(40)  # 8 characters take 33 ms
    assert levels == [1]
    master.poll(60)
    assert levels == [1, 0]


def test_fields_of_the_board_file():
    for field, value in (
        ("address", 0),
        ("address", 248),
        ("address", "1"),
        ("baud", 300),
        ("parity", "mark"),
    ):
        error = raises(ValueError, modbus_rtu.Master, Buses(None), {field: value}, 9600)
        assert field in str(error) and "expected" in str(error)
    buses = Buses(None)
    for parity, number in (("none", None), ("even", 0), ("odd", 1)):
        modbus_rtu.Master(buses, {"parity": parity}, 2400)
        assert buses.asked[-1] == ("uart", 2400, number, 1)


def test_singles_in_integers():
    def read(text, digits=3):
        return fixed(bytes.fromhex(text), 0, digits)

    assert read("43660000") == 230000
    assert read("4366199A") == 230100
    assert read("4365E666") == 229900
    assert read("C2C80000") == -100000
    assert read("00000000") == read("80000000") == read("00000001") == 0
    assert read("3A83126F") == 1  # 0.001
    assert read("3a0398a6") == 1  # 0.000502
    assert read("3a028c37") == 0  # 0.000498
    assert read("33D6BF95", 6) == 0  # 1e-7
    assert read("358637BD", 6) == 1  # 1e-6
    for text in ("7F800000", "FF800000", "7FC00000", "7F7FFFFF", "4E800000", "4E7FFFFF"):
        assert read(text) is None
    assert read("4E7FFFFF", 0) == 1073741760
    assert read("4E800000", 0) is None and read("7F7FFFFF", 0) is None
    assert read("49742400") == 1000000000  # 1e6


def test_singles_there_and_back():
    random = Random(5)
    for _ in range(2000):
        number = random.below(1 << (1 + random.below(24)))
        if random.below(2):
            number = -number
        for parts, digits in ((1, 0), (10, 1), (100, 2), (1000, 3), (10, 3), (10000, 4)):
            if abs(number) * 10**digits // parts < 1000000 and 10**digits >= parts:
                expected = number * 10**digits // parts
                assert fixed(emulation.single(number, parts), 0, digits) == expected
    # beyond 24 bits it is off by half of the last one at most
    for number in (16777217, 99999999, 123456789, 999999999):
        got = fixed(emulation.single(number, 1000), 0, 3)
        assert abs(got - number) <= number >> 24
