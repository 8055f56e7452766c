"""hal/mcu/port.py, rtc.py, network_*.py and the RP2040's further analogue inputs on models."""

import json

import pytest

from firmware import config
from tests.host import fake_port
from tests.host.fake_rp2040 import Chip, load, load_port
from tests.host.test_rp2040 import HIGH, LOW, MV, ONE, SPEC, Pile

UART = {"uart": 1, "tx": 4, "rx": 5}
I2C = {"i2c": 0, "scl": 21, "sda": 20}
SPI = {"spi": 0, "sck": 18, "mosi": 19, "miso": 16, "cs": 17}


@pytest.fixture
def chip():
    chip = Chip()
    chip.module = load(chip)
    chip.buses = chip.module.port.Buses(lambda pin: None)
    return chip


def wired(chip, kind):
    return [entry for entry in chip.wired if entry[0] == kind]


# --- Buses ---


def test_a_uart_has_its_pins_and_parity(chip):
    chip.buses.uart(UART, 4800, parity=0, stop=2)
    ((_, number, baud, how),) = wired(chip, "uart")
    assert (number, baud, how["parity"], how["stop"], how["bits"]) == (1, 4800, 0, 2, 8)
    assert (how["tx"].number, how["rx"].number) == (4, 5)


def test_a_uart_never_waits(chip):
    serial = chip.buses.uart(UART, 9600)
    buffer = bytearray(8)
    assert serial.any() == 0 and serial.readinto(buffer) is None
    chip.received[1] = bytearray(b"abc")
    assert serial.any() == 3 and serial.readinto(buffer) == 3 and buffer[:3] == b"abc"
    chip.received[1] = bytearray(b"0123456789")
    assert serial.readinto(buffer) == 8 and serial.readinto(buffer) == 2
    assert serial.write(b"xyz") == 3 and chip.sent == [(1, b"xyz")]


def test_chips_share_an_i2c_bus(chip):
    first = chip.buses.i2c(I2C)
    assert chip.buses.i2c(dict(I2C)) is first
    ((_, number, how),) = wired(chip, "i2c")
    assert number == 0 and how["freq"] == 400000 and how["timeout"] <= 10000
    assert (how["scl"].number, how["sda"].number) == (21, 20)
    assert chip.buses.i2c({"i2c": 1, "scl": 3, "sda": 2}, 100000) is not first


def test_chips_share_an_spi_bus_of_one_mode(chip):
    first, cs = chip.buses.spi(SPI, 1000000, 0, 0)
    assert chip.pins[17] == 1  # nobody is selected
    cs(0)
    assert chip.pins[17] == 0
    second, other = chip.buses.spi({**SPI, "cs": 22}, 1000000, 0, 0)
    assert second is first and chip.pins[22] == 1 and other is not cs
    assert len(wired(chip, "spi")) == 1
    with pytest.raises(ValueError, match="spi: expected one speed and mode"):
        chip.buses.spi({**SPI, "cs": 3}, 1000000, 1, 1)


def test_a_bus_number_of_i2c_is_none_of_spi(chip):
    assert chip.buses.i2c(I2C) is not chip.buses.spi(SPI, 1000000)[0]


def test_pins(chip):
    pin = chip.buses.output(7)
    assert chip.pins[7] == 0
    pin(1)
    assert chip.pins[7] == 1
    assert chip.buses.output(8, 1) and chip.pins[8] == 1
    level = chip.buses.input(9)
    assert ("pin", 9, "in", None) in chip.log
    chip.pins[9] = 1
    assert level() == 1


def test_pixels(chip):
    show = chip.buses.pixels(22, 2)
    assert chip.pins[22] == 0
    show(b"\x01\x02\x03\x04\x05\x06")
    assert chip.sent == [(22, b"\x01\x02\x03\x04\x05\x06")]


def test_a_chip_that_refuses_is_named_with_its_role_and_file(tmp_path):
    for place, text in (
        ({"meter": {"chip": "bl9999"}}, r"board.json: outlets\[0\].meter: .*bl9999"),
        ({"meter": {"chip": "bl0942", "uart": 1, "tx": 4}}, r"outlets\[0\].meter: .*rx"),
        ({"buzzer": {"chip": "buzzer", "pin": 3, "on": 7}}, r"outlets\[0\].buzzer: on: expected"),
    ):
        spec = {**ONE, "outlets": [{**ONE["outlets"][0], **place}]}
        with pytest.raises(ValueError, match=text):
            load(Chip()).make(spec, "board.json")
    with pytest.raises(ValueError, match=r"board\.json\.memory: kbit"):
        load(Chip()).make({**ONE, "memory": {"chip": "fm24", **I2C}}, "board.json")


