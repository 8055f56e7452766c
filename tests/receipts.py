"""Random receipts, made on whatever interpreter this runs on, for a judge on the host."""

import json
from binascii import hexlify

from firmware.ledger import receipt
from hal.virtual.random import Random

A_KEY = 25  # receipts signed by one key
_TEXTS = ("CP-7", "DE*ABC*E12345*1", 'a "b" | c\\d', "\u5145\u7535\u6869 3", "x" * 60, "-")
_TYPES = ("ISO14443", "ISO15693", "Central", "eMAID", "Local", "MacAddress", "KeyCode", "VIN")
_ALLOWED = ("", "backend", "remote", "cache", "list")
_HEX = "0123456789ABCDEF"


class _Store:
    def replace(self, name, chunks):
        pass


def some(n, seed):
    """Print `n` random receipts, a JSON line each: [record, public key as SPKI in hex]."""
    random = Random(seed)
    key = public = None
    for i in range(n):
        if i % A_KEY == 0:
            key, public = receipt.make_keys(_Store(), lambda n: _bytes(random, n))
        *_, record = receipt.make(told(random, i), key)
        print(json.dumps([record, hexlify(receipt.public_der(public)).decode()]))


def told(random, page):
    """What a random receipt is made of."""

    def one(choices):
        return choices[random.below(len(choices))]

    user = None
    if random.below(2):
        token = "".join([one(_HEX) for _ in range(one((8, 14, 15, 16, 20)))])
        user = (token, one(_TYPES), one(_ALLOWED))
    meter = [one(_TEXTS) if random.below(3) else "" for _ in range(4)]
    ms = 946684800000 + random.below(1 << 20) * 86400 + random.below(86400000)
    mwh = random.below(1 << 30) * random.below(1000)
    status = one("UISR")
    readings = [(ms, status, "B", mwh, "G", "")]
    for _ in range(one((0, 0, 0, 1, 2))):
        ms, mwh = ms + random.below(1 << 28), mwh + random.below(1 << 25)
        readings.append((ms, status, one("CXST"), mwh, one("GGGTS"), one(("", "", "t"))))
    ms, mwh = ms + random.below(1 << 28), mwh + random.below(1 << 25)
    readings.append((ms, status, one("ELRAP"), mwh, "G", ""))
    return {
        "board": (one(_TEXTS), one(_TEXTS)),
        "version": "0.1.0",
        "station": one(_TEXTS),
        "evse": 1 + random.below(12),
        "page": page,
        "meter": meter,
        "transaction": "s%d-t%d" % (random.below(1 << 20), page),
        "user": user,
        "readings": readings,
    }


def _bytes(random, n):
    return bytes([random.below(256) for _ in range(n)])
