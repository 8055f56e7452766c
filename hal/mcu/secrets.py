"""What a link needs to know of the pile's configuration; let go of once the board is made."""

import json

import hal


def of(kind):
    """The fields that begin with `kind` and "_", without that: of hal.settings, or where main.py
    does not run of config.json; {} when that cannot be read.
    """
    given = hal.settings
    try:
        if given is None:
            with open("config.json") as file:
                given = json.load(file)
        return {
            name[len(kind) + 1 :]: given[name] for name in given if name.startswith(kind + "_")
        }
    except (OSError, TypeError, ValueError):
        return {}
