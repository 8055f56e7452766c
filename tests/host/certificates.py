"""Certificates for tests: an authority's, and what it signs."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """`issue(names)` signs for host names and addresses."""

    def __init__(self, name="Test CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), -1, 3650, True)

    def _sign(self, subject, key, from_days, to_days, authority, names=()):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + from_days * DAY).not_valid_after(now + to_days * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, folder, *names, from_days=-1, to_days=365):
        """Sign for `names` and put `cert.pem`, `key.pem`, `ca.pem`, and the same as .der, into
        `folder`.
        """
        folder.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made = self._sign(subject, key.public_key(), from_days, to_days, False, names)
        for name, encoding in (("pem", serialization.Encoding.PEM),
                               ("der", serialization.Encoding.DER)):
            (folder / ("ca." + name)).write_bytes(self.certificate.public_bytes(encoding))
            (folder / ("cert." + name)).write_bytes(made.public_bytes(encoding))
            (folder / ("key." + name)).write_bytes(key.private_bytes(
                encoding, serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption()))
        return folder


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
