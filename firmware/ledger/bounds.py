"""How a transaction begins and ends: the other half of firmware.ledger.session, imported for that
only, see firmware.let_go. What is private to a Session is shared with it.
"""

from micropython import const

from firmware import borrow, let_go
from firmware.ledger.session import ENDED, STARTED, UPDATED
from firmware.outlet.ac import SUSPENDED_EV
from firmware.safety.core import STANDING
from firmware.safety.faults import FAULTS
from firmware.ticks import diff

_TOKEN_BYTES = const(255)
_RECEIPT = const(880)  # characters that a record has room for
_TEXTS = const(910)  # bytes of reason, receipt and cost that a record has room for
_COST = const(6)  # of the texts of a record, see firmware.ledger.events
_AGE = const(2)  # of a meter's reading, in ms
_MW = const(10)
_NO_MW = const(20000)
_SILENT_MS = const(2000)
_UNKEPT_MS = const(5000)
_AGAIN_MS = const(10000)  # from one try to keep a summary to the next
_WELDED_MS = const(1000)  # without its drive a contactor opens sooner, or is welded

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
    and how many phases its meter has.
    """
    bits = borrow("firmware.words").bits
    return bits(config, "tx_start"), bits(config, "tx_stop"), bits(config, "measurands"), phases


def start(session, token, token_type, group, remote_id, limits, reservation):
    """See Session.start."""
    if not session.free or len(token.encode()) > _TOKEN_BYTES:
        return False
    if "\n" in token or "\n" in token_type:
        return False  # what separates a record's texts
    digest = session.digest(token) if token else None
    if session.tx and session.token and digest != session.token:
        if not group or group != session.group:
            return False  # a transaction is one token's, or its group's
    before = session.token, session.group, session._ending, session.budget, session.user
    session.token = digest or session.token  # whom the backend answers about from now on
    session.group = session.group or group
    if limits and not session.tx:
        session.budget = budget(session, limits)
    trigger = "Authorized" if remote_id is None else "RemoteStart"
    remote = "" if remote_id is None else str(remote_id)
    if reservation is not None:
        remote += "/%d" % reservation
    session._asked = "\n\n%s\n%s\n%s" % (remote, token_type, token)
    session._ending = None
    session._patience = session._usual
    session.authorised = True
    session.user = (token, token_type, "") if session.signs and session.signs["named"] else None
    session.outlet.authorise()
    points = session.points()
    try:
        if session.tx:
            session.event(UPDATED, trigger, False, session._asked)
            session._asked = ""
            if limits:
                _from_now_on(session, limits)
        elif points & session._starts:
            begin(session, trigger)
        elif session.journal.full:
            raise OSError
        else:
            session._cell.load()  # raises OSError where nothing could be kept later
    except (MemoryError, OSError):
        session.authorised = False
        session.outlet.stop()
        session.token, session.group, session._ending, session.budget, session.user = before
        session._asked = ""
        return False
    session._points = points
    return True


def _from_now_on(session, limits):
    # Who is authorised while a transaction is open may take no more than what he has.
    if limits.get("tariff"):
        change(session, limits["tariff"], limits.get("driver", False))
    found = budget(session, limits)
    if any(found.limits):
        session.budget = session.budget or budget(session, {})
        session.budget.limit(found.limits)
        session.keep()


def budget(session, limits):
    """A Budget for what is held as `limits`."""
    made = {}
    if session.door:
        config = session.door.config
        made["utc_offset_min"] = config["utc_offset_min"]
        made["running_s"] = config["running_cost_interval_s"]
    made.update(limits)
    return budgets().Budget(made)


def budgets():
    """The module of Budget."""
    try:
        from firmware.ledger import budget
    finally:
        let_go("firmware.ledger.budget")
    return budget


def _with(rest, text):
    # The texts of a record, `rest`, with what `text` tells of the cost.
    return rest + "\n" * (_COST - rest.count("\n")) + text if text else rest


def _told(session):
    return session.budget.text() if session.budget else ""


def change(session, tariff, driver=False):
    """Go on with another tariff, its bytes; OCPP's status and a reason for its StatusInfo, or
    None.
    """
    former = session.budget
    made = former or budget(session, {})
    try:
        before = made.change(session, tariff, driver)
    except ValueError:
        return "NoCurrencyChange", None
    except OSError:
        return "Rejected", "NotKept"
    session.budget = made
    session.keep()  # what is told is to hold after a cut
    try:
        session.event(UPDATED, "TariffChanged", True, _with("", _told(session)))
    except OSError:
        made.go_back(before)
        session.budget = former
        session.keep()
        return "Rejected", "NotKept"
    return "Accepted", None


def limit(session, given):
    """Take `given`, a TransactionLimitType, for the transaction. What is no number from 0 to a
    million counts as if it were not there, and so does a cost where there is no tariff, or a
    state of charge, which nobody tells a pile of this kind.
    """
    if not isinstance(given, dict) or session._closing:
        return
    try:
        from firmware.ledger import tariff
    finally:
        let_go("firmware.ledger.tariff")
    made = session.budget or budget(session, {})
    limits = list(made.limits)
    for i, name in enumerate(("maxEnergy", "maxTime", "maxCost")):
        if name in given and (made.tariff or i < 2):
            try:
                # 0 would be no limit at all
                limits[i] = max(1, tariff.micro(given[name]) // (1000, 1000000, 1)[i])
            except tariff.TariffError:
                pass
    if tuple(limits) != made.limits:
        made.limit(tuple(limits))
        session.budget = made
        session.keep()  # what is told is to hold after a cut
        try:
            session.event(UPDATED, "LimitSet", False, _with("", made.text()))
        except OSError:
            pass


def begin(session, trigger):
    """A point that starts a transaction was reached. Raises MemoryError, OSError."""
    if session.journal.full:
        raise OSError("the journal is full")
    session._seq = 0
    session._began = session.wall.now()
    before = session.budget
    try:
        _price(session)
        number = session.journal.next
        session.event(STARTED, trigger, True, _with(session._asked, _told(session)))
    except Exception:
        session.budget = before
        raise
    session._asked = ""
    if session.register.reading[_AGE] > _SILENT_MS:
        # What flowed before this, unseen, is not this one's.
        session.register.last_mwh = 1 << 60
    session.tx = number
    session.transaction_id = name(session.journal, number)
    session._start_mwh = session.register.mwh
    session._from_ms = session.wall.uptime_ms
    session._ending = session._dropped_ms = session._opened_ms = None
    session._aligned = 0
    session._second_ms = session._sampled_ms = session._now_ms
    session.keep()


def unkept(session):
    """What flows could not be kept this time. Tried each second; when that fails for long nothing
    may flow: the session is stopped, and OSError says why.
    """
    if diff(session._now_ms, session._kept_ms) >= session._keep_ms + _UNKEPT_MS:
        session.stop("Other", "AbnormalCondition")
        raise OSError("the ledger's memory does not take what is sold")


def _price(session):
    # The tariff of the transaction that starts: its driver's, or the default.
    door = session.door
    if door and not (session.budget and session.budget.tariff):
        default = door.get("prices").default(door, session.evse_id)
        if default:
            session.budget = session.budget or budget(session, {})
            session.budget.tariff = default
    if session.budget:
        session.budget.begin(session)


def name(journal, number):
    """The transaction's id, which no other one of the pile ever has."""
    return "%s-t%d" % (journal.id, number)


