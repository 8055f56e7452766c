"""ECDSA on secp256r1: the vectors of RFC 6979, the corners of the group, and steps that are small.
"""

from binascii import unhexlify
from hashlib import sha256

from firmware.ledger import p256

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
# RFC 6979 A.2.5
KEY = unhexlify("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
PUBLIC = (
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
VECTORS = (
    (
        b"sample",
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    ),
    (
        b"test",
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    ),
)


def last(steps):
    """(what the generator gave last, how many steps it took)."""
    found = list(steps)
    assert found[:-1] == [None] * (len(found) - 1)
    return found[-1], len(found)


def number(data):
    return int.from_bytes(data, "big")


def inverse(a, m):
    """1 / a modulo m."""
    b = m
    x, y = 1, 0
    while a:
        q = b // a
        a, b, x, y = b - q * a, a, y - q * x, x
    return y % m


def plus(a, b):
    """a + b by the book (FIPS 186-5, SEC 1 2.2.1); None is infinity."""
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * inverse(2 * a[1] % P, P)
    else:
        slope = (b[1] - a[1]) * inverse((b[0] - a[0]) % P, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(k, point):
    """k point, k from 1 on."""
    found = None
    while k:
        if k & 1:
            found = plus(found, point)
        point = plus(point, point)
        k >>= 1
    return found


def pair(signature):
    """(r, s) of a DER signature in its one form."""
    assert signature[0] == 0x30 and signature[1] == len(signature) - 2 <= 70
    found = []
    at = 2
    for _ in range(2):
        n = signature[at + 1]
        body = signature[at + 2 : at + 2 + n]
        assert signature[at] == 2 and len(body) == n and body[0] < 128
        assert n == 1 or body[0] or body[1] >= 128
        found.append(number(body))
        at += 2 + n
    assert at == len(signature)
    return found


def holds(public, digest, signature):
    """Whether the signature verifies (SEC 1 4.1.4)."""
    r, s = pair(signature)
    w = inverse(s, N)
    point = (number(public[:32]), number(public[32:]))
    u1 = number(digest) * w % N
    u2 = r * w % N
    found = plus(times(u1, G), times(u2, point))
    return found is not None and found[0] % N == r


def test_vectors_of_rfc_6979():
    assert last(p256.public(KEY))[0] == unhexlify(PUBLIC)
    for message, r, s in VECTORS:
        digest = sha256(message).digest()
        assert pair(last(p256.sign(KEY, digest))[0]) == [int(r, 16), int(s, 16)]


def test_the_comb_is_what_it_says():
    teeth = [G]
    for _ in range(3):
        teeth.append(times(1 << 64, teeth[-1]))
    for i in range(8):
        point = teeth[3]
        for bit in range(3):
            x, y = teeth[bit]
            point = plus(point, (x, y if i >> bit & 1 else P - y))
        assert point is not None
        entry = p256._TABLE[64 * i : 64 * i + 64]
        assert (number(entry[:32]), number(entry[32:])) == point


def test_corners_of_the_group():
    # The last of them are those whose last addition could be of a point to itself, see _multiple.
    ends = [N - 2 * ((1 << 192) + a * (1 << 128) + b * (1 << 64) + c)
            for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    for k in [1, 2, 1 << 255, N // 2, N - 1] + ends:
        found = last(p256.public(k.to_bytes(32, "big")))[0]
        assert (number(found[:32]), number(found[32:])) == times(k, G)


def test_any_key_and_digest():
    seed = b"any"
    for i in range(6):
        key = sha256(seed + b"key").digest()
        digest = bytes(32) if i == 4 else b"\xff" * 32 if i == 5 else sha256(seed).digest()
        public = last(p256.public(key))[0]
        signature = last(p256.sign(key, digest))[0]
        assert holds(public, digest, signature)
        assert signature == last(p256.sign(key, digest))[0]
        other = bytes([digest[0] ^ 1]) + digest[1:]
        assert not holds(public, other, signature)
        seed = digest + key


def test_a_nonce_out_of_range_is_not_taken():
    digest = sha256(b"sample").digest()
    make_key = p256.make_key
    asked = []

    def refuse_one(data):
        asked.append(data)
        return make_key(data) if len(asked) > 1 else None

    p256.make_key = refuse_one
    try:
        signature = last(p256.sign(KEY, digest))[0]
    finally:
        p256.make_key = make_key
    assert len(asked) == 2 and pair(signature)[0] != int(VECTORS[0][1], 16)
    assert holds(unhexlify(PUBLIC), digest, signature)


def test_keys():
    for n in (0, N, N + 1, (1 << 256) - 1):
        assert p256.make_key(n.to_bytes(32, "big")) is None
    for n in (1, N - 1):
        data = n.to_bytes(32, "big")
        assert p256.make_key(bytearray(data)) == data


def test_short_numbers_in_der():
    for n, body in (
        (1, "020101"),
        (127, "02017f"),
        (128, "02020080"),
        (1 << 248, "022001" + "00" * 31),
        (N, "022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    ):
        assert p256._der(n) == unhexlify(body)


def test_steps_are_many_and_as_many_whatever_the_key():
    # 127 in 64 columns, 3 for the nonce, the result; what two inversions take goes by blinds
    found = set()
    for i in range(8):
        found.add(last(p256.sign(sha256(bytes([i])).digest(), bytes(32)))[1])
    assert 135 <= min(found) and max(found) <= 143, found
