"""A fixed sample of tools/mutate.py's mutants: the control tests catch every one."""

import subprocess
import sys

import pytest

from tools import mutate


@pytest.mark.timeout(900)
def test_the_control_tests_catch_a_sample_of_mutants():
    # in a process of its own: it puts other modules in the place of the firmware's
    command = [sys.executable, mutate.__file__, "--quick", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], done.stderr)
    assert done.returncode == 0
    assert done.stdout.count("caught   ") >= 40


def test_what_is_called_equivalent_exists():
    found = [mutant for path in mutate.TARGETS for mutant in mutate.mutants(path)]
    assert len(found) > 300
    excused = {mutant.equivalent for mutant in found} - {""}
    assert excused == {why for *_, why in mutate.EQUIVALENT}
