"""Voltpile's one command on the host: each sub-command lives in tools/host/<name>.py."""

import argparse
import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
VENV = REPO / ".venv"
COMMANDS = ("run", "sim", "conform", "board", "virtual", "flash", "provision", "selftest",
            "calibrate", "serviced", "factory-reset", "sessions", "log", "blackbox", "receipt-key",
            "shell", "monitor")
# Third-party modules that only the venv brings, by import name.
NEEDED = ("amqtt", "jsonschema", "matplotlib", "ocpp", "rich", "segno")


def enter_venv():
    """Go on inside .venv, or say how to make it: the lock file's versions are the tested ones."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        os.execv(str(python), [str(python), *sys.argv])
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print("pile: expected the packages of .venv, found none of: %s; `make run` in %s sets"
              " everything up" % (", ".join(missing), REPO), file=sys.stderr)
        raise SystemExit(2)


class OneLineParser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line."""

    def error(self, message):
        self.exit(2, "%s: %s; `%s --help` tells more\n" % (self.prog, message, self.prog))


def main(argv=None):
    """Run one sub-command; returns the exit code (0 well, 1 failed, 2 bad input)."""
    from tools.host.errors import BadInput, Failed

    parser = OneLineParser(prog="pile.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND",
                                     parser_class=OneLineParser)
    argv = sys.argv[1:] if argv is None else argv
    # One that is named is all that is imported: together they take seconds.
    for name in argv[:1] if argv[:1] and argv[0] in COMMANDS else COMMANDS:
        module = importlib.import_module("tools.host." + name.replace("-", "_"))
        summary = module.__doc__.strip().split("\n")[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        module.arguments(command)
        command.set_defaults(main=module.main)
    args = parser.parse_args(argv)
    try:
        return args.main(args)
    except BadInput as wrong:
        print("pile.py %s: %s" % (args.command, wrong), file=sys.stderr)
        return 2
    except Failed as failure:
        print("pile.py %s: %s" % (args.command, failure), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pile.py %s: interrupted" % args.command, file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read us has gone; at the end Python would try to write once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    enter_venv()
    sys.path.insert(0, str(REPO))
    # Being told to end is Ctrl-C: the pile's process must not outlive this one. By way of SIGINT,
    # which asyncio turns into the end of its task: an exception would come up wherever it is.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # A shell's background job begins with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
