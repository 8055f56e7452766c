"""A whole virtual pile in virtual time: `simulate` runs a scenario and gives its trace."""

import json
from collections import OrderedDict

from firmware import config
from firmware.station import Station
from hal.virtual import scenario as _scenario
from hal.virtual.board import VirtualBoard

CARD = "04A1B2C3D4E5F6"
CONFIG = {"station_id": "CP-1", "broker": "127.0.0.1:1883"}


def settings(**changes):
    """The configuration with its defaults, and `changes`."""
    made = {name: field[1] for name, field in config.FIELDS.items()}
    made.update(CONFIG)
    made.update(changes)
    return made


def step(at_ms, do, **fields):
    """A step of a scenario."""
    made = {"at_ms": at_ms, "do": do}
    made.update(fields)
    return made


class _File:
    # Line by line: a text that grows needs more and more memory in one piece, which MicroPython's
    # heap may not have in the end, much as is free.
    def __init__(self):
        self.lines = []

    def write(self, line):
        if '"medium": "fram"' in line:
            return  # so many that they would fill the heap
        if '"medium": "flash"' in line and '"closed": true' in line:
            raise RuntimeError("written while a contactor is closed: " + line)
        self.lines.append(line)

    def flush(self):
        pass


def simulate(until_ms, steps, config=None, **fields):
    """Run the steps; returns the trace's lines and the station as it is at the end."""
    scenario = {"until_ms": until_ms, "steps": sorted(steps, key=lambda s: s["at_ms"])}
    scenario.update(fields)
    file = _File()
    board = VirtualBoard(scenario, file)
    station = Station(board, config or settings(**fields.get("config", {})))
    board.run(station)
    return Lines(file.lines), station


def power_cut(station, until_ms, *steps):
    """The power is gone for a second; then the scenario goes on with `steps`. The station that
    runs then.
    """
    board = station.board
    board.scenario["until_ms"] = until_ms
    board.cut_power(1000000)
    for one in steps:
        board.plant.at(one["at_ms"] * 1000, _scenario._do, (board, board.places[0], one))
    board.run(station)
    return board.station


class Lines:
    """A trace to ask questions of. Its lines stay JSON texts until they are asked for: a long
    trace of dicts does not fit into MicroPython's heap.
    """

    def __init__(self, lines):
        self.lines = lines

    def of(self, what, **fields):
        """The lines of this kind whose fields have these values."""
        kind = '"what": "%s"' % what
        asked = (json.loads(line) for line in self.lines if kind in line)
        return [
            line
            for line in asked
            if line["what"] == what and all(line.get(key) == fields[key] for key in fields)
        ]

    def messages(self, action=None, event=None):
        """The payloads of the CALLs that were sent, in order, re-sends left out, also those of a
        later boot.
        """
        found = []
        seen = set()
        for line in self.of("uplink"):
            kind, message_id = line["message"][:2]
            if kind != 2 or message_id in seen:
                continue
            seen.add(message_id)
            if action in (None, line["message"][2]) and event in (
                None,
                line["message"][3].get("eventType"),
            ):
                found.append(line["message"][3])
        return found

    def transactions(self):
        """The events by transaction, in order; none is missing, and energies never fall."""
        found = OrderedDict()
        for event in self.messages("TransactionEvent"):
            found.setdefault(event["transactionInfo"]["transactionId"], []).append(event)
        for told in found.values():
            told.sort(key=lambda event: event["seqNo"])
            assert [event["seqNo"] for event in told] == list(range(len(told)))
            values = [
                event["meterValue"][0]["sampledValue"][0]["value"]
                for event in told
                if "meterValue" in event
            ]
            assert values == sorted(values)
        return found

    def answers(self):
        """The CALLRESULTs and CALLERRORs that the station gave, in order."""
        return [line["message"] for line in self.of("uplink") if line["message"][0] != 2]

    def ms(self, what, after_ms=0, **fields):
        """When the first such line at or after `after_ms` was written, in ms; None when there is
        none.
        """
        for line in self.of(what, **fields):
            if line["t_us"] >= after_ms * 1000:
                return line["t_us"] / 1000
        return None


def charging(*more):
    """The steps to a charging vehicle within 4 s, then `more`."""
    return [step(1000, "plug"), step(2000, "card", uid=CARD), step(3000, "ready")] + list(more)
