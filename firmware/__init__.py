"""What a pile does: decides, remembers and reports; reaches hardware only through the roles it is
handed.
"""

import sys

VERSION = "0.1.0"


def borrow(name):
    """The module of this name in this package, for as long as the caller holds it."""
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        let_go(name)


def let_go(name):
    """Forget the module `name` of this package, right after it was imported: who still holds it
    can use it, then its memory is free.

    So what is rarely used costs no memory until then. Such an import takes 10 to 100 ms on a
    board, no longer than an outlet's lease bears. It may be while energised, on an ESP32, too: it
    is bytecode, read and run in small steps between which interrupts are served, no C call of
    more than 20 ms.
    """
    sys.modules.pop(name, None)
    room, _, last = name.rpartition(".")
    if hasattr(sys.modules[room], last):
        delattr(sys.modules[room], last)
