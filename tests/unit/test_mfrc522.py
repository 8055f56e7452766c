"""The MFRC522's driver against its emulation: cascade levels, collisions, a card that stays."""

from hal.chips import card, mfrc522
from hal.virtual.chips import mfrc522 as emulation
from tests.chips import LyingSpi, ReaderBench, fuzz_reader
from tests.support import raises

SPEC = {"chip": "mfrc522", "spi": 0, "sck": 18, "mosi": 19, "miso": 16, "cs": 17}
CARDS = ("D14B0A54", "04A1B2C3D4E5F6", "04112233445566778899")
AGAIN_MS = mfrc522.READ_MS + card.GONE_MS + 200


def _bench(wrap=None, **fields):
    return ReaderBench(mfrc522, emulation, dict(SPEC, **fields), 1, wrap)


def test_crc_a():
    # ISO 14443-3 annex B, and the halt command that everybody sends
    for data, value in ((b"\0\0", b"\xa0\x1e"), (b"\x12\x34", b"\x26\xcf"), (b"P\0", b"\x57\xcd")):
        assert mfrc522.crc_a(data) == value[0] | value[1] << 8
        assert emulation.crc_a(data) == value and mfrc522.crc_a(data + value) == 0


def test_a_card_answers_as_iso_14443_says():
    one = emulation.Card(bytes.fromhex(CARDS[1]))
    assert one.frame(b"\x93\x20", 16) is None
    assert one.frame(b"\x26", 7) == (16, 0x44)
    bits, value = one.frame(b"\x93\x20", 16)
    part = b"\x88\x04\xa1\xb2"
    part += bytes((part[0] ^ part[1] ^ part[2] ^ part[3],))
    assert bits == 40 and bytes([value >> 8 * i & 255 for i in range(5)]) == part
    select = b"\x93\x70" + part
    assert one.frame(select + emulation.crc_a(select), 72)[1] & 255 == 4
    part = b"\xc3\xd4\xe5\xf6\x04"
    select = b"\x95\x70" + part
    assert one.frame(select + emulation.crc_a(select), 72)[1] & 255 == 8
    assert one.frame(b"\x50\0\x57\xcd", 32) is None
    assert one.frame(b"\x26", 7) is None and one.frame(b"\x52", 7) == (16, 0x44)


def test_every_length_of_identifier_within_the_time():
    for uid in CARDS:
        for phase_ms in range(0, 200, 20):
            bench = _bench()
            bench.run(1000 + phase_ms)
            assert bench.driver.age_ms() < 50
            bench.chip.present(uid)
            first = bench.run(500)
            assert first is not None and first <= 200, (uid, first)
            assert bench.told == [uid]


def test_half_a_second_is_enough_and_a_card_left_is_one_event():
    for uid in CARDS:
        _bench().one_event_a_card(uid, "01020304")


def test_two_cards_at_once():
    # They differ early, late, in the last bit of a part, and at the second cascade level.
    for first, second in (
        ("D14B0A54", "D04B0A54"),
        ("D14B0A54", "D14B0AD4"),
        ("01020304", "FEFDFCFB"),
        ("04A1B2C3D4E5F6", "04A1B2C3D4E576"),
        ("04A1B2C3D4E5F6", "05A1B2C3D4E5F6"),
        ("04A1B2C3D4E5F6", "D14B0A54"),
        ("04112233445566778899", "04112233445566778898"),
    ):
        bench = _bench()
        bench.run(500)
        bench.chip.present(first, second)
        bench.run(600)
        assert len(bench.told) == 1 and bench.told[0] in (first, second), (first, bench.told)


def test_ticks_closer_than_an_exchange():
    bench = _bench()
    bench.run(100, 1)
    bench.chip.present(CARDS[2])
    assert bench.run(200, 1) <= 60


def test_byte_order():
    for order, told in (("msb", "D14B0A54"), ("lsb", "540A4BD1")):
        bench = _bench(byte_order=order)
        bench.chip.present("D14B0A54")
        bench.run(1000)
        assert bench.told == [told]


def test_what_makes_no_sense_is_named():
    assert "byte_order" in str(raises(ValueError, _bench, byte_order=1))
    assert "hz" in str(raises(ValueError, _bench, hz=20000000))


def test_silence_ages_and_tells_nothing():
    for floats in (0, 0xFF):
        bench = _bench()
        bench.chip.floats = floats
        bench.silence(CARDS[0], CARDS[1], 1050)


def test_stuck_noisy_and_a_dip_of_the_supply():
    bench = _bench()
    bench.run(500)
    bench.chip.stuck = True
    bench.chip.present(CARDS[0])
    bench.run(1000)
    assert bench.told == [] and bench.driver.age_ms() > 900
    bench.chip.stuck = False
    assert bench.run(1000) <= 400
    bench.chip.noisy = 20
    bench.chip.present(CARDS[1])
    assert bench.run(2000) is not None
    bench.chip.reset()
    bench.chip.present(CARDS[2])
    assert bench.run(1000) <= 400
    assert bench.told == list(CARDS)


