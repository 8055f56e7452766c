"""Put the firmware on a board: compiled for its processor, only what changed, whole or not at all.

New files go beside the old ones and take effect together; a flash that is cut, by whatever, leaves
a board that boots the old files or ends the flash by itself. What MicroPython lacks (umqtt.simple
on RP2040) is installed too. Every file's SHA-256 is checked on the board. Then the board is reset,
and its hello awaited.
"""

from . import board as checker
from . import build, port
from .errors import BadInput, Failed

_STAGED = """
import os
try:
    os.mkdir("new")
except OSError:
    pass
for _name in os.listdir("new"):
    print(_name)
"""
_SPACE = """
import os
_s = os.statvfs("/")
print(_s[0], _s[3])
"""
_UMQTT = """
try:
    import umqtt.simple as _u
    print(getattr(_u, "__file__", "frozen"))
except ImportError:
    print("none")
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    parser.add_argument("--board", metavar="NAME|FILE", required=True,
                        help="a file of hal/boards without its .json, `virtual`, or a file")
    port.argument(parser, required=False)
    parser.add_argument("--dry-run", action="store_true",
                        help="say what would be done; with --port the pile must stop for it")


def staged(path):
    """Where hal.installed looks for what is to become `path`."""
    return "new/" + path.replace("/", "!")


def obsolete(made, listed):
    """Paths that must not stay: sources that would hide a .mpy, and what only the old list has."""
    twins = {path[: -len("mpy")] + "py" for path in made if path.endswith(".mpy")}
    return (twins | set(listed)) - set(made)


def read_list(board):
    """The lines of the list on the board as {path: digest}."""
    text = board.run("try:\n print(open('files.txt').read(), end='')\nexcept OSError:\n pass")
    return {path: digest for digest, _, path in
            (line.split(" ", 2) for line in text.splitlines() if line.count(" ") >= 2)}


class Plan:
    """What is to be done on a board, from what it has."""

    def __init__(self, board, made):
        self.made = dict(made)
        listed = read_list(board)
        if "lib/umqtt/simple.mpy" in made and "lib/umqtt/simple.mpy" not in listed \
                and board.run(_UMQTT).strip() != "none":
            del self.made["lib/umqtt/simple.mpy"]  # MicroPython brings it
        gone = obsolete(self.made, listed)
        with port.bar("looking", len(self.made) + len(gone) + 1) as advance:
            self.found = board.hashes([*self.made, *gone, "files.txt"], advance)
        # What was unwanted once stays in the list: it may come back by hand.
        self.gone = sorted(path for path in gone
                           if path in self.found or listed.get(path) == "-")
        self.listing = build.listing(self.made, self.gone)
        self.changed = [path for path, data in self.made.items()
                        if self.found.get(path) != build.digest(data)]
        self.removed = [path for path in self.gone if path in self.found]
        self.relist = self.found.get("files.txt") != build.digest(self.listing)

    @property
    def nothing(self):
        """Whether the board has it all already."""
        return not (self.changed or self.removed or self.relist)

    def lines(self):
        """The plan in words."""
        for path in self.changed:
            what = "change" if path in self.found else "new"
            yield "%-7s %6d  %s" % (what, len(self.made[path]), path)
        for path in self.removed:
            yield "remove          %s" % path
        if self.relist:
            yield "%-7s %6d  files.txt" % ("list", len(self.listing))


def upload(board, plan):
    """Carry out `plan`: first everything beside the old files, then its list, then the change."""
    wanted = {staged(path): plan.made[path] for path in plan.changed}
    there = ["new/" + name for name in board.run(_STAGED).splitlines()]
    if "new/files.txt" in there:
        # A flash was cut after its list: it comes to its end first.
        raise Failed("an earlier flash was not ended; reset the board and flash again")
    kept = {path for path, found in board.hashes(there).items()
            if path in wanted and found == build.digest(wanted[path])}
    for path in there:
        if path not in kept:
            board.run("os.remove(%r)" % path)
    size, free = (int(part) for part in board.run(_SPACE).split())
    need = sum(len(data) // size + 2 for path, data in wanted.items() if path not in kept) + 4
    if need > free:
        raise Failed("expected %d kB free on the board, found %d; remove what it does not need"
                     % (need * size // 1024, free * size // 1024))
    with port.bar("uploading", sum(len(data) for data in wanted.values())) as advance:
        for path, data in wanted.items():
            if path in kept:
                advance(len(data))
            else:
                board.write(path, data, advance)
    check(board, wanted)
    board.write("new/files.tmp", plan.listing)
    check(board, {"new/files.tmp": plan.listing})
    # From this renaming on the new files count; before it the old ones do.
    board.run("os.rename('new/files.tmp', 'new/files.txt')")
    installed = (build.REPO / "hal" / "installed.py").read_text(encoding="utf-8")
    board.run("exec(%r, {'__name__': 'installed'})" % (installed + "\nfinish()\n"), 40)
    check(board, plan.made)


def check(board, wanted):
    """Compare the SHA-256 of files on the board with what they must be; raises Failed."""
    found = board.hashes(wanted)
    for path, data in wanted.items():
        if found.get(path) != build.digest(data):
            raise Failed("expected %s on the board with SHA-256 %s, found %s; flash again, and if"
                         " it stays, the board's flash is worn"
                         % (path, build.digest(data)[:12], found.get(path, "none")[:12]))


def refuse_mistakes(path, spec):
    """Raises BadInput for a board file that `board check` refuses."""
    if spec["mcu"] == "virtual":
        return
    mistakes = checker.check(spec)
    if mistakes:
        raise BadInput("--board: %s: %s%s; `pile.py board check %s` tells them all"
                       % (path, mistakes[0], " and %d more" % (len(mistakes) - 1)
                          if len(mistakes) > 1 else "", path))


def made_for(spec):
    """build.files with a bar."""
    return build.files(spec, bar=lambda total: port.bar("compiling", total))


def main(args):
    """Run the sub-command; returns the exit code."""
    path, spec = build.load_board(args.board)
    refuse_mistakes(path, spec)
    if args.port is None:
        if not args.dry_run:
            raise BadInput("--port: expected the port of a board, found none; --dry-run goes"
                           " without")
        made = made_for(spec)
        for name, data in made.items():
            print("%6d  %s" % (len(data), name))
        print("%d files, %d bytes for %s" % (len(made), sum(map(len, made.values())), path.stem))
        return 0
    with port.Port(args.port) as board:
        platform, architecture, machine = board.bench()
        if platform != build.PLATFORMS[spec["mcu"]] or architecture != build.architecture(spec):
            wrong = BadInput("--board: %s is for %s (%s), found %s (%s, %s) at %s"
                             % (path, spec["mcu"], build.architecture(spec), machine, platform,
                                architecture, args.port))
            board.leave(2)
            raise wrong
        plan = Plan(board, made_for(spec))
        for line in plan.lines():
            print(line)
        if args.dry_run:
            print("nothing to do" if plan.nothing else "nothing was done: --dry-run")
            board.leave(2)
            return 0
        if plan.nothing:
            print("nothing to upload: the board has all %d files" % len(plan.made))
        else:
            upload(board, plan)
            print("uploaded %d of %d files, %d bytes, and checked them all"
                  % (len(plan.changed), len(plan.made),
                     sum(len(plan.made[path]) for path in plan.changed)))
        provisioned = "yes" in board.run(
            "import os\nprint('yes' if 'config.json' in os.listdir('/') else 'no')")
        told = board.leave()
    if not provisioned and not port.is_hello(told):
        print("the board waits for its identity: `pile.py provision --port %s`" % args.port)
        return 0
    print(port.judge(told))
    return 0
