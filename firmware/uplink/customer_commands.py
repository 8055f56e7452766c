"""What the pile keeps of one customer: told to the backend, and cleared. Imported for one request
and let go of, see firmware.uplink.commands; what gathers it stays until all is told.

Only where `customer_info` in the configuration allows it, for it is the customer's to consent. A
pile keeps digests of tokens, and nothing under another name of a customer or a certificate. What
is cleared are the cache and the name in the sessions of the past: the local list is the backend's
own, and what still has to be acknowledged by it, or runs now, is needed for billing.
"""

import struct

from micropython import const

from firmware import borrow
from firmware.clock import render

entries = borrow("firmware.access.entries")
pages = borrow("firmware.uplink.pages")
shapes = borrow("firmware.uplink.shapes")

FORGET = const(20)  # the number of what firmware.commit does for it
_STAGED = const(6)  # kinds of records, see firmware.ledger.events
_EVENT = const(1)
_SUMMARY = const(2)
_PAGE = const(480)  # characters of one message, of at most 512
_LOOKS = const(8)  # records of the journal that are looked at in one turn

_CUSTOM = shapes.CUSTOM
_CERTIFICATE = {
    "hashAlgorithm": (("SHA256", "SHA384", "SHA512"), True, None),
    "issuerNameHash": (str, True, 128),
    "issuerKeyHash": (str, True, 128),
    "serialNumber": (str, True, 40),
    "customData": _CUSTOM,
}
_CUSTOMER = {
    "customerCertificate": (_CERTIFICATE, False, None),
    "idToken": (shapes.TOKEN, False, None),
    "requestId": (int, True, 0),
    "report": (bool, True, None),
    "clear": (bool, True, None),
    "customerIdentifier": (str, False, 64),
    "customData": _CUSTOM,
}


def _customer(backend, payload, fresh):
    door = backend.doorman
    named = [
        name
        for name in ("idToken", "customerIdentifier", "customerCertificate")
        if name in payload
    ]
    if len(named) != 1 or not (payload["report"] or payload["clear"]):
        return shapes.told("Invalid", "MissingParam" if len(named) < 2 else "InvalidValue")
    if not door.config["customer_info"]:
        return shapes.told("Rejected", "NotEnabled")
    if not fresh:
        return shapes.told("Rejected", "StaleCommand")
    if backend.outbox.has("NotifyCustomerInformation"):
        return shapes.told("Rejected", "Busy")
    token = payload.get("idToken", {}).get("idToken")
    try:
        digest = door.digest(token) if token else None
    except ValueError:
        return shapes.told("Invalid", "InvalidIdToken")
    if payload["report"]:
        _report(door, payload["requestId"], token, digest, payload["clear"])
    elif digest:
        try:
            _clear(door, digest)
        except OSError:
            return shapes.told("Rejected", "NotKept")
    return shapes.told("Accepted")


def _clear(door, digest):
    # Raises OSError: then nothing is cleared. One record for each file of the past, which are
    # written one a turn, once no contactor is closed; and one for what is still to be filed.
    journal = door.station.journal
    files = borrow("firmware.ledger.history").files(door.store)
    for first in files + [0]:
        record = bytes((_STAGED, FORGET)) + digest + struct.pack("<I", first)
        journal.append(record)
    door.get("cache").forget(door, digest)
    if door.tariff and door.tariff[0] == digest:
        door.tariff = None


def _report(door, request_id, token, digest, clear):
    outbox = door.station.backend.outbox
    lines = _gathered(door, token, digest)
    page = ""
    seq = 0
    said = None  # a page, and whether another one follows, that the outbox has not taken
    open_ = False  # a page is under way
    over = False

    def answered(result):
        nonlocal open_, over
        open_ = False
        over = over or result is None  # with the line lost the backend asks again

    def tick(_):
        nonlocal page, seq, said, open_, over
        if open_:
            return True
        if said:
            told = request_id, seq, said[0], said[1]
            if outbox.add("NotifyCustomerInformation", _page(door), told, answered):
                over = over or not said[1]
                said = None
                seq += 1
                open_ = True
            return True
        if over:
            return False
        for line in lines:
            if len(page) + len(line) >= _PAGE:
                said = page, True
                page = line
            elif line:
                page += "\n" + line if page else line
            return True
        if clear and digest:  # now that all of it was looked at
            try:
                _clear(door, digest)
            except OSError:
                page += "\nit could not be cleared"
        said = page or "nothing is kept", False
        return True

    door.chores.append(tick)


def _page(door):
    wall = door.station.wall

    def page(told):
        request_id, seq, data, more = told
        return dict(pages.head(wall, request_id, seq, more), data=data)

    return page


def _gathered(door, token, digest):
    # Lines of text, at most 160 characters each; "" for a turn that has found none.
    if not digest:
        return
    for name, get in (("local list", entries.in_list), ("cache", entries.in_cache)):
        entry = get(door, digest)
        if entry:
            _, status, group, _, expires_s = entries.unpack(entry)
            line = "%s: %s" % (name, entries.STATUSES[status])
            line += ", until " + render(expires_s * 1000) if expires_s else ""
            yield line + (", of a group" if group else "")
    for number, evse_id, kept, _, expires_s in list(door.reservations):
        if kept == digest:
            yield "reservation %d: EVSE %d, until %s" % (number, evse_id, render(expires_s * 1000))
    for session in door.sessions:
        if session.token == digest:
            yield "session now: EVSE %d, %s" % (session.evse_id, session.transaction_id)
    events = summaries = 0
    journal = door.station.journal
    number = journal.first
    while number < journal.next:
        record = journal.read(number) or b"\0"
        number += 1
        if record[0] == _SUMMARY and record[19:29] == digest:
            summaries += 1
        elif record[0] == _EVENT and _names(record, token):
            events += 1
        if number % _LOOKS == 0:
            yield ""
    if events:
        yield "messages that name the token and may not be acknowledged yet: %d" % events
    if summaries:
        yield "sessions to be filed: %d" % summaries
    history = borrow("firmware.ledger.history")
    for first in history.files(door.store):
        for number, body, _ in history.records(door.store, first):
            if number and body[46:56] == digest:
                yield _session(history.session(number, body))
            else:
                yield ""


def _names(record, token):
    try:
        found = borrow("firmware.ledger.events").fields(record)[10][4]
    except (IndexError, ValueError):
        return False
    return found != "" and found.upper() == token.upper()


def _session(about):
    times = [
        "?" if about[name] is None else render(about[name]) for name in ("start_ms", "end_ms")
    ]
    line = "session %s: EVSE %d, %s to %s, %d Wh" % (
        about["transaction"],
        about["evse"],
        times[0],
        times[1],
        (about["end_mwh"] - about["start_mwh"]) // 1000,
    )
    if about["cost_micro"] is not None:
        line += ", %d.%06d %s" % (divmod(about["cost_micro"], 1000000) + (about["currency"],))
    return line[:160] + (", with a receipt" if about["receipt"] else "")


ACTIONS = {"CustomerInformation": (_CUSTOMER, _customer)}
