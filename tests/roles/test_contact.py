"""Contact: known within a second, without its bouncing, and the same while nobody touches it."""


def test_it_is_known_and_stays(bench):
    contact = getattr(bench.board, "limit_input", None)
    if contact is None:
        bench.note("limit_input", "none")
        return
    bench.until(lambda: contact.active is not None, 1000, "whether the contact is active")
    first = contact.active
    bench.note("limit_input", "active" if first else "not active")
    for _ in range(20):
        bench.wait(50)
        bench.expect(contact.active is first, "a contact that stays", contact.active)
