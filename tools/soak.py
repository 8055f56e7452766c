"""Hold for virtual days what must never happen: wrong samples and stalls that move nothing, bus
answers that lie.

    soak.py [--short] [--hours H] [--seed N] [NAME ...]

Names: noise-A, noise-B, noise-C (24 virtual hours with one wrong sample a second, on each profile:
no transition), nuisance (10 virtual hours of charging with what each profile's stalls give: no
opening), buses (each driver of hal/chips with 100,000 fuzzed answers: no exception, nothing
implausible that is fresh, no read too long) and cuts (10,000 power cuts at writes of the ledger to
FRAM and flash for each tests/unit/test_*_cuts.py: nothing lost), days (30 virtual days of
sessions and outages, see tools/days.py: every kWh told), offline (a day of which all but the first
session is without a line, see there, too) and fuzz (1,000,000 messages and packets on the
backend's line, see tools/host/fuzz.py: what is invalid changes nothing); and after all others, on
the clock of the wall, chaos (1,000 faults between piles and their brokers, see tools/chaos.py:
every message of every transaction comes, in order; it needs mosquitto). Exit code 0: all of it
held.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import chaos
from tools.host import fuzz, pile_process, scenario, warm

CARD = "04A1B2C3D4E5F6"
# A vehicle that stays in B2 is woken once, early here: that is over when the watch begins.
CONFIG = {"wake_after_s": 30}
BEGIN_MS = 45000
SHORT_MS = 60000
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
WRONG_MV = (12000, 9000, 6000, 3000, 0, -12000)
TURN_MS = 10 * 60000  # then the wrong samples read another of these
MOVES = ("state", "contactor", "fault", "clear", "duty", "error")
PROFILES = ("rp2040", "esp32")

TO_B = [{"at_ms": 1000, "do": "plug"}, {"at_ms": 2000, "do": "card", "uid": CARD}]
TO_C = [*TO_B, {"at_ms": 5000, "do": "ready"}]
# name: (hours, steps to where it shall stay, the last state on the way, wrong samples?)
SOAKS = {
    "noise-A": (24, [], "A1", True),
    "noise-B": (24, TO_B, "B2", True),
    "noise-C": (24, TO_C, "C2", True),
    "nuisance": (10, TO_C, "C2", False),
}
ANSWERS = 100000  # fuzzed, per driver
SHORT_ANSWERS = 1000
TURN_ANSWERS = 5000  # under one seed
ANSWER_MS = 300  # of a day's soak, about the same work
CUTS = 10000  # at least, per file
SHORT_CUTS = 300
TURN_CUTS = 1000  # under one seed
CUT_MS = 700  # as ANSWER_MS
DAYS = (30, 1)  # and their seed
DAY_WORK_MS = 4 * HOUR_MS  # as ANSWER_MS
CASES = 1000000
SHORT_CASES = 1000
TURN_CASES = 10000  # under one seed
CASE_MS = 400  # as ANSWER_MS
SHORT_DAYS = (2, 1, HOUR_MS, 2)  # of an hour, with two sessions each
OFFLINE = (1,)  # its seed
SHORT_OFFLINE = (1, HOUR_MS, 3, False)  # an hour with three sessions and no power cut
SHORT_CHAOS = (24, 3)  # faults, piles


def job(name, profile, for_ms, seed=1):
    """What the soak `name` plays on `profile`, for so many virtual ms."""
    _, steps, _, noisy = SOAKS[name]
    steps = list(steps)
    if noisy:
        turn_ms = min(TURN_MS, for_ms // len(WRONG_MV))
        steps += [
            {"at_ms": at_ms, "do": "noise", "outliers_per_s": 1,
             "mv": WRONG_MV[i % len(WRONG_MV)]}
            for i, at_ms in enumerate(range(BEGIN_MS, BEGIN_MS + for_ms, turn_ms))
        ]
    given = {"until_ms": BEGIN_MS + for_ms, "profile": profile, "seed": seed, "steps": steps,
             "config": CONFIG}
    return {"scenario": scenario.check(given), "keep": MOVES,
            "progress_ms": 60000}


def fuzzers():
    """The drivers' tests that can be told how many answers, as {file's name without test_: names
    of its functions}: `fuzz(n, seed)`, or else `test_fuzz...(n=3000, seed=1)`.
    """
    found = {}
    for path in sorted((pile_process.REPO / "tests" / "unit").glob("test_*.py")):
        names = re.findall(r"^def (fuzz\w*|test_fuzz\w*)\(n(?:=\d+)?, seed", path.read_text(),
                           re.MULTILINE)
        if "fuzz" in names:
            names = ["fuzz"]
        if names:
            found[path.stem[len("test_"):]] = names
    return found


def fuzzed(name, answers, progress=None):
    """Fuzz the driver `name` with that many answers, shared among its fuzzers; what went wrong, in
    words, or None. `progress(answers)` hears how many are through.
    """
    argv, env = pile_process.command("micropython")
    functions = fuzzers()[name]
    seed = done = 0
    while done < answers:
        function = functions[seed % len(functions)]
        n = min(TURN_ANSWERS, answers // len(functions) or 1)
        seed += 1
        program = "import tests.unit.test_%s as test; test.%s(%d, %d)" % (name, function, n, seed)
        ran = subprocess.run(
            [*argv[:-1], program], cwd=pile_process.REPO, env=env, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if ran.returncode:
            return "%s(%d, %d): %s" % (function, n, seed, ran.stdout.strip()[-500:])
        done += n
        if progress:
            progress(done)
    return None


def cutters():
    """The files with power cuts, without test_, that have `cut(n, seed)`: it tries about so many
    and ends with a line "N cuts tried, 0 lost".
    """
    folder = pile_process.REPO / "tests" / "unit"
    return [path.stem[len("test_"):] for path in sorted(folder.glob("test_*_cuts.py"))
            if "\ndef cut(n, seed" in path.read_text()]


def cut(name, cuts, progress=None):
    """Cut the power at least so often; what went wrong, in words, or None."""
    argv, env = pile_process.command("micropython")
    seed = done = 0
    while done < cuts:
        seed += 1
        program = "import tests.unit.test_%s as test; test.cut(%d, %d)" % (
            name, min(TURN_CUTS, cuts - done), seed)
        ran = subprocess.run(
            [argv[0], "-X", "heapsize=64M", *argv[1:-1], program], cwd=pile_process.REPO, env=env,
            text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        told = re.search(r"(\d+) cuts tried, 0 lost\s*\Z", ran.stdout)
        if ran.returncode or not told:
            return "cut(..., %d): %s" % (seed, ran.stdout.strip()[-500:])
        done += int(told.group(1))
        if progress:
            progress(min(done, cuts))
    return None


def fuzzed_line(cases, progress=None):
    """Tell the pile so many things that it should not heed; what went wrong, in words, or None.
    `progress(cases)` hears how many are through.
    """
    seed = done = 0
    while done < cases:
        seed += 1
        n = min(TURN_CASES, cases - done)
        wrong = fuzz.problems(seed, n)
        if wrong:
            return wrong
        done += n
        if progress:
            progress(done)
    return None


def sold(args, progress=None, what="run"):
    """Sell for days: tools.days.main(*args), of `what` is there; what went wrong, in words, or
    None. `progress(days)` hears of each.
    """
    argv, env = pile_process.command("micropython")
    program = "from tools import days; days.main(*%r, what=days.%s)" % (args, what)
    with subprocess.Popen([argv[0], "-X", "heapsize=16M", "-c", program], env=env, text=True,
                          cwd=pile_process.REPO, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        last = ""
        for line in process.stdout:
            last = line
            if progress and line.startswith("day "):
                progress(int(line.split()[1].rstrip(":")))
    return last.strip()[-1000:] if process.returncode else None


def faulty(short, seed, told=print):
    """Let chaos go on between piles and brokers; whether all held. `told(line)` hears of it."""
    if chaos.mosquitto() is None:
        told("chaos left out: mosquitto is not here")
        return os.environ.get("CI") != "true"
    faults, piles = SHORT_CHAOS if short else (chaos.FAULTS, chaos.PILES)

    def progress(n, words):
        if n % (faults // 8) == 0:
            told("       chaos: %d of %d faults; %s" % (n, faults, words))

    wrong, found = chaos.chaos(faults, piles, seed, progress)
    for words in wrong:
        told("FAILED chaos: " + words)
    told("%s chaos: %s" % ("FAILED" if wrong else "ok    ", found))
    if wrong:
        told("       again: soak.py chaos %s--seed %d" % ("--short " * short, seed))
    return not wrong


def problem(name, trace):
    """What moved that should not have, in words; None when nothing did."""
    state = SOAKS[name][2]
    before = [line for line in trace if line["t_us"] < BEGIN_MS * 1000]
    states = [line["value"] for line in before if line["what"] == "state"]
    charging = [line["closed"] for line in before if line["what"] == "contactor"][-1:] == [True]
    if states[-1:] != [state] or charging != (state == "C2"):
        return "expected state %s to begin with, found %s" % (state, before)
    moved = [line for line in trace if line["t_us"] >= BEGIN_MS * 1000]
    if moved:
        return "%d events, the first of them %s" % (len(moved), moved[0])
    return None


def soak(plan, told=print, progress=None):
    """Run `plan`, a list of (name, profile, virtual ms), for "buses" (name, driver, answers), for
    "cuts" (name, file, cuts), for "fuzz" (name, "line", cases), for "days" (name, profile,
    arguments of tools.days.run); returns how many did not hold.

    `told(line)` hears of each result, `progress(share)` of the share of all that is done.
    """
    total = sum(weight(one) for one in plan)
    # the longest first, so that both processors have something to do up to the end
    waiting = sorted(plan, key=weight)
    lock = threading.Lock()
    reached = {}
    failed = []

    def work():
        with warm.Warm() as process:
            while True:
                with lock:
                    if not waiting:
                        return
                    one = waiting.pop()
                name, profile, for_ms = one
                began = time.monotonic()

                def at(ms, one=one):
                    with lock:
                        reached[one] = ms
                        if progress:
                            progress(sum(reached.values()) / total)

                if name == "buses":
                    wrong = fuzzed(profile, for_ms, lambda n, at=at: at(n * ANSWER_MS))
                    much = "%d answers" % for_ms
                elif name == "cuts":
                    wrong = cut(profile, for_ms, lambda n, at=at: at(n * CUT_MS))
                    much = "at least %d cuts" % for_ms
                elif name == "fuzz":
                    wrong = fuzzed_line(for_ms, lambda n, at=at: at(n * CASE_MS))
                    much = "%d cases" % for_ms
                elif name == "days":
                    wrong = sold(for_ms, lambda n, at=at: at(n * DAY_WORK_MS))
                    much = "%d virtual days" % for_ms[0]
                elif name == "offline":
                    wrong = sold(for_ms, what="offline")
                    much = "%.4g virtual hours" % ((for_ms[1:] or (DAY_MS,))[0] / HOUR_MS)
                else:
                    trace = process.run(job(name, profile, for_ms),
                                        lambda t_us, at=at: at(t_us / 1000))
                    wrong = problem(name, trace)
                    much = "%.4g virtual hours" % (for_ms / HOUR_MS)
                took_s = time.monotonic() - began
                with lock:
                    told("%s %-8s %-6s %s in %.0f s%s"
                         % ("FAILED" if wrong else "ok    ", name, profile, much, took_s,
                            ": " + wrong if wrong else ""))
                    if wrong:
                        failed.append(one)

    def guarded():
        try:
            work()
        except Exception as error:
            with lock:
                waiting.clear()
                told("FAILED %s" % error)
                failed.append(error)

    workers = [threading.Thread(target=guarded) for _ in range(min(warm.PROCESSES, len(plan)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(failed)


def weight(one):
    """How much work that entry of a plan is, in virtual ms."""
    name, _, much = one
    if name == "days":
        return much[0] * DAY_WORK_MS
    if name == "offline":
        return DAY_WORK_MS
    return much * {"buses": ANSWER_MS, "cuts": CUT_MS, "fuzz": CASE_MS}.get(name, 1)


def plan_of(names, hours=None, short=False):
    """What `soak` takes, for these soaks (none: all)."""
    plan = [
        (name, profile, SHORT_MS if short else int((hours or SOAKS[name][0]) * HOUR_MS))
        for name in names or SOAKS if name in SOAKS
        for profile in PROFILES
    ]
    if not names or "buses" in names:
        plan += [("buses", driver, SHORT_ANSWERS if short else ANSWERS) for driver in fuzzers()]
    if not names or "cuts" in names:
        plan += [("cuts", file, SHORT_CUTS if short else CUTS) for file in cutters()]
    if not names or "days" in names:
        plan.append(("days", "rp2040", SHORT_DAYS if short else DAYS))
    if not names or "offline" in names:
        plan.append(("offline", "rp2040", SHORT_OFFLINE if short else OFFLINE))
    if not names or "fuzz" in names:
        plan += [("fuzz", "line", SHORT_CASES if short else CASES)]
    return plan


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--short", action="store_true", help="virtual minutes, 1,000 answers")
    parser.add_argument("--hours", type=float, help="virtual hours each, instead of 24 and 10")
    parser.add_argument("--seed", type=int, default=1, help="of chaos (default: %(default)s)")
    args = parser.parse_args()
    known = [*SOAKS, "buses", "cuts", "days", "offline", "fuzz", "chaos"]
    unknown = [name for name in args.names if name not in known]
    if unknown:
        parser.error("expected some of %s, found %s" % (", ".join(known), ", ".join(unknown)))
    began = time.monotonic()
    terminal = sys.stderr.isatty()

    def progress(share):
        took_s = time.monotonic() - began
        if terminal and share:
            print("\rsoak: %.1f %%, about %.0f min left " % (
                100 * share, took_s / share * (1 - share) / 60), end="", file=sys.stderr,
                flush=True)

    def told(line):
        print(("\r\033[K" if terminal else "") + line, flush=True)

    plan = plan_of(args.names, args.hours, args.short)
    failed = soak(plan, told, progress) if plan else 0
    if not args.names or "chaos" in args.names:
        failed += not faulty(args.short, args.seed, told)
    print("soak: %s in %.1f min" % ("%d did not hold" % failed if failed else "all held",
                                    (time.monotonic() - began) / 60))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
