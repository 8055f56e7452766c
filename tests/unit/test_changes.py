"""What was changed of the configuration outlives cuts at every byte, and never what it is for."""

import json
import os
import struct

from firmware import changes, config
from hal.virtual.random import Random
from tests.support import raises

GIVEN = {"station_id": "CP-1", "broker": "h:1883", "password": "hunter2", "breaker_a": 16}


class Cut(Exception):
    pass


class Flash:
    """The store of a file system that writes in place: a cut leaves what was written until then.
    Also `fail`: an OSError for every write.
    """

    def __init__(self, given=GIVEN):
        self.files = {}
        self.left = None  # bytes until the power goes
        self.fail = None
        self.written = 0
        if given is not None:
            self.files["config.json"] = given if isinstance(given, bytes) else _json(given)

    def load(self, name):
        return self.files.get(name)

    def save(self, name, data):
        if self.fail:
            raise OSError(self.fail)
        if self.left is not None:
            if self.left < len(data):
                self.files[name] = data[: self.left]
                raise Cut
            self.left -= len(data)
        self.files[name] = data
        self.written += len(data)

    def names(self, prefix):
        return sorted([name for name in self.files if name.startswith(prefix)])

    def remove(self, name):
        del self.files[name]

    def boot(self):
        """The configuration of the next boot, and what was said."""
        self.left = None
        del config.problems[:]
        found = config.merged("config.json", self.load, self.save)
        return found, list(config.problems)


def _json(fields):
    return json.dumps(fields).encode()


def _started(given=GIVEN):
    flash = Flash(given)
    flash.boot()
    return flash


def test_a_change_holds_from_the_next_boot_on():
    flash = _started()
    changes.save(flash, {"sample_interval_s": 10, "root": "x"})
    found, said = flash.boot()
    assert (found["sample_interval_s"], found["root"], found["breaker_a"]) == (10, "x", 16)
    assert said == [] and flash.files["config.json"] == _json(GIVEN)
    changes.save(flash, {"root": None})
    found, said = flash.boot()
    assert (found["sample_interval_s"], found["root"], said) == (10, "ocpp", [])


def test_nothing_new_is_not_written():
    flash = _started()
    changes.save(flash, {"root": "x"})
    before = flash.written
    changes.save(flash, {"root": "x"})
    changes.save(flash, {"root": "x", "user": None})
    changes.save(flash, {})
    flash.boot()
    assert flash.written == before


def test_the_copies_are_written_in_turn_and_alike_everywhere():
    flash = _started({"station_id": "CP-\u00e9", "user": 'a"\\\n', "root": "r"})
    counts = []
    for n in range(5, 10):
        changes.save(flash, {"keepalive_s": n})
        counts.append([struct.unpack("<I", flash.files["config.%d" % i][4:8])[0] for i in (1, 2)])
    assert counts == [[1, 2], [3, 2], [3, 4], [5, 4], [5, 6]]
    body = '{"changed":{"keepalive_s":9},"given":{"root":"r","station_id":"CP-\u00e9","user":"a'
    body = body.encode() + b'\\u0022\\u005c\\u000a"}}'
    assert flash.files["config.2"][8:-4] == body
    assert flash.files["config.2"][:8] == b"VPC\x01\x06\x00\x00\x00"
    assert flash.boot()[0]["user"] == 'a"\\\n'


def test_what_is_no_field_or_out_of_range_is_refused_whole():
    flash = _started()
    kept = dict(flash.files)
    for bad, words in (
        ({"colour": 1}, "colour: no such field"),
        ({"colour": None}, "colour: no such field"),
        ({"root": "x", "keepalive_s": 4}, "keepalive_s: expected a whole number from 5"),
        ({"broker": "nowhere"}, "HOST:PORT"),
        ({"password": "hunter3\0"}, "password"),
        ({"station_id": "a/b"}, "MQTT"),
    ):
        text = str(raises(ValueError, changes.save, flash, bad))
        assert words in text and "hunter" not in text, text
    assert flash.files == kept


