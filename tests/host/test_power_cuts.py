"""A hundred power cuts at random moments of whole `sim` sessions: nothing is lost or doubled."""

import random

import pytest

from tools.host import scenario, warm

CARD = "04A1B2C3D4E5F6"
RUNS, CUTS = 25, 4
UNTIL_MS = 60000
SAMPLE_S = 5
# 230 V, 32 A, an interval between two durable values; the meter is read 0.4 s late at most, and
# looked at once a second.
PER_CUT_MWH = 230 * 32 * (SAMPLE_S + 1.4) / 3.6


def job(seed):
    """Sessions of one outlet with cuts in them, at the end the vehicle leaves."""
    rng = random.Random(seed)
    steps = [{"at_ms": 500, "do": "plug", "r_ohm": 882},
             {"at_ms": 1500, "do": "card", "uid": CARD}]
    cuts = sorted(rng.uniform(1500, UNTIL_MS - 15000) for _ in range(CUTS))
    for at_ms in cuts:
        for_ms = rng.choice((0.5, 20, 300, 2000, 5000))
        steps.append({"at_ms": at_ms, "do": "power", "for_ms": for_ms})
        # whoever stands there tries again
        again_ms = min(at_ms + for_ms + rng.uniform(500, 3000), UNTIL_MS - 15000)
        steps.append({"at_ms": again_ms, "do": "card", "uid": CARD})
    for _ in range(4):
        do = rng.choice(("pause", "ready", "link", "link", "card"))
        step = {"at_ms": rng.uniform(2000, UNTIL_MS - 15000), "do": do}
        if do == "link":
            step["up"] = rng.random() < 0.5
        if do == "card":
            step["uid"] = CARD
        steps.append(step)
    steps.append({"at_ms": UNTIL_MS - 12000, "do": "link", "up": True})
    steps.append({"at_ms": UNTIL_MS - 11000, "do": "unplug"})
    checked = scenario.check({
        "until_ms": UNTIL_MS, "seed": seed, "profile": rng.choice(("rp2040", "esp32")),
        "config": {
            "after_power_cut": rng.choice(("end", "resume")), "sample_interval_s": SAMPLE_S,
            "min_pause_s": 0, "tx_start": rng.choice(("Authorized", "EVConnected",
                                                      "PowerPathClosed", "EnergyTransfer")),
            "refusals": 0,
        },
        "steps": steps,
    })
    return {"scenario": checked, "keep": ["uplink", "end", "error", "write", "boot", "contactor"]}


@pytest.fixture(scope="module")
def traces():
    return list(warm.run_all([job(seed) for seed in range(RUNS)]))


def transactions(trace):
    """The events of each transaction, in the order of their numbers; each message once, and the
    same whenever it was sent.
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
    return [sorted(events, key=lambda event: event["seqNo"]) for events in found.values()]


def values(events):
    return [event["meterValue"][0]["sampledValue"][0]["value"] * 1000 for event in events
            if "meterValue" in event]


@pytest.mark.parametrize("seed", range(RUNS))
def test_nothing_is_lost_or_doubled(traces, seed):
    trace = traces[seed]
    assert not [line for line in trace if line["what"] == "error"]
    boots = [line for line in trace if line["what"] == "boot"]
    told = transactions(trace)
    sold = 0
    last = 0
    assert told
    for events in told:
        kinds = [event["eventType"] for event in events]
        assert kinds == ["Started"] + ["Updated"] * (len(kinds) - 2) + ["Ended"]
        assert [event["seqNo"] for event in events] == list(range(len(events)))
        register = values(events)
        assert register == sorted(register) and register[0] >= last
        last = register[-1]
        sold += register[-1] - register[0]
    mwh = next(line["energy_mwh"] for line in trace if line["what"] == "end")
    assert mwh - PER_CUT_MWH * (len(boots) - 1) <= sold <= mwh + 20
    assert not [line for line in trace
                if line["what"] == "write" and line["medium"] == "flash" and line["closed"]]


def test_cuts_came_while_energy_flowed(traces):
    boots = sum(line["what"] == "boot" for trace in traces for line in trace) - RUNS
    assert boots >= 0.8 * RUNS * CUTS  # some come while it is dark
    reasons = [event["transactionInfo"].get("stoppedReason") for trace in traces
               for events in transactions(trace) for event in events]
    triggers = [event["triggerReason"] for trace in traces
                for events in transactions(trace) for event in events]
    assert reasons.count("PowerLoss") >= 10 and triggers.count("TxResumed") >= 10