def forge(chip, change):
    """Let `change(question, due)` alter each answer: [us, irq, error, collision, FIFO, bits]."""
    transceive = chip._transceive

    def forged():
        question = chip._fifo
        transceive()
        if chip._due:
            change(question, chip._due)

    chip._transceive = forged


def test_answers_that_make_no_sense_are_none():
    sak = b"\x04" + emulation.crc_a(b"\x04")
    last = b"\x08" + emulation.crc_a(b"\x08")

    def put(begins, **what):
        def change(question, due):
            if question.startswith(begins):
                due[2] = what.get("error", due[2])
                due[3] = what.get("collision", due[3])
                due[4] = what.get("fifo", due[4])

        return change

    def ever_later(question, due):
        # collisions one after the other, and more bytes than there is room for
        if question[0] == 0x93:
            known = ((question[1] >> 4) - 2) * 8 + (question[1] & 7)
            due[2:5] = [8, min(known + 4, 31), bytes(5)]

    for uid, change in (
        (CARDS[0], ever_later),
        (CARDS[0], put(b"\x93", fifo=bytes(9))),
        (CARDS[0], put(b"\x52", error=2)),
        (CARDS[0], put(b"\x93\x20", error=1)),
        (CARDS[0], put(b"\x93\x20", fifo=b"\xd1\x4b\x0a\x54")),
        (CARDS[0], put(b"\x93\x20", fifo=b"\xd1\x4b\x0a\x54\xc5")),  # another BCC
        (CARDS[0], put(b"\x93\x20", fifo=b"\xd1\x4b\x0a\x54\xc4\0")),
        (CARDS[0], put(b"\x93\x20", error=8, collision=0x25)),  # position not valid
        (CARDS[0], put(b"\x93", error=8, collision=1)),  # again and again
        (CARDS[0], put(b"\x93\x70", fifo=b"\x08\0\0")),
        (CARDS[0], put(b"\x93\x70", fifo=last[:2])),
        (CARDS[0], put(b"\x93\x70", error=4)),
        (CARDS[0], put(b"\x93\x70", fifo=sak)),  # more to come without a cascade tag
        (CARDS[1], put(b"\x93\x70", fifo=last)),  # a cascade tag with nothing to come
        (CARDS[1], put(b"\x95\x70", fifo=sak)),
    ):
        bench = _bench()
        bench.run(500)
        forge(bench.chip, change)
        bench.chip.present(uid)
        bench.run(2000)
        assert bench.told == [], (uid, bench.told)
        del bench.chip._transceive
        bench.run(500)
        assert bench.told == [uid]


def test_a_card_that_answers_badly_is_not_gone():
    for begins in (b"\x52", b"\x93"):
        bench = _bench()
        bench.chip.present(CARDS[0])
        bench.run(500)

        def change(question, due, begins=begins):
            if question.startswith(begins):
                due[2] = 2
                if begins != b"\x52":
                    due[1] = 0x41  # none in time

        forge(bench.chip, change)
        bench.run(3000)
        del bench.chip._transceive
        bench.run(1000)
        assert bench.told == [CARDS[0]]


def test_a_setting_that_was_lost_is_set_again():
    settings = ((0x2A, 0), (0x2B, 0), (0x2D, 0), (0x15, 0), (0x14, 0x80), (0x0E, 0x80))
    for register, value in settings:
        bench = _bench()
        bench.run(500)
        assert not bench.chip._selected
        bench.chip._registers[register] = value
        bench.run(100)
        now = [bench.chip._registers[register] for register, _ in settings]
        assert now[:5] == [0x80, 0xA9, 200, 0x40, 0x83] and not now[5] & 0x80
        bench.chip.present(CARDS[0])
        assert bench.run(500) <= mfrc522.READ_MS


def test_what_a_tick_costs():
    class Counted:
        def __init__(self, chip):
            self.chip = chip
            self.select = chip.select
            self.transfers = self.bytes = 0

        def write(self, out):
            self.transfers += 1
            self.bytes += len(out)
            self.chip.write(out)

        def write_readinto(self, out, into):
            self.transfers += 1
            self.bytes += len(out)
            self.chip.write_readinto(out, into)

    bench = _bench(Counted)
    bench.chip.present(CARDS[2])
    most = [0, 0]
    for _ in range(100):
        bench.bus.transfers = bench.bus.bytes = 0
        bench.run(20)
        most = [max(most[0], bench.bus.transfers), max(most[1], bench.bus.bytes)]
    assert bench.told == [CARDS[2]] and most[0] <= 13 and most[1] <= 44, most


def fuzz(n, seed):
    """Called by tools/soak.py too."""

    def make(random):
        bench = _bench(lambda chip: LyingSpi(chip, random))
        return bench.plant, bench.bus, bench.driver, bench.chip.present

    return fuzz_reader(make, n, seed, CARDS, AGAIN_MS)


def test_fuzzed():
    assert fuzz(3000, 1) > 10
