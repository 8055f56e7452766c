"""Makes viper of the safety core's hot functions, for a board's .mpy: the same source, typed.

    viper.py firmware/safety/core.py OUT.py

Viper works on machine integers and pointers and must be told so. The functions named in NATIVE
become native. In those named in HOT parameters become int, arrays of integers ptr32, bytes ptr8;
whatever else is read from an attribute, a global or a call becomes int. Lines stay where they are.
What the source must keep to:

- a hot function has integers and booleans only, and returns an integer or nothing;
- an array is reached by a local name (`c = self.cells`) and handed on by its attribute;
- no tuple is subscripted or searched, no boolean is calculated with or compared.
"""

import ast
import pathlib
import sys

NATIVE = ("tick",)
HOT = ("permille_of", "_tick", "_from_inputs", "_weigh")
ARRAYS = ("cells", "_window", "_bounds")  # attributes of self


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
        self.found.append(("ptr32(" if node.attr in ARRAYS else "int(", node, ")"))

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
    tree = ast.parse(text)
    kinds = _kinds(tree)
    inserted = {}  # line: [(column, order, what)]
    lines = text.split("\n")

    def insert(line, column, what, order=0):
        inserted.setdefault(line - 1, []).append((column, order, what))

    for function in ast.walk(tree):
        if not (isinstance(function, ast.FunctionDef) and function.name in HOT + NATIVE):
            continue
        # The decorator goes to the blank line before.
        emitter = "native" if function.name in NATIVE else "viper"
        insert(function.lineno - 1, 0, " " * function.col_offset + "@micropython." + emitter)
        if function.name in NATIVE:
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
    first = next(i for i, line in enumerate(lines) if line.startswith("from micropython import"))
    lines[first] = "import micropython; " + lines[first]
    return "\n".join(lines)


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(typed(pathlib.Path(sys.argv[1]).read_text()))
