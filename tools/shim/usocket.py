"""CPython's `socket` under the name that MicroPython also has for it."""

import socket
import sys

sys.modules[__name__] = socket
