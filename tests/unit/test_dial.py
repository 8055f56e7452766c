"""What is told of attempts that came to nothing, and when the radio is looked after; the sockets
are in tests/host/test_dial.py.
"""

import asyncio

from firmware.uplink import dial


class _Radio:
    def __init__(self):
        self.asked = []

    def rejoin(self, anew):
        self.asked.append(anew)


class _Station:
    def __init__(self, brokers="a:1883"):
        self.config = {"broker": brokers, "tls": 0, "dns": ""}
        self.lines = []
        self.charging = False
        self.radio = _Radio()
        self.board = self.log = self
        self.stalls = False
        self.devices = [object(), self.radio]
        self.route = {"turn": 0, "hosts": {}, "step": ""}

    def closed(self):
        return self.charging

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