# --- RP2040: other analogue inputs are links of the circle ---


def analogue_pile(*pins):
    pile = Pile(ONE)
    pile.chip.pilots = {0: 2}
    pile.inputs = [pile.module.also(pile.board._circle, pin) for pin in pins]
    return pile


def counts(chip, values):
    """The converter gives `values` (counts by input) beside the pilot's."""
    convert = chip.convert

    def other(cs):
        convert(cs)
        channel = cs >> 12 & 7
        if channel in values and chip.converting:
            chip.converting = (chip.converting[0], values[channel])

    chip.convert = other


@pytest.mark.parametrize("pins", [(27,), (27, 28), (27, 28, 29)])
def test_other_inputs_are_read_and_the_pilot_s_instants_stay(pins):
    pile = analogue_pile(*pins)
    values = {pin - 26: 1000 + 100 * pin for pin in pins}
    counts(pile.chip, values)
    for pilot in pile.pilots:
        pilot.set_permille(533)
    pile.chip.run(10100)
    for pin, adc in zip(pins, pile.inputs, strict=True):
        assert adc.read_mv() == values[pin - 26] * 3300 >> 12
    instants = [us for channel, us in pile.chip.instants if channel == 0][-10:]
    assert all(min(abs(us - 30), abs(us - 990)) < 0.5 for us in instants)
    window = pile.sample()[0]
    assert window[2:5] == [MV[0](HIGH)] * 3 and window[5:] == [MV[0](LOW)] * 3
    before = pile.counts()
    for n in range(1, 6):
        pile.chip.run(2000)
        assert pile.counts() == [before[0] + 2 * n, before[1] + 2 * n]


def test_other_inputs_are_read_anew_and_keep_their_place_after_a_restart():
    pile = analogue_pile(27, 28)
    values = {1: 1111, 2: 2222}
    counts(pile.chip, values)
    pile.chip.run(3400)  # in the middle of a turn
    pile.chip.active = None
    pile.module.start(pile.board._circle)
    pile.chip.run(10000)
    assert [adc.read_mv() for adc in pile.inputs] == [1111 * 3300 >> 12, 2222 * 3300 >> 12]
    values.update({1: 3000, 2: 100})
    pile.chip.run(4100)
    assert [adc.read_mv() for adc in pile.inputs] == [3000 * 3300 >> 12, 100 * 3300 >> 12]


def test_one_more_outlet_and_other_inputs_share_the_converter():
    pile = Pile(SPEC)
    adc = pile.module.also(pile.board._circle, 27)
    counts(pile.chip, {1: 1234})
    for pilot in pile.pilots:
        pilot.set_permille(533)
    pile.chip.run(10100)
    first, second = pile.sample()
    assert first[2:] == [MV[0](HIGH)] * 3 + [MV[0](LOW)] * 3
    assert second[2:] == [MV[1](HIGH + 2)] * 3 + [MV[1](LOW + 2)] * 3
    assert adc.read_mv() == 1234 * 3300 >> 12
    assert len(pile.chip.channels) == 10


# --- The calendar ---


def test_the_calendar(chip):
    rtc = load_port("hal.mcu.rtc", chip.modules())
    assert rtc.date() is None
    rtc.set_date("2026-11-21T10:52:16Z")
    assert chip.clock[:3] + chip.clock[4:7] == (2026, 11, 21, 10, 52, 16)
    assert rtc.date() == "2026-11-21T10:52:16Z"


# --- Wi-Fi ---


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"station_id": "CP-1", "wifi_ssid": "depot", "wifi_password": "p", "modem_apn": "iot"}
    (tmp_path / "config.json").write_text(json.dumps(given))
    assert config.load("config.json")["wifi_ssid"] == "depot"


def wifi():
    with fake_port.lazily():
        from hal.mcu import network_wifi

        return network_wifi.make({"kind": "wifi"}, None)


