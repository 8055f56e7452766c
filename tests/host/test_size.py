"""An AC station with its chips fits its board. A Pico W leaves 198 kB of heap once Wi-Fi and
asyncio are up, and code takes about 1.5 times its .mpy there: 90 kB, which leaves 30 kB for a TLS
session, 30 kB for state and buffers, and 48 kB free for work.
"""

import pytest

from tools import size
from tools.host import board

LETS_GO = (size.ROOT / "main.py").read_text() + (size.ROOT / "hal" / "__init__.py").read_text()
MPY_BYTES, HEAP_BYTES = 60_000, 110_000


@pytest.fixture(scope="module")
def found():
    return size.bench()


@pytest.mark.parametrize("name", board.names())
def test_a_reference_board_is_within_its_budget(found, name):
    assert found["boards"][name]["mpy_bytes"] <= MPY_BYTES
    assert found["boards"][name]["heap_bytes_32bit"] <= HEAP_BYTES


def test_what_is_measured_is_the_whole_ac_station(found):
    rooms = dict(found["mpy_bytes"])
    total = rooms.pop("total")
    assert total == sum(rooms.values()) == found["boards"]["ac-7kw-picow"]["mpy_bytes"]
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
    modules = size.ac_station("ac-7kw-picow")
    assert {"firmware.uplink.line", "hal.chips.hlw8032", "hal.mcu.rp2040_tick"} <= set(modules)
    assert not [name for name in modules if "virtual" in name]


def test_what_is_let_go_of_is_let_go_of():
    assert {"hal.mcu.port", "hal.mcu.esp32"} <= set(size.boot_only("ac-7kw-esp32"))
    for name in size.boot_only("ac-7kw-picow"):
        known = name.startswith(("hal.mcu.", "hal.chips.spec"))
        assert known or repr(name).replace("'", '"') in LETS_GO
    begin = (size.ROOT / "hal" / "begin.py").read_text()
    assert 'name.startswith("hal.chips.spec")' in begin
    assert {"hal.chips.spec", "hal.chips.spec_ntc"} <= set(size.boot_only("ac-7kw-picow"))
    modules = ["hal", "hal.log", "hal.mcu", "hal.mcu.common"]
    modules.append("hal.mcu.board_file")
    every = size.measure(modules)
    rest = size.measure(modules, gone=modules[-1:])
    assert every["mpy_bytes"]["total"] > rest["mpy_bytes"]["total"]
    assert every["heap_bytes_32bit"] > rest["heap_bytes_32bit"] + 1000


def test_nothing_that_stays_holds_what_chips_need_while_they_are_made():
    for path in sorted((size.ROOT / "hal").rglob("*.py")):
        if path.parent.name != "chips" or not path.name.startswith("spec"):
            assert not [name for name in board.imports(path) if name.startswith("hal.chips.spec")]


def test_any_list_of_modules_can_be_measured():
    found = size.measure(["firmware", "firmware.ticks"])
    assert set(found["mpy_bytes"]) == {"total", "station"}
    assert 0 < found["heap_bytes_32bit"] < 3000


def test_machine_code_is_left_out_of_the_bytecode_build():
    text = "import micropython\n\n@micropython.viper\ndef f(x: int) -> int:\n    return x\n"
    assert size.bytecode_only(text) == text.replace("@micropython.viper", "")
