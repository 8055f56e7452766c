"""CPython's `struct` under the name that MicroPython also has for it."""

import struct
import sys

sys.modules[__name__] = struct
