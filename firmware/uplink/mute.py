"""Ends a session on which no backend answers, or none accepts the pile, where the backend has set
connections (firmware.uplink.networks): a broker with the wrong one behind it, or none, would else
keep the pile for good. Loaded at boot where one is to be tried.
"""

from micropython import const

from firmware.ticks import diff

_MUTE_MS = const(300000)  # without an answer
_PENDING_MS = const(1800000)  # without being accepted


class Mute:
    """`tick` is a service of the `station`; `station.mute` tells firmware.uplink.dial."""

    def __init__(self, station):
        self._station = station
        self._since_ms = None  # when the session began; None: there is none
        self._answered_ms = 0
        self._good = False  # a backend has answered, which has accepted the pile

    def tick(self, now_ms):
        """Look whether anything was answered since the session began, and ask if need be."""
        station = self._station
        backend = station.backend
        outbox = backend.outbox
        if not backend.link.up or not getattr(station, "network", 0):
            self._since_ms = None
            return
        if self._since_ms is None:
            self._since_ms = now_ms
            self._answered_ms = outbox.answered_ms
            self._good = False
        if self._good:
            return
        answered = outbox.answered_ms != self._answered_ms
        self._good = answered and backend.accepted
        if diff(now_ms, self._since_ms) >= (_PENDING_MS if answered else _MUTE_MS):
            station.mute = True
            backend.link.drop("no backend accepts this pile" if answered else "no backend answers")
        elif backend.accepted and not answered and not outbox.has("Heartbeat"):
            outbox.add("Heartbeat", _nothing)  # else it might be a day to the next one


def _nothing(_):
    return {}
