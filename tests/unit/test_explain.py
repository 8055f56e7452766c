"""explain(): in every situation the right reason is there, and never none while nothing flows."""

from firmware import explain
from firmware.safety.core import CURRENT_MA, DRIVE
from firmware.safety.faults import FAULTS
from firmware.station import Station
from hal.virtual.board import VirtualBoard
from hal.virtual.random import Random
from tests.pile import CARD, charging, settings, simulate, step


def _told(until_ms, steps, config=None, **fields):
    trace, station = simulate(until_ms, steps, config, **fields)
    assert not trace.of("error"), trace.of("error")
    return station.explain(0)


def _has(told, *pairs):
    """Each (source, part of the text) is told, and nothing else."""
    assert len(told) == len(pairs), told
    for source, part in pairs:
        assert any(r["source"] == source and part in r["text"] for r in told), (part, told)


_NOBODY = ("access", "nobody is authorised")
_WAITS = ("safety", "the pile waits: ")


def test_nothing_to_say_at_full_rating():
    for profile in ("rp2040", "esp32"):
        assert _told(6000, charging(), profile=profile) == []


def test_nobody_is_there():
    _has(_told(5000, []), ("vehicle", "no vehicle"), _NOBODY)
    _has(_told(5000, [step(1000, "card", uid=CARD)]), ("vehicle", "no vehicle"))
    _has(_told(5000, [step(1000, "plug")]), _NOBODY)


def test_the_self_test_after_boot():
    told = _told(100, [step(10, "plug")])
    assert {"source": "safety", "text": "the residual-current sensor is being tested"} in told


def test_the_sensor_that_does_not_answer():
    told = _told(9000, [step(0, "rcd_mute"), step(1000, "plug")])
    texts = [r["text"] for r in told if r["source"] == "safety"]
    assert any("(ResidualCurrentSensorFault)" in text for text in texts), told
    assert any("has not passed" in text for text in texts), told


def test_the_backend():
    steps = [step(1000, "plug"), step(1500, "link", up=False)]
    # No answer is expected any more, whatever is asked.
    _has(_told(90000, steps), _NOBODY, ("uplink", "no line"))
    told = _told(2240, [step(1000, "plug"), step(2000, "card", uid=CARD)])
    _has(told, _NOBODY, ("access", "a card is being checked"))
    payload = {
        "id": 1,
        "evseId": 1,
        "expiryDateTime": "2026-01-01T00:01:00Z",
        "idToken": {"idToken": "A", "type": "Central"},
    }
    reserve = step(500, "backend", message=[2, "r", "ReserveNow", payload])
    _has(_told(3000, [reserve, step(2000, "plug")]), _NOBODY, ("access", "reserved"))
    told = _told(60, [], ticks_start_ms=7)
    assert any(r["source"] == "uplink" for r in told), told


def test_why_there_is_no_line():
    _, station = simulate(3000, [step(0, "link", up=False)])
    for trouble in ("", "connect: ECONNREFUSED"):
        station.trouble = trouble
        (told,) = [one["text"] for one in station.explain(0) if one["source"] == "uplink"]
        assert told.endswith("about cards" + ("; " + trouble if trouble else "")), told


def test_a_charge_that_was_ended():
    steps = charging(step(7000, "draw", obey=False), step(8000, "card", uid=CARD))
    _has(_told(12000, steps), ("access", "ended"), ("outlet", "told to stop"))
    _has(_told(16000, steps), _NOBODY, _WAITS)


def test_the_vehicle():
    _has(_told(9000, charging(step(7000, "pause"))), _WAITS)
    _has(_told(15000, charging(step(7000, "pause"))), ("vehicle", "does not ask"))
    _has(_told(15000, charging(step(7000, "vent"))), ("vehicle", "ventilation"))
    (told,) = _told(15000, charging(step(7000, "draw", ma=10500)))
    assert told["source"] == "vehicle"
    assert told["text"] == "the vehicle takes 10.5 A of the 31.9 A on offer"


def test_the_guard_tells_its_seconds():
    (told,) = _told(9000, charging(step(7000, "pause")))
    assert "waits: 3 s left" in told["text"] or "waits: 4 s left" in told["text"], told


def test_checks_before_closing():
    _has(_told(3200, charging()), ("safety", "being checked"))
    told = _told(3530, charging())
    assert told and told[0]["source"] in ("outlet", "vehicle", "safety"), told


def test_the_wake_up():
    steps = [step(1000, "plug"), step(2000, "card", uid=CARD)]
    _has(_told(33500, steps, settings(wake_after_s=30)), ("outlet", "woken up"))
    _has(_told(40000, steps, settings(wake_after_s=30)), ("vehicle", "does not ask"))


def test_the_start_delay():
    for seed in range(3):
        told = _told(5000, charging(), settings(start_delay_s=1800), seed=seed)
        _has(told, ("outlet", "random time: "))


