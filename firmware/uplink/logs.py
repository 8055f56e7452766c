"""What the logs that a backend may ask for have in them; imported for one and let go of.

The diagnostics log tells how the pile is now: version, configuration without secrets, why each
outlet does not charge, its black boxes, and the last lines of the log where they lie in memory.
The security log has the security events that are still in the journal. Neither names a token, but
for those that `pile log` would show.
"""

import json

from firmware import VERSION, borrow
from firmware.clock import parse

_SECURITY = 5  # kind of a record, see firmware.ledger.events
_MOST = 100  # events
_HIDDEN = ("password", "user", "master_pass")


def text(backend, payload):
    """The log that `payload`, a GetLogRequest, asks for. Raises MemoryError."""
    station = backend.doorman.station
    wall = station.wall
    head = "%s %s, firmware %s, %s, %d s after its start" % (
        station.config["station_id"], station.board.model, VERSION, wall.text(wall.uptime_ms),
        wall.uptime_ms // 1000,
    )  # fmt: skip
    if payload["logType"] == "SecurityLog":
        lines = _security(station, payload["log"])
    else:
        lines = _diagnostics(backend, station)
    return "\n".join([head] + lines) + "\n"


def _diagnostics(backend, station):
    lines = ["start: %s" % station.board.boot_reason]
    for name in sorted(station.config):
        if not any(hidden in name for hidden in _HIDDEN):
            lines.append("config %s: %r" % (name, station.config[name]))
    counts = getattr(backend, "refused", {})
    for name in sorted(counts):
        if name:
            lines.append("refused %s: %d" % (name, counts[name]))
    explain = borrow("firmware.explain").explain
    for i, session in enumerate(station.sessions):
        lines.append("outlet %d: %s, %d mWh" % (i + 1, station.connector(i), session.register.mwh))
        for told in explain(station, i):
            lines.append("outlet %d: %s: %s" % (i + 1, told["source"], told["text"]))
    for box in borrow("firmware.safety.playback").read_all(station.records):
        lines.append("black box: %s" % json.dumps(box))
    lines += getattr(station.board.log, "kept", ())
    return lines


def _security(station, wanted):
    first = parse(wanted["oldestTimestamp"]) if "oldestTimestamp" in wanted else 0
    last = parse(wanted["latestTimestamp"]) if "latestTimestamp" in wanted else 1 << 50
    events = borrow("firmware.ledger.events")
    journal = station.journal
    lines = []
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        if record and record[0] == _SECURITY:
            _, told = events.call(journal, station.wall, number, record)
            if first <= parse(told["timestamp"]) <= last:
                lines.append(" ".join((told["timestamp"], told["type"], told["techInfo"])))
    return lines[-_MOST:]
