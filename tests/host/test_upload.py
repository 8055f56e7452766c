"""GetLog's upload to HTTP servers good and bad: always MicroPython and real sockets."""

import contextlib
import http.server
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from tests.host.certificates import Authority
from tests.host.test_dial import name_server
from tools.host import pile_process

OWNER = pile_process.REPO / "tests" / "host" / "upload_owner.py"
SIZE = 40000
LATE_MS = 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes a PUT as its server's `does` says."""

    def do_PUT(self):
        server = self.server
        server.asked.append((self.path, dict(self.headers)))
        getattr(self, server.does)(int(self.headers["Content-Length"]))

    def take(self, size):
        self.server.got.append(self.rfile.read(size))
        self.end(201)

    def slowly(self, size):
        data = b""
        while len(data) < size:
            data += self.rfile.read1(500)
            time.sleep(0.002)
        self.server.got.append(data)
        for c in b"HTTP/1.1 200 OK\r\n\r\n":
            self.wfile.write(bytes([c]))
            self.wfile.flush()
            time.sleep(0.01)
        self.close_connection = True

    def half(self, size):
        self.rfile.read(size // 2)
        self.reset()

    def reset(self):
        # Not shut down in good order, nor by TLS: what it had not read is lost.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def mute(self, size):
        self.rfile.read(size)
        time.sleep(4)  # 80 s of the pile's
        self.close_connection = True

    def closes(self, size):
        self.rfile.read(size)
        self.close_connection = True

    def fails(self, size):
        self.rfile.read(size)
        self.end(500)

    def fails_once(self, size):
        self.server.does = "take"
        self.fails(size)

    def forbids(self, size):
        # Before it has read anything of the body, as a web server's module for access does.
        self.end(401)

    def redirects(self, size):
        self.rfile.read(size)
        self.end(307, "http://127.0.0.1:1/elsewhere")

    def raves(self, size):
        self.rfile.read(size)
        self.wfile.write(b"\0\xff" * 2000)
        self.close_connection = True

    def end(self, code, location=None):
        self.send_response(code)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # the pile's process has ended


@contextlib.contextmanager
def serving(does, certificate=None):
    """An HTTP server; with the folder of a `certificate` an HTTPS server."""
    server = Server(("127.0.0.1", 0), Handler)
    server.does, server.asked, server.got = does, [], []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Folders: what the pile trusts, with its tls/ca.der, and a server's that another signed."""
    root = tmp_path_factory.mktemp("upload")
    good = Authority().issue(root / "tls", "logs.voltpile.test", "127.0.0.1")
    bad = Authority("Other CA").issue(root / "other", "127.0.0.1")
    return root, good, bad


def uploaded(url, cwd, retries=0, size=SIZE, dns=None):
    """(statuses that were told, [(status, why)] in the log) of an upload to `url`."""
    (program, *_), env = pile_process.command("micropython")
    more = ["dns=" + dns] if dns else []
    done = subprocess.run(
        [program, "-X", "heapsize=40m", str(OWNER), url, str(size), str(retries), *more],
        env=env, cwd=cwd, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    lines = [line.split(None, 2) for line in done.stdout.splitlines()]
    assert lines and lines[-1][0] == "over", done.stdout + done.stderr
    assert int(lines[-1][1]) < LATE_MS, "something blocked"
    told = [line[1] for line in lines if line[0] == "told"]
    log = [(line[1:] + [""])[:2] for line in lines if line[0] == "log"]
    return told, log


@pytest.fixture(params=["http", "https"])
def at(request, certificates):
    """A function(server) that gives its URL, the folder of its certificate or None, and where the
    pile runs.
    """
    def url(server):
        return "%s://127.0.0.1:%d/up/" % (request.param, server.server_address[1])

    root, good, _ = certificates
    return url, good if request.param == "https" else None, root


@pytest.mark.parametrize("does", ["take", "slowly"])
def test_a_server_gets_all_of_it(at, does):
    url, certificate, cwd = at
    with serving(does, certificate) as server:
        told, _ = uploaded(url(server), cwd)
        assert told == ["Uploading", "Uploaded"]
        (path, fields), = server.asked
        assert path == "/up/CP-1-diagnostics-7.txt"
        assert fields["Host"] == "127.0.0.1:%d" % server.server_address[1]
        assert server.got == [b"0123456789abcdef" * (SIZE // 16)]


@pytest.mark.parametrize("does, status, why", [
    ("half", "UploadFailure", ""),
    ("reset", "UploadFailure", ""),
    ("mute", "UploadFailure", "ETIMEDOUT"),
    ("closes", "UploadFailure", "closed without an answer"),
    ("fails", "UploadFailure", "HTTP 500"),
    ("redirects", "UploadFailure", "HTTP 307"),
    ("forbids", "PermissionDenied", "HTTP 401"),
    ("raves", "BadMessage", "no answer of HTTP"),
])
def test_a_server_that_does_not_take_it(at, does, status, why):
    url, certificate, cwd = at
    with serving(does, certificate) as server:
        told, log = uploaded(url(server), cwd)
        assert told == ["Uploading", status], log
        assert len(log) == 1 and why in log[0][1]
        assert len(server.asked) == 1 and not server.got


def test_a_refusal_is_told_though_much_is_left_to_be_sent(at):
    # More than the network holds for them: the server closes on what was not read.
    url, certificate, cwd = at
    with serving("forbids", certificate) as server:
        told, log = uploaded(url(server), cwd, size=4000000)
        assert told == ["Uploading", "PermissionDenied"], log


def test_it_is_tried_again(at):
    url, certificate, cwd = at
    with serving("fails_once", certificate) as server:
        told, log = uploaded(url(server), cwd, retries=3)
        assert told == ["Uploading", "Uploaded"]
        assert [status for status, _ in log] == ["to", "Uploaded"]
        assert len(server.asked) == 2 and len(server.got) == 1


def test_nobody_is_there(at):
    url, certificate, cwd = at
    with serving("take", certificate) as server:
        where = url(server)
    told, log = uploaded(where, cwd, retries=1)
    assert told == ["Uploading", "UploadFailure"] and len(log) == 2
    assert "ECONNREFUSED" in log[-1][1]


def test_a_certificate_that_is_not_trusted(certificates):
    root, good, bad = certificates
    for certificate, host in ((bad, "127.0.0.1"), (good, "localhost")):
        with serving("take", certificate) as server:
            told, log = uploaded("https://%s:%d/x" % (host, server.server_address[1]), root)
            assert told == ["Uploading", "UploadFailure"] and not server.asked, log


def test_a_name_is_looked_up(certificates):
    root, good, _ = certificates
    with serving("take", good) as server, name_server() as names:
        where = "https://logs.voltpile.test:%d/x" % server.server_address[1]
        assert uploaded(where, root, dns=names.at)[0] == ["Uploading", "Uploaded"]
        assert names.asked and len(server.got) == 1
        names.address = None
        told, log = uploaded(where, root, dns=names.at)
        assert told == ["Uploading", "UploadFailure"] and "no such host" in log[0][1]
