"""SetNetworkProfile: where the backend wants the line to lead, see firmware.uplink.networks.
Imported for one request and let go of, see firmware.uplink.commands.

It is tried once NetworkConfigurationPriority names it, from the next start on. `messageTimeout`
is taken and not used: a CALL is sent again after 30 s on every line.
"""

import json

from firmware import borrow

shapes = borrow("firmware.uplink.shapes")
networks = borrow("firmware.uplink.networks")
variables = borrow("firmware.uplink.variables")

_LEVELS = {"mqtt": (1,), "mqtts": (2, 3)}  # the security profiles of each scheme
_TEXT = "abcdefghijklmnopqrstuvwxyz0123456789.-"

_CUSTOM = shapes.CUSTOM
_APN = {
    "apn": (str, True, 2000),
    "apnUserName": (str, False, 50),
    "apnPassword": (str, False, 64),
    "simPin": (int, False, None),
    "preferredNetwork": (str, False, 6),
    "useOnlyPreferredNetwork": (bool, False, None),
    "apnAuthentication": (("PAP", "CHAP", "NONE", "AUTO"), True, None),
    "customData": _CUSTOM,
}
_VPN = {
    "server": (str, True, 2000),
    "user": (str, True, 50),
    "group": (str, False, 50),
    "password": (str, True, 64),
    "key": (str, True, 255),
    "type": (("IKEv2", "IPSec", "L2TP", "PPTP"), True, None),
    "customData": _CUSTOM,
}
_INTERFACES = ("Wired0", "Wired1", "Wired2", "Wired3") + (
    "Wireless0", "Wireless1", "Wireless2", "Wireless3", "Any"
)  # fmt: skip
_PROFILE = {
    "apn": (_APN, False, None),
    "ocppVersion": (
        ("OCPP12", "OCPP15", "OCPP16", "OCPP20", "OCPP201", "OCPP21"),
        False,
        None,
    ),
    "ocppInterface": (_INTERFACES, True, None),
    "ocppTransport": (("SOAP", "JSON"), True, None),
    "messageTimeout": (int, True, None),
    "ocppCsmsUrl": (str, True, 2000),
    "securityProfile": (int, True, 0),
    "identity": (str, False, 48),
    "basicAuthPassword": (str, False, 64),
    "vpn": (_VPN, False, None),
    "customData": _CUSTOM,
}
_SET = {
    "configurationSlot": (int, True, None),
    "connectionData": (_PROFILE, True, None),
    "customData": _CUSTOM,
}


def _set(backend, payload, fresh):
    station = backend.doorman.station
    slot = str(payload["configurationSlot"])
    given = payload["connectionData"]
    if not fresh:
        return shapes.rejected("StaleCommand")
    if slot not in networks.SLOTS:
        return shapes.rejected("InvalidConfSlot", "expected 1 to 4")
    if slot in station.config["network_priority"].split(","):
        return shapes.rejected("PriorityNetworkConf", "take it from the priority list first")
    level = given["securityProfile"]
    try:
        place = _place(given, station.board)
    except ValueError as error:
        return shapes.rejected("InvalidNetworkConf", str(error))
    if level < networks.active_level(station):
        return shapes.rejected("NoSecurityDowngrade")
    made = [place, level, given.get("identity"), given.get("basicAuthPassword")]
    text = json.dumps(made)
    name = "network_" + slot
    try:
        variables.config.field(name, text, "")
    except ValueError:
        return shapes.rejected("InvalidNetworkConf", "all of it is too long")
    if text == station.config[name]:
        return shapes.told("Accepted")
    try:
        variables.keep(station, {name: text})
    except (OSError, ValueError):  # ValueError: longer than a record
        return shapes.told("Failed", "NotKept")
    # Nobody goes by it before the next start: it is not in the list.
    station.config[name] = text
    report = borrow("firmware.access.report")
    detail = "network profile %s: %s, security profile %d" % (slot, place, level)
    report.security(backend.doorman, "ReconfigurationOfSecurityParameters", detail)
    return shapes.told("Accepted")


def _place(given, board):
    """HOST:PORT of the profile `given`. Raises ValueError for what this pile cannot do."""
    for name in ("apn", "vpn"):
        if name in given:
            raise ValueError("%s: expected none, for links are the installer's" % name)
    if given["ocppTransport"] != "JSON":
        raise ValueError("ocppTransport: expected JSON")
    there = _interfaces(board)
    if given["ocppInterface"] not in there:
        raise ValueError("ocppInterface: expected one of " + ", ".join(there))
    scheme, _, rest = given["ocppCsmsUrl"].partition("://")
    place = rest[:-1] if rest.endswith("/") else rest
    host, _, port = place.rpartition(":")
    good = port.isdigit() and 0 < int(port) < 65536 and len(place) <= 250
    if scheme not in _LEVELS or not good or not host or host.lower().strip(_TEXT):
        raise ValueError("ocppCsmsUrl: expected mqtt://HOST:PORT or mqtts://HOST:PORT")
    if given["securityProfile"] not in _LEVELS[scheme]:
        raise ValueError("securityProfile: expected 1 with mqtt, 2 or 3 with mqtts")
    for name in ("identity", "basicAuthPassword"):
        if "\0" in given.get(name, ""):
            raise ValueError("%s: expected no NUL" % name)
    return place


def _interfaces(board):
    # What a board has: they count by kind, from 0 on.
    kinds = [device.interface for device in board.devices if hasattr(device, "interface")]
    found = ["Any"]
    for i, kind in enumerate(kinds):
        found.append("%s%d" % (kind, kinds[:i].count(kind)))
    return found


ACTIONS = {"SetNetworkProfile": (_SET, _set)}
