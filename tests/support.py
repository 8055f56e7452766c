"""What the tests share that run on MicroPython too, where there is no pytest."""

import micropython


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
