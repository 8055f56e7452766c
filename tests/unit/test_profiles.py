"""What stacks of charging profiles allow, against a plain second reckoning, second by second."""

import sys

from firmware.clock import render
from firmware.energy import profile
from firmware.uplink import charging_reports
from hal.virtual.random import Random
from tests.support import raises

composite = profile.composite  # which it lets go of
NOON = 1767268800  # 2026-01-01T12:00:00Z, a Thursday
DAY = 86400
STACKS = 300 if sys.implementation.name == "cpython" else 100
WINDOW_S = 90


def made(spec):
    """The profile `spec`, plain numbers, as OCPP has it."""
    schedule = {
        "id": 7,
        "chargingRateUnit": spec["unit"],
        "chargingSchedulePeriod": [
            {"startPeriod": at_s, "limit": tenths / 10} for at_s, tenths in spec["periods"]
        ],
    }
    if spec["start"] is not None:
        schedule["startSchedule"] = render(spec["start"] * 1000)
    if spec["duration"] is not None:
        schedule["duration"] = spec["duration"]
    if spec["least"]:
        schedule["minChargingRate"] = spec["least"]
    found = {
        "id": spec["id"],
        "stackLevel": spec["level"],
        "chargingProfilePurpose": spec["purpose"],
        "chargingProfileKind": spec["kind"],
        "chargingSchedule": [schedule],
    }
    if spec["kind"] in ("Daily", "Weekly"):
        found["chargingProfileKind"] = "Recurring"
        found["recurrencyKind"] = spec["kind"]
    for name, key in (("validFrom", "from"), ("validTo", "to")):
        if spec[key] is not None:
            found[name] = render(spec[key] * 1000)
    for name in ("transactionId", "dynUpdateInterval", "maxOfflineDuration"):
        if spec[name] is not None:
            found[name] = spec[name]
    return found


def random_spec(random, number):
    """A profile with changes within some minutes around NOON."""
    purpose = ("ChargingStationMaxProfile", "TxDefaultProfile", "TxDefaultProfile", "TxProfile",
               "ChargingStationExternalConstraints")  # fmt: skip
    spec = {
        "id": number,
        "level": number % 5 * 10 + number // 5,  # no two alike
        "purpose": purpose[random.below(5)],
        "unit": "AW"[random.below(2)],
        "least": 8 if not random.below(6) else 0,
        "from": None,
        "to": None,
        "start": None,
        "duration": None,
        "transactionId": None,
        "dynUpdateInterval": None,
        "maxOfflineDuration": random.below(200) if not random.below(8) else None,
        "updated": None,
    }
    kinds = ("Absolute", "Daily", "Weekly", "Dynamic", "Relative")
    spec["kind"] = kinds[random.below(4 if "Station" in spec["purpose"] else 5)]
    spec["evse"] = 0 if "Station" in spec["purpose"] else random.below(3)
    if spec["purpose"] == "TxProfile":
        spec["evse"] = 1
        spec["transactionId"] = ("tx-1", "tx-1", "tx-2")[random.below(3)]
    scale = 230 if spec["unit"] == "W" else 1
    count = 1 if spec["kind"] == "Dynamic" else 1 + random.below(7)
    at_s = 0
    spec["periods"] = []
    for _ in range(count):
        spec["periods"].append((at_s, random.below(400) * scale))
        at_s += 1 + random.below(60)
    if spec["kind"] in ("Absolute", "Daily", "Weekly"):
        spec["start"] = NOON - random.below(200) + 20
        if spec["kind"] != "Absolute":
            cycle = DAY if spec["kind"] == "Daily" else 7 * DAY
            spec["start"] += (1 - random.below(4)) * cycle
            if random.below(3) == 0:  # what was a day ago ends, and begins anew
                spec["periods"].append((cycle - random.below(100) - 400, 99 * scale))
    if random.below(3) == 0:
        spec["duration"] = random.below(150)
    if random.below(4) == 0:
        spec["from"] = NOON - random.below(100) + 40
    if random.below(4) == 0:
        spec["to"] = (spec["from"] or NOON) + 1 + random.below(60)
    if spec["kind"] == "Dynamic":
        if random.below(2):
            spec["dynUpdateInterval"] = 1 + random.below(60)
        if random.below(4):
            spec["updated"] = (random.below(120), random.below(400) * scale)  # s ago, tenths
    return spec


