"""Why no more may flow, in words; imported only when somebody asks, see firmware.borrow."""

from firmware.energy.limits import BOARD, NO_LIMIT_MA

SOURCES = (
    "board",
    "cable",
    "temperature",
    "schedule",
    "site",
    "backend",
    "mains",
    "pilot",
    "rest",
    "line",
)


def explain(limits):
    """What binds among the `limits` of an outlet, the tightest first: {source, max_ma, reason,
    age_s}, the last for how many seconds it has been what it is.
    """
    bounds = [
        {
            "source": SOURCES[i],
            "max_ma": limits.max_ma[i],
            "reason": limits.reasons[i],
            "age_s": limits.s - limits.since_s[i],
        }
        for i in range(len(SOURCES))
        if limits.reasons[i] and (i == BOARD or limits.max_ma[i] < NO_LIMIT_MA)
    ]
    # By source where equal: MicroPython's sort is not stable.
    bounds.sort(key=lambda bound: (bound["max_ma"], SOURCES.index(bound["source"])))
    return bounds
