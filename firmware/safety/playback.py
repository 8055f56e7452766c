"""Reads a record of the black box; imported only when somebody asks."""

import struct

from firmware.clock import render
from firmware.safety import blackbox
from firmware.safety.core import IN_MIRROR, STATES
from firmware.safety.faults import names


def read(record):
    """`record` (bytes that blackbox.number knows) as a dict.

    number; outlet (from 1); forced; faults (codes); uptime_s; time (RFC 3339, None when it was not
    known); and lists of equal length, oldest first: ms (0 at the opening), level_mv, state,
    permille, drive, mirror, current_ma, inputs.
    """
    _, number, outlet, forced, oldest, faults, uptime_s, unix_s = struct.unpack_from(
        blackbox.HEADER, record
    )
    columns = {
        "number": number,
        "outlet": outlet,
        "forced": forced == 1,
        "faults": names(faults),
        "uptime_s": uptime_s,
        "time": render(unix_s * 1000) if unix_s else None,
    }
    lists = [[] for _ in range(8)]
    base = struct.calcsize(blackbox.HEADER)
    count = (len(record) - base - 4) // 8
    ms = opened = 0
    for i in range(count):
        level, duty, current, inputs = struct.unpack_from(
            "<hHHH", record, base + (oldest + i) % count * 8
        )
        if not inputs >> 8:
            continue  # not filled yet
        if lists[0]:
            ms += inputs >> 8
        if i == count - blackbox.AFTER:
            opened = ms
        row = (
            ms,
            level,
            STATES[duty >> 10 & 15],
            duty & 1023,
            duty >> 14 == 1,
            inputs & IN_MIRROR != 0,
            current * 10,
            inputs & 255,
        )
        for values, value in zip(lists, row):
            values.append(value)
    for i in range(len(lists[0])):
        lists[0][i] -= opened
    names_of = "ms level_mv state permille drive mirror current_ma inputs".split()
    columns.update(zip(names_of, lists))
    return columns


def read_all(records):
    """Every record of `records` (a blackbox.Records), oldest first."""
    found = [read(record) for record in records.stored()]
    found += [read(record) for record in records.waiting]
    found.sort(key=lambda record: record["number"])
    return found