def plain(spec, t, state):
    """In words of the standard: what one profile allows at the moment `t`: (mA,), or None where
    it does not count.
    """
    if spec["evse"] not in (0, 1):
        return None
    if spec["transactionId"] not in (None, "tx-1"):
        return None
    offline_s = state["offline_s"]
    if spec["maxOfflineDuration"] is not None and offline_s is not None:
        if offline_s + t - NOON >= spec["maxOfflineDuration"]:
            return None
    needs_date = spec["kind"] in ("Absolute", "Daily", "Weekly")
    if needs_date or spec["from"] is not None or spec["to"] is not None:
        if not state["dated"]:
            return (state["fallback_ma"],)
        if spec["from"] is not None and t < spec["from"]:
            return None
        if spec["to"] is not None and t >= spec["to"]:
            return None
        if needs_date and t < spec["start"]:
            return None
    tenths = None
    if spec["kind"] == "Dynamic":
        if spec["updated"] is None:
            return (state["fallback_ma"],)
        ago_s = spec["updated"][0] + t - NOON
        if spec["dynUpdateInterval"] is not None and ago_s >= spec["dynUpdateInterval"] + 30:
            return (state["fallback_ma"],)
        if spec["duration"] is not None and ago_s >= spec["duration"]:
            return None
        tenths = spec["updated"][1]
    else:
        if spec["kind"] == "Relative":
            elapsed_s = state["spent_s"] + t - NOON
        else:
            elapsed_s = t - spec["start"]
        if spec["kind"] == "Daily":
            while elapsed_s >= DAY:
                elapsed_s -= DAY
        if spec["kind"] == "Weekly":
            while elapsed_s >= 7 * DAY:
                elapsed_s -= 7 * DAY
        if spec["duration"] is not None and elapsed_s >= spec["duration"]:
            return None
        for at_s, limit in spec["periods"]:
            if at_s <= elapsed_s:
                tenths = limit
    amount = tenths * 100  # mA or mW
    if amount < spec["least"] * 1000:
        return (0,)
    if "Station" in spec["purpose"]:
        amount //= state["among"]
    if spec["unit"] == "W":
        amount //= 230 * state["phases"]
    return (amount if amount >= 6000 else 0,)


def reckoned(specs, t, state):
    """(what bounds the transaction, what bounds the station) in mA; None: nothing does."""
    bounds = {}
    for purpose in ("TxProfile", "TxDefaultProfile", "ChargingStationMaxProfile",
                    "ChargingStationExternalConstraints"):  # fmt: skip
        best = -1
        for spec in specs:
            allowed = plain(spec, t, state) if spec["purpose"] == purpose else None
            if allowed and spec["level"] > best:
                best = spec["level"]
                bounds[purpose] = allowed[0]
    session = bounds.get("TxProfile", bounds.get("TxDefaultProfile"))
    station = [bounds[name] for name in bounds if "Station" in name]
    return session, min(station) if station else None


def packed(spec):
    """The bytes of it; a backend may not set what others do, who make it in the same way."""
    given = made(spec)
    if spec["purpose"] != "ChargingStationExternalConstraints":
        return profile.check(given, spec["evse"])
    given["chargingProfilePurpose"] = "ChargingStationMaxProfile"
    data = bytearray(profile.check(given, spec["evse"]))
    data[5] = composite.EXTERNAL
    return bytes(data)


def _now(state, specs):
    updated = {}
    for spec in specs:
        if spec["kind"] == "Dynamic" and spec["updated"] is not None:
            updated[spec["id"]] = 5000 - spec["updated"][0], spec["updated"][1] * 100
    return {
        "unix_s": NOON if state["dated"] else None,
        "uptime_s": 5000,
        "offline_s": state["offline_s"],
        "fallback_ma": state["fallback_ma"],
        "updated": updated,
    }


def _outlet(state):
    return {
        "evse": 1, "tx": "tx-1", "spent_s": state["spent_s"], "among": state["among"],
        "phases": state["phases"], "nominal_v": 230,
    }  # fmt: skip


def _found(stack):
    parts = stack.session(), stack.station()
    return tuple([part.ma if part else None for part in parts])


def test_random_stacks_are_as_a_second_reckoning_says():
    random = Random(4)
    changes = bound = 0
    for n in range(STACKS):
        specs = [random_spec(random, number) for number in range(random.below(9))]
        kept = [packed(spec) for spec in specs]
        state = {
            "dated": random.below(6) > 0,
            "offline_s": random.below(150) if not random.below(3) else None,
            "spent_s": random.below(120),
            "among": 1 + random.below(2),
            "phases": (1, 3)[random.below(2)],
            "fallback_ma": 8000,
        }
        stack = composite.Composite(kept, _now(state, specs), _outlet(state))
        for ahead_s in range(WINDOW_S):
            wanted = reckoned(specs, NOON + ahead_s, state)
            until_s = stack.until()
            if until_s is not None and until_s <= ahead_s:
                stack.go(ahead_s)
                changes += 1
            assert _found(stack) == wanted, (n, ahead_s, specs, state)
            bound += wanted != (None, None)
    assert changes > 2 * STACKS and bound > STACKS * WINDOW_S / 3


