"""Runs the firmware on an emulated RP2040 and measures what only the chip can tell.

    tools/emulate.py IMAGE [--json FILE] [--trials N] [--counts-always]

IMAGE is MicroPython for the plain Pico (RPI_PICO), .uf2 or .bin; no registry has one. Prints the
figures as JSON. The emulator, rp2040py from PyPI, goes to .venv/rp2040 when this first runs.

tick_us is the whole interrupt of a tick, black box and all, at 125 MHz: idle, while charging,
around an opening by residual current, and after it; share_percent the mean while charging against
the time from tick to tick. open_ms is from what happens at the pilot to the falling drive pin,
while json, gc and imports keep Python busy, half of the times with a wrong sample nearby.
stall_N_ms: interrupts off for N ms, as while flash is erased. All times are simulated;
tools/host/emulated.py says what the emulation leaves out.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "rp2040"
sys.path.insert(0, str(ROOT))

# What it asks for beyond semver, it asks for its command line. With the wheels' hashes: Linux on
# x86-64 and ARM, macOS on ARM.
PINNED = """\
semver==3.1.1 --hash=sha256:c00cf7dac88a352bc6a4a997d6ac0bf95ba835c589bc0c54f7b76f9e2a45123a
rp2040py==0.3.6 \\
  --hash=sha256:e8944054eaa281d7b3d5ee7bd299f03044401354870049e978d33765dbcd58f7 \\
  --hash=sha256:eb208a74f7d1e56bd9082f423b39134d1ffacbc1da58027cb06e1bfdc176a1b9 \\
  --hash=sha256:3ad32c06f0930a522d210fb4fed61132ccac57a75146b8f11f030e582638a5c7
"""
CAUSES = ("c_to_b", "unplug", "diode", "cp_short", "rcd", "adc_freeze")
_DUTIES = (100, 533, 900)


def enter_venv():
    """Goes on in the emulator's venv, which is made where it is not there yet."""
    if pathlib.Path(sys.prefix) == VENV:
        return
    if not (VENV / "ready").exists():
        print("making .venv/rp2040", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
            lock.write(PINNED)
            lock.flush()
            pip = [VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
            only = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
            subprocess.run([*pip, *only, "-r", lock.name], check=True)
        (VENV / "ready").touch()
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, *sys.argv])


def ticks(pico, n):
    """[(us the interrupt took, us when it began)] of the next `n` ticks; other interrupts of the
    timer, which are shorter than 20 us, do not count. Steps instruction by instruction.
    """
    core = pico.mcu.core
    found = []
    began = number = None
    while len(found) < n:
        before = pico.clock.nanos
        slept = pico.step()
        exception = core.x_psr & 0x3F
        if exception and began is None:
            began = pico.clock.nanos if slept else before
            number = exception
        elif not exception and began is not None:
            us = (pico.clock.nanos - began) / 1000
            if number in range(16, 20) and us > 20:
                found.append((us, began / 1000))
            began = None
    return found


def figures(values, digits=1):
    """What to tell of many values."""
    return {
        "n": len(values),
        "p50": round(statistics.median(values), digits),
        "mean": round(statistics.fmean(values), digits),
        "worst": round(max(values), digits),
    }


def charge(pico):
    """Plug in a vehicle and let it charge; raises RuntimeError when it does not within 9 s."""
    pico.vehicle = "C"
    pico.run(200)
    pico.ask("outlet.authorise()")
    if not pico.run(9000, lambda: pico.closed):
        raise RuntimeError("does not charge: %s" % pico.ask("station.explain(0)"))
    pico.run(100)


def sampling(pico):
    """Where in the pilot's period samples are taken, at several duties, and what they read."""
    result = {}
    for permille in _DUTIES:
        pico.ask("core._pilot.set_permille(%d)" % permille)
        pico.run(3)
        pico.instants.clear()
        edges = pico.edges[pico.PWM]
        edges.clear()
        pico.run(50)
        instants = list(pico.instants)
        rises = [ns for ns, level in edges if level]
        falls = [ns for ns, level in edges if not level and ns > rises[0]]
        highs, lows = [], []
        for ns, mv in instants:
            (highs if mv > 0 else lows).append((ns - rises[0]) / 1000 % 1000)
        window = pico.ask("list(core._window)")
        result[str(permille)] = {
            "period_us": round((rises[-1] - rises[0]) / 1000 / (len(rises) - 1), 2),
            "high_us": round((falls[0] - rises[0]) / 1000, 1),
            "high_at_us": [round(min(highs), 1), round(max(highs), 1)],
            "low_at_us": [round(min(lows), 1), round(max(lows), 1)],
            "samples_per_ms": len(instants) / 50,
            "read_mv": [window[2], window[5]],
        }
    pico.ask("core._pilot.set_permille(c[names.PERMILLE])")
    return result


