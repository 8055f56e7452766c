"""What the tests share that run on MicroPython too, where there is no pytest."""

import sys

import micropython

import firmware


def raises(exception, function, *args, **kwargs):
    """Calls `function`; returns the `exception` that it must raise."""
    try:
        function(*args, **kwargs)
    except exception as error:
        return error
    raise AssertionError("{} was not raised".format(exception.__name__))


def heap_locked(function):
    """What `function()` returns, called with the heap locked: a MemoryError shows that it
    allocates.

    On CPython nothing is locked. Hand over a function or bound method that exists already: what
    the call itself would allocate (a closure, star arguments) counts too.
    """
    micropython.heap_lock()
    try:
        return function()
    finally:
        micropython.heap_unlock()


class Kept:
    """In a `with`: what `users` and firmware.borrow would let go of stays. For tests that would
    import it anew thousands of times, or cannot, with another file system over it.
    """

    def __init__(self, *users):
        self._users = [user for user in (firmware,) + users if hasattr(user, "let_go")]

    def __enter__(self):
        self._lets_go = firmware.let_go
        self._before = set(sys.modules)
        for user in self._users:
            user.let_go = lambda name: None

    def __exit__(self, *_):
        for user in self._users:
            user.let_go = self._lets_go
        for name in sorted(set(sys.modules) - self._before, reverse=True):  # a room comes last
            if name.startswith("firmware."):
                self._lets_go(name)