def test_what_is_told_is_what_was_set():
    random = Random(9)
    for number in range(STACKS):
        spec = random_spec(random, number % 90)
        if "External" in spec["purpose"]:
            continue
        given = made(spec)
        data = profile.check(given, spec["evse"])
        told = charging_reports.told(data)
        assert profile.check(_plain(told), spec["evse"]) == data
        schedule = told["chargingSchedule"][0]
        assert schedule.get("startSchedule") == given["chargingSchedule"][0].get("startSchedule")
        assert told.get("validTo") == given.get("validTo") and told["id"] == given["id"]
        assert len(data) < 120


def _plain(value):
    # With the decimal numbers as JSON would bring them back.
    if isinstance(value, tuple):
        return value[0] + value[1] / 1000
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(value[name]) for name in value}
    return value


def _spec(**more):
    spec = random_spec(Random(1), 1)
    spec.update({
        "purpose": "TxDefaultProfile", "kind": "Absolute", "unit": "A", "least": 0, "evse": 0,
        "from": None, "to": None, "start": NOON, "duration": None, "transactionId": None,
        "dynUpdateInterval": None, "maxOfflineDuration": None, "periods": [(0, 160)],
    })  # fmt: skip
    spec.update(more)
    return spec


def _changed(given, **more):
    given = dict(given)
    given["chargingSchedule"] = [dict(given["chargingSchedule"][0])]
    for name in more:
        if name in ("startSchedule", "duration", "chargingSchedulePeriod", "useLocalTime",
                    "limitAtSoC", "randomizedDelay", "minChargingRate"):  # fmt: skip
            given["chargingSchedule"][0][name] = more[name]
            if more[name] is None:
                del given["chargingSchedule"][0][name]
        else:
            given[name] = more[name]
    return given


def test_what_is_wrong_is_said():
    good = made(_spec())
    two = [{"startPeriod": 0, "limit": 6}, {"startPeriod": 0, "limit": 7}]
    many = [{"startPeriod": i, "limit": 6} for i in range(49)]
    for given, evse_id, reason in (
        (_changed(good, chargingProfilePurpose="ChargingStationExternalConstraints"), 0,
         "InvalidProfile"),
        (_changed(good, chargingProfilePurpose="PriorityCharging"), 0, "UnsupportedParam"),
        (_changed(good, chargingProfilePurpose="LocalGeneration"), 0, "UnsupportedParam"),
        (_changed(good, chargingProfilePurpose="TxProfile"), 0, "InvalidProfile"),
        (_changed(good, chargingProfilePurpose="ChargingStationMaxProfile"), 1, "InvalidProfile"),
        (_changed(good, transactionId="t"), 0, "InvalidProfile"),
        (_changed(good, stackLevel=100), 0, "InvalidStackLevel"),
        (_changed(good, chargingProfileKind="Recurring"), 0, "InvalidProfile"),
        (_changed(good, chargingProfileKind="Relative"), 0, "InvalidSchedule"),
        (_changed(good, startSchedule=None), 0, "InvalidSchedule"),
        (_changed(good, startSchedule="soon"), 0, "InvalidProfile"),
        (_changed(good, startSchedule="2199-01-01T00:00:00Z"), 0, "InvalidProfile"),
        (_changed(good, validFrom="2026-01-02T00:00:00Z", validTo="2026-01-02T00:00:00Z"), 0,
         "InvalidProfile"),
        (_changed(good, id=1 << 31), 0, "InvalidValue"),
        (_changed(good, duration=-1), 0, "InvalidValue"),
        (_changed(good, maxOfflineDuration=-1), 0, "InvalidValue"),
        (_changed(good, dynUpdateInterval=-1), 0, "InvalidValue"),
        (_changed(good, minChargingRate=-1), 0, "InvalidValue"),
        (_changed(good, chargingSchedulePeriod=two), 0, "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=two[1:] + two), 0, "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 5, "limit": 6}]), 0,
         "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=many), 0, "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=many[:2], chargingProfileKind="Dynamic"), 0,
         "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0}]), 0, "InvalidSchedule"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0, "limit": -1}]), 0,
         "InvalidValue"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0, "limit": 1e30}]), 0,
         "InvalidValue"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0, "limit": float("nan")}]), 0,
         "InvalidValue"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0, "limit": 6, "phaseToUse": 1}]),
         0, "UnsupportedParam"),
        (_changed(good, chargingSchedulePeriod=[{"startPeriod": 0, "setpoint": 6}]), 0,
         "UnsupportedParam"),
        (_changed(good, chargingSchedulePeriod=[
            {"startPeriod": 0, "limit": 6, "operationMode": "CentralSetpoint"}]), 0,
         "UnsupportedParam"),
        (_changed(good, chargingSchedulePeriod=[
            {"startPeriod": 0, "limit": 6, "numberPhases": 4}]), 0, "InvalidValue"),
        (_changed(good, limitAtSoC={"soc": 80, "limit": 6}), 0, "UnsupportedParam"),
        (_changed(good, randomizedDelay=10), 0, "UnsupportedParam"),
        (_changed(good, priceScheduleSignature="x"), 0, "UnsupportedParam"),
        (dict(good, chargingSchedule=good["chargingSchedule"] * 2), 0, "InvalidSchedule"),
    ):  # fmt: skip
        error = raises(profile.ProfileError, profile.check, given, evse_id)
        assert error.reason == reason, (given, error.reason, str(error))
        assert len(str(error)) > 5
    relative = _changed(good, startSchedule=None, chargingProfileKind="Relative",
                        chargingProfilePurpose="ChargingStationMaxProfile")  # fmt: skip
    assert raises(profile.ProfileError, profile.check, relative, 0).reason == "InvalidProfile"
    assert profile.check(_changed(good, chargingSchedulePeriod=many[:48]), 0)


