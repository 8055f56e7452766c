"""NotifyEvent: what of the device model the backend should hear of. Imported for one and let go
of. It is told while the backend hears; what came and went before that is not.
"""

from micropython import const

from firmware import borrow
from firmware.safety.faults import FAULTS, SERVICE, UNPLUG

_ITEMS = const(16)  # in one message, which has 6 kB then


def tell(station, about):
    """Tell of the events `about`, each a dict: OCPP's EventDataType without eventId and
    timestamp. Whether they will be told, or need not be.
    """
    level = station.config["monitoring_level"]
    about = [one for one in about if one["severity"] <= level]
    if not about:
        return True
    outbox = station.backend.outbox
    wall = station.wall
    # No other event has the number of this call, in this boot or another.
    first = (wall.boot & 0x3FFF) << 16 | (outbox._count & 0xFFF) << 4
    for i, one in enumerate(about[:_ITEMS]):
        one["eventId"] = first + i
        one["timestamp"] = wall.text(wall.uptime_ms)
    return outbox.add("NotifyEvent", _event, about[:_ITEMS])


def _event(about):
    return {"generatedAt": about[0]["timestamp"], "seqNo": 0, "tbc": False, "eventData": about}


def faults(station, i, before, now):
    """The faults of outlet `i` (from 0) were the bits `before` and are `now`. Whether that will be
    told.
    """
    meanings = borrow("firmware.explain").MEANINGS
    about = []
    for bit, fault in enumerate(FAULTS):
        if (before ^ now) >> bit & 1:
            kind = fault[4]
            about.append({
                "component": {"name": "EVSE", "evse": {"id": i + 1}},
                "variable": {"name": "Problem"},
                "trigger": "Alerting",
                "actualValue": "true" if now else "false",
                "cleared": not now >> bit & 1,
                "techCode": fault[0],
                "techInfo": meanings[bit],
                "eventNotificationType": "HardWiredNotification",
                # OCPP's: 1 hardware failure, 3 critical, 4 error
                "severity": 1 if kind == SERVICE else 3 if kind == UNPLUG else 4,
            })  # fmt: skip
    return tell(station, about)
