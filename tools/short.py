"""Short names for what a board gets: each name costs its bytes in every module that uses it.

Names that begin with one underscore become "_" and two characters, the same in every module, so
that a class and what inherits from it agree; parameters that no call names become one letter.
Lines stay where they are. `python tools/short.py _aB` tells which name of the source that is.
"""

import ast
import binascii
import functools
import pathlib
import re
import string
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("firmware", "hal")
_UMQTT = ROOT / ".venv" / "umqtt" / "umqtt" / "simple.py"  # inherited from: its names are its own
_DIGITS = string.ascii_letters + string.digits
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _private(name):
    return len(name) > 3 and name[0] == "_" and name[1] != "_"


def _names(tree):
    """Every private name that `tree` has, but those of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name


@functools.cache
def _sources():
    """The trees of all that a board may get."""
    paths = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


@functools.cache
def table():
    """{private name: its short one}. A name keeps its own however the rest of the source changes,
    but where two come to the same.
    """
    taken = set(_names(ast.parse(_UMQTT.read_text(encoding="utf-8"))))
    imported = set()
    for tree in _sources():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported.update(part for alias in node.names for part in alias.name.split("."))
    names = {name for tree in _sources() for name in _names(tree)}
    used = names | taken
    ours = {name for name in names if _private(name)} - taken
    found = {}
    for name in sorted(ours - imported.intersection(sys.stdlib_module_names)):
        at = binascii.crc32(name.encode())
        while True:
            short = "_" + _DIGITS[at % 62] + _DIGITS[at // 62 % 62]
            if short not in used:
                break
            at += 1
        used.add(short)
        found[name] = short
    return found


@functools.cache
def _keywords():
    """The parameters that some call names."""
    others = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "main.py", _UMQTT)]
    return {
        word.arg
        for tree in [*_sources(), *others]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
    }


def _parameters(function):
    args = function.args
    return [] if args.kwarg or args.kwonlyargs else args.posonlyargs + args.args


def _parameter_places(tree):
    """(line, column in bytes, old, new) for each parameter and its uses."""
    for function in ast.walk(tree):
        if not isinstance(function, _SCOPES):
            continue
        inner = list(ast.walk(function))
        # What is nested sees the names of what is around it: both are left alone.
        if any(isinstance(node, (*_SCOPES, ast.comprehension)) for node in inner[1:]):
            continue
        parameters = _parameters(function)
        taken = {node.id for node in inner if isinstance(node, ast.Name)}
        taken.update(arg.arg for arg in parameters)
        taken.update(node.name for node in inner if isinstance(node, ast.ExceptHandler))
        taken.update(
            alias.asname
            for node in inner
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        )
        free = [letter for letter in string.ascii_lowercase if letter not in taken]
        for arg in parameters:
            if len(arg.arg) > 1 and arg.arg not in _keywords() and free:
                new = free.pop(0)
                yield arg.lineno, arg.col_offset, arg.arg, new
                for node in inner:
                    if isinstance(node, ast.Name) and node.id == arg.arg:
                        yield node.lineno, node.col_offset, arg.arg, new


def _private_places(tree, lines):
    """(line, column in bytes, old, new) for each private name."""
    short = table()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found = [(node.attr, node.end_lineno, node.end_col_offset - len(node.attr.encode()))]
        elif isinstance(node, ast.Name):
            found = [(node.id, node.lineno, node.col_offset)]
        elif isinstance(node, ast.arg):
            found = [(node.arg, node.lineno, node.col_offset)]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found = [_written(lines, node.name, node)]
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            found = [_written(lines, name, node) for name in node.names]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [name for alias in node.names for name in (alias.name, alias.asname) if name]
            found = [_written(lines, name, node) for name in names if name in short]
        else:
            continue
        for name, line, column in found:
            if name in short:
                yield line, column, name, short[name]


def _written(lines, name, node):
    """Where the statement `node` has `name`, whose place ast does not tell."""
    for line in range(node.lineno, node.end_lineno + 1):
        found = re.search(r"\b%s\b" % name, lines[line - 1])
        if found:
            return name, line, len(lines[line - 1][: found.start()].encode())
    raise ValueError("line %d: expected %s" % (node.lineno, name))


def shortened(text):
    """The source `text` with short names."""
    tree = ast.parse(text)
    lines = text.split("\n")
    # A parameter is private and a parameter: its letter stays.
    places = {place[:2]: place[2:] for place in _private_places(tree, lines)}
    places.update({place[:2]: place[2:] for place in _parameter_places(tree)})
    for (line, column), (old, new) in sorted(places.items(), reverse=True):
        whole = lines[line - 1].encode()
        end = column + len(old)
        if whole[column:end] != old.encode():
            raise ValueError("line %d: expected %s, found %s" % (line, old, lines[line - 1]))
        lines[line - 1] = (whole[:column] + new.encode() + whole[end:]).decode()
    return "\n".join(lines)


if __name__ == "__main__":
    for name, short in sorted(table().items()):
        if short in sys.argv[1:]:
            print(short, "is", name)
