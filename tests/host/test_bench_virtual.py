"""`pile.py virtual`: what the real mpremote does on a board it can do here."""

import hashlib
import os
import random
import signal
import subprocess
import time

import pytest

from tests.host.bench_port import PILE, board, pile


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with board(tmp_path_factory.mktemp("virtual") / "flash") as found:
        yield found


def test_commands_and_files(served, tmp_path):
    assert served.mpremote("resume", "eval", "1 + 1") == "2\n"
    data = random.Random(1).randbytes(20000)
    (tmp_path / "data").write_bytes(data)
    served.mpremote("resume", "fs", "mkdir", "a", "+", "fs", "cp", str(tmp_path / "data"), ":a/b")
    assert (served.flash / "a" / "b").read_bytes() == data
    assert hashlib.sha256(data).hexdigest() in served.mpremote("resume", "fs", "sha256sum", ":a/b")
    served.mpremote("resume", "fs", "cp", ":a/b", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_its_directory_is_its_root(served):
    told = served.mpremote("resume", "exec", "import os; print(os.getcwd(), os.listdir('/'))")
    assert told.startswith("/ [") and "usr" not in told
    with pytest.raises(AssertionError, match="ENOENT"):
        served.mpremote("resume", "exec", "open('/etc/passwd')")


def test_an_error_is_one_of_the_board(served):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        served.mpremote("resume", "exec", "1 // 0")


def test_resets(served):
    served.mpremote("resume", "exec", "kept = 1")
    assert served.mpremote("resume", "eval", "kept") == "1\n"
    assert served.mpremote("eval", "'kept' in globals()") == "False\n"  # after a soft reset
    served.mpremote("resume", "exec", "kept = 1")
    served.mpremote("reset")
    assert served.mpremote("resume", "eval", "'kept' in globals()") == "False\n"
    served.mpremote("soft-reset")
    assert served.mpremote("resume", "eval", "2") == "2\n"


def test_boot_and_main_run_and_ctrl_c_ends_them(served):
    (served.flash / "boot.py").write_text("print('boot')\nbooted = True\n")
    (served.flash / "main.py").write_text("mained = booted\nwhile True:\n    pass\n")
    try:
        served.mpremote("reset")
        time.sleep(2)  # else the next command interrupts the boot
        # No soft reset: what main.py has left is there.
        assert served.mpremote("resume", "eval", "mained") == "True\n"
        # A soft reset from the raw prompt leaves main.py out.
        assert served.mpremote("eval", "(booted, 'mained' in globals())") == "(True, False)\n"
    finally:
        for name in ("boot.py", "main.py"):
            (served.flash / name).unlink()


def test_a_cut_is_a_reset(served):
    served.mpremote("resume", "exec", "kept = 1")
    served.cut_power()
    assert served.mpremote("resume", "eval", "'kept' in globals()") == "False\n"


def test_the_link_goes_with_it(tmp_path):
    link = tmp_path / "port"
    process = subprocess.Popen([*PILE, "virtual", "--port", link, "--dir", tmp_path / "flash"],
                               stdout=subprocess.PIPE, text=True)
    assert str(link) in process.stdout.readline()
    assert os.path.realpath(link).startswith("/dev/")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and not link.is_symlink()


def test_a_bad_directory_or_link_is_named(tmp_path):
    (tmp_path / "file").touch()
    told = pile("virtual", "--dir", tmp_path / "file", code=2)
    assert "--dir: expected" in told and told.count("\n") == 1
    told = pile("virtual", "--dir", tmp_path / "x", "--port", tmp_path / "file", code=2)
    assert "--port: expected a free name" in told and told.count("\n") == 1
