"""Finds the control pilot's plateaus in a burst of readings whose phase nobody knows."""

from micropython import const

READS = const(64)  # in a burst
_SLEWING_MV = const(500)


def plateaus(burst, steady, highs, lows, counts):
    """Push the plateaus in `burst` (READS readings in mV, in the order they were taken) to the
    rings of four `highs` and `lows`; `counts`, of both, grow: the newest is at [(count - 1) & 3].

    `steady`: the pilot has no edges, so that any three readings do. Else, in each run of readings
    on one side of the middle, the last lies on the plateau, for ringing follows an edge by 20 us
    only; unless it was taken while the next edge slewed: then the one before it does. A run of one
    is a wrong reading, or a phase too short to be sure of, and says nothing; unless no longer run
    of highs was seen: in the 100 us of a 6 A offer a reading 60 us from both its neighbours is far
    from both edges. Allocates nothing.
    """
    if steady:
        for i in (READS // 4 - 1, READS // 2 - 1, READS * 3 // 4 - 1):
            _push(highs, counts, 0, burst[i])
            _push(lows, counts, 1, burst[i])
        return
    least = most = burst[0]
    for mv in burst:
        if mv < least:
            least = mv
        if mv > most:
            most = mv
    middle = (least + most) // 2
    before = counts[0]
    _pick(burst, middle, 2, highs, lows, counts)
    if counts[0] == before:
        _pick(burst, middle, 1, highs, None, counts)


def _push(ring, counts, kind, mv):
    n = counts[kind]
    ring[n & 3] = mv
    counts[kind] = (n + 1) & 0x3FFFFFFF


def _pick(burst, middle, shortest, highs, lows, counts):
    run = 1  # readings on the same side so far
    for i in range(READS - 1):
        mv = burst[i]
        high = mv > middle
        if high == (burst[i + 1] > middle):
            run += 1
            continue
        if run >= shortest:
            before = burst[i - 1] if run > 1 else mv
            if high:
                _push(highs, counts, 0, before if mv < before - _SLEWING_MV else mv)
            elif lows:
                _push(lows, counts, 1, before if mv > before + _SLEWING_MV else mv)
        run = 1
