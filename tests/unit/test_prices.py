"""Tariffs that the backend sets, asks for and clears; which one a transaction has, what it costs,
and where a balance ends it.
"""

import json

from firmware.access import prices
from firmware.ledger import bounds, tariff
from firmware.station import Station
from tests.door import Cut, Door, Store
from tests.pile import CARD, charging, settings, simulate, step
from tests.support import raises

OTHER = "DEADBEEF"


def _tariff(tariff_id="T-1", kwh=1, **more):
    made = {"tariffId": tariff_id, "currency": "CNY", "energy": {"prices": [{"priceKwh": kwh}]}}
    made.update(more)
    return made


def _call(at_ms, action, payload, message_id=None, **fields):
    message = [2, message_id or "m%d" % at_ms, action, payload]
    return step(at_ms, "backend", message=message, **fields)


def _set(at_ms, evse_id=0, given=None, **fields):
    payload = {"evseId": evse_id, "tariff": given or _tariff()}
    return _call(at_ms, "SetDefaultTariff", payload, **fields)


def _said(trace):
    """The status of each answer, with its reason; or an error's code."""
    found = []
    for kind, _, answer, *_ in trace.answers():
        if kind == 4:
            found.append(answer)
        elif "clearTariffsResult" in answer:
            found.append([(each["status"], each.get("tariffId"))
                          for each in answer["clearTariffsResult"]])  # fmt: skip
        elif "statusInfo" in answer:
            found.append((answer["status"], answer["statusInfo"]["reasonCode"]))
        else:
            found.append(answer["status"])
    return found


def _cost(event):
    """What an event says of the total, its energy and the usage."""
    details = event["costDetails"]
    return details["totalCost"]["total"]["inclTax"], details["totalUsage"]


def _assigned(trace, n):
    return trace.answers()[n][2]["tariffAssignments"]


def test_a_default_is_set_told_and_cleared():
    later = _tariff("T-2", validFrom="2026-01-02T00:00:00Z")
    steps = [
        _call(500, "GetTariffs", {"evseId": 0}),
        _set(1000),
        _set(1500, 1, later),
        _call(2000, "GetTariffs", {"evseId": 0}),
        _call(2500, "ClearTariffs", {"tariffIds": ["T-1", "X"]}),
        _call(3000, "ClearTariffs", {"evseId": 0}),
        _call(3500, "GetTariffs", {"evseId": 1}),
        _call(4000, "ClearTariffs", {}),
        _call(4500, "GetTariffs", {"evseId": 1}),
    ]
    trace, _ = simulate(6000, steps)
    assert _said(trace) == [
        "NoTariff", "Accepted", "Accepted", "Accepted",
        [("Accepted", "T-1"), ("NoTariff", "X")], [("NoTariff", None)], "Accepted",
        [("Accepted", "T-2")], "NoTariff",
    ]  # fmt: skip
    found = {"tariffKind": "DefaultTariff", "evseIds": [1]}
    second = dict(found, tariffId="T-2", validFrom="2026-01-02T00:00:00.000Z")
    assert _assigned(trace, 3) == [dict(found, tariffId="T-1"), second]
    assert _assigned(trace, 6) == [second]


def test_what_is_wrong_with_a_tariff_is_said():
    many = [{"priceKwh": 1}] * 50
    odd = [{"priceKwh": 1, "conditions": {"moonPhase": "full"}}]
    for given, status in (
        (_tariff(kwh=-1), ("Rejected", "InvalidValue")),
        (_tariff(energy={"prices": many}), ("TooManyElements", "InvalidValue")),
        (_tariff(energy={"prices": odd}), ("ConditionNotSupported", "InvalidValue")),
        (_tariff(validFrom="2200-01-01T00:00:00Z"), ("Rejected", "InvalidValue")),
        ("T-1", "TypeConstraintViolation"),
    ):
        trace, _ = simulate(2000, [_set(1000, 0, given)])
        assert _said(trace) == [status], given
    trace, _ = simulate(2000, [_set(1000, 2), _call(1500, "GetTariffs", {"evseId": 2})])
    assert _said(trace) == [("Rejected", "UnknownEvse")] * 2
    additional = simulate(2000, [_set(1000, 0, _tariff(kwh=-1))])[0].answers()[0][2]["statusInfo"]
    assert "tariff.energy.prices[0].priceKwh" in additional["additionalInfo"]
    for action in ("GetTariffs", "SetDefaultTariff", "ChangeTransactionTariff"):
        trace, _ = simulate(2000, [_call(1000, action, {})])
        assert _said(trace) == ["OccurrenceConstraintViolation"]


