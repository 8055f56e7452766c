"""What a pile is made of: roles, chips, controllers, boards; `load` makes a board of its file.

A crash loop ends in safe mode. `start` notes in a word that outlives a reset, not a power cut,
that the pile began; a board that ran for 60 s forgets all crashes; `boot` finds the note of a run
that did not last so long, and counts it. After SAFE crashes in a row the pile comes up without
outlets and chips: it does not charge, but its line and the prompt can be reached. After PROMPT it
stays at the prompt. Power-up begins anew.

The word has twice the number of crashes, plus 1 while the pile runs, in its lowest 5 bits; those
above are hal.mcu.common's.

What does it is in hal.begin, and let go of once the pile runs.
"""

import sys

from micropython import const

SAFE = const(5)
PROMPT = const(10)

settings = None  # what main.py made of config.json, for those links that need some of it


def load(path):
    """The board that the JSON file `path` describes. Raises ValueError with the file, the field
    and what was expected.
    """
    return _begin().load(path)


def boot(path):
    """First in boot.py: outputs safe. See hal.begin."""
    _begin().boot(path)


def start(path):
    """First in main.py: the board, or None when it is to stay at the prompt. See hal.begin."""
    board = _begin().start(path)
    let_go(("hal.begin", "hal.installed"))
    return board


def end():
    """Last in main.py. See hal.begin."""
    _begin().end()


def retain(path, crashes):
    """Go on as after so many crashes from the next boot on: 0 forgets them, PROMPT stays at the
    prompt, out of the watchdog's reach.
    """
    _begin().retain(path, crashes)


def _begin():
    from hal import begin

    return begin


def let_go(names):
    """Forget the modules of these names, so that the memory of what nobody refers to is free."""
    for name in names:
        module = sys.modules.pop(name, None)
        room, _, last = name.rpartition(".")
        if module and hasattr(sys.modules.get(room), last):
            delattr(sys.modules[room], last)
