"""How the line finds its broker and trusts it: name servers good and bad, brokers in turn, TLS
with right and wrong certificates; always MicroPython against real sockets and mosquitto.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import zlib

import pytest

from firmware import borrow
from hal.mcu.common import Files
from tests.host.conftest import broker, free_port
from tests.host.test_line import pile
from tools import bench, bench_line
from tools.host import mqtt, pile_process

HOST = "broker.voltpile.test"


class NameServer:
    """Answers each question with `address`; None: with that there is no such host. `silent`: not
    at all; `noise`: with something else first.
    """

    def __init__(self, address="127.0.0.1"):
        self.address = address
        self.silent = self.noise = False
        self.asked = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, who = self.sock.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            if self.silent:
                continue
            question = data[12:]
            if self.address is None:
                self.sock.sendto(data[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question, who)
                continue
            good = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question
            good += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(self.address)
            if self.noise:
                for wrong in (b"", good[:20], bytes([good[0] ^ 1]) + good[1:], os.urandom(100)):
                    self.sock.sendto(wrong, who)
            self.sock.sendto(good, who)


@contextlib.contextmanager
def name_server(*args):
    server = NameServer(*args)
    try:
        yield server
    finally:
        server.sock.close()


def port_of(mosquitto):
    return int(mosquitto.split(":")[1])


def test_a_name_server_is_asked(mosquitto):
    async def run():
        with name_server() as server:
            server.noise = True
            async with pile(port_of(mosquitto), "micropython", HOST, "dns=" + server.at) as it:
                await it.says("acked 20", 0)
        assert server.asked

    asyncio.run(run())


def test_a_silent_server_and_then_one_that_answers(mosquitto):
    async def run():
        with name_server() as silent, name_server() as server:
            silent.silent = True
            dns = "dns=%s,%s" % (silent.at, server.at)
            async with pile(port_of(mosquitto), "micropython", HOST, dns) as it:
                await it.says("acked 20", 0)
        assert silent.asked and server.asked

    asyncio.run(run())


def test_no_such_host_and_no_answer_are_told(mosquitto):
    async def run():
        with name_server(None) as server:
            dns = "dns=" + server.at
            async with pile(port_of(mosquitto), "micropython", HOST, dns) as it:
                said = await it.says("closed", 0)
                assert HOST in said and " name " in said and "no such host" in said
                server.silent = True
                said = await it.says("closed", it.said.index(said) + 1)
                assert " name " in said and "name server %s: no answer" % server.at in said
                server.silent = False
                server.address = "127.0.0.1"
                await it.says("acked 20", 0)

    asyncio.run(run())


def test_the_last_good_address_is_kept():
    port = free_port()
    where = "127.0.0.1:%d" % port

    async def run():
        with name_server() as server:
            dns = "dns=" + server.at
            async with pile(port, "micropython", HOST, dns) as it:
                with broker("listener %d 127.0.0.1\nallow_anonymous true\n" % port, where):
                    await it.says("acked 20", 0)
                    server.silent = True
                await it.says("down", 0)
                since = len(it.said)
                with broker("listener %d 127.0.0.1\nallow_anonymous true\n" % port, where):
                    await it.says("acked", since)

    asyncio.run(run())


def test_brokers_in_turn(mosquitto):
    async def run():
        brokers = "127.0.0.1:%d, 127.0.0.1" % free_port()
        async with pile(port_of(mosquitto), "micropython", brokers) as it:
            said = await it.says("closed", 0)
            assert " connect " in said
            await it.says("acked 20", 0)

    asyncio.run(run())


async def drops(reader, writer):
    """A broker that takes the session and then ends it."""
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        for answer in (b"\x20\2\0\0", b"\x90\3%b\1"):
            _, _, body = await mqtt.read_packet(reader)
            writer.write(answer.replace(b"%b", body[:2]))
    writer.close()


def test_a_broker_that_drops_each_session_has_its_turn_only(mosquitto):
    async def run():
        server = await asyncio.start_server(drops, "127.0.0.1", 0)
        where = server.sockets[0].getsockname()
        brokers = "127.0.0.1:%d, 127.0.0.1" % where[1]
        async with pile(port_of(mosquitto), "micropython", brokers) as it:
            said = await it.says("closed", 0)
            assert "127.0.0.1:%d mqtt closed by the broker" % where[1] in said
            await it.says("acked 20", 0)
        server.close()

    asyncio.run(run())


def test_what_the_backend_has_set_is_tried_first_and_costs_attempts_only(mosquitto):
    async def run():
        first = "127.0.0.1:%d" % free_port()
        async with pile(port_of(mosquitto), "micropython", "127.0.0.1", "first=" + first) as it:
            said = await it.says("closed", 0)
            assert said.startswith("closed %s connect " % first)
            await it.says("acked 20", 0)

    asyncio.run(run())


def test_what_the_backend_has_set_has_its_own_user_and_password(mosquitto):
    came = []

    async def greeted(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            came.append((await mqtt.read_packet(reader))[2])
        writer.close()

    async def run():
        server = await asyncio.start_server(greeted, "127.0.0.1", 0)
        first = "first=127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        async with pile(port_of(mosquitto), "micropython", "127.0.0.1", first) as it:
            await it.says("acked 20", 0)
        server.close()
        assert len(came) == 2 and all(one.endswith(b"\0\1u\0\1p") for one in came)

    asyncio.run(run())


def test_a_refusal_is_told_with_its_code():
    port = free_port()
    where = "127.0.0.1:%d" % port

    async def run():
        with broker("listener %d 127.0.0.1\nallow_anonymous false\n" % port, where):
            async with pile(port) as it:
                said = await it.says("closed", 0)
                assert " mqtt refused by the broker, CONNACK code 5" in said

    asyncio.run(run())


def test_a_password_that_is_refused_is_followed_by_the_one_before(tmp_path):
    program = shutil.which("mosquitto_passwd")
    if program is None and os.environ.get("CI") != "true":
        pytest.skip("expected mosquitto_passwd on PATH, found none: no password was tried")
    users = tmp_path / "users"
    users.touch()
    subprocess.run([program, "-b", str(users), "u", "old"], check=True, capture_output=True)
    users.chmod(0o644)
    port = free_port()
    config = "listener %d 127.0.0.1\nallow_anonymous false\npassword_file %s\n" % (port, users)

    async def run():
        with broker(config, "127.0.0.1:%d" % port):
            async with pile(port, "micropython", "127.0.0.1", "password=new,old") as it:
                said = await it.says("closed", 0)
                assert " mqtt refused by the broker, CONNACK code 5" in said
                await it.says("up", 0)

    asyncio.run(run())


@pytest.fixture(scope="module")
def authority():
    if sys.version_info < (3, 11) and os.environ.get("CI") != "true":
        pytest.skip("cryptography comes with Python 3.11 or newer only: no TLS was tried")
    from tests.host.certificates import Authority

    return Authority()


@contextlib.asynccontextmanager
async def secured(authority, folder, *names, own=None, more="", trusts=True, words=(), **dates):
    """A pile that trusts `own` (default: `authority`) with TLS at a broker that has a certificate
    for `names`; not `trusts`: it has no file that says whom. `words`: see line_owner.py.
    """
    made = authority.issue(folder / "broker", *names, **dates)
    trust = (own or authority).issue(folder / "tls", "CP-1")
    if not trusts:
        (trust / "ca.der").unlink()
    port = free_port()
    config = "listener %d 127.0.0.1\nallow_anonymous true\n" % port
    config += "".join(
        "%s %s/%s.pem\n" % (what, made, name)
        for what, name in (("cafile", "ca"), ("certfile", "cert"), ("keyfile", "key"))
    )
    with broker(config + more, "127.0.0.1:%d" % port):
        async with pile(port, "micropython", "localhost", "tls", *words, cwd=trust.parent) as it:
            yield it


def test_tls(authority, tmp_path):
    async def run():
        async with secured(authority, tmp_path, "localhost") as it:
            await it.says("acked 50", 0)

    asyncio.run(run())


def _installed(authority, folder):
    # As the backend's InstallCertificate leaves it, see firmware/access/roots.py.
    folder.mkdir(exist_ok=True)
    made = authority.issue(folder / "installed", "CP-1")
    data = struct.pack("<BI", 0, 1) + (made / "ca.der").read_bytes()
    (folder / "root.1").write_bytes(data + struct.pack("<I", zlib.crc32(data)))


def test_a_root_that_was_installed_is_trusted(authority, tmp_path):
    from tests.host.certificates import Authority

    async def run():
        _installed(authority, tmp_path)
        async with secured(authority, tmp_path, "localhost", own=Authority()) as it:
            await it.says("acked 50", 0)
            assert not any(line.startswith("closed") for line in it.said)

    asyncio.run(run())


def test_a_root_that_does_not_work_cuts_nothing_off(authority, tmp_path):
    from tests.host.certificates import Authority

    async def run():
        _installed(Authority(), tmp_path)
        async with secured(authority, tmp_path, "localhost") as it:
            said = await it.says("closed", 0)
            assert " tls " in said and "not correctly signed" in said
            await it.says("acked 50", 0)

    asyncio.run(run())


def test_tls_with_a_certificate_of_the_pile(authority, tmp_path):
    more = "require_certificate true\nuse_identity_as_username true\n"

    async def run():
        async with secured(authority, tmp_path, "localhost", more=more) as it:
            await it.says("acked 50", 0)

    asyncio.run(run())


def test_certificates_of_the_pile_that_do_not_work_cut_nothing_off(
    authority, tmp_path, monkeypatch
):
    from tests.host.certificates import Authority

    other = Authority().issue(tmp_path / "other", "CP-1")
    monkeypatch.chdir(tmp_path)
    own = borrow("firmware.uplink.own")
    own.write(Files(), 0, [(other / name).read_bytes() for name in ("key.der", "cert.der")])
    own.write(Files(), 1, [b"neither key", b"nor certificate"])

    async def run():
        more = "require_certificate true\n"
        async with secured(authority, tmp_path, "localhost", more=more) as it:
            await it.says("acked 20", 0)
            told = [line for line in it.said if line.startswith("told")]
            assert "tls ValueError: invalid key" in await it.says("closed", 0)
            assert [line.split()[-1] for line in told] == ["own.1", "tls/cert.der"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "wrong, words",
    [
        ("another authority", "not correctly signed by the trusted CA"),
        ("another host", "Common Name (CN) does not match"),
        ("expired", "validity has expired"),
        ("not yet", "validity starts in the future"),
        ("no file", "tls/ca.der: no such file; send it with `pile.py provision --ca`"),
    ],
)
def test_a_broker_that_is_not_to_be_trusted(authority, tmp_path, wrong, words):
    from tests.host.certificates import Authority

    names = ["elsewhere.test"] if wrong == "another host" else ["localhost"]
    more = {"own": Authority()} if wrong == "another authority" else {}
    if wrong == "expired":
        more = {"from_days": -10, "to_days": -1}
    if wrong == "not yet":
        more = {"from_days": 1}
    if wrong == "no file":
        more = {"trusts": False}

    async def run():
        async with secured(authority, tmp_path, *names, **more) as it:
            said = await it.says("closed", 0)
            assert " tls " in said and words in said
            await asyncio.sleep(1)
            assert not any(line.startswith("up") for line in it.said)

    asyncio.run(run())


def test_a_broker_without_tls(mosquitto, authority, tmp_path):
    async def run():
        authority.issue(tmp_path / "tls", "CP-1")
        async with pile(port_of(mosquitto), "micropython", "localhost", "tls", cwd=tmp_path) as it:
            assert " tls " in await it.says("closed", 0)

    asyncio.run(run())


def test_a_session_that_begins_in_a_handshake_ends_it(authority, tmp_path):
    async def run():
        with socket.create_server(("127.0.0.1", 0)) as mute:
            port = mute.getsockname()[1]
            authority.issue(tmp_path / "tls", "CP-1")
            words = "micropython", "127.0.0.1", "tls", "stalls"
            # As life is: a handshake has ten seconds.
            async with pile(port, *words, cwd=tmp_path, speed=1) as it:
                where, _ = await asyncio.to_thread(mute.accept)
                (tmp_path / "driven").touch()
                # By the line, or by dial where the connection was not seen yet.
                said = await it.says("closed", 0)
                assert " tls " in said and said.endswith("a session began")
                where.close()
                mute.settimeout(2)  # the next attempt would come after one at most
                with pytest.raises(TimeoutError):
                    mute.accept()
                (tmp_path / "driven").unlink()
                (await asyncio.to_thread(mute.accept))[0].close()

    asyncio.run(run())


def test_charging_pauses_for_a_handshake_where_it_may(authority, tmp_path):
    (tmp_path / "driven").touch()

    async def run():
        names = ["localhost"]
        async with secured(authority, tmp_path, *names, words=("stalls", "pause")) as it:
            await it.says("up", 0)

    asyncio.run(run())


KEY = "00112233445566778899aabbccddeeff"


@contextlib.asynccontextmanager
async def keyed(folder, line="CP-1:" + KEY, *words):
    """A pile with the `line` in tls/psk at a broker that takes only CP-1's key."""
    (folder / "psk").write_text("CP-1:%s\n" % KEY)
    (folder / "tls").mkdir(exist_ok=True)
    (folder / "tls/psk").write_text(line)
    port = free_port()
    config = (
        "listener %d 127.0.0.1\npsk_hint piles\npsk_file %s/psk\nallow_anonymous false\n"
        "use_identity_as_username true\n" % (port, folder)
    )
    with broker(config, "127.0.0.1:%d" % port):
        async with pile(port, "micropython", "localhost", "tls", *words, cwd=folder) as it:
            yield it


