"""What a cut flash leaves: the old files or the new ones, at every moment; and what is missing."""

import os

from hal import installed

_FILES = ("a.txt", "deep/er/b.txt", "deep/c.txt", "stale.txt")
_NEW = "1 3 a.txt\n2 2 deep/er/b.txt\n3 4 deep/c.txt\n- 0 stale.txt\n"


class _Cut(Exception):
    pass


class _Disk:
    """Stands for `os` and `open`, in memory; `left` writes from now the supply is cut."""

    def __init__(self, files):
        self.files = dict(files)
        self.directories = {"new"}
        self.left = 1000

    def _write(self):
        if not self.left:
            raise _Cut
        self.left -= 1

    def stat(self, path):
        if path in self.directories:
            return (0x4000, 0, 0, 0, 0, 0, 0)
        if path in self.files:
            return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]))
        raise OSError(2)

    def mkdir(self, path):
        self._write()
        self.directories.add(path)

    def remove(self, path):
        self._write()
        del self.files[path]

    def rename(self, old, new):
        self._write()
        head = new.rpartition("/")[0]
        if head and head not in self.directories:
            raise OSError(2)
        self.files[new] = self.files.pop(old)

    def open(self, path):
        return _Lines(self.files[path])


class _Lines:
    def __init__(self, text):
        self._lines = text.split("\n")[:-1]

    def __enter__(self):
        return iter([line + "\n" for line in self._lines])

    def __exit__(self, *_):
        pass


def _disk():
    return _Disk(
        {
            "a.txt": "old",
            "stale.txt": "old",
            "files.txt": "0 3 a.txt\n0 3 stale.txt\n",
            "new/a.txt": "new",
            "new/deep!er!b.txt": "bb",
            "new/deep!c.txt": "cccc",
            "new/files.txt": _NEW,
        }
    )


def _on(disk, function):
    installed.os = disk
    installed.open = disk.open
    try:
        return function()
    finally:
        installed.os = os
        del installed.open


def test_a_whole_set_moves_to_its_place():
    disk = _disk()
    assert _on(disk, installed.finish)
    assert disk.files == {
        "a.txt": "new",
        "deep/er/b.txt": "bb",
        "deep/c.txt": "cccc",
        "files.txt": _NEW,
    }
    assert not _on(disk, installed.finish)
    assert _on(disk, installed.missing) == []


def test_a_cut_at_every_write_ends_in_the_new_set():
    whole = _disk()
    _on(whole, installed.finish)
    writes = 1000 - whole.left
    assert writes >= 6
    for left in range(writes):
        disk = _disk()
        disk.left = left
        try:
            _on(disk, installed.finish)
        except _Cut:
            disk.left = 1000
            assert _on(disk, installed.finish)
        assert disk.files == whole.files, left


def test_without_its_list_nothing_new_counts():
    disk = _disk()
    del disk.files["new/files.txt"]
    assert not _on(disk, installed.finish)
    assert disk.files["a.txt"] == "old"


def test_what_is_missing_or_short_is_named():
    disk = _disk()
    _on(disk, installed.finish)
    del disk.files["deep/c.txt"]
    disk.files["a.txt"] = "ne"
    assert _on(disk, installed.missing) == ["a.txt", "deep/c.txt"]


def test_a_board_without_a_list_misses_nothing():
    assert _on(_Disk({}), installed.missing) == []
    assert not _on(_Disk({}), installed.in_production)
    assert _on(_Disk({"production": ""}), installed.in_production)
