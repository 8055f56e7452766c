"""The pile's device model: OCPP 2.1's components and variables, over the configuration and what
the station is. Imported for a request and let go of, see firmware.uplink.variable_commands.

What is set is durable at once and holds from the next start on. Names count in any letters, large
or small.
"""

import json

from firmware import borrow, let_go

try:
    from firmware import VERSION, config
finally:
    for _module in ("config", "changes"):
        let_go("firmware." + _module)

SETTING = 12  # the number of what firmware.commit does for it

# Mutability, as OCPP names it
READ = "ReadOnly"
WRITE = "WriteOnly"
BOTH = "ReadWrite"

# (component, variable, instance, field of the configuration ("!": its opposite) or what `_told`
# knows, OCPP's DataEnumType, mutability). What OCPP has no name for is VoltpileCtrlr's.
VARIABLES = (
    ("AlignedDataCtrlr", "Interval", "", "aligned_interval_s", "integer", BOTH),
    ("AuthCacheCtrlr", "DisablePostAuthorize", "", "disable_post_authorize", "boolean", BOTH),
    ("AuthCacheCtrlr", "Enabled", "", "auth_cache", "boolean", BOTH),
    ("AuthCacheCtrlr", "LifeTime", "", "auth_cache_life_s", "integer", BOTH),
    ("AuthCtrlr", "AuthorizeRemoteStart", "", "authorize_remote_start", "boolean", BOTH),
    ("AuthCtrlr", "Enabled", "", "!free_vend", "boolean", BOTH),
    ("AuthCtrlr", "LocalAuthorizeOffline", "", "local_authorize_offline", "boolean", BOTH),
    ("AuthCtrlr", "LocalPreAuthorize", "", "local_pre_authorize", "boolean", BOTH),
    ("AuthCtrlr", "MasterPassGroupId", "", "master_pass_group", "string", WRITE),
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "", "offline_unknown", "boolean", BOTH),
    ("ChargingStation", "AvailabilityState", "", "=state", "OptionList", READ),
    ("ChargingStation", "Model", "", "=model", "string", READ),
    ("ChargingStation", "Problem", "", "=problem", "boolean", READ),
    ("ChargingStation", "VendorName", "", "=vendor", "string", READ),
    ("ClockCtrlr", "DateTime", "", "=date", "dateTime", READ),
    ("ClockCtrlr", "TimeOffset", "", "utc_offset_min", "string", BOTH),
    ("ClockCtrlr", "TimeSource", "", "=source", "SequenceList", READ),
    ("Controller", "FirmwareVersion", "", "=version", "string", READ),
    ("DeviceDataCtrlr", "BytesPerMessage", "GetVariables", "=bytes", "integer", READ),
    ("DeviceDataCtrlr", "BytesPerMessage", "SetVariables", "=bytes", "integer", READ),
    ("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables", "=items", "integer", READ),
    ("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables", "=items", "integer", READ),
    ("EVSE", "AvailabilityState", "", "=evse", "OptionList", READ),
    ("EVSE", "Power", "", "=power", "decimal", READ),
    ("EVSE", "Problem", "", "=fault", "boolean", READ),
    ("EVSE", "SupplyPhases", "", "=phases", "integer", READ),
    ("ElectricalFeed", "ACCurrent", "", "=ampere", "decimal", READ),
    ("ElectricalFeed", "ACVoltage", "", "=volt", "decimal", READ),
    ("LocalAuthListCtrlr", "Enabled", "", "local_list", "boolean", BOTH),
    ("LocalAuthListCtrlr", "Entries", "", "=entries", "integer", READ),
    ("LocalAuthListCtrlr", "ItemsPerMessage", "", "=list", "integer", READ),
    ("MonitoringCtrlr", "Enabled", "", "=yes", "boolean", READ),
    ("MonitoringCtrlr", "ItemsPerMessage", "ClearVariableMonitoring", "=items", "integer", READ),
    ("MonitoringCtrlr", "ItemsPerMessage", "SetVariableMonitoring", "=items", "integer", READ),
    ("MonitoringCtrlr", "MonitoringLevel", "", "monitoring_level", "integer", READ),
    ("OCPPCommCtrlr", "ActiveNetworkProfile", "", "=network", "integer", READ),
    (
        "OCPPCommCtrlr",
        "NetworkConfigurationPriority",
        "",
        "network_priority",
        "SequenceList",
        BOTH,
    ),
    ("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", "", "network_attempts", "integer", BOTH),
    ("ReservationCtrlr", "Enabled", "", "reservations", "boolean", BOTH),
    ("SampledDataCtrlr", "TxUpdatedInterval", "", "sample_interval_s", "integer", BOTH),
    ("SampledDataCtrlr", "TxUpdatedMeasurands", "", "measurands", "MemberList", BOTH),
    ("SecurityCtrlr", "AllowSecurityProfileDowngrade", "", "=no", "boolean", READ),
    ("SecurityCtrlr", "BasicAuthPassword", "", "password", "string", WRITE),
    ("SecurityCtrlr", "CertSigningRepeatTimes", "", "cert_signing_repeats", "integer", BOTH),
    ("SecurityCtrlr", "CertSigningWaitMinimum", "", "cert_signing_wait_s", "integer", BOTH),
    ("SecurityCtrlr", "Identity", "", "=identity", "string", READ),
    ("SecurityCtrlr", "InvalidMessages", "", "=invalid", "integer", READ),
    ("SecurityCtrlr", "MaxCertificateChainSize", "", "=chain", "integer", READ),
    ("SecurityCtrlr", "OrganizationName", "", "organization", "string", BOTH),
    ("SecurityCtrlr", "SecurityProfile", "", "=profile", "integer", READ),
    ("SmartChargingCtrlr", "ACPhaseSwitchingSupported", "", "=no", "boolean", READ),
    ("SmartChargingCtrlr", "Available", "", "=yes", "boolean", READ),
    ("SmartChargingCtrlr", "Enabled", "", "=yes", "boolean", READ),
    ("SmartChargingCtrlr", "Entries", "ChargingProfiles", "=profiles", "integer", READ),
    ("SmartChargingCtrlr", "ExternalControlSignalsEnabled", "", "=external", "boolean", READ),
    ("SmartChargingCtrlr", "NotifyChargingLimitWithSchedules", "", "=external", "boolean", READ),
    ("SmartChargingCtrlr", "PeriodsPerSchedule", "", "=periods", "integer", READ),
    ("SmartChargingCtrlr", "ProfileStackLevel", "", "=level", "integer", READ),
    ("SmartChargingCtrlr", "RateUnit", "", "=units", "MemberList", READ),
    ("SmartChargingCtrlr", "SupportsDynamicProfiles", "", "=yes", "boolean", READ),
    ("SmartChargingCtrlr", "SupportsEvseSleep", "", "=no", "boolean", READ),
    ("SmartChargingCtrlr", "SupportsLimitAtSoC", "", "=no", "boolean", READ),
    ("SmartChargingCtrlr", "SupportsMaxOfflineDuration", "", "=yes", "boolean", READ),
    ("SmartChargingCtrlr", "SupportsRandomizedDelay", "", "=no", "boolean", READ),
    ("SmartChargingCtrlr", "SupportsUseLocalTime", "", "=yes", "boolean", READ),
    ("TemperatureSensor", "Temperature", "", "=celsius", "decimal", READ),
    ("TxCtrlr", "EVConnectionTimeOut", "", "connection_timeout_s", "integer", BOTH),
    ("TxCtrlr", "StopTxOnEVSideDisconnect", "", "=yes", "boolean", READ),
    ("TxCtrlr", "StopTxOnInvalidId", "", "=yes", "boolean", READ),
    ("TxCtrlr", "TxStartPoint", "", "tx_start", "MemberList", BOTH),
    ("TxCtrlr", "TxStopPoint", "", "tx_stop", "MemberList", BOTH),
    ("VoltpileCtrlr", "AfterPowerCut", "", "after_power_cut", "OptionList", BOTH),
    ("VoltpileCtrlr", "RunningCostInterval", "", "running_cost_interval_s", "integer", BOTH),
)
ITEMS = 16  # that one request may name
_OUTLETS = ("EVSE", "ElectricalFeed", "TemperatureSensor")  # components that each outlet has
_UNITS = {"=power": "W", "=ampere": "A", "=volt": "V", "=celsius": "Celsius"}
_STATES = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")


