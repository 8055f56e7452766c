"""Runs first after power-up: every output to its safe level, before anything else can fail; then
counts a crash, see hal.
"""

import hal

try:
    hal.boot("board.json")
finally:
    # After a flash that was cut the files may be of two kinds; this needs its own one only.
    from hal import installed

    if installed.finish():
        raise SystemExit  # a soft reset
