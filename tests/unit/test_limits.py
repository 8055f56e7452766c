"""Limits are leases: the least one holds, an expired one falls to its fallback."""

from firmware.energy import reasons
from firmware.energy.limits import BACKEND, BOARD, CABLE, Limits


def test_the_least_limit_holds_and_is_explained():
    limits = Limits(32000)
    assert limits.effective_ma() == 32000
    limits.set(CABLE, 20000, "cable of 20 A")
    limits.set(BACKEND, 16000, "charging profile 7")
    assert limits.effective_ma() == 16000
    assert [bound["source"] for bound in reasons.explain(limits)] == ["backend", "cable", "board"]
    assert reasons.explain(limits)[0] == {
        "source": "backend",
        "max_ma": 16000,
        "reason": "charging profile 7",
        "age_s": 0,
    }


def test_a_lease_falls_to_its_fallback_also_across_the_wrap():
    for now in (0, (1 << 30) - 500):
        limits = Limits(32000)
        limits.set(BACKEND, 16000, "profile", now, 1000, 6000)
        limits.tick((now + 999) & 0x3FFFFFFF)
        assert limits.effective_ma() == 16000
        limits.tick((now + 1000) & 0x3FFFFFFF)
        assert limits.effective_ma() == 6000
        limits.tick((now + 900) & 0x3FFFFFFF)
        assert limits.effective_ma() == 6000


def test_a_limit_without_a_lease_stays():
    limits = Limits(32000)
    limits.set(BOARD, 20000, "less copper")
    limits.tick(1 << 29)
    assert limits.effective_ma() == 20000