def find(station, component, variable):
    """(entry of VARIABLES, outlet from 1 or 0) of what a request names, or the status that says
    why there is none: UnknownComponent, UnknownVariable.
    """
    name = component["name"].lower()
    evse_id = component.get("evse", {}).get("id", 0)
    known = False
    for entry in VARIABLES:
        if entry[0].lower() != name or component.get("instance"):
            continue
        if (entry[0] in _OUTLETS) != (evse_id > 0) or evse_id > len(station.outlets):
            continue
        if not _there(station, entry, evse_id):
            continue
        known = True
        given = variable["name"].lower(), variable.get("instance", "").lower()
        if given == (entry[1].lower(), entry[2].lower()):
            return entry, evse_id
    return "UnknownVariable" if known else "UnknownComponent"


def value(station, entry, evse_id):
    """What it is now, as OCPP's text; None where nobody may read it."""
    if entry[5] == WRITE:
        return None
    field = entry[3]
    if field == "utc_offset_min":
        minutes = station.config[field]
        return "%s%02d:%02d" % (("-" if minutes < 0 else "+",) + divmod(abs(minutes), 60))
    if field[0] == "=":
        found = _told(station, field, evse_id)
    elif field[0] == "!":
        found = not station.config[field[1:]]
    else:
        found = station.config[field]
    if found is None:
        return ""  # a meter that is silent, a sensor that was lost, no date yet
    if entry[4] == "boolean":
        return "true" if found else "false"
    return str(found)


