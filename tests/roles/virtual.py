"""The virtual boards on which the contracts are run here."""

from hal.virtual.board import VirtualBoard
from tests.roles.bench import bench

BOARDS = (
    {"profile": "rp2040"},
    {"profile": "esp32", "phases": 3, "outlet": {"cable": "socket"}, "limit_input": True},
)


class _Nowhere:
    def write(self, text):
        pass

    def flush(self):
        pass


def made(scenario):
    """A bench with a board that has booted a moment ago."""
    fields = {"until_ms": 1 << 40, "steps": []}
    fields.update(scenario)
    return bench(VirtualBoard(fields, _Nowhere()))


def run(contract):
    """Run `contract` on every board."""
    for scenario in BOARDS:
        contract(made(scenario))
