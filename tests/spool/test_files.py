"""spool.files: what is written as synced is all there, and safe, whatever the kernel knows."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from angarium.spool import files
from angarium.spool.files import DiskFiles

PARTS = [b"x" * 700, memoryview(b"y" * 5), bytearray(b"z")] * 800  # more than one system call takes


@pytest.mark.parametrize("trouble", [None, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_synced_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int | None) -> None:
    """It writes everything, and syncs by itself where the file system does not take the flag for it."""
    disk, synced = DiskFiles(), []
    write, sync = os.pwritev, os.fdatasync

    def pwritev(handle: int, parts: list[bytes], offset: int, flags: int = 0) -> int:
        if flags and trouble is not None:
            raise OSError(trouble, os.strerror(trouble))
        return write(handle, parts, offset, flags)

    def fdatasync(handle: int) -> None:
        synced.append(handle)
        sync(handle)

    monkeypatch.setattr(files.os, "pwritev", pwritev)
    monkeypatch.setattr(files.os, "fdatasync", fdatasync)
    handle = disk.create(tmp_path / "segment")
    disk.write_synced(handle, PARTS, 3)
    assert disk.read(handle, disk.size(handle), 3) == b"".join(PARTS)
    assert bool(synced) is (trouble is not None)
    disk.close(handle)


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel takes in pieces is whole, and every piece is as durable as asked for."""
    disk, asked = DiskFiles(), set()
    write = os.pwritev

    def pwritev(handle: int, parts: list[bytes], offset: int, flags: int = 0) -> int:
        asked.add(flags)
        return write(handle, [b"".join(parts)[:1000]], offset, flags)

    monkeypatch.setattr(files.os, "pwritev", pwritev)
    handle = disk.create(tmp_path / "segment")
    disk.write_synced(handle, PARTS[:9], 0)
    assert disk.read(handle, 10_000, 0) == b"".join(PARTS[:9])
    assert asked == {os.RWF_DSYNC}
    disk.close(handle)
