"""Every fault the pile knows, in one table: how long its condition must last, how it opens, what
clears it.

A fault is a bit; its number is its line in FAULTS. The safety core and the supervision tell which
conditions hold; the core turns them into faults by this table alone. Names are OCPP's and MREC's
where these have one. Thresholds stand beside the checks. Values marked UNCONFIRMED were not read
in a standard: `supervision.py` takes them from the configuration.
"""

from micropython import const

# What clears a fault.
SELF = const(0)  # its condition being gone for clear_ms, then the guard of 30 s
UNPLUG = const(1)  # its condition gone, and the vehicle has left or the backend has sent Reset
SERVICE = const(2)  # nobody from afar: a technician at the pile

# (code, trip_ms, clear_ms, opens at once (1) or in good order (0), what clears it)
# trip_ms 0: in the tick that sees it; 1: in the second tick running.
FAULTS = (
    ("PilotFault", 0, 0, 1, SELF),  # 0 state E: pilot shorted to earth, or without supply
    ("DiodeFault", 0, 0, 1, SELF),  # 1 no diode; clears only after a good check, or unplugging
    ("PilotSamplesStale", 0, 0, 1, SELF),  # 2 two ticks without a new sample
    ("TickLate", 0, 1000, 1, SELF),  # 3 Python stood still while energised
    ("RequestStale", 0, 0, 0, SELF),  # 4 the outlet's main loop stands still for 500 ms
    ("InternalError", 0, 1000, 1, SELF),  # 5 an exception in the tick
    ("GroundFailure", 1, 0, 1, UNPLUG),  # 6 residual current; within 2 s of closing: SERVICE
    ("ResidualCurrentSensorFault", 0, 0, 1, SELF),  # 7 the sensor did not pass its self-test
    ("ProtectiveEarthLost", 50, 1000, 1, SELF),  # 8
    ("PowerSwitchFailure", 250, 0, 1, SERVICE),  # 9 welded: mirror or voltage while not driven
    ("EVSEContactorFault", 250, 0, 1, UNPLUG),  # 10 failed to close: driven, the mirror says open
    ("PowerLoss", 500, 1000, 1, SELF),  # 11 closed, and no voltage behind the contactor
    ("EmergencyStop", 0, 0, 1, UNPLUG),  # 12
    ("EnclosureOpen", 100, 1000, 1, SELF),  # 13 door
    ("TiltDetected", 100, 1000, 1, SELF),  # 14
    ("SmokeDetected", 100, 1000, 1, UNPLUG),  # 15
    ("ConnectorLockFailure", 0, 0, 1, UNPLUG),  # 16 five tries to lock or to unlock
    ("ProximityFault", 100, 500, 1, SELF),  # 17 no valid cable in the socket while plugged
    ("OverCurrentFailure", 7000, 0, 1, UNPLUG),  # 18 above (offered + 0.5 A) * 1.1
    ("PhaseLoss", 1000, 1000, 1, SELF),  # 19
    ("UnderVoltage", 3000, 60000, 0, SELF),  # 20 below 0.8; back from 0.9; UNCONFIRMED
    ("OverVoltage", 1000, 60000, 1, SELF),  # 21 above 1.15; back at 1.09; UNCONFIRMED
    ("FrequencyOutOfRange", 3000, 60000, 0, SELF),  # 22 47.5 to 51.5 Hz; UNCONFIRMED
    ("HighTemperature", 0, 0, 0, SELF),  # 23 from 71 C, back at 62 C
    ("TemperatureSensorLost", 1000, 1000, 0, SELF),  # 24
    ("PowerMeterFailure", 5000, 0, 0, SELF),  # 25 no reading, or an old one
    ("CurrentWhileOpen", 1000, 0, 1, SERVICE),  # 26 the meter sees what the mirror does not
)

# The bits that the code names.
PILOT = const(1 << 0)
DIODE = const(1 << 1)
SAMPLES = const(1 << 2)
LATE = const(1 << 3)
REQUEST_STALE = const(1 << 4)
ERROR = const(1 << 5)
RESIDUAL = const(1 << 6)
RESIDUAL_SENSOR = const(1 << 7)
EARTH = const(1 << 8)
WELD = const(1 << 9)
NO_CLOSE = const(1 << 10)
NO_VOLTAGE = const(1 << 11)
ESTOP = const(1 << 12)
DOOR = const(1 << 13)
TILT = const(1 << 14)
SMOKE = const(1 << 15)
LOCK = const(1 << 16)
PROXIMITY = const(1 << 17)
OVER_CURRENT = const(1 << 18)
PHASE_LOSS = const(1 << 19)
UNDER_VOLTAGE = const(1 << 20)
OVER_VOLTAGE = const(1 << 21)
FREQUENCY = const(1 << 22)
HOT = const(1 << 23)
TEMPERATURE_SENSOR = const(1 << 24)
METER = const(1 << 25)
CURRENT_WHILE_OPEN = const(1 << 26)

BY_SERVICE = const(WELD | CURRENT_WHILE_OPEN)  # those that SERVICE clears, in the table


def names(bits):
    """The codes of the faults in `bits`, in the order of the table."""
    return [fault[0] for i, fault in enumerate(FAULTS) if bits >> i & 1]
