"""Runs first after power-up: every output to its safe level, before anything else can fail."""

import hal

hal.make_safe("board.json")
