"""Inputs: one word of eight bits, nothing active on a board at rest, and the sensor's test."""

_RESIDUAL, _MIRROR, _LIVE = 1, 16, 8
NAMES = (
    "residual current, emergency stop, earth lost, voltage behind the contactor, mirror, "
    "door open, tilted, smoke"
)


def test_at_rest_nothing_is_active(bench):
    for place in bench.outlets:
        bench.wait(100)
        word = place.inputs.read()
        active = [name for i, name in enumerate(NAMES.split(", ")) if word >> i & 1]
        bench.expect(0 <= word < 256, "eight bits", word)
        bench.expect(not active, "nothing active at rest", ", ".join(active))


def test_the_residual_current_sensor_answers_its_test(bench):
    for place in bench.outlets:
        if not place.inputs.tests_residual:
            bench.note("residual-current sensor", "none with a test pin")
            continue
        place.inputs.test_residual(True)
        ms = bench.until(
            lambda place=place: place.inputs.read() & _RESIDUAL, 1000, "the sensor to trip"
        )
        bench.note("trips after, ms", ms)
        place.inputs.test_residual(False)
        ms = bench.until(
            lambda place=place: not place.inputs.read() & _RESIDUAL, 3000, "the trip to end"
        )
        bench.note("trip ends after, ms", ms)
