"""The pile's own certificates: those that the backend has had signed, beside what was provisioned
as `tls/cert.der` and `tls/key.der`, which stays. Imported when one is asked for, and let go of.

Each is a file of the store, "own.1" or "own.2", little-endian: when it came (a count) u32; its
private key, then its certificate and those of the authorities above it, each as length u16 and
DER; CRC-32 of all before. Key and certificate are one file, which is replaced as a whole, and
never that of the certificate which the line stands on: whatever a power cut leaves, that one is
whole, and so is the other or it does not count.

The line takes the newest. When it was refused with it again and again the one before has its turn,
what was provisioned last of all, and then the newest again: no certificate can cut a pile off.
"""

import struct
from binascii import crc32

from micropython import const

from firmware import borrow

_SLOTS = const(2)
_TRIES = const(3)  # before the next one has its turn
_GIVEN = ("tls/key.der", "tls/cert.der")


def name(slot):
    """The file of a slot."""
    return "own.%d" % slot


def stored(store):
    """{slot: (count, [key, certificate, ...])} of those that are whole, in DER."""
    found = {}
    for slot in range(1, _SLOTS + 1):
        data = store.load(name(slot)) or b""
        if len(data) > 8 and crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]:
            parts = []
            at = 4
            while at < len(data) - 4:
                size = data[at] | data[at + 1] << 8
                parts.append(data[at + 2 : at + 2 + size])
                at += 2 + size
            found[slot] = struct.unpack("<I", data[:4])[0], parts
    return found


def turns(store):
    """[(count, slot)] in the order in which the line tries them; 0, 0 is what was provisioned."""
    found = stored(store)
    return sorted([(found[slot][0], slot) for slot in found], reverse=True) + [(0, 0)]


def turn(station, route, roots):
    """The slot whose turn it is. `route` is firmware.uplink.dial's; each of so many `roots` may be
    the right one for each address of each broker, and only when all were tried it is the
    certificate's fault.
    """
    order = turns(station.board.store)
    if route.get("owns") != order:  # there is a new one
        route["owns"] = order
        route["own"] = route["refused"] = 0
    if route["refused"] >= _TRIES * route["ways"] * roots:
        route["refused"] = 0
        route["own"] = (route["own"] + 1) % len(order)
        if len(order) > 1:
            slot = order[route["own"]][1]
            why = "the line was refused: now that of %s" % (name(slot) if slot else _GIVEN[1])
            station.board.log.record("certificate", status="refused", why=why)
    station.own_refused = route["own"] > 0  # the newest was
    return order[route["own"]][1]


def newest(station):
    """The slot of the newest; where it was refused, that of the one that the line stands on."""
    if getattr(station, "own_refused", False):
        return station.own
    return turns(station.board.store)[0][1]


def parts(station, slot):
    """[key, certificate, ...] of a slot, in DER; [] without one."""
    found = stored(station.board.store).get(slot)
    if found:
        return found[1]
    given = []
    try:
        for path in _GIVEN:
            with open(path, "rb") as file:
                given.append(file.read())
    except OSError:
        return []
    return given


def write(store, used, parts):
    """Keep [key, certificate, ...] beside the one of the slot that is `used`. Only while every
    contactor is open. Raises OSError.
    """
    found = stored(store)
    free = [(found[slot][0] if slot in found else 0, slot) for slot in range(1, _SLOTS + 1)]
    slot = min([one for one in free if one[1] != used])[1]
    data = struct.pack("<I", max(free)[0] + 1)
    for part in parts:
        data += struct.pack("<H", len(part)) + part
    store.replace(name(slot), (data, struct.pack("<I", crc32(data))))


def install(station, parts):
    """Keep [key, certificate, ...] for the next connection: once every contactor is open; until
    then it is in memory, and a power cut leaves the pile what it has. Raises OSError.
    """
    used = getattr(station, "own", 0)  # when it comes: the line may try others later
    if station.closed():
        station.own_waiting = parts
        station.cards.chores.append(_Waiting(station, used).tick)
    else:
        _install(station, used, parts)


def _install(station, used, parts):
    write(station.board.store, used, parts)
    station.own_refused = False
    found = borrow("firmware.uplink.der").read(parts[1])
    station.board.log.record("certificate", status="kept", why="until " + found["to"])
    report = borrow("firmware.access.report")
    detail = "installed: ChargingStationCertificate, serial " + found["serial"]
    report.security(station.cards, "ReconfigurationOfSecurityParameters", detail)
    borrow("firmware.uplink.expiry").watch(station)


class _Waiting:
    def __init__(self, station, used):
        self._station = station
        self._used = used

    def tick(self, _):
        station = self._station
        if station.closed():
            return True
        parts = station.own_waiting
        station.own_waiting = None
        try:
            _install(station, self._used, parts)
        except Exception as error:  # a chore that raises would keep the others from their turn
            station.board.log.record("error", problem="certificate not kept: %r" % error)
        return False
