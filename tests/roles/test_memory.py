"""Memory: keeps each byte where it was written, and what is beside it."""


def test_it_keeps_what_is_written(bench):
    memory = getattr(bench.board, "memory", None)
    if memory is None:
        bench.note("memory", "none")
        return
    bench.between("bytes", 256, memory.size, 1 << 24)
    # its last 16 bytes, given back as they were
    at = memory.size - 16
    before = bytearray(16)
    found = bytearray(16)
    memory.read(at, before)
    try:
        for data in (b"\x00\xff" * 8, b"\xff\x00" * 8, bytes(range(16))):
            memory.write(at, data)
            memory.read(at, found)
            bench.expect(found == data, "what was written", found)
        memory.write(at + 5, b"\xa5")
        memory.read(at, found)
        expected = bytearray(range(16))
        expected[5] = 0xA5
        bench.expect(found == expected, "one byte changed", found)
    finally:
        memory.write(at, before)
    memory.read(at, found)
    bench.expect(found == before, "what was there before", found)
