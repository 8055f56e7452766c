"""Receipts made under MicroPython, before a judge who has read OCMF on his own: pyocmf."""

import json
import os
import random
import re
import subprocess
import sys

import pytest

from firmware.ledger import history, receipt
from tests.pile import charging, settings, simulate, step
from tests.unit import test_receipt
from tools.host import pile_process

N = 1000
FORM = re.compile(r'OCMF\|(\{[^|]+\})\|\{"SA":"ECDSA-secp256r1-SHA256","SD":"([0-9a-f]+)"\}')


@pytest.fixture(scope="module")
def ocmf():
    """pyocmf's OCMF."""
    if sys.version_info < (3, 11) and os.environ.get("CI") != "true":
        pytest.skip("pyocmf needs Python 3.11 or newer: no receipt was verified")
    import pyocmf

    return pyocmf.OCMF


@pytest.fixture(scope="module")
def made():
    """[(record, public key as SPKI in hex)]"""
    argv, env = pile_process.command("micropython")
    program = "from tests import receipts; receipts.some(%d, 1)" % N
    ran = subprocess.run([*argv[:-1], program], cwd=pile_process.REPO, env=env, text=True,
                         check=True, stdout=subprocess.PIPE)
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(found) == N
    return found


def parsed_and_verified(ocmf, record, public):
    """Whether pyocmf takes the record, without a word against it, and its signature."""
    from pyocmf import PyOCMFError

    try:
        return ocmf.from_string(record, strict=True).verify_signature(public)
    except PyOCMFError:
        return False


def test_a_thousand_verify(ocmf, made):
    assert len({record for record, _ in made}) == N
    for record, public in made:
        assert FORM.fullmatch(record), record
        assert parsed_and_verified(ocmf, record, public), record
        assert not ocmf.from_string(record).check_eichrecht(errors_only=True), record


def test_none_of_a_thousand_verifies_with_one_byte_altered(ocmf, made):
    chance = random.Random(1)
    same = 0
    for record, public in made:
        data = bytearray(record.encode("ascii"))
        at = chance.randrange(len(data))
        data[at] = chance.choice([byte for byte in range(32, 127) if byte != data[at]])
        altered = data.decode()
        if parsed_and_verified(ocmf, altered, public):
            # The same signature, written in another way, of the same payload; a record has but
            # one form.
            same += 1
            assert altered.split("|")[1] == record.split("|")[1]
            assert not FORM.fullmatch(altered), (at, altered)
    assert same < 50


def test_what_is_the_same_in_another_form_is_altered(ocmf, made):
    record, public = next((r, p) for r, p in made if re.search('"SD":"30[0-9a-f]*[a-f]', r))
    at = re.search('"SD":"30[0-9a-f]*?([a-f])', record).start(1)
    capital = record[:at] + record[at].upper() + record[at + 1:]
    assert parsed_and_verified(ocmf, capital, public) and not FORM.fullmatch(capital)


def test_bytes_that_are_no_text_fail_too(ocmf, made):
    record, public = made[0]
    for at in (0, 4, 20, len(record) // 2, len(record) - 3):
        for byte in (0, 10, 0x7F, 0xC3, 0xFF):
            data = bytearray(record.encode())
            data[at] = byte
            altered = data.decode("utf-8", "replace")
            assert not FORM.fullmatch(altered) or not parsed_and_verified(ocmf, altered, public)


def test_another_key_does_not_verify(ocmf, made):
    publics = sorted({public for _, public in made})
    assert len(publics) == N // 25
    for record, public in made[:50]:
        other = next(key for key in publics if key != public)
        assert not parsed_and_verified(ocmf, record, other)


def test_the_record_of_the_unit_test(ocmf):
    record = test_receipt.made(test_receipt.told())
    public = test_receipt.receipt.public_der(test_receipt.PUBLIC).hex()
    assert parsed_and_verified(ocmf, record, public)
    parsed = ocmf.from_string(record)
    assert [str(reading.RV) for reading in parsed.payload.RD] == ["1234.567", "1245.678"]
    assert [issue.code for issue in parsed.check_eichrecht()] == ["TIME_SYNC", "TIME_SYNC"]


def test_that_of_a_session_that_a_power_cut_has_ended(ocmf):
    _, station = simulate(60000, charging(step(30000, "power", for_ms=5000)), settings(receipts=1))
    (kept,) = history.sessions(station.board.store, print)
    public = receipt.public_der(station.receipt_keys[1]).hex()
    assert parsed_and_verified(ocmf, kept["receipt"], public)
    begin, end = ocmf.from_string(kept["receipt"]).payload.RD
    assert (begin.TX, begin.ST, end.TX, end.ST) == ("B", "G", "P", "S")
    assert 0 <= kept["end_mwh"] // 1000 - end.RV * 1000 < 1 and end.RV > begin.RV
    # It says by itself what it is not good for.
    issues = ocmf.from_string(kept["receipt"]).check_eichrecht()
    assert {"METER_STATUS", "ERROR_FLAGS"} <= {issue.code for issue in issues}


def test_keys_and_signatures_before_openssl():
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
    from cryptography.hazmat.primitives import hashes, serialization

    from firmware.ledger import p256

    for seed in range(20):
        key = random.Random(seed).randbytes(32)
        theirs = ec.derive_private_key(int.from_bytes(key, "big"), ec.SECP256R1()).public_key()
        *_, ours = p256.public(key)
        der = theirs.public_bytes(serialization.Encoding.DER,
                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        assert test_receipt.receipt.public_der(ours) == der
        digest = hashes.Hash(hashes.SHA256())
        digest.update(b"%d" % seed)
        *_, signature = p256.sign(key, digest.finalize())
        theirs.verify(signature, b"%d" % seed, ec.ECDSA(hashes.SHA256()))
