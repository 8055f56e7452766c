"""What is told of attempts that came to nothing, and when the radio is looked after; the sockets
are in tests/host/test_dial.py.
"""

import asyncio

from firmware.energy.limits import LINE, Limits
from firmware.energy.reasons import explain
from firmware.uplink import dial


class _Radio:
    def __init__(self):
        self.asked = []

    def rejoin(self, anew):
        self.asked.append(anew)


class _Station:
    def __init__(self, brokers="a:1883"):
        self.config = {"broker": brokers, "tls": 0, "dns": "", "tls_pause": 0}
        self.lines = []
        self.charging = False
        self.radio = _Radio()
        self.board = self.log = self
        self.stalls = False
        self.devices = [object(), self.radio]
        self.route = {"turn": 0, "hosts": {}, "step": ""}
        self.cards = self.station = self.wall = self
        self.uptime_ms = 0
        self.told_ms = {"FailedToAuthenticateAtCsms": 0}  # the event was told within the hour
        self.wall = self
        self.uptime_ms = 0
        self.limits = Limits(32000)
        self.outlets = [self]

    def closed(self):
        return self.charging

    def driven(self):
        return self.charging and self.limits.effective_ma() > 0

    def name_servers(self):
        return []

    def record(self, what, **fields):
        if what == "line":
            self.lines.append((fields["broker"], fields["step"], fields["why"]))

    def fails(self, step, why, n=1):
        for _ in range(n):
            if not self.route["step"]:
                self.begins()
            self.route["step"] = step
            dial.failed(self, self.route, why)

    def begins(self):
        """Dial, up to where a socket is needed."""
        config = self.config
        self.config = dict(config, broker="nowhere")  # no port: ends before anybody is asked
        try:
            asyncio.run(dial.dial(self, self.route, lambda: 0))
        except ValueError:
            pass
        self.config = config


def test_each_reason_is_told_once_for_each_broker():
    station = _Station("a:1, b:2")
    station.fails("connect", "ECONNREFUSED", 10)
    told = "connect", "ECONNREFUSED"
    assert station.lines == [("a:1",) + told, ("b:2",) + told]
    station.fails("mqtt", "no CONNACK", 2)
    assert station.lines[2:] == [("a:1", "mqtt", "no CONNACK"), ("b:2", "mqtt", "no CONNACK")]


def test_a_password_that_is_refused_takes_turns_with_the_one_before():
    station = _Station()
    turns = []
    for why in ("no CONNACK", "refused by the broker, CONNACK code 5", "ECONNREFUSED"):
        station.fails("mqtt", why)
        turns.append(station.route.get("before", False))
    station.fails("mqtt", "refused by the broker, CONNACK code 4")
    assert turns == [False, True, True] and not station.route["before"]


def test_a_line_that_is_not_there_has_its_reason_in_explain():
    station = _Station()
    station.fails("connect", "ECONNREFUSED")
    assert station.trouble == "connect: ECONNREFUSED"
    station.route["step"] = ""
    station.begins()
    assert station.trouble == ""


def test_after_a_good_session_it_is_told_anew():
    station = _Station()
    station.fails("connect", "ECONNREFUSED", 2)
    station.route["step"] = ""
    station.fails("connect", "ECONNREFUSED", 2)
    assert station.lines == [("a:1883", "connect", "ECONNREFUSED")] * 2


def test_a_line_on_which_nobody_answers_has_the_radio_join_again():
    station = _Station()
    station.fails("name", "name server 10.0.0.1: no answer", 5)
    assert station.radio.asked == []
    station.fails("connect", "OSError: connection timed out")
    assert station.radio.asked == [False]
    station.fails("connect", "OSError: connection timed out", 12)
    assert station.radio.asked == [False, False, True]
    station.fails("connect", "OSError: connection timed out", 6)
    assert station.radio.asked == [False, False, True, True]


def test_the_radio_is_not_switched_off_while_a_contactor_is_closed():
    station = _Station()
    station.charging = True
    station.fails("connect", "OSError: connection timed out", 30)
    assert station.radio.asked == [False] * 5
    station.charging = False
    station.fails("connect", "OSError: connection timed out", 6)
    assert station.radio.asked[5:] == [True]


def test_the_radio_is_left_alone_while_anybody_answers():
    for step, why in (
        ("name", "NoAddress: no such host"),
        ("connect", "OSError: [Errno 111] ECONNREFUSED"),
        ("tls", "OSError: closed"),
        ("mqtt", "no CONNACK"),
    ):
        station = _Station()
        station.fails("connect", "OSError: connection timed out", 5)
        station.fails(step, why)
        station.fails("connect", "OSError: connection timed out", 5)
        assert station.radio.asked == [], why


def test_a_session_that_held_ends_the_count():
    station = _Station()
    station.fails("connect", "OSError: connection timed out", 5)
    station.route["step"] = ""
    station.fails("connect", "OSError: connection timed out", 5)
    assert station.radio.asked == []


def _pauses(station):
    now_ms = station.uptime_ms & 0x3FFFFFFF
    try:
        asyncio.run(dial._pause(station, station.route, lambda: now_ms))
    except OSError as e:
        return str(e)
    return [(one["source"], one["max_ma"]) for one in explain(station.limits)]


def test_charging_pauses_for_a_handshake_once_in_a_quarter_of_an_hour():
    station = _Station()
    station.charging = True
    assert _pauses(station) == "a session began"
    station.config["tls_pause"] = 1
    assert _pauses(station) == [("line", 0), ("board", 32000)]
    for now_ms in (29999, 30000):
        station.limits.tick(now_ms)
        assert station.driven() == (now_ms == 30000)
    assert [one["source"] for one in explain(station.limits)] == ["board"]
    station.uptime_ms = 15 * 60000 - 1
    assert _pauses(station) == "a session began"
    station.uptime_ms += 1
    assert _pauses(station) == [("line", 0), ("board", 32000)]
    assert station.limits.max_ma[LINE] == 0


def test_a_contactor_that_does_not_open_for_a_pause_ends_the_attempt():
    station = _Station()
    station.config["tls_pause"] = 1
    station.driven = lambda: True
    ticks = iter(range(0, 1 << 20, 5000))
    try:
        asyncio.run(dial._pause(station, station.route, lambda: next(ticks)))
        raise AssertionError("it waited for nothing")
    except OSError as e:
        assert str(e) == "no pause: the contactor is still closed"
