"""Makes bytes of a charging profile as OCPP has it, and says what is wrong with it; imported for
that only, see firmware.let_go. The bytes are said in firmware.energy.composite.
"""

import struct

from firmware import let_go
from firmware.clock import parse

try:
    from firmware.energy import composite
finally:
    let_go("firmware.energy.composite")

MOST = 16  # profiles
MOST_PERIODS = 48  # of a schedule: a day's half hours
MOST_LEVEL = 99
_MOST = 4000000  # W or A: what no grid gives a pile
# What is about functions that a pile of this kind has not. A limit that could not be kept to must
# not look as if it were.
_UNSUPPORTED = (
    ("", ("priceScheduleSignature",)),
    (".chargingSchedule[0]", ("limitAtSoC", "powerTolerance", "signatureId", "digestValue",
     "randomizedDelay", "salesTariff", "absolutePriceSchedule", "priceLevelSchedule")),
)  # fmt: skip
_PERIOD = ("startPeriod", "limit", "numberPhases", "operationMode", "customData")
_DAY = "2026-01-01T00:00:00Z"


class ProfileError(Exception):
    """`reason` is OCPP's code for a StatusInfo; its text says what was expected and found."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


def check(given, evse_id, utc_offset_min=0):
    """The bytes of `given`, a ChargingProfileType whose fields have the right types, for outlet
    `evse_id` (0: the station). Raises ProfileError.
    """
    purpose = given["chargingProfilePurpose"]
    if purpose not in composite.PURPOSES:
        raise ProfileError("UnsupportedParam", "chargingProfilePurpose: %s" % purpose)
    purpose = composite.PURPOSES.index(purpose)
    if purpose == composite.EXTERNAL:
        raise _wrong("chargingProfilePurpose: what others set", given["chargingProfilePurpose"])
    tx = given.get("transactionId", "")
    if purpose == composite.TX and not evse_id:
        raise _wrong("evseId of a TxProfile", evse_id)
    if purpose == composite.MAX and evse_id:
        raise _wrong("evseId of a ChargingStationMaxProfile", evse_id)
    if purpose != composite.TX and tx:
        raise _wrong("transactionId without a TxProfile", tx)
    if given["stackLevel"] > MOST_LEVEL:
        raise ProfileError("InvalidStackLevel", "expected 0 to %d" % MOST_LEVEL)
    kind = _kind(given)
    if kind == composite.RELATIVE and purpose == composite.MAX:
        raise _wrong("chargingProfileKind of a ChargingStationMaxProfile", "Relative")
    _supported(given)
    valid = _date(given, "validFrom"), _date(given, "validTo")
    if valid[1] and valid[0] >= valid[1]:
        raise _wrong("validTo", given["validTo"])
    if len(given["chargingSchedule"]) > 1:
        raise ProfileError("InvalidSchedule", "chargingSchedule: expected one")
    schedule = given["chargingSchedule"][0]
    start_s, periods = _schedule(schedule, kind, utc_offset_min)
    head = struct.pack(
        composite.FORMAT,
        _whole(given, "id", -(1 << 31), 1 << 31),
        evse_id,
        purpose,
        kind,
        1 if schedule["chargingRateUnit"] == "W" else 0,
        given["stackLevel"],
        valid[0],
        valid[1],
        start_s,
        _whole(schedule, "duration", 0, composite.NEVER, composite.NEVER),
        _thousandths(schedule.get("minChargingRate", 0), "minChargingRate"),
        _whole(schedule, "id", -(1 << 31), 1 << 31),
        _whole(given, "dynUpdateInterval", 0, 1 << 24, 0),
        _whole(given, "maxOfflineDuration", 0, composite.NEVER, composite.NEVER),
        1 if given.get("invalidAfterOfflineDuration") else 0,
        len(tx.encode()),
    )
    return head + tx.encode() + periods


def _kind(given):
    name = given["chargingProfileKind"]
    recurrency = given.get("recurrencyKind", "")
    if name == "Recurring":
        if recurrency not in composite.KINDS:
            raise _wrong("recurrencyKind", recurrency)
        name = recurrency
    return composite.KINDS.index(name)


def _supported(given):
    for where, names in _UNSUPPORTED:
        found = given["chargingSchedule"][0] if where else given
        for name in names:
            if name in found:
                raise ProfileError("UnsupportedParam", "chargingProfile%s.%s" % (where, name))


def _schedule(schedule, kind, utc_offset_min):
    # Its start and the bytes of its periods.
    start_s = 0
    if "startSchedule" in schedule:
        if kind == composite.RELATIVE:
            raise _bad("startSchedule", "none in a relative profile")
        text = schedule["startSchedule"]
        if schedule.get("useLocalTime"):
            text = text[:19] + _DAY[19:]
        start_s = _date({"startSchedule": text}, "startSchedule")
        if schedule.get("useLocalTime"):
            start_s -= utc_offset_min * 60
    elif kind <= composite.WEEKLY:
        raise _bad("startSchedule", "one")
    given = schedule["chargingSchedulePeriod"]
    most = 1 if kind == composite.DYNAMIC else MOST_PERIODS
    if len(given) > most:
        raise _bad("chargingSchedulePeriod", "at most %d" % most)
    made = []
    before = -1
    for one in given:
        for name in sorted(one):
            if name not in _PERIOD or name == "operationMode" and one[name] != "ChargingOnly":
                raise ProfileError("UnsupportedParam", "chargingSchedulePeriod.%s" % name)
        at_s = _whole(one, "startPeriod", 0, composite.NEVER)
        if at_s <= before or not made and at_s:
            raise _bad("startPeriod", "0, and then later and later ones")
        before = at_s
        if "limit" not in one:
            raise _bad("limit", "one in each period")
        limit = _thousandths(one["limit"], "limit")
        made.append(
            struct.pack(composite.PERIOD, at_s, limit, _whole(one, "numberPhases", 0, 4, 255))
        )
    return start_s, b"".join(made)


def place(kept, data, now_s):
    """The ids of those in `kept` that make room for the profile `data`: where there is none left,
    what has expired before `now_s` (Unix time; None: date unknown). Raises ProfileError when it
    cannot stand beside the others.
    """
    new = composite.unpack(data)
    others = []
    for one in kept:
        old = composite.unpack(one)
        if old[composite.ID] == new[composite.ID]:
            if old[composite.PURPOSE] == composite.EXTERNAL:
                raise _wrong("id: none of what others have set", new[composite.ID])
            continue
        others.append(old)
        if _alike(old, new):
            text = "profile %d has this purpose and stackLevel" % old[composite.ID]
            raise ProfileError("DuplicateProfile", text)
    if len(others) < MOST:
        return []
    gone = [
        old[composite.ID]
        for old in others
        if now_s is not None and 0 < old[composite.TO] <= now_s
    ]
    if not gone:
        raise ProfileError("NoSpace", "expected at most %d profiles" % MOST)
    return gone


def _alike(old, new):
    # Whether nobody could tell which of the two counts.
    for i in (composite.PURPOSE, composite.LEVEL, composite.TX_ID):
        if old[i] != new[i]:
            return False
    if old[composite.EVSE] and new[composite.EVSE] and old[composite.EVSE] != new[composite.EVSE]:
        return False
    for one, other in ((old, new), (new, old)):
        if 0 < one[composite.TO] <= other[composite.FROM]:
            return False
    return True


def updated(kept, number, given):
    """The limit, in thousandths, of `given`, a ChargingScheduleUpdateType, for the dynamic profile
    `number` of `kept`; or OCPP's reason why there is none.
    """
    for data in kept:
        fields = composite.unpack(data)
        if fields[composite.ID] == number:
            if fields[composite.KIND] != composite.DYNAMIC:
                return "InvalidProfile"
            if not isinstance(given, dict) or "limit" not in given:
                return "MissingParam"
            for name in given:
                if name not in ("limit", "customData"):
                    return "UnsupportedParam"
            try:
                return _thousandths(given["limit"], "limit")
            except ProfileError:
                return "InvalidValue"
    return "NotFound"


def _date(given, name):
    # Unix time in s; 0: not given.
    if name not in given:
        return 0
    try:
        found = parse(given[name]) // 1000
    except ValueError:
        found = 0
    if not 0 < found < composite.NEVER:
        raise _wrong(name, given[name])
    return found


def _whole(given, name, least, most, default=None):
    # A whole number from `least` to below `most`; `default` when there is none.
    found = given.get(name, default)
    if found != default and not least <= found < most:
        raise ProfileError("InvalidValue", "%s: found %d" % (name, found))
    return found


def _thousandths(number, name):
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ProfileError("InvalidValue", "%s: expected a number" % name)
    if not 0 <= number <= _MOST:
        raise ProfileError("InvalidValue", "%s: expected 0 to %d" % (name, _MOST))
    return number * 1000 if isinstance(number, int) else int(number * 1000 + 0.5)


def _wrong(what, found):
    return ProfileError("InvalidProfile", "%s: found %s" % (what, found))


def _bad(what, expected):
    return ProfileError("InvalidSchedule", "%s: expected %s" % (what, expected))