def test_one_id_is_one_tariff():
    steps = [
        _set(500), _set(1000), _set(1500, 1), _set(2000, 0, _tariff(kwh=2)),
        _set(2500, replayed=True), _set(3000, 0, _tariff("T-9"), replayed=True),
    ]  # fmt: skip
    trace, _ = simulate(4000, steps)
    again = "DuplicateTariffId"
    stale = ("Rejected", "StaleCommand")
    assert _said(trace) == ["Accepted", "Accepted", again, again, "Accepted", stale]


def test_an_old_request_does_not_clear_what_it_does_not_name():
    clear = {"tariffIds": ["T-1"]}
    steps = [
        _set(500),
        _call(1000, "ClearTariffs", {}, replayed=True),
        _call(1500, "ClearTariffs", clear, replayed=True),
    ]
    trace, _ = simulate(3000, steps)
    assert _said(trace) == ["Accepted", [("Rejected", None)], [("Accepted", "T-1")]]


def test_a_new_default_takes_the_place_of_those_in_force():
    steps = [_set(300 + 300 * i, 0, _tariff("T%d" % i, i)) for i in range(12)]
    future = [
        _set(4000 + 300 * i, 1, _tariff("F%d" % i, validFrom="2026-01-0%dT00:00:00Z" % (i + 2)))
        for i in range(8)
    ]
    trace, station = simulate(9000, steps + future)
    assert _said(trace) == ["Accepted"] * 19 + [("Rejected", "NoSpace")]
    door = station.cards
    named = prices.ids(door, prices.defaults(door))
    assert named[0, 0] == "T11" and len(named) == 8
    # A boot finds them.
    board = station.board
    door = Station(board, station.config).cards
    assert prices.ids(door, prices.defaults(door)) == named


def test_what_is_set_anew_holds_again():
    later = _tariff("T-2", 9, validFrom="2026-01-01T00:00:02Z")
    trace, station = simulate(6000, [_set(500), _set(1000, 0, later), _set(4000)])
    assert _said(trace) == ["Accepted"] * 3
    assert prices.default(station.cards, 1)[5:8] == b"T-1"


def test_a_default_that_a_cut_left_beside_the_one_before_is_set_again():
    door = Door(store=_Names())
    old = tariff.check(_tariff("OLD", validFrom="2025-01-01T00:00:00Z"))
    new = tariff.check(_tariff("NEW"))
    assert prices.put(door, 0, old, True) == ("Accepted", None)
    remove = door.store.remove

    def cut(name):
        raise Cut()

    door.store.remove = cut
    raises(Cut, prices.put, door, 0, new, True)
    door.store.remove = remove
    # Nobody was told that it was taken: the backend asks again.
    door.prices.clear()
    assert prices.put(door, 0, new, True) == ("Accepted", None)
    assert prices.default(door, 1) == new


def test_which_default_holds():
    keys = [(0, 0), (0, 200), (0, 100), (2, 0), (2, 300)]
    for evse_id, now_s, key in (
        (1, None, (0, 0)), (1, 99, (0, 0)), (1, 100, (0, 100)), (1, 1000, (0, 200)),
        (2, None, (2, 0)), (2, 200, (2, 0)), (2, 300, (2, 300)), (3, 150, (0, 100)),
    ):  # fmt: skip
        assert prices.choose(keys, evse_id, now_s) == key
        assert prices.choose(reversed(keys), evse_id, now_s) == key
    assert prices.choose([], 1, 0) is None and prices.choose([(2, 0)], 1, 0) is None
    assert prices.choose([(1, 5)], 1, None) is None


