"""Reads a board's file: what it says of pins, and the chips that it names. Imports no `machine`.
Let go of once the board is made.
"""

from hal.mcu import common

# The names of an outlet's inputs in a board file, in the order of the bits of roles.Inputs.
INPUTS = ("rcd", "estop", "earth", "live", "mirror", "door", "tilt", "smoke")


def outputs(spec):
    """The numbers of the output pins that must be low in a safe board: what energises first."""
    pins = []
    for names in (("drive",), ("hold",), ("shunt", "test", "lock", "unlock")):
        for outlet in spec.get("outlets", ()):
            for part in ("contactor", "inputs", "socket"):
                for name in names:
                    if name in outlet.get(part, ()):
                        pins.append(outlet[part][name])
    return pins


def check_deadman(spec, path, hold_ms, longest):
    """Refuse a board whose hold outlasts its window, or whose train has not 1 ... `longest`
    pulses. Raises ValueError with the file, the field and what was expected.
    """
    deadman = spec["deadman"]
    if not 1 <= deadman.get("pulses", 20) <= longest:
        found = deadman["pulses"]
        raise ValueError("%s: deadman.pulses: expected 1 to %d, found %r" % (path, longest, found))
    window_ms = deadman.get("window_ms", 60)
    if hold_ms > window_ms:
        raise ValueError(
            "%s: deadman.window_ms: the hold may last %d ms after the last feed, expected at most "
            "%d" % (path, hold_ms, window_ms)
        )


# The roles of an outlet that a chip can have: {"chip": NAME, ...}, which hal.chips.NAME drives.
_CHIPS = ("meter", "billing", "thermometer", "socket", "lamp", "buzzer")


def equip(board, spec, path, buses):
    """Give `board` its chips and links. Raises ValueError, with the role and the field of the file
    `path`.
    """
    for i, outlet in enumerate(board.outlets):
        place = spec["outlets"][i]
        for role in _CHIPS:
            _wire(board, outlet, role, place, buses, "%s: outlets[%d]" % (path, i))
        if "billing" in place:
            outlet.meter = common.Billed(outlet.meter, outlet.billing)
    for role in ("reader", "memory"):
        _wire(board, board, role, spec, buses, path)
    for link in spec.get("network", ()):
        module = _module("hal.mcu.network_" + link["kind"])
        board.devices.append(module.make(link, buses))


def _wire(board, owner, role, place, buses, where):
    spec = place.get(role)
    if spec is None:
        return
    try:
        chip = _module("hal.chips." + spec["chip"]).make(buses, spec, place.get("phases", 1))
    except (ImportError, KeyError, OSError, ValueError) as error:
        raise ValueError("%s.%s: %s" % (where, role, error))
    board.devices.append(chip)
    setattr(owner, role, chip)


def _module(name):
    return __import__(name, None, None, ("make",))
