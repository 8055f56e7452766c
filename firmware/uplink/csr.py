"""Makes a key of the pile and the request to sign it (PKCS #10, RFC 2986); imported for one and
let go of.
"""

from binascii import b2a_base64
from hashlib import sha256

from firmware import borrow

_P256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"  # secp256r1 (RFC 5480)
_EC_KEY = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"  # id-ecPublicKey
_SIGNED = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"  # ecdsa-with-SHA256 (RFC 5758)
_ORGANIZATION = b"\x06\x03\x55\x04\x0a"
_NAME = b"\x06\x03\x55\x04\x03"


def make(secret, station_id, organization):
    """A generator that yields None after each of some 300 steps of a few ms, and at last (private
    key as DER (RFC 5915), public key as the 65 bytes of its point, request as PEM).

    `secret(n)` gives n random bytes. The request is for the common name `station_id`, of the
    `organization` unless that is "".
    """
    p256 = borrow("firmware.ledger.p256")
    key = p256.random_key(secret)
    public = None
    for public in p256.public(key):
        if public is None:
            yield
    public = b"\4" + public  # pyright: ignore[reportOperatorIssue]
    point = _der(0x03, b"\0" + public)
    name = _der(0x30, _attribute(_ORGANIZATION, organization) + _attribute(_NAME, station_id))
    info = b"\2\1\0" + name + _der(0x30, _der(0x30, _EC_KEY + _P256) + point) + b"\xa0\0"
    info = _der(0x30, info)
    signature = b""
    for signature in p256.sign(key, sha256(info).digest()):
        if signature is None:
            yield
    signature = _der(0x03, b"\0" + signature)  # pyright: ignore[reportOperatorIssue]
    request = _der(0x30, info + _der(0x30, _SIGNED) + signature)
    private = b"\2\1\1" + _der(0x04, key) + _der(0xA0, _P256) + _der(0xA1, point)
    yield _der(0x30, private), public, _pem(request)


def _attribute(kind, text):
    # One of a name's, as UTF8String.
    return _der(0x31, _der(0x30, kind + _der(0x0C, text.encode()))) if text else b""


def _der(kind, data):
    size = len(data)
    if size < 128:
        return bytes((kind, size)) + data
    if size < 256:
        return bytes((kind, 0x81, size)) + data
    return bytes((kind, 0x82, size >> 8, size & 255)) + data


def _pem(data):
    text = "-----BEGIN CERTIFICATE REQUEST-----\n"
    for at in range(0, len(data), 48):
        text += b2a_base64(data[at : at + 48]).decode()
    return text + "-----END CERTIFICATE REQUEST-----\n"
