"""Makes the backend's messages, and what history keeps, of the journal's records; imported for
that only, see firmware.let_go.

All records of the journal that tell of something begin alike, little-endian:

    kind u8: 1 event of a transaction, 2 summary of one, 5 event of security
    flags u8: 4 dated, and what the kind says
    boot u32: number of the boot in which it happened
    time s64: Unix time in ms when dated, else ms since the start of that boot

Kind 1 goes on (flags: 0 to 2 Started, Updated, Ended; 8 happened offline; 16 with a reading):

    evse u8, from 1; charging state u8 (an index into CHARGING_STATES; 255 unknown)
    measurands u8, the bits of firmware.words; phases u8
    transaction u32: the number of its Started (in that one, too); seqNo u32
    with a reading: the register in mWh u64; mHz, mV of L1 to L3, mA of L1 to L3, mW, each s32
    to the end, UTF-8, with line feeds between: trigger ("" for MeterValuePeriodic), stopped
    reason, remoteStartId and, behind a slash, reservationId, type and text of the token, receipt
    (OCMF), tariff, limits and cost (firmware.ledger.bill); empty ones at the end are left out

Kind 2, when a transaction has ended (flags: 4 its end is dated, 32 its start, 64 has a cost; boot
and time are those of the end):

    evse u8; transaction u32; digest of the token, 10 bytes, zeros without one
    boot u32 and time s64 of the start
    register at start and end in mWh, u64 each; cost in micro of the currency s64, 0 without
    to the end, UTF-8, with line feeds between: stopped reason, currency of the cost, receipt;
    empty ones at the end are left out

Kind 3: boot u32, Unix time of its start in ms s64; written once in each boot that learns the date.

Kind 4, a message that the backend has refused three times: its number u32, length of the
CALLERROR's code u8, the code, the record of the message (its last bytes may be missing).

Kind 5 goes on with type and techInfo, UTF-8, a line feed between them.

**Time.** What happened before the date was known gets its date from the boot's record of kind 3,
also when a later boot sends it. In a boot that never knew the date its last event gets the time at
which the next boot that did had started, and earlier ones are as much earlier as they were: no
later than it was, at any rate. The same record always gets the same time.
"""

from struct import pack, unpack_from

from micropython import const

from firmware import let_go
from firmware.clock import DATED, render
from firmware.outlet.ac import CHARGING_STATES

EVENT = const(1)
SUMMARY = const(2)
DATE = const(3)
DEAD = const(4)
SECURITY = const(5)
OFFLINE = const(8)
READING = const(16)
START_DATED = const(32)
COST = const(64)

EVENTS = ("Started", "Updated", "Ended")
_CONTEXTS = {
    "": "Sample.Periodic",
    "MeterValueClock": "Sample.Clock",
    "TxResumed": "Interruption.End",
    "Trigger": "Trigger",
}
_BOTH = ("Transaction.Begin", "Sample.Periodic", "Transaction.End")


def call(journal, wall, number, record):
    """(action, payload) of the record `number`, of kind 1 or 5. Raises ValueError for one that is
    none.
    """
    if len(record) < 14 or record[0] == EVENT and not whole(record):
        raise ValueError("record %d: %d bytes" % (number, len(record)))
    kind, flags, boot, time = unpack_from("<BBIq", record)
    text = render(moment(wall, flags, boot, time))
    if kind == EVENT:
        return "TransactionEvent", _event(journal, record, flags, text)
    if kind != SECURITY:
        raise ValueError("record %d: no message of kind %d" % (number, kind))
    kind, _, info = str(record[14:], "utf-8").partition("\n")
    return "SecurityEventNotification", {"type": kind, "timestamp": text, "techInfo": info}


def moment(wall, flags, boot, time):
    """Unix time in ms of what a record has as flags, boot and time; the date must be known."""
    if flags & DATED:
        return time
    if boot == wall.boot:
        return wall.start_ms + time
    last = time  # of a boot of which no more is known
    for known, start_ms, last_ms in wall.boots:
        if known == boot:
            if start_ms is not None:
                return start_ms + time
            last = last_ms
        elif known > boot and start_ms is not None:
            return start_ms - last + time
    return wall.start_ms - last + time


def security(moment, kind, info):
    """The record of a security event: OCPP's type and techInfo. `moment`: (flags, boot, time)."""
    text = "%s\n%s" % (kind[:50], info[:255])
    return pack("<BBIq", SECURITY, *moment) + text.encode()


