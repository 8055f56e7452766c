"""The MQTT session against every way in which a broker, or the line to it, can misbehave."""

import umqtt.simple

from firmware.ticks import add, diff
from firmware.uplink.link import CLOSE, IDLE, OPEN, Link
from tests.support import raises

CONNACK = b"\x20\x02\x00\x00"
CONNACK_PRESENT = b"\x20\x02\x01\x00"
PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
DOWN = b"ocpp/CP-1/down"
UP = b"ocpp/CP-1/up"


def suback(pid=1, code=1):
    return b"\x90\x03" + bytes((pid >> 8, pid & 255, code))


def puback(pid):
    return b"\x40\x02" + bytes((pid >> 8, pid & 255))


def message(payload, flags=2, topic=DOWN, pid=7):
    body = bytes((len(topic) >> 8, len(topic) & 255)) + topic
    if flags & 6:
        body += bytes((pid >> 8, pid & 255))
    return packet(0x30 | flags, body + payload)


def packet(kind, body):
    head = bytearray((kind,))
    size = len(body)
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def packets(data):
    """The packets in `data`, each as (type, body)."""
    found = []
    while data:
        size = shift = 0
        i = 1
        while True:
            size |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                break
        assert len(data) >= i + size
        found.append((data[0], data[i : i + size]))
        data = data[i + size :]
    return found


class Owner:
    """A link, its callbacks written down in `log`, and its clock."""

    def __init__(self, now=0, **more):
        self.now = now
        self.log = []
        self.link = link = Link("CP-1", **more)
        link.on_up = lambda present: self.log.append(("up", present))
        link.on_down = lambda why: self.log.append(("down", why))
        link.on_acked = lambda token: self.log.append(("acked", token))
        link.on_message = lambda payload, retain, dup: self.log.append(
            ("message", bytes(payload), retain, dup)
        )

    def written(self):
        data = bytes(self.link.outgoing())
        self.link.sent(len(data))
        return data

    def feed(self, data):
        self.link.feed(data, self.now)

    def wait(self, ms):
        """Tick through `ms`, as often as the line would at least."""
        while ms > 0:
            step = min(ms, 100)
            self.now = add(self.now, step)
            ms -= step
            self.link.tick(self.now)

    def open(self):
        assert self.link.wants == OPEN
        self.link.opened(self.now)
        return self.written()

    def come_up(self):
        self.open()
        self.feed(CONNACK)
        pid = packets(self.written())[0][1]
        self.feed(suback(pid[0] << 8 | pid[1]))
        birth = packets(self.written())[0][1]
        at = 2 + len("ocpp/CP-1/state")
        self.feed(puback(birth[at] << 8 | birth[at + 1]))
        assert self.link.up
        self.log.clear()
        return self

    def close_and_wait(self):
        self.link.closed("test", self.now)
        self.wait(31000)


def up(**more):
    return Owner(**more).come_up()


def test_connect_asks_for_the_kept_session_and_leaves_a_will():
    assert Owner().open() == packet(
        0x10,
        b"\x00\x04MQTT\x04\x2c\x00\x1e\x00\x04CP-1"
        b'\x00\x0focpp/CP-1/state\x00\x11{"online": false}',
    )


def test_connect_with_user_and_password():
    data = Owner(user="u", password="p\u00e4ss").open()
    assert data[:1] == b"\x10" and data[1] == len(data) - 2
    assert data[9] == 0xEC
    assert data[-10:] == b"\x00\x01u\x00\x05p\xc3\xa4ss"


def test_umqtt_gets_its_socket_module_back():
    before = umqtt.simple.socket
    Owner().open()
    assert umqtt.simple.socket is before


def test_session_comes_up_after_the_suback_and_then_says_so():
    owner = Owner()
    link = owner.link
    owner.open()
    assert link.wants == IDLE and not link.up and owner.written() == b""
    owner.feed(CONNACK_PRESENT)
    assert link.session_present and not link.up
    assert owner.written() == b"\x82\x13\x00\x01\x00\x0e" + DOWN + b"\x01"
    owner.feed(suback())
    assert link.up and owner.log == [("up", True)]
    assert packets(owner.written()) == [(0x33, b'\x00\x0focpp/CP-1/state\x00\x02{"online": true}')]
    owner.feed(puback(2))
    assert owner.log == [("up", True)], "the birth's PUBACK is the link's own business"


