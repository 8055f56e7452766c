"""Judge a session: run.json's numbers, and a sentence for all that was not as it must be."""

import statistics

OPENINGS = 5
ENERGY_TOLERANCE = 0.01
REGISTER = "Energy.Active.Import.Register"


def meter_wh(event, context):
    """The register in Wh that a TransactionEvent carries in a context such as
    "Transaction.Begin"; None when it has none."""
    for meter_value in event.get("meterValue", ()):
        for sample in meter_value["sampledValue"]:
            if (sample.get("measurand", REGISTER), sample.get("context")) == (REGISTER, context) \
                    and "phase" not in sample:
                unit = sample.get("unitOfMeasure", {})
                factor = {"Wh": 1, "kWh": 1000}[unit.get("unit", "Wh")]
                return sample["value"] * factor * 10 ** unit.get("multiplier", 0)
    return None


def transaction(events):
    """The transaction that TransactionEvents tell: run.json's object and its problems."""
    if not events:
        return ({"id": None, "stopped_reason": None, "energy_wh": None, "events": 0},
                ["no TransactionEvent reached the backend"])
    problems = []
    first, last = events[0], events[-1]
    identities = list(dict.fromkeys(event["transactionInfo"]["transactionId"] for event in events))
    if len(identities) > 1:
        problems.append("the session was split into %d transactions" % len(identities))
    numbers = [event["seqNo"] for event in events]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        problems.append("seqNo has gaps or is out of order: %s" % numbers)
    if first["eventType"] != "Started":
        problems.append("the first TransactionEvent was %s, not Started" % first["eventType"])
    if last["eventType"] != "Ended":
        problems.append("the last TransactionEvent was %s, not Ended" % last["eventType"])
    reason = last["transactionInfo"].get("stoppedReason")
    if reason != "EVDisconnected":
        problems.append("stoppedReason was %s, not EVDisconnected" % reason)
    begin, end = meter_wh(first, "Transaction.Begin"), meter_wh(last, "Transaction.End")
    energy = None
    if begin is None or end is None:
        problems.append("the meter's value at Transaction.Begin or Transaction.End is missing")
    else:
        energy = round(end - begin, 3)
    return {"id": identities[0], "stopped_reason": reason, "energy_wh": energy,
            "events": len(events)}, problems


def report(session, backend, station, broker, duration_s):
    """Returns (run.json's object, list of problems) of a finished session."""
    told, problems = transaction(backend.calls("TransactionEvent", station))
    sent, acked = set(session.sent), session.acked & set(session.sent)
    for identity, code in session.refused.items():
        problems.append("the backend refused a %s (%s): %s"
                        % (session.sent.get(identity, "message"), identity, code))
    silent = sent - acked - set(session.refused)
    if silent:
        problems.append("%d of %d messages were never answered: %s" % (
            len(silent), len(sent), ", ".join(sorted(session.sent[one] for one in silent))))
    if not sent:
        problems.append("the pile sent no message")
    unseen = sent - set(backend.station(station).calls)
    if unseen:
        problems.append("%d messages did not reach the backend" % len(unseen))
    problems += ["invalid message: " + wrong for wrong in backend.invalid]
    plant_wh = session.now["energy_mwh"] / 1000
    energy = told["energy_wh"]
    if plant_wh <= 0:
        problems.append("no energy flowed")
    elif energy is not None and abs(energy - plant_wh) > ENERGY_TOLERANCE * plant_wh:
        problems.append("the transaction has %.3f Wh, the plant delivered %.3f Wh: more than %d %%"
                        " apart" % (energy, plant_wh, ENERGY_TOLERANCE * 100))
    for t_s, code in session.faults:
        problems.append("the pile reported %s at %.2f s%s" % (
            code, t_s, ": this computer held it up; let less run beside it"
            if code == "TickLate" else ""))
    openings = [round(ms, 3) for ms in session.openings_ms]
    if len(openings) < OPENINGS:
        problems.append("the contactor opened after S2 %d times, expected at least %d"
                        % (len(openings), OPENINGS))
    if session.interpreter is None:
        problems.append("the trace does not say which interpreter ran the pile")
    if session.ended is None:
        problems.append("the scenario did not run to its end")
    return {
        "interpreter": session.interpreter,
        "broker": broker,
        "messages": {"sent": len(sent), "acked": len(acked), "invalid": len(backend.invalid)},
        "transaction": told,
        "open_ms": round(statistics.median(openings), 3) if openings else None,
        "duration_s": round(duration_s, 3),
        "openings_ms": openings,
        "plant_energy_wh": round(plant_wh, 3),
    }, problems