def faulted(pico):
    """The ticks around a residual current: when it opens, and while it stands."""
    pico.run(1100)  # in the first second after closing it is not listened to
    pico.trip()
    return {
        "opening": figures([us for us, _ in ticks(pico, 5)]),
        "faulted": figures([us for us, _ in ticks(pico, 20)]),
    }


def happen(pico, cause):
    """What opens the contactor."""
    if cause == "c_to_b":
        pico.vehicle = "B"
    elif cause == "unplug":
        pico.vehicle = "A"
    elif cause == "diode":
        pico.diode = False
    elif cause == "cp_short":
        pico.shorted = True
    elif cause == "rcd":
        pico.trip()
    else:
        pico.frozen = True


def isolated(pico, function, *args):
    """What function(pico, *args) gives, in a process of its own, so that `pico` stays as it is."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        with open(writes, "w") as pipe:
            json.dump(function(pico, *args), pipe)
        os._exit(0)
    os.close(writes)
    with open(reads) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)


def forget(pico):
    """Let only what happens from now on be found."""
    for edges in pico.edges.values():
        edges.clear()
    pico.marks.clear()


def ms(after, before):
    """The ms between two times in ns."""
    return round((after - before) / 1e6, 2)


def opening(pico, cause, seed):
    """ms from `cause`, at a random moment of the next 2 ms, to the falling drive pin; None when it
    stays high.
    """
    chance = random.Random(seed)
    forget(pico)
    pico.at(chance.random() * 2, lambda: pico.mark(1) or happen(pico, cause))
    if chance.random() < 0.5:
        pico.wrong = {chance.randrange(1, 9): chance.choice((12000, 9000, 6000, 3000, -12000))}
    if pico.run(60, lambda: pico.edges[pico.DRIVE]):
        return ms(pico.edges[pico.DRIVE][0][0], pico.marks[1])


def openings(pico, n):
    """{cause: figures in ms}, and the longest gap between ticks meanwhile, in us."""
    pico.run(1100)  # in the first second after closing no residual current is listened to
    pico.ask("busy = True")
    took = {cause: [] for cause in CAUSES}
    chance = random.Random(1)
    for i in range(n):
        pico.run(2 + 8 * chance.random())
        for cause in CAUSES:
            seed = "%d %s" % (i, cause)
            took[cause].append(isolated(pico, opening, cause, seed))
            if took[cause][-1] is None:
                raise RuntimeError("trial %r: the drive pin stays high" % seed)
    gaps = isolated(pico, lambda pico: ticks(pico, 100))
    pico.ask("busy = False")
    return (
        {cause: figures(values, 2) for cause, values in took.items()},
        round(max(b[1] - a[1] for a, b in itertools.pairwise(gaps))),
    )


def stall(pico, stall_ms):
    """Interrupts off for `stall_ms`; what the hold did, and whether the late tick latches."""
    forget(pico)
    pico.ask(
        "before = c[names.TICKS]\nstate = machine.disable_irq()\nmark(1)\nt = time.ticks_us()\n"
        "while time.ticks_diff(time.ticks_us(), t) < %d:\n pass\nmark(2)\n"
        "machine.enable_irq(state)\nburst = c[names.TICKS] - before\nmark(3)" % (1000 * stall_ms),
        stall_ms + 100,
    )
    burst = pico.ask("burst")
    hold = [ns for ns, _ in pico.edges[pico.HOLD] if ns < pico.marks[2]]
    opened = pico.edges[pico.DRIVE][0][0] if pico.edges[pico.DRIVE] else None
    stays = not pico.run(1500, lambda: pico.level(pico.DRIVE))
    pico.ask("c[names.GUARD_MS] = 50")  # of 30 s; the fault itself lasts 1 s
    return {
        "ticks_in_burst": burst,
        "burst_ms": ms(pico.marks[3], pico.marks[2]),
        "hold_silent_after_ms": ms(hold[-1], pico.marks[1]),
        "drive_low_after_end_ms": opened and ms(opened, pico.marks[2]),
        "stays_open_1500_ms": stays,
        "closes_after_guard": pico.run(2000, lambda: pico.level(pico.DRIVE)),
    }


def foreign_read(pico):
    """Somebody reads the converter while the pile charges."""
    forget(pico)
    pico.ask("mark(1)\nmachine.ADC(machine.Pin(27)).read_u16()")
    opened = pico.run(50, lambda: pico.edges[pico.DRIVE])
    taken = pico.ask("core._pilot.taken()")
    again = pico.run(1500, lambda: pico.ask("core._pilot.taken()") != taken)
    return {
        "open_ms": ms(pico.edges[pico.DRIVE][0][0], pico.marks[1]) if opened else None,
        "samples_again_ms": round(ms(pico.clock.nanos, pico.marks[1])) if again else None,
    }


def soft_reset(pico):
    """A soft reset while energised, whose SystemExit nobody sees: only boot.py opens."""
    forget(pico)
    pico.ask("board = station.board\nboard.stop = lambda: None")
    pico.tell("mark(1)\nmachine.soft_reset()")
    if not pico.run(5000, lambda: pico.edges[pico.DRIVE]):
        return {"drive_low_ms": None}
    low = pico.edges[pico.DRIVE][0][0]
    pico.run(60)
    began = pico.marks[1]
    result = {
        "drive_low_ms": ms(low, began),
        "last_pulse_ms": ms(max(ns for ns, _ in pico.edges[pico.HOLD] if ns < low), began),
        "hold_low": not pico.level(pico.HOLD),
    }
    pico.deafen()
    result["starts_again"] = pico.run(5000, pico.listens)
    return result


def measure(image, trials, counts_always=False):
    from tools.host import emulated

    def say(text):
        print("%8.0f ms: %s" % (pico.ms, text), file=sys.stderr, flush=True)

    emulated.Pico.counts_always = counts_always
    pico = emulated.Pico(image, emulated.station_files())
    result = {}
    if not pico.run(5000, pico.listens):
        raise RuntimeError("the pile does not start: %s" % pico.told())
    result["first_low_ms"] = round(pico.edges[pico.DRIVE][0][0] / 1e6, 1)
    result["image"] = pico.ask("sys.version")
    result["mhz"] = pico.ask("machine.freq()") // 1000000
    result["heap_free"] = pico.ask("(gc.collect(), gc.mem_free())[1]")
    say("runs")
    pico.run(300)
    tick_us = {"idle": figures([us for us, _ in ticks(pico, 25)])}
    charge(pico)
    say("charges")
    charging = ticks(pico, 50)
    tick_us["charging"] = figures([us for us, _ in charging])
    period_us = (charging[-1][1] - charging[0][1]) / (len(charging) - 1)
    tick_us.update(isolated(pico, faulted))
    result["tick_us"] = tick_us
    result["share_percent"] = round(100 * tick_us["charging"]["mean"] / period_us, 1)
    result["tick_period_us"] = round(period_us, 1)
    say("tick: %s" % tick_us)
    result["sampling"] = sampling(pico)
    say("sampling: %s" % result["sampling"])
    for name, function, args in (
        ("stall_45_ms", stall, (45,)),
        ("stall_400_ms", stall, (400,)),
        ("foreign_read", foreign_read, ()),
        ("soft_reset", soft_reset, ()),
    ):
        result[name] = isolated(pico, function, *args)
        say("%s: %s" % (name, result[name]))
    result["open_ms"], result["tick_gap_us"] = openings(pico, trials)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image")
    parser.add_argument("--json", help="write the figures to this file too")
    parser.add_argument("--trials", type=int, default=60, help="per cause of opening")
    parser.add_argument(
        "--counts-always",
        action="store_true",
        help="a DMA channel counts requests while it is not active too",
    )
    args = parser.parse_args()
    enter_venv()
    result = measure(args.image, args.trials, args.counts_always)
    text = json.dumps(result, indent=2)
    print(text)
    if args.json:
        pathlib.Path(args.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
