"""The station's configuration: one JSON file, every field with a default, a range, or both."""

import json

# field: (type, default or None when it must be given, least, most). For strings the bounds are
# lengths.
FIELDS = {
    "station_id": (str, None, 1, 48),
    "broker": (str, "", 0, 120),  # HOST:PORT; empty: the pile works alone
    "root": (str, "ocpp", 1, 40),
    "user": (str, "", 0, 80),
    "password": (str, "", 0, 80),
    # hal/mcu reads these itself, on a board that has such a link
    "wifi_ssid": (str, "", 0, 32),
    "wifi_password": (str, "", 0, 63),
    "modem_apn": (str, "", 0, 63),
    "modem_user": (str, "", 0, 63),
    "modem_password": (str, "", 0, 63),
    "keepalive_s": (int, 30, 5, 600),
    "sample_interval_s": (int, 60, 1, 86400),
    "connection_timeout_s": (int, 60, 5, 3600),
    # At random up to this after power-up, so that a street does not start as one.
    "start_delay_s": (int, 0, 0, 1800),
    "wake_after_s": (int, 90, 30, 3600),  # in B2 without an answer, once a session
    "min_pause_s": (int, 300, 0, 3600),  # after a limit below 6 A
    # What the installer knows, in A; 0: as the board. More than the board bears is refused.
    "cable_a": (int, 0, 0, 80),  # an attached cable
    "breaker_a": (int, 0, 0, 80),  # the circuit's breaker
    # Grid protection: UNCONFIRMED, to be set to the grid's code
    "nominal_v": (int, 230, 100, 277),
    "under_voltage_pct": (int, 80, 50, 95),
    "under_voltage_back_pct": (int, 90, 50, 99),
    "over_voltage_pct": (int, 115, 105, 130),
    "over_voltage_back_pct": (int, 109, 101, 130),
    "under_frequency_mhz": (int, 47500, 45000, 60000),
    "over_frequency_mhz": (int, 51500, 50000, 65000),
}


# no message repeats them
_SECRET = ("user", "password", "wifi_password", "modem_user", "modem_password")


def load(path):
    """The configuration as a dict with every field of FIELDS. Raises ValueError with file, field
    and expectation.
    """
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError:
        raise ValueError(
            "%s: no such file; expected a JSON object with at least station_id" % path
        )
    except ValueError:
        raise ValueError("%s: not JSON; expected an object with at least station_id" % path)
    return check(given, path)


def check(given, path):
    """As `load`, of what was read from `path` or is to be written there."""
    if not isinstance(given, dict):
        raise ValueError("%s: expected a JSON object, found a %s" % (path, type(given).__name__))
    for name in given:
        if name not in FIELDS:
            raise ValueError(
                "%s: %s: no such field; expected one of %s"
                % (path, name, ", ".join(sorted(FIELDS)))
            )
    config = {}
    for name, (kind, default, least, most) in FIELDS.items():
        value = given.get(name, default)
        if value is None:
            raise ValueError(
                "%s: %s: missing; expected %s" % (path, name, _expected(kind, least, most))
            )
        if (
            not isinstance(value, kind)
            or isinstance(value, bool)
            or not least <= _size(value) <= most
            or (kind is str and "\0" in value)
        ):
            raise ValueError(
                "%s: %s: expected %s, found %s"
                % (
                    path,
                    name,
                    _expected(kind, least, most),
                    "another one" if name in _SECRET else repr(value),
                )
            )
        config[name] = value
    if config["broker"]:
        host, _, port = config["broker"].rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("%s: broker: expected HOST:PORT, found %r" % (path, config["broker"]))
    for name in ("root", "station_id"):
        if (
            "+" in config[name]
            or "#" in config[name]
            or (name == "station_id" and "/" in config[name])
        ):
            raise ValueError(
                "%s: %s: expected no MQTT wildcard or level, found %r" % (path, name, config[name])
            )
    return config


def _size(value):
    return value if isinstance(value, int) else len(value.encode())


def _expected(kind, least, most):
    if kind is int:
        return "a whole number from %d to %d" % (least, most)
    return "a text of %d to %d bytes without NUL" % (least, most)
