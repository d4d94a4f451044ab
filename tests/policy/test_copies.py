"""policy.copies: what is in force can be loaded again, whatever has become of the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from angarium.policy.config import ConfigError
from angarium.policy.copies import Copies, copies_in
from angarium.policy.load import Changing, load
from angarium.policy.source import reading_copies

MAIN = """\
postmaster = "ops@example.com"
[[listener]]
listen = "127.0.0.1:2525"
[policy]
listener_domains = ["domains.toml"]
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A main file beside a spool."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "domains.toml").write_text('["example.com"]\nrelay_to = true\n')
    path = tmp_path / "main.toml"
    path.write_text(MAIN)
    return path


def test_what_was_copied_is_loaded(main: Path) -> None:
    """Copies load as the files did, with the files' names in what is told of them."""
    before = load(main)
    copies = Copies(main.parent / "spool")
    place = copies.make(before)
    main.with_name("domains.toml").write_text("broken")
    with reading_copies(copies_in(place)):
        after = load(main)
    assert (after.hash, after.files, after.problems) == (before.hash, before.files, before.problems)
    with pytest.raises(ConfigError):
        load(main)
    copies.close()


def test_only_what_is_in_force_is_copied(main: Path) -> None:
    """Files that have changed since they were loaded are not copied, and nothing is left of the attempt."""
    configuration = load(main)
    main.with_name("domains.toml").write_text("")
    copies = Copies(main.parent / "spool")
    with pytest.raises(Changing):
        copies.make(configuration)
    assert not list((main.parent / "spool").glob("*/*"))
    copies.close()


def test_what_a_killed_node_left_is_taken_away(main: Path) -> None:
    """Copies that nobody uses are removed; those of a node that runs are not."""
    spool = main.parent / "spool"
    (spool / "configuration-left" / "1").mkdir(parents=True)
    (spool / "configuration-backup").mkdir()
    (spool / "configuration-backup" / "main.toml").touch()
    first = Copies(spool)
    place = first.make(load(main))
    second = Copies(spool)
    second.make(load(main))
    assert len(list(spool.glob("configuration-*"))) == 3  # the backup is somebody's own
    second.close()
    assert copies_in(place)
    first.remove(place)
    with pytest.raises(Changing):
        copies_in(place)
    first.close()
    assert [path.name for path in spool.iterdir()] == ["configuration-backup"]


def test_nobody_else_reads_them(main: Path) -> None:
    """Copies may hold passwords: only the user that serves may look into their folder."""
    copies = Copies(main.parent / "spool")
    copies.make(load(main))
    [folder] = (main.parent / "spool").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    copies.close()


def test_a_spool_without_room(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the spool takes nothing the copies are in the folder for temporary files, and go with the node;
    folders of the same name that others made stay.
    """
    elsewhere = main.parent / "tmp"
    (elsewhere / "configuration-of-others").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    (main.parent / "spool").rmdir()
    copies = Copies(main.parent / "spool")
    place = copies.make(load(main))
    assert copies_in(place)
    assert place.is_relative_to(elsewhere)
    assert place.parent.stat().st_mode & 0o077 == 0
    copies.close()
    assert [path.name for path in elsewhere.iterdir()] == ["configuration-of-others"]
