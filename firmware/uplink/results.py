"""What the backend may answer: the shapes of its CALLRESULTs. Imported for one that says something
and let go of, see firmware.let_go.
"""

from firmware import borrow
from firmware.uplink.ocpp import CallError

shapes = borrow("firmware.uplink.shapes")

_CUSTOM = shapes.CUSTOM
_INFO = shapes.token_info()
_STATUS_INFO = {
    "reasonCode": (str, True, 20),
    "additionalInfo": (str, False, 1024),
    "customData": _CUSTOM,
}
_LIMIT = {
    "maxCost": (float, False, None),
    "maxEnergy": (float, False, None),
    "maxTime": (int, False, None),
    "maxSoC": (int, False, 0),
    "customData": _CUSTOM,
}
_UPDATE = {"limit": (float, False, None), "customData": _CUSTOM}
for _name in (
    "dischargeLimit", "dischargeLimit_L2", "dischargeLimit_L3", "limit_L2", "limit_L3", "setpoint",
    "setpointReactive", "setpointReactive_L2", "setpointReactive_L3", "setpoint_L2", "setpoint_L3",
):  # fmt: skip
    _UPDATE[_name] = (float, False, None)
_TRANSFERS = (
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
    "DC",
    "AC_BPT",
    "AC_BPT_DER",
    "AC_DER",
    "DC_BPT",
    "DC_ACDP",
    "DC_ACDP_BPT",
    "WPT",
)
_CERTIFICATE = (
    "Accepted",
    "SignatureError",
    "CertificateExpired",
    "CertificateRevoked",
    "NoCertificateAvailable",
    "CertChainError",
    "ContractCancelled",
)
SHAPES = {
    "Authorize": {
        "idTokenInfo": (_INFO, True, None),
        "certificateStatus": (_CERTIFICATE, False, None),
        "allowedEnergyTransfer": ([_TRANSFERS], False, 100),
        "tariff": (object, False, None),  # firmware.access.prices says what becomes of it
        "customData": _CUSTOM,
    },
    "BootNotification": {
        "currentTime": (shapes.DATE, True, None),
        "interval": (int, True, None),
        "status": (("Accepted", "Pending", "Rejected"), True, None),
        "statusInfo": (_STATUS_INFO, False, None),
        "customData": _CUSTOM,
    },
    "Heartbeat": {"currentTime": (shapes.DATE, True, None), "customData": _CUSTOM},
    "PullDynamicScheduleUpdate": {
        "scheduleUpdate": (_UPDATE, False, None),
        "status": (("Accepted", "Rejected"), True, None),
        "statusInfo": (_STATUS_INFO, False, None),
        "customData": _CUSTOM,
    },
    "SignCertificate": {
        "status": (("Accepted", "Rejected"), True, None),
        "statusInfo": (_STATUS_INFO, False, None),
        "customData": _CUSTOM,
    },
    "TransactionEvent": {
        "totalCost": (float, False, None),
        "chargingPriority": (int, False, None),
        "idTokenInfo": (_INFO, False, None),
        "transactionLimit": (_LIMIT, False, None),
        "updatedPersonalMessage": (shapes.TEXT, False, None),
        "updatedPersonalMessageExtra": ([shapes.TEXT], False, 4),
        "customData": _CUSTOM,
    },
}


def problem(action, payload):
    """What is wrong with the answer `payload` to our CALL `action`, in words, or None."""
    # What an action is not named for has nothing but customData, which nobody reads.
    if action in SHAPES:
        try:
            borrow("firmware.uplink.check").check(payload, SHAPES[action])
        except CallError as error:
            return "%s: %s" % (action, error.description)
    return None
