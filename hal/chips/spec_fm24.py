"""The fields of hal.chips.fm24. Let go of once the board is made."""

from hal.chips.spec import field


def geometry(spec):
    """(bytes, bits of a memory address, levels of the pins A2 A1 A0) of the board file's `spec`.
    Raises ValueError with the field.
    """
    kbit = spec.get("kbit")
    if kbit not in (4, 8, 16, 64, 128, 256, 512, 1024):
        raise ValueError("kbit: expected 4, 8, 16, 64 to 512 or 1024, found %r" % (kbit,))
    size = kbit << 7
    width = 8 if kbit < 64 else 16
    blocks = size >> width or 1
    select = field(spec, "select", 0, 0, 7)
    if select & blocks - 1:
        text = "select: expected no pin where the size has address bits, found %r"
        raise ValueError(text % (select,))
    return size, width, select