def test_local_time_is_that_of_the_pile():
    local = _changed(made(_spec()), startSchedule="2026-01-01T08:00:00-05:00", useLocalTime=True)
    fields = composite.unpack(profile.check(local, 0, 480))
    assert fields[composite.START] == 1767225600  # 8:00 at UTC+8
    away = _changed(local, useLocalTime=False)
    assert composite.unpack(profile.check(away, 0, 480))[composite.START] == 1767225600 + 13 * 3600


def test_two_that_nobody_could_tell_apart_are_refused():
    def packed(**more):
        evse_id = more.pop("evse", 0)
        return profile.check(made(_spec(**more)), evse_id)

    kept = [packed(id=1, level=3, to=NOON + 100)]
    for more in ({}, {"evse": 2}, {"to": NOON + 300}, {"from": NOON + 99}):
        new = packed(id=2, level=3, **more)
        assert raises(profile.ProfileError, profile.place, kept, new, NOON).reason == (
            "DuplicateProfile"
        ), more
    for more in ({"level": 4}, {"from": NOON + 100}, {"id": 1},
                 {"purpose": "ChargingStationMaxProfile"}):  # fmt: skip
        assert profile.place(kept, packed(**dict({"id": 2, "level": 3}, **more)), NOON) == []
    kept = [packed(id=1, level=3, evse=1)]
    assert profile.place(kept, packed(id=2, level=3, evse=2), NOON) == []


def test_when_there_is_no_room_what_has_expired_goes():
    kept = [
        profile.check(made(_spec(id=i, level=i, to=NOON + (i < 2) * 60 + 1)), 0)
        for i in range(profile.MOST)
    ]
    new = profile.check(made(_spec(id=99, level=50)), 0)
    for now_s in (None, NOON):
        assert raises(profile.ProfileError, profile.place, kept, new, now_s).reason == "NoSpace"
    assert profile.place(kept, new, NOON + 1) == list(range(2, 16))
    assert profile.place(kept, profile.check(made(_spec(id=5, level=5)), 0), None) == []


def test_a_hostile_update_changes_nothing():
    kept = [
        profile.check(made(_spec(id=1, kind="Dynamic", start=None)), 0),
        profile.check(made(_spec(id=2)), 0),
    ]
    assert profile.updated(kept, 1, {"limit": 12.5}) == 12500
    for number, given, reason in (
        (1, None, "MissingParam"),
        (1, [], "MissingParam"),
        (1, {"setpoint": 3}, "MissingParam"),
        (1, {"limit": 3, "setpoint": 3}, "UnsupportedParam"),
        (1, {"limit": "3"}, "InvalidValue"),
        (1, {"limit": True}, "InvalidValue"),
        (1, {"limit": -3}, "InvalidValue"),
        (2, {"limit": 3}, "InvalidProfile"),
        (3, {"limit": 3}, "NotFound"),
    ):
        assert profile.updated(kept, number, given) == reason
