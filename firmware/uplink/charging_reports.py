"""What the backend may ask about charging profiles: which there are, and what they come to.
Imported for one request and let go of, see firmware.uplink.commands.
"""

from firmware import borrow
from firmware.clock import render
from firmware.energy.limits import BOARD, CABLE, NO_LIMIT_MA, PILOT, SITE

composite = borrow("firmware.energy.composite")
pages = borrow("firmware.uplink.pages")
shapes = borrow("firmware.uplink.shapes")

_SOURCE = "CSO"  # what is set by this line
_MOST = 16  # as firmware.energy.profile has it
_MOST_PERIODS = 48
_MOST_LOOKS = 64  # at profiles, for one composite schedule: each takes a ms or two
_MIN_MA = 6000

_CUSTOM = shapes.CUSTOM
_PURPOSES = composite.PURPOSES + ("PriorityCharging", "LocalGeneration")
_CRITERION = {
    "chargingProfilePurpose": (_PURPOSES, False, None),
    "stackLevel": (int, False, 0),
    "chargingProfileId": ([int], False, _MOST),
    "chargingLimitSource": ([str, 20], False, 4),
    "customData": _CUSTOM,
}
_COMPOSITE = {
    "duration": (int, True, None),
    "chargingRateUnit": (("A", "W"), False, None),
    "evseId": (int, True, 0),
    "customData": _CUSTOM,
}


def _get(backend, payload, fresh):
    criteria = payload["chargingProfile"]
    evse_id = payload.get("evseId")
    found = []
    for data in _kept(backend):
        fields = composite.unpack(data)
        number = fields[composite.ID]
        if (
            composite.matches(fields, criteria, evse_id)
            and number in criteria.get("chargingProfileId", (number,))
            and _SOURCE in criteria.get("chargingLimitSource", (_SOURCE,))
        ):
            found.append(data)
    if not found:
        return {"status": "NoProfiles"}
    service = backend.doorman.station.profiles

    def page(part, _, more):
        fields = composite.unpack(part[0])
        _, limit = service.updated.get(fields[composite.ID], (0, None))
        return {
            "requestId": payload["requestId"],
            "chargingLimitSource": _SOURCE,
            "evseId": fields[composite.EVSE],
            "chargingProfile": [told(part[0], limit)],
            "tbc": more,
        }

    if not pages.tell(backend, "ReportChargingProfiles", 1, page, found):
        return {"status": "NoProfiles", "statusInfo": {"reasonCode": "Busy"}}
    return {"status": "Accepted"}


def told(data, limit=None):
    """The profile `data` as a ChargingProfileType; `limit`, in thousandths, takes the place of
    what a dynamic one has.
    """
    fields = composite.unpack(data)
    kind = composite.KINDS[fields[composite.KIND]]
    schedule = {
        "id": fields[composite.SCHEDULE],
        "chargingRateUnit": "W" if fields[composite.WATTS] else "A",
        "chargingSchedulePeriod": [],
    }
    for at in composite.periods(data, fields):
        start_s, most, phases = composite.period(data, at)
        one = {"startPeriod": start_s, "limit": divmod(most if limit is None else limit, 1000)}
        if phases < 255:
            one["numberPhases"] = phases
        schedule["chargingSchedulePeriod"].append(one)
    if fields[composite.START]:
        schedule["startSchedule"] = render(fields[composite.START] * 1000)
    if fields[composite.DURATION] != composite.NEVER:
        schedule["duration"] = fields[composite.DURATION]
    if fields[composite.LEAST]:
        schedule["minChargingRate"] = divmod(fields[composite.LEAST], 1000)
    found = {
        "id": fields[composite.ID],
        "stackLevel": fields[composite.LEVEL],
        "chargingProfilePurpose": composite.PURPOSES[fields[composite.PURPOSE]],
        "chargingProfileKind": "Recurring" if kind in ("Daily", "Weekly") else kind,
        "chargingSchedule": [schedule],
    }
    if kind in ("Daily", "Weekly"):
        found["recurrencyKind"] = kind
    for name, i in (("validFrom", composite.FROM), ("validTo", composite.TO)):
        if fields[i]:
            found[name] = render(fields[i] * 1000)
    if fields[composite.TX_ID]:
        found["transactionId"] = fields[composite.TX_ID]
    if fields[composite.INTERVAL]:
        found["dynUpdateInterval"] = fields[composite.INTERVAL]
    if fields[composite.OFFLINE] != composite.NEVER:
        found["maxOfflineDuration"] = fields[composite.OFFLINE]
        found["invalidAfterOfflineDuration"] = bool(fields[composite.VOID])
    return found


def _composite(backend, payload, fresh):
    station = backend.doorman.station
    evse_id = payload["evseId"]
    duration_s = payload["duration"]
    if evse_id > len(backend.sessions):
        return shapes.rejected("UnknownEvse")
    if not 0 < duration_s < 1 << 31:
        return shapes.rejected("InvalidValue")
    if not station.wall.is_set:
        return shapes.rejected("CSNotAccepted")
    service = station.profiles or borrow("firmware.energy.profiles").Profiles(station)
    i = max(evse_id, 1) - 1
    outlet = service.outlet(i)
    places = station.board.outlets
    if not evse_id:
        outlet.update({"evse": 0, "among": 1, "phases": max([place.phases for place in places])})
    most_ma = sum([_most(station, n) for n in ([i] if evse_id else range(len(places)))])
    found = composite.Composite(service.kept, service.now(), outlet)
    unit = payload.get("chargingRateUnit", "A")
    periods = []
    at_s = 0
    last = None
    while True:
        parts = [part.ma for part in (found.session(), found.station()) if part]
        ma = min([most_ma] + parts)
        if ma != last:
            last = ma
            watts = (ma * outlet["nominal_v"] * outlet["phases"] + 500) // 1000
            periods.append({
                "startPeriod": at_s,
                "limit": divmod(ma, 1000) if unit == "A" else watts,
                "numberPhases": outlet["phases"],
            })  # fmt: skip
        until_s = found.until()
        at_s = duration_s if until_s is None else min(until_s, duration_s)
        if at_s >= duration_s or len(periods) >= _MOST_PERIODS or found.looks > _MOST_LOOKS:
            break
        found.go(at_s)
    return {
        "status": "Accepted",
        "schedule": {
            "evseId": evse_id,
            "duration": at_s,
            "scheduleStart": station.wall.text(station.wall.uptime_ms),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


def _most(station, i):
    # What outlet `i` may offer without profiles, in mA, with the cable that is there, or any.
    max_ma = station.outlets[i].limits.max_ma
    most_ma = min(max_ma[BOARD], max_ma[PILOT], max_ma[SITE], max_ma[CABLE] or NO_LIMIT_MA)
    return most_ma if most_ma >= _MIN_MA else 0


def _kept(backend):
    service = backend.doorman.station.profiles
    return service.kept if service else []


ACTIONS = {
    "GetChargingProfiles": (
        {
            "requestId": (int, True, None),
            "evseId": (int, False, 0),
            "chargingProfile": (_CRITERION, True, None),
            "customData": _CUSTOM,
        },
        _get,
    ),
    "GetCompositeSchedule": (_COMPOSITE, _composite),
}
