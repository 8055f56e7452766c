"""Runs first after power-up: every output to its safe level, before anything else can fail; then
counts a crash, see hal.
"""

import hal

hal.boot("board.json")
