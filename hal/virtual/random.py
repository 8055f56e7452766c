"""Randomness that is the same under every interpreter: a linear congruential generator in plain
integers.
"""


class Random:
    """`seed`: any whole number; equal seeds give equal sequences."""

    def __init__(self, seed):
        self._x = (seed * 2654435761 + 40503) & 0x7FFFFFFF
        for _ in range(4):
            self.below(2)

    def below(self, n):
        """A whole number from 0 to n - 1; n at most 2^16 for even odds, 2^31 at all."""
        self._x = (self._x * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._x >> 8) * n >> 23