def test_publish_is_one_packet_with_its_own_id():
    owner = up()
    assert owner.link.publish(b"x" * 200, 1) and owner.link.publish(b"", 2)
    assert owner.link.publish(b"again", 3, True)
    assert packets(owner.written()) == [
        (0x32, b"\x00\x0c" + UP + b"\x00\x03" + b"x" * 200),
        (0x32, b"\x00\x0c" + UP + b"\x00\x04"),
        (0x3A, b"\x00\x0c" + UP + b"\x00\x05again"),
    ]


def test_puback_names_its_message_and_others_are_ignored():
    owner = up()
    for token in ("a", "b", None):
        assert owner.link.publish(b"[]", token)
    owner.feed(puback(4) + puback(4) + puback(999) + puback(0) + puback(3) + puback(5))
    assert owner.log == [("acked", "b"), ("acked", "a")]
    assert owner.link.wants == IDLE


def test_late_puback_of_the_former_connection_is_ignored():
    owner = up()
    owner.link.publish(b"[]", "a")
    owner.close_and_wait()
    owner.come_up()
    owner.feed(puback(3))
    assert owner.log == []
    assert owner.link.wants == IDLE


def test_any_split_of_the_bytes_gives_the_same_events():
    long = b"y" * 300
    stream = CONNACK + message(b"early") + suback() + puback(2) + message(b"one", 3) + PINGRESP
    stream += (
        message(long, 8 | 2, DOWN, 0x1234)
        + message(b"", 0)
        + puback(77)
        + message(b"not ours", 2, b"other")
    )
    expected = [
        ("message", b"early", False, False),
        ("up", False),
        ("message", b"one", True, False),
        ("message", long, False, True),
        ("message", b"", False, False),
    ]
    acks = [puback(7), puback(7), puback(0x1234), puback(7)]

    def run(pieces):
        owner = Owner()
        owner.open()
        for piece in pieces:
            owner.feed(piece)
        assert owner.log == expected, (owner.log, owner.link.why)
        assert [p for p in packets(owner.written()) if p[0] == 0x40] == [
            (0x40, a[2:]) for a in acks
        ]

    for i in range(len(stream)):
        run((stream[:i], stream[i:]))
    for size in (1, 2, 3, 5, 7, 64):
        run([memoryview(stream)[i : i + size] for i in range(0, len(stream), size)])


def test_packet_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    fits = b"z" * (256 - len(message(b"z" * 128)) + 128)
    owner = up(max_packet=256)
    owner.feed(message(b"a") + message(fits) + message(b"b"))
    assert [e[1] for e in owner.log] == [b"a", fits, b"b"]
    owner.feed(message(fits + b"z")[:3])
    assert owner.link.wants == CLOSE
    assert owner.log[-1] == ("down", "protocol error: packet of 257 bytes, expected at most 256")


def rejected(data, greet=False):
    """Whether the link gives the connection up on `data`, and starts the next session clean."""
    owner = Owner() if greet else up()
    if greet:
        owner.open()
    owner.feed(data)
    assert owner.link.wants == CLOSE and not owner.link.up
    assert owner.link.why.startswith("protocol error"), owner.link.why
    assert owner.written() == b"" and not owner.link.publish(b"[]", 1)
    owner.feed(CONNACK + suback() + message(b"more"))
    assert [e[0] for e in owner.log] == ([] if greet else ["down"])
    owner.close_and_wait()
    assert owner.open()[9] == 0x2E
    owner.feed(CONNACK)
    owner.close_and_wait()
    assert owner.open()[9] == 0x2C
    return True


def test_broken_packets_end_the_connection():
    assert rejected(b"\x30\xff\xff\xff\xff")
    assert rejected(b"\x32\xff\xff\xff\x7f")
    assert rejected(message(b"qos 2", 4))
    assert rejected(message(b"qos 3", 6))
    assert rejected(message(b"no id", 2, DOWN, 0))
    assert rejected(message(b"no topic", 2, b""))
    for body in (
        b"",
        b"\x00",
        b"\x00\x0e" + DOWN,
        b"\x00\x0e" + DOWN + b"\x01",
        b"\xff\xff" + DOWN + b"\x00\x01",
    ):
        assert rejected(packet(0x32, body))
    for body in (b"", b"\x00", b"\x00\x02a", b"\x00\x00"):
        assert rejected(packet(0x30, body))
    assert rejected(b"\x40\x03\x00\x01\x00")
    assert rejected(b"\x40\x00")
    assert rejected(b"\xd0\x01\x00")
    assert rejected(CONNACK)
    assert rejected(suback())
    for kind in (0x00, 0x10, 0x41, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xB0, 0xC0, 0xE0, 0xF0):
        assert rejected(bytes((kind, 2, 0, 1)))


