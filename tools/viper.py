"""Makes machine code of the tick's functions, for an RP2040's .mpy: the same source, typed.

    viper.py firmware/safety/core.py OUT.py

MODULES have such functions. Viper works on machine integers and pointers and must be told so. In
the functions named in HOT parameters become int, arrays of integers ptr32 or ptr16, bytes ptr8;
whatever else is read from an attribute, a global or a call becomes int. Those named in UNTYPED
stay with objects, for a viper function is called faster than a native one. The constants of other
modules, which mpy-cross does not look into, are written in. Lines stay where they are. What the
source must keep to:

- a hot function has integers and booleans only, and returns an integer or nothing;
- an array is reached by a local name (`c = self.cells`) and handed on by its attribute;
- no tuple is subscripted or searched, no boolean is calculated with or compared;
- a blank line is above each.
"""

import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = ("firmware.safety.core", "firmware.safety.blackbox", "firmware.station")
UNTYPED = ("Safety.tick", "Station.safety_tick")
HOT = (
    "permille_of",
    "Safety._tick",
    "Safety._from_inputs",
    "Safety._weigh",
    "BlackBox.note",
)
# Attributes of self
ARRAYS = {
    "cells": "ptr32",
    "_cells": "ptr32",
    "_window": "ptr32",
    "_bounds": "ptr32",
    "_own": "ptr32",
    "_ring": "ptr16",
}


def _functions(body, within=""):
    """(name, node) of the functions of modules and classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield within + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, node.name + ".")


def _constants(tree):
    """{name: value} of the module's const(...) of plain integers."""
    found = {}
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "const"
        ):
            names = {"__builtins__": {}, **found}
            found[node.targets[0].id] = eval(ast.unparse(node.value.args[0]), names)
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _write_in(tree, lines):
    """Puts constants in place of their imports; gives their names."""
    written = set()
    for node in tree.body:
        path = ROOT / ((node.module or "").replace(".", "/") + ".py") if _is_from(node) else None
        if path is None or not path.exists():
            continue
        known = _constants(ast.parse(path.read_text()))
        here = [alias.name for alias in node.names if alias.name in known and not alias.asname]
        if not here:
            continue
        rest = [ast.unparse(alias) for alias in node.names if alias.name not in here]
        start = [f"from {node.module} import {', '.join(rest)}"] if rest else []
        text = "; ".join(start + [f"{name} = const({known[name]})" for name in here])
        lines[node.lineno - 1 : node.end_lineno] = [text] + [""] * (node.end_lineno - node.lineno)
        written.update(here)
    return written


def _is_from(node):
    return isinstance(node, ast.ImportFrom) and node.module != "micropython"


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
    bits, where viper reads the 32 bits of a pointer without their sign; for tests only.
    """
    lines = text.split("\n")
    tree = ast.parse(text)
    const = any(
        isinstance(node, ast.ImportFrom) and ast.unparse(node) == "from micropython import const"
        for node in tree.body
    )
    written = _write_in(tree, lines) if const else ()
    kinds = {name: kind for name, kind in _kinds(tree).items() if name not in written}
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


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(typed(pathlib.Path(sys.argv[1]).read_text()))
