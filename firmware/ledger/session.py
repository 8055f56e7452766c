"""The transaction of one outlet, told to the backend as OCPP 2.1 TransactionEvents.

It starts when somebody is authorised and ends when the vehicle has left or the authorisation has
ended, whichever is first (TxStartPoint Authorized; TxStopPoint EVConnected, Authorized), always
after the contactor has opened (a welded one: carries nothing any more) and the meter was read
again: no watt-hour is lost.
"""

from array import array

from micropython import const

from firmware.outlet.ac import CHARGING_STATES
from firmware.ticks import diff

STARTED = const(0)
UPDATED = const(1)
ENDED = const(2)
_EVENTS = ("Started", "Updated", "Ended")
_AGE = const(2)  # of a meter's reading, in ms
_MW = const(10)
_NO_MW = const(20000)
_SILENT_MS = const(2000)
_WELDED_MS = const(1000)  # without its drive a contactor opens sooner, or is welded
_CONTEXTS = ("Transaction.Begin", "Sample.Periodic", "Transaction.End")


class Session:
    """`evse_id` from 1. `contactor` tells by its mirror when the metal is open. Times in `config`
    are in seconds.
    """

    def __init__(self, evse_id, outlet, meter, contactor, config, wall, nonce, outbox):
        self.transaction_id = None
        self.token = self.group = None
        self.outlet = outlet
        self._evse = {"id": evse_id, "connectorId": 1}
        self._meter = meter
        self._contactor = contactor
        self._sample_ms = config["sample_interval_s"] * 1000
        self._timeout_ms = config["connection_timeout_s"] * 1000
        self._wall = wall
        self._nonce = nonce
        self._outbox = outbox
        self._count = 0
        self._reading = array("i", [0] * 11)
        self._seq = 0
        self._state = 0
        self._dropped_ms = None  # when the drive pin was seen off, while ending
        self._opened_ms = None  # when the contactor was seen open
        self._ending = None  # (stopped reason, trigger) while the contactor is still to open
        self._now_ms = 0
        self._sampled_ms = 0
        self._unplugged_ms = 0
        self._token_type = ""

    @property
    def free(self):
        """Whether somebody may be authorised here."""
        return self.transaction_id is None

    def start(self, token, token_type, remote_id=None):
        """Begin a transaction for `token`; `remote_id` is the remoteStartId where the backend
        asked for it.
        """
        self._count += 1
        self.transaction_id = "%s-t%d-%d" % (self._nonce, self._evse["id"], self._count)
        self.token = token
        self._token_type = token_type
        self._seq = 0
        self._ending = self._dropped_ms = self._opened_ms = None
        self._sampled_ms = self._unplugged_ms = self._now_ms
        self.outlet.authorise()
        self._state = self.outlet.charging_state
        self._event(
            STARTED, "Authorized" if remote_id is None else "RemoteStart", remote_id=remote_id
        )

    def stop(self, reason, trigger):
        """End the transaction in good order, with OCPP's ReasonEnumType and TriggerReasonEnumType.
        The first reason stays.
        """
        if self.transaction_id is not None and self._ending is None:
            self._ending = (reason, trigger)
            self.outlet.stop()

    def tick(self, now_ms):
        """Take note of what the outlet did; call it after the outlet's tick."""
        self._now_ms = now_ms
        outlet = self.outlet
        if self.transaction_id is None:
            outlet.departed = False
            return
        if outlet.departed:
            outlet.departed = False
            self.stop("EVDisconnected", "EVDeparted")
        if outlet.plugged:
            self._unplugged_ms = now_ms
        elif diff(now_ms, self._unplugged_ms) >= self._timeout_ms:
            self.stop("Timeout", "EVConnectTimeout")
        if self._ending:
            if self._last_reading(now_ms):
                self._state = outlet.charging_state
                self._event(ENDED, self._ending[1], self._ending[0])
                self.transaction_id = self.token = None
            return
        if self._outbox.crowded:
            # The line is gone for long: what can be left out is, so that memory is bounded and
            # seqNo gapless.
            return
        if outlet.charging_state != self._state:
            trigger = "ChargingStateChanged" if self._state else "CablePluggedIn"
            self._state = outlet.charging_state
            self._event(UPDATED, trigger)
        elif diff(now_ms, self._sampled_ms) >= self._sample_ms:
            self._event(UPDATED, "MeterValuePeriodic")

    def _last_reading(self, now_ms):
        # Whether the contactor is open, or welded without current, and the meter was read since; a
        # silent meter is not waited for.
        if self.outlet.energised:
            self._dropped_ms = self._opened_ms = None
            return False
        if self._dropped_ms is None:
            self._dropped_ms = now_ms
        welded = self._contactor.closed()
        if welded:
            # It may never open: once nothing flows any more that is the end, too.
            self._opened_ms = None
            if diff(now_ms, self._dropped_ms) < _WELDED_MS:
                return False
        elif self._opened_ms is None:
            self._opened_ms = now_ms
        open_ms = diff(now_ms, self._dropped_ms if welded else self._opened_ms)
        self._meter.read(self._reading)
        age_ms = self._reading[_AGE]
        # Its power is a mean: what it shows may be what flowed before.
        still = age_ms <= open_ms and self._reading[_MW] < _NO_MW
        return still or open_ms >= _SILENT_MS and (not welded or age_ms > _SILENT_MS)

    def _event(self, kind, trigger, reason=None, remote_id=None):
        reading = None
        if kind != UPDATED or trigger == "MeterValuePeriodic":
            self._meter.read(self._reading)
            reading = tuple(self._reading)
            self._sampled_ms = self._now_ms
        # What happened, as small as it can be kept; _payload makes a message of it when it is
        # sent.
        group = self.transaction_id
        token = (self.token, self._token_type) if kind == STARTED else None
        uptime_ms = self._wall.uptime_ms
        event = (group, self._seq, kind, trigger, uptime_ms, self._state, reason, remote_id, token,
                 reading)
        self._seq += 1
        on_result = self._answered if token else None
        self._outbox.add("TransactionEvent", self._payload, event, on_result, group)

    def _answered(self, result):
        info = result.get("idTokenInfo") if result else None
        status = info.get("status") if isinstance(info, dict) else None
        if isinstance(status, str) and status != "Accepted":
            self.stop("DeAuthorized", "Deauthorized")

    def _payload(self, event):
        (transaction_id, seq, kind, trigger, uptime_ms, state, reason, remote_id, token,
         reading) = event
        time = self._wall.text(uptime_ms)
        info = {"transactionId": transaction_id, "chargingState": CHARGING_STATES[state]}
        if reason:
            info["stoppedReason"] = reason
        if remote_id is not None:
            info["remoteStartId"] = remote_id
        payload = {
            "eventType": _EVENTS[kind],
            "timestamp": time,
            "triggerReason": trigger,
            "seqNo": seq,
            "transactionInfo": info,
            "evse": self._evse,
        }
        if token:
            payload["idToken"] = {"idToken": token[0], "type": token[1]}
        if reading:
            wh, mwh, _, _, *phases = reading
            samples = _samples(kind, wh, mwh, phases)
            payload["meterValue"] = [{"timestamp": time, "sampledValue": samples}]
        return payload


def _samples(kind, wh, mwh, phases):
    """`phases`: mV of L1 to L3, then mA; those of a phase that is not there are 0."""
    samples = [_sample(kind, "Energy.Active.Import.Register", (wh, mwh), "Wh")]
    count = 3 if phases[1] or phases[2] else 1
    for measurand, unit, first in (("Current.Import", "A", 3), ("Voltage", "V", 0)):
        for i in range(count):
            sample = _sample(kind, measurand, divmod(phases[first + i], 1000), unit)
            if count > 1:
                sample["phase"] = "L%d" % (i + 1)
            samples.append(sample)
    return samples


def _sample(kind, measurand, value, unit):
    return {
        "context": _CONTEXTS[kind],
        "measurand": measurand,
        "unitOfMeasure": {"unit": unit},
        "value": value,
    }
