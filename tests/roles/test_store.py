"""Store: named pieces of data, the newest of each."""


def test_it_keeps_by_name(bench):
    store = bench.board.store
    bench.expect(store.load("bench-none") is None, "nothing under a new name", "something")
    for data in (b"one", b"\x00" * 300, b""):
        store.save("bench", data)
        bench.expect(store.load("bench") == data, "what was saved", store.load("bench"))
