"""`pile.py serviced` on a virtual board with faults that wait for service."""

from tests.host.bench_port import board, flashed


def test_it_lets_go_once_that_is_said(tmp_path):
    target = flashed(tmp_path / "flash")
    kept = target / "service"
    waiting = (1 << 9 | 1 << 26).to_bytes(4, "little")
    kept.write_bytes(waiting)
    with board(target) as served:
        told = served.within("serviced", code=2)
        assert "outlet 1: PowerSwitchFailure\noutlet 1: CurrentWhileOpen\n" in told
        assert "--yes says that it has been seen to" in told and kept.read_bytes() == waiting
        assert "nothing was let go" in served.within("serviced", answer="")
        assert "PowerSwitchFailure, CurrentWhileOpen" in served.within("monitor", "--for", "0.1")
        told = served.within("serviced", answer="yes")
        assert "have the causes been seen to?" in told
        assert "let go; " in told and "CP-7 on Virtual AC" in told
        assert "faults: none" in served.within("monitor", "--for", "0.1")
        assert kept.read_bytes() == bytes(4)
        assert served.pile("serviced", "--yes") == "no fault waits for service\n"
        kept.write_bytes(waiting)
        assert "let go; " in served.within("serviced", "--yes")
        assert kept.read_bytes() == bytes(4)
