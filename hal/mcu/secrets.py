"""What a link needs to know of the pile's configuration, config.json; let go of once the board is
made.
"""

import json


def of(kind):
    """The fields that begin with `kind` and "_", without that; {} when the file cannot be read."""
    try:
        with open("config.json") as file:
            given = json.load(file)
        return {
            name[len(kind) + 1 :]: given[name] for name in given if name.startswith(kind + "_")
        }
    except (OSError, TypeError, ValueError):
        return {}
