"""How a transaction begins and ends: the other half of firmware.ledger.session, imported for that
only, see firmware.let_go. What is private to a Session is shared with it.
"""

from micropython import const

from firmware import let_go
from firmware.ledger.session import ENDED, STARTED, UPDATED
from firmware.outlet.ac import SUSPENDED_EV
from firmware.safety.core import STANDING
from firmware.safety.faults import FAULTS

POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")
MEASURANDS = (
    "Energy.Active.Import.Register",
    "Current.Import",
    "Voltage",
    "Power.Active.Import",
    "Frequency",
)
_TOKEN_BYTES = const(255)
_RETRY_MS = const(1000)

# Why energy stops to flow, by the faults that are shown.
_REASONS = {
    "EmergencyStop": "EmergencyStop",
    "GroundFailure": "GroundFault",
    "OverCurrentFailure": "OvercurrentFault",
    "UnderVoltage": "PowerQuality",
    "OverVoltage": "PowerQuality",
}


def points(config, phases):
    """What a Session takes as its points: of `tx_start` and `tx_stop` as bits, of `measurands`,
    and how many phases its meter has. Raises ValueError.
    """
    return (
        _bits(config, "tx_start", POINTS),
        _bits(config, "tx_stop", POINTS),
        _bits(config, "measurands", MEASURANDS),
        phases,
    )


def _bits(config, field, names):
    bits = 0
    for name in config[field].split(","):
        if name.strip() not in names:
            raise ValueError(
                "config: %s: expected some of %s, found %r" % (field, ", ".join(names), name)
            )
        bits |= 1 << names.index(name.strip())
    return bits


def start(session, token, token_type, group, remote_id, limits):
    """See Session.start."""
    if not session.free or len(token.encode()) > _TOKEN_BYTES:
        return False
    digest = session.digest(token) if token else None
    if session.tx and session.token and digest != session.token:
        if not group or group != session.group:
            return False  # a transaction is one token's, or its group's
    before = session.token, session.group, session._ending, session._limits
    session.token = session.token or digest
    session.group = session.group or group
    session._limits = (
        limits.get("max_mwh", 0), limits.get("max_s", 0), limits.get("max_cost", 0)
    )  # fmt: skip
    trigger = "Authorized" if remote_id is None else "RemoteStart"
    remote = "" if remote_id is None else str(remote_id)
    session._asked = "\n\n%s\n%s\n%s" % (remote, token_type, token)
    session._ending = None
    session.authorised = True
    session.outlet.authorise()
    points = session.points()
    try:
        if session.tx:
            session.event(UPDATED, trigger, False, session._asked)
            session._asked = ""
        elif points & session._starts:
            _begin(session, trigger)
    except OSError:
        session.authorised = False
        session.outlet.stop()
        session.token, session.group, session._ending, session._limits = before
        return False
    session._points = points
    return True


def begin(session, trigger):
    """A point that starts a transaction was reached. Where it cannot be kept nothing may flow."""
    try:
        _begin(session, trigger)
    except OSError:
        session.stop("Other", "AbnormalCondition")
        raise


def _begin(session, trigger):
    if session.journal.full:
        raise OSError("the journal is full")
    session._seq = 0
    session._began = session.now()
    number = session.journal.next
    session.event(STARTED, trigger, True, session._asked)
    session._asked = ""
    session.tx = number
    session.transaction_id = name(session.journal, number)
    session._start_mwh = session.register.mwh
    session._from_ms = session.wall.uptime_ms
    session._ending = session._dropped_ms = session._opened_ms = None
    session._closing = False
    session._aligned = 0
    session._second_ms = session._sampled_ms = session._now_ms
    session.keep()


def name(journal, number):
    """The transaction's id, which no other one of the pile ever has."""
    return "%s-t%d" % (journal.id, number)


def close(session, left):
    """The transaction ends as soon as nothing flows any more; `left`: the vehicle did."""
    reason, trigger = session._ending or (_why(session), "ChargingStateChanged")
    session._ending = (reason, "EVDeparted" if left else trigger)
    session._closing = True
    session.authorised = False
    session.outlet.stop()
    session.keep()


def _why(session):
    if session.outlet.charging_state == SUSPENDED_EV:
        return "StoppedByEV"
    standing = session.outlet._cells[STANDING]
    for i, fault in enumerate(FAULTS):
        if standing >> i & 1 and fault[0] in _REASONS:
            return _REASONS[fault[0]]
    return "Other"


def finish(session):
    """Nothing flows any more: keep the end, then the summary. When it cannot be kept it is tried
    again.
    """
    reason, trigger = session._ending
    flags, boot, time = session.now()
    try:
        session.event(ENDED, trigger, True, "\n" + reason)
    except OSError:
        session._dropped_ms = session._opened_ms = None
        return
    try:
        from firmware.ledger import events
    finally:
        let_go("firmware.ledger.events")
    summary = events.summary(
        session.evse_id, session.tx, session.token, session._began, (flags, boot, time),
        session._start_mwh, session.register.mwh, reason,
    )  # fmt: skip
    session.tx = 0
    session.transaction_id = session.token = session.group = session._ending = None
    session._closing = False
    session._limits = (0, 0, 0)
    try:
        session.journal.append(summary)
    except OSError:
        pass  # firmware.ledger.recovery makes it of the end, if the memory comes back
    session.keep()
