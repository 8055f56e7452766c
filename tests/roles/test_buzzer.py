"""Buzzer: sounds until it is told to be quiet."""


def test_it_sounds(bench):
    for place in bench.outlets:
        buzzer = getattr(place, "buzzer", None)
        if buzzer is None:
            bench.note("buzzer", "none")
            continue
        buzzer.sound(True)
        buzzer.sound(True)
        bench.wait(500)
        buzzer.sound(False)
        bench.wait(100)
        if bench.hands:
            bench.expect(bench.ask("did it sound, once?"), "a sound", "none")
