"""`pile.py receipt-key` on a virtual board: a key that stays there, and its public half."""

import re

from tests.host.bench_port import board, flashed
from tools.host import receipt_key


def shown(told):
    """The key in what the command printed; before its QR code."""
    key = re.search(r"^(3059[0-9a-f]{178})$", told, re.MULTILINE)
    assert key and told.index("\u2588") > key.end(), told
    return key.group(1)


def test_the_key_stays_and_only_its_public_half_is_told(tmp_path):
    target = flashed(tmp_path / "flash")
    kept = target / "receipt.key"
    png = tmp_path / "key.png"
    with board(target) as served:
        told = served.within("receipt-key", "--png", png)
        key = shown(told)
        assert told.startswith("the key is new\n") and png.read_bytes()[:4] == b"\x89PNG"
        pair = kept.read_bytes()
        assert len(pair) == 100 and key.endswith("04" + pair[32:96].hex())
        assert pair[:32].hex() not in told.lower()

        told = served.within("receipt-key", "--png", tmp_path / "none" / "key.png", code=2)
        assert shown(told) == key and kept.read_bytes() == pair
        assert "--png: expected a file that can be written" in told

        kept.write_bytes(b"\0" + pair[1:])
        told = served.within("receipt-key", code=1)
        assert "damaged" in told and "--new" in told and kept.read_bytes()[1:] == pair[1:]
        assert "the key until now" not in served.within("receipt-key", "--new")
        assert "the key until now: 3059" in served.within("receipt-key", "--new")


def test_a_code_that_fits_a_terminal():
    key = "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "ab" * 64
    code = receipt_key.qr(key)
    assert code.designator == "8-M" and code.mode == "alphanumeric"
