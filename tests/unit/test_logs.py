"""The backend wants a log: it is put where it says, in small steps, and is told how that went; the
network is a stand-in here.
"""

import errno
import sys

from firmware import borrow
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises

upload = borrow("firmware.uplink.upload")


class Net:
    """The modules socket and select in one, and a server that takes a PUT. `answer` is what it
    says once it has all, or at once when `early`; `refuses`: how many connections fail; `slow`: it
    takes 300 bytes at a time, and now and then none; `breaks`: no more than so many.
    """

    AF_INET, SOCK_STREAM, SOCK_DGRAM = 2, 1, 2
    POLLOUT, POLLERR, POLLHUP = 4, 8, 16

    def __init__(
        self,
        answer=b"HTTP/1.1 201 Created\r\n\r\n",
        refuses=0,
        slow=False,
        early=False,
        breaks=None,
    ):
        self.early = early
        self.breaks = breaks
        self.answer = answer
        self.refuses = refuses
        self.slow = slow
        self.got = []  # of each connection what was sent
        self.asked = []
        self.open = 0

    def getaddrinfo(self, host, port, *_):
        self.asked.append((host, port))
        return [(2, 1, 0, "", (host, port))]

    def socket(self, _, kind):
        self.open += 1
        return _Socket(self) if kind == self.SOCK_STREAM else _NameServer(self)

    def poll(self):
        return _Poll()


class _Poll:
    def register(self, sock, events):
        self.sock = sock

    def poll(self, ms):
        return [(self.sock, 16 if self.sock.refused else 4)]


class _Socket:
    def __init__(self, net):
        self.net = net
        self.refused = False
        self.turn = self.told = 0

    def setblocking(self, on):
        assert not on

    def setsockopt(self, *_):
        pass

    def connect(self, address):
        self.refused = self.net.refuses > 0
        self.net.refuses -= 1
        self.net.got.append(b"")
        raise OSError(errno.EINPROGRESS, "connecting")

    def send(self, data):
        self.turn += 1
        assert len(data) <= 512
        if self.net.slow:
            if self.turn % 7 == 0:
                raise OSError(errno.EAGAIN, "wait")
            data = data[:300]
        if self.net.breaks is not None and len(self.net.got[-1]) >= self.net.breaks:
            raise OSError(errno.ECONNRESET, "reset")
        self.net.got[-1] += bytes(data)
        return len(data)

    def has_all(self):
        head, end, body = self.net.got[-1].partition(b"\r\n\r\n")
        at = head.find(b"Content-Length: ")
        return end and len(body) == int(head[at + 16 :].split(b"\r")[0])

    def recv_into(self, data):
        raise OSError(errno.ECONNREFUSED, "refused")

    def recv(self, n):
        if self.net.answer is None or not (self.net.early or self.has_all()):
            raise OSError(errno.EAGAIN, "wait")
        data = self.net.answer[self.told : self.told + n]
        self.told += len(data)
        return data

    def close(self):
        self.net.open -= 1


