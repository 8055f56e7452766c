"""Random histories of a pile that sells, with everything failing that the ledger stands on: power,
line, backend, date, FRAM, flash, meter, Python itself. Judged by what the backend was told, what
flash has in the end, and the plant.

`python -m tests.host.test_ledger_fuzz FIRST LAST` runs other seeds than the tests do.
"""

import random
import sys

import pytest

from tests.host import told
from tools.host import scenario, warm

CARDS = ("04A1B2C3D4E5F6", "04A1B2C3D4E5F6", "04A1B2C3D4E5F6", "0A0B0C0D")
RUNS = 12
TICK_MS = 20  # stretched: ten times as fast
BUSY_MS = 120000  # then all is well again, and the vehicle leaves
UNTIL_MS = 260000  # a memory that was silent at a boot is asked once a minute
SAMPLE_S = 5
MW = 230 * 32 * 1000
RESOLUTION_MWH = 1500  # of the meter, which guesses what is below while it is read
POINTS = ("Authorized", "EVConnected", "PowerPathClosed", "EnergyTransfer")
STOPS = ("EVConnected,Authorized", "Authorized", "EVConnected", "PowerPathClosed",
         "EnergyTransfer")
# What one misfortune does when it begins and when it ends.
TROUBLES = {
    "link": ({"up": False}, {"up": True}),
    "mute": ({}, {"fault": False}),
    "refuse": ({}, {"fault": False}),
    "date": ({"text": "2026-13-01T00:00:00Z"}, {"text": None}),
    "fram": ({}, {"fault": False}),
    "flash": ({}, {"fault": False}),
    "meter": ({}, {"fault": False}),
    "estop": ({}, {"fault": False}),
    "rcd": ({}, {"fault": False}),
}


def steps_of(rng, kinds):
    """What happens in `BUSY_MS`, with troubles of these `kinds`, and how it ends."""
    steps = []

    def add(at_ms, do, **fields):
        steps.append({"at_ms": round(at_ms), "do": do, **fields})

    def some_ms():
        return rng.uniform(500, BUSY_MS)

    at_ms = 0
    while at_ms < BUSY_MS:  # vehicles come and go
        add(at_ms + 500, "plug", r_ohm=rng.choice((882, 2740)))
        for _ in range(rng.randrange(4)):
            add(at_ms + rng.uniform(0, 20000), "card", uid=rng.choice(CARDS))
        for _ in range(rng.randrange(3)):
            add(at_ms + rng.uniform(5000, 40000), rng.choice(("ready", "ready", "pause")))
        at_ms += rng.uniform(3000, 60000)
        add(at_ms, "unplug")
        at_ms += rng.choice((20, 200, 2000, 5000))
    for kind in kinds:
        if kind == "power":
            for _ in range(rng.randrange(1, 4)):
                add(some_ms(), "power", for_ms=rng.choice((0.5, 20, 300, 2000, 5000)))
        elif kind == "clock":
            add(some_ms(), "clock", jump_s=rng.choice((-7200, -5, 3600, 10 * 366 * 86400)))
            add(some_ms(), "power", for_ms=1000)  # the boot that follows learns of it
        elif kind == "stall":
            add(some_ms(), rng.choice(("stall", "stall_main")), for_ms=rng.choice((50, 400)))
        elif kind == "backend":
            for number in range(rng.randrange(1, 5)):
                add(some_ms(), "backend", message=request(rng, number))
        else:
            begin_ms = some_ms()
            begin, end = TROUBLES[kind]
            add(begin_ms, kind, **begin)
            add(min(begin_ms + rng.choice((100, 3000, 20000, 60000)), BUSY_MS), kind, **end)
    for kind, (_, end) in sorted(TROUBLES.items()):
        add(BUSY_MS + 1000, kind, **end)
    add(BUSY_MS + 2000, "unplug")
    return steps


def request(rng, number):
    """Something that a backend asks for."""
    kind = rng.choice(("start", "stop", "reset", "list"))
    if kind == "start":
        return [2, "q%d" % number, "RequestStartTransaction", {
            "remoteStartId": number, "idToken": {"idToken": "REMOTE", "type": "Central"}}]
    if kind == "stop":
        return [2, "q%d" % number, "RequestStopTransaction",
                {"transactionId": "%s-t%d" % ("SEED", rng.randrange(1, 12))}]
    if kind == "reset":
        return [2, "q%d" % number, "Reset", {"type": rng.choice(("Immediate", "OnIdle"))}]
    return [2, "q%d" % number, "SendLocalList", {
        "versionNumber": number + 1, "updateType": "Full", "localAuthorizationList": [
            {"idToken": {"idToken": "0A0B0C0D", "type": "ISO14443"},
             "idTokenInfo": {"status": "Accepted"}}]}]


