"""Connections that the backend sets (SetNetworkProfile), the order in which they are tried, and
the end of a session on which nobody answers; that the line goes by them: tests/host/test_dial.py.
"""

import asyncio

from firmware import borrow, changes
from firmware.uplink import mute, networks
from tests.pile import charging, settings, simulate, step
from tests.support import raises

_DATA = {
    "ocppInterface": "Any",
    "ocppTransport": "JSON",
    "messageTimeout": 30,
    "ocppCsmsUrl": "mqtt://other.example:1883",
    "securityProfile": 1,
}
_KEPT = '["other.example:1883", 1, null, null]'
_APN = {"apn": "internet", "apnAuthentication": "AUTO"}
_VPN = {"server": "v.example", "user": "u", "password": "p", "key": "k", "type": "IPSec"}


def _call(at_ms, action, payload, **fields):
    return step(at_ms, "backend", message=[2, "n%d" % at_ms, action, payload], **fields)


def _set(at_ms, slot=1, replayed=False, **given):
    payload = {"configurationSlot": slot, "connectionData": dict(_DATA, **given)}
    return _call(at_ms, "SetNetworkProfile", payload, replayed=replayed)


def _variable(name, value=None):
    made = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": name}}
    if value is not None:
        made["attributeValue"] = value
    return made


def _priority(at_ms, text):
    data = [_variable("NetworkConfigurationPriority", text)]
    return _call(at_ms, "SetVariables", {"setVariableData": data})


def _said(trace):
    found = []
    for answer in trace.answers():
        payload = answer[2]
        if "setVariableResult" in payload:
            payload = payload["setVariableResult"][0]
            info = payload.get("attributeStatusInfo", {})
            found.append((payload["attributeStatus"], info.get("reasonCode")))
        else:
            found.append((payload["status"], payload.get("statusInfo", {}).get("reasonCode")))
    return found


def _kept(station):
    """What the next start finds changed."""
    return (changes.newest(station.board.store.load, "config", print) or (0, 0, None, {}))[3]


def test_a_profile_is_kept_and_told_of_without_its_password():
    given = {"identity": "CP-9", "basicAuthPassword": "not to be guessed"}
    trace, station = simulate(15000, [_set(1000), _set(2000, 4, **given), _set(3000, 4, **given)])
    assert _said(trace) == [("Accepted", None)] * 3
    second = '["other.example:1883", 1, "CP-9", "not to be guessed"]'
    assert _kept(station) == {"network_1": _KEPT, "network_4": second}
    told = [
        one["techInfo"]
        for one in trace.messages("SecurityEventNotification")
        if one["type"] == "ReconfigurationOfSecurityParameters"
    ]
    assert told == [
        "network profile 1: other.example:1883, security profile 1",
        "network profile 4: other.example:1883, security profile 1",
    ]
    assert station.config["network_priority"] == ""  # nobody goes by it yet


def test_while_a_vehicle_charges_it_waits_and_a_power_cut_does_not_lose_it():
    # tests.pile fails on a write to flash while closed.
    steps = charging(_set(10000), _priority(11000, "1"), step(12000, "power", for_ms=500))
    trace, station = simulate(13500, steps)
    assert _said(trace) == [("Accepted", None), ("RebootRequired", None)]
    found = station.board.station.config
    assert found["network_1"] == _KEPT and found["network_priority"] == "1"


