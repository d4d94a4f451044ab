"""The seam between the spool and the operating system: every file operation of the spool is one of these.

Promises: a write that returns has written everything; new files are 0600 and new folders 0700; nothing is
cached here. Refuses to interpret: all errors are OSError and mean what the operating system said. Crash tests
put a simulated disk in the place of `DiskFiles`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

Part = bytes | bytearray | memoryview

_MAX_PARTS = 1024
"""IOV_MAX on Linux: buffers in one `pwritev`."""

_DSYNC: int = getattr(os, "RWF_DSYNC", 0)
"""pwritev2(2): this write is as durable as `fdatasync` would make it."""
_UNKNOWN_FLAGS = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Files(Protocol):
    """What the spool asks of a disk. A handle is a small int."""

    def make_folder(self, path: Path) -> None:
        """Create a folder, 0700, with its parents; one that exists is fine."""

    def lock(self, path: Path) -> int:
        """Open and lock a file; raises BlockingIOError where another process holds it."""

    def names(self, folder: Path) -> list[str]:
        """Names of the files in a folder."""

    def create(self, path: Path) -> int:
        """Create a file, 0600, that must not exist."""

    def open(self, path: Path) -> int:
        """Open a file for reading and writing."""

    def size(self, handle: int) -> int:
        """Size of a file in octets."""

    def write(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        """Write all the parts, one after the other, from an offset on."""

    def write_synced(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        """Write all the parts; after it, they are on stable storage."""

    def read(self, handle: int, length: int, offset: int) -> bytes:
        """Read; fewer octets than asked for only at the end of the file."""

    def sync(self, handle: int) -> None:
        """`fdatasync`: after it, what was written is on stable storage."""

    def sync_folder(self, folder: Path) -> None:
        """After it, names made and removed in the folder are on stable storage."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same folder."""

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""

    def close(self, handle: int) -> None:
        """Close a handle."""

    def free_space(self, folder: Path) -> int:
        """Octets that an unprivileged process may still use."""

    def entropy(self, count: int) -> bytes:
        """Octets that nobody can guess."""


class DiskFiles:
    """The real disk."""

    def make_folder(self, path: Path) -> None:
        """See Files."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self, path: Path) -> int:
        """See Files."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        return handle

    def names(self, folder: Path) -> list[str]:
        """See Files."""
        return [path.name for path in folder.iterdir()]

    def create(self, path: Path) -> int:
        """See Files."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """See Files."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def size(self, handle: int) -> int:
        """See Files."""
        return os.fstat(handle).st_size

    def write(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        """See Files."""
        self._write(handle, parts, offset, flags=0)

    def write_synced(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        """See Files. One system call, where there is one: between two the thread waits for its turn."""
        if not (_DSYNC and self._write(handle, parts, offset, flags=_DSYNC)):
            self.write(handle, parts, offset)
            self.sync(handle)

    def _write(self, handle: int, parts: Sequence[Part], offset: int, *, flags: int) -> bool:
        """Whether all was written with these flags; False where the file system does not know them."""
        for first in range(0, len(parts), _MAX_PARTS):
            some = parts[first : first + _MAX_PARTS]
            wanted = sum(map(len, some))
            try:
                written = os.pwritev(handle, some, offset, flags)
            except OSError as error:
                if flags and error.errno in _UNKNOWN_FLAGS:
                    return False
                raise
            if written < wanted:
                _write_rest(handle, b"".join(some)[written:], offset + written, flags)
            offset += wanted
        return True

    def read(self, handle: int, length: int, offset: int) -> bytes:
        """See Files."""
        data = os.pread(handle, length, offset)
        if len(data) == length or not data:
            return data
        return data + self.read(handle, length - len(data), offset + len(data))

    def sync(self, handle: int) -> None:
        """See Files."""
        os.fdatasync(handle)

    def sync_folder(self, folder: Path) -> None:
        """See Files."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """See Files."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """See Files."""
        path.unlink()

    def close(self, handle: int) -> None:
        """See Files."""
        os.close(handle)

    def free_space(self, folder: Path) -> int:
        """See Files."""
        figures = os.statvfs(folder)
        return figures.f_bavail * figures.f_frsize

    def entropy(self, count: int) -> bytes:
        """See Files."""
        return os.urandom(count)


def _write_rest(handle: int, data: bytes, offset: int, flags: int) -> None:
    """Finish a short write; a write of nothing at all is what a full disk looks like."""
    while data:
        written = os.pwritev(handle, [data], offset, flags)
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        data, offset = data[written:], offset + written


def is_full(error: OSError) -> bool:
    """Whether an error says that space has run out (rather than that something is broken)."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}
