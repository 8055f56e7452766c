"""The log's last lines, as boards keep them."""

from hal import log


def test_it_names_nobody():
    # The line's payloads do; what was said of them stays to be read.
    for text in (
        '[2,"s1-c1","Authorize",{"idToken":{"idToken":"04A1B2C3","type":"ISO14443"}}]',
        '[3,"m1",{"status":"Accepted"}]',
        '[4,"m1","FormatViolation","payload.x: no such field",{}]',
    ):
        log.record("uplink", message=text, dup=True)
        line = list(log.kept)[-1]
        assert line.endswith(" uplink dup=True message=" + text[: text.index("{")]), line
    log.record("access", decision="refused", why="{")
    assert list(log.kept)[-1].endswith(" access decision=refused why={")
    log.record("error", problem="x" * 500)
    assert len(list(log.kept)[-1]) == 200
