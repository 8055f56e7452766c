"""Why an outlet does not charge, or charges slowly, in words; imported only when somebody asks."""

from micropython import const

from firmware import borrow
from firmware.safety.core import (
    CURRENT_MA,
    DRIVE,
    GUARD_MS,
    HARD,
    IN_MIRROR,
    INPUTS,
    LOCKED,
    OFFERED_MA,
    PERMILLE,
    SENSOR,
    STANDING,
    STATE,
)
from firmware.safety.faults import FAULTS, SELF, SERVICE, UNPLUG

# What each line of the table of faults means.
MEANINGS = (
    "the pilot is shorted to earth, or has no supply",
    "the vehicle's plug has no working diode",
    "the pilot is not being measured",
    "the pile's processor stood still",
    "the pile's program does not keep up",
    "an error in the pile's program",
    "current leaks to earth",
    "the residual-current sensor failed its self-test",
    "the protective earth is lost",
    "the contactor is stuck closed",
    "the contactor did not close",
    "there is no voltage behind the closed contactor",
    "the emergency stop is pressed, or was",
    "the enclosure is open",
    "the pile is tilted",
    "there was smoke",
    "the plug could not be locked or unlocked",
    "the cable in the socket cannot be recognised",
    "the vehicle took more than was offered",
    "a phase of the mains is missing",
    "the voltage of the mains is too low",
    "the voltage of the mains is too high",
    "the frequency of the mains is out of range",
    "the contactor is too hot",
    "the temperature at the contactor is not known",
    "the energy meter does not answer",
    "current flows although the contactor is open",
)
_CLEARS = {
    SELF: "it clears by itself once that is over",
    UNPLUG: "once that is over it clears by unplugging, or by Reset from the backend",
    SERVICE: "only a technician at the pile can clear it",
}

_MIN_MA = const(6000)
_TOLERANCE_MA = const(500)  # of the offer: the duty's, and of the vehicle's answer to it


def explain(station, i):
    """Every reason why outlet `i` (from 0) of `station` does not charge now, or not at its rating.

    A list of {"source": who, "text": why} and, where known, "age_s": for how long; empty only
    while the vehicle takes what the outlet is rated for, to within 1 A.
    """
    c = station.cores[i].cells
    outlet = station.outlets[i]
    place = station.board.outlets[i]
    driven = c[DRIVE]
    letter = c[STATE] >> 1
    permille = c[PERMILLE]
    told = []

    def add(source, text):
        told.append({"source": source, "text": text})

    for n, fault in enumerate(FAULTS):
        if c[STANDING] >> n & 1:
            clears = SERVICE if c[HARD] >> n & 1 else fault[4]
            add("safety", "%s (%s); %s" % (MEANINGS[n], fault[0], _CLEARS[clears]))
    if c[GUARD_MS]:
        text = "after an opening or a fault the pile waits: %s left"
        add("safety", text % _seconds(c[GUARD_MS]))
    elif permille == 0 and not c[STANDING]:
        add("outlet", "the vehicle is being woken up")
    if c[SENSOR] == 2:
        add("safety", "the residual-current sensor is being tested")
    elif not c[SENSOR]:
        add("safety", "the residual-current sensor has not passed a self-test yet")
    if not outlet.plugged:
        add("vehicle", "no vehicle is plugged in")
    if outlet.delay_ms > 0:
        text = "after power-up the pile waits for a random time: %s left"
        add("outlet", text % _seconds(outlet.delay_ms))
    if not outlet.authorised:
        _access(station, i, add)
    elif outlet.plugged and not c[LOCKED]:
        add("outlet", "the plug is not locked yet")

    ma = c[CURRENT_MA]
    offered = permille * 60 if permille <= 850 else (permille - 640) * 250
    if permille >= 1000:
        offered = 0
    if not driven:
        if letter == 1 and offered:
            add("vehicle", "the vehicle does not ask for current (state B)")
        elif letter == 3 and not place.ventilated:
            add("vehicle", "the vehicle asks for ventilation (state D), which is not there")
    elif not c[INPUTS] & IN_MIRROR:
        add("outlet", "the contactor is closing")
    elif not offered:
        add("outlet", "the vehicle was told to stop; then, or after 6 s, the contactor opens")
    elif ma + _TOLERANCE_MA < offered:
        add("vehicle", "the vehicle takes %s of the %s on offer" % (_amps(ma), _amps(offered)))

    for limit in borrow("firmware.energy.reasons").explain(outlet.limits):
        most = limit["max_ma"]
        if most < place.max_ma:
            text = "at most %s: %s" % (_amps(most), limit["reason"])
            if most < _MIN_MA:
                text += "; a vehicle needs %s" % _amps(_MIN_MA)
            add(limit["source"], text)
            told[-1]["age_s"] = limit["age_s"]
    if driven and offered and offered + _TOLERANCE_MA < c[OFFERED_MA]:
        add("outlet", "the offer is %s, and may change every 5 s" % _amps(offered))
    if not told and not (driven and ma + 2 * _TOLERANCE_MA >= place.max_ma):
        if driven:
            add("outlet", "%s are on offer" % _amps(offered))
        else:
            add("safety", "vehicle and pilot are being checked before the contactor closes")
    return told


def _access(station, i, add):
    backend = station.backend
    if station.sessions[i].transaction_id is not None:
        add("access", "charging was ended")
    else:
        if station.outlets[i].inoperative:
            add("access", "the backend has taken the outlet out of service")
        add("access", "nobody is authorised: neither by a card nor by the backend")
        if station.cards.asked is not None:
            add("access", "a card is being checked: the backend has not answered yet")
        if station.cards.expected:
            add("access", "a card was accepted: it is for the outlet that is plugged in first")
        if station.cards.reserved(i + 1):
            add("access", "the outlet is kept for somebody who reserved it")
    if not backend.link.up:
        trouble = getattr(station, "trouble", "")
        text = "no line to the backend, which decides about cards"
        add("uplink", "%s; %s" % (text, trouble) if trouble else text)
    elif not backend.accepted:
        add("uplink", "the backend has not accepted this pile yet")
    if station.journal.full and not station.sessions[i].tx:
        add("ledger", "what would be sold cannot be kept: the journal is full, or has no memory")


def _seconds(ms):
    return "%d s" % ((ms + 999) // 1000)


def _amps(ma):
    return "%d.%d A" % (ma // 1000, ma % 1000 // 100)
