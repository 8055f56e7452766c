"""What a pile is made of: roles, chips, controllers, boards; `load` makes a board of its file."""

import json


def load(path):
    """The board that the JSON file `path` describes.

    Its "mcu" names the module that builds it; so far that is "virtual". Raises ValueError with the
    file, the field and what was expected.
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
    if mcu != "virtual":
        raise ValueError('%s: mcu: expected "virtual", found %r' % (path, mcu))
    from hal.virtual import board

    return board, spec
