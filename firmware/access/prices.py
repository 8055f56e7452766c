"""Which tariff a transaction has: its driver's, which the backend gave when it let him in, else
the default of the EVSE, else that of the station. Imported when one is set, asked for or needed,
and let go of.

A default is a file of the store, "access.tariff.<evse>.<Unix time in s that it is valid from>":
the bytes of firmware.ledger.tariff, and their CRC-32 u32. What is set and cleared while a
contactor is closed waits in the journal and in `door.prices`, and holds at once. Such a change,
little-endian:

    how many defaults go u8; of each its evse u8, valid from u32
    evse u8, valid from u32 and bytes of the one that comes; nothing: none does
"""

import struct
from binascii import crc32

from micropython import const

from firmware import let_go

PRICES = const(13)  # of firmware.staged
MOST = const(8)  # defaults
_WAITING = const(4)  # changes that may wait in memory
_FILE = "access.tariff."
_KEY = "<BI"
_KEY_BYTES = const(5)
_ALL = const(1 << 32)


def defaults(door):
    """What there is, with all that waits: {(evse, valid from): bytes that wait, or None}."""
    found = {}
    for name in door.store.names(_FILE):
        evse_id, _, since = name[len(_FILE) :].partition(".")
        if evse_id.isdigit() and since.isdigit():
            found[int(evse_id), int(since)] = None
    for change in door.prices:
        gone, key, data = _parts(change)
        for other in gone:
            found.pop(other, None)
        if key:
            found[key] = data
    return found


def load(door, key, found):
    """The bytes of the tariff `key` of what `defaults` has found; None when it is damaged."""
    data = found[key] or door.store.load(_name(key)) or b""
    if not found[key]:
        data, crc = data[:-4], data[-4:]
        if not data or crc != struct.pack("<I", crc32(data)):
            door.record("error", problem="%s: damaged" % _name(key))
            return None
    return data


def ids(door, found):
    """{key: tariffId} of what `defaults` has found."""
    named = {}
    for key in found:
        data = load(door, key, found)
        if data:
            named[key] = str(data[5 : 5 + data[4]], "utf-8")
    return named


def choose(keys, evse_id, now_s):
    """Which of `keys`, (evse, valid from), is that of `evse_id` at `now_s` (None: date unknown);
    None: none of them. The EVSE's own go before those of all, evse 0; of several the one that is
    valid since the latest. While the date is unknown only those count that are valid at once.
    """
    best = None
    for evse, since in keys:
        if evse in (0, evse_id) and since <= (now_s or 0) and (evse, since) >= (best or (0, 0)):
            best = evse, since
    return best


def default(door, evse_id):
    """The bytes of the default tariff of `evse_id` now; None: it has none."""
    found = defaults(door)
    key = choose(found, evse_id, door.now_s())
    return key and load(door, key, found)


def put(door, evse_id, data, fresh):
    """Have the tariff `data` the default of `evse_id`, or of all (0), from when it is valid; what
    it takes the place of goes. OCPP's status and a reason for its StatusInfo, or None.
    """
    found = defaults(door)
    now_s = door.now_s() or 0
    since = _valid_from(data)
    if since >= _ALL:
        return "Rejected", "InvalidValue"
    key = evse_id, since
    gone = [other for other in found if other[0] == evse_id and other != key]
    # What is not valid yet stays, whatever comes before it; else what has come into force by now.
    gone = [other for other in gone if since <= now_s and other[1] <= now_s]
    for other, tariff_id in ids(door, found).items():
        if tariff_id.encode() == data[5 : 5 + data[4]]:
            if other != key or load(door, other, found) != data:
                return "DuplicateTariffId", None
            if not (gone and fresh):
                return "Accepted", None
    if not fresh:
        return "Rejected", "StaleCommand"
    if len(found) - len(gone) + (key not in found) > MOST:
        return "Rejected", "NoSpace"
    return ("Accepted", None) if _change(door, gone, key, data) else ("Rejected", "NotKept")


def clear(door, keys):
    """Forget the defaults `keys`; whether they will be."""
    return _change(door, keys, None, b"")


def _change(door, gone, key, data):
    change = bytes((len(gone),)) + b"".join([struct.pack(_KEY, *other) for other in gone])
    if key:
        change += struct.pack(_KEY, *key) + data
    if len(door.prices) >= _WAITING:
        return False
    door.prices.append(change)
    try:
        door.station.staged.put(PRICES, change)
    except OSError as error:
        if change in door.prices:
            door.prices.remove(change)
        door.record("error", problem="tariffs: %r" % error)
        return False
    return True


def commit(door, change):
    """What firmware.staged does with a change when no contactor is closed. Raises OSError."""
    gone, key, data = _parts(change)
    try:
        if key:
            door.store.save(_name(key), data + struct.pack("<I", crc32(data)))
        for other in gone:
            door.store.remove(_name(other))
    finally:
        if change in door.prices:
            door.prices.remove(change)


def offered(door, digest, tariff):
    """The backend let in who has `digest`, with the `tariff` that came with its answer, if any:
    that of his next transaction. One that is none counts as if it had not come.
    """
    door.tariff = None
    if tariff is not None:
        try:
            from firmware.ledger import tariff as checks
        finally:
            let_go("firmware.ledger.tariff")
        try:
            door.tariff = digest, checks.check(tariff)
        except checks.TariffError as error:
            door.record("error", problem="a driver's tariff: %s" % error)


def _parts(change):
    # (keys that go, key that comes or None, its bytes)
    at = 1 + _KEY_BYTES * change[0]
    gone = [struct.unpack_from(_KEY, change, i) for i in range(1, at, _KEY_BYTES)]
    if len(change) <= at:
        return gone, None, b""
    return gone, struct.unpack_from(_KEY, change, at), change[at + _KEY_BYTES :]


def _valid_from(data):
    try:
        from firmware.ledger import cost
    finally:
        let_go("firmware.ledger.cost")
    return cost.unpack(data[5 + data[4] :])[0]


def _name(key):
    return _FILE + "%d.%d" % key
