"""The line over Ethernet. In a board's file, for an ESP32's own controller with a PHY on RMII:
{"kind": "ethernet", "phy": "LAN8720", "phy_addr": 1, "mdc": PIN, "mdio": PIN, "power": PIN,
"ref_clk": PIN, "ref_clk_out": false}; for a W5500: {"kind": "ethernet", "phy": "W5500", "spi": N,
"sck": PIN, "mosi": PIN, "miso": PIN, "cs": PIN, "int": PIN, "reset": PIN}.

On RP2040 it takes an image that was built for the W5500 (such as W5500_EVB_PICO).
"""

import machine
import network


def make(spec, buses):
    """The link. Raises ValueError for what this image cannot drive."""
    pins = {}
    for name in ("mdc", "mdio", "power", "ref_clk", "reset", "int"):
        if name in spec:
            pins[name] = machine.Pin(spec[name])
    spi = cs = None
    if "spi" in spec:
        spi, cs = buses.spi(spec, 20000000)
    if hasattr(network, "LAN"):
        if spi:
            pins["spi"] = spi
            pins["cs"] = cs
        elif "ref_clk" in pins:
            out = spec.get("ref_clk_out", False)
            pins["ref_clk_mode"] = machine.Pin.OUT if out else machine.Pin.IN
        phy = getattr(network, "PHY_" + spec["phy"])
        lan = network.LAN(phy_type=phy, phy_addr=spec.get("phy_addr", 0), **pins)  # pyright: ignore
    elif hasattr(network, "WIZNET5K"):
        lan = network.WIZNET5K(spi, cs, pins["reset"])  # pyright: ignore
    else:
        raise ValueError("network: this image has no Ethernet")
    lan.active(True)
    if hasattr(network, "WIZNET5K"):
        lan.ipconfig(dhcp4=True)  # pyright: ignore  (an ESP32 asks by itself)
    return Ethernet(lan)


class Ethernet:
    """Cable in or out, the port follows by itself; `tick` is a device's."""

    interface = "Wired"

    def __init__(self, lan):
        self._lan = lan

    def up(self):
        """Whether there is a link."""
        return self._lan.isconnected()

    def tick(self, now_ms):
        """See roles.Device: nothing to do."""
