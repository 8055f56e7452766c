"""Looks once a day whether the pile's certificate comes to its end; only where it has one."""

from micropython import const

from firmware import borrow

_FIRST_MS = const(300000)  # a pile that crashes again and again asks for nothing
_DAY_MS = const(86400000)


def watch(station):
    """Have it looked after, if there is a certificate and nobody does yet."""
    own = borrow("firmware.uplink.own")
    if not hasattr(station, "expiry") and own.parts(station, own.newest(station)):
        station.expiry = Expiry(station)
        station.services.append(station.expiry.tick)


class Expiry:
    """`tick` is a service of the station."""

    def __init__(self, station):
        self._station = station
        self._next_ms = _FIRST_MS

    def tick(self, _):
        """Have a certificate renewed that ends soon."""
        station = self._station
        if station.wall.uptime_ms >= self._next_ms and station.backend.ready:
            self._next_ms = station.wall.uptime_ms + _DAY_MS
            borrow("firmware.uplink.renewal").look(station)