def watchable(entry):
    """Whether it is a number that firmware.uplink.measured gives."""
    return entry[4] == "decimal" or entry[4] == "integer" and entry[5] != WRITE


def change(station, entry, text):
    """Set it to the `text`, from the next start on; "" or why not, in a word. Raises OSError when
    it cannot be kept.
    """
    field = entry[3]
    if entry[5] == READ:
        return "ReadOnly"
    given = text
    if entry[4] == "boolean":
        if text.lower() not in ("true", "false"):
            return "InvalidValue"
        given = 1 if (text.lower() == "true") != (field[0] == "!") else 0
        field = field.lstrip("!")
    elif field == "utc_offset_min":
        digits = text[1:3] + text[4:]
        if len(text) != 6 or text[0] not in "+-" or text[3] != ":" or not digits.isdigit():
            return "InvalidValue"
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        given = minutes if text[0] == "+" else -minutes
    elif entry[4] == "integer":
        try:
            given = int(text)
        except ValueError:
            return "InvalidValue"
    elif field == "network_priority":
        why = borrow("firmware.uplink.networks").unfit(station, text)
        if why:
            return why
    try:
        config.field(field, given, "")
    except ValueError:
        return "InvalidValue"
    fields = {field: given}
    if field == "password":
        # Until the new one is taken, see firmware.uplink.dial.
        fields["password_before"] = station.config["password"]
        fields.update(borrow("firmware.uplink.networks").without_password(station))
    keep(station, fields)
    return ""


def keep(station, fields):
    """Have fields of the configuration kept, all or none: they hold from the next start on. Raises
    OSError when that cannot be, ValueError when they are longer than a record.
    """
    if station.journal.crowded:
        raise OSError  # the room that is left is for transactions
    data = json.dumps(fields).encode()
    station.journal.append(bytes((6, SETTING)) + data)


