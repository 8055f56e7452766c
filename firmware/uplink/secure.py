"""Begins TLS on the line's connection; imported for that only, see firmware.let_go.

The broker proves by a certificate that a root has signed that it is the host that was dialled, and
that the date is within it. The root is `tls/ca.der`, or one that the backend has installed
(firmware.access.roots). TLS takes the date from the controller's calendar: it gets the station's,
and before that was ever told at least the day of this firmware's release. With `tls/cert.der` and
`tls/key.der`, or what the backend has signed since (firmware.uplink.own), the pile proves who it
is, too. The files are what `pile.py provision` sends: DER, which every image reads.

With `tls/psk` no certificate counts: both sides prove that they know a key, by arithmetic that is
symmetric. The file is a line as in mosquitto's psk_file, IDENTITY:KEY, the key in hex. Who learns
the key later can read what he recorded before: forward secrecy takes the arithmetic that holds up
an ESP32's safety tick. A broker that does not know the key gets no TLS, whatever certificate it
has; only an image without PSK goes on by certificate, and nobody on the line can make it lack
that.
"""

import gc
from binascii import unhexlify

from firmware import borrow

PSK = "tls/psk"
CA = "tls/ca.der"
RELEASED = "2026-11-21T00:00:00Z"  # moves with firmware.VERSION
_LATEST = "2056-11-21T00:00:00Z"  # no firmware lives for 30 years: whoever told it is wrong
_APART_MS = 45 * 86400000  # from one guess of the date to the next
_GUESSES = 82
LEAST, MOST = 16, 32  # bytes of a pre-shared key; more mbedTLS does not take
LONGEST = 64  # bytes of its identity
# What is offered with it, of what the image has: no Diffie-Hellman, no RSA.
_CIPHERS = (
    "TLS-PSK-WITH-AES-128-GCM-SHA256",
    "TLS-PSK-WITH-AES-256-GCM-SHA384",
    "TLS-PSK-WITH-AES-128-CBC-SHA256",
)


def wrap(sock, host, station, attempt=None, route=None):
    """`sock`, connected and not blocking, with TLS on it: the handshake goes on in what is read
    and written, and fails there with OSError. Raises OSError or ValueError for the files,
    ImportError where the image has no TLS.

    `attempt` counts those of the line that failed: each time it is another root's turn; None: it
    is not the line, the pre-shared key not meant, and the root that of the line's last. `route` is
    firmware.uplink.dial's: what else the line's attempts have come to. `station.root` and
    `station.own` are what was taken, see firmware.access.roots and firmware.uplink.own.
    """
    gc.collect()  # TLS takes its 30 kB in a few large pieces
    lacks = None
    try:
        context = by_key() if attempt is not None else None
        if context:
            return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except ImportError as error:
        lacks = error
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    roots = borrow("firmware.access.roots")
    own = borrow("firmware.uplink.own")
    if attempt is not None:
        slots = roots.trusted(station.board.store)
        station.root = slots[attempt % len(slots)]
        station.own = own.turn(station, route, len(slots))
        set_date(station.board, station.wall, route, attempt // len(slots))
    else:
        set_date(station.board, station.wall)
    kept = roots.stored(station.board.store).get(getattr(station, "root", 0))
    ca = kept[2] if kept else _read(CA)
    if ca is None:
        if lacks:
            raise lacks
        raise OSError("%s: no such file; send it with `pile.py provision --ca`" % CA)
    if lacks and not getattr(station, "lacks_psk", False):
        station.lacks_psk = True  # said once
        station.board.log.record("error", problem="%s; it goes on by certificate" % lacks)
    context.load_verify_locations(cadata=ca)
    key, *chain = own.parts(station, getattr(station, "own", 0)) or (b"",)
    for certificate in chain:
        # One DER is one certificate to mbedtls: each call appends the next of the chain.
        context.load_cert_chain(certificate, key)
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def by_key():
    """A context for TLS by the pre-shared key in `tls/psk`; None where there is no such file.
    Raises ValueError for what is in it, ImportError where the image has no TLS-PSK.
    """
    data = _read(PSK)
    if data is None:
        return None
    identity, key = read_key(data)
    try:
        import tls  # MicroPython's own ssl does not hand these through

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.psk_identity = identity  # type: ignore[attr-defined]  # not in the stubs
        context.psk_key = key  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        raise ImportError(
            "%s: this MicroPython has no TLS-PSK: expected 1.29 or newer; without it"
            " `pile.py provision --ca` sends a certificate to go by" % PSK
        )
    known = context.get_ciphers()
    context.set_ciphers([name for name in _CIPHERS if name in known])
    return context


def read_key(data):
    """(identity, key) of the bytes of `tls/psk`. Raises ValueError, which never tells the key."""
    identity, _, key = data.strip().partition(b":")  # as mosquitto has it
    try:
        key = unhexlify(key)
    except ValueError:
        key = b""
    if not 1 <= len(identity) <= LONGEST or not LEAST <= len(key) <= MOST:
        raise ValueError(
            "%s: expected IDENTITY:KEY, an identity of 1 to %d bytes and a key of %d to %d bytes"
            " in hex, found another; send it with `pile.py provision --psk`"
            % (PSK, LONGEST, LEAST, MOST)
        )
    return identity, key


def set_date(board, wall, route=None, turn=0):
    """Give the controller's calendar the best date that is known, no earlier than RELEASED.

    Before the backend has told it, or when it told one that cannot be, that is what the calendar
    had, and may be wrong: the broker's certificate may be newer than RELEASED, and nobody tells
    the date before TLS. So with each other `turn` of all roots and brokers, from the first on that
    `route` knows of, it is a guess, later and later for ten years, in steps of half of what the
    shortest certificates last.
    """
    date = wall.text(wall.uptime_ms) if wall.is_set else ""
    if not date or date > _LATEST:
        route = {} if route is None else route
        date = route.setdefault("date", board.date() or "")
        tried = turn - route.setdefault("turn_0", turn)
        if tried & 1:
            from firmware.clock import parse, render  # not for the host, which reads keys by this

            date = render(parse(RELEASED) + tried // 2 % _GUESSES * _APART_MS)
    board.set_date(max(date, RELEASED))


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
