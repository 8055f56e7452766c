"""Arrays to text and back, and the CALLERROR that each malformed message earns."""

import json

from firmware.uplink.check import check
from firmware.uplink.incoming import decode
from firmware.uplink.ocpp import CallError, encode
from tests.support import raises


def test_encode_is_sorted_and_exact():
    text = encode([2, "a-1", "X", {"z": 1, "a": [True, None, 'ä"\n'], "m": (123456789, 7)}])
    assert text.startswith('[2,"a-1","X",{"a":[true,null,"')
    assert text.endswith(',"m":123456789.007,"z":1}]')
    assert json.loads(text)[3]["a"][2] == 'ä"\n'
    assert encode([(12, 345), (12, 345, 6), (0, 999999, 6)]) == "[12.345,12.000345,0.999999]"


def test_decode_reads_the_three_kinds():
    for message in ([2, "i", "Heartbeat", {}], [3, "i", {}], [4, "i", "InternalError", "", {}]):
        assert decode(json.dumps(message).encode()) == message


def _code(payload):
    try:
        decode(payload)
    except CallError as error:
        return error.code, error.message_id
    return None


def test_what_is_no_message_is_answered_with_id_minus_1():
    for payload in (
        b"",
        b"{}",
        b"[]",
        b"[2]",
        b"null",
        b"\xff\xfe",
        b"[2,",
        b'[2,5,"X",{}]',
        b'[2,"","X",{}]',
        b"[2,null,{}]",
    ):
        assert _code(payload) == ("RpcFrameworkError", "-1"), payload
    assert _code(b'[2,"%s","X",{}]' % (b"a" * 37)) == ("RpcFrameworkError", "-1")


def test_what_has_an_id_is_answered_with_it():
    assert _code(b'[7,"i","X",{}]') == ("MessageTypeNotSupported", "i")
    assert _code(b'["2","i","X",{}]') == ("MessageTypeNotSupported", "i")
    assert _code(b'[true,"i","X",{}]') == ("MessageTypeNotSupported", "i")
    assert _code(b'[2,"i","X"]') == ("RpcFrameworkError", "i")
    assert _code(b'[2,"i",3,{}]') == ("RpcFrameworkError", "i")
    assert _code(b'[2,"i","X",[]]') == ("FormatViolation", "i")


_SHAPE = {
    "name": (str, True, 3),
    "n": (int, False, 1),
    "inner": ({"x": (int, True, None)}, False, None),
}


def test_check_names_the_field_and_the_violation():
    check({"name": "abc", "n": 1, "inner": {"x": -5}}, _SHAPE)
    for value, code in (
        ({}, "OccurrenceConstraintViolation"),
        ({"name": 5}, "TypeConstraintViolation"),
        ({"name": "abcd"}, "PropertyConstraintViolation"),
        ({"name": "a", "n": 0}, "PropertyConstraintViolation"),
        ({"name": "a", "n": 10**400}, "PropertyConstraintViolation"),
        ({"name": "a", "inner": {"x": -(10**400)}}, "PropertyConstraintViolation"),
        ({"name": "a", "n": True}, "TypeConstraintViolation"),
        ({"name": "a", "n": 1.5}, "TypeConstraintViolation"),
        ({"name": "a", "other": 1}, "FormatViolation"),
        ({"name": "a", "inner": []}, "TypeConstraintViolation"),
        ({"name": "a", "inner": {}}, "OccurrenceConstraintViolation"),
    ):
        error = raises(CallError, check, value, _SHAPE)
        assert error.code == code and "payload." in error.description, value


def test_text_is_ascii_and_alike_everywhere():
    text = encode(['\u00e9\n\x01"\\', chr(0x1F600)])
    assert encode("~ \x7f") == '"~ \\u007f"'
    assert text == '["\\u00e9\\u000a\\u0001\\"\\\\","\\ud83d\\ude00"]'
    # What came as an escaped pair goes out as one, whatever the interpreter made of it.
    assert encode(json.loads('"\\ud83d\\ude00"')) == '"\\ud83d\\ude00"'
