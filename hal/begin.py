"""The first and the last that a pile does: outputs safe, crash loops, which board it is. See hal
for what the word of a crash loop is.

In production, which a file says (see hal.installed), nobody comes to the prompt.
"""

import json
import sys

import micropython

from hal import PROMPT, SAFE, installed, let_go


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
        for field in ("reader", "memory", "limit_input"):
            spec.pop(field, None)
        spec["outlets"] = []
    board = module.make(spec, path)
    let_go(module.BOOT_ONLY)
    let_go([name for name in sys.modules if name.startswith("hal.chips.spec")])
    return board


def end():
    """Last in main.py: in production begin anew, for behind it there is the prompt."""
    if installed.in_production():
        raise SystemExit


def _close():
    # Every file that MicroPython runs begins with a Ctrl-C that interrupts.
    if installed.in_production():
        micropython.kbd_intr(-1)


def retain(path, crashes):
    """As hal.retain."""
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
