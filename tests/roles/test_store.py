"""Store: named pieces of data, the newest of each."""


def test_it_keeps_by_name(bench):
    store = bench.board.store
    bench.expect(store.load("bench-none") is None, "nothing under a new name", "something")
    for data in (b"one", b"\x00" * 300, b""):
        store.save("bench", data)
        bench.expect(store.load("bench") == data, "what was saved", store.load("bench"))
    store.remove("bench")
    bench.expect(store.load("bench") is None, "nothing after its removal", "something")


def test_it_replaces_reads_parts_lists_and_removes(bench):
    store = bench.board.store
    for piece in (b"abc", b"de"):
        store.replace("bench-b", (piece, bytes(700), b"end"))
        found = store.load("bench-b")
        bench.expect(found == piece + bytes(700) + b"end", "all chunks", found)
    into = bytearray(6)
    for at, n, expected in ((0, 6, b"de" + bytes(4)), (700, 5, b"\0\0end"), (705, 0, b"")):
        found = store.read("bench-b", at, into)
        bench.expect(found == n and into[:n] == expected, expected, (found, bytes(into)))
    bench.expect(store.read("bench-none", 0, into) == 0, "nothing of nothing", "something")
    store.save("bench-a", b"a")
    store.remove("bench-none")
    found = store.names("bench-")
    bench.expect(found == ["bench-a", "bench-b"], "both names, sorted", found)
    for name in found:
        store.remove(name)
    bench.expect(store.names("bench-") == [], "no name", store.names("bench-"))
