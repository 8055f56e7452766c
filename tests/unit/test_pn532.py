"""The PN532's driver against its emulation, on I2C and on the serial line."""

from hal.chips import card, pn532
from hal.virtual.chips import pn532 as emulation
from tests.chips import Buses, Load, LyingI2c, LyingSerial, ReaderBench, fuzz_reader
from tests.support import raises

I2C = {"chip": "pn532", "i2c": 0}
UART = {"chip": "pn532", "uart": 1, "tx": 4, "rx": 5}
CARDS = ("D14B0A54", "04A1B2C3D4E5F6", "04112233445566778899")
# Until a driver that met the worst has begun anew, and a card that was there before is forgotten.
AGAIN_MS = pn532.READ_MS + card.GONE_MS + 200


def _bench(spec, wrap=None):
    return ReaderBench(pn532, emulation, spec, 1, wrap)


def test_the_facts_vector_and_the_frames_of_both_sides():
    assert pn532.frame(b"\x02") == bytes.fromhex("0000FF02FED4022A00")
    assert emulation.frame(0xD4, b"\x02") == pn532.frame(b"\x02")
    chip = emulation.make(Load(), I2C)
    chip.writeto(0x24, pn532.frame(b"\x02"))
    into = bytearray(8)
    chip.readfrom_into(0x24, into)
    assert into[0] == 0  # not yet
    chip.plant.advance(2000)
    chip.readfrom_into(0x24, into)
    assert bytes(into) == b"\x01" + emulation.ACK + b"\x80"
    into = bytearray(14)
    chip.readfrom_into(0x24, into)
    assert bytes(into) == b"\x01" + bytes.fromhex("0000FF06FAD50332010607E800")


def test_every_length_of_identifier_within_the_time():
    for spec in (I2C, UART):
        for uid in CARDS:
            for phase_ms in range(0, 200, 20):
                bench = _bench(spec)
                bench.run(1000 + phase_ms)
                assert bench.driver.age_ms() < 150
                bench.chip.present(uid)
                first = bench.run(500)
                assert first is not None and first <= pn532.READ_MS, (spec, uid, first)
                assert bench.told == [uid]


def test_half_a_second_is_enough_and_a_card_left_is_one_event():
    for spec in (I2C, UART):
        for uid in CARDS[:2]:
            _bench(spec).one_event_a_card(uid, CARDS[2])


def test_a_card_that_was_there_before_the_boot_is_told():
    bench = _bench(UART)
    bench.chip.present(CARDS[1])
    assert bench.run(1000) <= 500


def test_byte_order():
    for order, told in (("msb", "D14B0A54"), ("lsb", "540A4BD1")):
        bench = _bench({"chip": "pn532", "i2c": 0, "byte_order": order})
        bench.chip.present("D14B0A54")
        bench.run(1000)
        assert bench.told == [told]


def test_what_makes_no_sense_is_named():
    error = raises(ValueError, _bench, {"chip": "pn532", "i2c": 0, "byte_order": "big"})
    assert "byte_order" in str(error) and "big" in str(error)
    assert "i2c" in str(raises(ValueError, pn532.make, Buses(None), {"chip": "pn532"}))


def test_a_card_with_a_long_answer_to_select():
    for spec in (I2C, UART):
        bench = _bench(spec)
        bench.run(500)
        bench.chip.present(CARDS[1], ats=bytes(range(1, 33)))
        assert bench.run(500) <= pn532.READ_MS


def test_silence_ages_and_tells_nothing():
    for spec in (I2C, UART):
        _bench(spec).silence(CARDS[0], CARDS[1], 1150)


def test_busy_wrong_errors_and_a_dip_of_the_supply():
    for spec in (I2C, UART):
        bench = _bench(spec)
        bench.run(500)
        bench.chip.busy = True
        bench.chip.present(CARDS[0])
        bench.run(1000)
        assert bench.told == [] and bench.driver.age_ms() > 900
        bench.chip.busy = False
        assert bench.run(1000) <= 600
        bench.chip.wrong = 5
        bench.chip.present(CARDS[1])
        assert bench.run(2000) is not None
        bench.chip.errors = 5
        bench.chip.present(CARDS[2])
        assert bench.run(2000) is not None
        bench.chip.reset()
        bench.chip.present(CARDS[0])
        assert bench.run(1000) <= 600
        assert bench.told == [CARDS[0], CARDS[1], CARDS[2], CARDS[0]]


