"""What the backend said of tokens, kept for when it cannot be asked: at most 64, the newest. See
firmware.access.entries for its file. Imported to take note and let go of; what writes it stays
until it is written.
"""

from micropython import const

from firmware.access import entries
from firmware.clock import parse
from firmware.ticks import diff

_MOST = const(64)
_FRESH = const(16)  # that wait to be written
_LATER_MS = const(60000)  # several are written in one go
_LAST_S = const(0xFFFFFFFF)  # that an entry has room for: in 2106


def note(door, digest, info):
    """Take note of the idTokenInfo that the backend gave of a token; returns (status, group or
    None, outlets as bits). What is malformed in it is as if it were not there.

    Who is refused and was let in before stays as refused; strangers get no entry, so that nobody
    can push out the others by guessing.
    """
    status = info.get("status")
    if not isinstance(status, str):
        status = "no answer"
    group = group_of(door, info)
    evses = bits(info.get("evseId"))
    config = door.config
    if (
        config["auth_cache"]
        and status
        and status in entries.STATUSES
        and not (config["local_list"] and entries.in_list(door, digest))
    ):
        before = entries.in_cache(door, digest)
        if before or status == "Accepted":
            now_s = door.now_s() or 0
            life_s = config["auth_cache_life_s"]
            expires_s = now_s + life_s if now_s and life_s else 0
            until_s = seconds(info.get("cacheExpiryDateTime"))
            if until_s and not 0 < expires_s < until_s:
                expires_s = until_s
            code = entries.STATUSES.index(status)
            entry = entries.pack(digest, code, group, evses, min(expires_s, _LAST_S))
            # What only puts its end off by less than half a life is not worth a write to flash.
            same = before and before[:22] == entry[:22]
            if not same or not 0 <= expires_s - entries.unpack(before)[4] <= life_s // 2:
                _keep(door, entry, status != "Accepted")
    return status, group, evses


def group_of(door, info):
    """The digest of the groupIdToken in an idTokenInfo; None."""
    group = info.get("groupIdToken")
    text = group.get("idToken") if isinstance(group, dict) else None
    if not isinstance(text, str) or not text:
        return None
    try:
        return door.digest(text)
    except ValueError:
        return None


def bits(evse_ids):
    """Outlets (a list of evseId from 1) as bits; 255 where none is named. Only eight can be."""
    if not isinstance(evse_ids, list) or not evse_ids:
        return 255
    sum_ = 0
    for i in evse_ids:
        if isinstance(i, int) and 1 <= i <= 8:
            sum_ |= 1 << i - 1
    return sum_


def seconds(text):
    """Unix time in s of an RFC 3339 date-time; 0 for what is none."""
    try:
        return max(parse(text) // 1000, 1)
    except ValueError:
        return 0


def _keep(door, entry, urgent):
    digest = entry[: entries.DIGEST]
    fresh = [other for other in door.fresh if other[: entries.DIGEST] != digest]
    if len(fresh) >= _FRESH:
        # A refusal must not be forgotten while the file says otherwise.
        accepted = [i for i, e in enumerate(fresh) if e[entries.DIGEST] == 1]
        fresh.pop(accepted[0] if accepted else 0)
        door.void = door.void or not accepted
    idle = not door.fresh
    door.fresh = fresh + [entry]
    if idle:
        _write_soon(door, urgent)


def forget(door, digest):
    """Forget one."""
    if entries.in_cache(door, digest):
        _keep(door, entries.pack(digest, 0), True)


def clear(door):
    """Forget everybody."""
    door.fresh = []
    if door.cached and not door.void:
        door.void = True
        _write_soon(door, True)


def _write_soon(door, urgent):
    since_ms = door.now_ms

    def tick(now_ms):
        nonlocal since_ms, urgent
        late = urgent or len(door.fresh) > 7 or diff(now_ms, since_ms) >= _LATER_MS
        if not late or door.closed():
            return True
        try:
            write(door)
        except OSError as error:
            door.record("error", problem="access.cache: %r" % error)
            urgent = False
            since_ms = now_ms
            return True
        return False

    door.chores.append(tick)


def write(door):
    """Write what waits, the newest first. While no contactor is closed only; raises OSError."""
    kept = [bytes(entry) for entry in reversed(door.fresh)]
    gone = [entry for entry in kept if not entry[entries.DIGEST]]
    digests = [entry[: entries.DIGEST] for entry in kept]
    if not door.void:
        for entry in entries.stream(door.store, entries.CACHE, door.cached):
            if len(kept) < _MOST and entry[: entries.DIGEST] not in digests:
                kept.append(entry)
    kept = [entry for entry in kept if entry not in gone]
    count, crc = entries.summed(kept)
    head = entries.header(door.digest("")[:4], 0, count, crc)
    door.store.replace(entries.CACHE, (head, b"".join(kept)))
    door.cached = count
    door.fresh = []
    door.void = False
