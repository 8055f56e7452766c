"""Uploads a log to where the backend wants it, by HTTP's PUT, a small piece in each turn of the
main loop; imported for GetLog, and gone when it is done.

Nothing here waits: whatever has to be waited for is a step of a generator. The address comes from
the name servers as for the line; https is TLS as for the line (firmware.uplink.secure), and where
its arithmetic would hold up the safety tick it waits until every contactor is open.
"""

import errno
import socket
from binascii import b2a_base64

from micropython import const

from firmware import borrow
from firmware.ticks import add, diff

_PIECE = const(512)  # bytes in one turn
_SILENT_MS = const(30000)  # without a byte moved: the attempt has failed
_RETRY_S = const(60)  # unless the backend says
_LONGEST_S = const(86400)
_MOST = const(10)  # retries


class Upload:
    """`payload` is a GetLogRequest. `tick` is a chore of the doorman. Raises ValueError for what
    is no URL.
    """

    def __init__(self, backend, payload):
        self._backend = backend
        self._payload = payload
        self.request_id = payload["requestId"]
        self.station = backend.doorman.station
        kind = "security" if payload["logType"] == "SecurityLog" else "diagnostics"
        self.name = "%s-%s-%d.txt" % (self.station.config["station_id"], kind, self.request_id)
        url = payload["log"]["remoteLocation"]
        self._scheme, self._host, self._port, self._user, self._path = parts(url)
        if self._path.endswith("/"):
            self._path += escaped(self.name)
        self._left = min(payload.get("retries", 0), _MOST)
        wait_s = payload.get("retryInterval", _RETRY_S)
        self._wait_ms = min(max(wait_s, 0), _LONGEST_S) * 1000
        self._steps = None
        self._next_ms = None  # of the next attempt
        self._now_ms = self._moved_ms = 0
        self._say = []  # what the backend is still to be told
        self._body = b""

    def cancel(self):
        """Give it up, for there is another."""
        self._end("AcceptedCanceled", "another log is asked for")

    def tick(self, now_ms):
        """Do one step; whether there is more to do."""
        self._now_ms = now_ms
        add_call = self._backend.outbox.add
        while self._say and add_call("LogStatusNotification", _told, (self._say[0], self)):
            self._say.pop(0)
        if self._left < 0:
            return bool(self._say)
        if self._steps is None:
            if self._next_ms is None:
                if self._scheme not in ("http", "https"):
                    self._end("NotSupportedOperation", "%s: expected http or https" % self._scheme)
                    return True
                self._say.append("Uploading")
            elif diff(now_ms, self._next_ms) < 0:
                return True
            self._moved_ms = now_ms
            self._steps = self._attempt()
        try:
            if diff(now_ms, self._moved_ms) >= _SILENT_MS:
                raise OSError(errno.ETIMEDOUT)
            next(self._steps)
        except StopIteration as done:
            self._judge(done.value)
        except Exception as error:  # of the network, of TLS, or no memory for it
            self._failed("UploadFailure", "%s: %s" % (type(error).__name__, error))
        return True

    def _judge(self, code):
        if 200 <= code < 300:
            self._end("Uploaded", "")
        elif code in (401, 403):
            self._end("PermissionDenied", "HTTP %d" % code)
        elif code in (405, 501):
            self._end("NotSupportedOperation", "HTTP %d" % code)
        elif code == 0:
            self._failed("BadMessage", "no answer of HTTP")
        else:
            self._failed("UploadFailure", "HTTP %d" % code)

    def _failed(self, status, why):
        if self._left <= 0:
            self._end(status, why)
            return
        self._note("to be tried again", why)
        self._left -= 1
        self._stop()
        self._next_ms = add(self._now_ms, self._wait_ms)

    def _end(self, status, why):
        if self._left < 0:
            return
        self._note(status, why)
        self._left = -1
        self._body = b""
        self._stop()
        self._say.append(status)
        if getattr(self._backend, "upload", None) is self:
            self._backend.upload = None

    def _stop(self):
        steps = self._steps
        self._steps = None
        if steps:
            steps.close()  # and with it the socket

    def _note(self, status, why):
        self.station.board.log.record("log", request=self.request_id, status=status, why=why)

    # Each of these is a generator that yields where it has to wait.

    def _attempt(self):
        # The code of HTTP's answer, 0 for one that is none.
        if not self._body:
            logs = borrow("firmware.uplink.logs")
            self._body = logs.text(self._backend, self._payload).encode()
        https = self._scheme == "https"
        while https and self.station.board.stalls and self.station.closed():
            self._moved_ms = self._now_ms
            yield
        raw = sock = yield from self._connected()
        try:
            if https:
                sock = borrow("firmware.uplink.secure").wrap(sock, self._host, self.station)
            return (yield from self._put(sock))
        finally:
            if sock is not raw:
                sock.close()
            raw.close()

    def _head(self):
        lines = ["PUT %s HTTP/1.1" % self._path]
        lines.append("Host: %s:%d" % (self._host, self._port))
        if self._user:
            known = b2a_base64(self._user.encode()).decode().strip()
            lines.append("Authorization: Basic " + known)
        lines.append("Content-Type: text/plain; charset=utf-8")
        lines.append("Content-Length: %d" % len(self._body))
        lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _connected(self):
        # The socket. Its host comes from the name servers as for the line.
        resolve = borrow("firmware.uplink.resolve")
        config = self.station.config
        servers = config["dns"].split(",") if config["dns"] else self.station.board.name_servers()
        host = yield from resolve.numeric(self._host, servers, self._ticks_ms)
        found = socket.getaddrinfo(host, self._port, 0, socket.SOCK_STREAM)[0]
        sock = socket.socket(found[0], socket.SOCK_STREAM)
        try:
            yield from resolve.connect(sock, found[-1], self._ticks_ms)
        except BaseException:  # GeneratorExit, too
            sock.close()
            raise
        return sock

    def _ticks_ms(self):
        return self._now_ms

    def _put(self, sock):
        # The code of the answer, which may come before all was sent: then what is left need not
        # be.
        write = getattr(sock, "write", None) or sock.send
        read = getattr(sock, "read", None) or sock.recv
        left = [self._head(), memoryview(self._body)]
        got = b""
        broken = None
        while True:
            data = _now(read, 64)
            got += data or b""
            if got and (data == b"" or b"\n" in got or len(got) >= _PIECE):
                return _code(got)
            if data == b"":
                raise OSError("closed without an answer")
            if broken:
                raise broken
            if left:
                try:
                    n = _now(write, left[0][:_PIECE])
                except OSError as error:
                    broken = error  # it may have said why before it closed
                    n = 0
                if n:
                    self._moved_ms = self._now_ms
                    left[0] = left[0][n:]
                    if not len(left[0]):
                        left.pop(0)
            yield