def test_wifi_connects_and_connects_again(secrets):
    link = wifi()
    connects = [("connect", "depot", "p")]
    link.tick(1000)
    assert [entry for entry in link._wlan.log if entry[0] == "connect"] == connects
    for now_ms in range(1020, 20000, 20):
        link.tick(now_ms)
    assert [entry for entry in link._wlan.log if entry[0] == "connect"] == connects
    link.tick(21000)
    assert [entry for entry in link._wlan.log if entry[0] == "connect"] == connects * 2
    link._wlan.connected = True
    assert link.up()
    link.tick(90000)
    assert [entry for entry in link._wlan.log if entry[0] == "connect"] == connects * 2
    link._wlan.connected = False
    link._wlan.refuses = True
    link.tick(90020)
    assert [entry for entry in link._wlan.log if entry[0] == "connect"] == connects * 3


def test_wifi_joins_again_when_nothing_passes(secrets):
    link = wifi()
    link.tick(1000)
    link._wlan.connected = True
    link.tick(2000)
    del link._wlan.log[:]
    link.rejoin(False)
    assert link._wlan.log == [("disconnect",)]
    link._wlan.connected = False
    link.tick(2020)  # at once
    assert link._wlan.log[1:] == [("disconnect",), ("connect", "depot", "p")]
    del link._wlan.log[:]
    link.rejoin(True)
    link.tick(2040)
    begun = [("active", False), ("active", True), ("config", {"pm": 0})]
    assert link._wlan.log[:3] == begun
    assert link._wlan.log[-1] == ("connect", "depot", "p")


def test_wifi_without_a_name_stays_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in (None, "{}", "nonsense", "[]", "5"):
        if text is not None:
            (tmp_path / "config.json").write_text(text)
        link = wifi()
        link.tick(0)
        link.rejoin(True)
        assert link._wlan.log == [] and not link.up()


# --- Modem ---


class Modem:
    """A modem at a UART, which answers each command by `answers`."""

    def __init__(self):
        self.heard = []
        self.out = bytearray()
        self.answers = {b"ATE0\r": b"OK\r\n", b"ATD*99#\r": b"CONNECT 150000000\r\n"}
        self.power = 1
        self.ppp = []
        self.connected = False

    def uart(self, number, baud, **how):
        self.how = (number, baud, how["tx"].number, how["rx"].number)
        return self

    def any(self):
        return len(self.out)

    def read(self, n=None):
        data = bytes(self.out[:n])
        del self.out[:n]
        return data or None

    def write(self, data):
        self.heard.append(data)
        self.out += self.answers.get(data, b"OK\r\n" if data.startswith(b"AT+") else b"")

    def make_ppp(self, stream):
        modem = self
        assert stream is self

        class Ppp:
            SEC_CHAP = 3

            def __init__(self):
                self.log = []

            def poll(self):
                pass

            def isconnected(self):
                return modem.connected

            def connect(self, **how):
                self.log.append(("connect", how))

            def disconnect(self):
                self.log.append(("disconnect",))

            def config(self, stream):
                assert stream is None
                self.log.append(("released",))

        self.ppp.append(Ppp())
        return self.ppp[-1]


@pytest.fixture
def modem(chip, secrets):
    modem = Modem()
    module = chip.modules()["machine"]
    module.UART = modem.uart
    spec = {"kind": "modem", "uart": 1, "tx": 4, "rx": 5, "power": 9}
    with fake_port.lazily(network={"PPP": modem.make_ppp}, machine=module):
        from hal.mcu import network_modem

        modem.link = network_modem.make(spec, chip.buses)
    modem.chip = chip
    modem.now_ms = 0
    return modem


def pass_ms(modem, ms):
    for _ in range(0, ms, 20):
        modem.now_ms += 20
        modem.link.tick(modem.now_ms)


def test_the_modem_is_dialled(modem):
    assert modem.how == (1, 115200, 4, 5) and modem.chip.pins[9] == 1
    pass_ms(modem, 14000)
    assert modem.heard == []  # it boots
    pass_ms(modem, 8000)
    commands = [b"+++", b"ATE0\r", b'AT+CGDCONT=1,"IP","iot"\r', b"ATD*99#\r"]
    assert modem.heard == commands
    assert modem.ppp[0].log == [("connect", {})] and not modem.link.up()
    modem.connected = True
    pass_ms(modem, 200000)
    assert modem.link.up() and modem.heard == commands


def test_a_lost_line_is_dialled_again(modem):
    modem.connected = True
    pass_ms(modem, 30000)
    assert modem.link.up()
    modem.connected = False
    pass_ms(modem, 59000)
    assert len(modem.ppp) == 1
    pass_ms(modem, 12000)
    assert modem.ppp[0].log[1:] == [("disconnect",), ("released",)]
    assert len(modem.ppp) == 2 and len(modem.heard) == 8


