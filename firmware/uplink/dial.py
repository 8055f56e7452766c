"""Opens the line's connection: finds the broker's address, connects, and begins TLS. Imported for
that only, see firmware.let_go.

What must be known from one time to the next is in `route`: "turn", how many brokers have failed;
"step", how far the last attempt came: name, connect, tls, mqtt, "" once the session has held;
"told", what was said about the last failure of each broker since; "hosts", the last address of
each; "dead", how many attempts on end have reached nobody; "key", whether TLS is by a pre-shared
one; "stalls", whether a handshake holds up the safety tick; "paused_ms", when charging last paused
for one; "refused", how many were refused since the last session that held, or since another
certificate was tried, see firmware.uplink.own; "ways", how many addresses there are; "before",
whether it is the turn of the password that was there before the backend set another.

**The radio.** It may say that it has joined while nothing passes. So after every _REJOIN attempts
that nobody answered, no name server, no broker, not even with a refusal, it is to join again; from
_ANEW on it is switched off before, once no contactor is closed: that takes a second. The pile is
never reset for that.
"""

import asyncio
import socket

from micropython import const

from firmware import borrow
from firmware.energy.limits import LINE, NO_LIMIT_MA
from firmware.ticks import diff

_PAUSE_MS = const(5)  # between two looks
# Failures that whoever looks after security is to hear of: the step, what is said of it, OCPP's
# name. TLS says it in words or not. It does not say when no cipher suite is common to both.
_UNTRUSTED = ("signed by", "Common Name", "validity", "X509", "9984")
_EVENTS = (
    ("tls", _UNTRUSTED, "InvalidCsmsCertificate"),
    ("tls", ("PROTOCOL_VERSION", "28288"), "InvalidTLSVersion"),
    ("mqtt", ("CONNACK code 4", "CONNACK code 5"), "FailedToAuthenticateAtCsms"),
)
_OURS = ("a session began", "no pause")  # what ended a handshake that nobody has refused
_WAIT_MS = const(200)
_PAUSES_MS = const(15 * 60000)  # from one pause of charging to the next
_PAUSED_MS = const(30000)  # one lasts so long, and then as any other, see firmware.outlet.rest
_OPEN_MS = const(15000)  # of these a vehicle may take so many to stop
_LONGEST = const(48)  # of a broker's name in the log, whose lines end somewhere
_REJOIN = const(6)  # attempts; with back-off and time-outs two to four minutes
_ANEW = const(18)
# What TLS says when the broker ends it, in words or not: with an alert, or before that was read.
_REFUSED = ("FATAL_ALERT", "30592", "OSError: 32", "EPIPE", "ECONN")
_ANSWERS = ("ECONNREFUSED", "no such host", "no host name", "no IPv4 address", "its answer is")


async def dial(station, route, ticks_ms):
    """A socket that is connected to the broker whose turn it is. Raises OSError, ValueError, or
    ImportError where the image has no TLS.
    """
    config = station.config
    places = _places(config)
    if not route.get("step"):
        route["told"] = {}
        station.trouble = ""  # what firmware.explain says of it
        route["dead"] = route["refused"] = 0
        route.pop("turn_0", None)  # see secure.set_date
        if getattr(station, "mute", False):
            # No backend answered there: the other attempts at it are given up, too.
            station.mute = False
            slot = places[route["turn"] % len(places)][0]
            while slot and places[route["turn"] % len(places)][0] == slot:
                route["turn"] += 1
    route["step"] = "name"
    turn, which = divmod(route["turn"], len(places))
    slot, place, by_tls, before, of = places[which]
    route["key"] = by_tls and _by_key()
    # The arithmetic of certificates holds up an ESP32's safety tick, that of a key does not.
    stalls = route["stalls"] = by_tls and station.board.stalls and not route["key"]
    while stalls and station.driven() and not _may_pause(station, route):
        await asyncio.sleep_ms(_WAIT_MS)
    host, _, port = place.rpartition(":")
    servers = config["dns"].split(",") if config["dns"] else station.board.name_servers()
    resolve = borrow("firmware.uplink.resolve")
    steps = _addresses(resolve, route, host, int(port), servers, ticks_ms)
    found = await _through(steps)
    rounds, at = divmod(turn * of + before, len(found))
    route["ways"] = len(places) * len(found)
    found = found[at]
    route["step"] = "connect"
    sock = socket.socket(found[0], socket.SOCK_STREAM)
    try:
        await _through(resolve.connect(sock, found[-1], ticks_ms))
        if config.get("network_priority"):
            borrow("firmware.uplink.networks").use(station, slot)
        if config.get("password_before") and not slot:
            password = config["password_before" if route.get("before") else "password"]
            station.backend.link.pswd = password.encode()
        if by_tls:
            route["step"] = "tls"
            if stalls and station.driven():
                await _pause(station, route, ticks_ms)
            # Each root has its turn with each broker and each of its addresses.
            return borrow("firmware.uplink.secure").wrap(sock, host, station, rounds, route)
        route["step"] = "mqtt"
        return sock
    except BaseException:  # the mover may be cancelled, too
        sock.close()
        raise


