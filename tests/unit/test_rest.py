"""Neither a wavering limit nor a hand at a switch makes an outlet chatter."""

from firmware.energy import reasons
from firmware.energy.limits import REST, SITE, Limits
from firmware.outlet.rest import Rest


class Outlet:
    def __init__(self):
        self.limits = Limits(32000)
        self.authorised = self.plugged = True
        self.offered_ma = 0
        self.rest = Rest(self, self.limits, 300000)
        self.now_ms = 0x3FFFFFFF - 50000  # wraps on the way
        self.closings = 0
        self.energised = False

    def run(self, ms, site_ma=None):
        """What the outlet offers at the end."""
        if site_ma is not None:
            self.limits.set(SITE, site_ma, "test")
        for _ in range(0, ms, 20):
            self.now_ms = (self.now_ms + 20) & 0x3FFFFFFF
            least = self.limits.effective_ma()
            self.offered_ma = least if least >= 6000 else 0
            self.rest.tick(self.now_ms, self.closings)
        return self.offered_ma

    def until_offered(self):
        start = self.now_ms
        while not self.run(1000):
            pass
        return (self.now_ms - start) & 0x3FFFFFFF


def test_a_limit_below_6_a_pauses_for_the_configured_time():
    outlet = Outlet()
    assert outlet.run(1000) == 32000
    assert outlet.run(1000, 5999) == 0
    outlet.limits.set(SITE, 32000, "test")
    assert 298000 <= outlet.until_offered() <= 301000
    assert reasons.explain(outlet.limits)[0]["source"] == "board"


def test_after_the_pause_the_limit_must_stay():
    outlet = Outlet()
    outlet.run(1000)
    outlet.run(400000, 0)
    assert outlet.run(29000, 16000) == 0
    assert outlet.run(29000, 5000) == 0  # it wavers: from the beginning
    assert reasons.explain(outlet.limits)[0]["reason"].startswith("a pause")
    assert outlet.run(29000, 16000) == 0
    assert outlet.run(2000) == 16000


def test_what_never_was_offered_is_no_pause():
    outlet = Outlet()
    outlet.run(1000, 0)
    assert outlet.run(100, 16000) == 16000


def test_who_unplugs_ends_the_pause():
    outlet = Outlet()
    outlet.run(1000)
    outlet.run(1000, 0)
    outlet.limits.set(SITE, 16000, "test")
    outlet.plugged = False
    outlet.run(40)
    outlet.plugged = True
    assert outlet.run(100) == 16000


def test_thirty_closings_and_then_one_a_minute():
    outlet = Outlet()
    outlet.run(1000)
    for _ in range(30):
        outlet.closings += 1
        outlet.energised = True
        assert outlet.run(40) == 32000  # what is closed stays closed
    outlet.energised = False
    assert outlet.run(40) == 0
    assert "too often" in reasons.explain(outlet.limits)[0]["reason"]
    for _ in range(3):
        assert 55000 <= outlet.until_offered() <= 62000
        outlet.closings += 1
        assert outlet.run(60) == 0
    outlet.run(3600000)
    for _ in range(20):
        outlet.closings += 1
        assert outlet.run(60) == 32000


def test_no_pause_where_none_is_configured():
    outlet = Outlet()
    outlet.rest = Rest(outlet, outlet.limits, 0)
    outlet.run(1000)
    outlet.run(1000, 0)
    assert outlet.run(60, 16000) == 16000
    assert outlet.limits.max_ma[REST] == 80000
