"""ECDSA on secp256r1 with SHA-256 (FIPS 186-5), in steps; imported for a signature only, see
firmware.let_go.

What computes here is a generator: it yields None after every step, at most 4 ms of an RP2040 at
125 MHz (emulated), and its last value is the result. `for der in sign(key, digest): ...`

What is done about side channels, and what is not. The nonce is RFC 6979's: no random number that
could repeat or be biased gives the key away. Whatever key and nonce are, the same multiplications
and additions are done, in the same steps, on coordinates that a blind hides; only the rounds of
the two inversions vary, by blinded values. But MicroPython's integers are not constant in time: a
short factor makes a product a little faster, the heap is collected when it is full, and values lie
about in it until they are overwritten. So who counts on the line how many ticks of 20 ms a
signature took learns nothing of the key; who has a probe at the controller's supply may. He could
as well read it from the flash, see the README on what physical access gives: nothing here protects
the key of a pile that somebody has opened.
"""

import hashlib

from micropython import const

_P = const(0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF)
_N = const(0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551)

# x and y of 2^192 G +- 2^128 G +- 2^64 G +- G: bit 0 of the index says whether G is added, bit 1
# whether 2^64 G is, bit 2 whether 2^128 G is
_TABLE = (
    b"\xdc\xa7\x46\x34\x84\x11\xaf\xb5\x7a\x94\x1b\x31\x00\xc7\x46\x2e\xc7\xdd\x30\x79\x02\xd8\x83"
    b"\x40\x2c\x14\x7b\xd3\x02\x3e\x0a\x99\xa3\x78\xf4\x9c\x3c\x60\x73\xe0\xef\xa2\x30\xd3\x8e\x28"
    b"\x75\xb6\xd1\x70\xfe\x41\x00\x60\x63\x2c\x47\xb0\xd5\x20\x23\x5f\x3f\xb0\x47\xb8\xc1\x5b\x59"
    b"\x31\x23\x90\x87\xf5\x1b\xcf\xa6\xc7\x51\x33\x24\xfc\x08\x1a\xd4\xe6\xe5\xc5\xf7\x44\x7e\x16"
    b"\xe0\xb9\x01\x0a\xea\xb6\x9c\xfc\xb2\x7b\xce\xd9\x1d\xe9\xc2\xea\xd6\x1a\xa5\xc0\xc8\xcb\x9d"
    b"\x1b\xc2\xfa\xa8\x27\x5d\x8a\x5a\x16\xd7\xb4\xb7\x92\x39\xf2\xe1\x26\xe7\xa9\x01\x57\xaf\xf9"
    b"\x55\xe9\x75\xa5\x29\x79\x4f\xcf\xde\x2a\x0f\xcb\x47\xe3\x8d\xb2\x21\x50\x5b\x37\x0b\x39\x2f"
    b"\xe3\x91\x8b\x81\xba\xc5\xc2\x03\x4c\xfc\x1d\x65\x14\x1b\x26\x6f\xda\xb9\xfb\x48\x1d\xe5\xac"
    b"\xc1\x3c\x7a\x63\x86\x51\x22\xba\xb9\x86\x68\xc6\x4a\x1d\x88\x9b\x37\xb0\x90\x17\x18\x35\x52"
    b"\x37\x43\x72\x6c\x12\xf9\x02\x1b\xc1\xdb\xd4\x0b\x53\x76\x99\xe8\x98\x04\xef\x5f\xa9\xa1\x13"
    b"\xf2\x97\xc8\xda\xa7\x51\x5d\xa9\xf6\x56\x4e\xc8\x47\x65\x37\xc4\x8f\x4e\xc8\x94\xa7\x32\x3a"
    b"\x91\x3c\x3d\x83\x99\xd7\x6d\xf7\x06\x60\xcb\x57\x4a\xf4\x33\xf5\x1b\x14\xf0\xac\xcb\xd9\xe5"
    b"\xa6\xc9\x02\xa9\x73\x42\xe8\x9b\x4c\x02\xfa\xa6\xa0\x8f\x6b\x51\x56\xec\xb1\xcc\x58\xef\x27"
    b"\xc6\x20\x16\xd4\xc8\x7a\x47\xe0\x13\xc6\x87\x58\x72\x74\xc9\x3f\x9b\xe6\x8b\xa2\xba\x61\x30"
    b"\x2d\x5d\x50\x8f\xdc\x2e\x7f\x8e\xd5\x08\xa4\x3b\x83\xb7\x0b\xa6\xd2\xf4\xe0\x10\x3c\x59\xd1"
    b"\x4f\x8e\xad\x7d\xb8\xca\xb2\x6c\x58\x4e\x7f\x2c\xc4\xa0\x29\x04\x10\xb8\x83\x23\xe6\xde\x42"
    b"\x70\x75\x0b\x1d\x46\xb0\xf7\x59\xeb\xd1\x78\x2f\xb0\x12\x80\xc1\x87\x81\xfb\xda\xfc\x93\x14"
    b"\x10\xb4\x14\xf9\xce\xe8\x1f\xf1\x0c\x45\xe3\x88\xa8\x1f\xd9\xd0\x3d\xe4\x7c\x24\x7d\x3c\xe7"
    b"\x42\xeb\x3e\xb3\x52\x34\xfa\x6a\xda\x4c\xbf\xe6\x1e\xe2\x0c\x94\x51\x28\xca\xda\x9a\xd5\x97"
    b"\x13\xe7\xca\xa8\x7b\x21\x11\x08\x2c\xa2\x0d\xb4\x8e\x26\xb4\x84\xf7\xa2\x1c\x0a\x4a\x46\xfb"
    b"\x6a\xaf\x36\x3a\x66\xb0\xde\x32\x25\xc4\x74\x4b\x96\x15\xb5\x11\x0d\x1d\x78\xe5\xfa\xc0\x15"
    b"\x40\x4d\x4d\x3d\xab\x64\x13\x1b\xcd\xfe\xd6\xf6\x68\xc0\x04\xe4\x04\x8b\x7b\x0f\x98\x06\xeb"
    b"\xb0\xf6\x21\xa0\x1b\x2d"
)

