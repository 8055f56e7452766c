"""Let piles sell through bad lines: faults without end between each and its broker, and at the end
every message of every transaction must have come, once and in order. `tools/soak.py chaos` runs
it.

Each pile (tools/chaos_pile.py: a whole station on MicroPython, its clock SPEED times as fast as
life) has a proxy, a mosquitto and a backend of its own; half of them with TLS. Beside them one
sells on a quiet line. Of those with TLS every other one is as an ESP32, which may begin a
handshake only while no contactor is driven. Judged is

- what the backend got: seqNo without a gap from Started to Ended, in this order, for as many
  transactions as vehicles were charged, with the energy that the plant gave; a message that comes
  again is the same; all of it valid;
- the pile: one boot, no error, no fault, no dead letter;
- how long after the line was good again, and it was allowed to connect, it was heard: the
  back-off's ceiling and MARGIN_S at most;
- how late its ticks came on the wall, against those of the quiet pile.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tools import proxy as lines  # noqa: E402
from tools.bench_line import install  # noqa: E402
from tools.bench_uplink import free_port  # noqa: E402
from tools.host import pile_process, trace  # noqa: E402
from tools.host.backend import Backend  # noqa: E402

FAULTS = 1000
PILES = 4
SPEED = 10  # of the piles' clocks
HOLD_S = (1, 40)  # how long a fault stands, by those
AWAY_S = 3  # a backend is away for at least so long; firmware/uplink/outbox.py, _LATELY_MS
CALM_S = (0, 12)  # and what follows it
BACK_S = 30  # firmware/uplink/link.py, _LONGEST_MS
MARGIN_S = 5
OWN_S = 0.7  # of this computer: the proxy, the broker, what else it does; on the wall
ON_THE_WAY_S = 0.1  # what has passed the proxy is with the backend; on the wall
AFTER = 3000  # bytes, at most, after which a hang or a reset strikes
DRAIN_S = 40  # on the wall, for what is left at the end
LATE_MS = 3  # more than on the quiet line 99 of 100 ticks may not be
LATE = ("TickLate", "RequestStale")  # faults by a computer that does something else; see LATE_MS
RESOLUTION_MWH = 1500  # of the virtual board's meter, at both ends of a session

REFUSE, HANG, RESET, DEAF, LOSS, DRIP = (
    lines.REFUSE, lines.HANG, lines.RESET, lines.DEAF, lines.LOSS, lines.DRIP)  # fmt: skip
HALF, AWAY, KEPT, LOST = "half-open", "backend away", "restart", "restart without sessions"
CERTIFICATES = ("wrong CA", "wrong host", "expired")
KINDS = (REFUSE, HANG, HANG, RESET, RESET, DEAF, LOSS, DRIP, HALF, AWAY, KEPT, LOST)


def mosquitto():
    """The broker's program, or None."""
    # Debian puts it where only root's PATH leads.
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class _Heard(Backend):
    """A backend that knows when it heard something last."""

    heard_s = 0.0

    def _arrived(self, topic, payload, retain, dup):
        # Its will is told by the broker.
        if not retain and (topic.endswith("/up") or b"true" in payload):
            self.heard_s = time.monotonic()
        super()._arrived(topic, payload, retain, dup)


def _spawn(argv, out, **more):
    """Start a process that writes to the end of the file `out`."""
    with open(out, "ab") as file:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **more)
    pile_process.hurry(process)
    return process


