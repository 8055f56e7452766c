"""The local list in constant memory, as `make bench` measures it."""

from tools import bench, bench_access


def test_a_list_of_any_length_takes_the_same_heap():
    found = bench_access.measure(bench.micropython())
    assert found["entries"] == 1000 and not list(bench_access.misses(found)), found
    lookups = [found["by_entries"][str(n)]["lookup_bytes"] for n in bench_access.SIZES]
    assert lookups[-1] < 10000, lookups
