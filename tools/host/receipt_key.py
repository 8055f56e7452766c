"""Show the public key of a pile's receipts, in hex and as a QR code for the pile's label.

It is SubjectPublicKeyInfo in DER, as OCMF's verifiers want it. A pile that has no key yet makes
one; the private half never leaves it. With --new it makes another: receipts of before need the key
of before, which is told for the last time then. The pile is stopped for it, and started again.
"""

import json
import sys
from pathlib import Path

from . import build, port
from .errors import BadInput, Failed

_READ = """
import hal, json
from binascii import hexlify
from firmware.ledger import receipt
def _read(new):
    board = hal.load("board.json")
    old = wrong = None
    try:
        old = receipt.load(board.store)
    except ValueError as error:
        wrong = str(error)
    pair = old
    if new or not (old or wrong):
        pair = receipt.make_keys(board.store, board.secret)
    print(json.dumps([wrong] + [found and hexlify(receipt.public_der(found[1])).decode()
                                for found in (old, pair)]))
"""
_SCALE = 8  # pixels of a picture that are one of the code


def arguments(parser):
    """Declare the sub-command's arguments."""
    port.argument(parser)
    parser.add_argument("--png", metavar="FILE", help="where the QR code goes as a picture")
    parser.add_argument("--new", action="store_true", help="let the pile make another key")


def main(args):
    """Run the sub-command; returns the exit code."""
    with port.Port(args.port) as board:
        board.bench()
        try:
            told = board.run(build.program(_READ) + "\n_read(%r)" % args.new, 60)
        finally:
            board.leave(2)
    wrong, old, key = json.loads(told.splitlines()[-1])
    if key is None:
        raise Failed("the key of the pile at %s is damaged (%s): it signs no receipts; --new lets"
                     " it make another" % (args.port, wrong))
    if args.new and old:
        print("the key until now: %s" % old, file=sys.stderr)
        if key == old:  # whose chance is a seed
            print("a virtual board makes the same key each time", file=sys.stderr)
    elif old is None:
        print("the key is new", file=sys.stderr)
    print(key)
    code = qr(key)
    code.terminal(sys.stdout, compact=True)
    if args.png:
        try:
            code.save(args.png, kind="png", scale=_SCALE)
        except OSError as error:
            raise BadInput("--png: expected a file that can be written, found %s: %s"
                           % (Path(args.png), error.strerror)) from None
    return 0


def qr(key):
    """The QR code of the key in hex: in capitals, which take half of the room."""
    import segno

    return segno.make_qr(key.upper(), error="m")
