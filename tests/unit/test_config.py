"""A wrong configuration names file, field and expectation."""

import json
import os

from firmware import config
from tests.support import raises

_FILE = "test_config.json"


def _load(content):
    with open(_FILE, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    try:
        return config.load(_FILE)
    finally:
        for name in (_FILE, "test_config.1"):
            try:
                os.remove(name)
            except OSError:
                pass


def test_defaults_are_filled_in():
    found = _load({"station_id": "CP-1"})
    assert found["root"] == "ocpp" and found["sample_interval_s"] == 60
    assert sorted(found) == sorted(config.FIELDS)


def test_what_is_wrong_is_named():
    for content, words in (
        ("", ("not JSON",)),
        ([], ("JSON object",)),
        ({}, ("station_id", "missing")),
        ({"station_id": ""}, ("station_id", "1 to 48")),
        ({"station_id": 5}, ("station_id", "text")),
        ({"station_id": "x" * 49}, ("station_id", "1 to 48")),
        ({"station_id": "\u00e9" * 25}, ("station_id", "bytes")),
        ({"station_id": "a\0b"}, ("station_id", "NUL")),
        ({"station_id": "x", "tx_start": "Plugged"}, ("tx_start", "EVConnected", "Plugged")),
        ({"station_id": "x", "tx_stop": "EVConnected;x"}, ("tx_stop", "some of", "d;x")),
        ({"station_id": "x", "measurands": "Voltge"}, ("measurands", "Voltage", "Voltge")),
        ({"station_id": "x", "after_power_cut": "Resume"}, ("after_power_cut", "one of", "R")),
        ({"station_id": "x", "receipt_id": "tokn"}, ("receipt_id", "none, token", "tokn")),
        ({"station_id": "x", "under_voltage_pct": 95}, ("under_voltage_pct", "back_pct", "90")),
        ({"station_id": "x", "under_frequency_mhz": 51500}, ("under_f", "over_frequency_mhz")),
        ({"station_id": "a/b"}, ("station_id", "MQTT")),
        ({"station_id": "a", "root": "x/#"}, ("root", "MQTT")),
        ({"station_id": "a", "colour": 1}, ("colour", "no such field")),
        ({"station_id": "a", "sample_interval_s": 0}, ("sample_interval_s", "1 to 86400")),
        ({"station_id": "a", "sample_interval_s": True}, ("sample_interval_s", "whole number")),
        ({"station_id": "a", "sample_interval_s": 1.5}, ("sample_interval_s", "whole number")),
        ({"station_id": "a", "broker": "nowhere"}, ("broker", "HOST:PORT")),
        ({"station_id": "a", "broker": "x:99999"}, ("broker", "HOST:PORT")),
        ({"station_id": "a", "broker": ":1883"}, ("broker", "HOST:PORT")),
        ({"station_id": "a", "receipt_id": "user"}, ("receipt_id", "token")),
    ):
        text = str(raises(ValueError, _load, content))
        assert _FILE in text and all(word in text for word in words), text


def test_words_in_any_order_and_with_blanks():
    found = _load({"station_id": "x", "tx_stop": "Authorized, EVConnected"})
    assert found["tx_stop"] == "Authorized, EVConnected"


def test_a_missing_file_is_named():
    assert "nowhere.json" in str(raises(ValueError, config.load, "nowhere.json"))


def test_no_message_repeats_a_secret():
    for name in ("user", "password"):
        for value in ("hunter2\0", "hunter2" * 20, ["hunter2"]):
            error = raises(ValueError, config.check, {"station_id": "CP-1", name: value}, "x")
            assert "hunter2" not in str(error) and name in str(error)
