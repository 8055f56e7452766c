"""Roots that the backend installs, lists and deletes; that the line tries them: test_dial.py."""

from binascii import a2b_base64, b2a_base64

from firmware import borrow
from tests.pile import charging, settings, simulate, step
from tests.support import raises

ROOT = """-----BEGIN CERTIFICATE-----
MIIBHzCBx6ADAgECAgQLrcr+MAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAlIxMCAX
DTI1MDEwMTAwMDAwMFoYDzIwNjAwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJSMTBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABHrDpvd6RlMyZxwnHHcPoAkUfnlAxhaL
75ATVFbWaKSBo3rcCod+NFhtg4ltEtvikcccFS17Iy8oG39I5DzVm9SjEzARMA8G
A1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgLnBic9+sQN/xVCGOCfLz
fa/XbXvUXGzcOPBsSiBqqE4CIATYWidHsu4AQWU1s6SN7rIjPL6C5D0OzzcBDY2Q
JGHc
-----END CERTIFICATE-----
"""
OTHER = """-----BEGIN CERTIFICATE-----
MIIBHTCBxaADAgECAgISNDAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJSMjAgFw0y
NTAxMDEwMDAwMDBaGA8yMDYwMDEwMTAwMDAwMFowDTELMAkGA1UEAwwCUjIwWTAT
BgcqhkjOPQIBBggqhkjOPQMBBwNCAATZmPwhYYbrw/pv56puFBbnV7D/iNHIKVND
Q8R7NmSPniTnj0dKKkiNmCtwAGBw8MZTIKMLJkHYyGn63PdJQZ0OoxMwETAPBgNV
HRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIGtu//abBFjfRm43wt7HAcfq
8X0GxMaai0zhMllbVK7bAiAhqdQ0kqQvQGTuJI5AE/zmHhjHG1GhrXPyBdqS88Sj
mA==
-----END CERTIFICATE-----
"""
EXPIRED = """-----BEGIN CERTIFICATE-----
MIIBHTCBxaADAgECAgQLrcr+MAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAlIzMB4X
DTI1MDEwMTAwMDAwMFoXDTI1MDYwMTAwMDAwMFowDTELMAkGA1UEAwwCUjMwWTAT
BgcqhkjOPQIBBggqhkjOPQMBBwNCAAT5Oxvt36yXmAzgLDPQDljnlGsPRfOBZvUA
ll+THmeLvFFpbjqVI1TjnCF8pgxqCGuGcoikrofwUp0Tl71+Tt3ioxMwETAPBgNV
HRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAGTedcZFKHCas+5A8znIB0e
/USigFoOagPAMA9cwR+EAiBWAriF7ZYDfEHA6KYYrWWgb0CUW1uCamx4+f1f15KP
8g==
-----END CERTIFICATE-----
"""
LATER = """-----BEGIN CERTIFICATE-----
MIIBIDCBx6ADAgECAgQLrcr+MAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAlI1MCAX
DTI3MDYwMTAwMDAwMFoYDzIwNjAwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJSNTBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABKqcbMXJBqR3a8y3TfVosAS2A4ToIRZt
3ZjvMBhV+DDewpJ64JIyOy3jfRFUwYrgsyBmE9PLqkyG6jN3Yf/JEuGjEzARMA8G
A1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAKcgkfjfvH6PasgI+Dal
j3orrOeFrFRVsuB90qTitiYgAiAeu4oj/CHSXQWjeNxnmuDF+iNbv/aZ3atp0l+h
TIAWhg==
-----END CERTIFICATE-----
"""
LEAF = """-----BEGIN CERTIFICATE-----
MIIBHjCBxKADAgECAgQLrcr+MAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAlI0MCAX
DTI1MDEwMTAwMDAwMFoYDzIwNjAwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJSNDBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABAqlZq6LTcO4yXizbHEcdAkTyOt5pAyz
yYGSOir2RvUYgA8a8tGcBSX0JmQdtLsxsxXGpIdcO2OXY8F2EWjXiP2jEDAOMAwG
A1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAwRgIhAOYKbS+9j3ACnjd6nic8RG8k
ratR7e1KqIHESotPyOOmAiEA3US8NiTOjFGOOcqg3QstUdJFaNwRilFBx52X3L58
ft0=
-----END CERTIFICATE-----
"""
BETWEEN = """-----BEGIN CERTIFICATE-----
MIIBIDCBx6ADAgECAgQLrcr+MAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAlIxMCAX
DTI1MDEwMTAwMDAwMFoYDzIwNjAwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJSNjBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABPKv6VVUBId3OBmUQWHfDmfHvGHGBsdp
qOrpzQ5vU3WomzowM5OB8vGyZ+/vHHk43OUyiaeE28klU0bneDNzNlqjEzARMA8G
A1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgDWGsozAsJ6sVz1g0KPj/
iTDKV6BtyAgFMBGfe4ULkQQCIQDLCWsrvuzKFepuM49EOaMX2srcP7RXZuzwSrvD
RWyX0g==
-----END CERTIFICATE-----
"""
_HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "00",
    "issuerKeyHash": "00",
    "serialNumber": "1",
}