class _NameServer:
    """Says nothing at first, then that it is 192.0.2.5."""

    def __init__(self, net):
        self.net = net
        self.turn = 0

    def setblocking(self, on):
        assert not on

    def connect(self, address):
        pass

    def send(self, data):
        self.asked = data

    def recv(self, n):
        self.turn += 1
        if self.turn < 3:
            raise OSError(errno.EAGAIN, "wait")
        head = self.asked[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
        return head + self.asked[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\xc0\0\2\5"

    def close(self):
        self.net.open -= 1


class _Secure:
    """firmware.uplink.secure, which begins no TLS but notes whether it might."""

    def __init__(self):
        self.wrapped = []

    def wrap(self, sock, host, station):
        self.wrapped.append((host, station.closed()))
        return sock


def _run(net, steps, until_ms=60000, **config):
    kept = sys.modules.get("socket"), sys.modules.get("select")
    sys.modules["socket"] = sys.modules["select"] = net
    sys.modules.pop("firmware.uplink.resolve", None)  # it may have the real ones
    try:
        return simulate(until_ms, steps, **config)
    finally:
        for name, module in zip(("socket", "select"), kept):
            if module:
                sys.modules[name] = module
            else:
                del sys.modules[name]


def _get(at_ms, kind="DiagnosticsLog", url="http://logs.example/up/", request_id=7, **fields):
    log = {"remoteLocation": url}
    for name in ("oldestTimestamp", "latestTimestamp"):
        if name in fields:
            log[name] = fields.pop(name)
    payload = {"logType": kind, "requestId": request_id, "log": log}
    replayed = fields.pop("replayed", False)
    payload.update(fields)
    message = [2, "g%d" % at_ms, "GetLog", payload]
    return step(at_ms, "backend", message=message, replayed=replayed)


def _statuses(trace):
    return [
        (one["status"], one.get("requestId")) for one in trace.messages("LogStatusNotification")
    ]


def _body(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict([line.split(": ", 1) for line in lines[1:]])
    assert int(fields["Content-Length"]) == len(body)
    return lines[0], fields, body.decode()


def test_a_diagnostics_log_is_uploaded_while_a_vehicle_charges():
    net = Net(slow=True)
    trace, station = _run(net, charging(_get(6000)))
    (answer,) = trace.answers()
    assert answer[2] == {"status": "Accepted", "filename": "CP-1-diagnostics-7.txt"}
    assert _statuses(trace) == [("Uploading", 7), ("Uploaded", 7)]
    request, fields, body = _body(net.got[0])
    assert request == "PUT /up/CP-1-diagnostics-7.txt HTTP/1.1"
    assert fields["Host"] == "logs.example:80" and "Authorization" not in fields
    assert body.startswith("CP-1 Virtual AC, firmware ") and "config station_id: 'CP-1'" in body
    assert "outlet 1: Occupied" in body and "password" not in body and CARD not in body
    assert net.open == 0 and not station.errors and station.backend.upload is None
    assert station.outlets[0].energised


def test_a_name_is_looked_up_as_for_the_line():
    net = Net()
    steps = [_get(2000, url="http://u:p@logs.example:8080/x")]
    trace, _ = _run(net, steps, config=settings(dns="198.51.100.1"))
    assert _statuses(trace)[-1] == ("Uploaded", 7) and net.open == 0
    assert net.asked == [("198.51.100.1", 53), ("192.0.2.5", 8080)]
    request, fields, _ = _body(net.got[0])
    assert request == "PUT /x HTTP/1.1" and fields["Host"] == "logs.example:8080"
    assert fields["Authorization"] == "Basic dTpw"


def test_tls_waits_where_it_would_hold_up_the_tick():
    for profile, since_ms in (("rp2040", 6000), ("esp32", 40000)):
        net = Net()
        secure = sys.modules["firmware.uplink.secure"] = _Secure()
        steps = charging(_get(6000, url="https://logs.example/x"), step(40000, "unplug"))
        trace, _ = _run(net, steps, profile=profile)
        assert secure.wrapped == [("logs.example", profile == "rp2040")]
        assert trace.ms("result", since_ms) and _statuses(trace)[-1] == ("Uploaded", 7)
        assert net.asked == [("logs.example", 443)] and net.open == 0


def test_a_security_log_has_what_happened_between():
    # The pile tells of refused cards; the backend does not answer, so that it still has it.
    steps = [step(1000 + 2500 * i, "card", uid="0B0B0B0%d" % i) for i in range(6)]
    steps.append(step(1000, "answer", action="Authorize", fields={"idTokenInfo": {
        "status": "Invalid"}}))  # fmt: skip
    net = Net()
    steps += [
        _get(40000, "SecurityLog", request_id=1),
        _get(45000, "SecurityLog", request_id=2, latestTimestamp="2025-12-31T00:00:00Z"),
        _get(50000, "SecurityLog", request_id=3, oldestTimestamp="2026-01-01T00:00:00Z"),
    ]
    trace, station = _run(net, steps)
    bodies = [_body(data)[2] for data in net.got]
    assert len(bodies) == 3 and [line[:4] for line in bodies[1].split("\n")] == ["CP-1", ""]
    from firmware.ledger import events

    station.journal.append(events.security(station.wall.now(), "TamperDetectionActivated", "door"))
    logs = borrow("firmware.uplink.logs")
    asked = {"logType": "SecurityLog", "log": {"latestTimestamp": "2030-01-01T00:00:00Z"}}
    assert "TamperDetectionActivated door" in logs.text(station.backend, asked)
    asked["log"] = {"oldestTimestamp": "2030-01-01T00:00:00Z"}
    assert "Tamper" not in logs.text(station.backend, asked)


def test_what_fails_is_tried_again_as_often_as_wanted():
    net = Net(refuses=2)
    trace, _ = _run(net, [_get(1000, retries=3, retryInterval=5)])
    assert _statuses(trace) == [("Uploading", 7), ("Uploaded", 7)] and len(net.got) == 3
    for wanted, answer, status in (
        ({"retries": 1, "retryInterval": 2}, b"HTTP/1.1 500 No\r\n", "UploadFailure"),
        ({}, b"SSH-2.0\r\n", "BadMessage"),
        ({}, b"", "UploadFailure"),
        ({}, b"HTTP/1.1 403 Forbidden\r\n", "PermissionDenied"),
        ({"retries": 5}, b"HTTP/1.1 405 No\r\n", "NotSupportedOperation"),
        ({}, None, "UploadFailure"),  # it never answers
    ):
        net = Net(answer)
        trace, station = _run(net, [_get(1000, **wanted)])
        assert _statuses(trace) == [("Uploading", 7), (status, 7)], (answer, _statuses(trace))
        assert len(net.got) == (2 if wanted.get("retries") == 1 else 1) and net.open == 0
        assert not station.cards.chores


def test_an_answer_that_comes_early_ends_it():
    for breaks in (None, 600):
        net = Net(b"HTTP/1.0 401 Unauthorized\r\n\r\n", early=True, breaks=breaks)
        trace, _ = _run(net, [_get(1000)])
        assert _statuses(trace) == [("Uploading", 7), ("PermissionDenied", 7)]
        assert len(net.got[0]) < 600 and net.open == 0
    net = Net(None, breaks=600)
    trace, _ = _run(net, [_get(1000, retries=1, retryInterval=2)])
    assert _statuses(trace) == [("Uploading", 7), ("UploadFailure", 7)]
    assert len(net.got) == 2 and net.open == 0


def test_another_one_takes_its_place():
    net = Net(None)
    trace, _ = _run(net, [_get(1000), _get(5000, request_id=8)], until_ms=20000)
    assert [a[2]["status"] for a in trace.answers()] == ["Accepted", "AcceptedCanceled"]
    assert _statuses(trace) == [("Uploading", 7), ("AcceptedCanceled", 7), ("Uploading", 8)]
    assert net.open == 1


def test_how_it_goes_is_told_when_asked_for():
    trigger = {"requestedMessage": "LogStatusNotification"}
    steps = [_get(2000)]
    for at_ms in (1000, 5000):
        message = [2, "t%d" % at_ms, "TriggerMessage", trigger]
        steps.append(step(at_ms, "backend", message=message))
    trace, _ = _run(Net(None), steps, until_ms=8000)
    assert _statuses(trace) == [("Idle", None), ("Uploading", 7), ("Uploading", 7)]


def test_what_is_not_supported_is_told():
    net = Net()
    trace, _ = _run(net, [_get(1000, url="ftp://logs.example/x")])
    assert trace.answers()[0][2]["status"] == "Accepted"
    assert _statuses(trace) == [("NotSupportedOperation", 7)] and not net.asked


def test_what_is_rejected():
    for asked, reason in (
        ({"kind": "DataCollectorLog"}, "UnsupportedParam"),
        ({"url": "logs.example"}, "InvalidURL"),
        ({"url": "http://a b/"}, "InvalidURL"),
        ({"url": "http://a/\r\nX: y"}, "InvalidURL"),
        ({"url": "http://a:0/"}, "InvalidURL"),
        ({"replayed": True}, "StaleCommand"),
    ):
        net = Net()
        trace, _ = _run(net, [_get(1000, **asked)], until_ms=3000)
        told = trace.answers()[0][2]
        assert (told["status"], told["statusInfo"]["reasonCode"]) == ("Rejected", reason)
        assert not net.asked and not _statuses(trace)


def test_what_is_malformed():
    steps = [
        _get(1000, "Everything"),
        _get(1500, oldestTimestamp="yesterday"),
        _get(2000, retries=-1),
        step(2500, "backend", message=[2, "a", "GetLog", {"logType": "SecurityLog"}]),
        step(3000, "backend", message=[2, "b", "UpdateFirmware", {"requestId": 1}]),
    ]
    trace, _ = _run(Net(), steps, until_ms=5000)
    assert [answer[0] for answer in trace.answers()] == [4] * 5


def test_firmware_does_not_come_over_the_line_yet():
    firmware = {"location": "https://f.example/f", "retrieveDateTime": "2026-01-01T00:00:00Z"}
    message = [2, "u", "UpdateFirmware", {"requestId": 1, "firmware": firmware}]
    trace, _ = simulate(3000, [step(1000, "backend", message=message)])
    assert trace.answers()[0][2] == {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "UnsupportedRequest"},
    }


def test_urls():
    for url, found in (
        ("http://a", ("http", "a", 80, "", "/")),
        ("HTTPS://a:8443/b?c=d", ("https", "a", 8443, "", "/b?c=d")),
        ("https://u:p@a/b/", ("https", "a", 443, "u:p", "/b/")),
        ("ftp://a/b", ("ftp", "a", 80, "", "/b")),
    ):
        assert upload.parts(url) == found
    for url in ("", "a", "://a/b", "http:///b", "http://a:/b", "http://a:65536/", "http://\u00e9"):
        raises(ValueError, upload.parts, url)
    assert upload.escaped("CP 1/\u00e9.txt") == "CP%201%2F%C3%A9.txt"
