"""A stand-in for the pile's process, so that the host's tools can be tested without the firmware.

It reads board.json and config.json in its working directory, follows the scenario in real time,
and writes and sends what a pile would. FAKE_FLAW names one thing that it then does wrong.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tools.host.backend import now
from tools.host.mqtt import Client

FLAW = os.environ.get("FAKE_FLAW", "")
OFFER_MA, MAINS_V = 32000, 230
LEVELS = {None: (12000, "A"), 2740: (9000, "B"), 882: (6000, "C")}


class FakePile:
    """The virtual pile reduced to what the tools see of it."""

    def __init__(self):
        self.board = json.loads(Path("board.json").read_text())
        self.config = json.loads(Path("config.json").read_text())
        self.scenario = json.loads(Path(self.board["scenario"]).read_text())
        self.out = open(self.board["trace"], "w", buffering=1)
        self.begun = time.monotonic()
        self.r_ohm, self.closed, self.energy_mwh, self.authorised = None, False, 0.0, False
        self.seq, self.count, self.state = 0, 0, "A1"

    def trace(self, what, **fields):
        t_us = int((time.monotonic() - self.begun) * 1e6)
        self.out.write(json.dumps({"t_us": t_us, "what": what, **fields}) + "\n")

    async def main(self):
        host, port = self.config["broker"].rsplit(":", 1)
        name = self.config["station_id"]
        self.topic = "%s/%s/" % (self.config["root"], name)
        self.trace("interpreter", name="fake", version="1.2.3", platform=sys.platform)
        self.client = Client(host, int(port), name, [self.topic + "down"], self.arrived)
        await self.client.start()
        self.client.publish(self.topic + "state", b'{"online": true}', retain=True)
        self.trace("line", up=True, why="")
        self.call("BootNotification", {"reason": "PowerUp", "chargingStation": {
            "model": "fake", "vendorName": "Voltpile"}})
        ticker = asyncio.create_task(self.tick())
        for step in self.scenario["steps"]:
            await asyncio.sleep(max(0, self.begun + step["at_ms"] / 1000 - time.monotonic()))
            self.trace("step", **step)
            self.step(step)
        await asyncio.sleep(
            max(0, self.begun + self.scenario["until_ms"] / 1000 - time.monotonic()))
        ticker.cancel()
        await self.client.stop()
        self.trace("end", energy_mwh=int(self.energy_mwh))

    def step(self, step):
        do = step["do"]
        if do == "card":
            self.authorised = True
            self.call("Authorize", {"idToken": {"idToken": step["uid"], "type": "ISO14443"}})
            self.event("Started", "Authorized", "Transaction.Begin")
            self.trace("limit", offered_ma=OFFER_MA, reasons=[])
            self.trace("duty", permille=533)
            self.show()
            return
        self.r_ohm = {"plug": 2740, "ready": 882, "pause": 2740, "unplug": None}[do]
        self.trace("vehicle", r_ohm=self.r_ohm)
        if do == "unplug" and FLAW == "late":
            self.trace("fault", code="TickLate", latched=False)
        if do == "unplug":
            self.event("Ended", "EVCommunicationLost", "Transaction.End", "EVDisconnected")
            self.authorised = False
            self.trace("duty", permille=1000)
        self.show()
        asyncio.get_running_loop().call_later(0.01, self.switch)

    def show(self):
        state = LEVELS[self.r_ohm][1] + "12"[self.authorised]
        if state != self.state:
            self.state = state
            self.trace("state", value=state)

    def switch(self):
        wanted = self.r_ohm == 882
        if wanted != self.closed:
            self.trace("contactor", command=wanted, closed=self.closed)
            self.trace("contactor", command=wanted, closed=wanted)
            self.closed = wanted

    async def tick(self):
        while True:
            for _ in range(10):
                await asyncio.sleep(0.1)
                current_ma = OFFER_MA if self.closed else 0
                self.energy_mwh += current_ma * MAINS_V / 36000
                self.trace(
                    "plant", pilot_high_mv=LEVELS[self.r_ohm][0],
                    pilot_low_mv=-12000 if self.authorised else LEVELS[self.r_ohm][0],
                    permille=533 if self.authorised else 1000,
                    offered_ma=OFFER_MA if self.authorised else 0, current_ma=current_ma,
                    energy_mwh=int(self.energy_mwh), state=self.state, closed=self.closed)
            if self.authorised:
                self.event("Updated", "MeterValuePeriodic", "Sample.Periodic")

    def event(self, kind, trigger, context, reason=None):
        if FLAW == "gap" and kind == "Ended":
            self.seq += 1
        energy = self.energy_mwh / 1000 * (1.05 if FLAW == "energy" else 1)
        info = {"transactionId": "tx-1"}
        if reason:
            info["stoppedReason"] = "Local" if FLAW == "reason" else reason
        payload = {
            "eventType": kind, "timestamp": now(), "triggerReason": trigger, "seqNo": self.seq,
            "transactionInfo": info, "evse": {"id": 1},
            "meterValue": [{"timestamp": now(), "sampledValue": [
                {"value": energy, "context": context, "unitOfMeasure": {"unit": "Wh"}}]}]}
        if FLAW == "schema" and kind == "Ended":
            payload["timestamp"] = "yesterday"
        self.seq += 1
        self.call("TransactionEvent", payload)

    def call(self, action, payload):
        self.count += 1
        message = [2, "m%d" % self.count, action, payload]
        self.trace("uplink", message=message, dup=False)
        if FLAW != "lost" or self.count != 3:
            self.client.publish(self.topic + "up", json.dumps(message).encode())

    def arrived(self, _topic, payload, _retain, _dup):
        message = json.loads(payload)
        self.trace("result", id=message[1], error=message[2] if message[0] == 4 else None)


if FLAW == "crash":
    sys.exit("fake pile: it broke")
asyncio.run(FakePile().main())
