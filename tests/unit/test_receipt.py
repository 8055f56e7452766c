"""Receipts: the OCMF record of a transaction to the byte, and the key that signs it."""

import json
from binascii import a2b_base64, hexlify, unhexlify

from firmware.ledger import receipt
from tests.support import raises

KEY = unhexlify("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
PUBLIC = unhexlify(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
# Of the record below, by this code; tests/host/test_receipts.py has another judge.
SIGNATURE = (
    "3045022062c43943eaae9726c47b3c9a895660cd5ffa5c3ffeea795793e4624285ca82e802"
    "2100c74e70a41f2874ecdda2b65ad4bfb9c5e7ea241fe0e026c4dc990f97b6eda4cf"
)
BEGAN_MS = 1769860800123  # 2026-01-31T12:00:00.123Z


def told(**more):
    """What `make` is told of a plain session."""
    told = {
        "board": ("Voltpile", "Virtual AC"),
        "version": "0.1.0",
        "station": "CP-7",
        "evse": 1,
        "page": 12,
        "meter": ("Belling", "BL0942", "", ""),
        "transaction": "a1b2-t1-3",
        "user": None,
        "readings": (
            (BEGAN_MS, "I", "B", 1234567999, "G", ""),
            (BEGAN_MS + 3600000, "I", "L", 1245678000, "G", ""),
        ),
    }
    told.update(more)
    return told


class Store:
    def __init__(self):
        self.kept = {}

    def load(self, name):
        return self.kept.get(name)

    def replace(self, name, chunks):
        self.kept[name] = b"".join([bytes(chunk) for chunk in chunks])


def made(what):
    *before, record = receipt.make(what, KEY)
    assert before == [None] * len(before) and 138 < len(before) < 150
    return record


def fields(**more):
    return json.loads(receipt.payload(told(**more)))


def test_a_record_to_the_byte():
    assert made(told()) == (
        'OCMF|{"FV":"1.4","GI":"Voltpile Virtual AC","GS":"CP-7","GV":"0.1.0","PG":"T12",'
        '"MV":"Belling","MM":"BL0942","MS":"1",'
        '"IS":false,"IL":"NONE","IF":[],"IT":"NONE","CT":"CBIDC","CI":"CP-7 1","XT":"a1b2-t1-3",'
        '"RD":[{"TM":"2026-01-31T12:00:00,123+0000 I","TX":"B","RV":1234.567,'
        '"RI":"01-00:B0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},'
        '{"TM":"2026-01-31T13:00:00,123+0000 I","TX":"L","RV":1245.678}]}|'
        '{"SA":"ECDSA-secp256r1-SHA256","SD":"%s"}' % SIGNATURE
    )


def test_a_user_is_in_it_only_where_that_is_wished():
    for user, level, flags, kind in (
        (None, "NONE", [], "NONE"),
        (("", "NoAuthorization", ""), "NONE", [], "NONE"),
        (("04A1B2C3D4E5F6", "ISO14443", "backend"), "TRUSTED", ["RFID_PLAIN", "OCPP_AUTH"],
         "ISO14443"),
        (("04A1B2C3", "ISO14443", "cache"), "TRUSTED", ["RFID_PLAIN", "OCPP_CACHE"], "ISO14443"),
        (("04A1B2C3", "ISO14443", "list"), "TRUSTED", ["RFID_PLAIN", "OCPP_WHITELIST"],
         "ISO14443"),
        (("04A1B2C3", "ISO14443", ""), "HEARSAY", ["RFID_PLAIN"], "ISO14443"),
        # OCMF knows no card of ten bytes
        (("04" * 10, "ISO14443", ""), "HEARSAY", ["RFID_PLAIN"], "UNDEFINED"),
        (("E007000012345678", "ISO15693", ""), "HEARSAY", ["RFID_PLAIN"], "ISO15693"),
        (("anna", "Central", "remote"), "TRUSTED", ["OCPP_RS"], "CENTRAL"),
        (("DETNME12345678X", "eMAID", "backend"), "TRUSTED", ["OCPP_AUTH"], "EMAID"),
        (("0A1B2C3D4E5F", "MacAddress", "backend"), "TRUSTED", ["OCPP_AUTH"], "UNDEFINED"),
        (("0815", "KeyCode", "backend"), "TRUSTED", ["OCPP_AUTH"], "KEY_CODE"),
    ):
        found = fields(user=user)
        assert found["IS"] is (level != "NONE") and found["IL"] == level
        assert found["IF"] == flags and found["IT"] == kind
        assert found.get("ID") == (user and user[0] or None)
        assert user or "04A1" not in receipt.payload(told(user=user))


def test_readings_say_what_is_new():
    readings = (
        (83456789, "U", "B", 0, "G", ""),
        (BEGAN_MS, "S", "X", 999, "S", "Et"),
        (BEGAN_MS + 1, "R", "C", 1000, "S", "Et"),
        (BEGAN_MS + 2, "R", "P", 1999999, "G", ""),
    )
    found = fields(readings=readings)["RD"]
    assert [reading["TM"] for reading in found] == [
        "1970-01-01T23:10:56,789+0000 U",
        "2026-01-31T12:00:00,123+0000 S",
        "2026-01-31T12:00:00,124+0000 R",
        "2026-01-31T12:00:00,125+0000 R",
    ]
    text = receipt.payload(told(readings=readings))
    for value in ('"RV":0.000,', '"RV":0.000,"EF":"Et"', '"RV":0.001}', '"RV":1.999,'):
        assert value in text, value
    assert [reading["TX"] for reading in found] == ["B", "X", "C", "P"]
    assert [reading.get("EF") for reading in found] == ["", "Et", None, ""]
    assert [reading.get("ST") for reading in found] == ["G", "S", None, "G"]
    assert [reading.get("RU") for reading in found] == ["kWh", None, None, None]


def test_endings():
    for reason, ending in (
        ("Local", "L"), ("Remote", "R"), ("DeAuthorized", "R"), ("PowerLoss", "P"),
        ("GroundFault", "A"), ("EVDisconnected", "E"), ("Timeout", "E"), ("whatever", "E"),
    ):
        assert receipt.ending(reason) == ending


def test_text_stays_json_and_one_section():
    station = 'a|b"c\\d\n\u00e9\u4e2d'
    found = fields(station=station)
    text = receipt.payload(told(station=station))
    assert found["GS"] == station and found["CI"] == station + " 1"
    assert "|" not in text and all(" " <= letter <= "~" for letter in text)
    assert fields(station="\U0001f50c")["GS"] == "\ufffd"
    # cut between letters, never within one
    assert fields(transaction="\u00e9" * 36)["XT"] == "\u00e9" * 6


def test_the_longest():
    long = "x" * 99
    last_ms = 7258118399999  # of the year 2199
    readings = [
        (last_ms, "I", "B", (1 << 50), "G", "Et"),
        (last_ms, "I", "P", (1 << 50), "S", ""),
    ]
    what = told(board=(long, long), version=long, station=long, page=4294967295,
                meter=(long, long, long, long), transaction=long, readings=readings)
    what["user"] = ("0" * 99, "ISO14443", "list")
    assert receipt.LONGEST - 50 < len(made(what)) <= receipt.LONGEST
    what["readings"] = [readings[0], (last_ms, "I", "X", 1 << 50, "S", "t"), readings[1]]
    assert len(made(what)) <= receipt.LONGEST + receipt.READING
    assert len(made(told())) < 600


def test_what_is_missing_is_told_before_it_is_signed():
    what = told()
    del what["page"]
    steps = receipt.make(what, KEY)
    assert "page" in str(raises(KeyError, next, steps))
    raises(ValueError, list, receipt.make(told(readings=((1, "U"),)), KEY))


def test_keys_stay_in_the_store():
    store = Store()
    assert receipt.load(store) is None
    asked = []

    def secret(n):
        asked.append(n)
        return bytes([n & 255]) * n

    key, public = receipt.make_keys(store, secret)
    assert receipt.load(store) == (key, public) and len(key) == 32 and len(public) == 64
    assert asked == [256] and len(store.kept["receipt.key"]) == 100
    whole = store.kept["receipt.key"]
    for damaged in (b"", whole[:-1], whole + b"\0", b"\0" + whole[1:], whole[:99] + b"\0"):
        store.kept["receipt.key"] = damaged
        assert "receipt.key: expected 100 bytes" in str(raises(ValueError, receipt.load, store))
    assert receipt.make_keys(store, lambda n: b"other" * n)[0] != key


class Board:
    def __init__(self):
        self.store = Store()
        self.log = self
        self.told = []

    def secret(self, n):
        return bytes(n)

    def record(self, what, **fields):
        self.told.append((what, fields))


def test_a_pile_makes_its_keys_once_and_lives_without():
    board = Board()
    assert receipt.keys(board, lambda: True) is None and not board.store.kept
    assert "a contactor is closed" in board.told.pop()[1]["problem"]
    pair = receipt.keys(board, bool)
    board.secret = lambda n: b"other" * n
    assert pair and receipt.keys(board, lambda: True) == pair and not board.told
    board.store.kept["receipt.key"] = b"damaged"
    assert receipt.keys(board, bool) is None and board.store.kept["receipt.key"] == b"damaged"
    assert "no receipts: ValueError" in board.told[0][1]["problem"]
    full = Board()

    def fail(name, chunks):
        raise OSError(28)

    full.store.replace = fail
    assert receipt.keys(full, bool) is None and "OSError" in full.told[0][1]["problem"]


def test_a_key_out_of_range_is_drawn_again():
    store = Store()
    asked = []
    module = receipt._p256()
    make_key = module.make_key
    module.make_key = lambda data: make_key(data) if len(asked) > 2 else None
    p256 = receipt._p256
    receipt._p256 = lambda: module
    try:
        receipt.make_keys(store, lambda n: asked.append(n) or bytes(n))
    finally:
        receipt._p256 = p256
    assert asked == [256, 257, 258]


def test_what_goes_to_the_backend():
    record = made(told())
    value = receipt.signed_value(record)
    assert sorted(value) == ["encodingMethod", "signedMeterData"]
    assert value["encodingMethod"] == "OCMF"
    assert a2b_base64(value["signedMeterData"].encode()).decode() == record
    value = receipt.signed_value(record, PUBLIC)
    assert a2b_base64(value["publicKey"].encode()).decode() == (
        "oca:base16:asn1:3059301306072a8648ce3d020106082a8648ce3d03010703420004"
        + hexlify(PUBLIC).decode()
    )
    assert "\n" not in value["publicKey"] + value["signedMeterData"]
    assert len(receipt.public_der(PUBLIC)) == 91
