"""What the backend may ask of the pile beside charging: to say something again, and what is no
message of OCPP's own. Imported for one request and let go of, see firmware.uplink.commands.
"""

from firmware import borrow, let_go

shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_TRIGGER = {
    "requestedMessage": (
        (
            "BootNotification",
            "LogStatusNotification",
            "FirmwareStatusNotification",
            "Heartbeat",
            "MeterValues",
            "SignChargingStationCertificate",
            "SignV2GCertificate",
            "SignV2G20Certificate",
            "StatusNotification",
            "TransactionEvent",
            "SignCombinedCertificate",
            "PublishFirmwareStatusNotification",
            "CustomTrigger",
        ),
        True,
        None,
    ),
    "customTrigger": (str, False, 50),
    "evse": (shapes.EVSE, False, None),
    "customData": _CUSTOM,
}
_TRANSFER = {
    "messageId": (str, False, 50),
    "data": (object, False, None),
    "vendorId": (str, True, 255),
    "customData": _CUSTOM,
}


def _trigger(backend, payload, fresh):
    what = payload["requestedMessage"]
    count = len(backend.sessions)
    evse_id = payload.get("evse", {}).get("id", 0)
    if evse_id > count:
        return shapes.rejected("UnknownEvse")
    numbers = [evse_id - 1] if evse_id else range(count)
    said = []
    if what == "StatusNotification":
        station = backend.doorman.station
        now_ms = station.wall.uptime_ms
        for i in numbers:
            report = i + 1, station.connector(i), now_ms
            said.append(backend.outbox.add(what, station.status, report))
    elif what == "MeterValues":
        for i in numbers:
            said.append(backend.outbox.add(what, _values, backend.sessions[i]))
    elif what == "TransactionEvent":
        sessions = [backend.sessions[i] for i in numbers if _goes_on(backend.sessions[i])]
        if not sessions:
            return shapes.rejected("NoTransaction")
        if sessions[0].journal.crowded:
            return shapes.rejected("Busy")  # what can be left out is
        for session in sessions:
            session.event(1, "Trigger", True)
        return {"status": "Accepted"}
    elif what == "Heartbeat":
        said.append(backend.outbox.add(what, _nothing, None, backend._beaten))
    elif what in ("FirmwareStatusNotification", "LogStatusNotification"):
        upload = getattr(backend, "upload", None) if what[0] == "L" else None
        said.append(backend.outbox.add(what, _status, upload))
    elif what == "SignChargingStationCertificate":
        station = backend.doorman.station
        if getattr(station, "own_waiting", None):
            return shapes.rejected("Busy")  # one is there, and is written once all are open
        borrow("firmware.uplink.renewal").ask(station, "by the backend")
    elif what == "BootNotification":
        if backend.accepted:
            return shapes.rejected("NotNeeded")
        backend._wait_ms = 0
        return {"status": "Accepted"}
    else:
        return {"status": "NotImplemented"}
    return {"status": "Accepted"} if all(said) else shapes.rejected("Busy")


def _goes_on(session):
    # An end is told as the last; and after a power cut TxResumed as the first.
    return session.tx and not session._closing and session._state < 255


def _values(session):
    try:
        from firmware.ledger import events
    finally:
        let_go("firmware.ledger.events")
    reading = [session.register.update()] + list(session.register.reading[3:])
    samples = events.samples("Trigger", session._mask | 1, session._phases, reading)
    time = session.wall.text(session.wall.uptime_ms)
    return {
        "evseId": session.evse_id,
        "meterValue": [{"timestamp": time, "sampledValue": samples}],
    }


def _status(upload):
    if upload:
        return {"status": "Uploading", "requestId": upload.request_id}
    return {"status": "Idle"}


def _nothing(_):
    return {}


def _transfer(backend, payload, fresh):
    return {"status": "UnknownVendorId"}


ACTIONS = {
    "TriggerMessage": (_TRIGGER, _trigger),
    "DataTransfer": (_TRANSFER, _transfer),
}
