"""Meter: fresh readings within their ranges, and energy that only grows."""

from array import array

_WH, _MWH, _AGE, _MHZ, _MV, _MA, _MW = 0, 1, 2, 3, 4, 7, 10
_FRESH_MS = 1000
_FIRST_MS = 5000


def _first(bench, place):
    cells = array("i", [0] * 11)

    def fresh():
        place.meter.read(cells)
        return cells[_AGE] < _FRESH_MS

    bench.note("first reading after, ms", bench.until(fresh, _FIRST_MS, "a fresh reading"))
    return cells


def test_readings_are_plausible(bench):
    for place in bench.outlets:
        cells = _first(bench, place)
        mains = False
        for i in range(3):
            mv, ma = cells[_MV + i], cells[_MA + i]
            if i < place.phases:
                bench.between("L%d, mV" % (i + 1), 0, mv, 400000)
                bench.between("L%d, mA" % (i + 1), 0, ma, 500)
                mains = mains or mv > 80000
            else:
                bench.expect(mv == 0 and ma == 0, "0 of a phase that is not there", (mv, ma))
        if not mains:
            bench.note("mains", "none: connect them to test the meter")
        elif cells[_MHZ]:
            bench.between("mHz", 45000, cells[_MHZ], 65000)
        bench.between("mW at rest", -5000, cells[_MW], 200000)


def test_readings_stay_fresh_and_energy_only_grows(bench):
    for place in bench.outlets:
        cells = _first(bench, place)
        before = cells[_WH], cells[_MWH]
        for _ in range(30):
            bench.wait(100)
            place.meter.read(cells)
            bench.expect(0 <= cells[_AGE] < _FRESH_MS, "a fresh reading", cells[_AGE])
            bench.expect(0 <= cells[_MWH] < 1000, "mWh below 1000", cells[_MWH])
            bench.expect((cells[_WH], cells[_MWH]) >= before, "energy that grows", tuple(cells))
            before = cells[_WH], cells[_MWH]
