"""What the ports of both microcontrollers offer alike while a board is made: buses, and who and
why. Let go of then.
"""

import machine
from micropython import const

from hal.mcu import board_file, common

# The longest that an I2C transfer may take: 128 bytes take 3 ms at 400 kHz. Only a broken bus
# makes it wait so long.
_I2C_US = const(10000)


def make_safe(spec):
    """Pull every output of the board low, what energises first. A soft reset leaves pins as they
    were, so this comes first in boot.py.
    """
    for pin in board_file.outputs(spec):
        machine.Pin(pin, machine.Pin.OUT, value=0)


def watch():
    """Begin to watch over the main loop; returns the function that feeds the watchdog."""
    return machine.WDT(timeout=common.WATCHDOG_MS).feed


def equip(board, spec, path, adc, word):
    """Give `board` what hangs on its buses, `adc(pin)` being the converter's; and tell it who it
    is and why it booted, by the retained `word` or the controller. Raises ValueError.
    """
    board.serial = "".join(["%02X" % byte for byte in machine.unique_id()])
    cause = machine.reset_cause()
    if word >> 5:
        board.boot_reason = common.REASONS[(word >> 5) - 1]
    elif cause == machine.PWRON_RESET:
        board.boot_reason = "PowerUp"
    else:  # on RP2040 a reset by software counts as one by the watchdog, which makes it
        board.boot_reason = "Watchdog" if cause == machine.WDT_RESET else "ApplicationReset"
    board.restart = machine.reset
    board_file.equip(board, spec, path, Buses(adc))


class Buses:
    """The role of that name, with the controller's own `adc`."""

    def __init__(self, adc):
        self.adc = adc
        self._shared = {}

    def uart(self, spec, baud, parity=None, stop=1):
        """See the role."""
        # Both pins always: a port's own choice for one not named may be taken already.
        tx = machine.Pin(spec["tx"])
        rx = machine.Pin(spec["rx"])
        return common.Serial(
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
        return common.pixels(machine.bitstream, self.output(pin))
