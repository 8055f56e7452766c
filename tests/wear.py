"""How often a pile's sessions erase and program each block of its flash: real littlefs,
MicroPython's VfsLfs2, on a block device in memory that counts.

On the Pico W: 848 KiB in blocks of 4 KiB, of which the firmware's files fill the first part. Each
session writes what it writes at most: its line in the history, whose file of up to 8 KiB is
replaced as a whole; a file of the journal, as if the backend were never there in time, and its
removal; and the contactors' wear.
"""

from hal.mcu.common import Files
from hal.virtual.random import Random
from tests import cuts

BLOCKS = 212
FIRMWARE_BYTES = 100000
HISTORY_BYTES = 250  # a session's record: 67, a transaction's id, a reason, a tariff's currency
RECEIPT_BYTES = 700  # and an OCMF record with its signature
JOURNAL_BYTES = 2048  # 20 events of 80 bytes and more


SESSIONS_A_DAY = 50
YEARS = 15
ENDURANCE = 100000  # erases that a block of NOR flash bears, by its data sheets (W25Q16JV)
# MicroPython has littlefs move a metadata pair elsewhere after so many erases (block_cycles).
CYCLES = 100


def measure(sessions=1000):
    """Erases and programs per 1,000 sessions, of all blocks together and of the one that has the
    most erases; how many blocks take turns, and how many there are; and what `life` makes of it.
    """
    blocks = cuts.Blocks([bytearray(b"\xff" * cuts.BLOCK) for _ in range(BLOCKS)])
    cuts.VfsLfs2.mkfs(blocks, progsize=cuts.PROGRAM)
    cuts.mounted(blocks, _firmware)
    before = list(blocks.erases)
    programs = sum(blocks.programs)
    # A pile boots now and then: littlefs begins to look for free blocks elsewhere then.
    for begin in range(0, sessions, 100):
        cuts.mounted(blocks, lambda begin=begin: _sessions(begin, begin + 100))
    erases = [blocks.erases[i] - before[i] for i in range(BLOCKS)]
    found = {
        "sessions": sessions,
        "erases": sum(erases) * 1000 // sessions,
        "programs": (sum(blocks.programs) - programs) * 1000 // sessions,
        "most_erases_of_a_block": (max(erases) * 1000 + sessions - 1) // sessions,
        "blocks_in_turn": sum([1 for n in erases if n]),
        "blocks": BLOCKS,
    }
    found["erases_of_a_block_in_15_years"], found["at_worst"] = life(found)
    return found


def life(found):
    """How often a block is erased in 15 years of 50 sessions a day, by what was `found`. First:
    littlefs goes on to take the free blocks in turn, as it did, and to move its metadata, so that
    a block may be metadata twice on top of that. Second: it stops doing so, and the block that
    was erased most goes on being that for ever.

    Blocks with files that are never written again, such as the firmware's, take no turn.
    """
    sessions = SESSIONS_A_DAY * YEARS * 36525 // 100
    each = found["erases"] * sessions // 1000 // found["blocks_in_turn"] + 2 * (CYCLES + 1)
    return each, found["most_erases_of_a_block"] * sessions // 1000


def _firmware():
    with open("firmware.mpy", "wb") as file:
        for _ in range(FIRMWARE_BYTES // 1000):
            file.write(bytes(1000))


def _sessions(begin, end):
    store = Files()
    random = Random(begin)
    for n in range(begin, end):
        store.replace("j%d-0123abcd" % (n * 20), (bytes(JOURNAL_BYTES),))
        size = HISTORY_BYTES + RECEIPT_BYTES
        place = n % (8192 // size)
        store.replace("h%d" % (n - place), (bytes(size) for _ in range(place + 1)))
        for name in store.names("h")[:-16]:
            store.remove(name)
        store.save("wear", bytes([random.below(256) for _ in range(20)]))
        store.remove("j%d-0123abcd" % (n * 20))
