"""Give a board its identity: station id, broker, credentials, certificates; and close its prompt.

What is not given comes from the environment (VOLTPILE_STATION_ID, VOLTPILE_BROKER, VOLTPILE_USER,
VOLTPILE_PASSWORD, and likewise wifi_ssid, wifi_password, modem_apn, modem_user, modem_password) or
is asked on the terminal. VOLTPILE_METER_SERIAL, or "meter_serial" in the file, is not asked for:
the number on the meter's plate, which receipts name; of several outlets with commas between.
A pre-shared key for TLS is in a file, too, a line IDENTITY:KEY as in mosquitto's psk_file.
Nothing of it is echoed, is an argument that others could see in the list of processes, or is
returned by any command of Voltpile; what the board has and is not given anew stays. The board
checks the whole before it takes effect.
"""

import base64
import getpass
import json
import os
import sys
from pathlib import Path

from . import port
from .errors import BadInput

ASKED = ("station_id", "broker", "user", "password")
# and on a board that has such a link
LINKS = {"wifi": ("wifi_ssid", "wifi_password"),
         "modem": ("modem_apn", "modem_user", "modem_password")}
UNASKED = ("meter_serial",)
QUIET = ("user", "password", "wifi_password", "modem_user", "modem_password")
# where a certificate's or key's DER goes on the board
TLS = {"ca": "tls/ca.der", "cert": "tls/cert.der", "key": "tls/key.der", "psk": "tls/psk"}

# The names of the fields that the board has, never what they hold; the kinds of its links; and
# what its outlets are built for, in mA.
_KNOWN = """
def _known():
    import json
    from firmware import config
    try:
        with open("board.json") as file:
            board = json.load(file)
    except (OSError, ValueError):
        board = {}
    print(json.dumps([list(config.given("config.json")),
        [link["kind"] for link in board.get("network", ())],
        [outlet["max_ma"] for outlet in board.get("outlets", ()) if "max_ma" in outlet]]))
_known()
"""
# What is given anew counts for more than what was changed of it since.
_MERGE = """
def _merge(text):
    import json, os
    from firmware import changes, config
    class Files:
        load = changes.file
        save = changes.write
    anew = json.loads(text)
    given = config.given("config.json")
    given.setdefault("format", config.FORMAT)
    given.update(anew)
    config.check(given, "config.json")
    with open("config.new", "w") as file:
        json.dump(given, file)
    os.rename("config.new", "config.json")
    fields = {name: None for name in anew if name in config.FIELDS}
    if "password" in fields:
        fields["password_before"] = None
    changes.save(Files, fields)
"""
_FORGET = """
import os
try:
    os.remove("tls/psk")
except OSError:
    pass
"""
# What the backend has had signed since, see firmware/uplink/own.py: it would go before.
_RENEWED = """
import os
for name in os.listdir():
    if name in ("own.1", "own.2"):
        os.remove(name)
"""
_MKDIR = """
import os
try:
    os.mkdir("tls")
except OSError:
    pass
"""


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--from", dest="source", metavar="FILE.json",
                        help="fields of config.json; no questions are asked then")
    for name, what in (("ca", "the certificate that the broker's must be signed by"),
                       ("cert", "the pile's own certificate"), ("key", "its private key")):
        parser.add_argument("--" + name, metavar="FILE", help=what + ", PEM or DER")
    parser.add_argument("--psk", metavar="FILE", help="TLS by a pre-shared key: a line"
                        " IDENTITY:KEY, 16 to 32 bytes of key in hex, as in mosquitto's psk_file")
    parser.add_argument("--no-psk", action="store_true",
                        help="forget that key: TLS by certificate again")
    parser.add_argument("--production", action="store_true",
                        help="close the prompt for good: only erasing the board opens it again")


def from_file(path):
    """The fields in the file `path`."""
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput("--from: expected a file with JSON, found %s: %s"
                       % (path, error.strerror)) from None
    except ValueError:
        raise BadInput("--from: expected JSON in %s, found none" % path) from None
    if not isinstance(given, dict):
        raise BadInput("--from: expected a JSON object in %s, found none" % path)
    return given


def from_environment():
    """The fields that the environment has."""
    names = ASKED + UNASKED + sum(LINKS.values(), ())
    return {name: os.environ["VOLTPILE_" + name.upper()] for name in names
            if "VOLTPILE_" + name.upper() in os.environ}


def ask(given, known, links):
    """Ask for what is not given; an empty answer leaves it out, or as it is on the board."""
    for name in sum((LINKS.get(link, ()) for link in links), ASKED):
        if name in given:
            continue
        kept = " (empty: as it is)" if name in known else ""
        prompt = "%s%s: " % (name.replace("_", " "), kept)
        answer = getpass.getpass(prompt) if name in QUIET else input(prompt).strip()
        if answer:
            given[name] = answer
    return given


