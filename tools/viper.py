"""What a board gets of a module: the same source, made smaller, and for an RP2040 faster.

Names are short ones (tools/short.py). Constants are written into the code that uses them:
mpy-cross looks into no other module, and one that is imported costs its name in both, an import,
and a look-up each time.

For an RP2040 the tick's functions become machine code: MODULES have such functions. Viper works on
machine integers and pointers and must be told so. In the functions named in HOT parameters become
int, arrays of integers ptr32 or ptr16, bytes ptr8; whatever else is read from an attribute, a
global or a call becomes int. Those named in UNTYPED stay with objects, for a viper function is
called faster than a native one. Lines stay where they are. What the source must keep to:

- a hot function has integers and booleans only, and returns an integer or nothing;
- an array is reached by a local name (`c = self.cells`) and handed on by its attribute;
- no tuple is subscripted or searched, no boolean is calculated with or compared;
- a blank line is above each.
"""

import ast
import functools
import pathlib
import shutil
import threading

from tools import short

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("firmware", "hal")
MODULES = ("firmware.safety.core", "firmware.safety.blackbox", "firmware.station")
UNTYPED = ("Safety.tick", "Station.safety_tick")
HOT = (
    "Safety._tick",
    "Safety._weigh",
    "BlackBox.note",
)
# Not among them: Safety._from_inputs is called while something is not as it should be, and
# permille_of when the offer changes.

# Attributes of self
ARRAYS = {
    "cells": "ptr32",
    "_cells": "ptr32",
    "_window": "ptr32",
    "_bounds": "ptr32",
    "_own": "ptr32",
    "_ring": "ptr16",
}


def _constants(tree):
    """{name: value} of a module's const(...) of whole numbers."""
    found = {}
    for node in tree.body:
        if _is_const(node):
            names = {"__builtins__": {}, **found}
            value = eval(ast.unparse(node.value.args[0]), names)
            if isinstance(value, int):
                found[node.targets[0].id] = value
    return found


def _is_const(node):
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "const"
    )


def constants(text):
    """{name: value} of the module `text`."""
    return _constants(ast.parse(text))


@functools.cache
def _of(module):
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if module.split(".")[0] not in ROOMS or not path.exists():
        return {}
    return constants(path.read_text())


@functools.cache
def _reached():
    """Names that some module takes from another as an attribute, or imports in a function: those
    stay.
    """
    names = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute):
                    names.add(node.attr)
                elif isinstance(node, ast.ImportFrom) and node not in tree.body:
                    names.update(alias.name for alias in node.names)
    return names


