"""Certificates for tests on every interpreter: in their form, but signed by nobody. Those that TLS
takes are made by tests/host/certificates.py.
"""

from binascii import a2b_base64, b2a_base64

_P256 = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
_SIGNED = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
_BASIC = b"\xa3\x13\x30\x11\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"
_POINT = b"\x03\x42\x00\x04"


def element(kind, data):
    """One of DER."""
    size = len(data)
    if size < 128:
        return bytes((kind, size)) + data
    return bytes((kind, 0x82, size >> 8, size & 255)) + data


def name(text):
    """A name with an organization and the common name `text`."""
    parts = b""
    for kind, value in ((0x0A, "Voltpile Test"), (0x03, text)):
        pair = b"\x06\x03\x55\x04" + bytes((kind,)) + element(0x0C, value.encode())
        parts += element(0x31, element(0x30, pair))
    return element(0x30, parts)


def made(point, subject, issuer="CA", since="20250101", until="20600101", authority=False):
    """A certificate (DER) for the public key `point`, 65 bytes; dates as YYYYMMDD."""
    dates = b"".join([element(0x18, (day + "000000Z").encode()) for day in (since, until)])
    body = b"\xa0\x03\x02\x01\x02\x02\x01\x07" + _SIGNED + name(issuer) + element(0x30, dates)
    body += name(subject) + element(0x30, _P256 + element(0x03, b"\0" + point))
    if authority:
        body += _BASIC
    return element(0x30, element(0x30, body) + _SIGNED + element(0x03, b"\0" + bytes(70)))


def pem(*certificates):
    """They as PEM, one after the other."""
    text = ""
    for data in certificates:
        text += "-----BEGIN CERTIFICATE-----\n"
        for at in range(0, len(data), 48):
            text += b2a_base64(data[at : at + 48]).decode()
        text += "-----END CERTIFICATE-----\n"
    return text


def point(csr):
    """The public key, 65 bytes, in a request (PEM)."""
    data = a2b_base64("".join(csr.split("-----")[2].split()))
    at = data.find(_POINT) + 3
    return data[at : at + 65]