def test_what_this_pile_cannot_do_is_rejected_with_the_reason():
    for given, why in (
        ({"slot": 0}, "InvalidConfSlot"),
        ({"slot": 5}, "InvalidConfSlot"),
        ({"slot": -1}, "InvalidConfSlot"),
        ({"replayed": True}, "StaleCommand"),
        ({"ocppTransport": "SOAP"}, "InvalidNetworkConf"),
        ({"ocppInterface": "Wired0"}, "InvalidNetworkConf"),
        ({"apn": _APN}, "InvalidNetworkConf"),
        ({"vpn": _VPN}, "InvalidNetworkConf"),
        ({"securityProfile": 0}, "InvalidNetworkConf"),
        ({"securityProfile": 2}, "InvalidNetworkConf"),
        ({"securityProfile": 4}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtts://other.example:8883"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "wss://other.example:443/ocpp", "securityProfile": 2},
         "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://other.example"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://other.example:0"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://other.example:65536"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://:1883"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://u:p@other.example:1883"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://a,b:1883"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://other.example:1883/path"}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": "mqtt://%s:1883" % ("x" * 300)}, "InvalidNetworkConf"),
        ({"ocppCsmsUrl": ""}, "InvalidNetworkConf"),
        ({"identity": "CP\x00"}, "InvalidNetworkConf"),
        ({"basicAuthPassword": "\x00"}, "InvalidNetworkConf"),
        ({"identity": "\x01" * 48, "basicAuthPassword": "\x01" * 64}, "InvalidNetworkConf"),
    ):  # fmt: skip
        trace, station = simulate(3000, [_set(1000, **given)])
        assert _said(trace) == [("Rejected", why)], given
        assert _kept(station) == {} and station.config["network_1"] == ""


def test_a_lower_security_profile_is_rejected():
    config = settings(tls=1)
    secure = {"ocppCsmsUrl": "mqtts://other.example:8883", "securityProfile": 2}
    trace, _ = simulate(3000, [_set(1000), _set(2000, 2, **secure)], config)
    assert _said(trace) == [("Rejected", "NoSecurityDowngrade"), ("Accepted", None)]
    # So it is while the line goes by one with TLS, though `broker` is without.
    _, station = simulate(100, [], settings(network_1='["a:1", 2, null, null]'))
    assert networks.active_level(station) == 1
    station.network = 1
    assert networks.active_level(station) == 2


def test_what_cannot_be_kept_fails():
    trace, station = simulate(4000, [step(500, "fram"), _set(1000)])
    assert _said(trace) == [("Failed", "NotKept")]
    assert station.config["network_1"] == ""


def test_what_is_malformed():
    good = {"configurationSlot": 1, "connectionData": _DATA}
    for i, wrong in enumerate((
        {},
        {"configurationSlot": 1},
        {"configurationSlot": "1", "connectionData": _DATA},
        dict(good, connectionData=[]),
        dict(good, more=1),
        dict(good, connectionData=dict(_DATA, ocppTransport="MQTT")),
        dict(good, connectionData=dict(_DATA, securityProfile=-1)),
        dict(good, connectionData=dict(_DATA, messageTimeout="30")),
        dict(good, connectionData=dict(_DATA, identity="x" * 49)),
        dict(good, connectionData=dict(_DATA, apn={"apn": "x"})),
    )):  # fmt: skip
        trace, station = simulate(3000, [_call(1000, "SetNetworkProfile", wrong)])
        assert [answer[0] for answer in trace.answers()] == [4], i
        assert _kept(station) == {}


def test_a_slot_that_is_in_use_is_not_changed():
    config = settings(network_1=_KEPT, network_2=_KEPT, network_priority="2")
    other = {"ocppCsmsUrl": "mqtt://third.example:1883"}
    trace, _ = simulate(3000, [_set(1000, 2, **other), _set(2000, 1, **other)], config)
    assert _said(trace) == [("Rejected", "PriorityNetworkConf"), ("Accepted", None)]


def test_the_list_takes_what_was_set_and_no_other():
    steps = [
        _set(1000),
        _set(1500, 3),
        _set(2000, 2, ocppCsmsUrl="mqtts://s.example:8883", securityProfile=2),
    ]
    tried = (
        ("3,1", "RebootRequired", None),
        ("1,1", "Rejected", "InvalidNetworkConf"),
        ("4", "Rejected", "InvalidNetworkConf"),
        ("5", "Rejected", "InvalidNetworkConf"),
        ("1, 3", "Rejected", "InvalidNetworkConf"),
        ("mqtt", "Rejected", "InvalidNetworkConf"),
        ("2", "Rejected", "InvalidNetworkConf"),  # nothing to know the broker by
        ("", "RebootRequired", None),
        ("1", "RebootRequired", None),
    )
    steps += [_priority(3000 + 500 * i, one[0]) for i, one in enumerate(tried)]
    trace, station = simulate(15000, steps)
    assert _said(trace)[3:] == [one[1:] for one in tried]
    assert _kept(station)["network_priority"] == "1"
    roots = borrow("firmware.access.roots")
    station.board.store.save(roots.name(1), b"")
    assert networks.unfit(station, "2") == "InvalidNetworkConf"
    roots.commit(station.cards, roots.packed(1, 1, roots.KINDS[0], b"0"))
    assert networks.unfit(station, "2") == ""


def test_a_list_below_what_the_installer_asks_for_is_refused():
    config = settings(tls=1, network_1=_KEPT)
    trace, _ = simulate(3000, [_priority(1000, "1")], config)
    assert _said(trace) == [("Rejected", "NoSecurityDowngrade")]


def test_what_is_told_of_it():
    names = ("ActiveNetworkProfile", "NetworkConfigurationPriority",
             "NetworkProfileConnectionAttempts")  # fmt: skip
    data = [_variable(name) for name in names]
    config = settings(network_1=_KEPT, network_priority="1")
    trace, station = simulate(2000, [_call(1000, "GetVariables", {"getVariableData": data})],
                              config)  # fmt: skip
    results = trace.answers()[0][2]["getVariableResult"]
    assert [one["attributeValue"] for one in results] == ["0", "1", "3"]
    assert borrow("firmware.uplink.measured").number(station, "=network", 0) == 0
    # Nobody answers for long: there is who looks after that.
    assert any("Mute" in repr(service) for service in station.services)


def test_the_slots_are_tried_in_their_order():
    config = settings(
        network_1='["a:1", 1, null, null]',
        network_2='["b:2", 2, "u", "p"]',
        network_3="rubbish",
        network_4='["d:4", 9, null, null]',
        network_priority="2,3,4,1,9,x",
        network_attempts=2,
    )
    assert networks.places(config) == [
        (2, "b:2", True, 0, 2), (2, "b:2", True, 1, 2), (1, "a:1", False, 0, 2),
        (1, "a:1", False, 1, 2),
    ]  # fmt: skip
    # What was set before the installer asked for TLS counts no longer.
    config["tls"] = 1
    assert [place[0] for place in networks.places(config)] == [2, 2]


def test_what_is_tried_ends_with_the_broker():
    dial = borrow("firmware.uplink.dial")
    config = settings(broker="x:1, y:2", network_1='["a:1", 1, null, null]', network_priority="1")
    _, station = simulate(1000, [], config)
    route = {"turn": 0, "hosts": {}, "step": "connect"}
    station.board.log.record = lambda what, **fields: told.append(fields["broker"])
    told = []
    for i in range(8):
        dial.failed(station, route, "ECONNREFUSED %d" % i)
    assert told == ["a:1", "a:1", "a:1", "x:1", "y:2", "a:1", "a:1", "a:1"]


def test_where_no_backend_answered_the_other_attempts_are_given_up():
    dial = borrow("firmware.uplink.dial")
    config = settings(broker="x", network_1='["a", 1, null, null]', network_priority="1")
    _, station = simulate(1000, [], config)
    for said, turn, after in (
        (False, 0, 0), (True, 0, 3), (True, 1, 3), (True, 3, 3), (True, 5, 7)
    ):  # fmt: skip
        route = {"turn": turn, "hosts": {}}
        station.mute = said
        # It ends before anybody is asked: no place has a port.
        raises(ValueError, asyncio.run, dial.dial(station, route, lambda: 0))
        assert route["turn"] == after and not station.mute


def test_another_slot_goes_by_its_own_user_and_greets_anew():
    config = settings(
        user="me", password="mine", network_1='["a:1", 1, "u", "p"]', network_2=_KEPT
    )
    _, station = simulate(3000, [], config)
    backend = station.backend
    link = backend.link
    for slot, user, password, accepted in (
        (0, b"me", b"mine", True),
        (1, b"u", b"p", False),
        (1, b"u", b"p", True),
        (2, b"me", b"mine", False),
        (0, b"me", b"mine", False),
    ):
        backend.accepted = True
        networks.use(station, slot)
        assert (link.user, link.pswd, backend.accepted) == (user, password, accepted), slot
        assert networks.active(station) == slot
    station.config["user"] = ""
    networks.use(station, 0)
    assert link.user is None and link.pswd is None


class _Backend:
    """A station, its backend, link and outbox as firmware.uplink.mute sees them."""

    def __init__(self):
        self.backend = self.link = self.outbox = self
        self.network = 1
        self.up = True
        self.accepted = False
        self.mute = False
        self.answered_ms = 7
        self.asked = 0
        self.dropped = []
        self.service = mute.Mute(self)

    def has(self, action):
        return self.asked > 0

    def add(self, action, build):
        assert action == "Heartbeat" and build(None) == {}
        self.asked += 1

    def drop(self, why):
        self.dropped.append(why)
        self.up = False

    def runs(self, from_s, to_s):
        for second in range(from_s, to_s):
            self.service.tick(second * 1000)


def test_a_session_on_which_nobody_answers_ends():
    it = _Backend()
    it.runs(0, 300)
    assert not it.dropped and not it.asked  # BootNotification asks
    it.runs(300, 302)
    assert it.dropped == ["no backend answers"] and it.mute


def test_one_on_which_nobody_accepts_the_pile_ends_later():
    it = _Backend()
    it.runs(0, 10)
    it.answered_ms = 10000
    it.runs(10, 1800)
    assert not it.dropped
    it.runs(1800, 1802)
    assert it.dropped == ["no backend accepts this pile"] and it.mute


def test_one_that_was_answered_goes_on_and_the_next_is_asked_anew():
    it = _Backend()
    it.runs(0, 10)
    it.answered_ms, it.accepted = 10000, True
    it.runs(10, 4000)
    it.up = False
    it.runs(4000, 4001)
    assert not it.dropped and not it.asked and not it.mute
    it.up = True
    it.runs(4001, 4300)
    assert it.asked == 1 and not it.dropped
    it.runs(4300, 4303)
    assert it.dropped == ["no backend answers"]


def test_the_broker_itself_is_never_given_up():
    it = _Backend()
    it.network = 0
    it.runs(0, 4000)
    assert not it.dropped and not it.asked


def test_a_password_that_is_set_counts_for_the_slot_in_use():
    named = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    named["attributeValue"] = "new"
    config = settings(
        network_1='["a:1", 1, "u", "old"]', network_2='["b:1", 1, "u", "other"]',
        network_priority="1,2",
    )  # fmt: skip
    call = [2, "p", "SetVariables", {"setVariableData": [named]}]
    call = borrow("firmware.uplink.ocpp").encode(call).encode()
    for slot, cleared in (
        (0, {}),
        (1, {"network_1": '["a:1", 1, "u", null]'}),
        (2, {"network_2": '["b:1", 1, "u", null]'}),
        (3, {}),
    ):
        _, station = simulate(2000, [], config)
        station.network = slot
        station.backend._message(call, False, False)
        assert '"RebootRequired"' in station.backend._answers.pop().decode()
        found = settings()
        borrow("firmware.commit").settings(station.staged, found)
        expected = settings(password="new")
        expected.update(cleared)
        assert found == expected


def test_a_factory_reset_leaves_them():
    _, station = simulate(15000, [_set(1000)])
    changes.factory_reset(station.board.store, station.closed)
    assert _kept(station) == {"network_1": _KEPT}