def _call(at_ms, action, payload, **fields):
    return step(at_ms, "backend", message=[2, "c%d" % at_ms, action, payload], **fields)


def _install(at_ms, pem, kind="CSMSRootCertificate", **fields):
    payload = {"certificateType": kind, "certificate": pem}
    return _call(at_ms, "InstallCertificate", payload, **fields)


def _ids(at_ms, *kinds):
    payload = {"certificateType": list(kinds)} if kinds else {}
    return _call(at_ms, "GetInstalledCertificateIds", payload)


def _delete(at_ms, found, **fields):
    return _call(at_ms, "DeleteCertificate", {"certificateHashData": found}, **fields)


def _hashes(pem):
    der = borrow("firmware.uplink.der")
    return der.hashes(der.of_pem(pem))


def _said(trace):
    found = []
    for answer in trace.answers():
        info = answer[2].get("statusInfo", {})
        found.append((answer[2]["status"], info.get("reasonCode")))
    return found


def _told(trace):
    return [
        one["techInfo"]
        for one in trace.messages("SecurityEventNotification")
        if one["type"] == "ReconfigurationOfSecurityParameters"
    ]


def test_roots_are_installed_listed_and_deleted():
    steps = [
        _ids(500),
        _install(1000, ROOT),
        _install(1500, OTHER, "ManufacturerRootCertificate"),
        _install(2000, ROOT),  # once is enough
        _ids(2500),
        _ids(3000, "ManufacturerRootCertificate", "MORootCertificate"),
        _ids(3500, "V2GRootCertificate"),
        _delete(4000, _hashes(OTHER)),
        _ids(4500),
        step(5000, "power", for_ms=500),
        _ids(9000),
    ]
    trace, station = simulate(12000, steps)
    assert [said[0] for said in _said(trace)] == [
        "NotFound", "Accepted", "Accepted", "Accepted", "Accepted", "Accepted", "NotFound",
        "Accepted", "Accepted", "Accepted",
    ]  # fmt: skip
    first = {"certificateType": "CSMSRootCertificate", "certificateHashData": _hashes(ROOT)}
    second = {"certificateType": "ManufacturerRootCertificate"}
    second["certificateHashData"] = _hashes(OTHER)
    chains = [a[2].get("certificateHashDataChain") for a in trace.answers()]
    assert chains[4:6] == [[first, second], [second]] and chains[8:] == [[first], [first]]
    assert _hashes(OTHER)["serialNumber"] == "1234"
    assert _told(trace) == [
        "installed: CSMSRootCertificate, serial badcafe",
        "installed: ManufacturerRootCertificate, serial 1234",
        "deleted: serial 1234",
    ]
    assert not station.errors


def test_while_a_vehicle_charges_it_waits():
    # tests.pile fails on a write to flash while closed.
    steps = charging(
        _install(6000, ROOT), _install(6500, OTHER), _ids(7000), step(9000, "unplug"), _ids(15000)
    )
    trace, station = simulate(18000, steps)
    assert [said[0] for said in _said(trace)] == ["Accepted", "Accepted", "NotFound", "Accepted"]
    assert len(trace.answers()[-1][2]["certificateHashDataChain"]) == 2
    assert station.roots_waiting == []


