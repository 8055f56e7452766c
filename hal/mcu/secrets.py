"""What only this pile knows, from `secrets.json`: {"wifi": {"ssid", "password"}, "modem": {"apn",
"user", "password"}}. `pile.py provision` writes it; no command gives it back.
"""

import json


def of(kind):
    """The object of `kind`; {} when there is none, or no file that can be read."""
    try:
        with open("secrets.json") as file:
            return json.load(file).get(kind, {})
    except (OSError, ValueError):
        return {}
