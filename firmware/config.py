"""The station's configuration: one JSON file, every field with a default, a range, or both.

What the maker and the installer gave is config.json: plain JSON, for hands, too. What was changed
since, and a copy of what they gave, `firmware.changes` keeps beside it: a pile whose config.json
is torn starts all the same. What is not as expected is said in words, which `problems` keeps.
"""

import json

from firmware import changes, let_go, words

let_go("firmware.words")  # nobody else needs it for long

# Of the names of FIELDS and what they mean; in config.json as "format", without which it is 0.
FORMAT = 1
# For each format the way to the next one: {old name: (new name, function of the value)}. They go
# by the names alone, for who edits a file by hand leaves its format as it is.
MIGRATIONS = ({},)

# field: (type, default or None when it must be given, least, most). For strings the bounds are
# lengths.
FIELDS = {
    "station_id": (str, None, 1, 48),
    # HOST:PORT, or more with commas between them, tried in turn; empty: the pile works alone
    "broker": (str, "", 0, 250),
    "tls": (int, 0, 0, 1),  # see firmware/uplink/secure.py
    # On an ESP32: 1: charging pauses for a handshake, at most once in 15 minutes; 0: it waits
    "tls_pause": (int, 0, 0, 1),
    "dns": (str, "", 0, 120),  # name servers, HOST or HOST:PORT with commas; empty: the network's
    "root": (str, "ocpp", 1, 40),
    "user": (str, "", 0, 80),
    "password": (str, "", 0, 80),
    "password_before": (str, "", 0, 80),  # the backend has set another; in case that is refused
    # What the backend has set of its connections, see firmware/uplink/networks.py: tried before
    # `broker`, in the order of the list, so many times each
    "network_1": (str, "", 0, 700),
    "network_2": (str, "", 0, 700),
    "network_3": (str, "", 0, 700),
    "network_4": (str, "", 0, 700),
    "network_priority": (str, "", 0, 7),
    "network_attempts": (int, 3, 1, 10),
    # hal/mcu reads these itself, on a board that has such a link
    "wifi_ssid": (str, "", 0, 32),
    "wifi_password": (str, "", 0, 63),
    "modem_apn": (str, "", 0, 63),
    "modem_user": (str, "", 0, 63),
    "modem_password": (str, "", 0, 63),
    "keepalive_s": (int, 30, 5, 600),
    # Of a certificate that the pile asks for, see firmware/uplink/renewal.py: whose pile it is;
    # how long to wait for it, each time twice as long, and how often to ask again
    "organization": (str, "", 0, 64),
    "cert_signing_wait_s": (int, 60, 1, 86400),
    "cert_signing_repeats": (int, 3, 0, 10),
    "sample_interval_s": (int, 60, 1, 86400),
    "aligned_interval_s": (int, 0, 0, 86400),  # values at multiples of the clock; 0: none
    # What is told as values, see firmware/ledger/bounds.py
    "measurands": (str, "Energy.Active.Import.Register,Current.Import,Voltage", 1, 255),
    "connection_timeout_s": (int, 60, 5, 3600),
    # When a transaction starts and stops: EVConnected, Authorized, PowerPathClosed, EnergyTransfer
    "tx_start": (str, "Authorized", 1, 80),
    "tx_stop": (str, "EVConnected,Authorized", 1, 80),
    "min_state_s": (int, 1, 0, 600),  # a charging state that lasts less makes no flood of events
    "after_power_cut": (str, "end", 3, 6),  # "end" the transaction, or "resume" it
    # Who may charge, see firmware/access/decide.py; 0: no, 1: yes
    "local_list": (int, 1, 0, 1),
    "auth_cache": (int, 1, 0, 1),
    "auth_cache_life_s": (int, 2592000, 0, 31536000),  # 0: for ever
    "local_pre_authorize": (int, 0, 0, 1),
    "local_authorize_offline": (int, 1, 0, 1),
    "offline_unknown": (int, 0, 0, 1),
    "disable_post_authorize": (int, 0, 0, 1),
    "authorize_remote_start": (int, 0, 0, 1),
    "reservations": (int, 1, 0, 1),
    "master_pass_group": (str, "", 0, 255),  # whose tokens end every session and start none
    "free_vend": (int, 0, 0, 1),  # whoever plugs in is charged
    # What the backend has taken out of service, see firmware/access/availability.py
    "inoperative": (str, "", 0, 120),
    # What it wants to hear of, see firmware/uplink/monitors.py, and down to which severity
    "monitors": (str, "", 0, 960),
    "monitoring_level": (int, 9, 0, 9),
    # Whether it may ask what is kept of a customer, and have it cleared: by his consent
    "customer_info": (int, 0, 0, 1),
    # So many refused cards (0: never mind), with less than refusals_s between two, and the reader
    # is answered slower, in the end by slow_s.
    "refusals": (int, 5, 0, 100),
    "refusals_s": (int, 60, 1, 3600),
    "slow_s": (int, 30, 1, 30),
    # At random up to this after power-up, so that a street does not start as one.
    "start_delay_s": (int, 0, 0, 1800),
    "wake_after_s": (int, 90, 30, 3600),  # in B2 without an answer, once a session
    "min_pause_s": (int, 300, 0, 3600),  # after a limit below 6 A
    # What an outlet may offer by a charging profile that cannot be followed, see
    # firmware/energy/composite.py, in A; below 6: it pauses
    "fallback_a": (int, 6, 0, 80),
    # What the pile may take while the grid operator's contact is active, where the board has one,
    # see firmware/energy/external.py, in A of each phase; below 6: it pauses
    "limit_input_a": (int, 6, 0, 80),
    # Local time of a tariff's hours and days, see firmware/ledger/cost.py: no summer time
    "utc_offset_min": (int, 0, -720, 840),
    "running_cost_interval_s": (int, 0, 0, 86400),  # how often the cost is told; 0: at the end
    "receipts": (int, 0, 0, 1),  # whether a transaction's end brings a signed one
    # What of its user a receipt says: "none", or "token", the plain one for whoever gets it
    "receipt_id": (str, "none", 4, 5),
    # The numbers of the outlets' meters in receipts, as "1234,5678", before the board file's
    "meter_serial": (str, "", 0, 130),
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


# What would let nobody charge: the first must be less than the second.
_PAIRS = (
    ("under_voltage_pct", "under_voltage_back_pct"),
    ("over_voltage_back_pct", "over_voltage_pct"),
    ("under_frequency_mhz", "over_frequency_mhz"),
)

# no message repeats them
_SECRET = (
    "user",
    "password",
    "password_before",
    "wifi_password",
    "modem_user",
    "modem_password",
    "network_1",
    "network_2",
    "network_3",
    "network_4",
    "master_pass_group",
)

problems = []  # what the last `load` or `check` did not expect and could go on with, in words


def load(path):
    """The configuration as a dict with every field of FIELDS: of config.json, and over it what was
    changed since. Raises ValueError with file, field and expectation, when nothing that is kept
    beside the file helps either.

    At boot, while nothing can be closed: it keeps a copy of what was given that is not kept yet.
    """
    del problems[:]
    try:
        return merged(path, changes.file, changes.write)
    finally:
        let_go("firmware.changes")
        for words in problems:
            print("Voltpile: " + words)


def given(path):
    """The fields that were given, with their "format": of the file `path`, or when it cannot be
    read of the copy that was kept; {} when there are none.
    """
    try:
        fields = _read(path, changes.file)
        if isinstance(fields, dict):
            form = fields.get("format", 0)
            return dict(migrated(fields), format=max(form if isinstance(form, int) else 0, FORMAT))
    except ValueError:
        pass
    kept = changes.newest(changes.file, _stem(path), problems.append)
    if kept and kept[2]:
        return dict(migrated(kept[2]), format=max(kept[0], FORMAT))
    return {}


def merged(path, read, write):
    """As `load`: `read(name)` gives a file's bytes or None, `write(name, data)` keeps one."""
    stem = _stem(path)
    fields = {}
    wrong = ""
    try:
        fields = _read(path, read)
        config = check(fields, path)
        fields = migrated(fields)
    except ValueError as error:
        wrong = str(error)
    known = len(problems)
    form, count, before, changed = changes.newest(read, stem, problems.append) or (0, 0, None, {})
    damaged = len(problems) > known
    if before is not None:
        before = migrated(before)
    changed = migrated(changed)
    _newer(form, changes.name(stem, count))
    if wrong:
        if before is None:
            raise ValueError(wrong)
        problems.append("%s; what was kept of it holds" % wrong)
        # It was good once: what is not any more must not keep the pile from starting.
        config = _checked(before, "kept of " + path, True)
    else:
        if before is not None:
            for name in sorted(changed):
                if fields.get(name) != before.get(name):
                    del changed[name]
                    problems.append("%s: %s: given anew since it was changed" % (path, name))
        if damaged or before != fields:
            count += 1
            try:
                write(changes.name(stem, count), changes.pack(FORMAT, count, fields, changed))
            except OSError as error:
                problems.append("%s: no copy can be kept: %r" % (path, error))
    for name in sorted(changed):
        try:
            config[name] = field(name, changed[name], "changed")
        except ValueError as error:
            problems.append("%s; it is left out" % error)
    return config


def _stem(path):
    return path.rpartition(".")[0]


def _read(path, read):
    data = read(path)
    if data is None:
        raise ValueError(
            "%s: no such file; expected a JSON object with at least station_id" % path
        )
    try:
        return json.loads(data)
    except ValueError:
        raise ValueError("%s: not JSON; expected an object with at least station_id" % path)


def migrated(fields):
    """A copy of `fields`, of whatever format, with the names and the meaning of FIELDS."""
    fields = dict(fields)
    fields.pop("format", None)
    for table in MIGRATIONS:
        for old, (new, convert) in table.items():
            if old in fields:
                value = convert(fields.pop(old))
                fields.setdefault(new, value)
    return fields


def check(given, path):
    """As `load`, of what was read from `path` or is to be written there. What is newer than FORMAT
    is taken as far as it is known; `problems` says what was not.
    """
    if not isinstance(given, dict):
        raise ValueError("%s: expected a JSON object, found a %s" % (path, type(given).__name__))
    form = given.get("format", 0)
    if not isinstance(form, int) or isinstance(form, bool) or form < 0:
        raise ValueError("%s: format: expected a whole number from 0, found %r" % (path, form))
    return _checked(migrated(given), path, _newer(form, path))


def _newer(form, path):
    if form <= FORMAT:
        return False
    problems.append("%s: format %d, newer than the %d known here" % (path, form, FORMAT))
    return True


def _checked(given, path, lenient):
    for name in sorted(given):
        if name not in FIELDS:
            wrong = "%s: %s: no such field" % (path, name)
            if not lenient:
                raise ValueError("%s; expected one of %s" % (wrong, ", ".join(sorted(FIELDS))))
            problems.append(wrong + "; it is left out")
    config = {}
    for name in sorted(FIELDS):
        default = FIELDS[name][1]
        try:
            config[name] = field(name, given.get(name, default), path)
        except ValueError as error:
            if default is None or not lenient:
                raise
            problems.append("%s; %r holds" % (error, default))
            config[name] = default
    for less, more in _PAIRS:
        if config[less] >= config[more]:
            wrong = "%s: %s: expected less than %s, which is %d, found %d" % (
                path, less, more, config[more], config[less],
            )  # fmt: skip
            if not lenient:
                raise ValueError(wrong)
            config[less], config[more] = FIELDS[less][1], FIELDS[more][1]
            problems.append("%s; %d and %d hold" % (wrong, config[less], config[more]))
    return config


def field(name, value, path):
    """`value`, when it is one for the field `name`. Raises ValueError as `load` does."""
    if name not in FIELDS:
        raise ValueError("%s: %s: no such field" % (path, name))
    kind, _, least, most = FIELDS[name]
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
    if name == "broker" and value:
        for one in value.split(","):
            host, _, port = one.rpartition(":")
            if not host.strip() or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("%s: broker: expected HOST:PORT, found %r" % (path, one))
    several = name in words.SEVERAL
    for one in value.split(",") if several else (value,):
        known = words.WORDS.get(name)
        if known and one.strip() not in known:
            raise ValueError(
                "%s: %s: expected %s of %s, found %r"
                % (path, name, "some" if several else "one", ", ".join(known), one)
            )
    if name in ("root", "station_id"):
        if "+" in value or "#" in value or (name == "station_id" and "/" in value):
            raise ValueError(
                "%s: %s: expected no MQTT wildcard or level, found %r" % (path, name, value)
            )
    return value


def _size(value):
    return value if isinstance(value, int) else len(value.encode())


def _expected(kind, least, most):
    if kind is int:
        return "a whole number from %d to %d" % (least, most)
    return "a text of %d to %d bytes without NUL" % (least, most)