async def never_up(it):
    await asyncio.sleep(1)
    assert not any(line.startswith("up") for line in it.said)


@pytest.mark.parametrize("words", [(), ("stalls",)], ids=["", "while charging on an ESP32"])
def test_tls_by_a_pre_shared_key(tmp_path, words):
    (tmp_path / "driven").touch()

    async def run():
        async with keyed(tmp_path, "CP-1:" + KEY, *words) as it:
            await it.says("acked 50", 0)
            assert not any(line.startswith("closed") for line in it.said)

    asyncio.run(run())


NOT_TAKEN = "the broker does not take identity and key of tls/psk: "


@pytest.mark.parametrize(
    "line, words",
    [
        ("CP-1:" + KEY[::-1], NOT_TAKEN),
        ("CP-2:" + KEY, NOT_TAKEN),
        ("CP-1:" + KEY[2:], "tls/psk: expected IDENTITY:KEY, an identity of 1 to 64 bytes and a"),
    ],
    ids=["another key", "another identity", "no key"],
)
def test_a_pre_shared_key_that_is_not_taken(tmp_path, line, words):
    async def run():
        async with keyed(tmp_path, line) as it:
            said = await it.says("closed", 0)
            assert " tls " in said and words in said
            await never_up(it)

    asyncio.run(run())


