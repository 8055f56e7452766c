"""What several messages share: shapes, as firmware.uplink.check takes them, and the status that
most answers are. Imported with what needs them and let go of, see firmware.borrow.
"""

from firmware import borrow

DATE = "date-time"  # a kind of field, see firmware.uplink.check
CUSTOM = (dict, False, None)
EVSE = {"id": (int, True, 0), "connectorId": (int, False, 0), "customData": CUSTOM}
COMPONENT = {
    "evse": (EVSE, False, None),
    "name": (str, True, 50),
    "instance": (str, False, 50),
    "customData": CUSTOM,
}
VARIABLE = {"name": (str, True, 50), "instance": (str, False, 50), "customData": CUSTOM}
_MORE = {
    "additionalIdToken": (str, True, 255),
    "type": (str, True, 50),
    "customData": CUSTOM,
}
TOKEN = {
    "idToken": (str, True, 255),
    "type": (str, True, 20),
    "additionalInfo": ([_MORE], False, 100),
    "customData": CUSTOM,
}
TEXT = {
    "format": (("ASCII", "HTML", "URI", "UTF8", "QRCODE"), True, None),
    "language": (str, False, 8),
    "content": (str, True, 1024),
    "customData": CUSTOM,
}


def token_info():
    """The shape of an idTokenInfo."""
    return {
        "status": (borrow("firmware.access.entries").STATUSES[1:], True, None),
        "cacheExpiryDateTime": (DATE, False, None),
        "chargingPriority": (int, False, None),
        "groupIdToken": (TOKEN, False, None),
        "language1": (str, False, 8),
        "language2": (str, False, 8),
        "evseId": ([int, 0], False, 100),
        "personalMessage": (TEXT, False, None),
        "customData": CUSTOM,
    }


def told(status, reason=None, text=None):
    """An answer of this status; why, as a reasonCode of at most 20 characters and as a text."""
    if not reason:
        return {"status": status}
    info = {"reasonCode": reason}
    if text:
        info["additionalInfo"] = text
    return {"status": status, "statusInfo": info}


def rejected(reason, text=None):
    """The answer Rejected."""
    return told("Rejected", reason, text)
