"""What the pile knows of tokens by itself: the local list, then the cache. Imported for each
look-up and let go of.

Both are files of the store: a header, and entries of 26 bytes each:

    header  "VPL1", 4 bytes that tell the device's key, u32 version of the list, u16 count, u16 0,
            u32 CRC-32 of all entries and then the header's first 16 bytes
    entry   digest of the token (10 bytes), status (u8, an index into STATUSES), outlets that it
            may use (u8: bit 0 is evseId 1; 255: all), digest of its group (10 bytes, zeros: none),
            Unix time in s at which it expires (u32, 0: never)

Numbers are little-endian. The list is sorted by digest; the cache has its newest entry first.
What was made with another key is as good as damaged: nobody can be found in it.

Batches of changes have the same entries, sorted, behind a head of 9 bytes: u32 version of the list
that they are for, u32 its version after them, u8 1: they take the place of the whole list. An
entry with the status 0 is to be removed.
"""

import struct
from binascii import crc32

from micropython import const

LIST = "access.list"
CACHE = "access.cache"
STATUSES = (
    "",
    "Accepted",
    "Blocked",
    "ConcurrentTx",
    "Expired",
    "Invalid",
    "NoCredit",
    "NotAllowedTypeEVSE",
    "NotAtThisLocation",
    "NotAtThisTime",
    "Unknown",
)
DIGEST = const(10)
ENTRY = const(26)
HEADER = const(20)
HEAD = const(9)  # of a batch
_FORMAT = "<10sBB10sI"
_CHUNK = const(16)  # entries that are read in one go
_NOBODY = bytes(DIGEST)


def pack(digest, status, group=None, evses=255, expires_s=0):
    """An entry; `status` is an index into STATUSES."""
    return struct.pack(_FORMAT, digest, status, evses, group or _NOBODY, expires_s)


def unpack(entry):
    """(digest, status, group or None, outlets as bits, Unix time in s of its end or 0)."""
    digest, status, evses, group, expires_s = struct.unpack(_FORMAT, entry)
    return digest, status, None if group == _NOBODY else group, evses, expires_s


def header(key_id, version, count, crc):
    """The header of a file whose `count` entries have this CRC-32."""
    head = struct.pack("<4s4sIHH", b"VPL1", key_id, version, count, 0)
    return head + struct.pack("<I", crc32(head, crc))


def stream(store, name, count):
    """The entries of a file one after the other, each as bytes; ends early where the file does."""
    chunk = bytearray(_CHUNK * ENTRY)
    at = 0
    while at < count:
        n = store.read(name, HEADER + at * ENTRY, chunk) // ENTRY
        if not n:
            return
        for i in range(min(n, count - at)):
            yield bytes(chunk[i * ENTRY : (i + 1) * ENTRY])
        at += n


def summed(entries):
    """(how many, their CRC-32)."""
    n = crc = 0
    for entry in entries:
        crc = crc32(entry, crc)
        n += 1
    return n, crc


def check(store, name, key_id):
    """(version, count) of a file; (0, 0) where there is none. Raises ValueError for a damaged
    one, in words.
    """
    head = bytearray(HEADER)
    n = store.read(name, 0, head)
    if not n:
        return 0, 0
    magic, key, version, count, _, crc = struct.unpack("<4s4sIHHI", head)
    if n < HEADER or magic != b"VPL1":
        raise ValueError("%s: expected a header of %d bytes" % (name, HEADER))
    if key != key_id:
        raise ValueError("%s: made with another key" % name)
    seen, found = summed(stream(store, name, count))
    if seen != count or crc32(head[:16], found) != crc:
        raise ValueError("%s: expected %d entries with a right CRC" % (name, count))
    return version, count


def find(store, count, digest):
    """The entry of `digest` in the local list, by halving; None: not in it."""
    entry = bytearray(ENTRY)
    low = 0
    high = count
    while low < high:
        middle = (low + high) >> 1
        if store.read(LIST, HEADER + middle * ENTRY, entry) != ENTRY:
            return None
        found = bytes(entry[:DIGEST])
        if found == digest:
            return bytes(entry)
        if found < digest:
            low = middle + 1
        else:
            high = middle
    return None


def in_batch(batch, digest):
    """The entry of `digest` in a batch of changes; None: not in it."""
    for at in range(HEAD, len(batch), ENTRY):
        if batch[at : at + DIGEST] == digest:
            return batch[at : at + ENTRY]
    return None


def in_list(door, digest):
    """The entry of `digest` in the local list as it is once what waits is written; None."""
    for batch in reversed(door.waiting):
        entry = in_batch(batch, digest)
        if entry:
            return entry if entry[DIGEST] else None
        if batch[HEAD - 1]:
            return None  # the whole list is replaced
    return find(door.store, door.count, digest)


def in_cache(door, digest):
    """The entry of `digest` in the cache; None."""
    for entry in reversed(door.fresh):
        if entry[:DIGEST] == digest:
            return entry if entry[DIGEST] else None
    if not door.void:
        for entry in stream(door.store, CACHE, door.cached):
            if entry[:DIGEST] == digest:
                return entry
    return None


def look(door, digest):
    """What is known of a token: (status as in STATUSES, group or None, outlets as bits, "list" or
    "cache"); None where nothing is, or no longer.

    While the date is not known nothing expires: a pile whose clock was lost goes on.
    """
    config = door.config
    for where, enabled, get in (
        ("list", config["local_list"], in_list),
        ("cache", config["auth_cache"], in_cache),
    ):
        entry = get(door, digest) if enabled else None
        if entry:
            _, status, group, evses, expires_s = unpack(entry)
            now_s = door.now_s()
            if not expires_s or now_s is None or now_s < expires_s:
                return STATUSES[status], group, evses, where
            if where == "list":
                return "Expired", group, evses, where
    return None
