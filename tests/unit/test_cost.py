"""What a session costs: by hand, cut anywhere, kept across a power cut, and up to a balance."""

import json

from firmware.ledger import bill, cost, tariff
from firmware.uplink.ocpp import encode
from hal.virtual.random import Random
from tests import tariffs
from tests.support import raises
from tests.tariffs import START_MS
from tools.host import half_hours

HOUR_MS = 3600000
DAY_MS = 24 * HOUR_MS
EURO = 1000000


def _tariff(**parts):
    found = {"tariffId": "T1", "currency": "EUR"}
    found.update(parts)
    return found


def _energy(*prices, **more):
    """Prices a kWh, each with its conditions."""
    found = [{"priceKwh": price, "conditions": conditions} for price, conditions in prices]
    return dict(prices=found, **more)


def _minutes(*prices, **more):
    found = [{"priceMinute": price, "conditions": conditions} for price, conditions in prices]
    return dict(prices=found, **more)


def _vat(percent, stack=0):
    return {"type": "VAT", "tax": percent, "stack": stack}


def _cost(given, offset_min=0):
    return cost.Cost(tariff.check(given), b"", offset_min)


def _run(data, steps, offset_min=0):
    state = cost.begin(data, offset_min, steps[0][0])
    for step in steps:
        state = cost.step(data, state, offset_min, *step)[0]
    return state


def test_energy_and_tax():
    data = tariff.check(_tariff(energy=_energy((0.3, {}), taxRates=[_vat(19)])))
    state = cost.begin(data, 0, START_MS)
    state, _, _ = cost.step(data, state, 0, START_MS, HOUR_MS, 10000000, True)
    assert cost.Cost(data, state).total() == (3000000, 3570000, "NormalCost")
    assert bill.total(data, state) == "3.57 EUR"
    assert len(state) < 20
    assert encode(tariffs.details(data, state, True)) == (
        '{"totalCost":{"currency":"EUR","energy":{"exclTax":3.000000,"inclTax":3.570000},'
        '"total":{"exclTax":3.000000,"inclTax":3.570000},"typeOfCost":"NormalCost"},'
        '"totalUsage":{"chargingTime":3600,"energy":10000.000,"idleTime":0}}'
    )