def test_the_newest_is_tried_first_and_the_installers_last():
    trace, station = simulate(5000, [_install(1000, ROOT), _install(2000, OTHER)])
    roots = borrow("firmware.access.roots")
    store = station.board.store
    assert roots.trusted(store) == [2, 1, 0]
    store.save(roots.name(2), store.load(roots.name(2))[:-1])  # torn
    assert roots.trusted(store) == [1, 0] and sorted(roots.stored(store)) == [1]


def test_what_the_line_stands_on_stays():
    config = settings(tls=1)
    _, station = simulate(3000, [_install(1000, ROOT)], config)
    for used, status in ((1, "Failed"), (0, "Accepted")):
        station.root = used
        message = '[2,"d%d","DeleteCertificate",{"certificateHashData":%s}]'
        text = message % (used, borrow("firmware.uplink.ocpp").encode(_hashes(ROOT)))
        station.backend._message(text.encode(), False, False)
        assert '"status":"%s"' % status in station.backend._answers.pop().decode()


def test_a_root_without_an_end_is_taken():
    # RFC 5280, 4.1.2.5: 9999-12-31 says so. (Who wrote it signed the old date: nobody looks.)
    data = a2b_base64("".join(ROOT.split("\n")[1:-2]))
    data = data.replace(b"20600101000000Z", b"99991231235959Z")
    pem = "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
    trace, _ = simulate(3000, [_install(1000, pem % b2a_base64(data).decode())])
    assert _said(trace) == [("Accepted", None)]


def test_what_is_no_root_is_rejected():
    for pem in (
        EXPIRED,
        LATER,
        LEAF,
        BETWEEN,
        "",
        "certificate",
        ROOT + OTHER,
        ROOT.replace("MII", "MIJ"),
        ROOT.replace("BEGIN", "BEGINS"),
        ROOT[:-60] + "-----END CERTIFICATE-----",
        ROOT.replace("\n", "\n!"),
    ):
        trace, station = simulate(3000, [_install(1000, pem)])
        assert _said(trace) == [("Rejected", "InvalidCertificate")], pem
        assert not station.board.store.names("root.")


def test_what_is_rejected():
    for asked, said in (
        (_install(2000, ROOT, "V2GRootCertificate"), ("Rejected", "UnsupportedParam")),
        (_install(2000, ROOT, replayed=True), ("Rejected", "StaleCommand")),
        (_delete(2000, _HASH), ("NotFound", None)),
        (_delete(2000, dict(_HASH, hashAlgorithm="SHA512")), ("NotFound", "UnsupportedParam")),
        (_delete(2000, _hashes(OTHER), replayed=True), ("Failed", "StaleCommand")),
    ):
        trace, station = simulate(4000, [_install(1000, OTHER), asked])
        assert _said(trace)[1] == said
        assert station.board.store.names("root.") == ["root.1"]


def test_what_is_malformed():
    steps = [
        _install(1000, ROOT, "Root"),
        _install(1500, 5),
        _ids(2000, "Root"),
        _delete(2500, {"hashAlgorithm": "SHA256"}),
        _delete(3000, dict(_HASH, serialNumber="1" * 41)),
    ]
    trace, _ = simulate(5000, steps)
    assert [answer[0] for answer in trace.answers()] == [4] * 5


def test_a_file_that_is_no_certificate():
    der = borrow("firmware.uplink.der")
    good = der.of_pem(ROOT)
    for data in (b"", b"0", good[:-1], good + b"0", b"\x31" + good[1:], bytes(500)):
        raises(ValueError, der.read, data)


def test_a_broker_that_is_not_to_be_trusted_is_told_of():
    dial = borrow("firmware.uplink.dial")
    _, station = simulate(3000, [])
    first = station.journal.next
    route = {"turn": 0, "step": "tls"}
    for why in (
        "closed by the broker",
        "The certificate is not correctly signed by the trusted CA",
        "The certificate validity has expired",  # within the hour
    ):
        dial.failed(station, route, why)
    route["step"] = "connect"
    dial.failed(station, route, "ECONNREFUSED")
    assert station.journal.next == first + 1
    record = station.journal.read(first)
    assert b"InvalidCsmsCertificate\n127.0.0.1:1883: The certificate is not" in record
    station.wall.uptime_ms += 3600000
    route["step"] = "tls"
    dial.failed(station, route, "(-9984, 'X509')")
    assert station.journal.next == first + 2
