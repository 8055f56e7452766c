"""What a backend can judge of a trace by what it was told: transactions, their numbers and their
energies.
"""


def transactions(trace):
    """The events of each transaction by its id, in the order of their numbers; each message once,
    and the same whenever it was sent.
    """
    texts, found = {}, {}
    for line in trace:
        if line["what"] != "uplink" or line["message"][0] != 2:
            continue
        _, message_id, action, payload = line["message"]
        if action != "TransactionEvent":
            continue
        if message_id in texts:
            assert texts[message_id] == payload
            continue
        texts[message_id] = payload
        found.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload)
    return {name: sorted(events, key=lambda event: event["seqNo"])
            for name, events in found.items()}


def values(events):
    """The register in mWh, as often as it was told."""
    return [event["meterValue"][0]["sampledValue"][0]["value"] * 1000 for event in events
            if "meterValue" in event]


def sold_mwh(trace):
    """What the transactions of the one outlet have taken in all. Each must have one Started first,
    one Ended last, every number between, and energies that never fall, nor from one to the next.
    """
    sold = last = 0
    for events in transactions(trace).values():
        kinds = [event["eventType"] for event in events]
        assert kinds == ["Started"] + ["Updated"] * (len(kinds) - 2) + ["Ended"], kinds
        assert [event["seqNo"] for event in events] == list(range(len(events)))
        register = values(events)
        assert register == sorted(register) and register[0] >= last, (last, register)
        last = register[-1]
        sold += register[-1] - register[0]
    return sold


def written_while_closed(trace):
    """The writes to flash that must not be."""
    return [line for line in trace
            if line["what"] == "write" and line["medium"] == "flash" and line["closed"]]
