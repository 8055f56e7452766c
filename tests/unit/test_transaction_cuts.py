"""Power is cut at every byte that a transaction writes to FRAM: it is told once, without a gap."""

import sys

from firmware.clock import WallClock
from firmware.ledger import bounds, durable, events, recovery
from firmware.ledger.register import Register
from firmware.ledger.session import Session
from tests.pile import settings
from tests.support import Kept

# Every byte takes a minute: a number that goes through all residues.
_STEP = 3 if sys.implementation.name == "cpython" else 17


class _Cut(Exception):
    pass


class _Memory:
    # Takes `left` more bytes, then the power is gone in the middle of a write.
    size = 8192

    def __init__(self):
        self.data = bytearray(self.size)
        self.left = 1 << 30

    def read(self, at, into):
        into[:] = self.data[at : at + len(into)]

    def write(self, at, data):
        n = min(len(data), self.left)
        self.data[at : at + n] = bytes(data[:n])
        self.left -= n
        if n < len(data):
            raise _Cut


class _Store:
    def names(self, prefix):
        return []


class _Pile:
    # Board, contactor, meter, outlet and backend in one.
    energised = plugged = departed = authorised = inoperative = False
    charging_state = 0
    ready = False
    _cells = (0,) * 80

    def __init__(self, memory):
        self.memory = memory
        self.store = _Store()
        self.log = self.clock = self
        self.now_ms = self.mwh = 0

    def record(self, what, **fields):
        assert what != "error", fields

    def nonce(self):
        return "x"

    def ticks_ms(self):
        return self.now_ms

    def closed(self):
        return self.energised

    def read(self, into):
        into[0], into[1] = divmod(self.mwh, 1000)
        into[2] = 0

    def authorise(self):
        self.authorised = True

    def stop(self):
        self.authorised = self.energised = False
        self.charging_state = 1

    def boot(self, resume, signs=None):
        """The pile's session after a boot; its journal and clock. `signs`: what a cut has ended
        gets a receipt.
        """
        self.now_ms = self.mwh = 0
        self.energised = self.authorised = self.plugged = False
        self.charging_state = 0
        journal, cells = durable.open(self, 1, self.closed)
        wall = WallClock(0)
        recovery.count_boot(journal, cells, wall)
        config = settings(sample_interval_s=10)
        session = Session(
            1, self, Register(self), self, config, bounds.points(config, 1), journal, cells[0],
            wall, self,
        )  # fmt: skip
        session.digest = lambda token: b"0123456789"
        session.signs = signs
        recovery.recover([session], journal, cells, resume, "PowerLoss", self.record)
        session.signs = None
        return session, journal, wall

    def run(self, session, wall, ms, mw=0):
        for _ in range(ms // 500):
            self.now_ms += 500
            self.mwh += mw * 500 // 3600000
            wall.tick(self.now_ms)
            session.tick(self.now_ms)


def _live(pile, session, wall, limits=None):
    # A transaction of 40 s at 7.2 kW; 2 Wh a second.
    pile.plugged = True
    pile.charging_state = 1
    pile.run(session, wall, 2000)
    session.start("TOKEN", "ISO14443", limits=limits)
    pile.energised = True
    pile.charging_state = 2
    pile.run(session, wall, 40000, 7200000)
    session.stop("Local", "StopAuthorized")
    pile.run(session, wall, 3000)


def _judge(journal, flowed_mwh):
    """One Started, one Ended, no gap, energies that never fall and are not far from what flowed;
    as many summaries as transactions. Their number.
    """
    told = {}
    summaries = []
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        if record and record[0] == 1:
            told.setdefault(events.fields(record)[7], []).append(events.fields(record))
        elif record and record[0] == 2:
            summaries.append(int.from_bytes(record[15:19], "little"))
    sold = last = 0
    for tx in sorted(told):
        kinds = [fields[0] & 3 for fields in told[tx]]
        assert kinds == [0] + [1] * (len(kinds) - 2) + [2], kinds
        assert [fields[8] for fields in told[tx]] == list(range(len(kinds)))
        register = [fields[9][0] for fields in told[tx] if fields[9]]
        assert register == sorted(register) and register[0] >= last
        last = register[-1]
        sold += last - register[0]
    assert sorted(summaries) == sorted(told), (summaries, sorted(told))
    assert flowed_mwh - 11 * 2000 <= sold <= flowed_mwh
    return len(told)


def _cuts(resume, signs=None, judge=_judge, limits=None, step=_STEP):
    """The power is cut after each so many bytes, and once more while the pile recovers. How many
    cuts there were.
    """
    memory = _Memory()
    pile = _Pile(memory)
    session, journal, wall = pile.boot(resume)
    fresh = bytes(memory.data)
    memory.left = 1 << 30
    _live(pile, session, wall, limits)
    written = (1 << 30) - memory.left
    assert _judge(journal, pile.mwh) == 1
    tried = 0
    for n in range(0, written, step):
        memory.data[:] = fresh
        memory.left = 1 << 30
        session, journal, wall = pile.boot(resume)
        memory.left = n
        try:
            _live(pile, session, wall, limits)
            memory.left = 1 << 30
            assert _judge(journal, pile.mwh) == 1
            continue
        except _Cut:
            tried += 1
        flowed = pile.mwh
        for again in (n * 7 % 400, 1 << 30):
            memory.left = again
            try:
                session, journal, wall = pile.boot(resume, signs)
                pile.plugged = n % 2 == 0
                pile.run(session, wall, 6000)
                session.stop("Local", "StopAuthorized")
                pile.run(session, wall, 3000)
            except _Cut:
                tried += 1
        judge(journal, flowed)
    return tried


def test_a_transaction_is_ended_once_after_a_cut_at_any_byte():
    assert _cuts(False) > 2000 // _STEP


def test_a_transaction_goes_on_or_ends_once_after_a_cut_at_any_byte():
    assert _cuts(True) > 2000 // _STEP


def _sign(session, age_ms, cut):
    # As bounds.sign does, and quicker.
    session.signing = "RECEIPT" if session.signing == 1 else 1


def _judge_receipts(journal, flowed_mwh):
    _judge(journal, flowed_mwh)
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        # Also of an end whose summary a second cut has kept from being.
        if record and record[0] in (1, 2) and b"PowerLoss" in record:
            assert record.endswith(b"RECEIPT"), record


def test_an_end_that_waits_for_its_receipt_is_told_once_after_cuts_at_any_byte():
    before = recovery.bounds.sign
    recovery.bounds.sign = _sign
    try:
        assert _cuts(False, {"named": True}, _judge_receipts) > 2000 // _STEP
    finally:
        recovery.bounds.sign = before


def _judge_costs(journal, flowed_mwh):
    # At 2 a kWh, and 5 to start with: 1 mWh costs 2 micro.
    _judge(journal, flowed_mwh)
    first = {}
    billed = {}
    for number in range(journal.first, journal.next):
        record = journal.read(number)
        if record and record[0] == 1:
            fields = events.fields(record)
            if fields[9]:
                first.setdefault(fields[7], fields[9][0])
            if fields[0] & 3 == 2:
                taken = fields[9][0] - first[fields[7]]
                due = events.cost(fields[10][6])
                # Nothing flowed yet where the start is all that the journal has.
                assert due == (5000000 + 2 * taken, "CNY") or not (due or taken), (due, taken)
                billed[fields[7]] = due[0] if due else 0
        elif record and record[0] == 2:
            tx = int.from_bytes(record[15:19], "little")
            assert billed[tx] == int.from_bytes(record[57:65], "little")


def _priced():
    from firmware.ledger import tariff

    given = {"tariffId": "T", "currency": "CNY", "energy": {"prices": [{"priceKwh": 2}]}}
    given["fixedFee"] = {"prices": [{"priceFixed": 5}]}
    return {"tariff": tariff.check(given), "max_cost": 9000000, "running_s": 15}


def test_a_cost_is_that_of_the_energy_told_after_cuts_at_any_byte():
    # To import anew what is let go of would take minutes.
    from firmware.ledger import bill, session

    with Kept(bill, bounds, events, session):
        for resume in (False, True):
            assert _cuts(resume, None, _judge_costs, _priced(), 4 * _STEP + 1) > 500 // _STEP