def close(session, left):
    """The transaction ends as soon as nothing flows any more; `left`: the vehicle did."""
    reason, trigger = session._ending or (_why(session), "ChargingStateChanged")
    session._ending = (reason, "EVCommunicationLost" if left else trigger)
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


def closing(session, now_ms):
    """Every turn while the transaction ends: once the contactor is open, or welded without
    current, and the meter was read since, it has. A silent meter is not waited for.
    """
    if session.outlet.energised:
        session._dropped_ms = session._opened_ms = None
        return
    if session._dropped_ms is None:
        session._dropped_ms = now_ms
    welded = session._contactor.closed()
    if welded:
        # It may never open: once nothing flows any more that is the end, too.
        session._opened_ms = None
        if diff(now_ms, session._dropped_ms) < _WELDED_MS:
            return
    elif session._opened_ms is None:
        session._opened_ms = now_ms
    open_ms = diff(now_ms, session._dropped_ms if welded else session._opened_ms)
    session.register.update()
    age_ms = session.register.reading[_AGE]
    # Its power is a mean: what it shows may be what flowed before.
    still = age_ms <= open_ms and session.register.reading[_MW] < _NO_MW
    if still or open_ms >= _SILENT_MS and (not welded or age_ms > _SILENT_MS):
        if session.signs and not isinstance(session.signing, str):
            sign(session, age_ms)
        else:
            _finish(session, session.signing or "")


