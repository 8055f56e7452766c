"""How fast the contactor's command falls after each cause, over thousands of random phases."""

import json
import random
import statistics

from tools.host import scenario, warm
from tools.host.errors import BadInput, Failed

BAR_MS = {"rp2040": 6, "esp32": 30}
# cause: the step that is it
CAUSES = {
    "c_to_b": {"do": "pause"},
    "unplug": {"do": "unplug"},
    "diode": {"do": "diode", "ok": False},
    "cp_short": {"do": "cp_short"},
    "rcd": {"do": "rcd"},
    "adc_freeze": {"do": "adc_freeze"},
}
TRIALS = 1000
AIMED = 250
_CARD = "04A1B2C3D4E5F6"
_AFTER_MS = 100
# The residual current's sensor is not listened to in the first second after switching.
_SETTLED_MS = {"rcd": 1100}
# What a wrong sample may read: each letter's plateau, both signs.
_WRONG_MV = (12000, 9000, 6000, 3000, 0, -12000)


def trial(cause, profile, random, charged_ms, aimed):
    """A scenario of one trial: a vehicle that charges since `charged_ms` or so, and the cause at a
    random phase of pilot, tick and main loop.

    One sample a second is wrong; `aimed`: one of them within 10 ms around the cause, which chance
    would give in one of a hundred trials.
    """
    at_ms = round(charged_ms + _SETTLED_MS.get(cause, 300) + random.random() * 500, 3)
    noise = {"do": "noise", "outliers_per_s": 1, "mv": random.choice(_WRONG_MV)}
    steps = [
        {"at_ms": 0, "do": "plug", "r_ohm": 882},
        {"at_ms": 300, "do": "card", "uid": _CARD},
        dict(noise, at_ms=0),
        dict(CAUSES[cause], at_ms=at_ms),
    ]
    if aimed:
        # At 20 a second the next comes 50 ms later; then once a second again.
        wrong_ms = round(at_ms + random.uniform(-5, 5), 3)
        steps.append(dict(noise, at_ms=wrong_ms - 50, outliers_per_s=20))
        steps.append(dict(noise, at_ms=wrong_ms + 12))
    return scenario.check(
        {
            "until_ms": at_ms + _AFTER_MS,
            "profile": profile,
            "seed": random.randrange(1 << 31),
            "config": {"sample_interval_s": 1},
            "steps": steps,
        }
    )


def charged_ms():
    """Virtual ms from boot to a closed contactor, by trying; the self-tests at boot included."""
    took = 0
    for profile in BAR_MS:
        steps = [
            {"at_ms": 0, "do": "plug", "r_ohm": 882},
            {"at_ms": 300, "do": "card", "uid": _CARD},
        ]
        job = {
            "scenario": scenario.check({"until_ms": 30000, "profile": profile, "steps": steps}),
            "keep": ["contactor"],
        }
        (trace,) = warm.run_all([job])
        closed = [line["t_us"] for line in trace if line["closed"]]
        if not closed:
            raise Failed("the vehicle that boots with the pile never charges within 30 s")
        took = max(took, closed[0] // 1000)
    return took


def took_ms(trace, cause):
    """From the cause to the command's fall; raises Failed when it does not fall by that."""
    (event_us,) = [line["t_us"] for line in trace if line["what"] == "step"
                   and line["step"]["do"] == CAUSES[cause]["do"]]
    commands = [line for line in trace if line["what"] == "contactor"]
    before = [line for line in commands if line["t_us"] < event_us]
    fell = [line["t_us"] for line in commands
            if line["t_us"] >= event_us and not line["command"]]
    if not before or not before[-1]["closed"] or len(before) != 2 or not fell:
        raise Failed("expected a charging vehicle and then an opening, found %s" % commands)
    return (fell[0] - event_us) / 1000


def measure(trials=TRIALS, aimed=AIMED, seed=1):
    """{cause: {profile: {"p50", "worst", "n"}}} in ms; a cause that cannot be simulated yet is
    left out.
    """
    chance = random.Random(seed)
    began_ms = charged_ms()
    jobs, whose = [], []
    for cause in CAUSES:
        for profile in BAR_MS:
            for i in range(trials + aimed):
                try:
                    made = trial(cause, profile, chance, began_ms, i >= trials)
                except BadInput as wrong:
                    if "not simulated yet" not in str(wrong):
                        raise
                    break
                jobs.append({"scenario": made, "keep": ["step", "contactor"]})
                whose.append((cause, profile))
    times = {}
    for (cause, profile), job, trace in zip(whose, jobs, warm.run_all(jobs), strict=True):
        try:
            times.setdefault((cause, profile), []).append(took_ms(trace, cause))
        except Failed as failure:
            raise Failed("%s on %s: %s in %s" % (cause, profile, failure,
                                                 json.dumps(job["scenario"]))) from None
    found = {}
    for (cause, profile), all_ms in times.items():
        found.setdefault(cause, {})[profile] = {
            "p50": round(statistics.median(all_ms), 2), "worst": round(max(all_ms), 2),
            "n": len(all_ms)}
    return found


def misses(found):
    """What `measure` found or left out that misses a bar, in words."""
    for cause in CAUSES:
        for profile, bar_ms in BAR_MS.items():
            cell = found.get(cause, {}).get(profile)
            if cell is None:
                yield "open_ms.%s.%s: not simulated yet" % (cause, profile)
            elif cell["worst"] > bar_ms:
                yield ("open_ms.%s.%s: the worst is %.2f ms, the bar %d ms"
                       % (cause, profile, cell["worst"], bar_ms))
