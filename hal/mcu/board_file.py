"""Reads a board's file: what it says of pins, and the chips that it names. Imports no `machine`.
Let go of once the board is made.
"""

from hal import log
from hal.mcu import common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal import roles

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


class Outlet:
    """The role. Without methods: they would stay, and with them this module."""

    witness = common.Dark()
    meter: "roles.Meter" = common.NoMeter()
    billing: "roles.Meter | None" = None
    thermometer: "roles.Thermometer | None" = None
    socket: "roles.Socket | None" = None
    lamp: "roles.Lamp | None" = None
    buzzer: "roles.Buzzer | None" = None
    nameplate: "dict[str, str]"

    kind: str
    phases: int
    standard: str
    ventilated: bool
    max_ma: int
    max_reason: str
    pilot: "roles.Pilot"
    contactor: "roles.Contactor"
    inputs: "roles.Inputs"


def outlet(spec, pilot, contactor, inputs):
    """The hardware of one outlet. `max_ma` is the lower of what its wiring and its pilot's
    sampling allow, `max_reason` says in words when it is the latter.
    """
    made = Outlet()
    made.kind = spec.get("kind", "ac")
    made.phases = spec.get("phases", 1)
    made.standard = spec.get("standard", "iec61851")
    made.nameplate = (spec.get("billing") or spec.get("meter") or {}).get("nameplate", {})
    made.ventilated = spec.get("ventilated", False)
    made.max_ma = min(spec["max_ma"], pilot.max_ma)
    made.max_reason = pilot.max_reason if pilot.max_ma < spec["max_ma"] else ""
    made.pilot = pilot
    made.contactor = contactor
    made.inputs = inputs
    return made


# The roles of an outlet that a chip can have: {"chip": NAME, ...}, which hal.chips.NAME drives.
_CHIPS = ("meter", "billing", "thermometer", "socket", "lamp", "buzzer")


def equip(board, spec, path, buses):
    """Give `board`, which has its `outlets`, all else that is no controller's own: chips and links
    too. Raises ValueError, with the role and the field of the file `path`.
    """
    board.model = spec.get("model", spec["mcu"])
    board.clock = board
    board.log = log
    board.reader = common.Nobody()
    board.memory = None
    board.limit_input = None
    board.store = common.Files()
    board.devices = []
    for i, made in enumerate(board.outlets):
        place = spec["outlets"][i]
        for role in _CHIPS:
            _wire(board, made, role, place, buses, "%s: outlets[%d]" % (path, i))
        if "billing" in place:
            from hal.mcu import billed

            made.meter = billed.Billed(made.meter, made.billing)
    for role in ("reader", "memory", "limit_input"):
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
