"""What the pile keeps of a token: never the token, a keyed digest of it. Imported for each one and
let go of.

An identifier of four bytes is found from a plain hash in seconds. With a key that never leaves the
device a list or a cache that was read out tells nothing without it, and two piles keep different
digests of one card.
"""

from hashlib import sha256

from micropython import const

_KEY = "token.key"  # in the store
_KEY_BYTES = const(32)
_BLOCK = const(64)
_DIGEST_BYTES = const(10)


def digest(key, token):
    """10 bytes that stand for the text `token`, whatever the case of its letters.

    HMAC-SHA256 (RFC 2104) with the device's `key`, truncated. Among 1,000 tokens two share theirs
    with odds of 1 to 10^18. Raises ValueError for a text that UTF-8 cannot hold.
    """
    return hmac(key, token.encode().upper())[:_DIGEST_BYTES]


def hmac(key, data):
    """HMAC-SHA256 (RFC 2104) of `data`; `key` has at most 64 bytes."""
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in key]))
    inner.update(data)
    outer = sha256(bytes([byte ^ 0x5C for byte in key]))
    outer.update(inner.digest())
    return outer.digest()


def load(store):
    """The device's key; None where there is none that is whole."""
    key = store.load(_KEY)
    return key if key and len(key) == _KEY_BYTES else None


def keep(door):
    """Keep the doorman's key, which is new, once no contactor is closed; whether to try again."""
    if door.closed():
        return True
    try:
        door.store.replace(_KEY, (door.key,))
    except OSError as error:  # the next boot has another one, and knows nobody
        door.record("error", problem="%s: %r" % (_KEY, error))
    return False
