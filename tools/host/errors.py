"""The two ways in which a sub-command ends badly; each is one line for a human."""


class BadInput(Exception):
    """What the user gave is wrong: says what was expected, what was found and where (exit 2)."""


class Failed(Exception):
    """The input was fine but the work could not be done: says why and what to do (exit 1)."""
