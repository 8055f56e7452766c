"""README's tables have each message of OCPP 2.1, and say of it what code and tests say."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from firmware.uplink import commands

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = Path(find_spec("ocpp").origin).parent / "v21" / "schemas"
# What a station calls; all else the backend does, and DataTransfer goes both ways. The schemas do
# not say it: OCPP 2.1 part 2 does, use case by use case.
UP = {
    "Authorize", "BatterySwap", "BootNotification", "ClearedChargingLimit",
    "ClosePeriodicEventStream", "FirmwareStatusNotification", "Get15118EVCertificate",
    "GetCertificateChainStatus", "GetCertificateStatus", "Heartbeat", "LogStatusNotification",
    "MeterValues", "NotifyChargingLimit", "NotifyCustomerInformation", "NotifyDERAlarm",
    "NotifyDERStartStop", "NotifyDisplayMessages", "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule", "NotifyEvent", "NotifyMonitoringReport",
    "NotifyPeriodicEventStream", "NotifyPriorityCharging", "NotifyReport", "NotifySettlement",
    "OpenPeriodicEventStream", "PublishFirmwareStatusNotification", "PullDynamicScheduleUpdate",
    "ReportChargingProfiles", "ReportDERControl", "ReservationStatusUpdate",
    "SecurityEventNotification", "SignCertificate", "StatusNotification", "TransactionEvent",
    "VatNumberValidation",
}  # fmt: skip


def _every():
    names = {path.stem for path in SCHEMAS.glob("*.json")}
    return {re.sub("(Request|Response)$", "", name) for name in names}


def _table(heading):
    """{message: (what README says of it, its level)} of the table under that heading."""
    rows = (ROOT / "README.md").read_text().partition(f"| {heading} | | proven |\n")[2]
    found = {}
    for row in rows.splitlines()[1:]:
        if not row.startswith("|"):
            break
        names, said, level = (cell.strip() for cell in row.strip("|").split("|"))
        for name in names.split(", "):
            assert name not in found, f"README: {name}: twice under {heading!r}"
            found[name] = said, level
    return found


DOWN = (_every() - UP) | {"DataTransfer"}
ASKED = _table("from the backend")
SENT = _table("from the pile")


def test_each_message_is_in_its_table_once():
    assert not DOWN ^ set(ASKED), "from the backend: each message of OCPP in one row"
    assert not (UP | {"DataTransfer"}) ^ set(SENT), "from the pile: each message in one row"


@pytest.mark.parametrize("action", sorted(DOWN))
def test_what_is_said_of_a_request_is_so(action):
    served = action in commands._ACTIONS or action in commands._ELSEWHERE
    refused = action in commands.UNSUPPORTED
    assert served != refused, f"{action}: served, or in commands.UNSUPPORTED; not both"
    said, level = ASKED[action]
    assert said.startswith("supported" if served else "not supported"), f"README: {action}: {said}"
    _proven(action, level, served)
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
    assert (action in document["operations"]["serve"]["x-ocpp-actions"]) == served


def test_what_is_said_of_a_message_of_the_pile_is_so():
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
    told = document["operations"]["tell"]["x-ocpp-actions"]
    for action, (said, level) in SENT.items():
        assert said.startswith("sent" if action in told else "never sent"), f"{action}: {said}"
        _proven(action, level, action in told)


def _proven(action, level, there):
    assert level == ("micropython" if there else ""), f"README: {action}: level {level!r}"
    if there:
        # tests/unit runs on CPython and on MicroPython's unix port
        files = (ROOT / "tests/unit").glob("test_*.py")
        assert any(f'"{action}"' in path.read_text() for path in files), f"{action}: no unit test"


def test_nothing_is_refused_that_ocpp_has_not():
    assert set(commands.UNSUPPORTED) <= DOWN
    assert len(set(commands.UNSUPPORTED)) == len(commands.UNSUPPORTED)
