"""`pile.py flash` on a virtual board: all of it, then nothing, and cut at any moment."""

import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from tests.host.bench_port import PILE, REPO, board, flashed, pile, wait
from tools import size
from tools.host import board as checker
from tools.host import build, flash, port
from tools.host.errors import Failed

SEED = random.SystemRandom().randrange(1 << 30)


@pytest.fixture
def served(tmp_path):
    with board(flashed(tmp_path / "flash")) as found:
        yield found


def hello(served):
    """What the pile says after a hard reset; its files must be one whole set then."""
    with port.Port(served.port) as there:
        there.bench()
        return port.is_hello(there.leave())


def listed(directory):
    """{path: digest} of the list in `directory`."""
    return {line.split(" ", 2)[2]: line.split(" ", 2)[0]
            for line in (directory / "files.txt").read_text().splitlines()}


def whole(directory):
    """Whether every file is as the list says."""
    return all(build.digest((directory / path).read_bytes()) == digest
               if digest != "-" else not (directory / path).exists()
               for path, digest in listed(directory).items())


def test_everything_then_nothing(served):
    told = served.pile("flash", "--board", "virtual")
    assert "nothing to upload" in told and "uploaded" not in told
    assert "Voltpile " in told and "CP-7 on Virtual AC" in told
    assert whole(served.flash)
    assert {"boot.py", "main.py", "board.json", "hal/installed.mpy",
            "lib/umqtt/simple.mpy"} <= set(listed(served.flash))
    assert not list(served.flash.glob("new/*"))


def test_only_what_changed(served):
    (served.flash / "hal" / "log.mpy").write_bytes(b"worn")
    (served.flash / "firmware" / "ticks.py").write_text("raise ValueError('hides the .mpy')")
    (served.flash / "firmware" / "ticks.mpy").unlink()
    told = served.pile("flash", "--board", "virtual", "--dry-run")
    assert re.findall(r"^(change|new|remove) .* (\S+)$", told, re.M) == [
        ("new", "firmware/ticks.mpy"), ("change", "hal/log.mpy"), ("remove", "firmware/ticks.py")]
    assert (served.flash / "hal" / "log.mpy").read_bytes() == b"worn"
    told = served.pile("flash", "--board", "virtual")
    assert "uploaded 2 of" in told and whole(served.flash)
    assert "nothing to upload" in served.pile("flash", "--board", "virtual")


def test_a_missing_file_is_named_at_boot(served):
    (served.flash / "firmware" / "ledger" / "session.mpy").unlink()
    with port.Port(served.port) as there:
        there.bench()
        told = there.leave()
        with pytest.raises(Failed, match=r"firmware/ledger/session\.mpy; flash this board again"):
            port.judge(told)


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A flash with an older firmware, of which every .mpy differs from today's."""
    scratch = tmp_path_factory.mktemp("older")
    target = flashed(scratch / "flash")
    made = {}
    for path in listed(target):
        made[path] = (target / path).read_bytes()
        if path.endswith(".mpy") and not path.startswith("lib"):
            text = (REPO / path).with_suffix(".py").read_text()
            # One that bears no mixture of old and new.
            if path == "hal/__init__.mpy":
                text += "\nOLD = 1\n"
            elif path == "hal/begin.mpy":
                text = "from hal import OLD\n" + text
            (scratch / "old.py").write_text(text.replace('VERSION = "', 'VERSION = "0.0.'))
            size.output([size.MPY_CROSS, "-O0", "-o", scratch / "old.mpy",
                         scratch / "old.py"])
            made[path] = (scratch / "old.mpy").read_bytes()
            (target / path).write_bytes(made[path])
    (target / "files.txt").write_bytes(build.listing(made, ()))
    return target


def is_old(text):
    return "Voltpile 0.0." in text


class Cut(Exception):
    pass


