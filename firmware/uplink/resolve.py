"""Finds a host and connects to it without blocking: asks name servers for its IPv4 address (RFC
1035), since getaddrinfo stops all of Python for up to 20 s on a board whose line is bad. Imported
for that only, see firmware.let_go.

What may have to wait is a generator: it yields where it does, and is to be gone on with after some
ms. The first address of an answer counts. Aliases are the name server's work: it is asked to
recurse.
"""

import errno
import os
import select
import socket
from struct import pack, unpack_from

from micropython import const

from firmware.ticks import add, diff
from firmware.uplink.line import reader

_TRY_MS = const(2000)  # for one server's answer
_ROUNDS = const(2)  # through all servers
_CONNECT_MS = const(10000)
_IPPROTO_TCP = const(6)  # numbers, since not every port names them
_TCP_NODELAY = const(1)
_MOST = const(512)  # bytes of an answer: more would need TCP
_A = const(1)
_NO_SUCH_NAME = const(3)


class NoAddress(OSError):
    """There is none, in words."""


def numeric(host, servers, ticks_ms):
    """What `lookup` finds; `host` itself when it is an address, or there are no `servers`."""
    if servers and not (":" in host or host.replace(".", "").isdigit()):
        host = yield from lookup(host, servers, ticks_ms)
    return host


def lookup(host, servers, ticks_ms):
    """The IPv4 address of `host` as text. `servers`: addresses as text, HOST or HOST:PORT.
    Generator; raises NoAddress, or ValueError for what is no host name.
    """
    question = encode(host)
    why = "no name server is known"
    for _ in range(_ROUNDS):
        for server in servers:
            try:
                return (yield from _ask(question, server, ticks_ms))
            except NoAddress:
                raise
            except (OSError, ValueError) as error:  # ValueError: no address of a server
                why = "name server %s: %s" % (server, error)
    raise NoAddress("%s: %s" % (host, why))


def encode(host):
    """The question about `host`, from its name on. Raises ValueError."""
    name = b""
    for label in host.rstrip(".").split("."):
        part = label.encode()
        if not 0 < len(part) < 64:
            raise ValueError("%r: no host name" % host)
        name += bytes((len(part),)) + part
    if len(name) > 254:
        raise ValueError("%r: no host name" % host)
    return name + b"\0\0\1\0\1"  # its address, Internet


def answer(data, number, question):
    """The address in the message `data`; None when it does not answer `question`, which was asked
    under `number`, or is not whole. Raises NoAddress where the name server knows of none, OSError
    when it cannot tell.
    """
    at = 12 + len(question)
    if len(data) < at:
        return None
    found, flags, questions, answers = unpack_from(">HHHH", data)
    # What was asked comes back, perhaps in other letters.
    same = bytes(data[12:at]).lower() == question.lower()
    if found != number or flags >> 15 != 1 or questions != 1 or not same:
        return None
    code = flags & 15
    if code == _NO_SUCH_NAME:
        raise NoAddress("no such host")
    if code:
        raise OSError("its answer is error %d" % code)
    for _ in range(answers):
        at = _behind_name(data, at)
        if at + 10 > len(data):
            return None
        kind, of, _, size = unpack_from(">HHIH", data, at)
        at += 10
        if at + size > len(data):
            return None
        if kind == _A and of == 1 and size == 4:
            return "%d.%d.%d.%d" % unpack_from("4B", data, at)
        at += size
    raise NoAddress("it has no IPv4 address")


def _behind_name(data, at):
    while at < len(data) and data[at]:
        if data[at] >= 0xC0:
            return at + 2  # the rest is elsewhere
        at += data[at] + 1
    return at + 1


def _ask(question, server, ticks_ms):
    host, _, port = server.partition(":")
    address = socket.getaddrinfo(host, int(port or 53), 0, socket.SOCK_DGRAM)[0][-1]
    number = unpack_from(">H", os.urandom(2))[0]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)  # others are not heard
        sock.send(pack(">6H", number, 0x0100, 1, 0, 0, 0) + question)
        give_up_ms = add(ticks_ms(), _TRY_MS)
        while diff(ticks_ms(), give_up_ms) < 0:
            try:
                data = sock.recv(_MOST)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
            else:
                found = answer(data, number, question)
                if found:
                    return found
                # A broken or forged one: the right one may still come.
            yield
    finally:
        sock.close()
    raise OSError("no answer")


def connect(sock, address, ticks_ms):
    """Connect the new socket `sock`, which does not block any more. Generator; raises OSError,
    which names the cause where the port knows it.
    """
    sock.setblocking(False)
    try:
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    except OSError:  # slower without, but it works
        pass
    try:
        sock.connect(address)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    give_up_ms = add(ticks_ms(), _CONNECT_MS)
    while True:
        ready = poll.poll(0)
        if ready:
            if ready[0][1] & (select.POLLERR | select.POLLHUP):
                reader(sock)(bytearray(1))  # raises what it is
                raise OSError("connection failed")
            return
        if diff(ticks_ms(), give_up_ms) >= 0:
            raise OSError("connection timed out")
        yield
