"""The words that fields of the configuration are made of; imported when one is given and when it
is used, see firmware.borrow.
"""

_POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")

# field: its words. Of the first three there may be several, with commas between them; the place of
# a word is its bit.
WORDS = {
    "measurands": (
        "Energy.Active.Import.Register",
        "Current.Import",
        "Voltage",
        "Power.Active.Import",
        "Frequency",
    ),
    "tx_start": _POINTS,
    "tx_stop": _POINTS,
    "after_power_cut": ("end", "resume"),
    "receipt_id": ("none", "token"),
}
SEVERAL = ("measurands", "tx_start", "tx_stop")


def bits(config, field):
    """The bits of the words in that field of `config`, which has been checked."""
    bits = 0
    for word in config[field].split(","):
        bits |= 1 << WORDS[field].index(word.strip())
    return bits
