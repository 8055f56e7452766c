"""Log and witness: take what they are told, and raise nothing."""


def test_log_takes_events(bench):
    for number in range(60):
        bench.board.log.record("bench", number=number, text="x" * 200, nothing=None)


def test_witness_is_told(bench):
    for place in bench.outlets:
        for name in ("A1", "B2", "C2", "D2", "E", "F"):
            place.witness.state(name)
        place.witness.fault("GroundFailure", 1, True)
        place.witness.fault("GroundFailure", 0, False)
