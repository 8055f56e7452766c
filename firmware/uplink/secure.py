"""Begins TLS on the line's connection; imported for that only, see firmware.let_go.

The broker proves by a certificate that a root has signed that it is the host that was dialled, and
that the date is within it. The root is `tls/ca.der`, or one that the backend has installed
(firmware.access.roots). TLS takes the date from the controller's calendar: it gets the station's,
and before that was ever told at least the day of this firmware's release. With `tls/cert.der` and
`tls/key.der` the pile proves who it is, too. The files are what `pile.py provision` sends: DER,
which every image reads.
"""

import gc

from firmware import borrow

CA = "tls/ca.der"
CERTIFICATE = "tls/cert.der"
KEY = "tls/key.der"
RELEASED = "2026-11-21T00:00:00Z"  # moves with firmware.VERSION


def wrap(sock, host, station, attempt=None):
    """`sock`, connected and not blocking, with TLS on it: the handshake goes on in what is read
    and written, and fails there with OSError. Raises OSError or ValueError for the files.

    `attempt` counts those of the line that failed: each time it is another root's turn; None:
    that of the line's last. `station.root` is the one that was taken, see firmware.access.roots.
    """
    import ssl

    set_date(station.board, station.wall)
    gc.collect()  # TLS takes its 30 kB in a few large pieces
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    roots = borrow("firmware.access.roots")
    if attempt is not None:
        slots = roots.trusted(station.board.store)
        station.root = slots[attempt % len(slots)]
    kept = roots.stored(station.board.store).get(getattr(station, "root", 0))
    ca = kept[2] if kept else _read(CA)
    if ca is None:
        raise OSError("%s: no such file; send it with `pile.py provision --ca`" % CA)
    context.load_verify_locations(cadata=ca)
    certificate = _read(CERTIFICATE)
    if certificate:
        context.load_cert_chain(certificate, _read(KEY))
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def set_date(board, wall):
    """Give the controller's calendar the best date that is known."""
    if wall.is_set:
        board.set_date(wall.text(wall.uptime_ms))
    elif (board.date() or "") < RELEASED:
        board.set_date(RELEASED)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
