"""What the backend brings for a key that firmware.uplink.renewal has made: its certificate.
Imported for one request and let go of, see firmware.uplink.commands.
"""

from firmware import borrow
from firmware.clock import parse

shapes = borrow("firmware.uplink.shapes")

_MOST = 4  # certificates in a chain
_SOON_MS = 86400000  # a certificate may begin so much later: not every clock is right
_OURS = "ChargingStationCertificate"
_SIGNED = {
    "certificateChain": (str, True, 10000),
    "certificateType": ((_OURS, "V2GCertificate", "V2G20Certificate"), False, None),
    "requestId": (int, False, None),
    "customData": shapes.CUSTOM,
}


def _signed(backend, payload, fresh):
    # However late it comes, it fits no key but the one that waits for it, and that only once.
    station = backend.doorman.station
    if payload.get("certificateType", _OURS) != _OURS:
        return shapes.rejected("UnsupportedParam")
    waits = getattr(backend, "unsigned", None)
    if waits and payload.get("requestId", waits[0]) != waits[0]:
        waits = None
    own = borrow("firmware.uplink.own")
    try:
        chain = borrow("firmware.uplink.der").of_chain(payload["certificateChain"], _MOST)
        if waits:
            _judge(station, chain, waits[2])
    except (IndexError, ValueError) as error:
        if waits and not waits[3]:
            waits[3] = True  # once a key: nobody shall fill the journal with it
            report = borrow("firmware.access.report")
            report.security(backend.doorman, "InvalidChargingStationCertificate", str(error))
        return shapes.rejected("InvalidCertificate", str(error))
    if not waits:
        known = [found[1][1:] for found in own.stored(station.board.store).values()]
        known.append((getattr(station, "own_waiting", None) or [])[1:])
        return {"status": "Accepted"} if chain in known else shapes.rejected("NotRequested")
    try:
        own.install(station, [waits[1]] + chain)
    except OSError:
        return shapes.rejected("NotKept")
    backend.unsigned = backend.renewal = None
    return {"status": "Accepted"}


def _judge(station, chain, public):
    # Raises ValueError. Who has signed it is judged by the broker, and the one before stays.
    der = borrow("firmware.uplink.der")
    leaf = der.read(chain[0])
    if leaf["key"] != public:
        raise ValueError("expected a certificate for the key of the request")
    if der.common_name(leaf["subject"]) != station.config["station_id"]:
        raise ValueError("expected the pile's id as common name")
    now_ms = station.wall.unix_ms(station.wall.uptime_ms)
    issuer = leaf["issuer"]
    for i, one in enumerate(chain):
        found = der.read(one)
        if parse(found["to"]) <= now_ms or parse(found["from"]) > now_ms + _SOON_MS:
            raise ValueError("valid from %s to %s" % (found["from"], found["to"]))
        if i and (found["subject"] != issuer or not found["authority"]):
            raise ValueError("expected the authority of each certificate behind it")
        issuer = found["issuer"]


ACTIONS = {"CertificateSigned": (_SIGNED, _signed)}