def job(seed):
    rng = random.Random(seed)
    every = ["power", "power", "clock", "stall", "backend", *TROUBLES]
    kinds = rng.sample(every, rng.randrange(1, 6))
    steps = steps_of(rng, kinds)
    for step in steps:
        payload = step["message"][3] if step["do"] == "backend" else {}
        if "transactionId" in payload:
            payload["transactionId"] = payload["transactionId"].replace("SEED", "s%db1" % seed)
    checked = scenario.check({
        "until_ms": UNTIL_MS, "seed": seed, "tick_ms": TICK_MS,
        "profile": rng.choice(("rp2040", "esp32")),
        "config": {
            "after_power_cut": rng.choice(("end", "resume")), "sample_interval_s": SAMPLE_S,
            "min_pause_s": 0, "tx_start": rng.choice(POINTS), "tx_stop": rng.choice(STOPS),
            "refusals": 0, "free_vend": int(rng.random() < 0.2), "connection_timeout_s": 20,
            "receipts": int(rng.random() < 0.2), "min_state_s": rng.choice((0, 1)),
        },
        "steps": steps,
    })
    return {"scenario": checked, "cuts": True, "ledger": True,
            "limits": {"max_mwh": 50000} if rng.random() < 0.2 else None,
            "keep": ["uplink", "end", "error", "write", "cut", "outside", "filed", "contactor",
                     "boot"]}


def judge(given, trace):
    """How many transactions there were. Raises AssertionError."""
    troubles = {step["do"] for step in given["scenario"]["steps"]
                if step["at_ms"] <= BUSY_MS} & {*TROUBLES, "power"}
    sold = told.sold_mwh(trace)
    mwh = next(line["energy_mwh"] for line in trace if line["what"] == "end")
    # One interval between durable values a cut, and the meter's age; with FRAM that is silent, the
    # time until that stops what flows, too.
    cuts = sum(line["what"] == "boot" for line in trace) - 1
    lost_s = SAMPLE_S + 1.4 + (8 if "fram" in troubles else 0)
    assert mwh - MW * lost_s * cuts / 3600 - slack(troubles) <= sold, (sold, mwh)
    assert sold <= mwh + 20 + RESOLUTION_MWH * ("meter" in troubles), (sold, mwh)
    assert not told.written_while_closed(trace)
    outside = max([line["ms"] for line in trace if line["what"] == "outside"], default=0)
    assert outside <= (7000 if "fram" in troubles else 600), outside
    errors = [line["problem"] for line in trace if line["what"] == "error"]
    assert not errors or troubles & {"fram", "flash"}, errors
    (filed,) = [line["names"] for line in trace if line["what"] == "filed"]
    names = set(told.transactions(trace))
    assert len(filed) == len(set(filed)) and not set(filed) - names, (filed, names)
    assert troubles & {"fram", "flash"} or set(filed) == names, (filed, names)
    statuses = [line["message"][3]["connectorStatus"] for line in trace
                if line["what"] == "uplink" and line["message"][2] == "StatusNotification"]
    assert statuses[-1] == "Available", statuses
    assert [line["closed"] for line in trace if line["what"] == "contactor"][-1:] != [True]
    return len(names)


def slack(troubles):
    """mWh that may be missing beside what cuts cost."""
    # What the contactor carries before a start that cannot be kept is stopped; what a meter that
    # is silent has not told before the session ends.
    return 20 + MW * (7 * ("fram" in troubles) + 10 * ("meter" in troubles)) // 3600


@pytest.fixture(scope="module")
def jobs():
    return [job(seed) for seed in range(RUNS)]


@pytest.fixture(scope="module")
def traces(jobs):
    return list(warm.run_all(jobs))


@pytest.mark.parametrize("seed", range(RUNS))
def test_any_history_is_told_whole(jobs, traces, seed):
    judge(jobs[seed], traces[seed])


def test_there_was_something_to_tell(jobs, traces):
    assert sum(judge(given, trace) for given, trace in zip(jobs, traces)) >= 2 * RUNS


def test_a_judge_that_is_lied_to_sees_it(jobs, traces):
    given, trace = jobs[0], traces[0]
    # Each message is sent once in this one, so that without its line it was never told.
    events = [i for i, line in enumerate(trace)
              if line["what"] == "uplink" and line["message"][2] == "TransactionEvent"]
    filed = [i for i, line in enumerate(trace) if line["what"] == "filed"]
    t_us = trace[-1]["t_us"]
    lies = [trace[:i] + trace[i + 1:] for i in (events[0], events[1], events[-1])]
    lies += [[*trace, line] for line in (
        {"t_us": t_us, "what": "outside", "ms": 10000},
        {"t_us": t_us, "what": "write", "medium": "flash", "bytes": 1, "closed": True},
        {"t_us": t_us, "what": "contactor", "command": True, "closed": True},
        {"t_us": t_us, "what": "error", "problem": "ValueError()"})]
    lies.append(trace[:filed[0]] + [{**trace[filed[0]], "names": []}] + trace[filed[0] + 1:])
    lies.append([{**line, "energy_mwh": line["energy_mwh"] + 60000} if line["what"] == "end"
                 else line for line in trace])
    judge(given, trace)
    for lie in lies:
        with pytest.raises(AssertionError):
            judge(given, lie)


def main(first, last):
    """Run the seeds from `first` to `last`, and print what each that fails shows."""
    sessions = failed = 0
    with warm.Warm() as process:
        for seed in range(first, last + 1):
            given = job(seed)
            try:
                sessions += judge(given, process.run(given))
            except AssertionError as error:
                failed += 1
                print("seed %d: %s" % (seed, str(error).strip()[:600]), flush=True)
    print("%d histories, %d sessions, %d failed" % (last - first + 1, sessions, failed))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
