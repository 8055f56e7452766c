"""Has the backend sign a certificate for a new key of the pile: SignCertificate, OCPP 2.1's use
cases A02 and A03. Imported for that and gone when it is done.

What comes of it, CertificateSigned, is firmware.uplink.signed_commands's. The key waits for it in
memory, also when nobody asks any more, and is lost with the next start: then another one is made.
"""

from micropython import const

from firmware import borrow
from firmware.clock import parse

_SOON_MS = const(30 * 86400000)  # before its end a certificate is to be renewed


def look(station):
    """Ask for a new certificate, if that of the line ends within 30 days."""
    own = borrow("firmware.uplink.own")
    parts = own.parts(station, own.newest(station))
    if not parts or getattr(station, "own_waiting", None):
        return
    try:
        to = borrow("firmware.uplink.der").read(parts[1])["to"]
        left_ms = parse(to) - station.wall.unix_ms(station.wall.uptime_ms)
    except ValueError as error:
        station.board.log.record("error", problem="the pile's certificate: %s" % error)
        return
    if left_ms <= _SOON_MS:
        ask(station, "it ends " + to)


def ask(station, why):
    """Ask for a new certificate, now, or again if the answer is waited for."""
    renewal = getattr(station.backend, "renewal", None)
    if renewal:
        renewal.again()
        return
    station.board.log.record("certificate", status="asked for", why=why)
    station.backend.renewal = Renewal(station)
    station.cards.chores.append(station.backend.renewal.tick)


class Renewal:
    """`tick` is a chore of the doorman's."""

    def __init__(self, station):
        self._station = station
        wall = station.wall
        self._request_id = (wall.boot & 0x3FFF) << 16 | wall.uptime_ms // 1000 & 0xFFFF
        self._steps = borrow("firmware.uplink.csr").make(
            station.board.secret, station.config["station_id"], station.config["organization"]
        )
        self._csr = None
        self._asked = False  # SignCertificate was handed over and not answered yet
        self.again()

    def again(self):
        """Begin anew to ask, for the same key."""
        config = self._station.config
        self._left = config["cert_signing_repeats"]
        self._wait_ms = config["cert_signing_wait_s"] * 1000
        self._due_ms = 0

    def tick(self, _):
        """Do one step; whether there is more to do."""
        station = self._station
        backend = station.backend
        if backend.renewal is not self:
            return False
        if self._steps:
            try:
                made = next(self._steps)
            except Exception as error:  # no memory for it
                station.board.log.record("error", problem=repr(error))
                return self._end("not asked for", "no key")
            if made:
                key, public, self._csr = made
                self._steps = None
                backend.unsigned = [self._request_id, key, public, False]
            return True
        if self._asked or station.wall.uptime_ms < self._due_ms or not backend.ready:
            return True
        if self._left < 0:
            return self._end("not signed", "no CertificateSigned came")
        self._asked = backend.outbox.add("SignCertificate", _request, self, self._answered)
        return True

    def _answered(self, result):
        # None: not at all, or by a CALLERROR. That counts as one that nobody has signed.
        self._asked = False
        if self._station.backend.renewal is not self:
            return
        if result and result["status"] == "Rejected":
            self._end("rejected", result.get("statusInfo", {}).get("reasonCode", "by the backend"))
        self._left -= 1
        self._due_ms = self._station.wall.uptime_ms + self._wait_ms
        self._wait_ms *= 2

    def _end(self, status, why):
        self._station.board.log.record("certificate", status=status, why=why)
        self._station.backend.renewal = None
        return False


def _request(renewal):
    return {
        "certificateType": "ChargingStationCertificate",
        "csr": renewal._csr,
        "requestId": renewal._request_id,
    }