def test_nothing_after_a_broken_packet_counts():
    assert rejected(message(b"qos 2", 4) + message(b"more") + CONNACK)


def test_first_packet_must_be_a_connack():
    for data in (
        PINGRESP,
        suback(),
        puback(1),
        message(b"x"),
        b"\x20\x01\x00",
        b"\x20\x03\x00\x00\x00",
        b"\x20\x02\x02\x00",
    ):
        assert rejected(data, True)


def test_refused_connection_and_subscription():
    for code in (1, 2, 3, 4, 5, 255):
        owner = Owner()
        owner.open()
        owner.feed(bytes((0x20, 2, 0, code)))
        assert owner.link.wants == CLOSE and str(code) in owner.link.why
    owner = Owner()
    owner.open()
    owner.feed(CONNACK + suback(1, 0x80))
    assert owner.link.wants == CLOSE and "128" in owner.link.why
    owner.close_and_wait()
    assert owner.open()[9] == 0x2C, "a refusal is no reason to lose the session"
    owner.feed(CONNACK + suback(9))
    assert owner.link.wants == CLOSE and owner.log == []


def test_packet_ids_wrap_past_zero_and_those_in_flight():
    owner = up()
    link = owner.link
    link.publish(b"1", "a")  # id 3
    link.pid = 65533
    for token in "bc":
        assert link.publish(b"2", token)
    link.pid = 65535
    for token in "def":
        assert link.publish(b"3", token)
    at = 2 + len(UP)
    ids = [body[at] << 8 | body[at + 1] for _, body in packets(owner.written())]
    assert ids == [3, 65534, 65535, 1, 2, 4]
    for pid in ids:
        owner.feed(puback(pid))
    assert [token for _, token in owner.log] == ["a", "b", "c", "d", "e", "f"]


def test_subscribe_at_the_wrap_of_the_ids():
    owner = Owner()
    owner.link.pid = 65535
    owner.open()
    owner.feed(CONNACK + suback(1))
    assert owner.link.up


def test_publish_waits_for_the_session_and_the_window():
    owner = Owner(window=2)
    assert not owner.link.publish(b"[]", 1)
    owner.come_up()
    assert (
        owner.link.publish(b"[]", 1)
        and owner.link.publish(b"[]", 2)
        and not owner.link.publish(b"[]", 3)
    )
    owner.feed(puback(3))
    assert owner.link.publish(b"[]", 3) and not owner.link.publish(b"[]", 4)


def test_full_buffer_refuses_whole_packets_and_takes_more_once_some_are_sent():
    owner = up(out_bytes=1024)
    link = owner.link
    payload = b"p" * 150
    taken = 0
    while link.publish(payload, taken):
        taken += 1
    assert 3 <= taken <= 5
    stream = bytes(link.outgoing()[:200])
    link.sent(200)
    assert link.publish(payload, taken), "what is sent makes room, though more still waits"
    taken += 1
    while len(stream) < 10000:
        out = link.outgoing()
        n = min(len(out), 37)
        stream += bytes(out[:n])
        link.sent(n)
        if link.publish(payload, taken):
            taken += 1
        owner.feed(puback(taken - 1))
    stream += owner.written()
    got = packets(stream)
    assert len(got) == taken and all(body.endswith(payload) for _, body in got)


def test_payload_that_can_never_fit_is_refused_with_a_reason():
    owner = up(out_bytes=1024)
    most = owner.link.max_payload
    assert owner.link.publish(b"m" * most, 1)
    assert packets(owner.written())[0][1].endswith(b"m" * most)
    assert str(most) in str(raises(ValueError, owner.link.publish, b"m" * (most + 1), 1))


def test_broker_that_sends_without_taking_answers_is_dropped():
    owner = up(out_bytes=1024)
    while owner.link.publish(b"p" * 100, 1):
        pass
    for _ in range(300):
        owner.feed(message(b"x"))
    assert owner.link.wants == CLOSE and owner.link.why == "output full"


def test_answers_that_fill_the_buffer_before_the_suback():
    owner = Owner(out_bytes=1024)
    owner.open()
    owner.feed(CONNACK)
    for _ in range(200):
        owner.feed(message(b"x"))
    owner.feed(suback())
    assert owner.link.wants == CLOSE and owner.link.why == "output full"


