"""FRAM: every byte where it belongs in every size, and what a power cut leaves."""

from hal.chips import fm24
from hal.virtual.buses import Buses
from hal.virtual.chips import fm24 as emulation
from hal.virtual.random import Random
from tests.chips import Buses as Wires
from tests.chips import LyingI2c

SPEC = {"chip": "fm24", "i2c": 0, "scl": 1, "sda": 2}


def _memory(kbit, **fields):
    buses = Buses(None)
    spec = dict(SPEC)
    spec["kbit"] = kbit
    spec.update(fields)
    return fm24.make(buses, spec), buses.chips["fm24"]


def test_each_byte_of_each_size_has_its_place():
    for kbit in (4, 8, 16, 64, 128, 256, 512, 1024):
        memory, chip = _memory(kbit)
        assert memory.size == kbit * 128
        pattern = bytearray([(i * 7 + (i >> 8) * 13 + (i >> 16)) & 255 for i in range(997)])
        at = 0
        while at < memory.size:
            n = min(997, memory.size - at)
            memory.write(at, memoryview(pattern)[:n])
            assert chip.memory[at : at + n] == pattern[:n]
            at += n
        into = bytearray(300)
        for at in (0, 1, 127, 200, 211, memory.size - 300):
            memory.read(at, into)
            assert into == chip.memory[at : at + 300]


def test_the_bus_sees_the_datasheets_addresses_in_short_transfers():
    seen = []

    class Bus:
        def writeto_mem(self, addr, mem, buf, addrsize=8):
            seen.append((addr, mem, len(buf), addrsize))

        readfrom_mem_into = writeto_mem

    def transfers(kbit, at, n, select=0):
        spec = dict(SPEC)
        spec["kbit"] = kbit
        spec["select"] = select
        memory = fm24.make(Wires(Bus()), spec)
        del seen[:]
        memory.write(at, bytes(n))
        return list(seen)

    assert transfers(4, 0x0FE, 4) == [(0x50, 0xFE, 2, 8), (0x51, 0, 2, 8)]
    assert transfers(4, 0x100, 1, 6) == [(0x57, 0, 1, 8)]
    assert transfers(16, 0x7FF, 1) == [(0x57, 0xFF, 1, 8)]
    assert transfers(64, 0x1FFF, 1, 7) == [(0x57, 0x1FFF, 1, 16)]
    assert transfers(512, 0xFFFF, 1) == [(0x50, 0xFFFF, 1, 16)]
    assert transfers(1024, 0xFFFE, 3) == [(0x50, 0xFFFE, 2, 16), (0x51, 0, 1, 16)]
    assert transfers(256, 100, 300) == [
        (0x50, at, n, 16) for at, n in ((100, 28), (128, 128), (256, 128), (384, 16))
    ]


def test_nothing_wraps_around_at_the_end():
    memory, chip = _memory(64)
    before = bytes(chip.memory)
    for at, n in ((-1, 1), (memory.size, 1), (memory.size - 1, 2), (0, memory.size + 1)):
        for transfer in (memory.write, memory.read):
            try:
                transfer(at, bytearray(n))
            except ValueError as error:
                assert str(error).startswith("at: expected")
            else:
                raise AssertionError((at, n))
    assert chip.memory == before
    memory.write(memory.size, b"")


def test_a_power_cut_keeps_the_bytes_before_it_and_no_other():
    data = bytes(range(1, 201))
    for n in range(201):
        memory, chip = _memory(16)
        chip.cut_after(n)
        failed = False
        try:
            memory.write(100, data)
        except OSError:
            failed = True
        assert failed == (n < 200)
        assert chip.memory == bytes(100) + data[:n] + bytes(2048 - 100 - n)
        into = bytearray(1)
        try:
            memory.read(0, into)
            raise AssertionError("it answered without power")
        except OSError:
            pass
        chip.restore()
        memory.write(100, data)
        assert chip.memory[100:300] == data


def test_silence_is_an_oserror():
    memory, chip = _memory(1024)
    chip.silent = True
    for transfer in (memory.write, memory.read):
        try:
            transfer(0, bytearray(10))
        except OSError:
            continue
        raise AssertionError
    memory.tick(0)
    chip.silent = False
    memory.write(5, b"abc")
    into = bytearray(3)
    memory.read(5, into)
    assert into == b"abc"


def test_a_wrong_select_pin_is_nobody():
    memory, chip = _memory(256, select=3)
    assert chip.ADDRESS == 0x53
    memory.write(0, b"x")
    try:
        chip.writeto_mem(0x50, 0, b"y", addrsize=16)
    except OSError as error:
        assert error.args[0] == 19
    else:
        raise AssertionError
    assert chip.memory[0] == 120


def test_nonsense_is_named():
    for fields, text in (
        ({"kbit": 2}, "kbit: expected"),
        ({"kbit": "256"}, "kbit: expected"),
        ({"kbit": 256, "select": 8}, "select: expected"),
        ({"kbit": 16, "select": 1}, "select: expected"),
        ({"kbit": 1024, "select": 1}, "select: expected"),
    ):
        spec = dict(SPEC)
        spec.update(fields)
        try:
            fm24.make(Buses(None), spec)
        except ValueError as error:
            assert str(error).startswith(text), error
        else:
            raise AssertionError(fields)


def test_any_sequence_reads_back_what_was_written():
    random = Random(5)
    for kbit in (4, 16, 64, 1024):
        memory, chip = _memory(kbit)
        mirror = bytearray(memory.size)
        for _ in range(300):
            n = 1 + random.below(300)
            at = random.below(memory.size - n)
            data = bytearray([random.below(256) for _ in range(n)])
            memory.write(at, data)
            mirror[at : at + n] = data
            n = 1 + random.below(300)
            at = random.below(memory.size - n)
            into = bytearray(n)
            memory.read(at, into)
            assert into == mirror[at : at + n]


def test_fuzzed_it_raises_nothing_but_oserror_and_takes_no_lasting_harm(n=3000, seed=1):
    random = Random(seed)
    lies = n
    chip = emulation.make(None, {"kbit": 64})
    liar = LyingI2c(chip, random)
    spec = dict(SPEC)
    spec["kbit"] = 64
    memory = fm24.make(Wires(liar), spec)
    mirror = bytearray(memory.size)
    failed = 0
    while liar.lies < lies:
        for mode in ("truth", "lie", "silence"):
            liar.set(mode)
            for _ in range(20):
                n = 1 + random.below(200)
                at = random.below(memory.size - n)
                data = bytearray([random.below(256) for _ in range(n)])
                try:
                    if random.below(2):
                        memory.read(at, data)
                        assert mode != "truth" or data == mirror[at : at + n]
                    else:
                        memory.write(at, data)
                        mirror[at : at + n] = data
                except OSError:
                    assert mode != "truth"
                    failed += 1
                    # what was written of it is a beginning
                    mirror[at : at + n] = chip.memory[at : at + n]
            assert chip.memory == mirror
    assert failed > lies // 3