class Group:
    """A pile and all that is between it and its backend. `quiet`: there are no faults."""

    def __init__(self, number, seed, folder, tls, quiet=False, stalls=False):
        self.name = "CP-%d" % number
        self.random = random.Random("%d-%d" % (seed, number))
        self.seed = seed * 100 + number
        self.folder = folder / self.name
        self.code = folder / "code"
        self.tls = tls
        self.stalls = stalls
        self.quiet = quiet
        self.back_s = []  # (by the pile's clock, the fault), for each
        self.found = None
        self.wrong = []
        self._broker = None

    async def run(self, plan, each, until):
        """Live through the faults of `plan`, which all groups take theirs from; then drain.
        `each(self, fault, seconds)` hears of one that is over. The quiet one waits for `until`.
        """
        self.folder.mkdir()
        self.ports = {"plain": free_port()}
        if self.tls:
            self._certify()
        await self._start_broker()
        self.backend = _Heard("127.0.0.1", self.ports["plain"], "ocpp", self.name, 300)
        good = ("127.0.0.1", self.ports["tls" if self.tls else "plain"])
        with contextlib.ExitStack() as stack:
            stack.callback(self._kill_broker)
            await self.backend.start()
            self.line = stack.enter_context(lines.Proxy(good, 1, SPEED, self.seed))
            pile = self._start_pile()
            try:
                if await self._heard(0, 30) is None:
                    self.wrong.append("the pile never came")
                    return
                await asyncio.sleep(15 / SPEED)  # a card is known from its first session on
                while self.quiet and not until.is_set():
                    await asyncio.sleep(0.1)
                while plan and not self.quiet and pile.poll() is None:
                    kind = plan.pop()
                    await self._suffer(kind, good, each)
                (self.folder / "stop").touch()
                deadline = time.monotonic() + DRAIN_S
                while pile.poll() is None and time.monotonic() < deadline:
                    await asyncio.sleep(0.1)
                self._ended(pile)
                await self.backend.stop()
            finally:
                if pile.poll() is None:
                    pile.kill()
                pile.wait()

    def _certify(self):
        from tests.host.certificates import Authority

        ours = Authority()
        ours.issue(self.folder / "tls", "localhost")
        self._made = {"tls": self.folder / "tls"}
        for kind, signs, name, dates in (
            ("wrong CA", Authority(), "localhost", {}),
            ("wrong host", ours, "elsewhere.test", {}),
            ("expired", ours, "localhost", {"from_days": -10, "to_days": -1}),
        ):
            self._made[kind] = signs.issue(self.folder / kind.replace(" ", "-"), name, **dates)
        for kind in self._made:
            self.ports[kind] = free_port()

    async def _start_broker(self):
        folder = self.folder / "broker"
        folder.mkdir(exist_ok=True)
        config = ["allow_anonymous true", "user root", "log_type error", "set_tcp_nodelay true",
                  "persistence true", "persistence_location %s/" % folder,
                  "max_inflight_messages 64"]
        for kind, port in self.ports.items():
            config.append("listener %d 127.0.0.1" % port)
            if kind != "plain":
                made = self._made[kind]
                config += ["cafile %s/ca.pem" % made, "certfile %s/cert.pem" % made,
                           "keyfile %s/key.pem" % made]
        path = folder / "mosquitto.conf"
        path.write_text("\n".join(config) + "\n")
        self._broker = _spawn([mosquitto(), "-c", str(path)], folder / "log")
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.ports["plain"])
                writer.close()
                return
            await asyncio.sleep(0.02)
        raise RuntimeError("mosquitto does not listen: %s" % (folder / "log").read_text()[-500:])

    def _kill_broker(self):
        if self._broker.poll() is None:
            self._broker.terminate()
        self._broker.wait(10)

    def _start_pile(self):
        (program, *_), env = pile_process.command("micropython")
        env["MICROPYPATH"] = os.pathsep.join(map(str, (self.code, self.code / "lib", ".frozen")))
        host = "localhost" if self.tls else "127.0.0.1"
        argv = [program, "-X", "heapsize=4M", str(REPO / "tools/chaos_pile.py"),
                "%s:%d" % (host, self.line.port), self.name, str(SPEED), str(self.seed)]
        argv += ["tls"] * self.tls + ["stalls"] * self.stalls
        return _spawn(argv, self.folder / "out", cwd=self.folder, env=env)

    async def _heard(self, since_s, within_s):
        """The moment at which something has come from the pile after `since_s`; None: nothing."""
        deadline = time.monotonic() + within_s
        while self.backend.heard_s <= since_s:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.01)
        return self.backend.heard_s

    async def _suffer(self, kind, good, each):
        if kind in CERTIFICATES and not self.tls:
            kind = REFUSE
        hold_s = self.random.uniform(*HOLD_S) / SPEED
        after = self.random.choice((0, self.random.randrange(200), self.random.randrange(AFTER)))
        calm_s = self.random.uniform(*CALM_S) / SPEED
        if kind == HALF:
            self.line.half_open()
        elif kind == AWAY:
            await self.backend.stop()
            await asyncio.sleep(max(hold_s, AWAY_S / SPEED))
            await self.backend.start()
        elif kind in (KEPT, LOST):
            self._kill_broker()
            if kind == LOST:
                (self.folder / "broker" / "mosquitto.db").unlink(missing_ok=True)
            await asyncio.sleep(hold_s)
            await self._start_broker()
            while not self.backend.there:
                await asyncio.sleep(0.02)
        elif kind in CERTIFICATES:
            self.line.target = ("127.0.0.1", self.ports[kind])
            self.line.fault(RESET)
            self.line.fault(lines.PASS)
            await asyncio.sleep(hold_s)
            self.line.target = good
        else:
            self.line.fault(kind, after)
            await asyncio.sleep(hold_s)
            self.line.fault(lines.PASS)
        good_s = time.monotonic()
        if kind == HALF:
            await asyncio.sleep(ON_THE_WAY_S)
        most_s = (BACK_S + MARGIN_S) / SPEED + OWN_S
        since_s = time.monotonic()
        heard_s = None
        while heard_s is None and time.monotonic() < good_s + 3 * most_s:
            heard_s = await self._heard(since_s, ON_THE_WAY_S)
            if heard_s is None and self.stalls and (self.folder / "driven").exists():
                good_s = time.monotonic()
        if heard_s is None:
            self.wrong.append("not back within %.0f s after: %s" % (3 * most_s * SPEED, kind))
            back_s = 3 * most_s
        else:
            back_s = heard_s - good_s
            if back_s > most_s:
                self.wrong.append("back after %.1f s, at most %d expected, after: %s" % (
                    back_s * SPEED, BACK_S + MARGIN_S, kind))
        self.back_s.append((back_s * SPEED, kind))
        each(self, kind, back_s * SPEED)
        await asyncio.sleep(calm_s)

    def _ended(self, pile):
        told = (self.folder / "out").read_text(errors="replace").strip().splitlines()
        if pile.poll() != 0:
            self.wrong.append("the pile %s: %s" % (
                "had not told all after %d s" % DRAIN_S if pile.poll() is None
                else "ended with %d" % pile.poll(), told[-1] if told else "no words"))
            return
        self.found = json.loads(told[-1])
        self._judge(trace.load(self.folder / "trace.jsonl"))

    def _judge(self, seen):
        say = self.wrong.append
        events = {}
        for payload in self.backend.calls("TransactionEvent", self.name):
            events.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload)
        mwh = 0
        for tx, payloads in events.items():
            seqs = [payload["seqNo"] for payload in payloads]
            kinds = [payload["eventType"] for payload in payloads]
            if seqs != list(range(len(seqs))):
                say("%s: seqNo %s" % (tx, seqs))
            middle = ["Updated"] * (len(kinds) - 2)
            if kinds != ["Started", *middle, "Ended"]:
                say("%s: %s" % (tx, kinds))
            told = [one for payload in payloads for one in _energies(payload)]
            mwh += max(told, default=0) - min(told, default=0)
        # Now and then somebody is let in so late that the vehicle leaves first.
        charged = _charged(seen)
        let_in = sum(x["what"] == "access" and x["decision"] == "accepted" for x in seen)
        if len(events) != let_in or let_in < charged:
            say("%d transactions, %d were let in, %d vehicles were charged"
                % (len(events), let_in, charged))
        allowed = 2 * RESOLUTION_MWH * len(events)
        if abs(mwh - self.found["energy_mwh"]) > allowed:
            say("%d mWh told, %d given, at most %d between them expected" % (
                mwh, self.found["energy_mwh"], allowed))
        came = self.backend.station(self.name).calls
        for line in seen:
            if line["what"] == "uplink" and line["message"][2] == "TransactionEvent":
                if line["message"][1] not in came:
                    say("never came: %s" % line["message"][1])
        boots = [line for line in seen if line["what"] == "boot"]
        if len(boots) != 1 or self.found["errors"]:
            say("%d boots, %d errors" % (len(boots), self.found["errors"]))
        for line in seen:
            late = line["what"] == "fault" and line["code"] in LATE
            if line["what"] in ("fault", "error", "dead_letter", "backend") and not late:
                say(str(line))
        self.wrong += self.backend.invalid
        self.events = sum(map(len, events.values()))
        self.transactions = len(events)
        self.repeats = self.backend.station(self.name).repeats


