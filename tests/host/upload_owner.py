"""The pile's side of test_upload.py: firmware.uplink.upload on real sockets.

Usage: upload_owner.py URL BYTES RETRIES [dns=SERVERS]; the log is BYTES long, its clock runs 20
times as fast. Prints one event a line: `told STATUS` for each LogStatusNotification, `log STATUS
WHY`, `over LATE`: the longest that a step took, in ms.
"""

import sys
import time

import micropython  # noqa: F401  (on CPython it adds time.ticks_ms)

from firmware import borrow

url, size, retries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SPEED = 20


class Logs:
    """In the place of firmware.uplink.logs."""

    @staticmethod
    def text(backend, payload):
        return "0123456789abcdef" * (size // 16)


class Outbox:
    def add(self, action, build, argument=None):
        assert action == "LogStatusNotification"
        print("told", build(argument)["status"])
        return True


class Station:
    config = {"station_id": "CP-1", "dns": ""}
    closed = bool

    class wall:
        is_set = False

    class board:
        stalls = False
        name_servers = list

        def date():
            return "2999"

        def set_date(text):
            pass

        class store:
            @staticmethod
            def load(name):
                return None

        class log:
            @staticmethod
            def record(what, request, status, why):
                print("log", status, " ".join(why.split()))


class Backend:
    outbox = Outbox()

    class doorman:
        station = Station


for word in sys.argv:
    if word.startswith("dns="):
        Station.config["dns"] = word[4:]

sys.modules["firmware.uplink.logs"] = Logs
payload = {"logType": "DiagnosticsLog", "requestId": 7, "log": {"remoteLocation": url}}
payload["retries"] = retries
payload["retryInterval"] = 2
upload = borrow("firmware.uplink.upload").Upload(Backend, payload)
start_ms = time.ticks_ms()
late_ms = 0
while True:
    began_ms = time.ticks_ms()
    more = upload.tick(time.ticks_diff(began_ms, start_ms) * SPEED & 0x3FFFFFFF)
    late_ms = max(late_ms, time.ticks_diff(time.ticks_ms(), began_ms))
    if not more:
        break
    time.sleep_ms(2)
print("over", late_ms)
