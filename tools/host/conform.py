"""Play every requirement of IEC 61851-1 and every protection, and write how the pile did.

Each requirement is measured in virtual time at several random phases, on both profiles, on the
firmware under MicroPython; what it measured lies in out/conformance.html to look at and in
out/conformance.json. A requirement whose scenario cannot be simulated yet is open: it neither
passes nor fails. Exit code 0: none failed.
"""

import json
import random
import sys
from pathlib import Path

from . import conform_page, pile_process, requirements, scenario, warm
from .errors import BadInput

PHASES = 5
SPREAD_MS = 1000  # over which the random phases lie


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.add_argument("only", nargs="*", metavar="ID",
                        help="only the requirements whose ids begin so")
    parser.add_argument("--phases", type=int, default=PHASES, metavar="N",
                        help="random phases each on each profile (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the phases (default: %(default)s)")
    parser.add_argument("--out", default=str(pile_process.REPO / "out"), metavar="DIR",
                        help="where the two files go (default: out)")
    parser.add_argument("--interpreter", choices=pile_process.INTERPRETERS, default="micropython",
                        help="where the firmware runs (default: %(default)s)")


class NotSimulated(Exception):
    """A scenario needs what the simulator does not know yet; says what."""


class Run:
    """One run of a requirement: its job, and afterwards what it measured."""

    def __init__(self, requirement, job):
        self.requirement, self.job = requirement, job
        self.trace = self.problem = None
        self.values = []

    @property
    def profile(self):
        """The profile that it ran on."""
        return self.job["scenario"]["profile"]

    def judge(self, trace):
        """Take the measure of the run's trace."""
        self.trace = trace
        try:
            self.values = self.requirement.measure(trace)
        except requirements.Never as never:
            self.problem = str(never)

    @property
    def passed(self):
        """Whether everything measured keeps the limit."""
        return self.problem is None and all(map(self.requirement.holds, self.values))

    def badness(self):
        """Grows with the distance to what is wanted: the run to show is the one with the most."""
        if self.problem is not None:
            return (2, 0)
        if self.requirement.most is None:
            return (not self.passed, -min(self.values, default=0))
        if any(value < self.requirement.least for value in self.values
               if self.requirement.least is not None):
            return (1, 0)
        return (not self.passed, max(self.values, default=0))


def jobs(requirement, chance, phases=PHASES):
    """The jobs of a requirement's runs; raises NotSimulated."""
    for profile in requirement.profiles:
        for variant in requirement.variants:
            for _ in range(max(min(phases, requirement.phases or phases), requirement.every)):
                shift_ms = 0 if requirement.fixed else round(chance.random() * SPREAD_MS, 3)
                steps = [*requirement.steps, *variant.get("steps", ())]
                given = {
                    "profile": profile, "seed": chance.randrange(1 << 31),
                    "until_ms": requirement.until_ms + shift_ms, "config": requirement.config,
                    **variant,
                    "steps": [dict(one, at_ms=round(one["at_ms"] + shift_ms, 3))
                              for one in steps]}
                try:
                    checked = scenario.check(given)
                except BadInput as wrong:
                    if "not simulated yet" in str(wrong):
                        raise NotSimulated(str(wrong).split(": ", 1)[1].split(" is not ")[0]) \
                            from None
                    raise BadInput("requirement %s: %s" % (requirement.id, wrong)) from None
                yield {"scenario": checked, "watch": requirement.watch}


class Result:
    """How the pile did on one requirement; `open` says what is not simulated yet, else None."""

    def __init__(self, requirement, runs, open=None):
        self.requirement, self.runs, self.open = requirement, runs, open
        self.values = [value for run in runs for value in run.values]
        self.shown = max(runs, key=Run.badness) if runs else None

    @property
    def passed(self):
        """True, False, or None for an open one."""
        return None if self.open else all(run.passed for run in self.runs)

    def span(self, profile=None):
        """(least, most) of what was measured, on one profile or all; (None, None): nothing."""
        values = [value for run in self.runs if profile in (None, run.profile)
                  for value in run.values]
        return (round(min(values), 3), round(max(values), 3)) if values else (None, None)

    def row(self):
        """Its object in conformance.json."""
        least, most = self.span()
        return {"id": self.requirement.id, "clause": self.requirement.clause,
                "limit": self.requirement.limit, "min": least, "max": most,
                "pass": self.passed}


