"""Follow a charging session through its trace: its present numbers, its story, its series."""

CALL = 2
# The vehicle's resistance while it wants no energy (S2 open), IEC 61851-1 table A.2.
S2_OPEN_OHM = 2740

STATES = {
    "A1": "no vehicle", "A2": "no vehicle",
    "B1": "connected", "B2": "connected, offered",
    "C1": "wants energy", "C2": "may charge",
    "D1": "wants ventilation", "D2": "may charge, ventilated",
    "E": "pilot shorted", "F": "not available",
}

STEPS = {
    "plug": "Plug in", "unplug": "Unplug", "ready": "Ready", "pause": "Pause",
    "card": "Card", "vent": "Ventilation",
}
TOLD = {
    "plug": "The vehicle is plugged in",
    "unplug": "The vehicle is unplugged",
    "ready": "The vehicle closes S2: it wants energy",
    "pause": "The vehicle opens S2: it wants a pause",
    "card": "A card is held to the reader",
}


class Session:
    """What the trace has told so far; `feed` takes one event after the other.

    Times are seconds since the pile's start. `plant` holds the pile's lines of that name, one
    every 100 ms, `openings_ms` the times from the vehicle's S2 opening to the contactor's command.
    """

    def __init__(self):
        self.t_s = 0.0
        self.interpreter = None
        self.story = []  # (t_s, sentence)
        self.steps = []  # (t_s, the step's object)
        self.states = []  # (t_s, state)
        self.closed = []  # (t_s, is the metal closed)
        self.plant = []
        self.openings_ms = []
        self.sent = {}  # message id -> action, of our CALLs
        self.acked = set()
        self.refused = {}  # message id -> CALLERROR code
        self.faults = []  # (t_s, code)
        self.line_up = False
        self.ended = None
        self._command = False
        self._r_ohm = None
        self._s2_opened_us = None

    @property
    def now(self):
        """The newest `plant` line; zeros before the first."""
        return self.plant[-1] if self.plant else {
            "offered_ma": 0, "current_ma": 0, "energy_mwh": 0, "pilot_high_mv": 12000,
            "pilot_low_mv": 12000, "permille": 1000, "state": "A1", "closed": False}

    def feed(self, event):
        """Take one event of the trace."""
        self.t_s = event["t_us"] / 1e6
        handler = getattr(self, "_on_" + event["what"], None)
        if handler:
            handler(event)

    def _tell(self, sentence):
        self.story.append((self.t_s, sentence))

    def _on_interpreter(self, event):
        self.interpreter = {name: event[name] for name in ("name", "version", "platform")}

    def _on_step(self, event):
        step = event.get("step", event)
        self.steps.append((self.t_s, step))
        self._tell(TOLD.get(step["do"], "Step: " + step["do"]))

    def _on_state(self, event):
        self.states.append((self.t_s, event["value"]))

    def _on_vehicle(self, event):
        r_ohm = event["r_ohm"]
        if r_ohm == S2_OPEN_OHM and self._r_ohm not in (None, S2_OPEN_OHM) and self._command:
            self._s2_opened_us = event["t_us"]
        self._r_ohm = r_ohm

    def _on_contactor(self, event):
        if event["command"] != self._command:
            self._command = event["command"]
            if self._command:
                self._s2_opened_us = None
                self._tell("The contactor closes: energy flows")
            elif self._s2_opened_us is not None:
                ms = (event["t_us"] - self._s2_opened_us) / 1000
                self._s2_opened_us = None
                self.openings_ms.append(ms)
                self._tell("The contactor opens, %.1f ms after S2" % ms)
            else:
                self._tell("The contactor opens")
        if not self.closed or self.closed[-1][1] != event["closed"]:
            self.closed.append((self.t_s, event["closed"]))

    def _on_fault(self, event):
        self.faults.append((self.t_s, event["code"]))
        self._tell("Fault: " + event["code"])

    def _on_clear(self, event):
        self._tell("Fault is over: " + event["code"])

    def _on_line(self, event):
        self.line_up = event["up"]
        why = event.get("why")
        self._tell("The line to the broker is %s%s"
                   % ("up" if self.line_up else "down", ": " + why if why else ""))

    def _on_uplink(self, event):
        message = event["message"]
        if message[0] != CALL or message[1] in self.sent:
            return
        action, payload = message[2:4]
        self.sent[message[1]] = action
        if action == "TransactionEvent" and payload["eventType"] == "Started":
            self._tell("The transaction starts")
        elif action == "TransactionEvent" and payload["eventType"] == "Ended":
            self._tell("The transaction ends: "
                       + payload["transactionInfo"].get("stoppedReason", "no reason given"))
        elif action in ("BootNotification", "Authorize"):
            self._tell("To the backend: " + action)

    def _on_result(self, event):
        if event["error"] is None:
            self.acked.add(event["id"])
        else:
            self.refused[event["id"]] = event["error"]
            self._tell("The backend refuses a %s: %s"
                       % (self.sent.get(event["id"], "message"), event["error"]))

    def _on_plant(self, event):
        self.plant.append(dict(event, t_s=self.t_s))

    def _on_end(self, event):
        self.ended = event
        self._tell("The scenario is over")