def _answer(at_ms, action, **fields):
    return step(at_ms, "answer", action=action, fields=fields)


def _ended(trace):
    (found,) = trace.messages("TransactionEvent", "Ended")
    return found


def _taken_wh(event, started):
    return event["meterValue"][0]["sampledValue"][0]["value"] - started


def test_a_session_costs_what_its_default_says():
    steps = charging(_set(500, 1, _tariff("OWN", 2)), _set(600), step(60000, "unplug"))
    trace, station = simulate(70000, steps)
    (started,) = trace.messages("TransactionEvent", "Started")
    assert started["transactionInfo"]["tariffId"] == "OWN" and "costDetails" not in started
    ended = _ended(trace)
    assert ended["transactionInfo"]["tariffId"] == "OWN"
    first = started["meterValue"][0]["sampledValue"][0]["value"]
    cost, usage = _cost(ended)
    assert abs(usage["energy"] - _taken_wh(ended, first)) < 0.002 and usage["energy"] > 100
    assert abs(cost - usage["energy"] * 2 / 1000) < 0.000001
    assert usage["chargingTime"] + usage["idleTime"] in (57, 58)
    assert "idleTime" not in ended["costDetails"]["totalCost"]
    assert ended["costDetails"]["totalCost"]["currency"] == "CNY"
    # As the ledger has it.
    from firmware.ledger import history

    (kept,) = history.sessions(station.board.store, print)
    assert kept["currency"] == "CNY" and abs(kept["cost_micro"] - cost * 1000000) < 1


def test_a_drivers_tariff_goes_before_the_default_and_is_his_only():
    own = _tariff("DRIVER", 5)
    steps = charging(
        _set(500),
        _answer(600, "Authorize", tariff=own),
        _call(5000, "GetTariffs", {"evseId": 0}),
        _call(6000, "ClearTariffs", {"tariffIds": ["DRIVER"]}),
        step(10000, "unplug"),
        _answer(11000, "Authorize"),
        step(12000, "plug"),
        step(13000, "card", uid=CARD),
        step(20000, "unplug"),
    )
    trace, _ = simulate(25000, steps)
    told = [event["transactionInfo"]["tariffId"]
            for event in trace.messages("TransactionEvent", "Started")]  # fmt: skip
    assert told == ["DRIVER", "T-1"]
    assert _assigned(trace, 1) == [
        {"tariffId": "T-1", "tariffKind": "DefaultTariff", "evseIds": [1]},
        {"tariffId": "DRIVER", "tariffKind": "DriverTariff", "evseIds": [1]},
    ]
    assert _said(trace)[2] == [("Accepted", "DRIVER")]
    ended = trace.messages("TransactionEvent", "Ended")[0]
    cost, usage = _cost(ended)
    assert abs(cost - usage["energy"] * 5 / 1000) < 0.000001 and usage["energy"] > 0


def test_a_drivers_tariff_that_is_none_leaves_the_default():
    for bad in ({"tariffId": "X"}, [], _tariff(kwh="free")):
        steps = charging(_set(500), _answer(600, "Authorize", tariff=bad), step(9000, "unplug"))
        trace, _ = simulate(12000, steps)
        (started,) = trace.messages("TransactionEvent", "Started")
        assert started["transactionInfo"]["tariffId"] == "T-1"
        assert "driver's tariff" in trace.of("error")[0]["problem"]


def test_a_drivers_tariff_waits_for_the_plug():
    steps = [
        _answer(500, "Authorize", tariff=_tariff("DRIVER")),
        step(1000, "card", uid=CARD),
        step(9000, "plug", outlet=2),
    ]
    trace, station = simulate(15000, steps, outlets=2)
    (started,) = trace.messages("TransactionEvent", "Started")
    assert started["evse"]["id"] == 2 and started["transactionInfo"]["tariffId"] == "DRIVER"
    assert station.cards.tariff is None


