"""Lamp: shows a colour until the next."""


def test_it_shows_colours(bench):
    for place in bench.outlets:
        lamp = getattr(place, "lamp", None)
        if lamp is None:
            bench.note("lamp", "none")
            continue
        for name, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255))):
            lamp.show(*colour)
            lamp.show(*colour)
            bench.wait(100)
            if bench.hands:
                shown = bench.ask(
                    "outlet %d: is the lamp %s?" % (bench.outlets.index(place) + 1, name)
                )
                bench.expect(shown, "a lamp that is %s" % name, "another colour")
        lamp.show(0, 0, 0)
