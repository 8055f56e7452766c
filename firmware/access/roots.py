"""The roots that the backend has installed: certificates of authorities that the pile trusts
beside `tls/ca.der`, which stays whatever comes. Imported when one is asked for, and let go of.

Each is a file of the store, "root.1" to "root.4": the number of its kind u8, when it came (a
count) u32, its DER, CRC-32 of all before, little-endian. The line tries them in turn, the newest
first and `tls/ca.der` last, see firmware.uplink.secure: one that does not fit costs an attempt.
"""

import struct
from binascii import crc32

ROOTS = 15  # the number of what firmware.commit does
KINDS = ("CSMSRootCertificate", "ManufacturerRootCertificate")
SLOTS = 4
GIVEN = "tls/ca.der"


def name(slot):
    """The file of a slot."""
    return "root.%d" % slot


def stored(store):
    """{slot: (count, kind, DER)} of those that are whole."""
    found = {}
    for slot in range(1, SLOTS + 1):
        data = store.load(name(slot)) or b""
        if len(data) > 9 and crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]:
            kind, count = struct.unpack_from("<BI", data)
            if kind < len(KINDS):
                found[slot] = count, KINDS[kind], data[5:-4]
    return found


def trusted(store):
    """The files that the line may try, in turn: the slots, the newest first, then GIVEN (0)."""
    found = stored(store)
    slots = [slot for slot in found if found[slot][1] == KINDS[0]]
    slots.sort(key=lambda slot: -found[slot][0])
    return slots + [0]


def packed(slot, count, kind, der):
    """What is staged for a root that goes into a slot."""
    return bytes((slot,)) + struct.pack("<BI", KINDS.index(kind), count) + der


def commit(door, data):
    """Write what was staged: with a slot's number alone that root goes."""
    slot = data[0]
    if len(data) == 1:
        if door.store.load(name(slot)) is not None:
            door.store.remove(name(slot))
        return
    data = data[1:]
    waiting = getattr(door.station, "roots_waiting", ())
    door.station.roots_waiting = [other for other in waiting if other != slot]
    door.store.replace(name(slot), (data, struct.pack("<I", crc32(data))))
