"""The process that serves: what it may leave behind, and who may read it."""

import stat
from pathlib import Path

import pytest

from .program import running

CONFIGURATION = """\
hostname = "mx.example.com"
postmaster = "ops@example.com"
[[listener]]
listen = "127.0.0.1:0"
[log]
dir = "logs"
[spool]
path = "spool"
min_free_space = 1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("process")
    (folder / "angarium.toml").write_text(CONFIGURATION)
    with running("run", str(folder / "angarium.toml")) as process:
        assert any("listening on" in line for line in process.stderr)
        yield process.pid, folder


def test_no_core_is_left(server):
    """A core dump would hold mail and passwords: none is written."""
    pid, _ = server
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    [core] = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]


def test_files_are_for_nobody_else(server):
    """What the server makes is its own user's alone, whatever the umask it was started with."""
    pid, folder = server
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Umask:\t0077" in status
    made = [path for name in ("spool", "logs") for path in [folder / name, *(folder / name).rglob("*")]]
    assert len(made) > 4
    for path in made:
        assert not path.lstat().st_mode & 0o077, path


def test_the_control_socket(server):
    """It has mode 0600."""
    _, folder = server
    mode = (folder / "spool" / "control.sock").lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert mode & 0o777 == 0o600
