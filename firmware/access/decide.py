"""Who may charge where, and whom the backend is asked about. Imported for each card and let go of.

The order: the running sessions (the same card or one of its group ends them), the local list, the
cache, the backend, and without it the offline policy. OCPP's names of the fields of config.json:

    local_list              LocalAuthListEnabled
    auth_cache              AuthCacheEnabled
    local_pre_authorize     LocalPreAuthorize: who is known need not wait for the backend's word
    local_authorize_offline LocalAuthorizeOffline: without the backend, who is known is let in
    offline_unknown         OfflineTxForUnknownIdEnabled: and who is not known, too. Whom list or
                            cache refuse stays outside.
    disable_post_authorize  DisablePostAuthorize: whom list or cache refuse is refused without
                            asking; else the backend, when it can be asked, may have changed its
                            mind
    master_pass_group       MasterPassGroupId: ends every session, starts none
"""

from firmware.access import entries

_READER = "ISO14443"


def card(door, uid):
    """A card was presented."""
    if len(uid) not in (8, 14, 20) or not all(c in "0123456789ABCDEF" for c in uid):
        refuse(door, "not the identifier of a card")
    else:
        present(door, uid, _READER)


def present(door, token, kind, evse_id=0, remote_id=None, group=None):
    """Decide about `token`, at outlet `evse_id` (0: at the reader, or any); `remote_id` is the
    remoteStartId where the backend asked for it, `group` the digest of the group it named.
    """
    digest = door.digest(token)
    by_card = not evse_id and remote_id is None
    if by_card:
        for session in door.sessions:
            if not session.free and session.token == digest:
                session.stop("Local", "StopAuthorized")
                tell(door, "stopped", "its own card")
                return
    who = (token, kind, evse_id, remote_id, digest, group)
    if door.asked is not None:
        tell(door, "ignored", "another card is being checked")
    elif door.expected:
        tell(door, "ignored", "another card waits for its plug")
    elif not free(door, evse_id) and not (by_card and _ends_others(door)):
        # A vehicle says who it is whoever has been let in before.
        tell(door, "refused" if by_card else "ignored", _taken(door))
    else:
        known = entries.look(door, digest)
        sure = False
        if known and known[0] == "Accepted":
            sure = door.config["local_pre_authorize"] and door.station.backend.ready
        elif known:
            sure = door.config["disable_post_authorize"]
        if sure or not _ask(door, who):
            alone(door, who, known, sure)


def alone(door, who, known, sure=False):
    """Decide without the backend's word; `known` is what entries.look said. `sure`: it need not
    be asked.
    """
    config = door.config
    if known and (sure or config["local_authorize_offline"] or known[0] != "Accepted"):
        settle(door, who, known, "the local %s says: %s" % (known[3], known[0]))
    elif not known and config["offline_unknown"]:
        settle(door, who, ("Accepted", None, 255), "unknown, and the backend cannot be asked")
    else:
        # Nobody has said that the card is a wrong one: no guess that failed.
        tell(door, "refused", "the backend cannot be asked")


def _ask(door, who):
    backend = door.station.backend
    for_whom = _plugged(door, free(door, who[2])) if who[3] is None else ()

    def answered(result):
        _show(door, None)
        info = result.get("idTokenInfo") if result else None
        said = None
        if isinstance(info, dict):
            if "tariff" in result or door.tariff:
                door.get("prices").offered(door, who[4], result.get("tariff"))
            said = door.get("cache").note(door, who[4], info)
        if for_whom and not _plugged(door, for_whom):
            # Who comes next would charge at the expense of who has gone.
            tell(door, "refused", "the vehicle has left")
        elif said:
            settle(door, who, said, "the backend says: %s" % said[0])
        else:
            alone(door, who, entries.look(door, who[4]))

    if not backend.ready or not backend.outbox.add("Authorize", _request, who, answered):
        return False
    _show(door, who)
    return True


def _request(who):
    return {"idToken": {"idToken": who[0], "type": who[1]}}