def describe(station, number):
    """OCPP's ReportDataType of VARIABLES[number // outlets], for outlet number % outlets."""
    count = len(station.outlets)
    entry = VARIABLES[number // count]
    evse_id = number % count + 1
    component: dict = {"name": entry[0]}
    if entry[0] in _OUTLETS:
        component["evse"] = {"id": evse_id}
    variable = {"name": entry[1]}
    if entry[2]:
        variable["instance"] = entry[2]
    attribute = {"mutability": entry[5], "persistent": True}
    found = value(station, entry, evse_id)
    if found is not None:
        attribute["value"] = found
    about: dict = {"dataType": entry[4], "supportsMonitoring": watchable(entry)}
    field = entry[3]
    if entry[4] == "integer" and field in config.FIELDS:
        about["minLimit"], about["maxLimit"] = config.FIELDS[field][2:]
        if field.endswith("_s"):
            about["unit"] = "s"
    elif field == "network_priority":
        about["valuesList"] = "1,2,3,4"
    elif field == "=units":
        about["valuesList"] = "A,W"
    elif field in borrow("firmware.words").WORDS:
        about["valuesList"] = ",".join(borrow("firmware.words").WORDS[field])
    elif entry[4] == "OptionList":
        about["valuesList"] = ",".join(_STATES)
    elif field == "=profiles":
        about["maxLimit"] = 16
    if field in _UNITS:
        about["unit"] = _UNITS[field]
    if field == "=power":
        about["maxLimit"] = _power(station, evse_id)
    return {
        "component": component,
        "variable": variable,
        "variableAttribute": [attribute],
        "variableCharacteristics": about,
    }


def chosen(station, base):
    """Numbers for `describe`: what the report `base` has, OCPP's ReportBaseEnumType."""
    count = len(station.outlets)
    found = []
    for i, entry in enumerate(VARIABLES):
        if base == "ConfigurationInventory" and entry[5] == READ:
            continue
        if base == "SummaryInventory" and entry[1] not in ("AvailabilityState", "Problem"):
            continue
        for number in range(i * count, i * count + (count if entry[0] in _OUTLETS else 1)):
            if _there(station, entry, number % count + 1):
                found.append(number)
    return found


def _there(station, entry, evse_id):
    # Not each outlet has a thermometer.
    return entry[3] != "=celsius" or station.board.outlets[evse_id - 1].thermometer


def _power(station, evse_id):
    place = station.board.outlets[evse_id - 1]
    return station.config["nominal_v"] * place.phases * place.max_ma // 1000


def _told(station, what, evse_id):
    if what == "=evse":
        return station.connector(evse_id - 1)
    if what in ("=state", "=problem"):
        states = [station.connector(i) for i in range(len(station.outlets))]
        if what == "=problem":
            return "Faulted" in states
        return states[0] if len(states) == states.count(states[0]) else "Available"
    if what == "=fault":
        return station.outlets[evse_id - 1].faulted
    if what in _UNITS:
        measured = borrow("firmware.uplink.measured")
        found = measured.number(station, what, evse_id)
        return None if found is None else measured.text(found)
    if what == "=phases":
        return station.board.outlets[evse_id - 1].phases
    if what == "=date":
        if not station.wall.is_set:
            return None
        return station.wall.text(station.wall.uptime_ms)
    if what == "=invalid":
        return borrow("firmware.uplink.hostile").total(station.backend.refused)
    if what == "=network":
        return borrow("firmware.uplink.networks").active(station)
    if what == "=profile":
        return borrow("firmware.uplink.networks").active_level(station)
    if what == "=bytes":
        return station.backend.link.max_payload
    return {
        "=model": station.board.model,
        "=vendor": station.board.vendor,
        "=source": "Heartbeat",
        "=version": VERSION,
        "=items": ITEMS,
        "=entries": station.cards.count,
        "=list": 38,
        "=identity": station.config["station_id"],
        "=chain": 3600,  # characters: what comes is 4 kB at most, see firmware.uplink.link
        "=yes": True,
        "=no": False,
        "=profiles": len(station.profiles.kept) if station.profiles else 0,
        "=external": bool(station.board.limit_input),
        "=periods": 48,  # as firmware.energy.profile has it, and the next one
        "=level": 99,
        "=units": "A,W",
    }[what]