def test_a_transaction_that_a_plug_began_gets_its_drivers_tariff():
    config = settings(tx_start="EVConnected", tx_stop="EVConnected")
    good = _tariff("DRIVER", 3)
    for own, last in ((good, "DRIVER"), (dict(good, currency="EUR"), "T-1")):
        default = _tariff(fixedFee={"prices": [{"priceFixed": 0.5}]})
        steps = [
            _set(500, 0, default), _answer(600, "Authorize", tariff=own), step(1000, "plug"),
            step(3000, "card", uid=CARD), step(20000, "unplug"),
        ]  # fmt: skip
        trace, _ = simulate(25000, steps, config)
        events = trace.messages("TransactionEvent")
        found = [event["transactionInfo"].get("tariffId") for event in events]
        assert found[0] == "T-1" and found[-1] == last, found
        changed = [event for event in events if event["triggerReason"] == "TariffChanged"]
        assert len(changed) == (last == "DRIVER")
        assert _cost(events[-1])[0] == 0.5


def test_the_tariff_of_a_transaction_changes():
    trace, station = simulate(5000, charging(_set(500)))
    tx = station.sessions[0].transaction_id
    half = _tariff("T-2", 0.5)
    euro = dict(half, currency="EUR")

    def change(at_ms, given, **fields):
        payload = {"transactionId": fields.pop("tx", tx), "tariff": given}
        return _call(at_ms, "ChangeTransactionTariff", payload, **fields)

    steps = [
        change(20000, half, tx="no"), change(20500, half, replayed=True), change(21000, euro),
        change(21500, _tariff(kwh=-1)), change(22000, _tariff(energy={"prices": [{}] * 50})),
        change(30000, half), step(60000, "unplug"),
    ]  # fmt: skip
    trace, _ = simulate(70000, charging(_set(500), *steps))
    assert _said(trace) == [
        "Accepted", "TxNotFound", ("Rejected", "StaleCommand"), "NoCurrencyChange",
        ("Rejected", "InvalidValue"), ("TooManyElements", "InvalidValue"), "Accepted",
    ]  # fmt: skip
    (changed,) = [event for event in trace.messages("TransactionEvent", "Updated")
                  if event["triggerReason"] == "TariffChanged"]  # fmt: skip
    assert changed["transactionInfo"]["tariffId"] == "T-2"
    (started,) = trace.messages("TransactionEvent", "Started")
    first = started["meterValue"][0]["sampledValue"][0]["value"]
    before = _taken_wh(changed, first)
    ended = _ended(trace)
    cost, usage = _cost(ended)
    assert before > 20 and ended["transactionInfo"]["tariffId"] == "T-2"
    assert abs(cost - (before + (usage["energy"] - before) / 2) / 1000) < 0.00001
    # One that had none costs from then on.
    tx = simulate(5000, charging())[1].sessions[0].transaction_id
    trace, _ = simulate(70000, charging(change(30000, half, tx=tx), step(60000, "unplug")))
    assert _said(trace) == ["Accepted"]
    without, usage = _cost(_ended(trace))
    assert abs(without - (usage["energy"]) / 2000) < 0.00001
    assert abs(usage["energy"] - _taken_wh(_ended(trace), first) + before) < 0.1


def test_a_tariff_that_is_refused_is_not_reckoned_by():
    for first in ([], [_set(500)]):
        trace, station = simulate(20000, charging(*first))
        session = station.sessions[0]
        append = station.journal.append

        def full(data, append=append):
            if data[0] == 1:
                raise OSError(28)
            return append(data)

        station.journal.append = full
        made = tariff.check(_tariff("T-2", 1000))
        assert bounds.change(session, made, True) == ("Rejected", "NotKept")
        station.journal.append = append
        board = station.board
        board.plant.unplug()
        board._simulate(station, 30000000)
        if first:
            cost, usage = _cost(_ended(trace))
            assert usage["energy"] > 10 and abs(cost - usage["energy"] / 1000) < 0.000001
        else:
            assert "costDetails" not in _ended(trace)


