"""What hal/mcu/port.py and hal/mcu/network_*.py ask of either port's modules."""

import contextlib
import sys
import types

import hal.mcu

PWRON, HARD, WDT, DEEPSLEEP, SOFT = range(1, 6)


def machine(chip):
    """Names for a fake `machine`. What was made is in `chip.wired`, a list of (kind, arguments);
    what a bus shall do, `chip` has: `chip.received[uart number]` is a bytearray that the UART
    reads from.
    """
    chip.wired = []
    chip.received = {}
    chip.sent = []
    chip.cause = PWRON
    chip.clock = (2021, 1, 1, 4, 0, 0, 3, 0)
    chip.resets = 0

    def bus(kind):
        class Bus:
            def __init__(self, number, *baud, **how):
                self.number = number
                chip.wired.append((kind, number, *baud, how))

            def any(self):
                return len(chip.received.get(self.number, b""))

            def readinto(self, buffer, n):
                assert 0 < n <= self.any(), "it would wait"
                received = chip.received[self.number]
                buffer[:n] = received[:n]
                del received[:n]
                return n

            def write_readinto(self, out, into):
                pass

            def nobody(self, *_, **__):
                raise OSError(19)

            readfrom_into = writeto = readfrom_mem_into = writeto_mem = nobody

            def write(self, data):
                chip.sent.append((self.number, bytes(data)))
                return len(data)

        return Bus

    class RTC:
        def datetime(self, *to):
            if to:
                chip.clock = to[0]
            return chip.clock

        def memory(self, *to):
            if to:
                chip.memory = to[0]
            return getattr(chip, "memory", b"")

    def reset():
        chip.resets += 1

    def bitstream(pin, encoding, timing, data):
        assert encoding == 0
        chip.sent.append((pin.number, bytes(data)))

    return {
        "UART": bus("uart"),
        "I2C": bus("i2c"),
        "SPI": bus("spi"),
        "RTC": RTC,
        "PWRON_RESET": PWRON,
        "WDT_RESET": WDT,
        "reset_cause": lambda: chip.cause,
        "unique_id": lambda: bytes.fromhex("e6614864d3778d28"),
        "bitstream": bitstream,
        "reset": reset,
    }


class Wlan:
    """network.WLAN; `log` has what it was told."""

    IF_STA = 0
    PM_NONE = 0

    def __init__(self, interface):
        assert interface == self.IF_STA
        self.log = []
        self.connected = False
        self.refuses = False

    def active(self, on):
        self.log.append(("active", on))

    def config(self, **how):
        self.log.append(("config", how))

    def isconnected(self):
        return self.connected

    def disconnect(self):
        self.log.append(("disconnect",))

    def connect(self, ssid, password):
        self.log.append(("connect", ssid, password))
        if self.refuses:
            raise OSError("Wifi Internal State Error")


class OneWire:
    """The frozen module's; nobody is there."""

    def __init__(self, pin):
        pass

    def reset(self):
        return False


@contextlib.contextmanager
def lazily(**modules):
    """A port's modules that are imported only when a board needs them, while the context lasts;
    `modules` are further ones, or names to add to `network`: network={"PPP": ...}.
    """
    network = types.ModuleType("network")
    network.WLAN = Wlan
    for name, value in modules.pop("network", {}).items():
        setattr(network, name, value)
    onewire = types.ModuleType("onewire")
    onewire.OneWire = OneWire
    fakes = {"network": network, "onewire": onewire, **modules}
    ours = ["hal.mcu.network_" + kind for kind in ("wifi", "ethernet", "modem")]
    ours.append("hal.mcu.secrets")
    before = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        yield network
    finally:
        for name in ours:
            sys.modules.pop(name, None)
            if hasattr(hal.mcu, name.split(".")[-1]):
                delattr(hal.mcu, name.split(".")[-1])
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
