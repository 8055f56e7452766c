"""`pile.py board check`: each mistake is named, and the reference boards have none."""

import copy
import json
import subprocess
import sys

import pytest

from tests.host import fake_port
from tests.host.fake_rp2040 import Chip, load
from tests.host.test_esp32 import Chip as Esp32
from tools.host import board

ESP32, S3, PICOW = (
    board.load(board.find(name)) for name in ("ac-7kw-esp32", "ac-22kw-esp32s3", "ac-7kw-picow")
)
# Without the words for each pin, which would be mistakes of their own below.
for _spec in (ESP32, S3, PICOW):
    _spec.pop("pins")


def changed(spec, **fields):
    """`spec` with each field, named as in outlets__0__pilot__pwm, at another value; ...: gone."""
    spec = copy.deepcopy(spec)
    for name, value in fields.items():
        *path, last = [int(part) if part.isdigit() else part for part in name.split("__")]
        at = spec
        for part in path:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        if value is ...:
            del at[last]
        elif isinstance(at, list) and last == len(at):
            at.append(value)
        else:
            at[last] = value
    return spec


def outlet(spec, **fields):
    """`spec` with fields of its first outlet changed."""
    return changed(spec, **{"outlets__0__" + name: value for name, value in fields.items()})


@pytest.mark.parametrize("name", board.names())
def test_a_reference_board_has_no_mistake_and_explains_each_pin(name):
    spec = board.load(board.find(name))
    assert board.check(spec) == []
    assert sorted(board.pins(spec)) == sorted(int(pin) for pin in spec["pins"])


def test_the_reference_boards():
    assert {"ac-7kw-esp32", "ac-22kw-esp32s3", "ac-7kw-picow"} <= set(board.names())
    for spec in (ESP32, S3, PICOW):
        assert board.check(spec) == []
        assert "memory" in spec and "hold" in spec["outlets"][0]["contactor"]


SECOND = {
    **PICOW["outlets"][0],
    "pilot": {"pwm": 0, "adc": 28, "zero_mv": -16500, "full_mv": 16500},
    "contactor": {"drive": 1, "hold": 3, "mirror": 7, "rated_ma": 40000},
    "inputs": {"rcd": 8, "test": 9},
    "meter": {"chip": "bl0942", "uart": 0, "tx": 0, "rx": 1},
}
MODEM = {"kind": "modem", "uart": 2, "tx": 25, "rx": 35}
W5500 = {"kind": "ethernet", "phy": "W5500"}

