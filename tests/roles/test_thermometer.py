"""Thermometer: tenths of a degree, or None for a lost sensor."""


def test_it_reads_a_plausible_temperature(bench):
    for place in bench.outlets:
        if place.thermometer is None:
            bench.note("thermometer", "none")
            continue
        bench.until(lambda place=place: place.thermometer.read() is not None, 5000, "a reading")
        first = place.thermometer.read()
        bench.between("tenths of a degree C", -400, first, 1250)
        bench.wait(2000)
        second = place.thermometer.read()
        bench.expect(second is not None, "a reading that stays", "none")
        bench.between("change in 2 s", -50, second - first, 50)
