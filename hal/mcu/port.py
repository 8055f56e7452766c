"""What the ports of both microcontrollers offer alike: buses, and who and why."""

import machine
from micropython import const

from hal.mcu import common

# The longest that an I2C transfer may take: 128 bytes take 3 ms at 400 kHz. Only a broken bus
# makes it wait so long.
_I2C_US = const(10000)
# Of a WS2812: a 0 is high for 400 ns and low for 850, a 1 high for 800 and low for 450.
_WS2812_NS = (400, 850, 800, 450)


def watch():
    """Begin to watch over the main loop; returns the function that feeds the watchdog."""
    return machine.WDT(timeout=common.WATCHDOG_MS).feed


class Buses:
    """The role of that name, but for `adc`, which each controller has its own; and who the
    controller is.
    """

    restart = staticmethod(machine.reset)

    @staticmethod
    def serial():
        """The controller's unique id, upper-case hex."""
        return "".join(["%02X" % byte for byte in machine.unique_id()])

    @staticmethod
    def boot_reason():
        """Why it booted, as OCPP's BootReasonEnumType. A reset by software counts on RP2040 as one
        by the watchdog, which makes it.
        """
        cause = machine.reset_cause()
        if cause == machine.PWRON_RESET:
            return "PowerUp"
        return "Watchdog" if cause == machine.WDT_RESET else "ApplicationReset"

    def __init__(self):
        self._shared = {}

    def uart(self, spec, baud, parity=None, stop=1):
        """See the role. An RS-485 transceiver must find its direction itself."""
        # Both pins always: a port's own choice for one not named may be taken already.
        tx = machine.Pin(spec["tx"])
        rx = machine.Pin(spec["rx"])
        return _Serial(
            machine.UART(spec["uart"], baud, bits=8, parity=parity, stop=stop, tx=tx, rx=rx)
        )

    def i2c(self, spec, hz=400000):
        """See the role."""
        n = spec["i2c"]
        bus = self._shared.get(n)
        if bus is None:
            scl = machine.Pin(spec["scl"])
            sda = machine.Pin(spec["sda"])
            bus = machine.I2C(n, scl=scl, sda=sda, freq=hz, timeout=_I2C_US)
            self._shared[n] = bus
        return bus

    def spi(self, spec, hz, polarity=0, phase=0):
        """See the role. Raises ValueError when another chip on the bus needs another mode."""
        n = spec["spi"]
        mode = (hz, polarity, phase)
        cs = self.output(spec["cs"], 1)
        seen, bus = self._shared.get(-1 - n, (mode, None))
        if seen != mode:
            raise ValueError("spi: expected one speed and mode on a bus, found two")
        if bus is None:
            sck, mosi, miso = [machine.Pin(spec[name]) for name in ("sck", "mosi", "miso")]
            bus = machine.SPI(n, hz, polarity=polarity, phase=phase, sck=sck, mosi=mosi, miso=miso)
            self._shared[-1 - n] = mode, bus
        return bus, cs

    def output(self, pin, value=0):
        """See the role."""
        return machine.Pin(pin, machine.Pin.OUT, value=value)

    def input(self, pin, pull_up=True):
        """See the role."""
        if pull_up:
            return machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
        return machine.Pin(pin, machine.Pin.IN)

    def onewire(self, pin):
        """See the role. Interrupts are off for 70 us of each bit."""
        from onewire import OneWire  # frozen in both ports' images

        return OneWire(machine.Pin(pin))

    def pixels(self, pin, n):
        """See the role. Interrupts are off for 30 us a pixel on RP2040."""
        line = machine.Pin(pin, machine.Pin.OUT, value=0)
        return lambda data: machine.bitstream(line, 0, _WS2812_NS, data)


class _Serial:
    def __init__(self, uart):
        self._uart = uart
        self.any = uart.any
        self.write = uart.write

    def readinto(self, buffer):
        # Asked for more than is there, both ports wait for another character.
        n = min(self._uart.any(), len(buffer))
        return self._uart.readinto(buffer, n) if n else None