def test_taxes_of_a_level_add_up_and_levels_multiply():
    rates = [_vat(10), _vat(5), _vat(20, 1), _vat(50, 7)]
    session = _cost(_tariff(energy=_energy((1, {}), taxRates=rates)))
    session.add(START_MS, HOUR_MS, 1000000, True)
    assert session.total()[:2] == (EURO, 1150000 * 12 // 10 * 15 // 10)


def test_every_part_and_a_reservation():
    given = _tariff(
        energy=_energy((0.5, {})),
        chargingTime=_minutes((0.01, {})),
        idleTime=_minutes((0, {"maxIdleTime": 600}), (0.2, {})),
        fixedFee={"prices": [{"priceFixed": 0.35}], "taxRates": [_vat(100)]},
        reservationTime=_minutes((0.05, {"minTime": 300})),
        reservationFixed={"prices": [{"priceFixed": 1}]},
    )
    data = tariff.check(given)
    state = cost.begin(data, 0, START_MS, (START_MS - 900000, 900000))
    state = cost.step(data, state, 0, START_MS, HOUR_MS, 7000000, True)[0]
    state = cost.step(data, state, 0, START_MS + HOUR_MS, 900000, 0, False)[0]
    parts = cost.Cost(data, state).parts()
    assert [part[0] for part in parts] == [350000, 500000, EURO, 3500000, 600000, EURO]
    assert parts[0][1] == 700000
    told = json.loads(encode(tariffs.details(data, state, True)))
    assert told["totalUsage"]["reservationTime"] == 900
    assert told["totalUsage"]["idleTime"] == 900
    assert sorted(told["totalCost"]) == [
        "chargingTime", "currency", "energy", "fixed", "idleTime", "reservationFixed",
        "reservationTime", "total", "typeOfCost",
    ]  # fmt: skip


def test_a_fee_for_what_a_pile_cannot_see_does_not_hold():
    for conditions, fee in (
        ({"paymentBrand": "X"}, 1), ({"paymentRecognition": "CC"}, 1), ({"evseKind": "DC"}, 1),
        ({"evseKind": "AC"}, 9), ({}, 9),
    ):  # fmt: skip
        prices = [{"priceFixed": 9, "conditions": conditions}, {"priceFixed": 1}]
        data = tariff.check(_tariff(fixedFee={"prices": prices}))
        assert cost.Cost(data, cost.begin(data, 0, START_MS)).total()[0] == fee * EURO, conditions
    data = tariff.check(_tariff(fixedFee={"prices": prices[:1]}), "DC")
    assert cost.Cost(data, cost.begin(data, 0, START_MS)).total()[0] == 9 * EURO


def test_the_half_hour_within_a_step():
    given = _tariff(energy=_energy((1, {"startTimeOfDay": "08:00", "endTimeOfDay": "08:30"})))
    session = _cost(given, 60)
    session.add(START_MS + 6 * HOUR_MS, 4 * HOUR_MS, 8000000, True)  # 07:00 to 11:00 local
    assert session.total()[0] == EURO
    session = _cost(given)
    session.add(START_MS + 6 * HOUR_MS, 4 * HOUR_MS, 8000003, True)
    assert session.total()[0] == 5000001 - 4000001  # whole mWh at each cut


def test_times_of_day_over_midnight_and_to_its_end():
    for conditions, hours in (
        ({"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}, 8),
        ({"startTimeOfDay": "22:00"}, 2),
        ({"endTimeOfDay": "06:00"}, 6),
        ({"startTimeOfDay": "22:00", "endTimeOfDay": "00:00"}, 2),
        ({"startTimeOfDay": "00:00", "endTimeOfDay": "00:00"}, 24),
        ({"startTimeOfDay": "07:00", "endTimeOfDay": "07:00"}, 24),
        ({"startTimeOfDay": "07:00", "dayOfWeek": ["Friday"]}, 0),
        ({"startTimeOfDay": "07:00", "dayOfWeek": ["Friday", "Thursday"]}, 17),
        ({"validFromDate": "2026-01-01", "validToDate": "2026-01-02"}, 24),
        ({"validFromDate": "2026-01-02"}, 0),
        ({"validToDate": "2026-01-01"}, 0),
        ({"evseKind": "AC"}, 24),
        ({"evseKind": "DC"}, 0),
    ):
        session = _cost(_tariff(idleTime=_minutes((1, conditions))))
        session.add(START_MS, DAY_MS, 0, False)
        assert session.total()[0] == hours * 60 * EURO, conditions


def test_local_time_by_a_fixed_offset():
    given = _tariff(idleTime=_minutes((1, {"dayOfWeek": ["Wednesday"]})))
    for offset_min, minutes in ((-720, 720), (0, 0), (840, 0), (-1, 1)):
        session = _cost(given, offset_min)
        session.add(START_MS, DAY_MS, 0, False)
        assert session.total()[0] == minutes * EURO


def test_thresholds():
    for conditions, euros in (
        ({"minEnergy": 2000}, 6),
        ({"maxEnergy": 2000}, 2),
        ({"minEnergy": 1000, "maxEnergy": 3000.5}, 2.0005),
        ({"minCurrent": 16}, 8),
        ({"minCurrent": 16.5}, 0),
        ({"maxCurrent": 16}, 0),
        ({"minPower": 3680, "maxPower": 3681}, 8),
        ({"minTime": 3600}, 4),
        ({"maxTime": 1800}, 2),
        ({"minChargingTime": 900, "maxChargingTime": 1800}, 1),
        ({"minIdleTime": 1}, 0),
        ({"maxIdleTime": 1}, 8),
    ):
        session = _cost(_tariff(energy=_energy((1, conditions))))
        session.add(START_MS, 2 * HOUR_MS, 8000000, True, 16000, 3680000)
        assert session.total()[0] == int(euros * EURO), conditions


def test_the_first_price_that_holds():
    prices = ((1, {"minEnergy": 3000}), (2, {"maxEnergy": 5000}), (4, {}), (8, {}))
    session = _cost(_tariff(energy=_energy(*prices)))
    session.add(None, 0, 8000000, True)  # a jump of the meter
    assert session.total()[0] == (3 * 2 + 5 * 1) * EURO


def test_least_and_greatest_cost():
    given = _tariff(
        energy=_energy((1, {}), taxRates=[_vat(25)]),
        minCost={"inclTax": 5},
        maxCost={"exclTax": 8},
    )
    session = _cost(given)
    session.add(START_MS, HOUR_MS, 1000000, True)
    assert session.total() == (4000000, 5000000, "MinCost")
    assert session.total(False) == (1000000, 1250000, "NormalCost")
    session.add(START_MS, HOUR_MS, 6000000, True)
    assert session.total() == (7000000, 8750000, "NormalCost")
    session.add(START_MS, HOUR_MS, 2000000, True)
    assert session.total() == session.total(False) == (8000000, 10000000, "MaxCost")
    session = _cost(_tariff(minCost={"exclTax": 5, "taxRates": [_vat(10)]}))
    assert session.total() == (5000000, 5500000, "MinCost")


def test_any_cut_gives_the_same_sum():
    for seed in range(120):
        random = Random(seed)
        data = tariff.check(tariffs.tariff(random))
        whole = cost.Cost(data, b"", 480)
        cut = cost.Cost(data, b"", 480)
        for unix_ms, ms, mwh, charging, ma, mw in tariffs.session(random, 4):
            # pieces whose energy is exactly their share of the time
            pieces = 1 + random.below(8)
            ms -= ms % pieces
            mwh -= mwh % pieces
            whole.add(unix_ms, ms, mwh, charging, ma, mw)
            done = 0
            while done < pieces:
                n = 1 + random.below(pieces - done)
                cut.add(
                    unix_ms + ms // pieces * done, ms // pieces * n, mwh // pieces * n, charging,
                    ma, mw,
                )  # fmt: skip
                done += n
            assert cut.state == whole.state, seed


def test_cost_never_falls():
    for seed in range(60):
        random = Random(1000 + seed)
        data = tariff.check(tariffs.tariff(random))
        session = cost.Cost(data, b"", -90)
        last = (0, 0)
        for step in tariffs.session(random, 12):
            session.add(*step)
            for ended in (False, True):
                total = session.total(ended)
                assert total[0] >= last[0] and total[1] >= last[1], seed
            last = session.total(False)


def test_a_state_goes_on_where_it_was_kept():
    longest = 0
    for seed in range(60):
        random = Random(2000 + seed)
        data = tariff.check(tariffs.tariff(random))
        steps = tariffs.session(random, 6)
        session = cost.Cost(data, b"", 60)
        session.start(steps[0][0])
        for step in steps:
            session.add(*step)
        state = _run(data, steps, 60)
        assert state == session.save()
        longest = max(longest, len(state))
    assert longest <= 60


def test_a_state_is_bounded():
    most = 1000000
    fee = {"prices": [{"priceFixed": most}], "taxRates": [_vat(99.9)]}
    minute = _minutes((most, {}), taxRates=[_vat(99.9)])
    data = tariff.check(
        _tariff(
            fixedFee=fee, reservationFixed=fee, reservationTime=minute, chargingTime=minute,
            idleTime=minute, energy=_energy((most, {}), taxRates=[_vat(99.9)]),
        )
    )  # fmt: skip
    session = cost.Cost(data)
    session.start(None)
    session.reserve(None, (1 << 32) - 1)
    for _ in range(2):
        session.add(None, (1 << 31) - 1, (1 << 35) - 1, True)
        session.add(None, (1 << 31) - 1, 0, False)
        session = cost.Cost(data, session.settle())
    session.add(None, (1 << 32) - 1, (1 << 36) - 1, True)
    session.add(None, (1 << 32) - 1, 0, False)
    assert len(session.save()) <= cost.STATE_BYTES, len(session.save())


def test_another_tariff_in_the_middle():
    first = _cost(_tariff(energy=_energy((1, {}), taxRates=[_vat(50)])))
    first.add(START_MS, HOUR_MS, 1000000, True)
    second = tariff.check(_tariff(energy=_energy((2, {}))))
    session = cost.Cost(second, first.settle())
    assert session.total() == first.total() == (1000000, 1500000, "NormalCost")
    session.add(START_MS + HOUR_MS, HOUR_MS, 1000000, True)
    assert session.total() == (3000000, 3500000, "NormalCost")
    assert session.state[0] == 2000000


def test_half_hours_against_a_table():
    # In 1/10000 yuan a kWh: energy, service. S sharp, P peak, F flat, V valley.
    prices = {"S": (12345, 4000), "P": (10283, 4000), "F": (6955, 4500), "V": (3623, 5000)}
    slots = "VVVVVVVVVVVVVVFFPPPPPPSSFFFFFFPPPPSSSSPPFFFFVVVV"
    given = half_hours.tariff(slots, prices, "CN-1")
    assert len(given["energy"]["prices"]) == 7
    data = tariff.check(given)
    assert len(data) < 100
    table = {"V": 18, "F": 12, "P": 12, "S": 6}
    expected = 0
    for name in table:
        assert slots.count(name) == table[name]
        expected += table[name] * 2 * sum(prices[name])  # 2 kWh each half hour
    state = cost.step(data, b"", 480, START_MS + 12345678, DAY_MS, 96000000, True)[0]
    assert cost.Cost(data, state).total()[0] == expected * 100
    for i, slot in enumerate(slots):
        for since, until in ((0, 1), (1799999, 1), (600000, 600000)):
            session = cost.Cost(data, b"", 480)
            session.add(START_MS - 8 * HOUR_MS + i * 1800000 + since, until, 1000000, True)
            assert session.total()[0] == sum(prices[slot]) * 100, (i, slot)
    # 48 different half hours
    names = [str(i) for i in range(48)]
    table = {name: (3000 + 7 * i, 1000 + i) for i, name in enumerate(names)}
    data = tariff.check(half_hours.tariff(names, table, "x" * 60))
    assert len(data) < 480
    state = cost.step(data, b"", 0, START_MS, DAY_MS, 48000000, True)[0]
    assert cost.Cost(data, state).total()[0] == sum(map(sum, table.values())) * 100
    raises(ValueError, half_hours.tariff, slots[1:], prices, "CN-1")
    raises(ValueError, half_hours.tariff, "x" + slots[1:], prices, "CN-1")


def test_without_a_date_what_needs_it_is_left_out_and_said():
    given = _tariff(energy=_energy((5, {"endTimeOfDay": "08:00"}), (1, {})))
    data = tariff.check(given)
    state = cost.step(data, b"", 0, None, HOUR_MS, 1000000, True)[0]
    state = cost.step(data, state, 0, START_MS, HOUR_MS, 1000000, True)[0]
    assert cost.Cost(data, state).total()[0] == 6 * EURO
    told = tariffs.details(data, state, False)
    assert told["failureToCalculate"] is True and "date" in told["failureReason"]
    data = tariff.check(_tariff(energy=_energy((1, {"minEnergy": 1}))))
    state = cost.step(data, b"", 0, None, HOUR_MS, 1000000, True)[0]
    assert "failureToCalculate" not in tariffs.details(data, state, False)


def test_text_in_the_smallest_unit_of_the_currency():
    for currency, text in (
        ("EUR", "1.24 EUR"), ("JPY", "1 JPY"), ("KWD", "1.240 KWD"), ("cny", "1.24 cny"),
    ):  # fmt: skip
        given = _tariff(energy=_energy((1.2345, {})), currency=currency)
        data = tariff.check(given)
        state = cost.step(data, b"", 0, START_MS, HOUR_MS, 1004050, True)[0]
        assert bill.total(data, state) == text
    assert bill.total(data, b"") == "0.00 cny"


def test_a_balance_is_left_until_it_is_used_up():
    data = tariff.check(_tariff(energy=_energy((0.5, {}), taxRates=[_vat(20)])))
    session = cost.Cost(data)
    assert session.left(6 * EURO, START_MS, True, 0, 0) == (9999996, None)
    assert session.left(6 * EURO, START_MS, True, 0, 7200000) == (9999996, 4999998)
    session.add(START_MS, HOUR_MS, 10000000, True)
    assert session.left(6 * EURO, START_MS, True) == (0, 0)
    assert session.left(6 * EURO - 1, START_MS, True) == (0, 0)
    session = cost.Cost(
        tariff.check(_tariff(idleTime=_minutes((0.5, {})), energy=_energy((0, {}))))
    )
    assert session.left(EURO, START_MS, True, 0, 7000000) == (None, None)
    assert session.left(EURO, START_MS, False, 0, 0) == (None, 119999)
    given = _tariff(energy=_energy((1, {})), minCost={"inclTax": 2}, maxCost={"inclTax": 3})
    session = cost.Cost(tariff.check(given))
    assert session.left(3 * EURO, START_MS, True) == (None, None)
    assert session.left(2 * EURO, START_MS, True)[0] == 1999998
    assert session.left(2 * EURO - 1, START_MS, True) == (0, 0)


def test_what_is_left_is_at_the_price_after_the_step():
    data = tariff.check(_tariff(energy=_energy((1, {"endTimeOfDay": "08:00"}), (2, {}))))
    step = (START_MS + 7 * HOUR_MS, HOUR_MS - 1, 0, True, 0, 0, 4 * EURO)
    assert cost.step(data, b"", 0, *step)[1] == 3999998
    step = (START_MS + 7 * HOUR_MS, HOUR_MS, 0, True, 0, 0, 4 * EURO)
    assert cost.step(data, b"", 0, *step)[1] == 1999999


def test_what_is_left_does_not_exceed_the_balance_and_leaves_little():
    for seed in range(150):
        random = Random(3000 + seed)
        given = _tariff(
            energy=_energy((tariffs.price(random), {}), taxRates=tariffs.tax_rates(random)),
            chargingTime=_minutes((tariffs.price(random) / 10, {})),
        )
        data = tariff.check(given)
        mw = 1 + random.below(1 << 14) * 1345
        most = 1 + random.below(50 * EURO)
        state, mwh, ms = cost.step(data, b"", 0, START_MS, 0, 0, True, 0, mw, most)
        if ms is None or ms > 1 << 45:  # it costs next to nothing
            continue
        if mwh is None:
            mwh = ms * mw // 3600000
        session = cost.Cost(data, state)
        session.add(START_MS, ms, mwh, True, 0, mw)
        assert session.total()[1] <= most, seed
        session.add(START_MS, 2, 2, True, 0, mw)
        session.add(START_MS, 3600000 // mw + 1, mw // 3600000 + 1, True, 0, mw)
        assert session.total()[1] > most - 10, seed


def test_stopping_by_what_is_left_exceeds_by_less_than_a_step():
    for seed in range(40):
        random = Random(4000 + seed)
        given = tariffs.tariff(random)
        given.pop("maxCost", None)
        data = tariff.check(given)
        most = EURO * (3 + random.below(30))
        now_ms = START_MS + random.below(DAY_MS)
        state = cost.begin(data, 0, now_ms)
        if cost.Cost(data, state).total()[1] > most:
            continue
        mw = 1000000 + random.below(1 << 14) * 1345
        mwh = ms = None
        for _ in range(400):
            before = cost.Cost(data, state).total(False)[1]
            step_ms = 60000 if ms is None else min(60000, ms)
            if mwh is not None:
                step_ms = min(step_ms, max(1, mwh * 3600000 // mw))
            state, mwh, ms = cost.step(
                data, state, 0, now_ms, step_ms, mw * step_ms // 3600000, True, mw // 230, mw, most
            )
            now_ms += step_ms
            after = cost.Cost(data, state).total(False)[1]
            if mwh == 0 or ms == 0:
                break
            assert after <= most, seed
        assert before <= most, seed


def _text(**fields):
    return dict({"format": "UTF8", "content": "x"}, **fields)


def test_what_drivers_may_be_shown_is_taken():
    bare = tariff.check(_tariff())
    assert tariff.check(_tariff(description=[_text(), _text(language="en")])) == bare


def test_a_tariff_names_the_field_that_is_wrong():
    time = {"startTimeOfDay": "8:00"}
    for given, field, status in (
        (7, "tariff:", "Rejected"),
        ({}, "tariff.tariffId: missing", "Rejected"),
        (_tariff(colour=1), "tariff.colour: no such", "Rejected"),
        (_tariff(tariffId="x" * 61), "tariff.tariffId:", "Rejected"),
        (_tariff(currency="EURO"), "tariff.currency:", "Rejected"),
        (_tariff(currency="12E"), "tariff.currency:", "Rejected"),
        (_tariff(validFrom="tomorrow"), "tariff.validFrom:", "Rejected"),
        (_tariff(description=[]), "tariff.description:", "Rejected"),
        (_tariff(description=[_text()] * 11), "tariff.description:", "TooManyElements"),
        (_tariff(description=[1]), "tariff.description[0]:", "Rejected"),
        (_tariff(description=[{"format": "UTF8"}]), "description[0].content: missing", "Rejected"),
        (_tariff(description=[_text(format="PDF")]), "description[0].format:", "Rejected"),
        (_tariff(description=[_text(language="x" * 9)]), "[0].language:", "Rejected"),
        (_tariff(energy=[]), "tariff.energy:", "Rejected"),
        (_tariff(energy={}), "tariff.energy.prices: missing", "Rejected"),
        (_tariff(energy={"prices": []}), "tariff.energy.prices:", "Rejected"),
        (_tariff(energy=_energy(*[(1, {})] * 50)), "tariff.energy.prices:", "TooManyElements"),
        (_tariff(energy=_energy((1, {}), ("1", {}))), "prices[1].priceKwh:", "Rejected"),
        (_tariff(energy=_energy((-0.1, {}))), "prices[0].priceKwh:", "Rejected"),
        (_tariff(energy=_energy((1000001, {}))), "prices[0].priceKwh:", "Rejected"),
        (_tariff(energy=_energy((True, {}))), "prices[0].priceKwh:", "Rejected"),
        (_tariff(energy=_energy((float("nan"), {}))), "prices[0].priceKwh:", "Rejected"),
        (_tariff(idleTime=_energy((1, {}))), "idleTime.prices[0].conditions", None),
        (
            _tariff(energy=_energy((1, {"minSoC": 3}))),
            "conditions.minSoC:",
            "ConditionNotSupported",
        ),
        (_tariff(energy=_energy((1, time))), "conditions.startTimeOfDay:", "Rejected"),
        (_tariff(energy=_energy((1, {"endTimeOfDay": "24:00"}))), ".endTimeOfDay:", "Rejected"),
        (_tariff(energy=_energy((1, {"dayOfWeek": []}))), ".dayOfWeek:", "Rejected"),
        (_tariff(energy=_energy((1, {"dayOfWeek": ["Mon"]}))), ".dayOfWeek:", "Rejected"),
        (_tariff(energy=_energy((1, {"validToDate": "2026-02-30"}))), ".validToDate:", "Rejected"),
        (_tariff(energy=_energy((1, {"validToDate": 1}))), ".validToDate:", "Rejected"),
        (_tariff(energy=_energy((1, {"minTime": 1.5}))), ".minTime:", "Rejected"),
        (_tariff(energy=_energy((1, {"minTime": True}))), ".minTime:", "Rejected"),
        (_tariff(energy=_energy((1, {"maxPower": -1}))), ".maxPower:", "Rejected"),
        (_tariff(energy=_energy((1, {"evseKind": "USB"}))), ".evseKind:", "Rejected"),
        (_tariff(energy=_energy((1, {}), taxRates=[])), "energy.taxRates:", "Rejected"),
        (_tariff(energy=_energy((1, {}), taxRates=[_vat(1)] * 6)), "taxRates", "TooManyElements"),
        (_tariff(energy=_energy((1, {}), taxRates=[{"tax": 1}])), "taxRates[0].type:", "Rejected"),
        (_tariff(energy=_energy((1, {}), taxRates=[_vat(1, -1)])), ".stack:", "Rejected"),
        (_tariff(energy=_energy((1, {}), taxRates=[_vat(1001)])), "taxRates[0].tax:", "Rejected"),
        (_tariff(minCost={}), "tariff.minCost:", "Rejected"),
        (_tariff(maxCost={"inclTax": "1"}), "tariff.maxCost.inclTax:", "Rejected"),
        (_tariff(minCost={"inclTax": 2}, maxCost={"inclTax": 1}), "tariff.maxCost:", "Rejected"),
        (_tariff(customData=1), "tariff.customData:", "Rejected"),
        (_tariff(customData={}), "tariff.customData:", "Rejected"),
    ):
        error = raises(tariff.TariffError, tariff.check, given)
        assert field in str(error) or status is None, (field, str(error))
        assert error.status == status or status is None, (field, error.status)
    many = {"startTimeOfDay": "01:00", "validFromDate": "2026-01-01", "dayOfWeek": ["Monday"]}
    for name in ("Energy", "Power", "Current"):
        many["min" + name] = many["max" + name] = 100000.5
    error = raises(tariff.TariffError, tariff.check, _tariff(energy=_energy(*[(1, many)] * 49)))
    assert error.status == "TooManyElements" and "bytes" in str(error)


def test_bytes_that_are_no_tariff():
    data = tariff.check(_tariff(energy=_energy((1, {}))))
    for bad in (b"", b"\2" + data[1:], data[:-5], data[:3], b"\1EUR\xff"):
        raises(ValueError, cost.Cost, bad)


def test_numbers_become_millionths():
    for number, expected in (
        (0, 0), (1, 1000000), (0.1, 100000), (0.123456, 123456), (1.5, 1500000),
        (12.3456, 12345600), (999999.5, 1000000000000), (2467.25, 2467250000),
        (0.0000005, 1), (0.0000004, 0), (1e6, 1000000000000), (123456.7, 123457000000),
    ):  # fmt: skip
        assert tariff.micro(number) == expected, number