def test_what_is_told_of_tariff_and_limits_holds_after_a_cut():
    _, station = simulate(20000, charging(_set(500)), settings(after_power_cut="resume"))
    board = station.board
    session = station.sessions[0]
    append = station.journal.append
    left = []

    def cut(data):
        # The power is gone right behind the event.
        number = append(data)
        if data[0] == 1:
            left.append(bytes(board.memory.chip.memory))
        return number

    station.journal.append = cut
    bounds.limit(session, {"maxEnergy": 60})
    bounds.change(session, tariff.check(_tariff("T-2", 2)), True)
    for kept, named in zip(left, (b"T-1", b"T-2")):
        board.memory.chip.memory[:] = kept
        budget = Station(board, station.config).sessions[0].budget
        assert budget.tariff[5:8] == named and budget.limits == (60000, 0, 0)


def test_the_cost_is_told_while_it_runs():
    config = settings(running_cost_interval_s=20)
    steps = charging(_set(500), step(70000, "unplug"))
    trace, _ = simulate(80000, steps, config)
    told = [event for event in trace.messages("TransactionEvent", "Updated")
            if event["triggerReason"] == "RunningCost"]  # fmt: skip
    assert [event["timestamp"][14:19] for event in told] == ["00:22", "00:42", "01:02"]
    costs = [_cost(event)[0] for event in told] + [_cost(_ended(trace))[0]]
    assert costs == sorted(costs) and 0 < costs[0] < costs[3]
    assert all(event["transactionInfo"]["tariffId"] == "T-1" for event in told)
    # Nothing is told of what costs nothing known.
    trace, _ = simulate(80000, steps[:3] + steps[4:], config)
    events = trace.messages("TransactionEvent")
    assert "RunningCost" not in [event["triggerReason"] for event in events]
    assert not [event for event in events if "costDetails" in event]


def _limits(trace):
    return [(event["triggerReason"], event["transactionInfo"]["transactionLimit"])
            for event in trace.messages("TransactionEvent")
            if "transactionLimit" in event["transactionInfo"]]  # fmt: skip


def test_a_balance_ends_a_session_offline():
    steps = charging(
        _set(500, 0, _tariff(kwh=1.2)),
        _answer(600, "TransactionEvent", transactionLimit={"maxCost": 0.1, "maxSoC": 80}),
        step(10000, "link", up=False),
        step(90000, "link", up=True),
    )
    trace, _ = simulate(120000, steps)
    # 0.10 are 83.3 Wh: 41 s at 7.36 kW.
    ended = _ended(trace)
    assert ended["transactionInfo"]["stoppedReason"] == "LocalOutOfCredit" and ended["offline"]
    assert ended["triggerReason"] == "CostLimitReached"
    assert 0.1 <= _cost(ended)[0] < 0.1 + 0.01
    # Told back once, as it was understood.
    assert _limits(trace) == [("LimitSet", {"maxCost": 0.1})]


def test_limits_change_in_the_middle():
    steps = charging(
        _set(500),
        _answer(600, "TransactionEvent", transactionLimit={"maxEnergy": 30, "maxTime": 3600}),
        _answer(4000, "TransactionEvent", transactionLimit={"maxEnergy": 60.5}),
        # what is malformed is as if it were not there
        _answer(9000, "TransactionEvent", transactionLimit={"maxEnergy": -1, "maxTime": "long"}),
        _answer(11000, "TransactionEvent", transactionLimit=7),
        _answer(12000, "TransactionEvent", transactionLimit={}),
    )
    config = settings(sample_interval_s=5)
    trace, _ = simulate(60000, steps, config)
    ended = _ended(trace)
    assert ended["transactionInfo"]["stoppedReason"] == "EnergyLimitReached"
    assert 60.5 <= _cost(ended)[1]["energy"] < 66
    assert _limits(trace) == [
        ("LimitSet", {"maxEnergy": 30, "maxTime": 3600}),
        ("LimitSet", {"maxEnergy": 60.5, "maxTime": 3600}),
    ]
    # A greatest cost without a tariff is none.
    steps = charging(
        _answer(600, "TransactionEvent", transactionLimit={"maxCost": 0, "maxTime": 0})
    )
    trace, _ = simulate(20000, steps)
    assert _limits(trace) == [("LimitSet", {"maxTime": 1})]
    assert _ended(trace)["transactionInfo"]["stoppedReason"] == "TimeLimitReached"