def failed(station, route, why):
    """An attempt came to nothing, or its session did not hold: `why`. The next broker's turn. Each
    reason is told once, and the radio looked after.
    """
    places = _places(station.config)
    broker = places[route["turn"] % len(places)][1]
    route["turn"] += 1
    step = route["step"]
    why = " ".join(why.split())  # TLS puts each reason on a line
    refused = step == "tls" and route.get("key") and any(word in why for word in _REFUSED)
    if refused:
        why = "the broker does not take identity and key of tls/psk: " + why
    elif step == "tls" and any(word in why for word in _REFUSED):
        why = "the broker ends it: does it want another certificate of the pile? " + why
    station.trouble = "%s: %s" % (step, why)
    if "CONNACK code 4" in why or "CONNACK code 5" in why:
        route["before"] = not route.get("before")
    untrusted = step == "tls" and any(word in why for word in _UNTRUSTED)
    record = station.board.log.record
    told = route.setdefault("told", {})
    if told.get(broker) != (step, why):
        told[broker] = step, why
        record("line", up=False, broker=broker[-_LONGEST:], step=step, why=why)
        if refused:
            _tell(station, "FailedToAuthenticateAtCsms", broker, why)
        for where, words, event in _EVENTS:
            if step == where and any(word in why for word in words):
                _tell(station, event, broker, why)
    if step in ("tls", "mqtt") and not untrusted and not any(words in why for words in _OURS):
        route["refused"] = route.get("refused", 0) + 1
    if step not in ("name", "connect") or any(words in why for words in _ANSWERS):
        route["dead"] = 0
        return
    route["dead"] = route.get("dead", 0) + 1
    if route["dead"] % _REJOIN == 0:
        anew = route["dead"] >= _ANEW and not station.closed()
        for device in station.board.devices:
            if hasattr(device, "rejoin"):
                record("radio", anew=anew)
                device.rejoin(anew)


def _places(config):
    # What is tried in turn, as firmware.uplink.networks has it; the configuration's own come last.
    found = []
    if config.get("network_priority"):
        found = borrow("firmware.uplink.networks").places(config)
    own = config["broker"].split(",")
    return found + [(0, broker.strip(), config["tls"], 0, 1) for broker in own]


def _tell(station, event, broker, why):
    # Of a broker that is none of ours, or that does not take us for its own.
    report = borrow("firmware.access.report")
    report.seldom(station.cards, event, "%s: %s" % (broker, why))


def _may_pause(station, route):
    last_ms = route.get("paused_ms")
    return station.config["tls_pause"] and (
        last_ms is None or station.wall.uptime_ms - last_ms >= _PAUSES_MS
    )


async def _pause(station, route, ticks_ms):
    # Somebody is there to shake hands with: let no outlet charge for so long.
    if not _may_pause(station, route):
        raise OSError("a session began")
    route["paused_ms"] = station.wall.uptime_ms
    now_ms = ticks_ms()
    for outlet in station.outlets:
        outlet.limits.set(LINE, 0, "a handshake of the line", now_ms, _PAUSED_MS, NO_LIMIT_MA)
    while station.driven():
        if diff(ticks_ms(), now_ms) >= _OPEN_MS:
            raise OSError("no pause: the contactor is still closed")
        await asyncio.sleep_ms(_WAIT_MS)


def _addresses(resolve, route, host, port, servers, ticks_ms):
    # What getaddrinfo gives. For a numeric address it only converts, and asks nobody.
    hosts = route["hosts"]
    try:
        found = yield from resolve.numeric(host, servers, ticks_ms)
        if found != host:
            hosts[host] = found
    except OSError:
        # The name servers' trouble need not be the broker's: it may be where it was.
        if host not in hosts:
            raise
        found = hosts[host]
    return socket.getaddrinfo(found, port, 0, socket.SOCK_STREAM)


async def _through(steps):
    # What the generator `steps` returns.
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
        await asyncio.sleep_ms(_PAUSE_MS)


def _by_key():
    try:
        return borrow("firmware.uplink.secure").by_key() is not None
    except (ImportError, OSError, ValueError):
        return False  # what is wrong is said once TLS begins
