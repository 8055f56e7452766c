"""What hal/mcu/port.py asks of either port's `machine`."""

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
