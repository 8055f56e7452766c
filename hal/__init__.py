"""What a pile is made of: roles, chips, controllers, boards; `load` makes a board of its file."""

import json


def load(path):
    """The board that the JSON file `path` describes.

    Its "mcu" names the module that builds it. Raises ValueError with the file, the field and what
    was expected.
    """
    module, spec = _read(path)
    return module.make(spec, path)


def make_safe(path):
    """Bring every output of the board that `path` describes to the level that energises nothing.
    Raises ValueError.
    """
    module, spec = _read(path)
    module.make_safe(spec)


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
