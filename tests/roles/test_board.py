"""Board and outlets: what the station reads of them when it is built."""


def test_what_the_station_reads(bench):
    board = bench.board
    bench.note("model", board.model)
    bench.expect(1 <= len(board.vendor) <= 50, "a vendor of OCPP's length", board.vendor)
    bench.expect(1 <= len(board.model) <= 20, "a model of OCPP's length", board.model)
    bench.between("a tick opens when later than, ms", 4, board.late_ms, 1000)
    bench.expect(len(board.outlets) >= 1, "an outlet", "none")
    for place in board.outlets:
        bench.between("mA", 6000, place.max_ma, 80000)
        bench.expect(place.phases in (1, 3), "1 or 3 phases", place.phases)
        bench.expect(place.standard in ("iec61851", "gbt18487"), "a standard", place.standard)


def test_chance(bench):
    board = bench.board
    bench.expect(1 <= len(board.nonce()) <= 12, "a short word", board.nonce())
    seen = set()
    for _ in range(200):
        n = board.random(7)
        bench.expect(0 <= n < 7, "0 to 6", n)
        seen.add(n)
    bench.expect(len(seen) > 3, "numbers that differ", seen)