def test_no_answer_in_time():
    for start in (0, (1 << 30) - 5000, (1 << 29) - 5000):
        owner = Owner(start)
        owner.open()
        owner.wait(9900)
        assert owner.link.wants == IDLE
        owner.feed(CONNACK[:3])
        owner.wait(200)
        assert owner.link.wants == CLOSE and owner.link.why == "no CONNACK"

        owner = Owner(start)
        owner.open()
        owner.feed(CONNACK)
        owner.wait(9900)
        assert owner.link.wants == IDLE
        owner.feed(PINGRESP)
        owner.wait(200)
        assert owner.link.wants == CLOSE and owner.link.why == "no SUBACK"

        owner = up(now=start)
        owner.wait(14900)
        assert owner.written() == b""
        owner.wait(100)
        assert owner.written() == PINGREQ
        owner.wait(9900)
        owner.feed(PINGRESP)
        owner.wait(14900)
        assert owner.written() == b""
        owner.wait(100)
        assert owner.written() == PINGREQ
        owner.feed(PINGRESP[:1])
        owner.wait(10000)
        assert owner.link.wants == CLOSE and owner.log == [("down", "no PINGRESP")]


def test_ping_of_the_former_connection_is_not_missed():
    owner = up()
    owner.wait(15000)
    assert owner.written() == PINGREQ
    owner.close_and_wait()
    owner.come_up()
    owner.wait(15000)
    assert owner.link.up and owner.written() == PINGREQ


def test_broker_that_answers_pings_but_never_acknowledges():
    for start in (0, (1 << 30) - 10000):
        owner = up(now=start, keepalive_s=10)
        owner.link.publish(b"[]", "a")
        owner.link.publish(b"[]", "b")
        for _ in range(19):
            owner.wait(1000)
            if PINGREQ in owner.written():
                owner.feed(PINGRESP)
        owner.feed(puback(3))
        for _ in range(19):
            owner.wait(1000)
            if PINGREQ in owner.written():
                owner.feed(PINGRESP)
        assert owner.link.up
        owner.wait(1000)
        assert owner.log == [("acked", "a"), ("down", "no PUBACK")]


def test_ping_that_finds_no_room_still_times_out():
    owner = up(out_bytes=1024)
    while owner.link.publish(b"p" * 100, 1):
        pass
    while owner.link.outgoing() and len(owner.link.outgoing()) < 1021:
        owner.feed(message(b"x"))
    owner.wait(25000)
    assert owner.link.wants == CLOSE


