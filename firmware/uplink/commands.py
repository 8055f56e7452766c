"""What the backend may ask of the station: each request with its shape and its handler."""

from micropython import const

from firmware.uplink.ocpp import CallError, check

_REPEATS = const(32)  # message ids that are remembered
_CUSTOM = (dict, False, None)

_TOKEN = {
    "idToken": (str, True, 255),
    "type": (str, True, 20),
    "additionalInfo": (list, False, None),
    "customData": _CUSTOM,
}
_START = {
    "idToken": (_TOKEN, True, None),
    "remoteStartId": (int, True, None),
    "evseId": (int, False, 1),
    "groupIdToken": (_TOKEN, False, None),
    "chargingProfile": (dict, False, None),
    "customData": _CUSTOM,
}
_RESET = {
    "type": (("Immediate", "OnIdle"), True, None),
    "evseId": (int, False, 0),
    "customData": _CUSTOM,
}
_STOP = {"transactionId": (str, True, 36), "customData": _CUSTOM}


class Commands:
    """Serves requests for the station's `sessions` (one an outlet, `evseId` 1, 2, ...).

    `reset(evse_id or None, at_once)` is to reset that outlet, or the station.
    """

    def __init__(self, sessions, reset):
        self._sessions = sessions
        self._reset_by = reset
        self._seen = []

    def serve(self, message_id, action, payload, fresh):
        """The CALLRESULT's payload. `fresh`: the request is known not to be an old one. Raises
        CallError and then changes nothing.
        """
        if action == "RequestStartTransaction":
            shape, handler = _START, self._start
        elif action == "RequestStopTransaction":
            shape, handler = _STOP, self._stop
        elif action == "Reset":
            shape, handler = _RESET, self._reset
        else:
            raise CallError("NotImplemented", "no such action: %s" % action[:36], message_id)
        try:
            check(payload, shape)
            if "customData" in payload and not isinstance(
                payload["customData"].get("vendorId"), str
            ):
                raise CallError(
                    "OccurrenceConstraintViolation", "payload.customData.vendorId: missing"
                )
        except CallError as error:
            error.message_id = message_id
            raise
        repeated = message_id in self._seen
        if not repeated:
            self._seen.append(message_id)
            del self._seen[:-_REPEATS]
        return handler(payload, fresh and not repeated)

    def _start(self, payload, fresh):
        # A stale or repeated start would energise an outlet that nobody stands at.
        if not fresh:
            return _rejected("StaleCommand")
        if "chargingProfile" in payload:
            return _rejected(
                "UnsupportedParam"
            )  # charging faster than asked would be worse than not charging
        wanted = payload.get("evseId")
        for evse_id, session in enumerate(self._sessions, 1):
            if session.transaction_id is None and wanted in (None, evse_id):
                token = payload["idToken"]
                session.start(token["idToken"], token["type"], payload["remoteStartId"])
                return {"status": "Accepted", "transactionId": session.transaction_id}
        return _rejected(
            "TxInProgress" if wanted is None or wanted <= len(self._sessions) else "UnknownEvse"
        )

    def _stop(self, payload, fresh):
        # Stopping is safe however old the request is: it names its transaction.
        for session in self._sessions:
            if session.transaction_id == payload["transactionId"]:
                session.stop("Remote", "RemoteStop")
                return {"status": "Accepted"}
        return _rejected("TxNotFound")

    def _reset(self, payload, fresh):
        # What is reset opens first, so an old one could only annoy; but it would do so twice.
        if not fresh:
            return _rejected("StaleCommand")
        evse_id = payload.get("evseId")
        if evse_id is not None and not 1 <= evse_id <= len(self._sessions):
            return _rejected("UnknownEvse")
        meant = self._sessions if evse_id is None else self._sessions[evse_id - 1 : evse_id]
        busy = any(session.transaction_id is not None for session in meant)
        at_once = payload["type"] == "Immediate"
        self._reset_by(evse_id, at_once)
        return {"status": "Scheduled" if busy and not at_once else "Accepted"}


def _rejected(reason):
    return {"status": "Rejected", "statusInfo": {"reasonCode": reason}}
