"""A session costs the same on every interpreter, to the last byte."""

from binascii import crc32

from firmware.ledger import bill, cost, tariff
from firmware.uplink.ocpp import encode
from hal.virtual.random import Random
from tests import tariffs


def test_every_interpreter_gives_the_same_sums():
    check = 0
    for seed in range(30):
        random = Random(seed)
        data = tariff.check(tariffs.tariff(random))
        steps = tariffs.session(random, 5)
        state = cost.begin(data, 345, steps[0][0])
        for step in steps:
            state, mwh, ms = cost.step(data, state, 345, *step, most=10000000)
            check = crc32(str((mwh, ms)).encode(), check)
        told = encode(tariffs.details(data, state, True)) + bill.total(data, state)
        check = crc32(data + state + told.encode(), check)
    assert check == 996943014, check