def settle(door, who, said, why):
    """Do what `said`, (status, group, outlets as bits, ...), lets `who` do: end what it may end,
    else start where it may.
    """
    _, _, evse_id, remote_id, _, asked_group = who
    status = said[0]
    group = said[1] or asked_group
    running = [
        session
        for session in door.sessions
        if not session.free and (session.outlet.authorised or not session.outlet.inoperative)
    ]
    by_card = not evse_id and remote_id is None
    text = door.config["master_pass_group"]
    master = text and group == door.digest(text)
    if status != "Accepted" and not (status == "ConcurrentTx" and group and by_card):
        refuse(door, why, by_card)
    elif master:
        for session in running if by_card else ():
            session.stop("MasterPass", "StopAuthorized")
        done = by_card and running
        if done:
            tell(door, "stopped", "the master pass")
        else:
            tell(door, "refused", "the master pass starts nothing")
    else:
        places = free(door, evse_id)
        if places and door.reservations:
            places = door.get("reserve").places(door, places, who[4], group)
        places = [i for i in places if said[2] == 255 or i < 9 and said[2] >> i - 1 & 1]
        places = working(door, places)
        plugged = _plugged(door, places)
        same = [session for session in running if group and session.group == group]
        # A vehicle that waits is what the card is meant for; else it is the one session of its
        # group. Of several nobody knows which.
        if by_card and len(same) == 1 and (not plugged or status != "Accepted"):
            same[0].stop("Local", "StopAuthorized")
            tell(door, "stopped", "a card of its group")
        elif status != "Accepted":
            refuse(door, why, by_card)
        elif not places:
            # kept for others, out of service or at fault, or not among those of its token
            why = "no free outlet is for it"
            tell(door, "refused", why if free(door, evse_id) else _taken(door))
        else:
            begun = True
            if plugged or len(places) == 1 or remote_id is not None:
                begun = begin(door, who, group, (plugged or places)[0])
            else:
                # Whoever holds a card to the reader has not said where; the plug does.
                door.get("expect").begin(door, who, group, places)
            if begun:
                tell(door, "accepted", why)
            else:
                tell(door, "refused", "another's transaction, or none can be kept")


def begin(door, who, group, evse_id):
    """Start the session of `who` at outlet `evse_id`; whether it could be."""
    token, kind, _, remote_id, digest, _ = who
    limits = number = None
    if door.tariff and door.tariff[0] == digest:
        limits = {"tariff": door.tariff[1], "driver": True}
    if door.reservations:
        number = door.get("reserve").using(door, evse_id, digest, group)
    begun = door.sessions[evse_id - 1].start(token, kind, group, remote_id, limits, number)
    if begun and number is not None:
        door.get("reserve").cancel(door, number)
    if begun and limits:
        door.tariff = None
    return begun


def free(door, evse_id=0):
    """The outlets (from 1) where somebody may be authorised."""
    return [i for i, session in enumerate(door.sessions, 1) if session.free and evse_id in (0, i)]


def _plugged(door, places):
    return [i for i in places if door.sessions[i - 1].outlet.plugged]


def working(door, places):
    """Those of the outlets `places` that have no fault; all of them where each has."""
    return [i for i in places if not door.sessions[i - 1].outlet.faulted] or places


def _taken(door):
    out = any(session.outlet.inoperative for session in door.sessions)
    return "every outlet is in use" + (" or out of service" if out else "")


def _ends_others(door):
    # Whether a card could end a session that it has not begun.
    return door.config["master_pass_group"] or any(
        not session.free and session.group for session in door.sessions
    )


def refuse(door, why, by_card=True):
    """Refuse a token that is a wrong one: many of them at the reader are a guess."""
    tell(door, "refused", why)
    if by_card and door.config["refusals"]:
        if not door.wary:
            door.wary = door.get("wary").Wary(door)
        door.wary.refused()


def tell(door, decision, why):
    """Record and show a decision, never whose."""
    door.record("access", decision=decision, why=why)
    for signals in door.station.signals:
        signals.answer(decision in ("accepted", "stopped"))


def _show(door, who):
    door.asked = who
    for signals in door.station.signals:
        signals.asking = who is not None
