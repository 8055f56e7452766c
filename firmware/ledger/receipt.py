"""A signed receipt of a transaction: one OCMF record with its begin and its end (Open Charge
Metering Format 1.4 of S.A.F.E. e.V., OCMF-en.md); imported for one and let go of, see
firmware.let_go.

    OCMF|<payload>|{"SA":"ECDSA-secp256r1-SHA256","SD":"<DER in lower-case hex>"}

What is signed is the payload's bytes. A record has this one form: one whose signature section
differs by a byte (hex digits in capitals, say) counts as altered, even where a verifier reads the
same signature out of it. All of it is printable ASCII without another "|".

What is told of the transaction is a dict:

    "board": (vendor, model)                   GI
    "version": text                            GV, of the firmware
    "station": text                            GS and CI, the station's id
    "evse": int                                CI, from 1
    "page": int                                PG, a number that no other receipt of the pile has
    "meter": (vendor, model, serial, firmware) MV, MM, MS, MF; "" where not known
    "transaction": text                        XT (X: a field of ours), OCPP's transactionId
    "user": None, or (token, OCPP's type of it, who allowed it: a key of _ALLOWED, or "")
    "readings": ((ms, time_status, tx, mwh, status, errors), ...), the begin first, the end last

and of a reading: Unix time in ms, with the status "S" (synchronised), "I" (a clock for
information), "R" (relative to such a clock), or milliseconds since the start with "U" (the date is
not known; then the text counts from 1970); "B" begin, "C" charging, "S" suspended, "T" tariff
change, "X" error, or what `ending` gives; the register that never decreases, in mWh, told in whole
Wh, rounded down; the meter's status, "G" good, "T" silent, "S" a substitute (the last durable
value, say), see table 10; what may not be billed by any more, "" or some of "E" (energy) and "t"
(time).

`user` is None unless the configuration's `receipt_id` is "token": a receipt goes through many
hands and cannot be made to forget, and it is XT that ties it to the backend's transaction.
"""

from binascii import b2a_base64, crc32, hexlify
from hashlib import sha256

from micropython import const

from firmware import let_go
from firmware.clock import render

LONGEST = const(940)  # characters of a record of two readings, at most
READING = const(90)  # and for each one more
_KEY = "receipt.key"  # in the store: the private key, x and y of the public one, CRC-32 of both
_SECTIONS = 'OCMF|%s|{"SA":"ECDSA-secp256r1-SHA256","SD":"%s"}'
# SubjectPublicKeyInfo (RFC 5480) of an uncompressed point of secp256r1, up to its x
_SPKI = (
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d"
    b"\x03\x01\x07\x03\x42\x00\x04"
)
_IMPORTED = "01-00:B0.08.00*FF"  # OBIS, table 25: total import of energy from the mains
_ENDINGS = {  # OCPP's ReasonEnumType; any other is a plain end
    "Local": "L",
    "MasterPass": "L",
    "StoppedByEV": "L",
    "DeAuthorized": "R",
    "Remote": "R",
    "PowerLoss": "P",
    "EmergencyStop": "A",
    "GroundFault": "A",
    "ImmediateReset": "A",
    "OvercurrentFault": "A",
    "PowerQuality": "A",
    "Reboot": "A",
}
_ALLOWED = {
    "backend": "OCPP_AUTH",
    "remote": "OCPP_RS",
    "cache": "OCPP_CACHE",
    "list": "OCPP_WHITELIST",
}
_TYPES = {
    "Central": "CENTRAL",
    "EVCCID": "EVCCID",
    "eMAID": "EMAID",
    "ISO14443": "ISO14443",
    "ISO15693": "ISO15693",
    "KeyCode": "KEY_CODE",
    "Local": "LOCAL",
}
_LENGTHS = {"ISO14443": (8, 14), "ISO15693": (16,), "eMAID": (14, 15)}  # table 17


def keys(board, closed):
    """(private key, public key) of the pile, made now if it has none yet, see make_keys; None,
    with a word in the log, when they are damaged or cannot be kept, or while a contactor is
    `closed()`: at a boot a welded one, which has to be seen to first. For the boot.
    """
    try:
        pair = load(board.store)
        if pair or not closed():
            return pair or make_keys(board.store, board.secret)
        board.log.record("error", problem="no receipts: no key yet, and a contactor is closed")
    except (OSError, ValueError) as error:
        board.log.record("error", problem="no receipts: %r" % error)
    return None


def load(store):
    """(private key, public key) that the store has, None where there are none; the public one is
    of 64 bytes. Raises ValueError when they are damaged: a new pair would not fit what is printed
    on the pile, so making one is for somebody who knows that.
    """
    kept = store.load(_KEY)
    if kept is None:
        return None
    if len(kept) != 100 or crc32(kept[:96]) != int.from_bytes(kept[96:], "big"):
        raise ValueError("%s: expected 100 bytes with their CRC, found %d" % (_KEY, len(kept)))
    return kept[:32], kept[32:96]


