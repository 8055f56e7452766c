"""pytest hands each contract a bench with each virtual board."""

import pytest

from tests.roles import virtual


@pytest.fixture(params=virtual.BOARDS, ids=lambda scenario: scenario["profile"])
def bench(request):
    return virtual.made(request.param)
