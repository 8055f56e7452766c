"""Voltpile on an ESP32: the pilot by LEDC, sampled in bursts, a soft timer, a hold fed by RMT.

There are only soft timers here: the tick stops with Python, and the hold opens the contactor then.
What is here makes the board, and is let go of then; hal.mcu.esp32_tick stays.
"""

from micropython import const

from hal.mcu import board_file, esp32_tick, port

_PULSE_US = esp32_tick.PULSE_US
_PULSES = const(40)  # an RMT block holds 48 symbols on S3 and C3: none needs an interrupt

# What is let go of once the board runs.
BOOT_ONLY = ("hal.mcu.board_file", "hal.mcu.port", "hal.mcu.secrets", "hal.mcu.esp32")

make_safe = port.make_safe
retained = esp32_tick.retained
retain = esp32_tick.retain
watch = port.watch


def hold_ms(spec):
    """The longest time from the last feed until the coil is off, in ms, of the board `spec`: one
    whole train, for only an idle RMT is fed, then the time that the hold's own circuit and the
    coil take (`deadman.release_ms`, from the schematic).
    """
    deadman = spec["deadman"]
    return deadman.get("pulses", 20) * _PULSE_US // 1000 + deadman["release_ms"]


def make(spec, path):
    """The board that `spec`, read from the file `path`, describes. Raises ValueError."""
    make_safe(spec)
    board_file.check_deadman(spec, path, hold_ms(spec), _PULSES)
    outlets = []
    for place in spec["outlets"]:
        contactor = esp32_tick.Contactor(place["contactor"], spec["deadman"].get("pulses", 20))
        inputs = esp32_tick.Inputs(place.get("inputs", {}), contactor, board_file.INPUTS)
        pilot = esp32_tick.Pilot(place["pilot"])
        outlets.append(board_file.outlet(place, pilot, contactor, inputs))
    board = esp32_tick.Board(outlets)
    port.equip(board, spec, path, esp32_tick.Analogue, retained(spec))
    return board