_ROUNDS = const(32)  # of an inversion, in a step


def make_key(random_bytes):
    """The private key of 32 random bytes: the same bytes, or None when their number is not from 1
    to the group's order less one (FIPS 186-5 A.2.2): then ask for others.
    """
    return bytes(random_bytes) if 0 < _number(random_bytes) < _N else None


def random_key(secret):
    """A new private key. `secret(n)` gives n random bytes: many are taken, as a controller's
    source of them may be a poor one.
    """
    n = 256
    key = None
    while key is None:
        key = make_key(hashlib.sha256(secret(n)).digest())
        n += 1
    return key


def public(key):
    """The public key of the private one: x and y, 64 bytes."""
    blind = _number(hashlib.sha256(key).digest()) % _N or 1
    x, y = yield from _multiple(_number(key), blind)
    yield _bytes(x) + _bytes(y)


def sign(key, digest):
    """The signature (DER, at most 72 bytes) of a SHA-256 digest by the private `key`, 32 bytes
    each.
    """
    k, blind = yield from _nonces(key, digest)
    # RFC 6979 would go on with the next nonce after an r or s of 0, which nobody will ever see.
    r = (yield from _multiple(k, blind))[0] % _N
    inverse = yield from _inverse(k * blind % _N, _N)
    s = inverse * ((_number(key) * blind % _N * r + _number(digest) * blind) % _N) % _N
    body = _der(r) + _der(s)
    yield bytes((0x30, len(body))) + body


def _number(data):
    return int.from_bytes(data, "big")


def _bytes(number):
    return number.to_bytes(32, "big")


def _der(number):
    body = number.to_bytes(33, "big")
    while not body[0] and body[1] < 128:
        body = body[1:]
    return bytes((2, len(body))) + body


def _hmac(key, message):
    # HMAC-SHA256 (RFC 2104) for keys of 32 bytes
    key = _number(key) << 256
    for pad in (b"\x36", b"\x5c"):
        block = (key ^ _number(pad * 64)).to_bytes(64, "big")
        message = hashlib.sha256(block + message).digest()
    return message


def _nonces(key, digest):
    # RFC 6979 3.2; gives the nonce, and as a blind what its generator would give next
    seed = key + _bytes(_number(digest) % _N)
    v = b"\1" * 32
    k = bytes(32)
    for step in (b"\0", b"\1"):
        k = _hmac(k, v + step + seed)
        v = _hmac(k, v)
        yield
    nonce = None
    while nonce is None:
        v = _hmac(k, v)
        nonce = make_key(v)
        if nonce is None:
            k = _hmac(k, v + b"\0")
            v = _hmac(k, v)
        yield
    k = _hmac(k, v + b"\0")
    return _number(nonce), _number(_hmac(k, v)) % _N or 1


def _multiple(k, blind):
    # (x, y) of k G, by a comb of four teeth (Lim and Lee) with digits of 1 and -1: an odd k below
    # 2^256 is the sum of +-2^i, so every column is one doubling and one addition. What is added,
    # t G, is never what is there, q G, nor its opposite: q has even coefficients of the teeth and
    # t odd ones, so q +- t is not 0; it is less than the order before the last column; and there
    # q + t is k, and q - t = -n for eight k only, whose last columns are others (a test shows it).
    odd = k if k & 1 else _N - k
    signs = (odd + (1 << 256) - 1) >> 1  # bit i: whether 2^i is added
    x = y = z = 0
    for column in range(63, -1, -1):
        at = signs >> column
        at = (at & 1) | (at >> 63 & 2) | (at >> 126 & 4) | (at >> 189 & 8)
        down = at < 8
        at = (7 - at if down else at - 8) * 64
        bx = _number(_TABLE[at : at + 32])
        by = _number(_TABLE[at + 32 : at + 64])
        below = _P - by
        if down:
            by = below
        if column == 63:
            z = blind
            square = z * z % _P
            x = bx * square % _P
            y = by * square % _P * z % _P
        else:
            x, y, z = _double(x, y, z)
            yield
            x, y, z = _add(x, y, z, bx, by)
        yield
    inverse = yield from _inverse(z, _P)
    square = inverse * inverse % _P
    y = y * square % _P * inverse % _P
    return x * square % _P, y if k & 1 else _P - y


def _double(x, y, z):
    # Jacobian, dbl-2001-b for a = -3; no point of this group has y = 0
    delta = z * z % _P
    gamma = y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _add(x, y, z, bx, by):
    # Jacobian and affine, of which neither is the other or its opposite
    square = z * z % _P
    h = (bx * square - x) % _P
    r = (by * square % _P * z - y) % _P
    square = h * h % _P
    cube = h * square % _P
    v = x * square % _P
    x3 = (r * r - cube - 2 * v) % _P
    return x3, (r * (v - x3) - y * cube) % _P, z * h % _P


def _inverse(a, m):
    # Euclid's: a x = g, b y = g modulo m throughout
    x, y = 1, 0
    b = m
    rounds = 0
    while a:
        q, r = divmod(b, a)
        b, a = a, r
        y, x = x, y - q * x
        rounds += 1
        if rounds % _ROUNDS == 0:
            yield
    return y % m
