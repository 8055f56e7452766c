"""What the pile reads of certificates is what `cryptography` does; the installer's root stays."""

import datetime
import hashlib
import random

import pytest

from firmware import borrow
from tests.pile import simulate, step

x509 = pytest.importorskip("cryptography.x509")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

from tests.host.certificates import Authority  # noqa: E402

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def _root(rng, key):
    names = [x509.NameAttribute(oid, text) for oid, text in (
        (x509.NameOID.COUNTRY_NAME, "CN"), (x509.NameOID.ORGANIZATION_NAME, "\u5145\u7535 GmbH"),
        (x509.NameOID.COMMON_NAME, "Root %d" % rng.randrange(1000)))][rng.randrange(3):]
    name = x509.Name(names)
    since = datetime.datetime(rng.choice((2001, 2025, 2049)), 2, 3, 4, 5, 6)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(rng.randrange(1, 1 << rng.randrange(1, 159)))
        .not_valid_before(since).not_valid_after(since + datetime.timedelta(days=9000)))
    if rng.random() < 0.5:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    authority = rng.random() < 0.7
    length = rng.choice((None, 0, 3)) if authority else None
    if rng.random() < 0.9:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=length),
                                        critical=rng.random() < 0.5)
    else:
        authority = False
    return builder.sign(key, rng.choice((hashes.SHA256(), hashes.SHA384()))), since, authority


def test_certificates_are_read_as_others_read_them():
    rng = random.Random(5)
    der = borrow("firmware.uplink.der")
    keys = [ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()),
            rsa.generate_private_key(65537, 2048)]
    for _ in range(100):
        key = rng.choice(keys)
        made, since, authority = _root(rng, key)
        data = der.of_pem(made.public_bytes(PEM).decode())
        assert data == made.public_bytes(DER)
        found = der.read(data)
        assert found["issuer"] == found["subject"] == made.issuer.public_bytes()
        assert found["from"] == since.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert found["authority"] == authority
        form = (serialization.PublicFormat.PKCS1 if key is keys[2]
                else serialization.PublicFormat.UncompressedPoint)
        bits = key.public_key().public_bytes(DER if key is keys[2] else
                                             serialization.Encoding.X962, form)
        assert der.hashes(data) == {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": hashlib.sha256(made.issuer.public_bytes()).hexdigest(),
            "issuerKeyHash": hashlib.sha256(bits).hexdigest(),
            "serialNumber": "%x" % made.serial_number,
        }


def test_what_is_no_certificate_is_a_value_error():
    rng = random.Random(6)
    der = borrow("firmware.uplink.der")
    good = Authority().certificate.public_bytes(DER)
    for n in range(len(good)):
        with pytest.raises(ValueError):
            der.read(good[:n])
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.choice((1, 2, 5))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            der.read(bytes(data))
        except ValueError:
            pass


def test_the_installers_root_is_told_of_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Authority().issue(tmp_path / "tls", "CP-1")
    trace, _ = simulate(2000, [
        step(1000, "backend", message=[2, "a", "GetInstalledCertificateIds", {}])])
    (chain,) = trace.answers()[0][2]["certificateHashDataChain"]
    assert chain["certificateType"] == "CSMSRootCertificate"
    trace, _ = simulate(2000, [step(1000, "backend", message=[2, "b", "DeleteCertificate", {
        "certificateHashData": chain["certificateHashData"]}])])
    assert trace.answers()[0][2]["status"] == "Failed"
    assert (tmp_path / "tls" / "ca.der").exists()
