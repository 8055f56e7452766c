"""The line over a 4G modem: dialled by AT commands (3GPP TS 27.007), then PPP.

In a board's file: {"kind": "modem", "uart": N, "tx": PIN, "rx": PIN, "baud": 115200, "power":
PIN}. `power` supplies it while high: a modem that fails is switched off for a while.
"""

from time import ticks_diff

import machine
import network
from micropython import const

_ANSWER_MS = const(3000)
_DIAL_MS = const(60000)  # also until PPP has an address
_OFF_MS = const(5000)
_BOOT_MS = const(15000)
_FAILURES = const(3)

_PAUSE = const(-1)  # steps; from 0 on it is that command's answer that is waited for
_PPP = const(100)


def make(spec, buses):
    """The link; without an access point's name in the configuration it uses the SIM's own."""
    from hal.mcu import secrets

    uart = machine.UART(
        spec["uart"],
        spec.get("baud", 115200),
        tx=machine.Pin(spec["tx"]),
        rx=machine.Pin(spec["rx"]),
        txbuf=1024,
        rxbuf=2048,
    )
    power = buses.output(spec["power"], 1) if "power" in spec else None
    return Modem(uart, power, secrets.of("modem"))


class Modem:
    """Dials, and dials again; `tick` is a device's."""

    interface = "Wireless"

    def __init__(self, uart, power, secret):
        self._uart = uart
        self._power = power
        self._secret = secret
        self._commands = (
            b"+++",  # it may still be online, after a reset of ours
            b"ATE0\r",
            b'AT+CGDCONT=1,"IP","%s"\r' % secret.get("apn", "").encode(),
            b"ATD*99#\r",
        )
        self._ppp = _NoPpp()
        self._step = _PAUSE
        self._until_ms = _BOOT_MS
        self._since_ms = None
        self._now_ms = 0
        self._heard = b""
        self._failures = 0

    def up(self):
        """Whether there is an address."""
        return self._step == _PPP and self._ppp.isconnected()

    def rejoin(self, anew):
        """Hang up, and dial again; `anew`: with a modem that was off."""
        if self._step == _PPP:
            self._hang_up()
        if anew:
            self._failures = _FAILURES - 1
        if anew or self._step == _PPP:
            self._failed(self._now_ms)

    def tick(self, now_ms):
        """See roles.Device."""
        self._now_ms = now_ms
        if self._since_ms is None:
            self._since_ms = now_ms
        waited_ms = ticks_diff(now_ms, self._since_ms)
        late = waited_ms >= self._until_ms
        if self._step == _PPP:
            self._ppp.poll()
            if self._ppp.isconnected():
                self._since_ms = now_ms
                self._failures = 0
            elif late:
                self._hang_up()
                self._failed(now_ms)
        elif self._step == _PAUSE:
            if self._power and waited_ms >= _OFF_MS:
                self._power(1)
            if late:
                self._heard = b""
                self._say(0, now_ms)
        else:
            self._listen(now_ms, late)

    def _say(self, step, now_ms):
        self._uart.read()  # what nobody asked for
        self._uart.write(self._commands[step])
        self._wait(step, now_ms, _DIAL_MS if step == 3 else _ANSWER_MS)

    def _wait(self, step, now_ms, ms):
        self._heard = b""
        self._step = step
        self._since_ms = now_ms
        self._until_ms = ms

    def _listen(self, now_ms, late):
        step = self._step
        n = self._uart.any()
        if n:
            self._heard = (self._heard + self._uart.read(n))[-64:]
        heard = self._heard
        if step == 0:  # which needs a second of silence, and no answer
            if late:
                self._say(1, now_ms)
        elif step < 3 and b"OK\r" in heard:
            self._say(step + 1, now_ms)
        elif b"CONNECT" in heard:
            self._dialled(now_ms)
        elif late or b"ERROR" in heard or b"NO CARRIER" in heard:
            self._failed(now_ms)

    def _dialled(self, now_ms):
        self._wait(_PPP, now_ms, _DIAL_MS)
        user = self._secret.get("user")
        try:
            self._ppp = ppp = network.PPP(self._uart)
            if user:
                key = self._secret.get("password", "")
                ppp.connect(security=ppp.SEC_CHAP, user=user, key=key)
            else:
                ppp.connect()
        except OSError:
            self._hang_up()
            self._failed(now_ms)

    def _hang_up(self):
        try:
            self._ppp.disconnect()
        except OSError:
            pass
        # The modem's answers are ours again.
        self._ppp.config(stream=None)  # pyright: ignore[reportCallIssue]
        self._ppp = _NoPpp()

    def _failed(self, now_ms):
        self._failures += 1
        self._wait(_PAUSE, now_ms, _OFF_MS)
        if self._power and self._failures % _FAILURES == 0:
            self._wait(_PAUSE, now_ms, _OFF_MS + _BOOT_MS)
            self._power(0)


class _NoPpp:
    def poll(self):
        pass

    def isconnected(self):
        return False

    def disconnect(self):
        pass

    def config(self, stream):
        pass
