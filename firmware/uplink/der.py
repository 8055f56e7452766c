"""Reads as much of a certificate (X.509, RFC 5280) as a pile must know of it; imported for one and
let go of. It judges no signature: TLS does.
"""

from binascii import a2b_base64, hexlify
from hashlib import sha256

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_BASIC = b"\x06\x03\x55\x1d\x13"  # id-ce-basicConstraints
_COMMON_NAME = b"\x55\x04\x03"  # id-at-commonName


def of_pem(text):
    """The DER of the one certificate in the PEM `text`. Raises ValueError."""
    begin = text.find(_BEGIN)
    end = text.find(_END)
    if begin < 0 or end < begin or text.find(_BEGIN, end) >= 0:
        raise ValueError("expected one certificate in PEM")
    if text[:begin].strip() or text[end + len(_END) :].strip():
        raise ValueError("expected nothing beside the certificate")
    lines = text[begin + len(_BEGIN) : end].split()
    for line in lines:
        for c in line:
            if not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "+/="):
                raise ValueError("expected base64")
    return a2b_base64("".join(lines))


def of_chain(text, most):
    """The DER of each of the 1 to `most` certificates in the PEM `text`, in a list. Raises
    ValueError.
    """
    parts = text.split(_END)
    if parts.pop().strip() or not 1 <= len(parts) <= most:
        raise ValueError("expected 1 to %d certificates in PEM" % most)
    return [of_pem(part + _END) for part in parts]


def read(data):
    """What the certificate `data` (DER) says: {"serial": hex, "issuer" and "subject": DER, "from"
    and "to": RFC 3339, "key": the public key's bits, "authority": whether it may sign others}.
    Raises ValueError for what is none.
    """
    try:
        return _read(data)
    except IndexError:
        raise ValueError("a certificate that is cut short")


def common_name(name):
    """The common name in the DER of a name; None where it has none. Raises ValueError, and
    IndexError where it is cut short.
    """
    at, end = _inner(name, 0, 0x30)
    while at < end:
        pair, at = _inner(name, at, 0x31)
        while pair < at:
            kind, pair = _inner(name, pair, 0x30)
            begin, value = _inner(name, kind, 0x06)
            if name[begin:value] == _COMMON_NAME:
                begin, value = _inner(name, value, name[value])
                return str(name[begin:value], "utf-8")
    return None


def hashes(data):
    """OCPP's CertificateHashDataType of a root's certificate: it has signed itself."""
    found = read(data)
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": _sum(found["issuer"]),
        "issuerKeyHash": _sum(found["key"]),
        "serialNumber": found["serial"],
    }


def _sum(data):
    return hexlify(sha256(data).digest()).decode()


def _read(data):
    outer, end = _inner(data, 0, 0x30)
    if end != len(data):
        raise ValueError("%d bytes behind the certificate" % (len(data) - end))
    at, end = _inner(data, outer, 0x30)
    _inner(data, _inner(data, end, 0x30)[1], 0x03)  # the signature, behind its algorithm
    if data[at] == 0xA0:
        at = _inner(data, at, 0xA0)[1]
    serial, at = _inner(data, at, 0x02)
    number = hexlify(data[serial:at]).decode().lstrip("0") or "0"
    if len(number) > 40 or data[serial] & 0x80:
        raise ValueError("serial number: expected at most 20 bytes, positive")
    at = _inner(data, at, 0x30)[1]
    issuer = at
    at = _inner(data, at, 0x30)[1]
    issuer = data[issuer:at]
    times, after = _inner(data, at, 0x30)
    since, at = _time(data, times)
    until, at = _time(data, at)
    subject = after
    at = _inner(data, after, 0x30)[1]
    subject = data[subject:at]
    key, after = _inner(data, at, 0x30)
    bits, _ = _inner(data, _inner(data, key, 0x30)[1], 0x03)
    return {
        "serial": number,
        "issuer": issuer,
        "subject": subject,
        "from": since,
        "to": until,
        "key": data[bits + 1 : after],
        "authority": _authority(data[after:end]),
    }


def _inner(data, at, kind):
    # (begin, end) of what the element at `at` has within.
    if data[at] != kind:
        raise ValueError("byte %d: expected the tag %02x, found %02x" % (at, kind, data[at]))
    size = data[at + 1]
    at += 2
    if size > 127:
        n = size & 127
        if not 1 <= n <= 2:
            raise ValueError("byte %d: a length of %d bytes" % (at, n))
        size = int.from_bytes(data[at : at + n], "big")
        at += n
    if at + size > len(data):
        raise IndexError
    return at, at + size


def _time(data, at):
    # UTCTime or GeneralizedTime, in UTC.
    short = data[at] == 0x17
    begin, end = _inner(data, at, 0x17 if short else 0x18)
    text = str(data[begin:end], "utf-8")
    if short:
        text = ("20" if text[:2] < "50" else "19") + text
    if len(text) != 15 or text[14] != "Z" or not text[:14].isdigit():
        raise ValueError("time: expected YYYYMMDDHHMMSSZ, found %r" % text)
    parts = text[:4], text[4:6], text[6:8], text[8:10], text[10:12], text[12:14]
    return "%s-%s-%sT%s:%s:%sZ" % parts, end


def _authority(extensions):
    # Whether basicConstraints begins with cA TRUE.
    at = extensions.find(_BASIC)
    if at < 0:
        return False
    at += len(_BASIC)
    if extensions[at] == 0x01:  # critical
        at += 3
    at = _inner(extensions, at, 0x04)[0]
    begin, end = _inner(extensions, at, 0x30)
    return end - begin >= 3 and extensions[begin : begin + 3] == b"\1\1\xff"
