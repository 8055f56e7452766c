"""The pile's certificate is renewed over the line: what it asks for verifies, and a real broker
takes what it got, on MicroPython.
"""

import asyncio
import contextlib
import datetime
import json
import random
import time

import pytest

from firmware import borrow
from tests.host.conftest import broker, free_port
from tests.pile import settings, simulate, step
from tools.host import pile_process, scenario
from tools.host.backend import Backend

x509 = pytest.importorskip("cryptography.x509")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

from tests.host.certificates import DAY, Authority  # noqa: E402

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


@pytest.mark.parametrize("station_id, organization", [
    ("CP-1", ""), ("CP-1", "Piles & Co"), ("\u5145\u7535 7", "\u00c4"), ("x" * 48, "y" * 64),
])
def test_a_request_verifies(station_id, organization):
    rng = random.Random(station_id)
    csr = borrow("firmware.uplink.csr")
    for _ in range(5):
        *steps, (key, public, pem) = csr.make(rng.randbytes, station_id, organization)
        assert set(steps) == {None} and len(steps) > 200
        request = x509.load_pem_x509_csr(pem.encode())
        assert request.is_signature_valid
        assert isinstance(request.signature_hash_algorithm, hashes.SHA256)
        names = [(one.oid, one.value) for one in request.subject]
        wanted = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, station_id)]
        assert names == [one for one in wanted if one[1]]
        point = request.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        private = serialization.load_der_private_key(key, None)
        assert point == public and private.public_key() == request.public_key()
        assert isinstance(private.curve, ec.SECP256R1)


@pytest.mark.parametrize("what, to_days, said", [
    ("soon", 20, "asked for"), ("not soon", 40, None), ("no certificate", 20, None),
    ("damaged", 20, "problem"),
])
def test_what_was_provisioned_is_renewed_in_time(tmp_path, monkeypatch, what, to_days, said):
    monkeypatch.chdir(tmp_path)
    Authority().issue(tmp_path / "tls", "CP-1", to_days=to_days)
    if what == "no certificate":
        (tmp_path / "tls/cert.der").unlink()
    if what == "damaged":
        (tmp_path / "tls/cert.der").write_bytes(b"0")
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    trace, station = simulate(310000, [step(0, "date", text=today)], settings(tls=1), tick_ms=20)
    found = trace.of("certificate")
    assert [line["status"] for line in found] == ([said] if said == "asked for" else [])
    assert len(trace.messages("SignCertificate")) == len(found)
    problems = [line["problem"] for line in trace.of("error")]
    assert len(problems) == (said == "problem") and not station.errors
    if problems:
        assert problems[0].startswith("the pile's certificate: ")


class Signer:
    """A root, and an authority below it that signs requests."""

    def __init__(self):
        self.root = Authority("Root of piles")
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of piles")])
        self.certificate = self.root._sign(self.name, self.key.public_key(), -1, 900, True)

    def chain(self, pem):
        """PEM of the certificate for a request, and of the authority's."""
        request = x509.load_pem_x509_csr(pem.encode())
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (
            x509.CertificateBuilder().subject_name(request.subject).issuer_name(self.name)
            .public_key(request.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY).not_valid_after(now + 90 * DAY)
            .sign(self.key, hashes.SHA256()))
        return (made.public_bytes(PEM) + self.certificate.public_bytes(PEM)).decode()


@contextlib.asynccontextmanager
async def backend_at(made, ports, clients):
    """The backend at a broker that takes only piles whose certificate is below `clients`, a file;
    it has waited until the pile is there.
    """
    tls, plain = ports
    config = (
        "per_listener_settings true\nlistener %d 127.0.0.1\nallow_anonymous true\n"
        "listener %d 127.0.0.1\nallow_anonymous true\nrequire_certificate true\n"
        "cafile %s\ncertfile %s/cert.pem\nkeyfile %s/key.pem\n"
        % (plain, tls, clients, made, made))
    with broker(config, "127.0.0.1:%d" % plain):
        async with Backend("127.0.0.1", plain) as backend:
            await until(lambda: backend.station("CP-1").online)
            yield backend
            assert not backend.invalid


async def until(good, within_s=60):
    deadline = time.monotonic() + within_s
    while not good():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def test_a_certificate_is_renewed_used_and_given_up_when_it_is_refused(tmp_path):
    signer, brokers = Signer(), Authority()
    made = brokers.issue(tmp_path / "broker", "localhost")
    brokers.issue(tmp_path / "tls", "CP-1")
    new = tmp_path / "new.pem"
    new.write_bytes(signer.root.certificate.public_bytes(PEM))
    ports = free_port(), free_port()
    trace = tmp_path / "trace.jsonl"
    checked = scenario.check({"until_ms": 150000, "profile": "esp32", "steps": []})
    config = {"station_id": "CP-1", "broker": "localhost:%d" % ports[0], "tls": 1}
    pile_process.write_files(tmp_path, checked, trace, "real", config)

    def told(what):
        lines = [json.loads(line) for line in trace.read_text().splitlines(True)
                 if line.endswith("\n")]
        return [line for line in lines if line["what"] == what]

    async def run():
        async with backend_at(made, ports, made / "ca.pem") as backend:
            await until(lambda: backend.calls("BootNotification"))
            backend._answers["SignCertificate"] = lambda payload: {"status": "Accepted"}
            asked = await backend.call("CP-1", "TriggerMessage", {
                "requestedMessage": "SignChargingStationCertificate"})
            assert asked[2]["status"] == "Accepted"
            await until(lambda: backend.calls("SignCertificate"))
            (request,) = backend.calls("SignCertificate")
            good = signer.chain(request["csr"])
            for chain, status in (("none", "Rejected"), (good, "Accepted")):
                said = await backend.call("CP-1", "CertificateSigned", {
                    "certificateChain": chain, "requestId": request["requestId"]})
                assert said[2]["status"] == status, said
        # It takes nothing but the new one, with the authority between it and the root.
        async with backend_at(made, ports, new):
            pass
        assert not [line for line in told("certificate") if line["status"] == "refused"]
        # And this one nothing but the old one.
        async with backend_at(made, ports, made / "ca.pem"):
            pass
        refused = [line["why"] for line in told("certificate") if line["status"] == "refused"]
        assert refused == ["the line was refused: now that of tls/cert.der"]

    with open(tmp_path / "pile.log", "wb") as log:
        process = pile_process.start(tmp_path, "micropython", log)
        try:
            asyncio.run(run())
        except AssertionError:
            print((tmp_path / "pile.log").read_text()[-2000:], told("line"))
            raise
        finally:
            pile_process.stop(process)
    assert [line["status"] for line in told("certificate")][:2] == ["asked for", "kept"]
    assert not told("error")
