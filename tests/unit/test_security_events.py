"""The security events of OCPP's own list that the pile tells: of starts, of its clock, of brokers
that it or that do not trust; what of them an outsider can bring about floods nothing.
"""

from firmware import borrow
from tests.pile import charging, settings, simulate, step


def _told(trace, kind=None):
    return [
        one
        for one in trace.messages("SecurityEventNotification")
        if kind in (None, one["type"])
    ]


def _brief(trace):
    return [(one["type"], one["techInfo"]) for one in _told(trace)]


def test_a_start_is_told_once_the_backend_has_accepted_it():
    trace, station = simulate(20000, [step(0, "link", up=False), step(8000, "link", up=True)])
    (told,) = _told(trace)
    assert (told["type"], told["techInfo"]) == ("StartupOfTheDevice", "PowerUp")
    assert told["timestamp"] == station.wall.text(0)  # when it started, not when it is told
    assert not station.cards.chores and not station.backend.outbox.owes


def test_every_start_is_told_a_reset_as_one():
    for kind, reason in (("Immediate", "RemoteReset"), ("OnIdle", "ScheduledReset")):
        trace, _ = simulate(
            40000,
            charging(
                step(8000, "power", for_ms=1000),
                step(20000, "backend", message=[2, "r", "Reset", {"type": kind}]),
            ),
        )
        assert len(trace.of("boot")) == 3
        assert _brief(trace) == [
            ("StartupOfTheDevice", "PowerUp"),
            ("StartupOfTheDevice", "PowerUp"),
            ("ResetOrReboot", reason),
            ("StartupOfTheDevice", reason),
        ]
        assert not trace.of("write", medium="flash", closed=True)


def test_starts_without_a_line_fill_no_journal():
    steps = [step(0, "link", up=False)]
    steps += [step(2000 + 2000 * i, "power", for_ms=500) for i in range(20)]
    trace, station = simulate(45000, steps)
    station = station.board.station
    assert len(trace.of("boot")) == 21 and station.journal.next == station.journal.first


def test_a_start_is_not_told_while_the_journal_is_crowded():
    trace, station = simulate(3000, [step(0, "link", up=False), step(0, "flash")])
    board = station.board
    while not station.journal.crowded:
        station.journal.append(b"\xff" * 1000)
    station.needs.append(lambda: 1)  # somebody needs all of it
    board.line.up = True
    board.scenario["until_ms"] = 10000
    board.run(station)
    assert station.backend.ready and not _told(trace)
    station.needs.pop()
    board.scenario["until_ms"] = 60000
    board.run(station)
    assert len(_told(trace)) == 1 and not station.backend.outbox.owes


def test_a_pile_that_works_alone_keeps_none():
    trace, station = simulate(5000, [], settings(broker=""))
    assert not station.cards.chores and not trace.of("security")


def test_a_clock_that_is_moved_far_is_told_of_once_an_hour():
    trace, station = simulate(5000, [])
    take = borrow("firmware.date").take
    wall = station.wall
    first = station.journal.next
    for text in ("2026-01-01T00:01:04Z", "2026-01-01T00:00:04Z"):  # not far
        take(station.backend, text)
    take(station.backend, "yesterday")
    take(station.backend, None)
    assert station.journal.next == first and len(trace.of("backend")) == 2
    take(station.backend, "2026-01-01T01:00:00Z")
    assert wall.text(wall.uptime_ms) == "2026-01-01T01:00:00.000Z"
    assert station.journal.next == first + 1
    record = station.journal.read(first)
    assert record[14:] == (
        b"SettingSystemTime\nfrom 2026-01-01T00:00:04.000Z to 2026-01-01T01:00:00.000Z"
    )
    for i in range(100):  # it sets the clock, but is told no more
        take(station.backend, "20%02d-01-01T00:00:00Z" % i)
    assert wall.text(wall.uptime_ms)[:4] == "2099" and station.journal.next == first + 1
    wall.uptime_ms += 3600000
    take(station.backend, "2026-01-01T01:00:00Z")
    assert station.journal.next == first + 2


def test_a_jump_of_the_backends_clock_is_told_over_the_line():
    trace, station = simulate(
        400000, [step(100000, "clock", jump_s=-7200)], heartbeat_s=60
    )
    (told,) = _told(trace, "SettingSystemTime")
    assert told["techInfo"].count("2025-12-31T22:") == 1 and not station.errors


def test_what_a_broker_refuses_is_told_of():
    for step_, why, kind in (
        ("mqtt", "refused by the broker, CONNACK code 4", "FailedToAuthenticateAtCsms"),
        ("mqtt", "refused by the broker, CONNACK code 5", "FailedToAuthenticateAtCsms"),
        ("mqtt", "refused by the broker, CONNACK code 3", None),
        ("connect", "CONNACK code 5", None),
        ("tls", "(-28288, 'MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION')", "InvalidTLSVersion"),
        ("tls", "OSError: -28288", "InvalidTLSVersion"),
        ("tls", "(-30592, 'MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE')", None),
        ("tls", "The certificate validity has expired", "InvalidCsmsCertificate"),
    ):
        dial = borrow("firmware.uplink.dial")
        _, station = simulate(3000, [])
        first = station.journal.next
        route = {"turn": 0, "step": step_, "hosts": {}}
        for _ in range(3):
            dial.failed(station, route, why)
        assert station.journal.next == first + (kind is not None), why
        if kind:
            told = "%s\n127.0.0.1:1883: %s" % (kind, why)
            assert station.journal.read(first)[14:] == told.encode()
        # A session between, and it fails again within the hour.
        route["told"] = {}
        dial.failed(station, route, why)
        assert station.journal.next == first + (kind is not None), why
        station.wall.uptime_ms += 3600000
        route["told"] = {}
        dial.failed(station, route, why)
        assert station.journal.next == first + 2 * (kind is not None), why