MISTAKES = {
    "the grid operator's contact at a pin that is used": (
        changed(ESP32, limit_input={"chip": "contact", "pin": 18}),
        "limit_input.pin: pin 18: used twice",
    ),
    "a level that is none": (
        changed(ESP32, limit_input={"chip": "contact", "pin": 19, "on": "high"}),
        "limit_input.on: expected 0 to 1, found 'high'",
    ),
    "a contact's field that is none": (
        changed(ESP32, limit_input={"chip": "contact", "pin": 19, "active_low": True}),
        "limit_input.active_low: no such field of a contact",
    ),
    "a pin used twice": (
        outlet(ESP32, buzzer__pin=18),
        "outlets[0].buzzer.pin: pin 18: used twice, by outlets[0].lamp.pixels too",
    ),
    "a pin of the pilot used by a chip": (
        outlet(ESP32, buzzer__pin=25),
        "outlets[0].buzzer.pin: pin 25: used twice, by outlets[0].pilot.pwm too",
    ),
    "drive and hold on one pin": (
        outlet(ESP32, contactor__hold=26),
        "outlets[0].contactor.hold: pin 26: used twice, by outlets[0].contactor.drive too",
    ),
    "a pin of the bus used by something else": (
        outlet(ESP32, buzzer__pin=22),
        "reader.scl: pin 22: used twice, by outlets[0].buzzer.pin too",
    ),
    "two signals of a bus on one pin": (
        changed(ESP32, reader__scl=21, memory__scl=21),
        "reader.sda: pin 21: used twice, by reader.scl too",
    ),
    "an input-only pin as output": (
        outlet(ESP32, buzzer__pin=35),
        "outlets[0].buzzer.pin: pin 35: input only",
    ),
    "an input-only pin as the pilot's": (
        outlet(ESP32, pilot__pwm=36),
        "outlets[0].pilot.pwm: pin 36: input only",
    ),
    "an input-only pin as a bus's output": (
        outlet(ESP32, meter__tx=39),
        "outlets[0].meter.tx: pin 39: input only",
    ),
    "an input without a pull-up": (
        outlet(ESP32, inputs__rcd=36),
        "outlets[0].inputs.rcd: pin 36: has no pull-up inside",
    ),
    "a mirror without a pull-up": (
        outlet(ESP32, contactor__mirror=39),
        "outlets[0].contactor.mirror: pin 39: has no pull-up inside",
    ),
    "a pin that is not led out": (
        outlet(ESP32, pilot__adc=37),
        "outlets[0].pilot.adc: pin 37: not led out of the module",
    ),
    "an ADC2 pin with Wi-Fi": (
        outlet(ESP32, socket={"chip": "socket", "adc": 4, "up_ohm": 1000, "lock": 2,
                              "unlock": 5, "feedback": 0}, thermometer__pin=15),
        "outlets[0].socket.adc: pin 4: of converter 2, which Wi-Fi stops: expected one of 32",
    ),
    "an ADC2 pin for the pilot without Wi-Fi": (
        changed(outlet(ESP32, pilot__adc=14, inputs__estop=35), network=...),
        "outlets[0].pilot.adc: pin 14: of converter 2, which the port gives to Wi-Fi",
    ),
    "an ADC2 pin with Wi-Fi on ESP32-S3": (
        outlet(S3, thermometer__adc=14, buzzer__pin=2),
        "outlets[0].thermometer.adc: pin 14: of converter 2, which Wi-Fi stops: expected one of 1",
    ),
    "a pin that is not the converter's": (
        outlet(ESP32, pilot__adc=23, contactor__shunt=...),
        "outlets[0].pilot.adc: pin 23: not the converter's, expected one of 32",
    ),
    "a pin of RP2040 that is not the converter's": (
        outlet(PICOW, pilot__adc=9),
        "outlets[0].pilot.adc: pin 9: not the converter's, expected one of 26, 27, 28",
    ),
    "a strapping pin": (
        outlet(ESP32, contactor__drive=12),
        "outlets[0].contactor.drive: pin 12: a strapping pin",
    ),
    "a strapping pin of ESP32-S3": (
        outlet(S3, buzzer__pin=45),
        "outlets[0].buzzer.pin: pin 45: a strapping pin",
    ),
    "a flash pin": (
        outlet(ESP32, buzzer__pin=9),
        "outlets[0].buzzer.pin: pin 9: the flash memory's",
    ),
    "a flash pin of ESP32-S3": (
        outlet(S3, buzzer__pin=27),
        "outlets[0].buzzer.pin: pin 27: the flash memory's",
    ),
    "the console's pin": (
        outlet(ESP32, buzzer__pin=3),
        "outlets[0].buzzer.pin: pin 3: the console's",
    ),
    "a USB pin": (outlet(S3, buzzer__pin=19), "outlets[0].buzzer.pin: pin 19: the USB port's"),
    "a pin of Pico W's radio": (
        outlet(PICOW, buzzer__pin=25),
        "outlets[0].buzzer.pin: pin 25: the Wi-Fi chip's",
    ),
    "a coil on a pin that is high at boot": (
        outlet(ESP32, contactor__hold=14, inputs__estop=27),
        "outlets[0].contactor.hold: pin 14: high while the controller boots",
    ),
    "a pin that is not there": (
        outlet(ESP32, buzzer__pin=24),
        "outlets[0].buzzer.pin: pin 24: esp32 has no such pin",
    ),
    "a pin of another controller": (
        outlet(PICOW, buzzer__pin=33),
        "outlets[0].buzzer.pin: pin 33: picow has no such pin",
    ),
    "no meter": (outlet(ESP32, meter=...), "outlets[0].meter: missing"),
    "no mirror contact": (
        outlet(ESP32, contactor__mirror=...),
        "outlets[0].contactor.mirror: missing: a welded contactor would not be seen",
    ),
    "no residual-current sensor": (
        outlet(ESP32, inputs=...),
        "outlets[0].inputs.rcd: missing",
    ),
    "a residual-current sensor that cannot be tested": (
        outlet(ESP32, inputs__test=...),
        "outlets[0].inputs.test: missing",
    ),
    "no thermometer": (outlet(ESP32, thermometer=...), "outlets[0].thermometer: missing"),
    "no pilot": (outlet(ESP32, pilot=...), "outlets[0].pilot: missing"),
    "no drive pin": (outlet(ESP32, contactor__drive=...), "outlets[0].contactor.drive: missing"),
    "no outlet": (changed(ESP32, outlets=[]), "outlets: "),
    "no hold": (
        outlet(ESP32, contactor__hold=...),
        "outlets[0].contactor.hold: missing: not fail-safe",
    ),
    "no FRAM on a board that sells energy": (changed(ESP32, memory=...), "memory: missing"),
    "a limit above the contactor's rating": (
        outlet(ESP32, contactor__rated_ma=25000),
        "outlets[0].max_ma: 32000 is above the contactor's rating, contactor.rated_ma 25000",
    ),
    "a limit above the board's rating": (
        outlet(ESP32, wiring_ma=31000, cable_ma=31000),
        "outlets[0].max_ma: 32000 is above the board's rating, wiring_ma 31000",
    ),
    "a limit above the cable's rating": (
        outlet(ESP32, cable_ma=20000),
        "outlets[0].max_ma: 32000 is above the cable's rating, cable_ma 20000",
    ),
    "a cable above the board's rating": (
        outlet(ESP32, cable_ma=63000),
        "outlets[0].cable_ma: 63000 is above the board's rating, wiring_ma 40000",
    ),
    "neither cable nor socket": (outlet(ESP32, cable_ma=...), "outlets[0].cable_ma: missing"),
    "cable and socket": (
        outlet(S3, cable_ma=32000),
        "outlets[0].cable_ma: a socket has no attached cable",
    ),
    "a limit that the controller's sampling cannot prove": (
        outlet(ESP32, max_ma=63000, wiring_ma=63000, cable_ma=63000, contactor__rated_ma=63000),
        "outlets[0].max_ma: 63000, but above 48000",
    ),
    "a limit above the standard's": (
        outlet(PICOW, max_ma=80000, wiring_ma=80000, cable_ma=80000, contactor__rated_ma=80000,
               standard="gbt18487"),
        "outlets[0].max_ma: 80000, but GB/T 18487.1 ends at 63000",
    ),
    "a pilot that does not fit the converter": (
        outlet(ESP32, pilot__zero_mv=-12000, pilot__full_mv=12000),
        "outlets[0].pilot: -12600 mV of the pilot put -83 mV on the pin, expected 150 to 2900",
    ),
    "a pilot in the ends that an ESP32 cannot read": (
        outlet(ESP32, pilot__zero_mv=-13000, pilot__full_mv=20000),
        "outlets[0].pilot: -12600 mV of the pilot put 40 mV on the pin, expected 150 to 2900",
    ),
    "a hold that outlasts its window": (
        changed(ESP32, deadman__release_ms=45),
        "deadman.window_ms: the hold may last 65 ms after the last feed, expected at most 60",
    ),
    "a window above what a standard allows": (
        changed(ESP32, deadman__window_ms=150),
        "deadman.window_ms: ",
    ),
    "more pulses than the hardware's train": (
        changed(PICOW, deadman__pulses=32, deadman__release_ms=5),
        "deadman.pulses: expected 1 to 31, found 32",
    ),
    "no figure for the hold's own time": (
        changed(ESP32, deadman__release_ms=...),
        "deadman.release_ms: missing",
    ),
    "an SPI pin that is not that bus's on RP2040": (
        changed(PICOW, reader__sck=14, outlets__0__inputs__rcd=18),
        "reader.sck: pin 14: cannot be SPI 0's sck, expected one of 2, 6, 18, 22",
    ),
    "MOSI and MISO exchanged on RP2040": (
        changed(PICOW, reader__mosi=16, reader__miso=19),
        "reader.mosi: pin 16: cannot be SPI 0's mosi",
    ),
    "an I2C pin that is not that bus's on RP2040": (
        changed(PICOW, memory__i2c=1),
        "memory.scl: pin 21: cannot be I2C 1's scl, expected one of 3, 7, 11, 15, 19, 23, 27",
    ),
    "SDA and SCL exchanged on RP2040": (
        changed(PICOW, memory__scl=20, memory__sda=21),
        "memory.sda: pin 21: cannot be I2C 0's sda",
    ),
    "a UART pin that is not that UART's on RP2040": (
        outlet(PICOW, meter__uart=0),
        "outlets[0].meter.tx: pin 4: cannot be UART 0's tx, expected one of 0, 12, 16, 28",
    ),
    "a UART that is not there": (
        outlet(ESP32, meter__uart=3),
        "outlets[0].meter.uart: 3: expected one of 1, 2",
    ),
    "the console's UART": (
        outlet(ESP32, meter__uart=0),
        "outlets[0].meter.uart: 0: expected one of 1, 2",
    ),
    "a UART used twice": (
        changed(ESP32, network__1={**MODEM, "uart": 1, "tx": 2}),
        "network[1].uart: 1: used twice, by outlets[0].meter too",
    ),
    "an I2C bus on two pairs of pins": (
        changed(ESP32, memory__scl=5),
        "memory.scl: pin 5: reader has pin 22 for the same bus",
    ),
    "two pilots on one PWM channel": (
        changed(PICOW, outlets__1=SECOND, outlets__1__pilot__pwm=18),
        "outlets[1].pilot.pwm: pin 18: PWM channel of outlets[0] too",
    ),
    "more DMA channels than there are": (
        changed(PICOW, outlets__1=SECOND, outlets__2=SECOND),
        "outlets: 16 DMA channels, expected at most 12",
    ),
    "more holds than state machines": (
        changed(PICOW, outlets=[PICOW["outlets"][0]] * 5),
        "outlets: 5, expected at most 4",
    ),
    "Wi-Fi on a controller without": (
        changed(PICOW, variant="pico"),
        "network[0].kind: this controller has no Wi-Fi",
    ),
    "RMII on a controller without": (
        changed(S3, network__1={"kind": "ethernet", "phy": "LAN8720"}),
        "network[1].phy: LAN8720, but only the ESP32 has RMII",
    ),
    "RMII's fixed pins in use": (
        changed(ESP32, network__1={"kind": "ethernet", "phy": "LAN8720", "mdc": 23, "mdio": 18}),
        "network[1].RMII: pin 25: used twice, by outlets[0].pilot.pwm too",
    ),
    "a PHY that cannot be talked to": (
        changed(ESP32, network__1={"kind": "ethernet", "phy": "LAN8720"}),
        "network[1].mdc: missing",
    ),
    "a W5500 without its bus": (changed(S3, network__1=W5500), "network[1].spi: missing"),
    "a W5500 without its pins": (
        changed(S3, network__1={**W5500, "spi": 2}),
        "network[1].sck: missing",
    ),
    "a network of no kind": (
        changed(ESP32, network__1={"kind": "token ring"}),
        "network[1].kind: expected wifi, ethernet or modem, found 'token ring'",
    ),
    "a field that is a number": ({**ESP32, "7": 1}, "7: no such field"),
    "a modem without a UART": (
        changed(ESP32, network__1={"kind": "modem"}),
        "network[1].uart: missing",
    ),
    "a chip that nobody wrote": (
        outlet(ESP32, meter__chip="bl9999"),
        "outlets[0].meter.chip: no hal/chips/bl9999.py",
    ),
    "a chip without its pins": (outlet(ESP32, meter__rx=...), "outlets[0].meter.rx: missing"),
    "a field that the chip refuses": (
        outlet(ESP32, meter__shunt_uohm=0),
        "outlets[0].meter.shunt_uohm: expected",
    ),
    "a single-phase chip on three phases": (
        outlet(ESP32, phases=3),
        "outlets[0].meter.phases: expected 1, found 3",
    ),
    "a nameplate with a field of its own": (
        outlet(ESP32, meter__nameplate__maker="x"),
        "outlets[0].meter.nameplate.maker: no such field",
    ),
    "a serial that is no text": (
        outlet(S3, billing__nameplate={"serial": 7}),
        "outlets[0].billing.nameplate.serial: 7 is not of type 'string'",
    ),
    "a model that no receipt has room for": (
        outlet(ESP32, meter__nameplate={"model": "x" * 25}),
        "outlets[0].meter.nameplate.model: expected 1 to 24 printable ASCII characters, none of",
    ),
    "a serial with what separates a receipt's sections": (
        outlet(ESP32, meter__nameplate={"serial": "1|2"}),
        "outlets[0].meter.nameplate.serial: expected 1 to 32 printable ASCII characters",
    ),
    "an empty vendor": (
        outlet(ESP32, meter__nameplate={"vendor": ""}),
        "outlets[0].meter.nameplate.vendor: expected 1 to 24",
    ),
    "a nameplate of a lamp": (
        outlet(ESP32, lamp__nameplate={"model": "x"}),
        "outlets[0].lamp.nameplate: no such field of a lamp",
    ),
    "a pin that is no number": (
        outlet(ESP32, buzzer__pin="GPIO19"),
        "outlets[0].buzzer.pin: expected a pin's number, found 'GPIO19'",
    ),
    "a bus that is no number": (
        outlet(ESP32, meter__uart="UART1"),
        "outlets[0].meter.uart: ",
    ),
    "an input that is turned round but not there": (
        outlet(ESP32, inputs__active_low=["door"]),
        "outlets[0].inputs.active_low: door is no input of this board",
    ),
    "a field that does not exist": (
        outlet(ESP32, contactor__hodl=27),
        "outlets[0].contactor.hodl: no such field",
    ),
    "a role that does not exist": (outlet(ESP32, toaster={}), "outlets[0].toaster: no such field"),
    "a variant of another controller": (
        changed(ESP32, variant="picow"),
        "variant: expected one of mcu esp32, found picow",
    ),
    "an unknown controller": (changed(ESP32, mcu="z80"), "mcu: 'z80'"),
    "four phases": (outlet(ESP32, phases=4), "outlets[0].phases: 4"),
    "a pin without its reason": (
        changed(ESP32, pins={"4": "thermometer"}),
        "pins.13: missing: outlets[0].inputs.test uses it",
    ),
    "a reason without its pin": (
        changed(ESP32, pins={"35": "nothing"}),
        "pins.35: nothing uses it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    spec, text = MISTAKES[name]
    found = board.check(spec)
    assert any(mistake.startswith(text) for mistake in found), found
    assert len(set(found)) == len(found), found


def test_what_is_missing_in_a_link_is_told_once():
    assert board.check(changed(ESP32, network__1={"kind": "modem", "uart": 2})) == [
        "network[1].tx: missing",
        "network[1].rx: missing",
    ]
    assert board.check(changed(ESP32, network__1={})) == ["network[1].kind: missing"]
    assert len(board.check(changed(ESP32, network__1="wifi"))) == 1


# What needs nothing else to be wrong is told alone.
ALONE = [
    "an input-only pin as output",
    "a strapping pin",
    "no hold",
    "no meter",
    "no FRAM on a board that sells energy",
    "a limit above the contactor's rating",
    "a hold that outlasts its window",
    "a UART used twice",
    "an I2C bus on two pairs of pins",
    "a chip that nobody wrote",
    "a field that the chip refuses",
]


@pytest.mark.parametrize("name", ALONE)
def test_a_mistake_brings_no_others(name):
    spec, text = MISTAKES[name]
    found = [mistake for mistake in board.check(spec) if not mistake.startswith(text)]
    assert [mistake for mistake in found if "strapping" not in mistake] == []


def test_a_board_that_sells_nothing_needs_no_fram():
    assert board.check(changed(ESP32, memory=..., sells_energy=False)) == []


def test_two_outlets_on_rp2040_with_wifi():
    second = changed(SECOND, meter__tx=0, pilot__pwm=7, contactor__mirror=24)
    second = changed(second, contactor__drive=3, contactor__hold=23, meter__rx=1)
    second.pop("thermometer")
    second.pop("lamp")
    second.pop("buzzer")
    spec = changed(outlet(PICOW, thermometer=..., buzzer=...), outlets__1=second)
    assert not [mistake for mistake in board.check(spec) if "DMA" in mistake or "PWM" in mistake]


@pytest.mark.parametrize("name", board.names())
def test_the_window_is_the_controller_s_own(name):
    spec = board.load(board.find(name))
    module = load(Chip()) if spec["mcu"] == "rp2040" else Esp32().module
    assert board.hold_ms(spec) == module.hold_ms(spec)


@pytest.mark.parametrize("name", board.names())
def test_a_reference_board_comes_up_on_the_model_of_its_controller(name):
    spec = board.load(board.find(name))
    module = load(Chip()) if spec["mcu"] == "rp2040" else Esp32().module
    with fake_port.lazily():
        built = module.make(spec, name)
    assert len(built.devices) == len(list(board.chips(spec))) + len(spec["network"])
    place = built.outlets[0]
    roles = (place.meter, place.thermometer, place.lamp, place.buzzer, built.reader, built.memory)
    assert all(roles) and (place.socket is None) == ("socket" not in spec["outlets"][0])
    for now_ms in range(0, 2000, 20):
        for device in built.devices:
            device.tick(now_ms)


def test_modules_are_what_the_board_needs_and_no_more():
    found = board.modules(ESP32)
    assert {"hal", "hal.burst", "hal.chips", "hal.chips.bl0942", "hal.chips.card", "hal.mcu.esp32",
            "hal.mcu.common", "hal.mcu.port", "hal.mcu.network_wifi"} <= set(found)
    assert not [name for name in found if "virtual" in name or "rp2040" in name or "roles" in name]
    assert "hal.burst" not in board.modules(PICOW)
    assert all(board.source(name) for name in found)


def command(*args):
    done = subprocess.run(
        [sys.executable, "tools/pile.py", "board", "check", *args],
        cwd=board.REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_command(tmp_path):
    code, told, _ = command("ac-7kw-esp32")
    assert code == 0 and "no mistake" in told
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(outlet(ESP32, contactor__hold=..., buzzer__pin=18)))
    code, _, told = command(str(path))
    assert code == 1 and len(told.splitlines()) == 3 and "not fail-safe" in told
    path.write_text("{")
    for name in (str(path), str(tmp_path / "no.json")):
        code, _, told = command(name)
        assert code == 2 and len(told.splitlines()) == 1 and name in told


@pytest.mark.parametrize("spec", [ESP32, S3, PICOW], ids=["esp32", "s3", "picow"])
def test_a_misspelt_field_of_a_chip_is_named(spec):
    # its driver would take the default without a word
    for where, chip, _ in board.chips(copy.deepcopy(spec)):
        for name in list(chip):
            if name != "chip":
                chip[name + "x"] = chip[name]
                told = board.record(spec | _with(spec, where, chip))[1]
                assert "%s.%sx: no such field of a %s" % (where, name, chip["chip"]) in told
                del chip[name + "x"]


def _with(spec, where, chip):
    changed_spec = copy.deepcopy(spec)
    at = changed_spec
    *path, last = where.replace("[", ".").replace("]", "").split(".")
    for part in path:
        at = at[int(part)] if part.isdigit() else at[part]
    at[last] = chip
    return changed_spec


def test_a_misspelt_calibration_is_named():
    spec = outlet(ESP32, meter__calibration={"powr": 2000})
    assert board.check(spec) == ["outlets[0].meter.calibration.powr: no such field of a bl0942"]