def summary(evse_id, tx, token, began, ended, start_mwh, end_mwh, reason, cost=None, receipt=""):
    """The record of kind 2. `began`, `ended`: (flags, boot, time); `cost`: (micro, currency)."""
    flags = ended[0] & DATED | (START_DATED if began[0] & DATED else 0)
    micro = 0
    currency = ""
    if cost:
        flags |= COST
        micro, currency = cost
    reason = "\n".join((reason, currency, receipt)).rstrip()
    return pack(
        "<BBIqBI10sIqQQq",
        SUMMARY, flags, ended[1], ended[2], evse_id, tx, token or b"", began[1], began[2],
        start_mwh, end_mwh, micro,
    ) + reason.encode()  # fmt: skip


def cost(text):
    """(micro with tax, currency) of what a record tells of the cost; None without one."""
    told = _bill().told(text)[2] if text else None
    if not told:
        return None
    whole, micro, _ = told["totalCost"]["total"]["inclTax"]
    return whole * 1000000 + micro, told["totalCost"]["currency"]


def bury(journal, number, error):
    """The backend has refused the record `number` for good: keep it as a dead letter. Whether
    that could be done.
    """
    code = error.encode()[:40]
    try:
        record = journal.read(number) or b""
        journal.append((pack("<BIB", DEAD, number, len(code)) + code + record)[:1024])
    except OSError:
        return False
    return True


def whole(record):
    """Whether a record of kind 1 has all that it must have."""
    flags = record[1]
    return len(record) >= (66 if flags & READING else 26) and flags & 3 < len(EVENTS)


def fields(record):
    """A record of kind 1 as (flags, boot, time, evse, state, measurands, phases, tx, seq,
    reading or None, texts): the reading has 9 numbers, the texts are 7.
    """
    flags, boot, time, evse_id, state, mask, phases, tx, seq = unpack_from("<BIq4BII", record, 1)
    at = 26
    reading = None
    if flags & READING:
        reading = unpack_from("<Q8i", record, at)
        at += 40
    texts = str(record[at:], "utf-8").split("\n", 6)
    texts += [""] * (7 - len(texts))
    return flags, boot, time, evse_id, state, mask, phases, tx, seq, reading, texts


def _event(journal, record, flags, time):
    _, _, _, evse_id, state, mask, phases, tx, seq, reading, texts = fields(record)
    trigger, reason, ids, token_type, token, signed, told = texts
    remote_id, _, reservation = ids.partition("/")
    kind = flags & 3
    info: dict = {"transactionId": "%s-t%d" % (journal.id, tx)}
    if state < len(CHARGING_STATES):
        info["chargingState"] = CHARGING_STATES[state]
    if reason:
        info["stoppedReason"] = reason
    if remote_id:
        info["remoteStartId"] = int(remote_id)
    payload: dict = {
        "eventType": EVENTS[kind],
        "timestamp": time,
        "triggerReason": trigger or "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": info,
        "evse": {"id": evse_id, "connectorId": 1},
    }
    if reservation:
        payload["reservationId"] = int(reservation)
    if flags & OFFLINE:
        payload["offline"] = True
    if told:
        tariff_id, limit, cost = _bill().told(told)
        if tariff_id:
            info["tariffId"] = tariff_id
        if limit:
            info["transactionLimit"] = limit
        if cost:
            payload["costDetails"] = cost
    if token_type:
        payload["idToken"] = {"idToken": token, "type": token_type}
    if reading:
        context = _BOTH[kind] if kind != 1 else _CONTEXTS.get(trigger, "Sample.Periodic")
        sampled = samples(context, mask | 1 if signed else mask, phases, reading)
        if signed:
            try:
                from firmware.ledger import receipt
            finally:
                let_go("firmware.ledger.receipt")
            sampled[0]["signedMeterValue"] = receipt.signed_value(signed)
        payload["meterValue"] = [{"timestamp": time, "sampledValue": sampled}]
    return payload


def _bill():
    try:
        from firmware.ledger import bill
    finally:
        let_go("firmware.ledger.bill")
    return bill


def samples(context, mask, phases, reading):
    """OCPP's sampledValue of the measurands in `mask`; `reading` as of `fields`."""
    mwh, mhz = reading[:2]
    found = []

    def add(name, unit, thousandths, phase=""):
        sample = {
            "context": context,
            "measurand": name,
            "unitOfMeasure": {"unit": unit},
            "value": divmod(abs(thousandths), 1000),
        }
        if phase:
            sample["phase"] = phase
        found.append(sample)

    if mask & 1:
        add("Energy.Active.Import.Register", "Wh", mwh)
    for bit, name, unit, at in ((2, "Current.Import", "A", 5), (4, "Voltage", "V", 2)):
        if mask & bit:
            for i in range(phases):
                add(name, unit, reading[at + i], "L%d" % (i + 1) if phases > 1 else "")
    if mask & 8:
        add("Power.Active.Import", "W", max(reading[8], 0))
    if mask & 16 and mhz:
        add("Frequency", "Hz", mhz)
    return found
