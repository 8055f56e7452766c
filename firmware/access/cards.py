"""Cards at the reader: the backend is asked who may charge; the same card ends the charging."""


class Cards:
    """`sessions` in the order of their outlets; `record(what, **fields)` notes each decision,
    never whose card it was; `signals` show it.
    """

    def __init__(self, reader, sessions, backend, record, signals=()):
        self._reader = reader
        self._sessions = sessions
        self._backend = backend
        self._record = record
        self._signals = signals
        self.asked = None  # the card that the backend is being asked about

    def tick(self, _):
        """Read the reader once."""
        uid = self._reader.read()
        if uid is None:
            return
        for session in self._sessions:
            if session.token == uid:
                session.stop("Local", "StopAuthorized")
                self._decide("stopped", "its own card")
                return
        if self.asked is not None:
            self._decide("ignored", "another card is being checked")
        elif self._free() is None:
            self._decide("refused", "every outlet is in use")
        elif not self._backend.ready or not self._backend.outbox.add(
            "Authorize", _request, uid, self._answered
        ):
            self._decide("refused", "the backend cannot be asked")
        else:
            self._ask(uid)

    def _ask(self, uid):
        self.asked = uid
        for signals in self._signals:
            signals.asking = uid is not None

    def _answered(self, result):
        uid = self.asked
        self._ask(None)
        info = result.get("idTokenInfo") if result else None
        status = info.get("status") if isinstance(info, dict) else "no answer"
        session = self._free()
        if status != "Accepted":
            self._decide("refused", "the backend says: %s" % status)
        elif session is None:
            self._decide("refused", "every outlet is in use")
        else:
            session.start(uid, "ISO14443")
            self._decide("accepted", "the backend says: Accepted")

    def _free(self):
        # The outlet with a vehicle waiting is the one that is meant; else the first that is free.
        free = None
        for session in self._sessions:
            if session.transaction_id is None:
                if session.outlet.plugged:
                    return session
                free = free or session
        return free

    def _decide(self, decision, why):
        self._record("access", decision=decision, why=why)
        for signals in self._signals:
            signals.answer(decision in ("accepted", "stopped"))


def _request(uid):
    return {"idToken": {"idToken": uid, "type": "ISO14443"}}
