"""What the backend may ask about an outlet and its transaction: whether it is in service, to let
go of a plug, what is still to be told. Imported for one request and let go of, see
firmware.uplink.commands.
"""

from micropython import const

from firmware import borrow
from firmware.ticks import diff
from firmware.uplink.ocpp import CALLRESULT

shapes = borrow("firmware.uplink.shapes")

_EVENT = const(1)  # kind of a record, see firmware.ledger.events
_LOOKS = const(32)  # records of the journal that one request has looked at: each takes a ms
_UNLOCK_MS = const(8000)  # five tries of the lock, see firmware.outlet.plug, and some to spare

_CUSTOM = shapes.CUSTOM
_AVAILABILITY = {
    "evse": (shapes.EVSE, False, None),
    "operationalStatus": (("Inoperative", "Operative"), True, None),
    "customData": _CUSTOM,
}
_UNLOCK = {"evseId": (int, True, 0), "connectorId": (int, True, 0), "customData": _CUSTOM}
_STATUS = {"transactionId": (str, False, 36), "customData": _CUSTOM}


def _availability(backend, payload, fresh):
    door = backend.doorman
    evse = payload.get("evse", {})
    evse_id, connector_id = evse.get("id", 0), evse.get("connectorId", 0)
    if evse_id > len(door.sessions):
        return shapes.told("Rejected", "UnknownEvse")
    if connector_id > (1 if evse_id else 0):
        return shapes.told("Rejected", "UnknownConnectorId")
    name = "%d.1" % evse_id if connector_id else "%d" % evse_id
    operative = payload["operationalStatus"] == "Operative"
    if not fresh and operative == (name in door.config["inoperative"].split(",")):
        return shapes.told("Rejected", "StaleCommand")  # an old one would undo what came after it
    try:
        door.get("availability").change(door.station, name, operative)
    except OSError:
        return shapes.told("Rejected", "NotKept")
    busy = False
    for i, session in enumerate(door.sessions, 1):
        if evse_id in (0, i) and session.outlet.inoperative:
            if session.tx or session.authorised:
                busy = True
            else:
                _release(door, i)
    return shapes.told("Scheduled" if busy and not operative else "Accepted")


def _release(door, evse_id):
    # Who reserved an outlet that is out of service hears of it.
    for kept in door.reservations[:]:
        if kept[1] == evse_id:
            door.get("reserve").cancel(door, kept[0])
            door.station.backend.outbox.add("ReservationStatusUpdate", _removed, kept[0])


def _removed(number):
    return {"reservationId": number, "reservationUpdateStatus": "Removed"}


def _unlock(backend, payload, fresh):
    evse_id = payload["evseId"]
    if not 1 <= evse_id <= len(backend.sessions) or payload["connectorId"] != 1:
        return shapes.told("UnknownConnector")
    session = backend.sessions[evse_id - 1]
    plug = session.outlet.plug
    if not plug:
        return shapes.told("UnlockFailed", "FixedCable")
    if session.tx or session.authorised:
        return shapes.told("OngoingAuthorizedTransaction")
    if not plug._socket.locked():
        return shapes.told("Unlocked")
    if not fresh:
        return shapes.told("UnlockFailed", "StaleCommand")
    # The lock's own watch lets go of the plug, once the contactor is seen open: it tries anew.
    plug._tries = plug._try_ms = 0
    message_id = backend.seen[-1]
    since_ms = backend.doorman.now_ms

    def tick(now_ms):
        if session.authorised:  # somebody was faster, and his plug stays locked
            answer = shapes.told("OngoingAuthorizedTransaction")
        elif not plug._socket.locked():
            answer = shapes.told("Unlocked")
        elif diff(now_ms, since_ms) >= _UNLOCK_MS:
            answer = shapes.told("UnlockFailed")
        else:
            return True
        backend.answer([CALLRESULT, message_id, answer])
        return False

    backend.doorman.chores.append(tick)
    return None  # the answer comes later


def _transaction(backend, payload, fresh):
    outbox, journal = backend.outbox, backend.doorman.station.journal
    given = payload.get("transactionId")
    if given is None:
        return {"messagesInQueue": _queued(outbox, journal, None)}
    ongoing = any(session.transaction_id == given for session in backend.sessions)
    head, _, number = given.rpartition("-t")
    known = head == journal.id and number.isdigit()
    queued = known and _queued(outbox, journal, int(number))
    return {"messagesInQueue": bool(queued), "ongoingIndicator": ongoing}


def _queued(outbox, journal, tx):
    # Whether an event of the transaction (None: of any) has no answer yet. What cannot be looked
    # through at once may have one.
    for call in outbox._kept:
        if call.group and tx in (None, call.group):
            return True
    first = max(outbox._cursor, tx or 0)  # nothing is told before its Started, the record `tx`
    for number in range(first, min(first + _LOOKS, journal.next)):
        record = journal.read(number) or b"\0"
        if record[0] == _EVENT:
            if tx in (None, int.from_bytes(record[18:22], "little")):
                return True
    return first + _LOOKS < journal.next


ACTIONS = {
    "ChangeAvailability": (_AVAILABILITY, _availability),
    "UnlockConnector": (_UNLOCK, _unlock),
    "GetTransactionStatus": (_STATUS, _transaction),
}
