"""What the local list takes: a look-up's time, and the heap of a doorman with 10, 100 and 1,000
entries; on the unix port, and the heap on the 32-bit one, too.

`measure` starts both interpreters on this very module. The store is the boards' own, on files.
"""

import gc
import time

SIZES = (10, 100, 1000)
_TURNS = 200
_HEAP = 256  # bytes that the doorman's heap may differ by: what an interpreter keeps besides


class _State:
    door = None
    store = None
    before = 0


def _digest(i):
    from hashlib import sha256

    return sha256(str(i).encode()).digest()[:10]


def fill(n):
    """Write a list of `n` entries as updates do; afterwards nothing is in memory."""
    from firmware.access import update
    from firmware.access.entries import LIST, check, pack
    from hal.mcu.common import Files
    from tests.door import Door

    _State.door = None
    store = _State.store = Files()
    if LIST in store.names(LIST):
        store.remove(LIST)
    key_id = Door().digest("")[:4]
    for first in range(0, n, update.AT_ONCE):
        made = [pack(_digest(i), 1) for i in range(first, min(first + update.AT_ONCE, n))]
        version, _ = check(store, LIST, key_id)
        update.write(store, key_id, update.batch(version, version + 1, False, made))
    _look(n)  # what is imported once and stays, stays before the measurement


def _look(n):
    from tests.door import Door

    door = Door(store=_State.store)
    door.boot()
    entries = door.get("entries")
    for i in range(0, n, n // 10):
        if not entries.look(door, _digest(i)):
            raise RuntimeError("entry %d is in the list, and was not found" % i)
    return door


def before():
    """The heap without a doorman."""
    _State.before = gc.mem_alloc()


def boot(n):
    """A doorman with the list, who has looked for some."""
    _State.door = _look(n)


def after(n):
    """Prints the bytes that it keeps."""
    print("heap", n, gc.mem_alloc() - _State.before)


def timed(n):
    """Prints the us of a look-up, the least of the means of some rounds, and what it allocates."""
    door = _State.door
    find = door.get("entries").find
    digests = [_digest(i * n // _TURNS) for i in range(_TURNS)]
    best_us = 1 << 30
    for _ in range(10):
        gc.collect()
        began = time.ticks_us()
        for digest in digests:
            find(door.store, door.count, digest)
        best_us = min(best_us, time.ticks_diff(time.ticks_us(), began))
    gc.collect()
    gc.disable()
    held = gc.mem_alloc()
    find(door.store, door.count, digests[_TURNS // 3])
    print("look", n, best_us / _TURNS, gc.mem_alloc() - held)
    gc.enable()


def _parts(times):
    # Between two parts garbage is collected.
    yield "from tools import bench_access as b"
    for n in SIZES:
        yield "b.fill(%d)" % n
        yield "b.before()"
        yield "b.boot(%d)" % n
        yield "b.after(%d)" % n
        if times:
            yield "b.timed(%d)" % n


def measure(micropython):
    """{"entries": {n: {"lookup_us", "lookup_bytes", "heap_bytes", "heap_bytes_32bit"}}} and the
    figures of the largest list beside it; `micropython` is the unix port's path.
    """
    import os
    import pathlib
    import subprocess
    import tempfile

    repo = pathlib.Path(__file__).resolve().parents[1]
    found = {n: {} for n in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        code = "\ngc.collect()\n".join(["import gc"] + list(_parts(True)))
        unix = subprocess.run(
            [micropython, "-c", code],
            cwd=folder,
            env=dict(os.environ, MICROPYPATH="%s:.frozen" % repo),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    code = "\f".join(["import gc"] + list(_parts(False)))
    sources = ["firmware", "hal", "tests", "tools/bench_access.py"]
    word32 = subprocess.run(
        [str(repo / ".venv/bin/node"), str(repo / "tools/wasm.mjs"), code]
        + ["%s:/%s" % (repo / source, source) for source in sources],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in unix.splitlines():
        what, n, *figures = line.split()
        if what == "heap":
            found[int(n)]["heap_bytes"] = int(figures[0])
        else:
            found[int(n)]["lookup_us"] = round(float(figures[0]))
            found[int(n)]["lookup_bytes"] = int(figures[1])
    for line in word32.splitlines():
        _, n, heap = line.split()
        found[int(n)]["heap_bytes_32bit"] = int(heap)
    most = SIZES[-1]
    figures = dict(found[most])
    figures["entries"] = most
    figures["by_entries"] = {str(n): found[n] for n in SIZES}
    return figures


def misses(found):
    """What `measure` found that is not constant memory, in words."""
    for figure in ("heap_bytes", "heap_bytes_32bit"):
        all_bytes = [sizes[figure] for sizes in found["by_entries"].values()]
        if max(all_bytes) - min(all_bytes) > _HEAP:
            yield "access.%s: grows with the entries: %s" % (figure, all_bytes)