def sign(session, age_ms, cut=None):
    """Two steps of the receipt (see firmware.ledger.signing.begin) a turn: 1.5 s in all, 8 ms each
    on an RP2040. `session.signing` is its text in the end; "": there is none, and the end is told
    all the same.
    """
    try:
        if session.signing is None:
            session.signing = _signing().begin(session, age_ms, cut)
        text = next(session.signing) or next(session.signing)
        if text:
            session.signing = text if len(text) <= _RECEIPT else ""
    except Exception:
        session.signing = ""


def _signing():
    try:
        from firmware.ledger import signing
    finally:
        let_go("firmware.ledger.signing")
    return signing


def _finish(session, receipt):
    # The end is kept, then the summary. When it cannot be kept it is tried again.
    reason, trigger = session._ending
    ended = session.wall.now()
    text, cost = _bill(session)
    try:
        session.event(ENDED, trigger, True, ended_with(reason, receipt, text))
    except OSError:
        session._dropped_ms = session._opened_ms = None
        return
    told = (
        session.evse_id, session.tx, session.token, session._began, ended,
        session._start_mwh, session.register.mwh, reason, cost, receipt,
    )  # fmt: skip
    kept = _sum_up(session, told)
    session.tx = 0
    session.transaction_id = session.token = session.group = session._ending = None
    session._closing = None
    session.budget = session.signing = session.user = None
    if kept:
        session.keep()
    elif session.door:
        _owe(session, told)


def _owe(session, told):
    # The summary is kept later. Until another transaction begins here a power cut does not matter:
    # firmware.ledger.recovery makes it of the end, of which there is no second one.
    since_ms = session._now_ms

    def tick(now_ms):
        nonlocal since_ms
        if diff(now_ms, since_ms) < _AGAIN_MS:
            return True
        since_ms = now_ms
        kept = _sum_up(session, told)
        if kept and not session.tx:
            session.keep()
        return not kept

    session.door.chores.append(tick)


def ended_with(reason, receipt, text):
    """What the record of an end has behind its trigger; `text` tells of the cost."""
    rest = "\n" + reason + ("\n" * 4 + receipt).rstrip()
    if len(rest) + len(text) > _TEXTS:
        text = ""  # the summary has the cost; a receipt holds as it was signed only
    return _with(rest, text)


def _bill(session):
    # Without a cost the end is told all the same.
    try:
        return session.budget.bill(session) if session.budget else ("", None)
    except (MemoryError, ValueError):
        return "", None


def _sum_up(session, told):
    # Whether the summary of what events.summary takes could be kept.
    try:
        session.journal.append(_events().summary(*told))
    except (MemoryError, OSError):
        return False
    return True


def _events():
    try:
        from firmware.ledger import events
    finally:
        let_go("firmware.ledger.events")
    return events
