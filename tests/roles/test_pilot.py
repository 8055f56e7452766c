"""Pilot: levels, duty, and samples that are really new."""

LEVELS = (("A", 12000), ("B", 9000), ("C", 6000), ("D", 3000))
_OFF_MV = 700  # IEC 61851-1 table A.2 allows +-600 at the source, and a sampler adds its own


def test_levels(bench):
    """The four plateaus, and -12 V behind the vehicle's diode."""
    for place, window in zip(bench.outlets, bench.windows):
        for letter, mv in LEVELS:
            place.pilot.set_permille(1000 if letter == "A" else 500)
            if not bench.vehicle(letter, place):
                return
            bench.wait(300)
            for high_mv in window[2:5]:
                bench.between("high in %s, mV" % letter, mv - _OFF_MV, high_mv, mv + _OFF_MV)
            if letter != "A":
                for low_mv in window[5:8]:
                    bench.between("low in %s, mV" % letter, -12700, low_mv, -11300)
        bench.vehicle("A", place)


def test_steady_levels(bench):
    """1000 is steady +12 V, 0 steady -12 V, whatever was before."""
    for place, window in zip(bench.outlets, bench.windows):
        if not bench.vehicle("A", place):
            return
        for permille, mv in ((1000, 12000), (0, -12000), (500, 12000), (1000, 12000)):
            place.pilot.set_permille(permille)
            bench.wait(100)
            for found_mv in window[2:5]:
                bench.between("at %d permille, mV" % permille, mv - 700, found_mv, mv + 700)


def test_samples_are_new(bench):
    """The counts grow while sampling goes on, modulo 2^30, and are 2 in 20 ms at least."""
    for place, window in zip(bench.outlets, bench.windows):
        place.pilot.set_permille(500)
        bench.wait(100)
        before = window[0], window[1]
        bench.wait(200)
        for i in (0, 1):
            grown = (window[i] - before[i]) & 0x3FFFFFFF
            bench.between("new %s in 200 ms" % ("highs", "lows")[i], 20, grown, 4000)
            bench.expect(0 <= window[i] < 1 << 30, "a count below 2^30", window[i])


def test_what_it_can_offer(bench):
    """Its largest offer is one of IEC 61851-1, and a smaller one than 80 A says why."""
    for place in bench.outlets:
        bench.between("largest offer, mA", 6000, place.pilot.max_ma, 80000)
        bench.expect(
            place.pilot.max_ma == 80000 or place.pilot.max_reason, "a reason for that", "none"
        )
