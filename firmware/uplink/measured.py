"""The numbers of the device model, which may be watched. Imported for one look, or by what watches
them, see firmware.uplink.monitors.

They are whole, in thousandths of the variable's unit.
"""

from micropython import const

from firmware import borrow

# Of the meter's reading, as in hal.roles.Meter.
_AGE = const(2)
_MV = const(4)
_MA = const(7)
_OLD_MS = const(2000)  # a reading this old says nothing


def number(station, what, evse_id):
    """What the variable is now that firmware.uplink.variables knows as `what`, of outlet `evse_id`
    (from 1) where it is one of an outlet; None: nobody knows.
    """
    if what == "=power":
        place, outlet = station.board.outlets[evse_id - 1], station.outlets[evse_id - 1]
        return station.config["nominal_v"] * place.phases * outlet.offered_ma
    if what in ("=volt", "=ampere"):
        reading = station.supervisions[evse_id - 1].reading
        phases = station.board.outlets[evse_id - 1].phases
        if reading[_AGE] >= _OLD_MS:
            return None
        if what == "=volt":
            return min(reading[_MV : _MV + phases])
        return max(reading[_MA : _MA + phases])
    if what == "=celsius":
        thermometer = station.board.outlets[evse_id - 1].thermometer
        tenths = thermometer and thermometer.read()
        return None if tenths is None else tenths * 100
    if what == "=entries":
        return station.cards.count * 1000
    if what == "=invalid":
        return borrow("firmware.uplink.hostile").total(station.backend.refused) * 1000
    if what == "=network":
        return borrow("firmware.uplink.networks").active(station) * 1000
    found = station.config.get(what)
    return found * 1000 if isinstance(found, int) else None


def text(thousandths):
    """As OCPP has it: "-5.5", "230"."""
    whole, part = divmod(abs(thousandths), 1000)
    found = "%d" % whole
    if part:
        found += (".%03d" % part).rstrip("0")
    return "-" + found if thousandths < 0 else found
