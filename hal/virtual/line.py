"""The backend's line in virtual time: an MQTT broker in memory and, behind it, a backend that
answers in 50 ms.

The station's link speaks real MQTT 3.1.1 packets to it. The broker keeps the station's session
while the line is down: what was not acknowledged comes again with DUP, as real brokers do.
"""

import json
import time

_ANSWER_US = 50000
_EPOCH_S = 1767225600  # the simulated backend's date at the plant's start: 2026-01-01T00:00:00Z
_CARD = "04A1B2C3D4E5F6"
_OPEN, _CLOSE = 1, 2  # of Link.wants


class SimulatedLine:
    """`plant` gives the time. Set `up` to cut the line and to restore it, `mute` for a backend
    that answers nothing while the broker does, `refuses` for one that answers each CALL with a
    CALLERROR, `date` to what it says as currentTime instead of the date.
    """

    def __init__(self, plant):
        self.up = True
        self.mute = False
        self.refuses = False
        self.date = None
        self.more = {}  # by action: fields that its answers have besides
        self.clock_jump_s = 0
        self._plant = plant
        self._connected = False
        self._session = False  # the broker knows the station from before
        self._topic = ""  # what the station has subscribed to
        self._down = []  # [packet id, payload, flags] that the station has not acknowledged
        self._packet_id = 0
        self._to_station = []
        self._from_station = b""

    def move(self, link, now_ms):
        """Carry bytes both ways; what the asyncio mover does on a real line."""
        if self._connected and (not self.up or link.wants == _CLOSE):
            self._connected = False
            link.closed("the line is down" if not self.up else link.why, now_ms)
        elif not self._connected and link.wants == _OPEN:
            if self.up:
                self._connected = True
                self._to_station = []
                self._from_station = b""
                link.opened(now_ms)
            else:
                link.closed("the line is down", now_ms)
        if not self._connected:
            return
        out = link.outgoing()
        if out:
            self._from_station += bytes(out)
            link.sent(len(out))
            self._packets()
        while self._to_station and self._connected:
            link.feed(self._to_station.pop(0), now_ms)

    def cut(self):
        """The station has lost its supply: the TCP connection is gone without a word."""
        self._connected = False

    def send(self, message, replayed=False):
        """The backend sends `message`, an OCPP array; `replayed`: as a packet that the broker
        repeats (DUP).
        """
        self._packet_id = self._packet_id % 65535 + 1
        entry = [self._packet_id, json.dumps(message).encode(), 0x3A if replayed else 0x32]
        self._down.append(entry)
        self._publish(entry)

    # --- the broker ---

    def _packets(self):
        data = self._from_station
        at = 0
        while at + 2 <= len(data):
            size = 0
            body = at + 1
            while True:
                size |= (data[body] & 0x7F) << 7 * (body - at - 1)
                body += 1
                if not data[body - 1] & 0x80:
                    break
            if body + size > len(data):
                break
            self._packet(data[at], data[body : body + size])
            at = body + size
        self._from_station = data[at:]

    def _packet(self, kind, body):
        if kind == 0x10:  # CONNECT
            if body[7] & 2:
                self._session = False
                self._down = []
            self._to_station.append(bytes([0x20, 2, 1 if self._session else 0, 0]))
            if self._session:
                for entry in self._down:
                    entry[2] |= 8
                    self._publish(entry)
            self._session = True
        elif kind == 0x82:  # SUBSCRIBE
            n = body[2] << 8 | body[3]
            self._topic = body[4 : 4 + n].decode()
            self._to_station.append(b"\x90\x03" + body[:2] + b"\x01")
        elif kind == 0x40:  # PUBACK
            packet_id = body[0] << 8 | body[1]
            self._down = [entry for entry in self._down if entry[0] != packet_id]
        elif kind == 0xC0:  # PINGREQ
            self._to_station.append(b"\xd0\x00")
        elif kind >> 4 == 3:  # PUBLISH, QoS 1
            n = body[0] << 8 | body[1]
            self._to_station.append(b"\x40\x02" + body[2 + n : 4 + n])
            if body[2 : 2 + n].decode().endswith("/up"):
                self._plant.at(self._plant.now_us + _ANSWER_US, self._answer, body[4 + n :])

    def _publish(self, entry):
        if not self._connected or not self._topic:
            return
        topic = self._topic.encode()
        body = bytes([0, len(topic)]) + topic + bytes([entry[0] >> 8, entry[0] & 255]) + entry[1]
        head = [entry[2]]
        n = len(body)
        while n > 127:
            head.append(n & 127 | 128)
            n >>= 7
        head.append(n)
        self._to_station.append(bytes(head) + body)

    # --- the backend ---

    def _answer(self, payload):
        if not self.up or self.mute:
            return  # the backend's own line to the broker is the same one
        message = json.loads(payload)
        if message[0] != 2:
            return
        message_id, action, request = message[1:]
        if self.refuses:
            self.send([4, message_id, "FormatViolation", "", {}])
            return
        if action == "BootNotification":
            answer = {"currentTime": self._date(), "interval": 300, "status": "Accepted"}
        elif action == "Heartbeat":
            answer = {"currentTime": self._date()}
        elif action == "Authorize":
            answer = {
                "idTokenInfo": {
                    "status": "Accepted" if request["idToken"]["idToken"] == _CARD else "Invalid"
                }
            }
        elif action == "SignCertificate":
            answer = {"status": "Accepted"}  # and the certificate is a step of the scenario
        elif action == "PullDynamicScheduleUpdate":
            answer = {"status": "Rejected"}
        elif action in (
            "FirmwareStatusNotification",
            "LogStatusNotification",
            "ClearedChargingLimit",
            "MeterValues",
            "NotifyChargingLimit",
            "NotifyCustomerInformation",
            "NotifyEvent",
            "NotifyMonitoringReport",
            "NotifyReport",
            "ReportChargingProfiles",
            "StatusNotification",
            "TransactionEvent",
            "ReservationStatusUpdate",
            "SecurityEventNotification",
        ):
            answer = {}
        else:
            self.send([4, message_id, "NotImplemented", "", {}])
            return
        answer.update(self.more.get(action, {}))
        self.send([3, message_id, answer])

    def _date(self):
        if self.date is not None:
            return self.date
        now_s = _EPOCH_S + self.clock_jump_s + self._plant.now_us // 1000000
        return "%04d-%02d-%02dT%02d:%02d:%02dZ" % tuple(time.gmtime(now_s)[:6])
