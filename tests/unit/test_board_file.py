"""hal/mcu/board_file.py: chips by name from a board's file; and modules that are let go of."""

import sys
from array import array

import hal
from hal.mcu import board_file
from hal.mcu.common import Board


class Pin:
    def __init__(self, value):
        self.level = value

    def __call__(self, value):
        self.level = value


class Serial:
    def any(self):
        return 0

    def readinto(self, buffer):
        return None

    def write(self, data):
        return len(data)


class Buses:
    """Pins that remember, a UART that nobody is at."""

    def __init__(self):
        self.pins = {}

    def output(self, pin, value=0):
        self.pins[pin] = Pin(value)
        return self.pins[pin]

    def uart(self, spec, baud, parity=None, stop=1):
        self.pins[spec["tx"]] = self.pins[spec["rx"]] = None
        return Serial()


class Pilot:
    max_ma = 48000
    max_reason = "sampling"


def make(**place):
    place["max_ma"] = place.get("max_ma", 32000)
    board = Board()
    board.outlets = [board_file.outlet(place, Pilot(), None, None)]
    spec = {"mcu": "none", "outlets": [place], "memory": place.pop("memory", None)}
    if spec["memory"] is None:
        del spec["memory"]
    buses = Buses()
    board_file.equip(board, spec, "board.json", buses)
    return board, buses


def refusal(**place):
    try:
        make(**place)
    except ValueError as error:
        return str(error)


def test_chips_get_their_roles_and_are_ticked():
    board, buses = make(
        buzzer={"chip": "buzzer", "pin": 19},
        lamp={"chip": "lamp", "red": 1, "green": 2},
    )
    place = board.outlets[0]
    assert sorted(buses.pins) == [1, 2, 19]
    place.buzzer.sound(True)
    for device in board.devices:
        device.tick(0)
    assert buses.pins[19].level == 1
    assert len(board.devices) == 2 and place.lamp is not None and place.thermometer is None


def test_without_a_meter_the_reading_is_for_ever_old():
    board, _ = make()
    cells = array("i", [1] * 11)
    board.outlets[0].meter.read(cells)
    assert cells[2] == 1 << 29 and board.reader.read() is None and board.memory is None


def test_a_refusal_names_file_role_and_field():
    assert refusal(buzzer={"chip": "buzzer", "pin": 1, "on": 2}).startswith(
        "board.json: outlets[0].buzzer: on: expected 0 to 1, found 2"
    )
    assert refusal(buzzer={"chip": "bl9999"}).startswith("board.json: outlets[0].buzzer: ")
    assert "pin" in refusal(buzzer={"chip": "buzzer"})
    assert refusal(memory={"chip": "fm24"}).startswith("board.json.memory: kbit: expected")


def test_the_billing_meter_counts_and_the_older_reading_is_told():
    board, _ = make(
        meter={"chip": "bl0942", "uart": 1, "tx": 1, "rx": 2},
        billing={"chip": "dlt645", "uart": 2, "tx": 3, "rx": 4},
    )
    assert len(board.devices) == 2 and board.outlets[0].nameplate == {}
    supervising, billing = board.devices
    for meter, cells in ((supervising, (1, 2, 300, 50000, 230000)), (billing, (7, 8, 400, 1, 1))):
        for i, value in enumerate(cells):
            meter.cells[i] = value
    cells = array("i", [0] * 11)
    board.outlets[0].meter.read(cells)
    assert list(cells)[:5] == [7, 8, 400, 50000, 230000]


def test_the_nameplate_is_that_of_the_meter_that_counts():
    of_meter, of_billing = {"model": "BL0942"}, {"serial": "17", "firmware": "2"}
    meter = {"chip": "bl0942", "uart": 1, "tx": 1, "rx": 2, "nameplate": of_meter}
    billing = {"chip": "dlt645", "uart": 2, "tx": 3, "rx": 4, "nameplate": of_billing}
    assert make(meter=meter)[0].outlets[0].nameplate == of_meter
    assert make(meter=meter, billing=billing)[0].outlets[0].nameplate == of_billing


def test_the_offer_is_what_wiring_and_sampling_allow():
    assert make(max_ma=32000)[0].outlets[0].max_ma == 32000
    place = make(max_ma=63000)[0].outlets[0]
    assert (place.max_ma, place.max_reason) == (48000, "sampling")


def test_a_module_that_is_let_go_of_is_gone_and_can_be_had_again():
    name = "hal.mcu.board_file"
    hal.let_go((name, "hal.mcu.never_was"))
    assert name not in sys.modules and not hasattr(sys.modules["hal.mcu"], "board_file")
    from hal.mcu import board_file as again

    assert again is not board_file and again.outputs({}) == []
