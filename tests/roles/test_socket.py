"""Socket: the cable's resistor, and a lock that ends by itself."""


def test_the_cable_is_read(bench):
    for place in bench.outlets:
        if place.socket is None:
            bench.note("socket", "none: the cable is attached")
            continue
        bench.wait(500)
        ohm = place.socket.proximity_ohm()
        bench.expect(ohm is None or ohm >= 0, "a resistance or none", ohm)
        bench.note("without a cable, Ohm", ohm)


def test_the_lock_moves(bench):
    for place in bench.outlets:
        if place.socket is None:
            continue
        for on in (True, False, False):
            place.socket.lock(on)
            ms = bench.until(
                lambda place=place, on=on: place.socket.locked() == on, 3000, "the lock to move"
            )
            bench.note("%s after, ms" % ("locked" if on else "unlocked"), ms)
