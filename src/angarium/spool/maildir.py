"""Mail on disk as maildirs: one file a message, written beside, synced, then moved into place.

Promises that a name that was delivered before is not delivered again, and that when it returns the message
and its place in the folder are on stable storage. Every error of the file system is a SpoolError.
"""

from __future__ import annotations

import os
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
        octets = b"".join(content).replace(b"\r\n", b"\n")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, file_mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        if any(root.glob(f"cur/{name}*")):
            draft.unlink()
            return
        draft.rename(root / "new" / name)
        _sync(root / "new")
    except OSError as error:
        raise SpoolError(f"{error.filename or folder}: {error.strerror or error}") from None


def _make(root: Path, mode: int) -> None:
    """Make the folders that are missing, and let them last."""
    if all((root / part).is_dir() for part in FOLDERS):
        return
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in [*reversed(missing), *(root / part for part in FOLDERS)]:
        folder.mkdir(mode=mode, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
