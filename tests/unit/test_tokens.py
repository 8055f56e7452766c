"""What is kept of a token: its keyed digest."""

from binascii import hexlify, unhexlify

from firmware.access import tokens
from tests.pile import simulate


def test_hmac_is_that_of_rfc_4231():
    for key, data, expected in (
        (
            "0b" * 20,
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            hexlify(b"Jefe").decode(),
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "aa" * 20,
            b"\xdd" * 50,
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
    ):
        assert hexlify(tokens.hmac(unhexlify(key), data)).decode() == expected


def test_a_digest_depends_on_key_and_token_and_not_on_case():
    key = bytes(range(32))
    one = tokens.digest(key, "04a1b2c3")
    assert one == tokens.digest(key, "04A1B2C3") == tokens.hmac(key, b"04A1B2C3")[:10]
    assert one != tokens.digest(key, "04A1B2C4") and one != tokens.digest(bytes(32), "04A1B2C3")


class _Door:
    key = bytes([7] * 32)

    def __init__(self, shut=False, full=False):
        self.store = self
        self.kept = {}
        self.shut = shut
        self.full = full
        self.told = []

    def closed(self):
        return self.shut

    def load(self, name):
        return self.kept.get(name)

    def replace(self, name, chunks):
        if self.full:
            raise OSError(28)
        self.kept[name] = b"".join(chunks)

    def record(self, what, **fields):
        self.told.append(what)


def test_a_key_is_kept_once_nothing_is_closed_and_a_torn_one_is_none():
    door = _Door(shut=True)
    assert tokens.keep(door) and tokens.load(door) is None
    door.shut = False
    assert not tokens.keep(door) and tokens.load(door) == door.key and not door.told
    door.kept["token.key"] = b"short"
    assert tokens.load(door) is None
    door = _Door(full=True)
    assert not tokens.keep(door) and tokens.load(door) is None and door.told == ["error"]


def test_the_virtual_boards_secrets_are_by_the_seed_and_shift_nothing():
    _, station = simulate(100, [])
    board = station.board
    before = board.plant.random._x
    assert board.secret(32) == board.secret(32) and len(set(board.secret(32))) > 16
    assert board.plant.random._x == before
    _, other = simulate(100, [], seed=1)
    assert other.board.secret(32) != board.secret(32)