def test_what_is_set_while_a_contactor_is_closed_waits_and_holds():
    token = {"idToken": "A", "type": "Central"}
    start = {"idToken": token, "remoteStartId": 1, "evseId": 2}
    steps = charging(
        _set(500, 2, _tariff("OLD")),
        _set(10000, 2, _tariff("NEW")),
        _call(10500, "ClearTariffs", {"tariffIds": ["OLD"]}),
        _call(11000, "GetTariffs", {"evseId": 2}),
        step(12000, "plug", outlet=2),
        _call(13000, "RequestStartTransaction", start),
    )
    trace, station = simulate(20000, steps, outlets=2)
    assert _said(trace)[1:4] == ["Accepted", [("NoTariff", "OLD")], "Accepted"]
    assert [told["tariffId"] for told in _assigned(trace, 3)] == ["NEW"]
    started = trace.messages("TransactionEvent", "Started")[1]
    assert started["transactionInfo"]["tariffId"] == "NEW"
    board = station.board
    assert b"OLD" in board.store.load("access.tariff.2.0") and len(station.cards.prices) == 1
    # The power is cut before it could be written.
    door = Station(board, station.config).cards
    assert prices.default(door, 2)[5:8] == b"NEW" and prices.default(door, 1) is None
    # Too many that wait.
    steps = [_set(10000 + 200 * i, 0, _tariff("T%d" % i)) for i in range(5)]
    trace, station = simulate(20000, charging(*steps, step(15000, "unplug")))
    assert _said(trace) == ["Accepted"] * 4 + [("Rejected", "NotKept")]
    assert station.cards.prices == [] and prices.default(station.cards, 1)[5:7] == b"T3"


class _Names(Store):
    def names(self, prefix):
        return sorted(name for name in self.kept if name.startswith(prefix))

    def remove(self, name):
        self.kept.pop(name, None)


def test_a_damaged_default_and_a_full_flash():
    door = Door(store=_Names())
    data = tariff.check(_tariff())
    assert prices.put(door, 0, data, True) == ("Accepted", None)
    assert prices.default(door, 1) == data
    (name,) = door.store.kept
    whole = door.store.kept[name]
    for damaged in (whole[:-1], whole[:9] + b"?" + whole[10:], b"", b"abc"):
        door.store.kept[name] = damaged
        assert prices.default(door, 1) is None
        assert "damaged" in door.problems()[-1]

    def full(name, data):
        raise OSError(28)

    door.store.save = full
    assert prices.put(door, 1, data, True) == ("Rejected", "NotKept") and not door.prices
    raises(OSError, prices.commit, door, b"\0\1\0\0\0\0" + data)


def test_a_changed_record_is_taken_as_it_is():
    # A tariff whose id has every kind of letter, as the text of an event.
    given = _tariff("\u5cf0\u5e73\u8c37 \"x\"\n")
    trace, _ = simulate(10000, charging(_set(500, 0, given), step(8000, "unplug")))
    ended = _ended(trace)
    assert ended["transactionInfo"]["tariffId"] == given["tariffId"]
    assert json.dumps(ended)


def _cut(seconds, after, *more):
    steps = charging(_set(500, 0, _tariff(kwh=1.2)), step(20000, "power", for_ms=1000), *more)
    return simulate(seconds * 1000, steps, settings(after_power_cut=after))