def test_lock_and_cable():
    socket = {"kind": "ac", "max_a": 32, "cable": "socket"}
    told = _told(4000, [step(500, "lock")] + charging(), outlet=socket)
    assert any("not locked" in r["text"] for r in told), told
    told = _told(12000, [step(500, "lock")] + charging(), outlet=socket)
    assert any("(ConnectorLockFailure)" in r["text"] for r in told), told
    steps = charging()
    steps[0]["pp_ohm"] = 680
    (told,) = _told(9000, steps, outlet=socket)
    assert told["source"] == "cable" and told["text"].startswith("at most 20.0 A: "), told
    assert 7 <= told["age_s"] <= 8, told


def test_limits():
    (told,) = _told(60000, charging(step(7000, "temperature", c=66)))
    assert told["source"] == "temperature" and told["text"].startswith("at most "), told
    assert told["age_s"] < 6
    told = _told(25000, charging(step(7000, "temperature", c=75)))
    assert any("(HighTemperature)" in r["text"] for r in told), told
    trace, station = simulate(9000, charging())
    station.outlets[0].limits.set(5, 5000, "the site is full")
    assert station.explain(0) == [
        {
            "source": "backend",
            "text": "at most 5.0 A: the site is full; a vehicle needs 6.0 A",
            "age_s": 0,
        }
    ]


def test_faults_tell_what_clears_them():
    for do, fields, meaning, clears in (
        ("door", {}, "the enclosure is open (EnclosureOpen)", "by itself"),
        ("estop", {}, "the emergency stop is pressed, or was (EmergencyStop)", "by unplugging"),
        ("weld", {}, None, None),
        ("cp_short", {}, "the pilot is shorted to earth", "by itself"),
        ("rcd", {}, "current leaks to earth (GroundFailure)", "by unplugging"),
    ):
        told = _told(10000, charging(step(7000, do, **fields)))
        if meaning:
            texts = [r["text"] for r in told if r["source"] == "safety"]
            assert any(text.startswith(meaning) and clears in text for text in texts), told
    told = _told(10000, charging(step(7000, "weld"), step(8000, "pause")))
    assert any("PowerSwitchFailure); only a technician" in r["text"] for r in told), told
    # A residual current just after closing is a hard fault.
    told = _told(10000, charging(step(4700, "rcd")))
    assert any("GroundFailure); only a technician" in r["text"] for r in told), told


def test_every_fault_has_its_words():
    assert len(explain.MEANINGS) == len(FAULTS)


class _Asked(Station):
    # Asks at every turn of the main loop, before and after.
    empty = asked = 0

    def tick(self, now_ms):
        self._ask()
        Station.tick(self, now_ms)
        self._ask()

    def _ask(self):
        for i in range(len(self.outlets)):
            told = self.explain(i)
            c = self.cores[i].cells
            full = c[DRIVE] and c[CURRENT_MA] >= self.board.outlets[i].max_ma - 1000
            assert told or full, list(c)
            for reason in told:
                assert reason["source"] and reason["text"] and reason.get("age_s", 0) >= 0
            _Asked.asked += 1
            _Asked.empty += not told


_STEPS = (
    ("plug", {}), ("unplug", {}), ("ready", {}), ("ready", {}), ("pause", {}), ("vent", {}),
    ("ohms", {"value": 500, "for_ms": 700}), ("diode", {"ok": False}), ("diode", {"ok": True}),
    ("cp_short", {"for_ms": 900}), ("card", {"uid": CARD}), ("card", {"uid": CARD}),
    ("draw", {"ma": 9000}), ("draw", {"ma": None}), ("draw", {"ma": None, "obey": False}),
    ("rcd", {}), ("rcd", {"fault": False}), ("weld", {}), ("weld", {"fault": False}),
    ("door", {}), ("door", {"fault": False}), ("temperature", {"c": 75}),
    ("temperature", {"c": 25}), ("mains", {"v": 170}), ("mains", {"v": 230}),
    ("no_close", {}), ("no_close", {"fault": False}), ("stall", {"for_ms": 300}),
    ("stall_main", {"for_ms": 1500}), ("link", {"up": False}), ("link", {"up": True}),
)  # fmt: skip


def test_random_situations():
    for seed in range(6):
        random = Random(seed + 1)
        steps = charging()
        for k in range(16):
            do, fields = _STEPS[random.below(len(_STEPS))]
            steps.append(step(6000 + k * 1500 + random.below(1500), do, **fields))
        steps.sort(key=lambda made: made["at_ms"])
        scenario = {"until_ms": 40000, "steps": steps, "seed": seed}
        scenario["profile"] = "esp32" if seed & 1 else "rp2040"
        cable = "socket" if seed & 2 else "attached"
        scenario["outlet"] = {"kind": "ac", "max_a": 32, "cable": cable}
        board = VirtualBoard(scenario, _Nowhere())
        station = _Asked(board, settings(start_delay_s=3, wake_after_s=30))
        board.run(station)
        assert station.errors == 0, seed
    assert _Asked.asked > 20000 and _Asked.empty > 100


class _Nowhere:
    def write(self, text):
        pass

    def flush(self):
        pass
