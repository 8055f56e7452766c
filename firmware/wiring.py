"""The one place where roles, outlets and services are wired together; let go of after that. A
function made here that stayed, a lambda too, would hold all of it.
"""

from firmware import VERSION, borrow, commit, let_go
from firmware.access import opening
from firmware.energy.limits import PILOT, Limits
from firmware.ledger import bounds, durable, recovery
from firmware.ledger.register import Register
from firmware.ledger.session import Session
from firmware.outlet.ac import AcOutlet
from firmware.outlet.rest import Rest
from firmware.outlet.signals import Signals
from firmware.safety.blackbox import BlackBox, Records
from firmware.safety.core import Safety
from firmware.safety.supervision import Supervision
from firmware.upkeep import Upkeep
from firmware.uplink.backend import Backend

_GBT_MA = 63000


def wire(station, board, config):
    """Give the new `station` its outlets and services. Raises ValueError for a configuration that
    the board cannot be.
    """
    for name in ("bounds", "durable", "events", "recovery"):
        let_go("firmware.ledger." + name)
    journal, cells = durable.open(board, len(board.outlets), station.closed)
    wall = station.wall
    nonce = board.nonce()
    who = {"vendorName": board.vendor, "model": board.model, "firmwareVersion": VERSION}
    record = board.log.record
    upkeep = Upkeep(board, station.cores, station.sessions)
    reason = board.boot_reason
    sessions = station.sessions
    commits = {12: board.store}  # of changes of the configuration
    staged = station.staged = commit.open(journal, station.closed, commits, cells[-1], wall)
    try:
        recovery.count_boot(journal, cells, wall)
        commit.settings(staged, config)
    except OSError as error:
        record("error", problem="journal: %r" % error)
    wall.journal = station.journal = journal
    backend = Backend(config, who, reason, nonce, wall, sessions, upkeep, record, journal)
    upkeep.backend = backend
    station.needs.append(backend.outbox.needs)
    station.receipt_keys = signs = None
    if config["receipts"]:
        from firmware.ledger import receipt

        let_go("firmware.ledger.receipt")
        station.receipt_keys = receipt.keys(board, station.closed)
        if station.receipt_keys:
            signs = {
                "key": station.receipt_keys[0],
                "named": config["receipt_id"] == "token",
                "told": {
                    "board": (board.vendor, board.model),
                    "version": VERSION,
                    "station": config["station_id"],
                },
            }
    for place in board.outlets:
        gbt = place.standard == "gbt18487"
        core = Safety(
            place.pilot,
            place.contactor,
            place.inputs,
            place.witness,
            board.late_ms,
            place.ventilated,
            gbt,
        )
        limits = Limits(*_rating(place, config))
        limits.set(PILOT, place.pilot.max_ma, place.pilot.max_reason)
        if gbt and place.pilot.max_ma > _GBT_MA:
            limits.set(PILOT, _GBT_MA, "GB/T 18487.1 ends at 63 A")
        plug = None
        if place.socket:
            from firmware.outlet.plug import Plug

            plug = Plug(place.socket, core.cells, limits)
        delay_ms = board.random(config["start_delay_s"] * 1000 + 1)
        outlet = AcOutlet(core.cells, limits, plug, config["wake_after_s"] * 1000, delay_ms)
        station.cores.append(core)
        station.supervisions.append(Supervision(core.cells, place, limits, plug, config))
        station.outlets.append(outlet)
        station.rests.append(Rest(outlet, limits, config["min_pause_s"] * 1000))
        number = len(station.cores)
        # Lines of the trace say which outlet they are about, beyond the first.
        more = {"outlet": number} if number > 1 else {}
        station.signals.append(
            Signals(core.cells, outlet, place.lamp, place.buzzer, backend, record, more)
        )
        station.sessions.append(
            Session(
                number,
                outlet,
                Register(place.meter),
                place.contactor,
                config,
                bounds.points(config, place.phases),
                journal,
                cells[len(sessions)],
                wall,
                backend,
            )
        )
    upkeep.restore()
    boxes = [BlackBox(core.cells) for core in station.cores]
    station.upkeep = upkeep
    station.backend = backend
    station.records = Records(boxes, board.store, station.wall)
    station.needs.append(staged.needs)
    station.needs += [session.needs for session in sessions]
    station.profiles = []
    station.cards = backend.doorman = opening.open(station, commits)
    for name in ("availability", "opening", "entries", "prices", "reserve", "tokens", "update"):
        let_go("firmware.access." + name)
    serials = config["meter_serial"].split(",")
    for i, session in enumerate(sessions):
        session.door = station.cards
        session.digest = station.cards.digest
        if signs:
            place = board.outlets[i]
            named = dict(place.nameplate)
            if i < len(serials) and serials[i].strip():
                named["serial"] = serials[i].strip()
            session.signs = dict(signs, nameplate=named, chip=place.billing or place.meter)
    why = "PowerLoss" if reason == "PowerUp" else "Reboot"
    recovery.recover(sessions, journal, cells, config["after_power_cut"] == "resume", why, record)
    station.ticks = [core.tick for core in station.cores] + [box.note for box in boxes]
    services = [device.tick for device in board.devices]
    services += [session.tick for session in station.sessions]
    services += [staged.tick, station.keep]
    services += [station.cards.tick, station.report, backend.tick, station.records.tick]
    services += [signal.tick for signal in station.signals]
    if board.memory and journal.full and journal.memory is not board.memory:
        services.append(durable.Waiting(board).tick)
    station.services = services + [upkeep.tick]
    if config["tls"] or config["network_priority"]:
        borrow("firmware.uplink.expiry").watch(station)
    if config["network_priority"]:
        mute = borrow("firmware.uplink.mute")
        station.services.append(mute.Mute(station).tick)
    if board.limit_input:
        external = borrow("firmware.energy.external")
        station.services.append(external.External(station, board.limit_input).tick)
    changes = station.profiles
    station.profiles = None
    if changes or board.store.names("charging.profiles"):
        from firmware.energy import profiles

        let_go("firmware.energy.profiles")
        profiles.Profiles(station).restore(changes)


def _rating(place, config):
    """What the outlet is built for and the installer allows, in mA, and which of them it is."""
    least = place.max_ma
    reason = "rated current of the outlet"
    for name, what in (("cable_a", "the attached cable"), ("breaker_a", "the circuit's breaker")):
        ma = config[name] * 1000
        if ma > place.max_ma:
            raise ValueError(
                "config: %s: expected at most %d A (what the outlet is built for), found %d A"
                % (name, place.max_ma // 1000, config[name])
            )
        if ma and ma < 6000:
            raise ValueError(
                "config: %s: expected 0 or at least 6 A, found %d A" % (name, config[name])
            )
        if ma and ma < least:
            least = ma
            reason = "%s (%s)" % (what, name)
    return least, reason