def checked(given, known, built_for_ma):
    """Check what can be checked before a board is touched. `built_for_ma`: of each outlet."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from firmware import config

    tried = dict(given)
    if "station_id" in known:
        tried.setdefault("station_id", "known")
    try:
        config.check(tried, "the configuration")
    except ValueError as error:
        raise BadInput(str(error)) from None
    serials = [text.strip() for text in given.get("meter_serial", "").split(",")]
    if built_for_ma and len(serials) > len(built_for_ma):
        raise BadInput("meter_serial: expected at most %d, one an outlet with commas between,"
                       " found %d" % (len(built_for_ma), len(serials)))
    for serial in serials:
        if len(serial) > 32 or not (serial.isascii() and serial.isprintable()):
            raise BadInput("meter_serial: expected at most 32 plain characters a meter, found %r"
                           % serial)
    # As firmware.wiring has it, at the next start, where nobody may be watching any more.
    for name in ("cable_a", "breaker_a"):
        for most_ma in built_for_ma:
            if given.get(name) and not 6000 <= given[name] * 1000 <= most_ma:
                raise BadInput("%s: expected 0, or 6 to %d A (what the outlet is built for), found"
                               " %d A" % (name, most_ma // 1000, given[name]))


def der(path, option):
    """The DER in a PEM or DER file."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadInput("--%s: expected a file, found %s: %s"
                       % (option, path, error.strerror)) from None
    if b"-----BEGIN" in data:
        body = data.split(b"-----BEGIN", 1)[1].split(b"-----", 1)[1].split(b"-----END", 1)[0]
        if b"ENCRYPTED" in body or b"ENCRYPTED" in data.split(b"\n", 1)[0]:
            raise BadInput("--%s: expected a key without a password in %s: a board cannot ask for"
                           " it" % (option, path))
        try:
            data = base64.b64decode(b"".join(body.split()), validate=True)
        except ValueError:
            raise BadInput("--%s: expected base64 between BEGIN and END in %s" % (option, path)
                           ) from None
    if data[:1] != b"\x30":
        raise BadInput("--%s: expected PEM or DER in %s, found neither" % (option, path))
    return data


def shared_key(path, option):
    """The one line IDENTITY:HEX in the file `path`, as the board keeps it."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from firmware.uplink import secure

    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput("--%s: expected a file, found %s: %s"
                       % (option, path, error.strerror)) from None
    lines = [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]
    try:
        if len(lines) == 1 and lines[0].isascii():
            secure.read_key(lines[0])
            return lines[0]
    except ValueError:
        pass
    raise BadInput("--%s: expected one line IDENTITY:KEY in %s, 1 to %d plain characters without a"
                   " colon, then %d to %d bytes in hex; found something else"
                   % (option, path, secure.LONGEST, secure.LEAST, secure.MOST))


def main(args):
    """Run the sub-command; returns the exit code."""
    given = from_file(args.source) if args.source else from_environment()
    tls = {name: (shared_key if name == "psk" else der)(getattr(args, name), name)
           for name in TLS if getattr(args, name)}
    with port.Port(args.port) as board:
        board.bench()
        known, links, built_for_ma = json.loads(board.run(_KNOWN))
        if not args.source and sys.stdin.isatty():
            ask(given, known, links)
        try:
            checked(given, known, built_for_ma)
            if not (given or tls or args.production or args.no_psk):
                raise BadInput("expected something to provision, found nothing: answer the"
                               " questions, or give --from, --ca, --cert, --key, --psk, --no-psk"
                               " or --production")
        except BadInput:
            board.leave(2)
            raise
        if "cert" in tls or "key" in tls:
            board.run(_RENEWED)
        for name, data in tls.items():
            board.run(_MKDIR)
            board.write(TLS[name] + ".new", data)
            board.run("os.rename(%r, %r)" % (TLS[name] + ".new", TLS[name]))
        if args.no_psk and "psk" not in tls:
            board.run(_FORGET)
        if given or not known:
            board.run(_MERGE)
            board.run("_merge(%r)" % json.dumps(given))
        if args.no_psk and "psk" not in tls:
            print("forgotten: tls/psk")
        print("written: %s" % (", ".join(sorted(given) + sorted(TLS[name] for name in tls))
                               or "nothing new"))
        if args.production:
            board.run("open('production', 'w').close()")
        hello = port.judge(board.leave())
    print(hello)
    if args.production:
        print("in production: the prompt is closed, and only erasing the board opens it again")
    return 0
