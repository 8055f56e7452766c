"""What the backend may ask about certificates. Imported for one request and let go of, see
firmware.uplink.commands.

A root that is installed is trusted beside those that are there: one that does not work cuts
nothing off. In flash it is once every contactor is open; until then a larger one is refused.
"""

from firmware import borrow
from firmware.clock import parse

shapes = borrow("firmware.uplink.shapes")

_MOST = 1022 - 6  # bytes of DER that may wait, see firmware.staged
_NO_END = "2199-12-31T23:59:59Z"  # what is later is none, see firmware.date and RFC 5280
_SOON_MS = 86400000  # a certificate may begin so much later: not every clock is right

_CUSTOM = shapes.CUSTOM
_INSTALL = {
    "certificateType": (
        (
            "V2GRootCertificate",
            "MORootCertificate",
            "ManufacturerRootCertificate",
            "CSMSRootCertificate",
            "OEMRootCertificate",
        ),
        True,
        None,
    ),
    "certificate": (str, True, 10000),
    "customData": _CUSTOM,
}
_KINDS = (
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "V2GCertificateChain",
    "ManufacturerRootCertificate",
    "OEMRootCertificate",
)
_IDS = {"certificateType": ([_KINDS], False, 6), "customData": _CUSTOM}
_HASH = {
    "hashAlgorithm": (("SHA256", "SHA384", "SHA512"), True, None),
    "issuerNameHash": (str, True, 128),
    "issuerKeyHash": (str, True, 128),
    "serialNumber": (str, True, 40),
    "customData": _CUSTOM,
}
_DELETE = {"certificateHashData": (_HASH, True, None), "customData": _CUSTOM}


def _install(backend, payload, fresh):
    roots = borrow("firmware.access.roots")
    der = borrow("firmware.uplink.der")
    station = backend.doorman.station
    kind = payload["certificateType"]
    if not fresh:
        return shapes.told("Rejected", "StaleCommand")
    if kind not in roots.KINDS:
        return shapes.told("Rejected", "UnsupportedParam")
    try:
        data = der.of_pem(payload["certificate"])
        found = der.read(data)
        now_ms = station.wall.unix_ms(station.wall.uptime_ms)
        if found["issuer"] != found["subject"] or not found["authority"]:
            raise ValueError("expected the root of an authority")
        to = min(found["to"], _NO_END)
        if parse(to) <= now_ms or parse(found["from"]) > now_ms + _SOON_MS:
            raise ValueError("valid from %s to %s" % (found["from"], found["to"]))
    except ValueError as error:
        return shapes.told("Rejected", "InvalidCertificate", str(error))
    if any(data == one for _, _, one in _all(roots, station)):
        return shapes.told("Accepted")
    kept = roots.stored(station.board.store)
    waiting = getattr(station, "roots_waiting", [])  # slots that something is staged for
    free = [n for n in range(1, roots.SLOTS + 1) if n not in kept and n not in waiting]
    if not free:
        # The oldest makes place, but for what the line stands on.
        used = getattr(station, "root", 0)
        free = [slot for slot in kept if slot != used and slot not in waiting]
        free.sort(key=lambda slot: kept[slot][0])
    if not free:
        return shapes.told("Failed", "NoSpace")
    if station.closed() and len(data) > _MOST:
        words = "expected at most %d bytes while charging" % _MOST
        return shapes.told("Failed", "TxInProgress", words)
    count = max([0] + [kept[slot][0] for slot in kept]) + len(waiting) + 1
    staged = roots.packed(free[0], count, kind, data)
    try:
        _keep(station, roots, staged)
    except OSError:
        return shapes.told("Failed", "NotKept")
    if station.closed():
        station.roots_waiting = waiting + [free[0]]
    _event(backend, "installed: %s, serial %s" % (kind, found["serial"]))
    return shapes.told("Accepted")


def _ids(backend, payload, fresh):
    roots = borrow("firmware.access.roots")
    der = borrow("firmware.uplink.der")
    wanted = payload.get("certificateType", roots.KINDS)
    chains = []
    for _, kind, data in _all(roots, backend.doorman.station):
        if kind in wanted:
            chains.append({"certificateType": kind, "certificateHashData": der.hashes(data)})
    if not chains:
        return {"status": "NotFound"}
    return {"status": "Accepted", "certificateHashDataChain": chains}


def _delete(backend, payload, fresh):
    roots = borrow("firmware.access.roots")
    der = borrow("firmware.uplink.der")
    station = backend.doorman.station
    wanted = payload["certificateHashData"]
    if wanted["hashAlgorithm"] != "SHA256":
        return shapes.told("NotFound", "UnsupportedParam")
    slot = None
    for number, _, data in _all(roots, station):
        found = der.hashes(data)
        if all(found[name].lower() == wanted[name].lower() for name in found):
            slot = number
            break
    if slot is None:
        return shapes.told("NotFound")
    if not fresh:
        return shapes.told("Failed", "StaleCommand")
    if slot == 0:
        return shapes.told("Failed", "ReadOnly", "what the installer gave stays")
    if slot == getattr(station, "root", 0):
        return shapes.told("Failed", "InUse")
    try:
        _keep(station, roots, bytes((slot,)))
    except OSError:
        return shapes.told("Failed", "NotKept")
    _event(backend, "deleted: serial %s" % wanted["serialNumber"])
    return shapes.told("Accepted")


def _keep(station, roots, data):
    if station.closed():
        station.staged.put(roots.ROOTS, data)
    else:
        roots.commit(station.cards, data)


def _all(roots, station):
    # (slot, kind, DER) of every root there is, that of the installer's as slot 0.
    kept = roots.stored(station.board.store)
    found = [(slot, kept[slot][1], kept[slot][2]) for slot in sorted(kept)]
    try:
        with open(roots.GIVEN, "rb") as file:
            data = file.read()
        borrow("firmware.uplink.der").read(data)
        found.insert(0, (0, roots.KINDS[0], data))
    except (OSError, ValueError):
        pass  # there is none that can be told of
    return found


def _event(backend, detail):
    report = borrow("firmware.access.report")
    report.security(backend.doorman, "ReconfigurationOfSecurityParameters", detail)


ACTIONS = {
    "InstallCertificate": (_INSTALL, _install),
    "GetInstalledCertificateIds": (_IDS, _ids),
    "DeleteCertificate": (_DELETE, _delete),
}
