"""A stand-in for the charging network's backend: answers, checks and counts what a pile sends.

It speaks the line that README.md describes: OCPP-J arrays on `<root>/<stationId>/up` and `/down`,
QoS 1. It accepts one card, refuses every other, and answers a repeated message with the same
words.
"""

import asyncio
import json
import uuid
from datetime import datetime, timezone

from . import ocpp_schemas
from .mqtt import Client
from .ocpp_schemas import CALL, CALLERROR, CALLRESULT

CARD = "04A1B2C3D4E5F6"
ANSWER_S = 10


def now():
    """This moment as OCPP writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Station:
    """What the backend knows of one pile."""

    def __init__(self):
        self.online = None
        self.calls = {}  # message id -> (the CALL, our answer), in order of arrival
        self.repeats = 0


class Backend:
    """The backend at a broker; `station` is one station's id or "+" for all of them."""

    def __init__(self, host, port, root="ocpp", station="+", interval_s=60):
        self.root, self.interval_s = root, interval_s
        self.stations = {}
        self.invalid = []  # one sentence for each message that broke the vocabulary
        self._asked = {}  # message id -> (action, future) of our own CALLs
        self._answers = {
            "BootNotification": self._boot,
            "Authorize": lambda payload: {"idTokenInfo": token_info(payload["idToken"])},
            "TransactionEvent": self._transaction_event,
            "Heartbeat": lambda payload: {"currentTime": now()},
            "FirmwareStatusNotification": lambda payload: {},
            "LogStatusNotification": lambda payload: {},
            "MeterValues": lambda payload: {},
            "NotifyCustomerInformation": lambda payload: {},
            "ClearedChargingLimit": lambda payload: {},
            "NotifyChargingLimit": lambda payload: {},
            "NotifyEvent": lambda payload: {},
            "NotifyMonitoringReport": lambda payload: {},
            "NotifyReport": lambda payload: {},
            "PullDynamicScheduleUpdate": lambda payload: {"status": "Rejected"},
            "ReportChargingProfiles": lambda payload: {},
            "SignCertificate": lambda payload: {"status": "Rejected"},
            "StatusNotification": lambda payload: {},
            "ReservationStatusUpdate": lambda payload: {},
            "SecurityEventNotification": lambda payload: {},
        }
        self._client = Client(host, port, "backend-" + uuid.uuid4().hex[:8],
                              ["%s/%s/%s" % (root, station, end) for end in ("up", "state")],
                              self._arrived)

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        """Come to the broker; see Client.start."""
        await self._client.start()

    async def stop(self):
        """Leave the broker. What is sent meanwhile, nobody hears."""
        await self._client.stop()

    @property
    def there(self):
        """Whether the broker has us."""
        return self._client.connected

    def calls(self, action, station=None):
        """Payloads of the distinct CALLs of this action, in the order in which they arrived."""
        stations = self.stations.values() if station is None else [self.station(station)]
        return [call[3] for one in stations for call, _ in one.calls.values() if call[2] == action]

    def station(self, name):
        """What is known of the station `name`."""
        return self.stations.setdefault(name, Station())

    async def call(self, station, action, payload, timeout_s=ANSWER_S):
        """Send a CALL; returns the station's CALLRESULT or CALLERROR array.

        Raises asyncio.TimeoutError without an answer, ValueError when the request breaks OCPP.
        """
        message = [CALL, str(uuid.uuid4()), action, payload]
        wrong = ocpp_schemas.problem(message)
        if wrong:
            raise ValueError(wrong)
        answer = asyncio.get_running_loop().create_future()
        self._asked[message[1]] = action, answer
        self.send(station, json.dumps(message).encode())
        return await asyncio.wait_for(answer, timeout_s)

    def send(self, station, payload):
        """Send any bytes to a station: tests also send what no backend should."""
        self._client.publish("%s/%s/down" % (self.root, station), payload)

    def _arrived(self, topic, payload, retain, dup):
        name, end = topic.split("/")[-2:]
        station = self.station(name)
        if end == "state":
            try:
                station.online = json.loads(payload)["online"] if payload else None
            except (ValueError, KeyError, TypeError):
                self.invalid.append("%s/state: expected {\"online\": ...}, found %.80r"
                                    % (name, payload))
            return
        message, wrong = ocpp_schemas.parse(payload)
        if wrong:
            self.invalid.append("%s: %s" % (name, wrong))
        elif message[0] == CALL:
            self._answer(name, station, message)
        else:
            self._answered(name, message)

    def _answer(self, name, station, message):
        call, answer = station.calls.get(message[1], (None, None))
        if call is None:
            answer = self._compose(name, message)
            station.calls[message[1]] = message, answer
        else:
            station.repeats += 1
            if call != message:
                self.invalid.append("%s: message id %s came again with other content"
                                    % (name, message[1]))
        self.send(name, json.dumps(answer).encode())

    def _compose(self, name, message):
        """The answer to a CALL that is seen for the first time."""
        _, identity, action, payload = message
        if action not in self._answers:
            return [CALLERROR, identity, "NotImplemented", "no such action: %.50s" % action, {}]
        wrong = ocpp_schemas.problem(message)
        if wrong:
            self.invalid.append("%s: %s" % (name, wrong))
            return [CALLERROR, identity, "FormatViolation", wrong[:255], {}]
        answer = [CALLRESULT, identity, self._answers[action](payload)]
        wrong = ocpp_schemas.problem(answer, action)
        if wrong:
            self.invalid.append("backend to %s: %s" % (name, wrong))
        return answer

    def _answered(self, name, message):
        """The station's answer to one of our own CALLs."""
        action, answer = self._asked.pop(message[1], (None, None))
        if action is None:
            # to something that `send` sent, or for the second time: only the frame can be checked
            return
        wrong = ocpp_schemas.problem(message, action)
        if wrong:
            self.invalid.append("%s: %s" % (name, wrong))
        if not answer.done():
            answer.set_result(message)

    def _boot(self, _payload):
        return {"currentTime": now(), "interval": self.interval_s, "status": "Accepted"}

    @staticmethod
    def _transaction_event(payload):
        if "idToken" in payload:
            return {"idTokenInfo": token_info(payload["idToken"])}
        return {}


def token_info(token):
    """OCPP's IdTokenInfo for a token: one card is known."""
    return {"status": "Accepted" if token["idToken"] == CARD else "Invalid"}
