"""The pile's half of the bench of TLS, run by MicroPython: how long is the longest step of a
handshake?

Usage: bench_handshake.py PORT ROUNDS; the working directory has `tls` with a root or a pre-shared
key. Prints the median of the longest step of each round, in us. A step is what Python cannot be
interrupted in: each call that reads or writes; what comes before them (the context, its root) is
left out, as it is in several calls.
"""

import socket
import sys
import time

from firmware.uplink import secure

_CONNECT = b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4CP-1"


class Station:
    class wall:
        is_set = False

    class board:
        def date():
            return "2999"

        def set_date(text):
            pass

        class store:
            def load(name):
                return None


def longest_us(port):
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    sock.setblocking(False)
    made = secure.wrap(sock, "localhost", Station, 0, {"ways": 1})
    answer = bytearray(4)
    longest = 0
    call, data = made.write, _CONNECT
    give_up_ms = time.ticks_add(time.ticks_ms(), 10000)
    while time.ticks_diff(give_up_ms, time.ticks_ms()) > 0:
        began_us = time.ticks_us()
        n = call(data)
        longest = max(longest, time.ticks_diff(time.ticks_us(), began_us))
        if n and call == made.write:
            call, data = made.readinto, answer
        elif n:
            made.close()
            sock.close()
            return longest
        elif n == 0:
            break
        time.sleep_ms(1)
    raise OSError("no session at port %d" % port)


found = sorted(longest_us(int(sys.argv[1])) for _ in range(int(sys.argv[2])))
print(found[len(found) // 2])