def conform(wanted, phases=PHASES, seed=1, interpreter="micropython", progress=None):
    """Play the requirements; returns a Result for each. `progress(done, of)`: runs so far."""
    plan = []
    for requirement in wanted:
        chance = random.Random("%s %d" % (requirement.id, seed))
        try:
            plan.append((requirement, [Run(requirement, job)
                                       for job in jobs(requirement, chance, phases)], None))
        except NotSimulated as missing:
            plan.append((requirement, [], str(missing)))
    # the longest first, so that no processor waits for one of them at the end
    runs = sorted((run for _, those, _ in plan for run in those),
                  key=lambda run: -run.job["scenario"]["until_ms"])
    finished = 0

    def done():
        nonlocal finished
        finished += 1
        if progress:
            progress(finished, len(runs))

    for run, trace in zip(runs, warm.run_all([run.job for run in runs], interpreter, done=done),
                          strict=True):
        run.judge(trace)
    return [Result(*planned) for planned in plan]


def watch(results, interpreter="micropython"):
    """Play again what is shown of each result, now with the pilot's voltage in the trace."""
    shown = [result.shown for result in results if result.shown]
    again = [dict(run.job, watch=True) for run in shown]
    for run, trace in zip(shown, warm.run_all(again, interpreter), strict=True):
        run.trace = trace


def chosen(prefixes):
    """The requirements whose ids begin with one of the prefixes; all of them for none."""
    found = [one for one in requirements.REQUIREMENTS
             if not prefixes or any(one.id.startswith(prefix) for prefix in prefixes)]
    if not found:
        raise BadInput("expected the beginning of a requirement's id such as 8.1, found %s"
                       % " ".join(prefixes))
    return found


def write(results, directory, told):
    """Write conformance.json and conformance.html; `told`: how it was run, in words."""
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"requirements": [result.row() for result in results]}, indent=1)
        (directory / "conformance.json").write_text(text + "\n", encoding="utf-8")
        page = conform_page.page(results, told)
        (directory / "conformance.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInput("--out: expected a directory that can be written, found %s: %s"
                       % (directory, error.strerror)) from None


def main(args):
    """Run the sub-command; returns the exit code."""
    wanted = chosen(args.only)
    terminal = sys.stderr.isatty()

    def progress(done, of):
        if terminal:
            print("\rconform: %d of %d runs " % (done, of), end="", file=sys.stderr, flush=True)

    results = conform(wanted, args.phases, args.seed, args.interpreter, progress)
    watch(results, args.interpreter)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr)
    runs = sum(len(result.runs) for result in results)
    write(results, args.out, "%d runs in virtual time, %d random phases each on the profiles"
          " rp2040 and esp32; the firmware ran under %s, seed %d"
          % (runs, args.phases, args.interpreter, args.seed))
    failed = [result for result in results if result.passed is False]
    waiting = [result for result in results if result.open]
    for result in failed:
        problem = result.shown.problem or "%g to %g" % result.span()
        print("FAILED %s: %s: expected %s, found %s (profile %s, seed %d)" % (
            result.requirement.id, result.requirement.text, result.requirement.limit, problem,
            result.shown.profile, result.shown.job["scenario"]["seed"]))
    for result in waiting:
        print("open   %s: %s: not simulated yet: %s"
              % (result.requirement.id, result.requirement.text, result.open))
    print("conform: %d requirements pass, %d fail, %d are open; %d runs; see %s" % (
        len(results) - len(failed) - len(waiting), len(failed), len(waiting), runs,
        Path(args.out) / "conformance.html"))
    return 1 if failed else 0


