"""The pile's own certificate: asked for, brought, kept, used, and taken back. What is asked for
verifies, and what is kept makes a line, by tests/host/test_renewal.py.
"""

from firmware import borrow
from firmware.uplink import der, dial, own
from tests import certificates, cuts
from tests.pile import charging, settings, simulate, step
from tests.support import Kept, raises

_ASK = "SignChargingStationCertificate"
_held = {}


def _run(until_ms, steps, config=None, tick_ms=20):
    return simulate(until_ms, steps, config, tick_ms=tick_ms)


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _trigger(at_ms=1000):
    return _call(at_ms, "TriggerMessage", {"requestedMessage": _ASK})


def _signed(at_ms, chain, message_id=None, replayed=False, **fields):
    payload = {"certificateChain": chain, "certificateType": "ChargingStationCertificate"}
    payload.update(fields)
    return _call(at_ms, "CertificateSigned", payload, message_id, replayed=replayed)


def _point():
    # The key that the virtual pile makes, whose random bytes depend on the seed only.
    if not _held:
        trace, _ = _run(15000, [_trigger()])
        (asked,) = trace.messages("SignCertificate")
        assert asked["certificateType"] == "ChargingStationCertificate"
        _held["id"] = asked["requestId"]
        _held["point"] = certificates.point(asked["csr"])
    return _held["point"]


def _leaf(subject="CP-1", **fields):
    return certificates.made(_point(), subject, **fields)


def _said(trace, n=-1):
    answer = trace.answers()[n][2]
    return answer["status"], answer.get("statusInfo", {}).get("reasonCode")


def _log(trace):
    return [line["status"] for line in trace.of("certificate")]


def _told(trace):
    told = trace.messages("SecurityEventNotification")
    return [(one["type"], one["techInfo"]) for one in told if "Reb" not in one["type"]]


def test_the_backend_asks_for_it_and_it_is_kept():
    leaf = _leaf()
    between = certificates.made(bytes(65), "CA", "Root", authority=True)
    chain = certificates.pem(leaf, between)
    steps = [_trigger(), _signed(15000, chain, requestId=_held["id"])]
    trace, station = _run(20000, steps, settings(organization="Piles & Co"))
    assert [_said(trace, n) for n in (0, 1)] == [("Accepted", None)] * 2
    ((count, parts),) = own.stored(station.board.store).values()
    assert count == 1 and parts[1:] == [leaf, between]
    assert parts[0][7:39] == borrow("firmware.ledger.p256").random_key(station.board.secret)
    assert _log(trace) == ["asked for", "kept"] and not station.errors
    assert _told(trace)[-1] == (
        "ReconfigurationOfSecurityParameters",
        "installed: ChargingStationCertificate, serial 7",
    )
    (asked,) = trace.messages("SignCertificate")
    assert len(asked["csr"]) > len(_run(15000, [_trigger()])[0].messages()[-1]["csr"]) + 20


def test_it_is_asked_for_in_time_and_once_a_day():
    # The virtual backend's date is 2026-01-01.
    ends = certificates.pem(_leaf(until="20260131"))
    config = settings(tls=1, cert_signing_repeats=0)
    trace, station = _run(380000, [_trigger(), _signed(15000, ends)], config)
    assert _log(trace) == ["asked for", "kept", "asked for", "not signed"]
    assert trace.of("certificate")[2]["why"] == "it ends 2026-01-31T00:00:00Z"
    asked_ms = int(trace.ms("certificate", 20000, status="asked for"))
    assert 300000 <= asked_ms < 301000
    for after_ms, asks in ((86399000, False), (86401000, True)):
        station.wall.uptime_ms = asked_ms + after_ms
        station.expiry.tick(0)
        assert bool(station.backend.renewal) is asks


def test_it_is_looked_after_from_the_start_on():
    ends = certificates.pem(_leaf(until="20260131"))
    steps = [_trigger(), _signed(15000, ends), step(20000, "power", for_ms=500)]
    trace, _ = _run(330000, steps, settings(tls=1))
    assert _log(trace) == ["asked for", "kept", "asked for"]
    assert trace.ms("certificate", 20000, status="asked for") > 320000


def test_one_that_holds_for_long_is_left_alone():
    steps = [_trigger(), _signed(15000, certificates.pem(_leaf(until="20260201")))]
    trace, _ = _run(320000, steps, settings(tls=1))
    assert _log(trace) == ["asked for", "kept"]


