"""What is let go of is gone: a function that stays holds its module, with all that it imported."""

import subprocess
import sys

import pytest

from tools.host import pile_process

PROGRAM = """
import gc, sys, types

import hal
from firmware.station import Station
from hal.virtual.board import VirtualBoard
from tests import pile
from tests.pile import _File, settings, step

scenario = {"until_ms": 80000, "outlets": 2, "outlet": {"cable": %r}, "steps": [
    step(1000, "plug"), step(2000, "card", uid="04A1B2C3D4E5F6"), step(3000, "ready"),
    step(6000, "pause"), step(7000, "unplug"),
    step(9000, "backend", message=[2, "list-1", "SendLocalList", {
        "versionNumber": 1, "updateType": "Full", "localAuthorizationList": [
            {"idToken": {"idToken": "0A0B0C0D", "type": "ISO14443"},
             "idTokenInfo": {"status": "Accepted"}}]}]),
    step(500, "backend", message=[2, "list-2", "SetDefaultTariff", {
        "evseId": 0, "tariff": {"tariffId": "T", "currency": "CNY",
                                "energy": {"prices": [{"priceKwh": 1.5}]}}}]),
    step(600, "answer", action="TransactionEvent", fields={"transactionLimit": {"maxCost": 9}}),
    step(700, "backend", message=[2, "m", "SetVariableMonitoring", {"setMonitoringData": [
        {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"},
         "type": "Delta", "value": 1, "severity": 5}]}]),
    step(800, "backend", message=[2, "r", "GetMonitoringReport", {"requestId": 1}]),
    step(20000, "door"), step(21000, "door", fault=False),
    step(22000, "backend", message=[2, "a", "ChangeAvailability", {
        "operationalStatus": "Inoperative"}]),
    step(23000, "backend", message=[2, "u", "UnlockConnector", {"evseId": 1, "connectorId": 1}]),
    step(24000, "backend", message={"bad": 1}),
    step(25000, "backend", message=[2, "c", "ClearVariableMonitoring", {"id": [1]}]),
    step(60000, "backend", message=[2, "i", "CustomerInformation", {
        "requestId": 1, "report": True, "clear": True,
        "idToken": {"idToken": "04A1B2C3D4E5F6", "type": "ISO14443"}}]),
    step(650, "backend", message=[2, "profile-1", "SetChargingProfile", {
        "evseId": 0, "chargingProfile": {
            "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative", "chargingSchedule": [
                {"id": 1, "chargingRateUnit": "A",
                 "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]}]}}]),
    step(700, "backend", message=[2, "profile-2", "GetChargingProfiles",
                                  {"requestId": 1, "chargingProfile": {}}]),
    step(26000, "backend", message=[2, "k", "TriggerMessage", {
        "requestedMessage": "SignChargingStationCertificate"}]),
    step(30000, "backend", message=[2, "profile-3", "ClearChargingProfile", {}])]}
board = VirtualBoard(scenario, _File())
station = Station(board, settings(
    customer_info=1, cert_signing_wait_s=5, cert_signing_repeats=1, **%r))
pile.config = None  # which holds firmware.config
hal.let_go(("firmware.wiring", "firmware.config"))
before = set(sys.modules)
board.run(station)
gc.collect()
held = {found.__module__ for found in gc.get_objects() if isinstance(found, types.FunctionType)}
held -= {None, *sys.modules}
held.update(set(sys.modules) - before)
print(station.cards.version, sorted(name for name in held if name.startswith(("firmware", "hal"))))
"""


@pytest.mark.parametrize("cable, config", [("attached", {}), ("socket", {"receipts": 1})])
def test_nothing_holds_what_was_let_go_of(cable, config):
    # Nor stays what a card, a session or a request had imported.
    _, env = pile_process.command("cpython")
    done = subprocess.run([sys.executable, "-c", PROGRAM % (cable, config)], env=env, text=True,
                          cwd=pile_process.REPO, capture_output=True, check=False)
    assert done.stdout == "1 []\n", done.stdout + done.stderr
