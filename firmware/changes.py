"""What was changed of the configuration while the pile ran, in two copies beside config.json.

They are "config.1" and "config.2", written in turn: a power cut tears the older one at most. Each
has, little-endian: "VPC", the format of the fields u8 (config.FORMAT), count u32, one JSON object,
CRC-32 of all before. Odd counts are in the first, even ones in the second; the greater is newer.
The object has "changed", the fields that were changed, and "given", those that config.json had
then: they help when it is torn, and tell which of its fields are newer than a change.

Imported at boot and when something changes, and let go of again.
"""

import binascii
import json
import os
import struct

_MAGIC = b"VPC"
_HEAD = "<3sBI"
_LEAST = 12  # bytes of header and CRC

# What a factory reset leaves as it was changed: who the pile is and how it reaches its backend, or
# it would be lost to it; which meter it has; and what guards the installation.
_STAYS = (
    "station_id", "broker", "tls", "dns", "root", "user", "password", "password_before",
    "meter_serial", "cable_a", "breaker_a",
)  # fmt: skip
_LINKS = ("wifi_", "modem_", "network_")
# Of the store it takes what begins so: lists, cache and reservations; charging profiles;
# firmware.ledger.refused. And
# the files of firmware.ledger.history. Wear, faults that wait for service, black boxes and keys
# are about the hardware; the journal is what the backend must get.
_LEARNED = ("access.", "charging.", "refused")


def file(name):
    """The bytes of the plain file `name`; None when it cannot be read."""
    try:
        with open(name, "rb") as found:
            return found.read()
    except OSError:
        return None


def write(name, data):
    """Write the plain file `name` in one piece. Raises OSError."""
    with open(name + ".new", "wb") as made:
        made.write(data)
    os.rename(name + ".new", name)


def name(stem, count):
    """Where the copy with this count is: `stem` is "config" for config.json."""
    return "%s.%d" % (stem, 1 if count & 1 else 2)


def pack(form, count, given, changed):
    """A copy as bytes, the same on every interpreter."""
    body = '{"changed":%s,"given":%s}' % (_text(changed), _text(given))
    data = struct.pack(_HEAD, _MAGIC, form, count) + body.encode()
    return data + struct.pack("<I", binascii.crc32(data))


def unpack(data):
    """(format, count, given, changed) of a copy; None when it is torn or foreign."""
    if len(data) < _LEAST or data[:3] != _MAGIC:
        return None
    if struct.unpack("<I", data[-4:])[0] != binascii.crc32(data[:-4]):
        return None
    _, form, count = struct.unpack_from(_HEAD, data)
    try:
        fields = json.loads(data[8:-4])
        given = fields["given"]
        changed = fields["changed"]
    except (KeyError, TypeError, ValueError):
        return None
    if isinstance(changed, dict) and (given is None or isinstance(given, dict)):
        return form, count, given, changed
    return None


def newest(read, stem, say):
    """(format, count, given, changed) of the newer valid copy; None when there is none.
    `read(name)` gives a file's bytes or None; `say(words)` hears of copies that are damaged.
    """
    found = None
    damaged = []
    for slot in (1, 2):
        data = read(name(stem, slot))
        if data is None:
            continue
        copy = unpack(data)
        if copy is None or (copy[1] ^ slot) & 1:
            damaged.append(name(stem, slot))
        elif found is None or copy[1] > found[1]:
            found = copy
    for which in damaged:
        say(
            "%s: torn or damaged; %s"
            % (which, "the other copy holds" if found else "what was changed is lost")
        )
    return found


def save(store, changed, stem="config"):
    """Keep the fields `changed` ({name: value}; None: as it was given) in `store`, from the next
    boot on. Once it returns they are durable; a cut before leaves all of them or none. Doing it
    twice changes nothing more.

    Only while every contactor is open (see firmware.staged). Raises ValueError for what is no
    field or not in its range, OSError when it cannot be kept.
    """
    from firmware import config, let_go

    let_go("firmware.config")
    for field in sorted(changed):
        if field not in config.FIELDS:
            raise ValueError("%s: no such field" % field)
        if changed[field] is not None:
            config.field(field, changed[field], "change")

    def merge(before):
        for field in changed:
            if changed[field] is None:
                before.pop(field, None)
            else:
                before[field] = changed[field]

    _change(store, stem, config.FORMAT, merge)


def factory_reset(store, closed, stem="config", board=None):
    """Forget what the pile has learned in the field: changes of the configuration but those of its
    identity, its links and the installation's ratings; lists, cache, reservations, tariffs; the
    sessions of the past; of all these also what waits in the memory of `board`, if it is given.
    What config.json and board.json give stays. Returns what went from `store`, by name.

    It holds from the next boot on; after a cut in between do it again. Raises ValueError while
    `closed()`, OSError when the store fails.
    """
    from firmware import config, let_go
    from firmware.ledger import history

    for module in ("config", "ledger.history", "ledger.events"):
        let_go("firmware." + module)
    if closed():
        raise ValueError("a contactor is closed; expected all of them open")
    if board and board.memory:
        from firmware import commit

        let_go("firmware.commit")
        commit.forget(board, closed)
    names = []

    def merge(before):
        for field in sorted(before):
            if field not in _STAYS and not any(field.startswith(kind) for kind in _LINKS):
                names.append(field)
                del before[field]

    # Into both copies: what has gone must not come back when one is damaged.
    if _change(store, stem, config.FORMAT, merge):
        _change(store, stem, config.FORMAT, merge, True)
    files = ["h%d" % first for first in history.files(store)]
    for prefix in _LEARNED:
        files += store.names(prefix)
    for found in files:
        store.remove(found)
    return names + files


def _change(store, stem, form, merge, anyway=False):
    # Whether `merge(fields)` changed any of those that are kept as changed; written only then.
    kept = newest(store.load, stem, print) or (form, 0, None, {})
    _, count, given, before = kept
    after = dict(before)
    merge(after)
    if after == before and not anyway:
        return False
    count += 1
    store.save(name(stem, count), pack(form, count, given, after))
    return True


def _text(value):
    # JSON, which json.dumps writes in another order or other escapes on each interpreter.
    if isinstance(value, dict):
        pairs = [_text(key) + ":" + _text(value[key]) for key in sorted(value)]
        return "{%s}" % ",".join(pairs)
    if isinstance(value, str):
        return '"%s"' % "".join(
            ["\\u%04x" % ord(c) if c < " " or c in '"\\' else c for c in value]
        )
    return json.dumps(value)
