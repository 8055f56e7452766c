"""Messages that are none: refused by the right CALLERROR, counted, told of where they look
hostile; nothing else changes.
"""

import json

from firmware.uplink import hostile
from firmware.uplink.incoming import decode, wrong
from firmware.uplink.ocpp import CallError
from hal.virtual.random import Random
from tests.pile import charging, simulate, step

_RESET = '{"type":"Immediate"}'


def _refusal(payload):
    try:
        decode(payload)
    except CallError as error:
        return getattr(error, "kind", ""), error.code, error.message_id
    return None


def _nested(depth):
    inner = "[" * (depth - 3) + "]" * (depth - 3)
    return '[2,"i","Reset",{"type":"OnIdle","customData":{"vendorId":"x","a":%s}}]' % inner


_BAD = (
    ('[2,"i","Reset",{"type":"Immediate","type":"OnIdle"}]', "twice", "FormatViolation", "i"),
    (
        '[2,"i","Reset",{"type":"Immediate","\\u0074ype":"OnIdle"}]',
        "twice",
        "FormatViolation",
        "i",
    ),
    ('[2,"i","Reset",{"a":[{"b":{"c":1,"c":1}}]}]', "twice", "FormatViolation", "i"),
    (_nested(17), "deep", "FormatViolation", "i"),
    ("[" * 4000, "deep", "FormatViolation", "-1"),
    ('[2,"i","Reset",' + '{"a":' * 500 + "1" + "}" * 500 + "]", "deep", "FormatViolation", "i"),
    (b'[2,"i","Reset",{"type":"\xff"}]', "encoding", "RpcFrameworkError", "i"),
    (b'[2,"\xc3","Reset",{}]', "encoding", "RpcFrameworkError", "-1"),
    (b"\xff\xfe[2]", "encoding", "RpcFrameworkError", "-1"),
    ('[2,"i","Reset",' + _RESET, "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"Imme', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i', "syntax", "RpcFrameworkError", "-1"),
    ('[2 "i" "Reset" {"type" "Immediate"}]', "syntax", "RpcFrameworkError", "-1"),
    ('[2,"i","Reset",{"type":"Immediate"}]]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"Immediate"}]x', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"Immediate",}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type"}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"Immediate\\x41"}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"Immediate\\u00zz"}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":"\tImmediate"}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"evseId":02}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"evseId":1.}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"evseId":--1}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"evseId":1e}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"evseId":true1}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{:"Immediate"}]', "syntax", "RpcFrameworkError", "i"),
    ('[2,,"i","Reset",{}]', "syntax", "RpcFrameworkError", "-1"),
    ('[2,"i","Reset",{}}', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",NaN]', "syntax", "RpcFrameworkError", "i"),
    ('[2,"i","Reset",{"type":Immediate}]', "syntax", "RpcFrameworkError", "i"),
    ("[2,'i','Reset',{}]", "syntax", "RpcFrameworkError", "-1"),
    ('{"a":1}', "frame", "RpcFrameworkError", "-1"),
    ('[9,"i","Reset",{}]', "frame", "MessageTypeNotSupported", "i"),
    ('[2,"i","Reset",[]]', "frame", "FormatViolation", "i"),
)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def _many(fields):
    return "{%s}" % ",".join(['"f%d":%d' % (i, i) for i in range(fields)])


def test_each_kind_earns_its_callerror():
    for text, kind, code, message_id in _BAD:
        assert _refusal(_bytes(text)) == (kind, code, message_id), text
    assert _refusal(_bytes('[2,"i","Reset",%s]' % _many(65))) == ("fields", "FormatViolation", "i")