def test_the_bench_shakes_hands_by_certificate_and_by_key(authority, monkeypatch):
    programs = bench.micropython(), bench.mosquitto()
    if programs[1] is None:
        pytest.skip("expected mosquitto on PATH, found none")
    monkeypatch.setattr(bench_line, "HANDSHAKES", 1)
    found = bench_line.handshakes(*programs)
    assert sorted(found) == ["certificate_us", "psk_us", "times"] and min(found.values()) > 0


def test_nobody_who_lacks_the_key_is_taken_by_his_certificate(authority, tmp_path):
    # Else whoever has one that passes had only to say that he knows no key.
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/psk").write_text("CP-1:" + KEY)

    async def run():
        async with secured(authority, tmp_path, "localhost") as it:
            said = await it.says("closed", 0)
            assert " tls " in said and NOT_TAKEN in said
            await never_up(it)

    asyncio.run(run())


def test_an_image_without_pre_shared_keys_goes_on_by_certificate(authority, tmp_path):
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/psk").write_text("CP-1:" + KEY)

    async def run():
        async with secured(authority, tmp_path, "localhost", words=["no-psk"]) as it:
            said = await it.says("told", 0)
            assert "tls/psk: this MicroPython has no TLS-PSK: expected 1.29 or newer" in said
            assert said.endswith("it goes on by certificate")
            await it.says("acked 50", 0)

    asyncio.run(run())


