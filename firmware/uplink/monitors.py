"""Watches over numbers of the device model, as the backend has asked for by SetVariableMonitoring.
Loaded while there is one: at boot, or when the first is set.

The field `monitors` of the configuration has them, with semicolons between them, each as
"id,variable,evse,type,value,severity,transaction": the variable as "Component.Variable" or
"Component.Variable.Instance", evse 0 for what is not of an outlet, the type as in TYPES, the value
in thousandths, transaction 1 where it counts only while there is one.
"""

from micropython import const

from firmware import borrow
from firmware.ticks import diff

TYPES = {
    "U": "UpperThreshold",
    "L": "LowerThreshold",
    "D": "Delta",
    "P": "Periodic",
    "C": "PeriodicClockAligned",
}
_LOOK_MS = const(1000)


def parse(text):
    """The monitors of the field: lists of id, variable, evse, type, value, severity, transaction.
    What is none is left out.
    """
    found = []
    for part in text.split(";"):
        fields = part.split(",")
        try:
            number, name, evse_id, kind, value, severity, running = fields
            monitor = [int(number), name, int(evse_id), kind, int(value), int(severity)]
            if kind in TYPES and len(name.split(".")) in (2, 3):
                found.append(monitor + [int(running)])
        except ValueError:
            pass
    return found


def names(name):
    """OCPP's component and variable of such a name."""
    parts = name.split(".")
    variable = {"name": parts[1]}
    if len(parts) > 2:
        variable["instance"] = parts[2]
    return {"name": parts[0]}, variable


def watch(door):
    """Look at what is asked for, each second, while something is."""
    station = door.station
    watched = []
    text = ""
    looked_ms = door.now_ms

    def tick(now_ms):
        nonlocal watched, text, looked_ms
        if diff(now_ms, looked_ms) < _LOOK_MS:
            return True
        looked_ms = now_ms
        if station.config["monitors"] != text:
            text = station.config["monitors"]
            before = watched
            watched = []
            for monitor in parse(text):
                same = [one for one in before if one.monitor == monitor]
                watched.append(same[0] if same else _Watched(station, monitor))
        number = borrow("firmware.uplink.measured").number if watched else None
        for one in watched:
            one.look(station, number)
        return bool(text)

    door.chores.append(tick)


class _Watched:
    def __init__(self, station, monitor):
        self.monitor = monitor
        self._last = None  # what was told last: a value, whether it is beyond, or when
        self._what = None
        component, variable = names(monitor[1])
        if monitor[2]:
            component["evse"] = {"id": monitor[2]}
        found = borrow("firmware.uplink.variables").find(station, component, variable)
        if not isinstance(found, str):
            self._what = found[0][3]

    def look(self, station, number):
        """Look once, and tell what is to be told."""
        _, _, evse_id, kind, value, _, running = self.monitor
        sessions = station.sessions[evse_id - 1 : evse_id] if evse_id else station.sessions
        now = None
        if not running or any(session.tx for session in sessions):
            now = self._what and number(station, self._what, evse_id)
        if now is None:
            self._last = None
            return
        last = self._last
        if kind == "U" or kind == "L":
            beyond = now > value if kind == "U" else now < value
            if beyond == bool(last) or self._tell(station, now, "Alerting", not beyond):
                self._last = beyond
        elif kind == "D":
            if last is None or abs(now - last) >= value and self._tell(station, now, "Delta"):
                self._last = now
        elif kind == "P":
            uptime_ms = station.wall.uptime_ms
            if last is None:
                self._last = uptime_ms
            elif uptime_ms - last >= value:
                self._last = last + (uptime_ms - last) // value * value
                self._tell(station, now, "Periodic")
        elif station.wall.is_set:
            day, second = divmod(station.wall.unix_ms(station.wall.uptime_ms) // 1000, 86400)
            self._last = day, second * 1000 // value  # which interval of the day
            if last not in (None, self._last):
                self._tell(station, now, "Periodic")

    def _tell(self, station, now, trigger, cleared=None):
        number, name, evse_id, _, _, severity, running = self.monitor
        if not station.backend.ready:
            return False
        component, variable = names(name)
        if evse_id:
            component["evse"] = {"id": evse_id}
        about = {
            "component": component,
            "variable": variable,
            "trigger": trigger,
            "actualValue": borrow("firmware.uplink.measured").text(now),
            "eventNotificationType": "CustomMonitor",
            "variableMonitoringId": number,
            "severity": severity,
        }
        if cleared is not None:
            about["cleared"] = cleared
        if running and evse_id:
            about["transactionId"] = station.sessions[evse_id - 1].transaction_id
        return borrow("firmware.uplink.alerts").tell(station, [about])
