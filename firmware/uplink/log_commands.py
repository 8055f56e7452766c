"""What the backend may ask about logs and firmware. Imported for one request and let go of, see
firmware.uplink.commands.
"""

from firmware import borrow

shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_PARAMETERS = {
    "remoteLocation": (str, True, 2000),
    "oldestTimestamp": (shapes.DATE, False, None),
    "latestTimestamp": (shapes.DATE, False, None),
    "customData": _CUSTOM,
}
_LOG = {
    "log": (_PARAMETERS, True, None),
    "logType": (("DiagnosticsLog", "SecurityLog", "DataCollectorLog"), True, None),
    "requestId": (int, True, None),
    "retries": (int, False, 0),
    "retryInterval": (int, False, None),
    "customData": _CUSTOM,
}
_FIRMWARE = {
    "location": (str, True, 2000),
    "retrieveDateTime": (shapes.DATE, True, None),
    "installDateTime": (shapes.DATE, False, None),
    "signingCertificate": (str, False, 5500),
    "signature": (str, False, 800),
    "customData": _CUSTOM,
}
_UPDATE = {
    "retries": (int, False, 0),
    "retryInterval": (int, False, None),
    "requestId": (int, True, None),
    "firmware": (_FIRMWARE, True, None),
    "customData": _CUSTOM,
}


def _get(backend, payload, fresh):
    if not fresh:
        return shapes.rejected("StaleCommand")
    if payload["logType"] == "DataCollectorLog":
        return shapes.rejected("UnsupportedParam")
    try:
        upload = borrow("firmware.uplink.upload").Upload(backend, payload)
    except ValueError as error:
        info = {"reasonCode": "InvalidURL", "additionalInfo": str(error)}
        return {"status": "Rejected", "statusInfo": info}
    other = getattr(backend, "upload", None)
    if other:
        other.cancel()
    backend.upload = upload
    backend.doorman.chores.append(upload.tick)
    status = "AcceptedCanceled" if other else "Accepted"
    return {"status": status, "filename": upload.name}


def _update(backend, payload, fresh):
    # There is no way yet to check, install and take back a firmware that comes over the line.
    return shapes.rejected("UnsupportedRequest")


ACTIONS = {"GetLog": (_LOG, _get), "UpdateFirmware": (_UPDATE, _update)}
