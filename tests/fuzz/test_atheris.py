"""The fuzzer itself, for a moment each: targets stay runnable, and new code is not easily broken."""

import importlib.util
import subprocess
import sys

import pytest
from fuzz.all import fuzz
from fuzz.targets import TARGETS

SECONDS = 1

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed (make fuzz installs it)"
)


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment(name):
    """Octets led by coverage break no invariant in a moment; `make fuzz` gives them more time."""
    command = [sys.executable, "-m", "fuzz.run", name, str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stat::number_of_executed_units" in done.stderr


def test_a_target_that_fails_says_why():
    """What went wrong is shown, and is not taken for a target that holds."""
    outcome = fuzz("no such target", SECONDS)
    assert "BROKEN" in outcome.line
    assert "KeyError: 'no such target'" in outcome.complaint