def inlined(text, keep=False):
    """The module `text` with its own constants and those that it imports as plain numbers. `keep`:
    its own stay there for others, too.
    """
    tree = ast.parse(text)
    lines = text.split("\n")
    known = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            theirs = _of(node.module or "")
            here = [a.name for a in node.names if a.name in theirs and not a.asname]
            if here:
                known.update((name, theirs[name]) for name in here)
                rest = [ast.unparse(alias) for alias in node.names if alias.name not in here]
                kept = "from %s import %s" % (node.module, ", ".join(rest)) if rest else ""
                lines[node.lineno - 1 : node.end_lineno] = [kept] + [""] * (
                    node.end_lineno - node.lineno
                )
    own = _constants(tree)
    for node in tree.body:
        name = node.targets[0].id if _is_const(node) else ""
        if not keep and name in own and name not in _reached():
            known[name] = own[name]
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    places = [
        (node.lineno - 1, node.col_offset, node.end_col_offset, node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in known
    ]
    for line, start, end, name in sorted(places, reverse=True):
        if lines[line][start:end] == name:  # not of a line that is gone
            value = known[name]
            number = str(value) if value >= 0 else "(%d)" % value
            lines[line] = lines[line][:start] + number + lines[line][end:]
    return "\n".join(lines)


def _functions(body, within=""):
    """(name, node) of the functions of modules and classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield within + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, node.name + ".")


def _kinds(tree):
    """{global: the cast it needs} for the module's variables that are no const(), or are another
    module's.
    """
    kinds = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            kinds.update((alias.name, "int") for alias in node.names)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            name = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
            if name != "const":
                kinds[node.targets[0].id] = {"array": "ptr32", "bytes": "ptr8"}.get(name, "int")
    return kinds


class _Casts(ast.NodeVisitor):
    def __init__(self, kinds):
        self.kinds = kinds
        self.found = []  # (what goes before, node, what goes after)
        self.read = []  # what is read from an array

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Call):  # for what it does, not for what it gives
            self._arguments(node.value)

    def visit_Call(self, node):
        if not (isinstance(node.func, ast.Name) and node.func.id == "range"):
            self.found.append(("int(", node, ")"))
        self._arguments(node)

    def _arguments(self, call):
        for arg in call.args:
            if not isinstance(arg, (ast.Attribute, ast.Name)):  # which go as the objects they are
                self.visit(arg)

    def visit_Attribute(self, node):
        self.found.append((ARRAYS.get(node.attr, "int") + "(", node, ")"))

    def visit_Name(self, node):
        if node.id in self.kinds:
            self.found.append((self.kinds[node.id] + "(", node, ")"))

    def visit_Subscript(self, node):
        if isinstance(node.ctx, ast.Load):
            self.read.append(("((", node, " ^ 0x80000000) - 0x80000000)"))
        self.generic_visit(node)


def typed(text, wide=False):
    """The module `text` with its hot functions in viper. `wide`: for a machine with words of 64
    bits, where viper reads the 32 bits of a pointer without their sign: for tests and `sim`.
    """
    lines = text.split("\n")
    tree = ast.parse(text)
    kinds = _kinds(tree)
    inserted = {}  # line: [(column, order, what)]

    def insert(line, column, what, order=0):
        inserted.setdefault(line - 1, []).append((column, order, what))

    for name, function in _functions(tree.body):
        if name not in HOT + UNTYPED:
            continue
        # The decorator goes to the blank line before.
        insert(function.lineno - 1, 0, " " * function.col_offset + "@micropython.viper")
        if name in UNTYPED:
            continue
        casts = _Casts(kinds)
        for statement in function.body:
            casts.visit(statement)
        around = (casts.read if wide else []) + casts.found
        for i, (before, node, after) in enumerate(around):
            insert(node.lineno, node.col_offset, before, i)
            insert(node.end_lineno, node.end_col_offset, after, -i)
        arguments = [arg for arg in function.args.args if arg.arg != "self"]
        for arg in arguments:
            insert(arg.end_lineno, arg.end_col_offset, ": int")
        if any(isinstance(node, ast.Return) and node.value for node in ast.walk(function)):
            last = function.args.args[-1]
            colon = lines[last.end_lineno - 1].index("):", last.end_col_offset)
            insert(last.end_lineno, colon + 1, " -> int")
    for line, pieces in inserted.items():
        for column, _, what in sorted(pieces, reverse=True):
            lines[line] = lines[line][:column] + what + lines[line][column:]
    first = next(node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)))
    lines[first.lineno - 1] = "import micropython; " + lines[first.lineno - 1]
    return "\n".join(lines)


# CPython 3.11 counts the depth of all threads' trees in one place and fails when they mix: a
# function among gc.callbacks, such as hypothesis has, lets another thread in while one is made.
_one_at_a_time = threading.Lock()


def copy(folder):
    """Put the firmware's sources into `folder`, the tick as machine code of a 64-bit host. Threads
    may do so at the same time.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "firmware", folder / "firmware", ignore=ignored)
    for module in MODULES:
        path = (folder / module.replace(".", "/")).with_suffix(".py")
        with _one_at_a_time:
            path.write_text(typed(inlined(path.read_text(), keep=True), wide=True))


def for_board(module, text, rp2040):
    """What a board gets of the source `text` of `module`."""
    if module.split(".")[0] not in ROOMS:
        return text
    text = inlined(text)
    if rp2040 and module in MODULES:
        text = typed(text)
    return short.shortened(text)
