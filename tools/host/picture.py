"""Draw a session as a picture: pilot, duty, contactor, current and energy over time."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from .session import STEPS

INK, QUIET, GRID = "#22303c", "#6b7a88", "#e3e8ec"
BLUE, GREEN, ORANGE, PURPLE = "#2f6fb0", "#3a9a5f", "#d9822b", "#7a5aa6"
BANDS = {"A": "#e6e9ec", "B": "#f6e3ae", "C": "#bfe3c8", "D": "#bfe0e8", "E": "#efb8b3",
         "F": "#efb8b3"}
WORDS = {"A": "no vehicle", "B": "connected", "C": "wants energy", "D": "with ventilation",
         "E": "pilot shorted", "F": "not available"}
# IEC 61851-1 table A.2: the pilot's plateau in each state
PLATEAUS = ((12, "A"), (9, "B"), (6, "C"))


def spans(changes, end_s):
    """(begin, end, value) of each stretch of a list of (t_s, value)."""
    ends = [t_s for t_s, _ in changes[1:]] + [end_s]
    return [(begin, end, value) for (begin, value), end in zip(changes, ends, strict=True)]


def letters(session, end_s):
    """The stretches of one state letter: C1 and C2 are one band."""
    merged = [(0.0, "A")]
    for t_s, state in session.states:
        if state[0] != merged[-1][1]:
            merged.append((t_s, state[0]))
    return spans(merged, end_s)


def draw(session, result, path):
    """Write the picture of a finished session; `result` is run.json's object."""
    plt.rcParams.update({
        "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": "#b8c2cc", "xtick.color": QUIET, "ytick.color": QUIET,
        "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False})
    plant = session.plant
    end_s = plant[-1]["t_s"]
    times = [line["t_s"] for line in plant]

    figure, axes = plt.subplots(
        6, 1, sharex=True, figsize=(12, 9), dpi=150,
        gridspec_kw={"height_ratios": [0.55, 2.2, 1.1, 0.45, 2.0, 1.4], "hspace": 0.16,
                     "left": 0.1, "right": 0.872, "top": 0.845, "bottom": 0.065})
    states, pilot, duty, contactor, current, energy = axes

    def series(name, scale):
        return [line[name] / scale for line in plant]

    for begin, end, letter in letters(session, end_s):
        states.axvspan(begin, end, color=BANDS[letter], lw=0)
        if end - begin > 0.6:
            wide = end - begin > 0.12 * end_s
            states.text((begin + end) / 2, 0.5, letter + ("   " + WORDS[letter] if wide else ""),
                        ha="center", va="center", weight="bold")
    states.set_ylim(0, 1)
    states.set_yticks([])
    label(states, "State")

    for volt, letter in PLATEAUS:
        pilot.axhline(volt, color=GRID, lw=0.9, zorder=0)
        pilot.annotate("%s  %s" % (letter, WORDS[letter]), (1.012, volt), color=QUIET,
                       xycoords=("axes fraction", "data"), va="center", fontsize=9)
    high, low = series("pilot_high_mv", 1000), series("pilot_low_mv", 1000)
    pilot.fill_between(times, low, high, step="post", color=BLUE, alpha=0.10, lw=0)
    pilot.step(times, high, where="post", color=BLUE, lw=1.8, label="high plateau")
    pilot.step(times, low, where="post", color=PURPLE, lw=1.3, label="low plateau")
    pilot.set_ylim(-14, 14)
    pilot.set_yticks([-12, 0, 6, 9, 12])
    label(pilot, "Pilot\nV")
    legend(pilot, 0.22)

    duty.step(times, series("permille", 10), where="post", color=PURPLE, lw=1.8)
    duty.set_ylim(0, 108)
    duty.set_yticks([0, 50, 100])
    duty.grid(axis="y", color=GRID, lw=0.8)
    label(duty, "Duty\n%")

    for begin, end, closed in spans([(0.0, False), *session.closed], end_s):
        contactor.axvspan(begin, end, color=GREEN if closed else "#eef1f3", lw=0)
        if end - begin > 2.2:
            contactor.text((begin + end) / 2, 0.5, "closed" if closed else "open", ha="center",
                           va="center", fontsize=9, color="white" if closed else QUIET)
    contactor.set_ylim(0, 1)
    contactor.set_yticks([])
    label(contactor, "Contactor")

    drawn = series("current_ma", 1000)
    current.step(times, series("offered_ma", 1000), where="post", color=BLUE, lw=1.6,
                 label="offered")
    current.fill_between(times, drawn, color=GREEN, alpha=0.22, lw=0)
    current.plot(times, drawn, color=GREEN, lw=1.8, label="drawn")
    current.set_ylim(0, max(36, 1.12 * max(line["offered_ma"] for line in plant) / 1000))
    current.set_yticks([0, 6, 16, 32])
    current.grid(axis="y", color=GRID, lw=0.8)
    label(current, "Current\nA")
    legend(current, 0.5)

    total = series("energy_mwh", 1000)
    energy.plot(times, total, color=ORANGE, lw=2)
    energy.fill_between(times, total, color=ORANGE, alpha=0.12, lw=0)
    energy.set_ylim(0, 1.25 * max(total) or 1)
    energy.grid(axis="y", color=GRID, lw=0.8)
    energy.annotate("%.1f Wh" % total[-1], (end_s, total[-1]), xytext=(-4, 5), ha="right",
                    textcoords="offset points", weight="bold", color=ORANGE)
    label(energy, "Energy\nWh")
    energy.set_xlabel("time since the pile's start, s", color=QUIET)
    energy.set_xlim(0, end_s)

    for axis in axes:
        axis.tick_params(length=0)
        if axis is not energy:
            axis.spines["bottom"].set_visible(False)
    annotate_steps(session, axes)
    title(figure, session, result)
    figure.savefig(path)
    plt.close(figure)


def label(axis, text):
    """A horizontal label, right-aligned in one column for all axes."""
    axis.set_ylabel(text, rotation=0, ha="right", va="center", linespacing=1.4)
    axis.yaxis.set_label_coords(-0.045, 0.5)


def legend(axis, height):
    """The lines' names, right of the axis at a height of 0 to 1."""
    axis.legend(loc="center left", bbox_to_anchor=(1.0, height), frameon=False, fontsize=9,
                handlelength=1.2, borderaxespad=0.2, labelcolor=QUIET)


def annotate_steps(session, axes):
    """A thin line through all axes at each step, with its name above."""
    for t_s, step in session.steps:
        for axis in axes[1:]:
            axis.axvline(t_s, color="#9aa7b3", lw=0.7, ls=(0, (2, 3)), zorder=0.5)
        axes[0].annotate(STEPS.get(step["do"], step["do"]), (t_s, 1), xytext=(1, 4),
                         textcoords="offset points", rotation=45, ha="left", va="bottom",
                         fontsize=9, color=QUIET, annotation_clip=False)


def title(figure, session, result):
    """What the picture shows, and the session's numbers."""
    interpreter, messages = session.interpreter, result["messages"]
    told = result["transaction"]
    figure.text(0.1, 0.965, "A charging session on Voltpile's virtual AC pile", fontsize=16,
                weight="bold", va="center")
    facts = []
    if interpreter:
        facts.append("%(name)s %(version)s, %(platform)s" % interpreter)
    if result["open_ms"] is not None:
        facts.append("contactor opens %.1f ms after S2 (median of %d)"
                     % (result["open_ms"], len(result["openings_ms"])))
    facts.append("%d of %d messages answered" % (messages["acked"], messages["sent"]))
    if told["stopped_reason"]:
        facts.append("stopped: " + told["stopped_reason"])
    figure.text(0.1, 0.934, "   ·   ".join(facts), fontsize=10, color=QUIET, va="center")
