"""List the sessions that a pile knows of, and the messages that its backend has refused for good:
tables, and CSV.

Those of the past are the newest 512 or so. A session that is going on is listed with what was kept
of it so far. A board is stopped for it, and started again: to what goes on there this is a power
cut. A virtual board's directory is only read.
"""

import csv
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

from . import pile_process, port
from .errors import BadInput, Failed

# One JSON object a line: a session, a refused message, or {"problem": words}.
_LIST = """
def _list(store, memory):
    import json
    from firmware.ledger import lookback
    say = lambda words: print(json.dumps({"problem": words}))
    for told in lookback.told(store, memory, say):
        print(json.dumps(told))
"""
_ON_BOARD = _LIST + """
import hal
_board = hal.load("board.json")
_list(_board.store, _board.memory)
"""
# The directory has modules of its own, which may be older than this.
_IN_DIRECTORY = """
import sys
sys.path.remove("")
from hal.mcu.common import Files
from firmware.ledger.durable import Ram
_fram = Files().load(%r)
_memory = Ram(len(_fram or b""))
_memory.write(0, _fram or b"")
""" + _LIST + """
_list(Files(), _memory if _fram else None)
"""
_COLUMNS = ("time", "end", "evse", "kWh", "seconds", "reason", "cost", "currency", "token",
            "transaction", "receipt", "register_start_kWh", "register_end_kWh", "pile", "state")
_REFUSED = ("message", "time", "what", "evse", "transaction", "register_kWh", "code", "pile")
_FRAM = "fram.bin"
# One of these is in the flash of every virtual board.
_OURS = ("board.json", "boot.py", _FRAM)


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser, required=False)
    parser.add_argument("--virtual", metavar="DIR", nargs="+", default=[],
                        help="directories with a virtual board's flash: of `pile.py virtual`,"
                        " out/flash of `run`, of `sim --flash`")
    parser.add_argument("--csv", metavar="FILE", help="where a line a session goes, too")
    parser.add_argument("--refused", metavar="FILE",
                        help="where a line a refused message goes, as CSV, too")
    parser.add_argument("--receipts", metavar="DIR",
                        help="where the signed receipts go, a file each")


def of_board(name):
    """The lines that the board at the port `name` prints of its sessions."""
    told = []
    with port.Port(name) as board:
        board.bench()
        try:
            board.follow(_ON_BOARD, told.append)
        finally:
            board.leave()  # whoever comes next finds it running
    return told