def test_a_cut_at_every_byte_of_a_change_leaves_the_old_or_the_new():
    cuts = 0
    base = _started()
    for saves in range(3):
        n = 0
        while True:
            flash = Flash()
            flash.files = dict(base.files)
            flash.left = n
            try:
                changes.save(flash, {"keepalive_s": 99, "user": "u"})
                cut = False
            except Cut:
                cut = True
            found, said = flash.boot()
            old = (10 + saves - 1 if saves else 30, "")
            now = (found["keepalive_s"], found["user"])
            assert now in (old, (99, "u")) and (cut or now == (99, "u"))
            # one that is torn is said once, for the boot makes it whole
            assert flash.boot()[1] == []
            if not cut:
                break
            if n % 16 == 0:
                changes.save(flash, {"keepalive_s": 50})
                assert flash.boot()[0]["keepalive_s"] == 50
            cuts += 1
            n += 1
        changes.save(base, {"keepalive_s": 10 + saves})
    assert cuts > 400


def test_a_torn_config_json_starts_with_the_last_good_one():
    whole = _json(GIVEN)
    base = _started()
    changes.save(base, {"keepalive_s": 77})
    for n in range(len(whole)):
        flash = Flash()
        flash.files = dict(base.files)
        flash.files["config.json"] = whole[:n]
        for _ in range(2):  # it stays so until somebody sees to it
            found, said = flash.boot()
            assert found["station_id"] == "CP-1" and found["keepalive_s"] == 77
            assert len(said) == 1 and said[0].startswith("config.json: not JSON"), said
            assert "what was kept of it holds" in said[0]
        if n % 16 == 0:
            changes.save(flash, {"keepalive_s": 78})
            found, said = flash.boot()
            assert (found["password"], found["keepalive_s"]) == ("hunter2", 78)
        # and with one of the copies torn besides
        flash.files["config.2"] = base.files["config.2"][:n]
        found, said = flash.boot()
        assert found["station_id"] == "CP-1" and len(said) == 2


def test_a_missing_or_a_wrong_config_json_too():
    for bad, words in (
        (None, "no such file"),
        (b"[]", "JSON object"),
        (_json({"station_id": ""}), "station_id"),
        (_json({"station_id": "a", "colour": 1}), "colour"),
        (b"\xff\xfe\x00\x01" * 20, "config.json"),
        (bytes(200), "not JSON"),
    ):
        flash = _started()
        if bad is None:
            del flash.files["config.json"]
        else:
            flash.files["config.json"] = bad
        found, said = flash.boot()
        assert found["station_id"] == "CP-1" and words in said[0], said
        for name in ("config.1", "config.2"):
            flash.files.pop(name, None)
        assert words in str(raises(ValueError, flash.boot))


def test_a_cut_at_every_byte_of_provisioning_leaves_a_pile_that_starts():
    newer = dict(GIVEN)
    newer["station_id"] = "CP-2"
    data = _json(newer)
    base = _started()
    changes.save(base, {"keepalive_s": 77})
    for n in range(len(data) + 1):
        flash = Flash()
        flash.files = dict(base.files)
        flash.left = n
        try:
            flash.save("config.json", data)
            whole = True
        except Cut:
            whole = False
        # and then the boot that keeps a copy is cut as well
        for k in (0, 1, 20, 100):
            flash.left = k
            try:
                config.merged("config.json", flash.load, flash.save)
            except Cut:
                pass
            found, said = flash.boot()
            assert found["station_id"] == ("CP-2" if whole else "CP-1")
            assert found["keepalive_s"] == 77


def test_what_is_given_anew_is_newer_than_a_change():
    flash = _started()
    changes.save(flash, {"broker": "other:1883", "keepalive_s": 77, "user": "u"})
    flash.files["config.json"] = _json({"station_id": "CP-1", "broker": "third:1883", "user": "v"})
    for said_of in (["config.json: broker", "config.json: user"], []):
        found, said = flash.boot()
        assert (found["broker"], found["user"]) == ("third:1883", "v")
        assert found["keepalive_s"] == 77 and found["breaker_a"] == 0
        assert len(said) == len(said_of)
        assert all(words.startswith(of) for words, of in zip(said, said_of)), said