def test_a_certificate_that_does_not_come_is_asked_for_again_and_later_each_time():
    config = settings(cert_signing_wait_s=5, cert_signing_repeats=2)
    trace, station = _run(100000, [_trigger()], config)
    asked = [line["t_us"] // 1000000 for line in trace.of("uplink") if "csr" in str(line)]
    assert [asked[i + 1] - asked[i] for i in (0, 1)] == [5, 10] and len(asked) == 3
    first, *others = [one["csr"] for one in trace.messages("SignCertificate")]
    assert others == [first, first]
    assert _log(trace) == ["asked for", "not signed"] and station.backend.renewal is None
    # It may come all the same, however late: the key still waits.
    steps = [_trigger(), _signed(90000, certificates.pem(_leaf()), replayed=True)]
    trace, station = _run(100000, steps, config)
    assert _said(trace) == ("Accepted", None) and _log(trace)[-1] == "kept"


def test_a_second_request_is_a_reminder():
    trace, _ = _run(25000, [_trigger(), _trigger(2000), _trigger(15000)])
    assert _log(trace) == ["asked for"]
    assert len(trace.messages("SignCertificate")) == 2
    assert [_said(trace, n)[0] for n in range(3)] == ["Accepted"] * 3


def test_a_backend_that_will_not_sign():
    refuses = step(500, "answer", action="SignCertificate", fields={"status": "Rejected"})
    trace, station = _run(60000, [refuses, _trigger()], settings(cert_signing_wait_s=5))
    assert _log(trace) == ["asked for", "rejected"]
    assert len(trace.messages("SignCertificate")) == 1 and station.backend.renewal is None
    odd = step(500, "answer", action="SignCertificate", fields={"status": "Perhaps"})
    config = settings(cert_signing_wait_s=5, cert_signing_repeats=1)
    trace, _ = _run(60000, [odd, _trigger()], config)
    assert _log(trace) == ["asked for", "not signed"]
    assert len(trace.messages("SignCertificate")) == 2


def test_a_line_that_is_lost_meanwhile():
    config = settings(cert_signing_wait_s=5)
    steps = [_trigger(), step(1500, "link", up=False), step(30000, "link", up=True)]
    trace, _ = _run(60000, steps, config)
    assert len(trace.messages("SignCertificate")) > 0 and _log(trace) == ["asked for"]


def test_what_is_rejected():
    good = _leaf()
    other = certificates.made(b"\4" + bytes(64), "CP-1")
    between = certificates.made(bytes(65), "CA", "Root", authority=True)
    for chain in (
        certificates.pem(other),
        certificates.pem(_leaf("CP-2")),
        certificates.pem(_leaf(until="20251231")),
        certificates.pem(_leaf(since="20260103")),
        certificates.pem(good, certificates.made(bytes(65), "CA", "Root")),  # no authority
        certificates.pem(good, certificates.made(bytes(65), "CB", "Root", authority=True)),
        certificates.pem(between, good),
        certificates.pem(good, between, between),
        certificates.pem(good[:-1]),
        certificates.pem(good + b"\0"),
        certificates.pem(*[good] * 5),
        certificates.pem(good) + "more",
        certificates.pem(good).replace("MII", "M!I"),
        "",
    ):
        steps = [_trigger(), _signed(15000, chain), _signed(16000, chain)]
        steps += [_signed(18000, certificates.pem(good))]
        trace, station = _run(20000, steps)
        assert [_said(trace, n) for n in (1, 2)] == [("Rejected", "InvalidCertificate")] * 2, chain
        kinds = [kind for kind, _ in _told(trace)]
        assert kinds.count("InvalidChargingStationCertificate") == 1  # once for a key
        assert _said(trace) == ("Accepted", None)
        assert own.turns(station.board.store) == [(1, 1), (0, 0)]


def test_what_nobody_asked_for_changes_nothing():
    chain = certificates.pem(_leaf())
    number = _held["id"]
    for steps, said in (
        ([_signed(15000, chain)], ("Rejected", "NotRequested")),
        ([_trigger(), _signed(15000, chain, requestId=number + 1)], ("Rejected", "NotRequested")),
        # a reset has forgotten the key
        (
            [_trigger(), step(15000, "power", for_ms=500), _signed(25000, chain)],
            ("Rejected", "NotRequested"),
        ),
        (
            [_trigger(), _signed(15000, chain, certificateType="V2GCertificate")],
            ("Rejected", "UnsupportedParam"),
        ),
    ):
        trace, station = _run(30000, steps)
        assert _said(trace) == said
        assert own.turns(station.board.store) == [(0, 0)]
        assert not [kind for kind, _ in _told(trace) if kind.startswith("Invalid")]


def test_one_that_comes_twice_is_kept_once():
    chain = certificates.pem(_leaf())
    steps = [_trigger()] + [
        _signed(15000, chain, "a"),
        _signed(15500, chain, "a", True),
        _signed(16000, chain, "b"),
    ]
    trace, station = _run(20000, steps)
    assert [_said(trace, n) for n in (1, 2, 3)] == [("Accepted", None)] * 3
    assert own.turns(station.board.store) == [(1, 1), (0, 0)]
    assert _log(trace) == ["asked for", "kept"]


def test_what_is_malformed():
    steps = [
        _call(1000, "CertificateSigned", {}),
        _signed(1500, 5),
        _signed(2000, "", certificateType="Mine"),
        _signed(2500, "", requestId="1"),
        _signed(3000, "", more=1),
    ]
    trace, _ = _run(5000, steps)
    assert [answer[0] for answer in trace.answers()] == [4] * 5


def test_while_a_vehicle_charges_it_waits():
    # tests.pile fails on a write to flash while closed.
    chain = certificates.pem(_leaf())
    steps = charging(
        _trigger(6000),
        _signed(20000, chain, "a"),
        _signed(21000, chain, "b"),
        _trigger(22000),
        step(30000, "unplug"),
    )
    trace, station = _run(29000, steps)
    assert [_said(trace, n) for n in (1, 2, 3)] == [("Accepted", None)] * 2 + [
        ("Rejected", "Busy")
    ]
    assert own.turns(station.board.store) == [(0, 0)] and station.own_waiting
    trace, station = _run(35000, steps)
    assert own.turns(station.board.store) == [(1, 1), (0, 0)] and station.own_waiting is None
    assert trace.ms("certificate", status="kept") > 30000 and not station.errors


def test_a_power_cut_while_it_waits_leaves_what_there_was():
    steps = charging(
        _trigger(6000),
        _signed(20000, certificates.pem(_leaf())),
        step(25000, "power", for_ms=500),
        step(40000, "unplug"),
    )
    trace, station = _run(50000, steps)
    assert _log(trace) == ["asked for"]
    assert own.turns(station.board.store) == [(0, 0)]


def test_a_flash_that_fails():
    def run(at_ms):
        _, station = _run(14000, [_trigger()])
        backend = station.backend
        parts = [backend.unsigned[1], _leaf()]
        station.board.store.fails = 28
        return station, parts

    station, parts = run(0)
    raises(OSError, own.install, station, parts)
    station.closed = lambda: True
    own.install(station, parts)
    waiting = station.cards.chores[-1]
    assert waiting(0)
    station.closed = lambda: False
    assert not waiting(0) and station.own_waiting is None


def test_what_waits_is_written_beside_the_one_that_it_came_by():
    # A line that is lost meanwhile may try others, which work no more.
    _, station = _run(14000, [_trigger()])
    store = station.board.store
    own.write(store, 0, [b"works", b"works"])
    own.write(store, 1, [b"refused", b"refused"])
    station.own, station.own_refused = 1, True
    assert own.newest(station) == 1
    station.closed = lambda: True
    own.install(station, [b"new", _leaf()])
    station.own = 2
    station.closed = lambda: False
    assert not station.cards.chores[-1](0)
    assert own.stored(store)[1] == (1, [b"works", b"works"])
    assert own.stored(store)[2] == (3, [b"new", _leaf()])
    assert own.newest(station) == 2  # nobody has refused that one yet


def test_the_one_in_use_is_never_written_over():
    store = cuts.Kept({})
    used = 0
    for n in range(5):
        own.write(store, used, [b"key%d" % n, b"certificate%d" % n])
        (count, slot), *others = own.turns(store)
        assert count == n + 1 and slot != used and (0, 0) in others
        assert own.stored(store)[slot][1] == [b"key%d" % n, b"certificate%d" % n]
        assert not used or used in own.stored(store)
        used = slot
    # one that does not work makes place
    own.write(store, used, [b"bad", b"bad"])
    bad = own.turns(store)[0][1]
    own.write(store, used, [b"good", b"good"])
    assert own.turns(store)[0] == (7, bad) and used in own.stored(store)
    store.kept[own.name(used)] = store.kept[own.name(used)][:-1]  # torn
    assert own.turns(store) == [(7, bad), (0, 0)]


class _Station:
    def __init__(self):
        self.board = self.log = self
        self.store = cuts.Kept({})
        self.lines = []
        self.config = {"broker": "a:1, b:2", "tls": 1}
        self.devices = []
        self.cards = None

    def record(self, what, **fields):
        if what == "certificate":
            self.lines.append(fields["why"])


def _attempts(station, route, n, roots, step="tls", why="closed"):
    # The slots of `n` attempts in turn that the broker refuses.
    found = []
    for _ in range(n):
        found.append(own.turn(station, route, roots))
        route["step"] = step
        dial.failed(station, route, why)
    return found


def test_a_certificate_that_is_refused_gives_way():
    station = _Station()
    own.write(station.store, 0, [b"1", b"1"])
    own.write(station.store, 1, [b"2", b"2"])
    route = {"turn": 0, "refused": 0, "ways": 1}
    assert _attempts(station, route, 12, 1) == [2] * 3 + [1] * 3 + [0] * 3 + [2] * 3
    assert station.lines[0] == "the line was refused: now that of own.1"
    assert station.lines[1] == "the line was refused: now that of tls/cert.der"
    assert station.own_refused is False  # by now it is the newest's turn again
    # neither a network that is away says anything of it, nor a broker that is not trusted, nor
    # whoever begins to charge
    for where, why in (
        ("connect", "ECONNREFUSED"),
        ("tls", "The certificate validity has expired"),
        ("tls", "OSError: a session began"),
        ("tls", "OSError: no pause: the contactor is still closed"),
    ):
        route = {"turn": 0, "refused": 0, "ways": 1}
        station.cards = station.station = station.wall = station
        station.uptime_ms = 0
        station.told_ms = {"InvalidCsmsCertificate": 0}  # within the hour
        assert _attempts(station, route, 12, 1, where, why) == [2] * 12
    # a new one comes first
    _attempts(station, route, 4, 1)
    own.write(station.store, 1, [b"3", b"3"])
    assert own.turn(station, route, 1) == 2 and route["refused"] == 0


def test_each_certificate_meets_each_root_at_each_broker():
    for ways in (1, 2, 3, 4, 6):
        for roots in (1, 2, 3, 5):
            station = _Station()
            own.write(station.store, 0, [b"1", b"1"])
            route = {"turn": 0, "refused": 0, "ways": ways}
            met = set()
            for _ in range(3 * ways * roots * 2):
                attempt = route["turn"] // ways % roots
                where = route["turn"] % ways
                met.add((_attempts(station, route, 1, roots)[0], attempt, where))
            assert len(met) == 2 * ways * roots


def test_a_session_that_held_ends_the_count():
    station = _Station()
    own.write(station.store, 0, [b"1", b"1"])
    route = {"turn": 0, "hosts": {}, "refused": 0, "ways": 1}
    assert _attempts(station, route, 2, 1) == [1, 1]
    route["step"] = ""
    station.config = {"broker": "nowhere", "tls": 0, "dns": ""}
    station.stalls = False
    station.name_servers = list
    import asyncio

    raises(ValueError, asyncio.run, dial.dial(station, route, lambda: 0))
    assert route["refused"] == 0


def test_the_security_profile():
    _, station = _run(16000, [_trigger(), _signed(15000, certificates.pem(_leaf()))])
    variables = borrow("firmware.uplink.variables")
    entry, _ = variables.find(station, {"name": "SecurityCtrlr"}, {"name": "SecurityProfile"})
    station.config["tls"] = 0
    assert variables.value(station, entry, 0) == "1"
    station.config["tls"] = 1
    for slot, profile in ((0, "2"), (1, "3")):
        station.own = slot
        assert variables.value(station, entry, 0) == profile


def test_names():
    assert der.common_name(certificates.name("CP-\u00e9")) == "CP-\u00e9"
    assert der.common_name(certificates.element(0x30, b"")) is None
    good = certificates.name("CP-1")
    for n in range(len(good)):
        raises((IndexError, ValueError), der.common_name, good[:n])


def _script(rounds):
    def script(recorder, board):
        used = 0
        for n in range(1, rounds + 1):
            recorder.note(("writing", n))
            own.write(board.store, used, _parts(n))
            recorder.note(("kept", n))
            used = own.turns(board.store)[0][1]

    return script


def _parts(n):
    return [b"key %d" % n, bytes((n,)) * 700, bytes((n + 100,)) * 600]


def _check(board, found, notes):
    last = dict(notes)
    kept = last.get("kept", 0)
    whole = sorted([found[slot] for slot in found])
    for count, parts in whole:
        assert parts == _parts(count)
    counts = [count for count, _ in whole]
    # the last one and the one before, or one of them and what was being written
    if kept:
        assert kept in counts, (kept, counts)
    assert not counts or max(counts) in (kept, last["writing"])


def test_the_power_is_cut_at_every_write():
    with Kept():
        recorder = cuts.Recorder()
        recorder.run(_script(6))
        tried = cuts.replay(recorder, lambda board: own.stored(board.store), _check)
    assert tried >= 6
