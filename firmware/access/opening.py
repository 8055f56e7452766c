"""Puts the doorman together at boot, with what it kept; let go of after that. A function made here
that stayed, a lambda too, would hold all of it.
"""

from micropython import const

from firmware import let_go
from firmware.access import availability, entries, prices, reserve, tokens, update
from firmware.access.cards import Doorman

_STAGED = const(6)  # kind of a record, see firmware.commit
_PROFILES = const(14)  # of firmware.energy.profiles
_ROOTS = const(15)  # as firmware.access.roots has it


def open(station, commits):
    """The doorman of the new `station`. What is damaged is told and counts as if it were not
    there. `commits` gets what firmware.staged does for it.
    """
    board = station.board
    key = tokens.load(board.store)
    door = Doorman(station, key or board.secret(32))
    if key is None:
        door.chores.append(door.keep_key)
    commits[update.CHANGES] = door.writer("update")
    commits[reserve.RESERVED] = door.writer("reserve")
    commits[prices.PRICES] = door.writer("prices")
    commits[_ROOTS] = door.writer("roots")
    key_id = door.digest("")[:4]
    for name in (entries.LIST, entries.CACHE):
        try:
            version, count = entries.check(board.store, name, key_id)
            if name == entries.LIST:
                door.version, door.count = version, count
            else:
                door.cached = count
        except ValueError as error:
            door.record("error", problem=str(error))
    door.now_ms = board.clock.ticks_ms()
    reserve.restore(door, _staged(station, door))
    availability.apply(station)
    if station.config["monitors"]:
        from firmware.uplink import monitors

        let_go("firmware.uplink.monitors")
        monitors.watch(door)
    if station.config["broker"]:
        door.get("startup").watch(door)
    if station.config["free_vend"]:
        from firmware.access import vend

        vend.watch(door)
    return door


def _staged(station, door):
    # What is in the journal and not in flash yet holds as it did before the power was cut: the
    # list's changes, the default tariffs', the charging profiles', and the reservations,
    # None where there are none newer than in flash.
    reserved = None
    journal = station.journal
    try:
        for number in range(station.staged.needs(), journal.next):
            record = journal.read(number) or b"\0"
            if record[0] == _STAGED and record[1] == reserve.RESERVED:
                reserved = record[2:]
            elif record[0] == _STAGED and record[1] == update.CHANGES:
                door.waiting.append(record[2:])
            elif record[0] == _STAGED and record[1] == prices.PRICES:
                door.prices.append(record[2:])
            elif record[0] == _STAGED and record[1] == _PROFILES:
                station.profiles.append(record[2:])
    except OSError as error:
        door.record("error", problem="journal: %r" % error)
    return reserved