def test_a_damaged_copy_is_told_and_made_whole():
    flash = _started()
    changes.save(flash, {"keepalive_s": 77})
    changes.save(flash, {"keepalive_s": 78})
    kept = dict(flash.files)
    random = Random(3)
    for slot, other_s in ((1, 77), (2, 78)):
        for _ in range(200):
            flash.files = dict(kept)
            bad = bytearray(kept["config.%d" % slot])
            bad[random.below(len(bad))] ^= 1 << random.below(8)
            flash.files["config.%d" % slot] = bytes(bad)
            found, said = flash.boot()
            assert found["keepalive_s"] == other_s and len(said) == 1
            assert "config.%d: torn or damaged; the other copy holds" % slot in said[0]
            assert flash.boot()[1] == []
    for foreign in (b"", b"VPC", b"garbage" * 50, kept["config.1"] + b"\0"):
        flash.files = {"config.1": foreign, "config.2": foreign, "config.json": _json(GIVEN)}
        found, said = flash.boot()
        assert found["keepalive_s"] == 30 and len(said) == 2
        assert all("what was changed is lost" in words for words in said)
    # a copy that lies where the other belongs is none of ours
    flash.files = dict(kept)
    flash.files["config.2"] = kept["config.1"]
    found, said = flash.boot()
    assert found["keepalive_s"] == 78 and len(said) == 1


def test_a_copy_of_other_things_is_none():
    for body in ("[]", "{}", '{"given":1,"changed":{}}', '{"given":{},"changed":[]}', "{", "5"):
        data = struct.pack("<3sBI", b"VPC", 1, 1) + body.encode()
        data += struct.pack("<I", changes.binascii.crc32(data))
        assert changes.unpack(data) is None, body
    good = changes.pack(1, 1, None, {"root": "x"})
    assert changes.unpack(good) == (1, 1, None, {"root": "x"})


def test_a_full_flash_is_said_and_nothing_is_lost():
    flash = Flash()
    flash.fail = 28
    found, said = flash.boot()
    assert found["station_id"] == "CP-1" and "no copy can be kept" in said[0]
    raises(OSError, changes.save, flash, {"root": "x"})
    flash.fail = None
    changes.save(flash, {"root": "x"})  # without a copy of what was given
    found, said = flash.boot()
    assert (found["root"], said) == ("x", [])
    flash.fail = 28
    raises(OSError, changes.save, flash, {"root": "y"})
    found, said = flash.boot()
    assert (found["root"], said) == ("x", [])


def test_a_newer_format_is_taken_as_far_as_it_is_known():
    newer = dict(GIVEN)
    newer.update({"format": 9, "colour": {"of": ["many"]}, "sample_interval_s": "often"})
    flash = Flash(newer)
    found, said = flash.boot()
    assert sorted(found) == sorted(config.FIELDS)
    assert found["password"] == "hunter2" and found["sample_interval_s"] == 60
    assert len(said) == 3 and "format 9, newer than" in said[0]
    assert "colour: no such field; it is left out" in said[1]
    assert "sample_interval_s: expected" in said[2] and "60 holds" in said[2]
    # but who the pile is must be known
    del flash.files["config.1"]
    flash.files["config.json"] = b'{"format": 9}'
    assert "station_id" in str(raises(ValueError, flash.boot))
    for bad in (-1, True, "1", 1.5, None):
        flash.files["config.json"] = _json({"format": bad, "station_id": "a"})
        assert "format: expected a whole number" in str(raises(ValueError, flash.boot))


def test_a_newer_copy_is_taken_as_far_as_it_is_known_and_keeps_the_rest():
    flash = _started()
    fields = {"colour": 7, "root": "x", "keepalive_s": "often"}
    flash.files["config.1"] = changes.pack(2, 1, GIVEN, fields)
    found, said = flash.boot()
    assert (found["root"], found["keepalive_s"]) == ("x", 30)
    assert len(said) == 3 and "config.1: format 2, newer" in said[0], said
    changes.save(flash, {"user": "u"})
    changed = changes.unpack(flash.files["config.2"])[3]
    fields["user"] = "u"
    assert changed == fields