def test_an_image_without_pre_shared_keys_nor_a_certificate_says_so(tmp_path):
    async def run():
        async with keyed(tmp_path, "CP-1:" + KEY, "no-psk") as it:
            said = await it.says("closed", 0)
            assert " tls " in said and "this MicroPython has no TLS-PSK" in said
            await never_up(it)

    asyncio.run(run())


WAITING = """
import asyncio
from firmware.uplink import dial

class Station:
    config = {"broker": "127.0.0.1:%d", "tls": 1, "dns": "", "tls_pause": 0}
    asked = 0
    class board:
        stalls = %s
        name_servers = list
    @staticmethod
    def driven():
        Station.asked += 1
        return Station.asked < 4

route = {"turn": 0, "hosts": {}}
try:
    asyncio.run(dial.dial(Station, route, lambda: 0))
except OSError:
    print(Station.asked, route["step"])
"""


@pytest.mark.parametrize(
    "stalls, key, asked", [(True, None, 4), (False, None, 0), (True, KEY, 0), (True, "rubbish", 4)]
)
def test_a_handshake_waits_for_an_open_contactor_where_it_would_stall_the_tick(
    stalls, key, asked, tmp_path
):
    if key:
        (tmp_path / "tls").mkdir()
        (tmp_path / "tls/psk").write_text("CP-1:" + key)
    (program, *_), env = pile_process.command("micropython")
    done = subprocess.run(
        [program, "-c", WAITING % (free_port(), stalls)],
        env=env,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.split() == [str(asked), "connect"], done.stderr