class CutPort(port.Port):
    """A port whose board loses its supply at the command number `left`."""

    left = 1 << 30
    served = None

    def run(self, code, timeout_s=port.ANSWER_S):
        if not self.left:
            self.served.cut_power()
            raise Cut
        self.left -= 1
        return super().run(code, timeout_s)


def upload(served, cut_at):
    """Flash today's firmware, cut at the command `cut_at`; how many commands it took."""
    made = build.files(build.load_board("virtual")[1], "x64")
    with CutPort(served.port) as there:
        there.bench()
        there.served = served
        plan = flash.Plan(there, made)
        there.left = cut_at
        flash.upload(there, plan)
        there.left += 1 << 20
        return cut_at + (1 << 20) - there.left


def test_cut_at_any_command_it_boots_the_old_files_or_ends_the_flash(older, tmp_path):
    with board(shutil.copytree(older, tmp_path / "all")) as served:
        assert is_old(hello(served))
        commands = upload(served, 1 << 20)
        assert commands > 100
        assert not is_old(hello(served)) and whole(served.flash)
    chosen = random.Random(SEED).sample(range(commands - 1), 2) + [commands - 1]
    for cut_at in chosen:
        flash_directory = shutil.copytree(older, tmp_path / str(cut_at))
        with board(flash_directory) as served:
            with pytest.raises(Cut):
                upload(served, cut_at)
            assert whole(flash_directory), (SEED, cut_at)
            told = hello(served)
            assert told and whole(flash_directory), (SEED, cut_at, told)
            if cut_at < commands - 10:
                assert is_old(told), (SEED, cut_at)
    # and the flash after it comes to its end
    with board(flash_directory) as served:
        served.pile("flash", "--board", "virtual")
        assert not is_old(hello(served)) and whole(flash_directory)


def test_a_board_that_begins_anew_just_then_is_asked_again(older, tmp_path, monkeypatch):
    with board(shutil.copytree(older, tmp_path / "flash")) as served:
        with port.Port(served.port) as there:
            run = there.run
            asked = []

            def silent_once(code, timeout_s=port.ANSWER_S):
                asked.append(code)
                if len(asked) == 1:
                    raise Failed("it fell silent")
                return run(code, timeout_s)

            monkeypatch.setattr(there, "run", silent_once)
            assert there.bench()[0] and asked[0] == asked[1]
            assert port.is_hello(there.leave())


@pytest.mark.parametrize("files", [1, 2, 40])
def test_cut_while_files_move_it_ends_the_flash_by_itself(older, tmp_path, monkeypatch, files):
    # The list of what is new is there: a cut now leaves a mixture, which the next boot ends.
    with board(shutil.copytree(older, tmp_path / "flash")) as served:
        made = build.files(build.load_board("virtual")[1], "x64")
        with port.Port(served.port) as there:
            there.bench()
            run = there.run

            def cut(code, timeout_s=port.ANSWER_S):
                if "finish()" in code:
                    code = ("import machine\n_left = %d\ndef _move(a, b, real=os.rename):\n"
                            " global _left\n if not _left: machine.reset()\n _left -= 1\n"
                            " real(a, b)\n" % files
                            + code.replace("os.rename(staged", "move(staged")
                            .replace("{'__name__'", "{'move': _move, '__name__'"))
                return run(code, 3 if "finish()" in code else timeout_s)

            monkeypatch.setattr(there, "run", cut)
            with pytest.raises(Failed):
                flash.upload(there, flash.Plan(there, made))
        assert wait(lambda: whole(served.flash) and not list(served.flash.glob("new/*")))
        told = hello(served)
        assert told and not is_old(told)


def test_the_command_killed_at_any_time(older, tmp_path):
    chosen = random.Random(SEED)
    with board(shutil.copytree(older, tmp_path / "flash")) as served:
        for _ in range(3):
            process = subprocess.Popen(
                [*PILE, "flash", "--board", "virtual", "--port", served.port],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chosen.uniform(1, 4))
            process.send_signal(signal.SIGKILL)
            process.wait()
            if chosen.random() < 0.5:
                served.cut_power()
            told = hello(served)
            assert told and whole(served.flash), (SEED, told)
        served.pile("flash", "--board", "virtual")
        assert whole(served.flash) and not is_old(hello(served))


