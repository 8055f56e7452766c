"""CPython's `binascii` under the name that MicroPython also has for it."""

import binascii
import sys

sys.modules[__name__] = binascii