def test_back_off_doubles_with_jitter_up_to_its_ceiling():
    for start in (0, (1 << 30) - 20000):
        owner = Owner(start)
        link = owner.link
        seen = []
        for ceiling in (1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000):
            link.closed("refused", owner.now)
            assert link.wants == IDLE and link.why == "refused"
            began = owner.now
            while link.wants != OPEN:
                owner.wait(10)
            took = diff(owner.now, began)
            assert ceiling // 2 <= took <= ceiling + 10
            seen.append(took * 1000 // ceiling)
        assert len(set(seen)) > 4, "no jitter"
        assert owner.log == [], "a session that never was cannot go down"
        owner.come_up()
        owner.wait(10000)
        link.closed("reset", owner.now)
        owner.wait(4900)
        assert link.wants == IDLE, "a short session is no reason to hurry"
        owner.wait(15200)
        owner.come_up()
        for _ in range(4):
            owner.wait(10000)
            if owner.written():
                owner.feed(PINGRESP)
        link.closed("reset", owner.now)
        owner.wait(1100)
        assert link.wants == OPEN


def test_back_off_counts_from_where_the_attempt_began():
    owner = Owner(1000)
    link = owner.link
    for _ in range(6):
        owner.close_and_wait()
    began = owner.now
    for hangs_ms in (10000, 20000, 40000):
        # Somewhere between 15 and 30 s after it was begun, and never at once.
        while link.wants != OPEN:
            owner.wait(10)
        began = owner.now
        owner.wait(hangs_ms)
        link.closed("connection timed out", owner.now)
        while link.wants != OPEN:
            owner.wait(10)
        least = max(15000, hangs_ms + 3750)
        assert least <= diff(owner.now, began) <= max(30000, hangs_ms + 7500) + 20
    # A session that was good: at once, but not all stations together.
    owner.come_up()
    for _ in range(4):
        owner.wait(10000)
        if owner.written():
            owner.feed(PINGRESP)
    began = owner.now
    link.closed("reset", owner.now)
    while link.wants != OPEN:
        owner.wait(10)
    assert 500 <= diff(owner.now, began) <= 1010


def test_an_attempt_that_was_begun_days_ago_is_followed_by_another_one():
    # It may have waited for a contactor to open, before it dialled.
    for days in (5, 7, 9, 12):
        owner = Owner(1000)
        owner.close_and_wait()
        assert owner.link.wants == OPEN
        owner.now = add(owner.now, days * 86400000)
        owner.link.closed("refused", owner.now)
        owner.wait(31000)
        assert owner.link.wants == OPEN, days


def test_back_off_differs_between_stations():
    waits = set()
    for n in range(20):
        link = Link("CP-%d" % n)
        link.closed("", 0)
        t = 0
        while link.wants != OPEN:
            t += 1
            link.tick(t)
        waits.add(t)
    assert len(waits) > 10 and max(waits) - min(waits) > 200


def test_publish_from_inside_every_callback():
    owner = Owner()
    link = owner.link
    results = []

    def on_up(present):
        results.append(link.publish(b"from up", "u"))

    def on_message(payload, retain, dup):
        owner.log.append(bytes(payload))
        results.append(link.publish(b"re " + payload, payload))

    def on_acked(token):
        owner.log.append(token)
        if token == "u":
            results.append(link.publish(b"from acked", "v"))

    link.on_up, link.on_message, link.on_acked = on_up, on_message, on_acked
    link.on_down = lambda why: results.append(link.publish(b"from down", "d"))
    owner.open()
    owner.feed(CONNACK + suback() + message(b"a") + puback(3) + message(b"b", 0) + puback(2))
    at = 4 + len(UP)
    written = [
        (kind, body[at:] if kind == 0x32 else b"") for kind, body in packets(owner.written())
    ]
    assert written == [
        (0x82, b""),
        (0x33, b""),
        (0x32, b"from up"),
        (0x40, b""),
        (0x32, b"re a"),
        (0x32, b"from acked"),
        (0x32, b"re b"),
    ]
    assert owner.log == [b"a", "u", b"b"]
    link.closed("gone", owner.now)
    assert results == [True, True, True, True, False]


def test_owner_that_fails_in_a_callback_leaves_a_link_that_works():
    owner = up()

    def fail(*_):
        raise KeyError("owner")

    good = owner.link.on_message
    owner.link.on_message = fail
    raises(KeyError, owner.feed, message(b"x") + message(b"y"))
    owner.link.on_message = good
    owner.close_and_wait()
    assert owner.open()[9] == 0x2E, "the message must not come again"
    owner.link.closed("test", owner.now)
    owner.wait(31000)
    owner.come_up()
    owner.feed(message(b"z"))
    assert owner.log == [("message", b"z", False, False)]


def test_connection_lost_forgets_what_was_in_flight_and_half_a_packet():
    owner = up()
    owner.link.publish(b"[]", "a")
    owner.feed(message(b"half")[:9])
    owner.link.closed("reset", owner.now)
    assert owner.log == [("down", "reset")] and not owner.link.up and owner.written() == b""
    owner.link.closed("again", owner.now)
    assert len(owner.log) == 1
    owner.wait(31000)
    owner.come_up()
    for token in range(32):
        assert owner.link.publish(b"[]", token)
    assert not owner.link.publish(b"[]", 32)


def test_names_that_mqtt_cannot_carry():
    for name in ("", "a+b", "a#", "a\0b", "x" * 95, "\u00e4" * 48):
        raises(ValueError, Link, name)
    for more in ({"keepalive_s": 0}, {"keepalive_s": 65536}, {"user": ""}, {"user": "u" * 401}):
        raises(ValueError, Link, "CP-1", **more)
    Link("x" * 94).opened(0)


def test_garbage_is_survived_with_bounded_output():
    good = (
        CONNACK
        + suback()
        + puback(2)
        + message(b"one")
        + PINGRESP
        + message(b"y" * 200, 11)
        + puback(3)
    )
    state = 12345

    def random(n):
        nonlocal state
        state = (state * 75 + 74) % 65537
        return state % n

    owner = Owner(out_bytes=1024, max_packet=512)
    link = owner.link
    for _ in range(600):
        if link.wants == CLOSE or link.wants == IDLE:
            link.closed("test", owner.now)
        while link.wants != OPEN:
            owner.wait(100)
        owner.open()
        data = bytearray(good)
        for _ in range(random(4)):
            data[random(len(data))] = random(256)
        if random(3) == 0:
            data = data[: random(len(data))]
        at = 0
        while at < len(data):
            n = 1 + random(40)
            owner.feed(data[at : at + n])
            link.publish(b"from the owner", at)
            assert len(link.outgoing()) <= 1024
            if random(2):
                owner.written()
            at += n
        owner.wait(200)
    while link.wants != OPEN:
        link.closed("test", owner.now)
        owner.wait(31000)
    owner.come_up()