def test_no_utf_8_but_that_of_the_rfc_is_taken():
    for good, bad in (
        (b"\xc2\x80", b"\xc0\x80 \xc1\xbf"),
        (b"\xe0\xa0\x80", b"\xe0\x9f\xbf \xe0\x80\x80"),
        (b"\xed\x9f\xbf \xee\x80\x80", b"\xed\xa0\x80 \xed\xbf\xbf"),
        (b"\xf0\x90\x80\x80", b"\xf0\x8f\xbf\xbf \xf0\x80\x80\x80"),
        (b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf7\xbf\xbf\xbf"),
    ):
        assert decode(b'[3,"i",{"a":"' + good + b'"}]')
        for one in bad.split():
            for message in (b'[3,"i",{"a":"%s"}]' % one, b'[3,"%s",{}]' % one):
                assert _refusal(message)[:2] == ("encoding", "RpcFrameworkError"), message


def test_what_is_good_is_taken():
    for text in (
        _nested(16),
        '[2,"i","Reset",%s]' % _many(64),
        ' [ 2 , "i" ,\r\n\t"Reset" , { "type" : "Immediate" } ] ',
        '[3,"i",{"a":{"b":1},"c":{"b":1},"b":[true,false,null,-1.5e+3,0,""]}]',
        '[4,"i","InternalError","\\"a\\\\",{}]',
        '[3,"\\u00e4\\\\",{"a":"{[\\"","b":"]}"}]',
    ):
        assert decode(text.encode()) == json.loads(text), text


def test_what_is_written_wrong_never_raises_or_passes_two_of_one_name():
    random = Random(11)
    good = '[2,"i-1","SetVariables",{"a":[{"b":{"n":"x","m":-1.5}},{"b":{"n":"\\"y"}}],"t":true}]'
    letters = '[]{}:,"\\0 abntf-'
    for _ in range(1500):
        data = bytearray(good.encode())
        for _ in range(1 + random.below(3)):
            at = random.below(len(data))
            what = random.below(3)
            if what == 0:
                data[at] = ord(letters[random.below(len(letters))])
            elif what == 1:
                data = data[:at] + data[at + 1 + random.below(5) :]
            else:
                data = data[:at] + bytes([ord(letters[random.below(len(letters))])]) + data[at:]
        data = bytes(data)
        if wrong(data) is None:
            try:
                found = json.loads(data)
            except ValueError:
                continue  # numbers, words and escapes are for json.loads to judge
            assert wrong(json.dumps(found).encode()) is None, data


def _received(texts, until_ms=20000, every_ms=10):
    """A pile that charges, to which these bytes come from 6 s on."""
    trace, station = simulate(5000, charging())
    board = station.board
    answers = []

    def come(text):
        station.backend._message(_bytes(text), False, False)

    for i, text in enumerate(texts):
        board.plant.at(6000000 + i * every_ms * 1000, come, text)
    board.scenario["until_ms"] = until_ms
    board.run(station)
    answers = [one for one in trace.answers() if one[0] == 4]
    return trace, station, answers


def _events(trace):
    return [
        one["techInfo"]
        for one in trace.messages("SecurityEventNotification")
        if one["type"] == "InvalidMessages"
    ]


def test_a_pile_goes_on_and_tells_what_it_was_sent():
    trace, station, answers = _received([text for text, _, _, _ in _BAD], every_ms=100)
    assert [(one[2], one[1]) for one in answers] == [(code, i) for _, _, code, i in _BAD]
    assert station.sessions[0].tx and station.outlets[0].energised and not station.errors
    counts = dict(station.backend.refused)
    counts.pop("")
    assert counts == {"twice": 3, "deep": 3, "encoding": 3, "syntax": 22, "frame": 3}
    assert hostile.total(station.backend.refused) == len(_BAD)
    # The first one was hostile, and what follows within the hour is not told again.
    assert _events(trace) == ["twice 1 since the start"]
    assert [line["count"] for line in trace.of("refused", kind="syntax")] == [1, 2, 4, 8, 16]


def test_a_flood_of_them_floods_nothing():
    flood = [b'[2,"x","Reset",{"type":"OnIdle","type":"OnIdle"}]', b"\xff", b"[[[["] * 700
    trace, station = simulate(5000, charging())
    first = station.journal.next
    for payload in flood:
        station.backend._message(payload, False, False)
    assert hostile.total(station.backend.refused) == 2100
    assert station.journal.next == first + 1 and len(station.backend._answers) <= 32
    assert not station.backend.outbox._calls
    assert len(trace.of("refused")) == 3 * 10
    # An hour later it is told once more.
    station.wall.uptime_ms += 3600000
    station.backend._message(b"\xff", False, False)
    station.backend._message(b"\xff", False, False)
    assert station.journal.next == first + 2


def test_what_may_be_an_error_is_told_when_it_comes_often():
    trace, _, _ = _received(["{}"] * 4)
    assert _events(trace) == []
    trace, _, _ = _received(["{}"] * 5)
    assert _events(trace) == ["frame 5 since the start"]
    trace, _, _ = _received(["{}"] * 12, until_ms=260000, every_ms=16000)
    assert _events(trace) == []  # less than five in any minute
    wrong_fields = '[2,"%d","Reset",{"type":"Now"}]'
    trace, _, answers = _received([wrong_fields % i for i in range(5)])
    assert _events(trace) == ["payload 5 since the start"]
    assert [one[2] for one in answers] == ["PropertyConstraintViolation"] * 5


def test_an_honest_backend_that_knows_more_is_not_hostile():
    texts = ['[2,"%d","MakeCoffee",{}]' % i for i in range(9)]
    texts += ['[2,"n%d","SetDERControl",{}]' % i for i in range(9)]
    trace, station, _ = _received(texts)
    assert station.backend.refused == {} and _events(trace) == []


def test_no_answer_to_an_answer():
    texts = [
        '[3,"i",{"a":1,"a":2}]',
        "[3",
        '[4,"i"]',
        ' [3,"i",{}',
        '[5,"i","X","",{}]',
        '[6,"i"]',
    ]
    trace, station, answers = _received(texts)
    assert answers == [] and hostile.total(station.backend.refused) == 6


def test_what_is_longer_than_a_packet_ends_the_connection():
    message = [2, "i", "DataTransfer", {"vendorId": "x", "data": "y" * 5000}]
    trace, station = simulate(20000, [step(2000, "backend", message=message)])
    downs = trace.of("line", up=False)
    assert [line["why"].split(":")[0] for line in downs] == ["protocol error"]
    assert trace.ms("line", 2100, up=True)  # it is back, and does not get it again
    assert _events(trace) == ["packet 1 since the start"]
    assert hostile.total(station.backend.refused) == 1


def test_the_backend_reads_how_many_there_were():
    name = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "InvalidMessages"}}
    asked = json.dumps([2, "v", "GetVariables", {"getVariableData": [name]}])
    trace, _, _ = _received(["{}", "{}", asked])
    (answer,) = [one for one in trace.answers() if one[1] == "v"]
    assert answer[2]["getVariableResult"][0]["attributeValue"] == "2"


def test_an_error_of_ours_is_answered_and_ends_nothing():
    trace, station = simulate(3000, [])
    station.backend.doorman = None
    message = b'[2,"x","ChangeAvailability",{"operationalStatus":"Operative"}]'
    station.backend._message(message, False, False)
    assert json.loads(station.backend._answers[0])[:3] == [4, "x", "InternalError"]
    assert len(trace.of("error")) == 1
