"""Name servers' answers, good, odd and hostile; the sockets are in tests/host/test_dial.py."""

from struct import pack

from firmware.uplink import resolve
from tests.support import raises

QUESTION = resolve.encode("pile.example")
NUMBER = 0x1234
A = pack(">HHIH", 1, 1, 60, 4) + b"\x0a\x00\x00\x07"
POINTER = b"\xc0\x0c"
ALIAS = POINTER + pack(">HHIH", 5, 1, 60, 6) + b"\x03abc\xc0\x11"


def message(answers, records, flags=0x8180, number=NUMBER, question=QUESTION, questions=1):
    return pack(">6H", number, flags, questions, answers, 0, 0) + question + records


def found(data):
    return resolve.answer(data, NUMBER, QUESTION)


def test_what_is_no_address_of_a_name_server_is_one_that_fails():
    # As a network may give it, or an installer: the other servers are asked all the same.
    def asks(*servers):
        return list(resolve.lookup("pile.example", servers, lambda: 0))

    for server in ("2001:db8::1", "ns:port"):
        assert server in str(raises(resolve.NoAddress, asks, server))


def test_a_question():
    assert resolve.encode("a.bc") == b"\x01a\x02bc\0\0\1\0\1"
    assert resolve.encode("a.bc.") == resolve.encode("a.bc")
    for host in ("", "a..b", "x" * 64, ".".join(["x" * 60] * 5)):
        raises(ValueError, resolve.encode, host)


def test_the_first_address_counts():
    other = POINTER + A[:-1] + b"\x08"
    assert found(message(2, POINTER + A + other)) == "10.0.0.7"


def test_an_alias_is_passed_over():
    assert found(message(2, ALIAS + b"\x03abc\xc0\x11" + A)) == "10.0.0.7"


def test_names_written_out_and_other_kinds_are_passed_over():
    six = POINTER + pack(">HHIH", 28, 1, 60, 16) + bytes(16)
    named = b"\x04pile\x07example\0" + A
    assert found(message(2, six + named)) == "10.0.0.7"


def test_letters_may_come_back_large():
    assert found(message(1, POINTER + A, question=resolve.encode("PILE.Example"))) == "10.0.0.7"


def test_what_is_no_answer_to_the_question_is_none():
    good = POINTER + A
    for data in (
        b"",
        message(1, good, number=0x1235),
        message(1, good, flags=0x0100),
        message(1, good, questions=2),
        message(1, good, question=resolve.encode("pile.exampld")),
        message(1, good)[:20],
    ):
        assert found(data) is None


def test_a_message_that_is_not_whole_is_none():
    data = message(2, ALIAS + POINTER + A)
    for n in range(len(data)):
        assert found(data[:n]) is None


def test_a_server_that_does_not_know():
    raises(resolve.NoAddress, found, message(0, b"", 0x8183))
    raises(resolve.NoAddress, found, message(1, ALIAS))
    for flags in (0x8182, 0x8185):  # it failed, it refused: another may know
        error = raises(OSError, found, message(0, b"", flags))
        assert not isinstance(error, resolve.NoAddress)


def test_noise_is_none_or_an_error_in_words():
    from hal.virtual.random import Random

    random = Random(1)
    data = message(2, ALIAS + POINTER + A)
    for _ in range(3000):
        wrong = bytearray(data)
        for _ in range(1 + random.below(4)):
            wrong[random.below(len(wrong))] = random.below(256)
        try:
            text = found(wrong[: random.below(len(wrong)) + 1])
        except OSError:
            continue
        assert text is None or len(text.split(".")) == 4
