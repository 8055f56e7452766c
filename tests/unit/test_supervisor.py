"""The watchdog is fed while every counter moves, and only then."""

from hal.mcu.board_file import outputs
from hal.mcu.common import CHECK_MS, Board, Supervisor


class Dog:
    fed = 0

    def feed(self):
        self.fed += 1


def _supervisor():
    dog = Dog()
    return dog, Supervisor(dog.feed)


def test_fed_while_all_counters_move():
    dog, supervisor = _supervisor()
    for n in range(100):
        assert supervisor.check([n, (n * 7) & 3, -n])
    assert dog.fed == 100


def test_a_counter_that_stands_still_for_4_s_ends_it_whatever_the_others_do():
    for still in range(3):
        dog, supervisor = _supervisor()
        assert supervisor.check([0, 0, 0])
        n = 1
        while supervisor.check([0 if i == still else n for i in range(3)]):
            n += 1
        assert n * CHECK_MS == 4000
        assert not supervisor.check([0 if i == still else -1 for i in range(3)])
        assert supervisor.check([1, 1, 1])  # it moved again before the watchdog bit


def test_counters_may_wrap():
    dog, supervisor = _supervisor()
    for n in ((1 << 30) - 2, (1 << 30) - 1, 0, 1):
        assert supervisor.check([n])


def test_outputs_in_the_order_of_danger():
    spec = {
        "outlets": [
            {"contactor": {"drive": 1, "hold": 2, "shunt": 3, "mirror": 9}, "inputs": {"test": 4}},
            {"contactor": {"drive": 5}, "inputs": {"rcd": 8}},
        ]
    }
    assert outputs(spec) == [1, 5, 2, 3, 4]
    assert outputs({}) == []


def test_board_s_random_numbers_are_in_range():
    board = Board()
    drawn = [board.random(7) for _ in range(300)]
    assert min(drawn) == 0 and max(drawn) == 6
    assert len(board.nonce()) == 8 and board.nonce() != board.nonce()
