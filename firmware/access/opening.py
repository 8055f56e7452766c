"""Puts the doorman together at boot, with what it kept; let go of after that."""

from firmware.access import entries, reserve, tokens
from firmware.access.cards import Doorman
from firmware.safety.core import DRIVE


def open(station):
    """The doorman of the new `station`. What is damaged is told and counts as if it were not
    there.
    """
    board = station.board
    cores = station.cores
    queue = []

    def closed():
        return any(core.cells[DRIVE] for core in cores) or any(
            place.contactor.closed() for place in board.outlets
        )

    def put(what, data):
        queue.append((what, data))
        tick(0)

    def tick(_):
        while queue and not closed():
            what, data = queue.pop(0)
            commits[what](data)
        return True

    key = tokens.load(board.store)
    door = Doorman(station, key or board.secret(32), closed, put)
    if key is None:
        door.chores.append(lambda _: door.get("tokens").keep(door))
    commits = {
        10: lambda data: door.get("update").commit(door, data),
        11: lambda data: door.store.save(reserve.FILE, data),
    }
    door.chores.append(tick)
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
    reserve.restore(door)
    if station.config["free_vend"]:
        from firmware.access import vend

        vend.watch(door)
    return door
