"""Clock: milliseconds that go forward and wrap at 2^30."""


def test_it_goes_forward(bench):
    clock = bench.board.clock
    before = clock.ticks_ms()
    bench.expect(0 <= before < 1 << 30, "ticks within 2^30", before)
    bench.wait(500)
    gone = (clock.ticks_ms() - before) & 0x3FFFFFFF
    bench.between("ms in 500 ms", 500, gone, 600)
