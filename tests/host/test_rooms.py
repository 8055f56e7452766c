"""The rooms hold: who may import whom, and what safety and outlet may not contain."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Modules of a microcontroller's port: only hal/mcu may know them.
MCU = {"machine", "umachine", "esp", "esp32", "rp2", "_rp2", "network"}


def imports(node, typing=False):
    """(module, line, is it only for the type checker) of every import below `node`."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from imports(child, True)
        for child in node.orelse:
            yield from imports(child, typing)
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, node.lineno, typing
    elif isinstance(node, ast.ImportFrom):
        # "from hal import roles" imports hal.roles
        for alias in node.names:
            yield "." * node.level + f"{node.module or ''}.{alias.name}", node.lineno, typing
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("__import__", "import_module")
    ):
        if node.args and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value, node.lineno, typing
    for child in ast.iter_child_nodes(node):
        yield from imports(child, typing)


def forbidden(path, module, typing):
    """Why the file `path` (relative to the root) may not import `module`; None when it may."""
    top = module.split(".")[0]
    if module.startswith("."):
        return "imports are absolute"
    if top in MCU and path.parts[:2] != ("hal", "mcu"):
        return "only hal/mcu knows a microcontroller"
    if path.parts[0] == "firmware" and top == "hal":
        if not (typing and module.startswith("hal.roles")):
            return "firmware is handed its hardware; it may name hal.roles under TYPE_CHECKING"
    if path.parts[0] == "hal" and top == "firmware":
        return "hal must not depend on firmware"
    if path.parts[0] in ("hal", "firmware") and top in ("tools", "tests"):
        return "a board has neither tools nor tests"
    return None


def room_violations(path, text):
    return [
        f"{path}:{line}: imports {module}: {why}"
        for module, line, typing in imports(ast.parse(text))
        if (why := forbidden(path, module, typing))
    ]


def number_violations(path, text):
    """Floats, true division, f-strings and asserts: they allocate, or vanish with -O."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
            what = f"the float {node.value}"
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            what = "true division, which makes a float"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "float"
        ):
            what = "float()"
        elif isinstance(node, ast.JoinedStr):
            what = "an f-string, which allocates"
        elif isinstance(node, ast.Assert):
            what = "an assert, which -O removes"
        else:
            continue
        found.append(f"{path}:{node.lineno}: {what}")
    return found


def violations(check, *directories):
    return [
        violation
        for directory in directories
        for path in sorted((ROOT / directory).rglob("*.py"))
        for violation in check(path.relative_to(ROOT), path.read_text())
    ]


def test_the_rooms_hold():
    assert violations(room_violations, "firmware", "hal") == []


def test_safety_and_outlet_keep_to_integers():
    assert violations(number_violations, "firmware/safety", "firmware/outlet") == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("firmware/outlet/ac.py", "import machine"),
        ("firmware/outlet/ac.py", "def f():\n    from rp2 import PIO"),
        ("firmware/station.py", "import hal"),
        ("firmware/station.py", "from hal import roles"),
        ("firmware/station.py", "from hal.virtual import board"),
        ("firmware/station.py", "if TYPE_CHECKING:\n    from hal.chips import meter"),
        ("firmware/station.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import hal.roles"),
        ("firmware/station.py", "__import__('esp32')"),
        ("firmware/station.py", "from . import ticks"),
        ("hal/virtual/board.py", "from firmware import ticks"),
        ("hal/virtual/board.py", "import firmware.ticks as t"),
        ("hal/chips/meter.py", "from machine import UART"),
        ("hal/boards/board.py", "import tools.pile"),
    ],
)
def test_a_planted_import_is_caught(path, text):
    assert len(room_violations(pathlib.PurePath(path), text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("firmware/station.py", "if TYPE_CHECKING:\n    from hal.roles import Clock"),
        ("firmware/station.py", "from firmware import ticks"),
        ("hal/mcu/rp2040.py", "import machine, rp2"),
        ("hal/virtual/board.py", "from hal import roles"),
    ],
)
def test_an_allowed_import_is_not(path, text):
    assert room_violations(pathlib.PurePath(path), text) == []


@pytest.mark.parametrize(
    "text", ["x = 0.5", "x = a / 2", "x /= 2", "x = float(a)", "x = f'{a}'", "assert a", "x = 2j"]
)
def test_a_planted_float_and_the_like_is_caught(text):
    assert len(number_violations(pathlib.PurePath("firmware/safety/core.py"), text)) == 1


def test_integer_arithmetic_is_not():
    text = "x = a // 2 + (b >> 1) % 3\ny = '{}'.format(x)"
    assert number_violations(pathlib.PurePath("firmware/safety/core.py"), text) == []