def test_answers_that_make_no_sense_are_none():
    # 00 00 FF LEN LCS D5 4B NbTg Tg SENS_RES(2) SEL_RES length identifier DCS 00
    def put(i, value, sealed=True):
        def forge(data):
            data[i] = value
            if sealed:
                data[4] = -data[3] & 255
                data[-2] = -sum(data[5:-2]) & 255
            return data

        return forge

    def empty(data):
        return emulation.frame(0xD5, b"\x4b")

    def short(data):
        return emulation.frame(0xD5, bytes(data[6:10]))

    none = bytes.fromhex("0000FF03FDD54B01DF00")
    assert put(7, 1)(bytearray(emulation.frame(0xD5, b"\x4b\0"))) == none
    for forge in (
        put(1, 1),
        put(2, 0xFE),
        put(3, 21),
        put(4, 0, False),
        put(-2, 0, False),
        put(5, 0xD4),
        put(6, 0x49),
        put(7, 2),
        put(12, 5),
        put(12, 10),
        empty,
        short,
    ):
        bench = _bench(I2C)
        answer = bench.chip._answer

        def forged(data, t_us, answer=answer, forge=forge):
            answer(bytes(forge(bytearray(data))) if data[6:7] == b"\x4b" else data, t_us)

        bench.run(500)
        bench.chip._answer = forged
        bench.chip.present(CARDS[1])
        bench.run(2000)
        # while it begins anew, its settings are answered
        assert bench.told == [], bench.told
        bench.chip._answer = answer
        bench.run(1000)
        assert bench.told == [CARDS[1]]


def test_noise_as_long_as_the_buffer():
    bench = _bench(UART)
    bench.run(500)
    bench.chip.present(CARDS[1])
    for _ in range(50):
        bench.chip._say(bytes(64), bench.plant.now_us)  # and in the midst of it an answer
        bench.run(20)
    assert bench.run(1000) is None or bench.told
    assert bench.told == [CARDS[1]]


def test_an_echo_of_its_own_commands_is_looked_past():
    bench = _bench(UART)
    bench.chip.echo = True
    bench.run(500)
    bench.chip.present(CARDS[1])
    assert bench.run(500) <= pn532.READ_MS
    assert bench.told == [CARDS[1]]


def test_one_short_transfer_a_tick():
    class Counted:
        def __init__(self, chip):
            self.chip = chip
            self.us = 0

        def writeto(self, address, data):
            self.us += (len(data) + 1) * 9 * 10 // 4  # 400 kHz
            self.chip.writeto(address, data)

        def readfrom_into(self, address, into):
            self.us += (len(into) + 1) * 9 * 10 // 4
            self.chip.readfrom_into(address, into)

    bench = _bench(I2C, Counted)
    bench.chip.present(CARDS[2])
    longest_us = 0
    for _ in range(100):
        bench.bus.us = 0
        bench.run(20)
        longest_us = max(longest_us, bench.bus.us)
    assert bench.told == [CARDS[2]] and longest_us <= 1050


def seal(burst):
    """Make the sum of the last frame in `burst` right again."""
    for i in range(len(burst) - 6, -1, -1):
        end = i + 4 + burst[i + 2]
        if not burst[i] and burst[i + 1] == 0xFF and end < len(burst):
            burst[i + 3] = -burst[i + 2] & 255
            burst[end] = -sum(burst[i + 4 : end]) & 255
            return


def fuzz(n, seed, spec=None):
    """Called by tools/soak.py too: half on I2C, half on the serial line, unless `spec` says."""
    if spec is None:
        return fuzz(n // 2, seed, I2C) + fuzz(n - n // 2, seed, UART)

    def make(random):
        def liar(chip):
            return LyingI2c(chip, random) if spec is I2C else LyingSerial(chip, random, seal)

        bench = _bench(spec, liar)
        return bench.plant, bench.bus, bench.driver, bench.chip.present

    return fuzz_reader(make, n, seed, CARDS, AGAIN_MS, liable=True)


def test_fuzzed():
    assert fuzz(3000, 1) > 10
