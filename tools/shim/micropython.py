"""Stands in for MicroPython's module `micropython` on CPython, so that the firmware runs there
unchanged.

Importing it also adds what MicroPython has in modules that CPython has too: `time.ticks_*` and
`time.sleep_*`, `asyncio.sleep_ms` and `asyncio.wait_for_ms`, `sys.print_exception`, and viper's
builtins `ptr8`, `ptr16`, `ptr32`, `uint`. This directory must come before site-packages on
sys.path: the wheel that brings the MicroPython interpreter leaves a CPython module of the same
name there.
"""

import asyncio
import builtins
import sys
import time
import traceback

_PERIOD = 1 << 30  # the ticks of the boards wrap here


def const(value):
    return value


def native(function):
    return function


def viper(function):
    return function


def heap_lock():
    """Does nothing: only MicroPython can prove that a call allocates nothing."""


def heap_unlock():
    pass


def opt_level(level=None):
    return 0


def mem_info(verbose=None):
    pass


def alloc_emergency_exception_buf(size):
    pass


def schedule(function, argument):
    function(argument)


def _ticks_ms():
    return time.monotonic_ns() // 1_000_000 % _PERIOD


def _ticks_us():
    return time.monotonic_ns() // 1_000 % _PERIOD


def _ticks_add(ticks, delta):
    return (ticks + delta) % _PERIOD


def _ticks_diff(a, b):
    return (a - b + _PERIOD // 2) % _PERIOD - _PERIOD // 2


def _sleep_ms(ms):
    time.sleep(ms / 1000)


def _sleep_us(us):
    time.sleep(us / 1_000_000)


async def _async_sleep_ms(ms):
    await asyncio.sleep(ms / 1000)


async def _wait_for_ms(awaitable, ms):
    return await asyncio.wait_for(awaitable, ms / 1000)


def _print_exception(error, file=None):
    traceback.print_exception(type(error), error, error.__traceback__, file=file or sys.stdout)


def _identity(value):
    return value


for _module, _names in (
    (
        time,
        {
            "ticks_ms": _ticks_ms,
            "ticks_us": _ticks_us,
            "ticks_add": _ticks_add,
            "ticks_diff": _ticks_diff,
            "sleep_ms": _sleep_ms,
            "sleep_us": _sleep_us,
        },
    ),
    (asyncio, {"sleep_ms": _async_sleep_ms, "wait_for_ms": _wait_for_ms}),
    (sys, {"print_exception": _print_exception}),
    (builtins, {"ptr8": _identity, "ptr16": _identity, "ptr32": _identity, "uint": int}),
):
    for _name, _value in _names.items():
        setattr(_module, _name, _value)
