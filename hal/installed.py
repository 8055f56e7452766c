"""What `pile.py flash` has put on this board: ends what a cut has left half done, and says what is
missing.

`flash` uploads each new file into /new, where "!" stands for the "/" of its path, and at last the
list of all files. Before that list is there nothing of the old set has changed; from then on every
boot moves what is still in /new to its place, so that a cut leaves the old set or the new one.

A line of the list is "SHA-256 SIZE PATH", or "- 0 PATH" for a file that must not be there.
"""

import os

LIST = "files.txt"
_NEW_LIST = "new/files.txt"
_PRODUCTION = "production"


def finish():
    """Move what lies complete in /new to its place; whether there was anything."""
    if _size(_NEW_LIST) < 0:
        return False
    for digest, _, path in _lines(_NEW_LIST):
        staged = "new/" + path.replace("/", "!")
        if digest == "-":
            if _size(path) >= 0:
                os.remove(path)
        elif _size(staged) >= 0:
            at = path.find("/")
            while at > 0:
                if _size(path[:at]) < 0:
                    os.mkdir(path[:at])
                at = path.find("/", at + 1)
            os.rename(staged, path)
    os.rename(_NEW_LIST, LIST)
    return True


def missing():
    """The paths of what is missing or has another size than the list says; none without a list."""
    if _size(LIST) < 0:
        return []
    return [path for digest, size, path in _lines(LIST) if digest != "-" and _size(path) != size]


def in_production():
    """Whether `pile.py provision --production` has closed the REPL."""
    return _size(_PRODUCTION) >= 0


def _lines(path):
    with open(path) as file:
        for line in file:
            digest, size, name = line.rstrip("\n").split(" ", 2)
            yield digest, int(size), name


def _size(path):
    try:
        return os.stat(path)[6]
    except OSError:
        return -1
