"""The line over the controller's own Wi-Fi, as a station: {"kind": "wifi"} in a board's file."""

from time import ticks_diff

import network
from micropython import const

_AGAIN_MS = const(20000)


def make(spec, buses):
    """The link; without a network's name in the configuration it stays off."""
    from hal.mcu import secrets

    return Wifi(secrets.of("wifi"))


class Wifi:
    """Connects, and connects again; `tick` is a device's."""

    interface = "Wireless"

    def __init__(self, secret):
        self._ssid = secret.get("ssid")
        self._password = secret.get("password")
        self._wlan = network.WLAN(network.WLAN.IF_STA)
        self.rejoin(True)

    def up(self):
        """Whether there is an address."""
        return self._wlan.isconnected()

    def rejoin(self, anew):
        """Leave the network, which `tick` joins again; `anew`: by a radio that was off, which
        takes a second. Raises OSError.
        """
        if self._ssid:
            self._tried_ms = None
            if anew:
                self._wlan.active(False)
                self._wlan.active(True)  # an RP2040's radio loads its firmware
                # Asleep between beacons it would answer 100 ms later.
                self._wlan.config(pm=network.WLAN.PM_NONE)
            else:
                self._wlan.disconnect()

    def tick(self, now_ms):
        """See roles.Device. Connecting goes on in the background."""
        if not self._ssid or self._wlan.isconnected():
            return
        if self._tried_ms is None or not 0 <= ticks_diff(now_ms, self._tried_ms) < _AGAIN_MS:
            self._tried_ms = now_ms
            try:
                self._wlan.disconnect()  # an ESP32 that is still trying refuses to be told again
                self._wlan.connect(self._ssid, self._password)
            except OSError:
                pass  # the next time