def parts(url):
    """(scheme, host, port, "user:password" or "", path) of a URL. Raises ValueError, which says
    nothing of what may be a password.
    """
    if not all("!" <= c <= "~" for c in url):
        raise ValueError("expected printable ASCII")
    scheme, colon, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, _, where = place.rpartition("@")
    host, colon_port, port = where.partition(":")
    if not (colon and scheme and host):
        raise ValueError("expected http://HOST/PATH or https://HOST/PATH")
    if colon_port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("port: expected 1 to 65535")
    scheme = scheme.lower()
    number = int(port or (443 if scheme == "https" else 80))
    return scheme, host, number, user, slash + path or "/"


def escaped(name):
    """The text as a part of a URL's path."""
    plain = "-._~"
    out = ""
    for c in name.encode():
        c = chr(c)
        good = c in plain or "0" <= c <= "9" or "A" <= c <= "Z" or "a" <= c <= "z"
        out += c if good else "%%%02X" % ord(c)
    return out


def _code(line):
    # Of the answer of which this is the begin; 0: it is none of HTTP.
    words = line.split(None, 2)
    if len(words) > 1 and words[0][:5] == b"HTTP/" and words[1].isdigit():
        return int(words[1])
    return 0


def _told(said):
    status, upload = said
    return {"status": status, "requestId": upload.request_id}


def _now(call, argument):
    # What it gives without waiting; None when it would have to wait.
    try:
        return call(argument)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
    return None