def test_a_cost_and_a_balance_go_on_after_a_power_cut():
    limit = {"maxCost": 0.1}
    more = (
        _answer(600, "TransactionEvent", transactionLimit=limit),
        step(15000, "answer", action="TransactionEvent", fields={}),
    )
    trace, _ = _cut(150, "resume", *more)
    ended = _ended(trace)
    assert ended["transactionInfo"]["stoppedReason"] == "LocalOutOfCredit"
    cost, usage = _cost(ended)
    assert 0.1 <= cost < 0.11 and abs(cost - usage["energy"] * 1.2 / 1000) < 0.000001
    (started,) = trace.messages("TransactionEvent", "Started")
    first = started["meterValue"][0]["sampledValue"][0]["value"]
    assert abs(usage["energy"] - _taken_wh(ended, first)) < 0.002


def test_what_a_power_cut_ends_is_billed():
    from firmware.ledger import history

    trace, station = _cut(50, "end", step(22000, "unplug"))
    ended = _ended(trace)
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    cost, usage = _cost(ended)
    assert usage["energy"] > 10 and abs(cost - usage["energy"] * 1.2 / 1000) < 0.000001
    assert 10 < usage["chargingTime"] <= 17
    (kept,) = history.sessions(station.board.store, print)
    assert abs(kept["cost_micro"] - cost * 1000000) < 1 and kept["currency"] == "CNY"


def test_a_tariff_comes_too_late_for_what_a_power_cut_has_ended():
    given = {"transactionId": "s0b1-t4", "tariff": _tariff("T-2", kwh=7)}
    given["customData"] = {"vendorId": "x", "issuedAt": "2026-01-01T00:00:21Z"}
    steps = charging(
        _set(500), step(20000, "power", for_ms=500), _call(21000, "ChangeTransactionTariff", given)
    )
    trace, _ = simulate(40000, steps, settings(receipts=1))
    assert list(trace.transactions()) == ["s0b1-t4"]
    assert _said(trace)[-1] == "TxNotFound"
    cost, usage = _cost(_ended(trace))
    assert abs(cost - usage["energy"] / 1000) < 0.000001


def test_a_tariff_is_needed_as_long_as_the_cell_names_its_record():
    _, station = simulate(20000, charging(_set(500)), settings(after_power_cut="resume"))
    board = station.board
    session = station.sessions[0]
    first = session.needs()
    save = session._cell.save

    def fails(data):
        raise OSError(5)

    for _ in range(40):
        station.journal.append(b"\x05 something else")
    session._cell.save = fails
    board._simulate(station, 22000000)
    assert session.needs() == first
    session._cell.save = save
    board._simulate(station, 24000000)
    assert session.needs() > first


def test_what_cannot_be_reckoned_for_want_of_memory_is_kept_and_reckoned_later():
    trace, station = simulate(20000, charging(_set(500)))
    board = station.board
    session = station.sessions[0]
    tick = session.budget.tick

    def fails(session):
        raise MemoryError()

    session.budget.tick = fails
    board._simulate(station, 60000000)
    # 2 Wh a second, kept every 10 s
    assert board.plant.energy_mwh() - session._kept_mwh < 24000
    session.budget.tick = tick
    board.plant.unplug()
    board._simulate(station, 70000000)
    cost, usage = _cost(_ended(trace))
    assert usage["energy"] > 110 and abs(cost - usage["energy"] / 1000) < 0.000001


def test_a_lost_tariff_ends_what_cannot_be_billed():
    trace, station = simulate(20000, charging(_set(500)), settings(after_power_cut="resume"))
    board = station.board
    journal = station.journal
    # The tariff's record is damaged.
    at = journal.at + journal.place(station.sessions[0].budget.record) + 12
    board.memory.write(at, b"?")
    station = Station(board, station.config)
    assert station.sessions[0].free and not station.sessions[0].tx


def test_a_tariff_is_kept_while_the_journal_is_let_go_of():
    config = settings(sample_interval_s=1, after_power_cut="resume")
    steps = charging(_set(500), step(120000, "power", for_ms=1000), step(130000, "unplug"))
    trace, station = simulate(140000, steps, config)
    events = trace.messages("TransactionEvent")
    assert "TxResumed" in [event["triggerReason"] for event in events]
    cost, usage = _cost(_ended(trace))
    assert usage["energy"] > 200 and abs(cost - usage["energy"] / 1000) < 0.000001
    assert station.board.station.journal.first > 100
