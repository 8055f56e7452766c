"""Flash outlives the pile: 15 years of 50 sessions a day, on paper."""

from tests import cuts, wear


def test_flash_outlives_fifteen_years_of_fifty_sessions_a_day():
    if cuts.VfsLfs2 is None:
        return  # littlefs is MicroPython's
    found = wear.measure(200)
    print(found)
    # Of 212 blocks the firmware's 100 kB take 25; the others take turns.
    assert found["blocks"] * 4 == 848 and found["blocks_in_turn"] >= 180
    # At most: three blocks of files and as many of metadata.
    assert 1000 <= found["erases"] <= 6000
    each, at_worst = wear.life(found)
    assert each <= wear.ENDURANCE // 10
    assert at_worst <= wear.ENDURANCE


def test_the_arithmetic():
    found = {"erases": 3600, "blocks_in_turn": 180, "most_erases_of_a_block": 100}
    # 50 x 15 x 365.25 = 273,937 sessions, 986,173 erases
    assert wear.life(found) == (986173 // 180 + 202, 27393)
