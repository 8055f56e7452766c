"""The connections that the backend has set, OCPP's network connection profiles. Imported when one
is asked for and let go of, see firmware.borrow.

They are in the configuration, "network_1" to "network_4", as JSON: HOST:PORT, security profile,
user, password; the last two null where the configuration's own are meant. "network_priority" says
which of them the line tries, in this order, "network_attempts" times each. `broker` comes after
them, whatever they are: a wrong one costs attempts, and never the line for good.
"""

import json
import os

from firmware import borrow

SLOTS = ("1", "2", "3", "4")
_LEVELS = (1, 2, 3)  # a password; by TLS; by TLS with the pile's own certificate


def profile(config, slot):
    """(HOST:PORT, security profile, user, password) in a slot, a text; None: there is none."""
    if slot not in SLOTS:
        return None
    try:
        place, level, user, password = json.loads(config["network_" + slot])
    except (TypeError, ValueError):
        return None
    return (place, level, user, password) if level in _LEVELS else None


def active_level(station):
    """The security profile of the line as it is: 3 where the pile proves by a certificate of its
    own who it is, whatever else was set.
    """
    kept = profile(station.config, str(active(station)))
    if not (station.config["tls"] or kept and kept[1] > 1):
        return 1
    slot = getattr(station, "own", None)  # None: the line does not go by certificates
    return 3 if slot is not None and borrow("firmware.uplink.own").parts(station, slot) else 2


def active(station):
    """The slot that the line is by, or was last; 0: `broker`."""
    return getattr(station, "network", 0)


def places(config):
    """What the line tries before `broker`: (slot, HOST:PORT, whether by TLS, how many attempts
    come before this one in a row, how many they are).
    """
    found = []
    of = config["network_attempts"]
    for slot in config["network_priority"].split(","):
        kept = profile(config, slot)
        # What was set before the installer asked for TLS counts no longer.
        if kept and (kept[1] > 1 or not config["tls"]):
            found += [(int(slot), kept[0], kept[1] > 1, n, of) for n in range(of)]
    return found


def use(station, slot):
    """The next session is by this slot, 0: by `broker`. After a change the backend is told who the
    pile is, as after a start: it may be another one.
    """
    config = station.config
    kept = profile(config, str(slot))
    user, password = kept[2:] if kept else (None, None)
    user = user or config["user"]
    backend = station.backend
    backend.link.user = user.encode() if user else None
    backend.link.pswd = (password or config["password"]).encode() if user else None
    if active(station) != slot:
        station.network = slot
        backend.accepted = False


def without_password(station):
    """The fields to be kept, so that the slot in use goes by the configuration's password: what is
    set of that counts for the line as it is.
    """
    slot = str(active(station))
    kept = profile(station.config, slot)
    if not kept or kept[3] is None:
        return {}
    return {"network_" + slot: json.dumps(list(kept[:3]) + [None])}


def unfit(station, text):
    """Why the line cannot go by the slots in `text`, as OCPP's reasonCode; "": it can."""
    slots = text.split(",") if text else ()
    for slot in slots:
        kept = profile(station.config, slot)
        if not kept or slots.count(slot) > 1 or not _proves(station, kept[1]):
            return "InvalidNetworkConf"
        if kept[1] < active_level(station):
            return "NoSecurityDowngrade"
    return ""


def _proves(station, level):
    # Whether there is what such a line proves itself and its broker by.
    if level == 3:
        own = borrow("firmware.uplink.own")
        if not own.parts(station, own.newest(station)):
            return False
    secure = borrow("firmware.uplink.secure")
    trusted = borrow("firmware.access.roots").trusted(station.board.store)
    return level == 1 or trusted[0] or _there(secure.CA) or _there(secure.PSK)


def _there(name):
    try:
        os.stat(name)
        return True
    except OSError:
        return False