def test_a_blank_board_waits_for_its_identity(tmp_path):
    # what boot.py needs to end the rest by itself comes first
    made = list(build.files(build.load_board("virtual")[1], "x64"))
    assert set(made[:4]) == {
        "boot.py", "hal/__init__.mpy", "hal/begin.mpy", "hal/installed.mpy"}
    with board(flashed(tmp_path / "flash", provisioned=False)) as served:
        told = served.pile("flash", "--board", "virtual")
        assert "the board waits for its identity: `pile.py provision --port" in told


@pytest.mark.parametrize(("arguments", "words"), [
    (["--board", "nonsense", "--port", "/dev/null"], "--board: expected a FILE.json or one of"),
    (["--board", "virtual"], "--port: expected the port of a board, found none"),
    (["--board", "virtual", "--port", "/dev/nowhere"], "found no /dev/nowhere"),
    (["--board", "virtual", "--port", "/dev/null"], "--port: expected"),
])
def test_what_is_wrong_is_named_in_one_line(arguments, words):
    told = pile("flash", *arguments, code=2)
    assert words in told and told.count("\n") == 1, told


def test_another_controller_is_refused(served):
    told = served.pile("flash", "--board", "ac-7kw-esp32", code=2)
    assert "is for esp32 (xtensawin), found linux" in told
    assert "nothing to upload" in served.pile("flash", "--board", "virtual")


def test_what_was_compiled_holds_until_a_source_changes(monkeypatch, tmp_path):
    for name in ("firmware", "hal"):
        (tmp_path / name).mkdir()
    for name in ("boot.py", "main.py", "firmware/ticks.py"):
        shutil.copy(REPO / name, tmp_path / name)
    monkeypatch.setattr(build, "REPO", tmp_path)
    monkeypatch.setattr(checker, "REPO", tmp_path)
    monkeypatch.setattr(build, "CACHE", tmp_path / "mpy")
    monkeypatch.setattr(build, "modules", lambda spec: ["boot", "firmware.ticks"])
    compiled = []
    real = build.compiled
    monkeypatch.setattr(build, "compiled",
                        lambda name, *args: compiled.append(name) or real(name, *args))
    spec = {"mcu": "rp2040"}
    first = build.files(spec)
    assert build.files(spec) == first and compiled == ["firmware.ticks"]
    source = tmp_path / "firmware" / "ticks.py"
    source.write_text(source.read_text().replace("def add(", "def added("))
    assert build.files(spec)["firmware/ticks.mpy"] != first["firmware/ticks.mpy"]
    (tmp_path / "boot.py").write_text("pass\n")
    assert build.files(spec)["boot.py"] == b"pass\n" and len(compiled) == 3


@pytest.mark.parametrize("name", [*checker.names(), "virtual"])
def test_each_board_gets_what_it_needs(name):
    spec = build.load_board(name)[1]
    names = build.modules(spec)
    assert {"boot", "main", "firmware.station", "hal.installed", "umqtt.simple"} <= set(names)
    # All of firmware, whether by a statement or by a name that is put together.
    firmware = build.REPO / "firmware"
    every = {".".join(("firmware", *path.relative_to(firmware).with_suffix("").parts))
             for path in firmware.rglob("*.py") if path.stem != "__init__"}
    assert every <= set(names)
    layers = {layer for layer in build.LAYERS.values() if layer in names}
    assert layers == {build.LAYERS[spec["mcu"]]}
    assert not any(name.startswith("hal.roles") for name in names)
    if name != "virtual":
        assert not any(name.startswith("hal.virtual") for name in names)
        # Every module that hal's files name is there, as `board` too finds them.
        assert set(checker.modules(spec)) <= set(names)
