"""CardReader: a card is one event, its identifier upper-case hex."""


def test_a_card_is_one_event(bench):
    reader = bench.board.reader
    bench.wait(500)
    reader.read()  # one that was there before
    if not bench.card():
        return
    seen = []

    def presented():
        uid = reader.read()
        if uid is not None:
            seen.append(uid)
        return seen

    bench.note("read after, ms", bench.until(presented, 20000, "a card's identifier"))
    uid = seen[0]
    bench.note("identifier", "of %d bytes" % (len(uid) // 2))
    bench.expect(
        len(uid) in (8, 14, 20) and all(c in "0123456789ABCDEF" for c in uid),
        "4, 7 or 10 bytes in upper-case hex",
        uid,
    )
    for _ in range(50):
        bench.wait(20)
        bench.expect(reader.read() is None, "one event for a card that stays", "another")