@pytest.mark.parametrize("answer", [b"", b"ERROR\r\n", b"NO CARRIER\r\n", b"\xff\x00garbage"])
def test_a_modem_that_refuses_is_switched_off_for_a_while(modem, answer):
    modem.answers[b"ATD*99#\r"] = answer
    levels = []
    for _ in range(20):
        pass_ms(modem, 20000)
        levels.append(modem.chip.pins[9])
    assert modem.heard.count(b"ATD*99#\r") >= 3 and modem.ppp == []
    assert 0 in levels or modem.chip.log.count(("level", 9, 0)) >= 1
    assert modem.chip.log[-1] != ("level", 9, 0) or levels[-1] == 0


def test_a_modem_is_off_for_five_seconds_and_boots_before_it_is_dialled(modem):
    modem.answers[b"ATD*99#\r"] = b"ERROR\r\n"
    while modem.chip.pins[9]:
        pass_ms(modem, 20)
    dialled = modem.heard.count(b"ATD*99#\r")
    began_ms = modem.now_ms
    while not modem.chip.pins[9]:
        pass_ms(modem, 20)
    assert 5000 <= modem.now_ms - began_ms <= 5020
    while modem.heard.count(b"ATD*99#\r") == dialled:
        pass_ms(modem, 20)
    assert modem.now_ms - began_ms >= 20000


@pytest.mark.parametrize("anew", [False, True])
def test_a_line_on_which_nothing_passes_is_dialled_again(modem, anew):
    modem.connected = True
    pass_ms(modem, 30000)
    modem.link.rejoin(anew)
    assert modem.ppp[0].log[1:] == [("disconnect",), ("released",)] and not modem.link.up()
    assert modem.chip.pins[9] == (not anew)
    pass_ms(modem, 4900)
    assert modem.chip.pins[9] == (not anew)
    pass_ms(modem, 30000)
    assert modem.chip.pins[9] == 1 and modem.link.up() and len(modem.ppp) == 2


def test_a_modem_that_is_being_dialled_is_let_do_so(modem):
    pass_ms(modem, 16000)
    step = modem.link._step
    modem.link.rejoin(False)
    assert modem.link._step == step


# --- Ethernet ---


class Lan:
    """network.LAN, or WIZNET5K."""

    def __init__(self, *args, **how):
        self.args, self.how, self.log = args, how, []

    def active(self, on):
        self.log.append(("active", on))

    def ipconfig(self, **how):
        self.log.append(("ipconfig", how))

    def isconnected(self):
        return True


@pytest.mark.parametrize("name", ["LAN", "WIZNET5K"])
def test_ethernet_on_a_w5500(chip, name):
    spec = {"kind": "ethernet", "phy": "W5500", **SPI, "reset": 22}
    module = chip.modules()["machine"]
    with fake_port.lazily(network={name: Lan, "PHY_W5500": 9}, machine=module):
        from hal.mcu import network_ethernet

        link = network_ethernet.make(spec, chip.buses)
    lan = link._lan
    assert ("active", True) in lan.log and link.up()
    if name == "LAN":
        assert lan.how["phy_type"] == 9 and lan.how["cs"].number == 17 and "spi" in lan.how
    else:
        assert lan.args[1].number == 17 and lan.args[2].number == 22
        assert lan.log[-1] == ("ipconfig", {"dhcp4": True})


def test_ethernet_on_rmii(chip):
    spec = {"kind": "ethernet", "phy": "LAN8720", "phy_addr": 1, "mdc": 23, "mdio": 18}
    module = chip.modules()["machine"]
    with fake_port.lazily(network={"LAN": Lan, "PHY_LAN8720": 2}, machine=module):
        from hal.mcu import network_ethernet

        lan = network_ethernet.make(spec, chip.buses)._lan
    assert lan.how["phy_addr"] == 1 and lan.how["mdc"].number == 23


def test_an_image_without_ethernet_says_so(chip):
    module = chip.modules()["machine"]
    with fake_port.lazily(machine=module):
        from hal.mcu import network_ethernet

        with pytest.raises(ValueError, match="no Ethernet"):
            network_ethernet.make({"kind": "ethernet", "phy": "W5500", **SPI}, chip.buses)
