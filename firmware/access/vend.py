"""Free-vend: whoever plugs in is charged, without a token. Loaded where config.json says so."""


def watch(door):
    """Start a session for each vehicle, once until it leaves."""
    there = [False] * len(door.sessions)
    journal = door.station.journal

    def tick(now_ms):
        for i, session in enumerate(door.sessions):
            if not session.outlet.plugged:
                there[i] = False
            elif not (there[i] or journal.full) and (session.free or session.outlet.authorised):
                # Else the session of the vehicle before still waits for contactor or meter.
                there[i] = True
                if session.free and _allowed(door, i + 1) and session.start("", "NoAuthorization"):
                    door.record("access", decision="accepted", why="free to all")
        return True

    door.chores.append(tick)


def _allowed(door, evse_id):
    free = [evse_id]
    if door.reservations:
        free = door.get("reserve").places(door, free, None, None)
    return free
