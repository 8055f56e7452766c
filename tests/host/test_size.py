"""An AC station fits a board: design.md's budget for its code."""

from tools import size


def test_the_ac_station_is_within_its_budget():
    found = size.measure()
    rooms = dict(found["mpy_bytes"])
    total = rooms.pop("total")
    assert total == sum(rooms.values())
    # What runs on every board must be in the sum: a loader that loads less would look small.
    assert {
        "safety",
        "outlet",
        "energy",
        "access",
        "ledger",
        "uplink",
        "station",
        "hal",
        "umqtt",
    } <= set(rooms)
    assert "firmware.uplink.line" in size.ac_station()
    assert total <= 60_000
    assert found["heap_bytes_32bit"] <= 110_000


def test_any_list_of_modules_can_be_measured():
    found = size.measure(["firmware", "firmware.ticks"])
    assert set(found["mpy_bytes"]) == {"total", "station"}
    assert 0 < found["heap_bytes_32bit"] < 3000


def test_machine_code_is_left_out_of_the_bytecode_build():
    text = "import micropython\n\n@micropython.viper\ndef f(x: int) -> int:\n    return x\n"
    assert size.bytecode_only(text) == text.replace("@micropython.viper", "")
