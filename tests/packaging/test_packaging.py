"""What ships runs unprivileged: the systemd unit is tight, and the container has no root."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_the_unit_is_tight():
    """Its exposure is what docs/security.md says, or less."""
    unit = str(PACKAGING / "angarium.service")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    score = re.search(r"exposure level for angarium.service: ([0-9.]+)", done.stdout)
    said = re.search(r"`systemd-analyze security`: ([0-9.]+)", SECURITY.read_text())
    assert score is not None, done.stderr
    assert said is not None
    assert float(score[1]) <= float(said[1])


def test_the_container_is_no_root():
    """The last user of the image is not root, and nothing after it runs at build time."""
    lines = (PACKAGING / "Dockerfile").read_text().splitlines()
    users = [number for number, line in enumerate(lines) if line.startswith("USER ")]
    assert lines[users[-1]] == "USER angarium"
    assert not [line for line in lines[users[-1] :] if line.startswith("RUN ")]
