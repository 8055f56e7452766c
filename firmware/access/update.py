"""Changes to the local list: made of what the backend sends, merged with the file as two sorted
streams into a new one. Imported for each update and let go of.
"""

import struct

from micropython import const

from firmware.access.entries import DIGEST, ENTRY, HEAD, LIST, check, header, stream, summed

CHANGES = const(10)  # of firmware.staged
MOST = const(1000)  # entries of the list
WAITING = const(4)  # batches that may wait in memory until no contactor is closed
AT_ONCE = const(38)  # entries of one batch, which is at most 1000 bytes


def batch(base, version, full, entries):
    """A batch of `entries` (packed), at most AT_ONCE, for the list of version `base`. Raises
    ValueError when two are of one token.
    """
    entries = sorted(entries)
    for i in range(1, len(entries)):
        if entries[i][:DIGEST] == entries[i - 1][:DIGEST]:
            raise ValueError("two entries of one token")
    return struct.pack("<IIB", base, version, 1 if full else 0) + b"".join(entries)


def version(changes):
    """The version of the list once the batch `changes` is in it."""
    return struct.unpack_from("<I", changes, 4)[0]


def current(door):
    """The version of the list once all that waits is written; 0: there is none."""
    if door.waiting:
        return version(door.waiting[-1])
    return door.version


def send(door, changes):
    """Take over a batch: now, or when no contactor is closed any more; it holds from now on.
    Whether it will be kept.
    """
    door.waiting.append(changes)
    try:
        door.station.staged.put(CHANGES, changes)
    except OSError as error:
        door.waiting.remove(changes)
        door.record("error", problem=repr(error))
        return False
    return current(door) == version(changes)


def commit(door, changes):
    """What firmware.staged does with a batch when no contactor is closed."""
    try:
        door.version, door.count = write(door.store, door.digest("")[:4], changes)
    except OSError as error:
        door.record("error", problem="%s: %r" % (LIST, error))
    except ValueError as error:
        door.version = door.count = 0
        door.record("error", problem=str(error))
    if changes in door.waiting:
        door.waiting.remove(changes)


def merge(old, changes):
    """The entries of the sorted stream `old` with the batch `changes` in them."""
    at = HEAD
    entry = b"" if changes[HEAD - 1] else _next(old)
    while at < len(changes) or entry:
        if at < len(changes) and (not entry or changes[at : at + DIGEST] <= entry[:DIGEST]):
            if entry and changes[at : at + DIGEST] == entry[:DIGEST]:
                entry = _next(old)
            if changes[at + DIGEST]:
                yield changes[at : at + ENTRY]
            at += ENTRY
        else:
            yield entry
            entry = _next(old)


def _next(entries):
    for entry in entries:
        return entry
    return b""


def fits(door, changes):
    """Whether the list, with all that waits and with `changes`, is no longer than it may be."""
    entries = stream(door.store, LIST, door.count)
    for waiting in door.waiting:
        entries = merge(entries, waiting)
    return summed(merge(entries, changes))[0] <= MOST


def write(store, key_id, changes):
    """Put a new list in the place of the old one; (version, count) of what is there then. A power
    cut leaves the old or the new one. While no contactor is closed only.

    Changes that are in already, or for another version, change nothing: after a power cut they
    may come twice. Raises OSError, and ValueError when the old list is damaged and not wholly
    replaced.
    """
    count = 0
    try:
        current, count = check(store, LIST, key_id)
        if current != struct.unpack_from("<I", changes)[0]:
            return current, count
    except ValueError:
        if not changes[HEAD - 1]:
            raise
    # Once to count and sum up, once to write: so the header can come first, and neither list is
    # ever in memory.
    n, crc = summed(merge(stream(store, LIST, count), changes))
    head = header(key_id, version(changes), n, crc)

    def chunks():
        yield head
        part = bytearray()
        for entry in merge(stream(store, LIST, count), changes):
            part += entry
            if len(part) >= 16 * ENTRY:
                yield bytes(part)
                part = bytearray()
        yield bytes(part)

    store.replace(LIST, chunks())
    return version(changes), n
