"""Mail on disk as maildirs: one file a message, written beside, synced, then moved into place.

Promises that a name that was delivered before is not delivered again, that when it returns the message and
its place in the folder are on stable storage, and that what is made has the modes that were asked for,
whatever the umask. What fails leaves no draft behind. Every error of the file system is a SpoolError.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from angarium.spool.errors import SpoolError
from angarium.spool.files import Part

FOLDERS = ("tmp", "new", "cur")


def deliver_to_maildir(
    folder: str, name: str, content: Sequence[Part], dir_mode: int, file_mode: int
) -> None:
    """Write one message, lines ending in LF; raises SpoolError. May be called again after it failed."""
    root = Path(folder)
    try:
        _make(root, dir_mode)
        draft = root / "tmp" / name
        try:
            _write(draft, b"".join(content).replace(b"\r\n", b"\n"), file_mode)
            if not any(root.glob(f"cur/{name}*")):
                draft.rename(root / "new" / name)
                _sync(root / "new")
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SpoolError(f"{error.filename or folder}: {error.strerror or error}") from None


def _write(draft: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _make(root: Path, mode: int) -> None:
    """Make the folders that are missing, and let them last."""
    if all((root / part).is_dir() for part in FOLDERS):
        return
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in [*reversed(missing), *(root / part for part in FOLDERS)]:
        _make_one(folder, mode)
        _sync(folder.parent)


def _make_one(folder: Path, mode: int) -> None:
    """Make a folder, unless somebody else has; then its mode is theirs."""
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        return
    folder.chmod(mode | folder.stat().st_mode & stat.S_ISGID)  # the group goes on as the folder above says


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