def of_directory(path):
    """The same of a virtual board's flash."""
    path = Path(path)
    if not path.is_dir():
        raise BadInput("--virtual: expected a directory of `pile.py virtual`, found %s at %s"
                       % ("a file" if path.exists() else "none", path))
    if not any((path / name).exists() for name in _OURS) and not list(path.glob("h[1-9]*")):
        raise BadInput("--virtual: expected the flash of a virtual board in %s (out/virtual, say),"
                       " found neither %s; `pile.py run`, `sim --flash DIR`, and `virtual` with"
                       " `flash --board virtual` make one" % (path, " nor ".join(_OURS)))
    argv, env = pile_process.command("micropython")
    done = subprocess.run([*argv[:-1], _IN_DIRECTORY % _FRAM], cwd=path, env=env,
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed("%s: cannot be read: %s" % (path, done.stderr.strip().split("\n")[-1]))
    return done.stdout.splitlines()


def parsed(lines, pile):
    """(sessions, refused messages, problems in words) of what was printed. What comes twice, as
    its pile lost power while it was filed, is there once.
    """
    sessions, refused, problems = {}, {}, []
    for line in lines:
        if line.startswith("{"):
            told = json.loads(line)
            if "problem" in told:
                problems.append("%s: %s" % (pile, told["problem"]))
            elif "code" in told:
                refused.setdefault(told["message"], dict(told, pile=pile))
            else:
                sessions.setdefault(told["transaction"], dict(told, pile=pile))
    return list(sessions.values()), list(refused.values()), problems


def _moment(ms):
    if ms is None:
        return ""
    try:
        return datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (OSError, OverflowError, ValueError):
        return "%d ms" % ms  # a clock that was far off


def _thousandths(number, places=3):
    digits = 10**places
    return "%s%d.%0*d" % ("-" if number < 0 else "", abs(number) // digits, places,
                          abs(number) % digits)


def _kwh(mwh):
    return _thousandths(mwh // 1000)


def row(told):
    """A session as what stands in a line of CSV; "" for what is not known."""
    cost = told["cost_micro"]
    return {
        "time": _moment(told["start_ms"]), "end": _moment(told["end_ms"]), "evse": told["evse"],
        "kWh": _kwh(told["end_mwh"] - told["start_mwh"]),
        "seconds": "" if told["seconds"] is None else told["seconds"],
        "reason": told["reason"],
        "cost": "" if cost is None else _thousandths(cost, 6),
        "currency": told["currency"], "token": told["token"],
        "transaction": told["transaction"], "receipt": "yes" if told["receipt"] else "no",
        "register_start_kWh": _kwh(told["start_mwh"]), "register_end_kWh": _kwh(told["end_mwh"]),
        "pile": told["pile"], "state": told["state"],
    }


def refused_row(told):
    """A refused message as what stands in a line of CSV; "" for what is not known."""
    mwh = told.get("mwh")
    return {
        "message": told["message"], "time": _moment(told["time_ms"]), "what": told["what"],
        "evse": told.get("evse", ""), "transaction": told["transaction"] or "",
        "register_kWh": "" if mwh is None else _kwh(mwh), "code": told["code"],
        "pile": told["pile"],
    }


def _duration(seconds):
    if seconds is None:
        return "?"
    return "%d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)


def table(sessions):
    """The sessions as lines for people; the token's digest cut to its first six digits."""
    lines = [("start (UTC)", "evse", "kWh", "duration", "reason", "cost", "token", "receipt")]
    for told in sessions:
        line = row(told)
        cost = "" if told["cost_micro"] is None else "%s %s" % (
            _thousandths((told["cost_micro"] + 5000) // 10000, 2), told["currency"])
        lines.append((line["time"] or "not known", str(told["evse"]), line["kWh"],
                      _duration(told["seconds"]),
                      "(going on)" if told["state"] == "going on" else told["reason"], cost,
                      told["token"][:6], line["receipt"]))
    return _laid_out(lines, sessions, (1, 2, 3, 5))


def refused_table(letters):
    """The refused messages as lines for people."""
    lines = [("refused message", "of (UTC)", "what", "transaction", "code")]
    for told in letters:
        line = refused_row(told)
        lines.append((line["message"], line["time"] or "not known", line["what"],
                      line["transaction"], line["code"]))
    return _laid_out(lines, letters, ())


def _laid_out(lines, told, right):
    if len({one["pile"] for one in told}) > 1:
        lines = [line + (pile,) for line, pile in
                 zip(lines, ["pile", *(one["pile"] for one in told)])]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [
        "  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    ]


def write_csv(path, rows, columns=_COLUMNS, option="--csv"):
    """Write one line a row to the file `path`, which the `option` has named."""
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise BadInput("%s: expected a file that can be written, found %s: %s"
                       % (option, path, error.strerror)) from None


def write_receipts(directory, sessions):
    """Write each receipt to a file of its own, by its transaction's id; returns how many."""
    directory = Path(directory)
    n = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for told in sessions:
            if told["receipt"]:
                name = "".join(c if c.isalnum() or c in "-_" else "_" for c in told["transaction"])
                (directory / (name + ".ocmf")).write_text(told["receipt"], encoding="utf-8")
                n += 1
    except OSError as error:
        raise BadInput("--receipts: expected a directory that can be written, found %s: %s"
                       % (directory, error.strerror)) from None
    return n


def main(args):
    """Run the sub-command; returns the exit code."""
    if bool(args.port) == bool(args.virtual):
        raise BadInput("expected --port P of a board, or --virtual DIR (such as out/virtual) of"
                       " virtual ones; found %s" % ("both" if args.port else "neither"))
    sessions, refused, problems = [], [], []
    for pile in args.virtual or [args.port]:
        found = parsed(of_directory(pile) if args.virtual else of_board(pile), pile)
        for known, more in zip((sessions, refused, problems), found):
            known += more
    if sessions:
        print("\n".join(table(sessions)))
        mwh = sum(told["end_mwh"] - told["start_mwh"] for told in sessions)
        going_on = sum(told["state"] == "going on" for told in sessions)
        print("%d session%s, %s kWh%s" % (
            len(sessions), "s" * (len(sessions) > 1), _kwh(mwh),
            "; %d of them going on" % going_on if going_on else ""))
    else:
        print("no session is kept: none has begun yet, or all were forgotten (`factory-reset`)")
    if refused:
        print("\n".join(["", *refused_table(refused)]))
    for words in problems:
        print(words, file=sys.stderr)
    if args.csv:
        write_csv(args.csv, map(row, sessions))
    if args.refused:
        write_csv(args.refused, map(refused_row, refused), _REFUSED, "--refused")
    if args.receipts:
        print("%d receipts in %s" % (write_receipts(args.receipts, sessions), args.receipts))
    return 0
