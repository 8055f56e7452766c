"""Which outlets the backend has taken out of service (OCPP's ChangeAvailability). Imported at boot
and when that changes, and let go of.

The field `inoperative` of the configuration names them: "0" the station, "2" EVSE 2, "2.1" its
connector, with commas between them. Each is put back into service by its own name: an outlet is in
service when neither it nor what it is part of is named. A change holds at once, and is durable in
the journal until firmware.changes has it; a factory reset puts all into service.

An outlet out of service lets nobody in. Whoever was let in before stays, and what has begun ends
as it would anyway.
"""

import json

from micropython import const

_STAGED = const(6)  # kind of a record, see firmware.commit
_SETTING = const(12)  # as firmware.uplink.variables has it


def change(station, name, operative):
    """Take what is called `name`, see above, out of service or put it back. Raises OSError when
    it cannot be kept: then nothing has changed.
    """
    named = [one for one in station.config["inoperative"].split(",") if one and one != name]
    if not operative:
        named.append(name)
    text = ",".join(sorted(named))
    if text != station.config["inoperative"]:
        data = json.dumps({"inoperative": text}).encode()
        station.journal.append(bytes((_STAGED, _SETTING)) + data)
        station.config["inoperative"] = text
        apply(station)


def apply(station):
    """Go by the field as it is now."""
    named = station.config["inoperative"].split(",")
    for i, outlet in enumerate(station.outlets, 1):
        outlet.inoperative = any(one in named for one in ("0", "%d" % i, "%d.1" % i))
