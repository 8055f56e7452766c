"""What a pile is made of: roles, chips, controllers, boards; `load` makes a board of its file.

A crash loop ends in safe mode. `start` notes in a word that outlives a reset, not a power cut,
that the pile began; a board that ran for 60 s forgets all crashes; `boot` finds the note of a run
that did not last so long, and counts it. After SAFE crashes in a row the pile comes up without
outlets and chips: it does not charge, but its line and the prompt can be reached. After PROMPT it
stays at the prompt. Power-up begins anew.

The word has twice the number of crashes, plus 1 while the pile runs, in its lowest 5 bits; those
above are hal.mcu.common's.

In production, which a file says (see hal.installed), nobody comes to the prompt.
"""

import json
import sys

import micropython
from micropython import const

from hal import installed

SAFE = const(5)
PROMPT = const(10)


def load(path):
    """The board that the JSON file `path` describes.

    Its "mcu" names the module that builds it. Raises ValueError with the file, the field and what
    was expected.
    """
    module, spec = _read(path)
    return module.make(spec, path)


def boot(path):
    """Bring every output of the board that `path` describes to the level that energises nothing;
    then count a crash. Raises ValueError.

    Then, whatever failed until here: end a flash that was cut, and begin anew with its files; or
    say which files are missing.
    """
    try:
        module, spec = _read(path)
        module.make_safe(spec)
        word = module.retained(spec)
        if word & 1:
            module.retain(spec, (word & 31) + 1)
    finally:
        _close()
        if installed.finish():
            raise SystemExit  # a soft reset
        lost = installed.missing()
        if lost:
            print("Voltpile: missing or damaged: %s; flash this board again" % ", ".join(lost))


def start(path):
    """What `load` gives, under the watchdog; without outlets and chips after SAFE crashes; None
    after PROMPT crashes, and while files are missing.
    """
    _close()
    if installed.missing():
        return None
    module, spec = _read(path)
    word = module.retained(spec)
    crashes = (word & 31) >> 1
    if crashes >= PROMPT:
        print("Voltpile: %d starts did not last 60 s: staying at the prompt" % crashes)
        return None
    module.retain(spec, word | 1)
    module.watch()
    if crashes >= SAFE:
        print("Voltpile: %d starts did not last 60 s: safe mode, without outlets" % crashes)
        for field in ("reader", "memory"):
            spec.pop(field, None)
        spec["outlets"] = []
    board = module.make(spec, path)
    let_go(module.BOOT_ONLY)
    return board


def let_go(names):
    """Forget the modules of these names, so that the memory of what nobody refers to is free."""
    for name in names:
        module = sys.modules.pop(name, None)
        room, _, last = name.rpartition(".")
        if module and hasattr(sys.modules.get(room), last):
            delattr(sys.modules[room], last)


def end():
    """Last in main.py: in production begin anew, for behind it there is the prompt."""
    if installed.in_production():
        raise SystemExit


def _close():
    # Every file that MicroPython runs begins with a Ctrl-C that interrupts.
    if installed.in_production():
        micropython.kbd_intr(-1)


def retain(path, crashes):
    """Go on as after so many crashes from the next boot on: 0 forgets them, PROMPT stays at the
    prompt, out of the watchdog's reach.
    """
    module, spec = _read(path)
    module.retain(spec, crashes << 1)


def _read(path):
    try:
        with open(path) as file:
            spec = json.load(file)
    except OSError:
        raise ValueError("%s: no such file; expected the board's description" % path)
    except ValueError:
        raise ValueError("%s: not JSON; expected an object with the field mcu" % path)
    mcu = spec.get("mcu") if isinstance(spec, dict) else None
    if mcu == "rp2040":
        from hal.mcu import rp2040 as module
    elif mcu == "esp32":
        from hal.mcu import esp32 as module
    elif mcu == "virtual":
        from hal.virtual import board as module
    else:
        expected = '"rp2040", "esp32" or "virtual"'
        raise ValueError("%s: mcu: expected %s, found %r" % (path, expected, mcu))
    return module, spec