def make_keys(store, secret):
    """A new pair of keys, kept in the store: 0.3 s on an RP2040, only while no contactor is
    closed. `secret(n)` gives n random bytes. Raises OSError.
    """
    p256 = _p256()
    key = p256.random_key(secret)
    *_, public = p256.public(key)
    kept = key + public  # pyright: ignore[reportOperatorIssue]
    store.replace(_KEY, (kept, crc32(kept).to_bytes(4, "big")))
    return kept[:32], kept[32:]


def public_der(public):
    """The public key as SubjectPublicKeyInfo in DER; its last 65 bytes are the point."""
    return _SPKI + public


def ending(reason):
    """The end's reading reason, for OCPP's ReasonEnumType."""
    return _ENDINGS.get(reason, "E")


def make(told, key):
    """Sign what is `told`: a generator that yields None after each of about 145 steps, and the
    record at last. Raises KeyError, TypeError or ValueError in the first of them when something
    is missing.
    """
    text = ""
    for piece in _pieces(told):
        text += piece
        yield
    p256 = _p256()
    yield
    for der in p256.sign(key, sha256(text.encode()).digest()):
        yield der and _SECTIONS % (text, hexlify(der).decode())


def signed_value(record, public=None):
    """OCPP's SignedMeterValueType of a record, with the public key unless that is None.

    signingMethod is left out, as the record says it; publicKey has the form of the Open Charge
    Alliance's application note "Signed Meter Values in OCPP", 3.2.2.
    """
    value = {"signedMeterData": _base64(record), "encodingMethod": "OCMF"}
    if public:
        value["publicKey"] = _base64("oca:base16:asn1:" + hexlify(public_der(public)).decode())
    return value


def payload(told):
    """What is signed."""
    return "".join(_pieces(told))


def _pieces(told):
    station = told["station"]
    evse = told["evse"]
    vendor, model, serial, firmware = told["meter"]
    fields = [
        ("FV", "1.4", 9),
        ("GI", "%s %s" % told["board"], 32),
        ("GS", station, 48),
        ("GV", told["version"], 16),
        ("PG", "T%d" % told["page"], 12),
        ("MV", vendor, 24),
        ("MM", model, 24),
        # It must be given: a meter without a number is known by GS and its outlet.
        ("MS", serial or "%d" % evse, 32),
        ("MF", firmware, 16),
    ]
    text = ['"%s":%s' % (name, _quoted(value, most)) for name, value, most in fields if value]
    yield "{" + ",".join(text)
    place = _quoted("%s %d" % (station, evse), 52)
    transaction = _quoted(told["transaction"], 36)
    yield ',%s,"CT":"CBIDC","CI":%s,"XT":%s,"RD":[' % (_user(told["user"]), place, transaction)
    separator = ""
    for reading in _readings(told["readings"]):
        yield separator + reading
        separator = ","
    yield "]}"


def _user(user):
    if not (user and user[0]):  # nobody, or whoever came where it is free to all
        return '"IS":false,"IL":"NONE","IF":[],"IT":"NONE"'
    token, kind, allowed = user
    flags = []
    if kind[:3] == "ISO":
        flags.append('"RFID_PLAIN"')
    if allowed:
        flags.append('"%s"' % _ALLOWED[allowed])
    known = _TYPES.get(kind, "UNDEFINED")
    if len(token) not in _LENGTHS.get(kind, (len(token),)):
        known = "UNDEFINED"
    return '"IS":true,"IL":"%s","IF":[%s],"IT":"%s","ID":%s' % (
        "TRUSTED" if allowed else "HEARSAY",
        ",".join(flags),
        known,
        _quoted(token, 40),
    )


def _readings(readings):
    # A field that is as in the reading before is left out (OCMF, "Readings").
    before = ()
    for ms, time_status, tx, mwh, status, errors in readings:
        time = render(ms)
        wh = mwh // 1000
        text = '{"TM":"%s,%s+0000 %s","TX":"%s","RV":%d.%03d' % (
            time[:19],
            time[20:23],
            time_status,
            tx,
            wh // 1000,
            wh % 1000,
        )
        if not before:
            text += ',"RI":"%s","RU":"kWh","RT":"AC"' % _IMPORTED
        for name, value in (("EF", errors), ("ST", status)):
            if (name, value) not in before:
                text += ',"%s":"%s"' % (name, value)
        before = (("EF", errors), ("ST", status))
        yield text + "}"


def _quoted(value, most):
    # JSON in ASCII, without the "|" that separates OCMF's sections, at most so long
    data = value.encode()
    if data and min(data) >= 32 and max(data) <= 126 and not [1 for c in '"\\|' if c in value]:
        return '"%s"' % value[:most]  # nearly always; letter by letter takes milliseconds
    text = ""
    for letter in value:
        if not " " <= letter <= "~" or letter in '"\\|':
            letter = "\\u%04x" % min(ord(letter), 0xFFFD)
        if len(text) + len(letter) > most:
            break
        text += letter
    return '"%s"' % text


def _base64(text):
    return b2a_base64(text.encode()).decode().strip()


def _p256():
    try:
        from firmware.ledger import p256
    finally:
        let_go("firmware.ledger.p256")
    return p256