def _energies(payload):
    """The registers that an event tells, in mWh."""
    for values in payload.get("meterValue", ()):
        for sample in values["sampledValue"]:
            if sample["measurand"] == "Energy.Active.Import.Register":
                yield int(sample["value"] * 1000 + 0.5)


def _charged(seen):
    """How many vehicles had the contactor closed for them."""
    count = 0
    closed = False
    for line in seen:
        if line["what"] == "step" and line["step"]["do"] == "unplug":
            count += closed
            closed = False
        elif line["what"] == "contactor" and line["closed"] and line["command"]:
            closed = True
    return count


def _late_ms(late, share):
    """How late that share of the ticks was at most."""
    left = sum(late) * (1 - share)
    for ms in range(len(late) - 1, -1, -1):
        left -= late[ms]
        if left < 0:
            return ms
    return 0


def plan_of(faults, seed, tls):
    """So many faults, every kind about as often."""
    kinds = KINDS + CERTIFICATES * tls
    plan = list(kinds * (faults // len(kinds) + 1))[:faults]
    random.Random(seed).shuffle(plan)
    return plan


async def _run(faults, piles, seed, folder, progress):
    tls = importlib.util.find_spec("cryptography") is not None  # not everywhere: see the README
    plan = plan_of(faults, seed, tls)
    install(folder / "code")
    until = asyncio.Event()
    over = []

    def each(group, kind, back_s):
        over.append(kind)
        progress(len(over), "%s: %s, back after %.1f s" % (group.name, kind, back_s))

    groups = [
        Group(i, seed, folder, tls and i % 2 == 1, stalls=tls and i % 4 == 3) for i in range(piles)
    ]
    quiet = Group(piles, seed, folder, False, True)
    beside = asyncio.create_task(quiet.run(plan, each, until))
    try:
        await asyncio.gather(*[group.run(plan, each, until) for group in groups])
    finally:
        until.set()
        await beside
    return groups, quiet


def chaos(faults=FAULTS, piles=PILES, seed=1, progress=lambda n, words: None, keep=None):
    """Run; returns (what went wrong, a line each; what was found, in words). `progress(n, words)`
    hears of each fault that is over. `keep`: a directory for traces and logs.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(keep or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "code").mkdir(exist_ok=True)
        groups, quiet = asyncio.run(_run(faults, piles, seed, folder, progress))
    wrong = ["%s: %s" % (group.name, words) for group in [*groups, quiet] for words in group.wrong]
    if any(group.found is None for group in [*groups, quiet]):
        return wrong or ["a pile ended too early"], "not all piles came to the end"
    late = [sum(column) for column in zip(*[group.found["late"] for group in groups])]
    told = []
    for share in (0.5, 0.99, 0.999):
        ours, theirs = _late_ms(late, share), _late_ms(quiet.found["late"], share)
        told.append("%g %%: %d (%d)" % (100 * share, ours, theirs))
        if share == 0.99 and ours > theirs + LATE_MS:
            wrong.append("ticks: one in a hundred %d ms late or more, %d on a quiet line"
                         % (ours, theirs))
    back = sorted(back_s for group in groups for back_s, _ in group.back_s)
    return wrong, (
        "%d faults, %d transactions of %d events, %d came again; back after %.1f s (median),"
        " %.1f s at most; ticks late by ms at most, and on a quiet line: %s"
        % (len(back), sum(group.transactions for group in groups),
           sum(group.events for group in groups), sum(group.repeats for group in groups),
           back[len(back) // 2], back[-1], ", ".join(told))
    )


def main():
    """For trying it: chaos.py [FAULTS [PILES [SEED [DIRECTORY]]]]."""
    given = [int(word) for word in sys.argv[1:4]]
    wrong, told = chaos(*given, progress=lambda n, words: print(n, words, flush=True),
                        keep=sys.argv[4] if len(sys.argv) > 4 else None)
    print("\n".join([*wrong, told]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