def test_formats_before_are_migrated():
    # So far there is one: that of a config.json without "format", which needs no more than that.
    assert config.FORMAT == len(config.MIGRATIONS) == 1
    flash = Flash(dict(GIVEN, format=1))
    found, said = flash.boot()
    assert said == [] and "format" not in found
    flash.files["config.json"] = _json(GIVEN)
    flash.written = 0
    assert flash.boot() == (found, []) and not flash.written


def test_with_plain_files():
    stem = "test_changes"
    names = [stem + end for end in (".json", ".1", ".2", ".1.new", ".2.new")]

    class Files:
        load = staticmethod(changes.file)
        save = staticmethod(changes.write)

    try:
        with open(stem + ".json", "w") as file:
            file.write('{"station_id": "CP-1"}')
        assert config.load(stem + ".json")["root"] == "ocpp"
        changes.save(Files, {"root": "x"}, stem)
        with open(stem + ".json", "w") as file:
            file.write('{"stat')
        found = config.load(stem + ".json")
        assert (found["station_id"], found["root"]) == ("CP-1", "x")
        assert "not JSON" in config.problems[0]
        assert config.given(stem + ".json") == {"station_id": "CP-1", "format": 1}
        with open(stem + ".json", "w") as file:
            file.write('{"station_id": "CP-3", "format": 1}')
        assert config.given(stem + ".json") == {"station_id": "CP-3", "format": 1}
        with open(stem + ".json", "w") as file:
            file.write("[]")
        assert config.given(stem + ".json") == {"station_id": "CP-1", "format": 1}
    finally:
        for name in names:
            try:
                os.remove(name)
            except OSError:
                pass
    assert config.given("nowhere.json") == {}


def _learned():
    flash = _started()
    changes.save(flash, {"broker": "new:1883", "password": "rotated", "wifi_ssid": "yard"})
    changes.save(flash, {"breaker_a": 10, "keepalive_s": 77, "root": "x", "min_pause_s": 0})
    for name in ("access.list", "access.cache", "access.reserved", "h1", "h33"):
        flash.files[name] = b"learned"
    for name in STAY:
        flash.files[name] = b"stays"
    return flash


STAY = ("wear", "service", "blackbox1", "token.key", "receipt.key", "j1-ab", "board.json", "hal")


def test_a_factory_reset_keeps_identity_calibration_and_debts():
    flash = _learned()
    gone = changes.factory_reset(flash, lambda: False)
    assert gone == ["keepalive_s", "min_pause_s", "h1", "h33"] + [
        "access.cache",
        "access.list",
        "access.reserved",
    ]
    assert sorted(flash.files) == sorted(STAY + ("config.json", "config.1", "config.2"))
    assert all(flash.files[name] == b"stays" for name in STAY)
    kept = dict(flash.files)
    for lost in ("none", "config.1", "config.2"):
        flash.files = dict(kept)
        flash.files.pop(lost, None)
        found, said = flash.boot()
        assert (found["broker"], found["password"]) == ("new:1883", "rotated")
        assert (found["wifi_ssid"], found["root"], found["breaker_a"]) == ("yard", "x", 10)
        assert (found["keepalive_s"], found["min_pause_s"], said) == (30, 300, [])
    before = flash.written
    assert changes.factory_reset(flash, lambda: False) == [] and flash.written == before


def test_never_while_a_contactor_is_closed():
    flash = _learned()
    kept = dict(flash.files)
    error = raises(ValueError, changes.factory_reset, flash, lambda: True)
    assert "a contactor is closed" in str(error) and flash.files == kept


def test_a_factory_reset_that_was_cut_is_done_again():
    base = _learned()
    n = 0
    while True:
        flash = Flash()
        flash.files = dict(base.files)
        flash.left = n
        try:
            changes.factory_reset(flash, lambda: False)
            break
        except Cut:
            pass
        found, _ = flash.boot()
        assert (found["station_id"], found["broker"], found["root"]) == ("CP-1", "new:1883", "x")
        assert found["keepalive_s"] in (30, 77)
        changes.factory_reset(flash, lambda: False)
        assert flash.boot()[0]["keepalive_s"] == 30 and not flash.names("access")
        n += 7
    assert n > 300
