"""List the sessions of the past that a pile has kept: a table, and CSV.

A session comes to be here once it has ended and every contactor is open. A board is stopped for
it, and started again.
"""

import csv
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

from . import pile_process, port
from .errors import BadInput, Failed

# One JSON object a line: a session, or {"problem": words}.
_LIST = """
def _list(store):
    import json
    from firmware.ledger import history
    for told in history.sessions(store, lambda words: print(json.dumps({"problem": words}))):
        print(json.dumps(told))
"""
_ON_BOARD = _LIST + """
import hal
_list(hal.load("board.json").store)
"""
# The directory has modules of its own, which may be older than this.
_IN_DIRECTORY = """
import sys
sys.path.remove("")
from hal.mcu.common import Files
""" + _LIST + """
_list(Files())
"""
_COLUMNS = ("time", "end", "evse", "kWh", "seconds", "reason", "cost", "currency", "token",
            "transaction", "receipt", "register_start_kWh", "register_end_kWh", "pile")


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser, required=False)
    parser.add_argument("--virtual", metavar="DIR", nargs="+", default=[],
                        help="directories of `pile.py virtual`, which are its flash")
    parser.add_argument("--csv", metavar="FILE", help="where a line a session goes, too")
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
            board.leave(2)
    return told


def of_directory(path):
    """The same of a virtual board's flash."""
    if not Path(path).is_dir():
        raise BadInput("--virtual: expected a directory of `pile.py virtual`, found none at %s"
                       % path)
    argv, env = pile_process.command("micropython")
    done = subprocess.run([*argv[:-1], _IN_DIRECTORY], cwd=path, env=env, capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed("%s: cannot be read: %s" % (path, done.stderr.strip().split("\n")[-1]))
    return done.stdout.splitlines()


def parsed(lines, pile):
    """(sessions, problems in words) of what was printed."""
    sessions, problems = [], []
    for line in lines:
        if line.startswith("{"):
            told = json.loads(line)
            if "problem" in told:
                problems.append("%s: %s" % (pile, told["problem"]))
            else:
                sessions.append(dict(told, pile=pile))
    return sessions, problems


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
            _thousandths(told["cost_micro"] // 10000, 2), told["currency"])
        lines.append((line["time"] or "not known", str(told["evse"]), line["kWh"],
                      _duration(told["seconds"]), told["reason"], cost, told["token"][:6],
                      line["receipt"]))
    if len({told["pile"] for told in sessions}) > 1:
        lines = [line + (pile,) for line, pile in
                 zip(lines, ["pile", *(told["pile"] for told in sessions)])]
    widths = [max(map(len, column)) for column in zip(*lines)]
    right = (1, 2, 3, 5)
    return [
        "  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    ]


def write_csv(path, sessions):
    """Write one line a session to the file `path`."""
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(map(row, sessions))
    except OSError as error:
        raise BadInput("--csv: expected a file that can be written, found %s: %s"
                       % (path, error.strerror)) from None


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
        raise BadInput("expected --port P of a board, or --virtual DIR of virtual ones")
    sessions, problems = [], []
    for pile in args.virtual or [args.port]:
        more, wrong = parsed(of_directory(pile) if args.virtual else of_board(pile), pile)
        sessions += more
        problems += wrong
    if sessions:
        print("\n".join(table(sessions)))
        mwh = sum(told["end_mwh"] - told["start_mwh"] for told in sessions)
        print("%d sessions, %s kWh" % (len(sessions), _kwh(mwh)))
    else:
        print("no session is kept: none has ended yet, or all were forgotten")
    for words in problems:
        print(words, file=sys.stderr)
    if args.csv:
        write_csv(args.csv, sessions)
    if args.receipts:
        print("%d receipts in %s" % (write_receipts(args.receipts, sessions), args.receipts))
    return 0
