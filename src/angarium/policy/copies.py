"""What did the files say when they were put in force? Copies of them, which other processes load instead.

Each worker runs the operator's code itself, and may begin at any time; what the files say by then may be
newer, or broken. So the supervisor keeps a copy of what is in force in its spool, readable by its user alone,
for as long as it runs; on a full disk in the folder for temporary files, so that the node can be told where
to put its mail. What the operator's code reads by itself is not copied.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import msgspec

from angarium.policy.config import Configuration
from angarium.policy.load import Changing, is_still
from angarium.policy.source import read_octets

PREFIX = "configuration-"
"""Of the folder in the spool."""
ELSEWHERE = "angarium-configuration-"
"""Of the folder for days when the spool has no room."""
_NAMES = "names"


class Copies:
    """The copies of one node. Those that a killed one left are taken away first."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._folders: dict[Path, tuple[Path, int]] = {}
        """Parent → the folder below it, and the descriptor that locks that."""
        self._count = 0
        remove_left(spool)

    def make(self, configuration: Configuration) -> Path:
        """Copy the files of a configuration; returns where. Raises Changing, ConfigError, OSError."""
        self._count += 1
        try:
            return self._make_below(self._spool, PREFIX, configuration)
        except OSError:
            return self._make_below(Path(gettempdir()), ELSEWHERE, configuration)

    def _make_below(self, parent: Path, prefix: str, configuration: Configuration) -> Path:
        if parent not in self._folders:
            folder = Path(mkdtemp(prefix=prefix, dir=parent))
            self._folders[parent] = folder, _locked(folder)
        place = self._folders[parent][0] / str(self._count)
        try:
            place.mkdir()
            _copy(configuration, place)
        except BaseException:
            self.remove(place)
            raise
        return place

    def remove(self, place: Path) -> None:
        """Take away a copy that nobody begins with any more."""
        shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Take away everything."""
        for folder, lock in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def remove_left(spool: Path) -> None:
    """Take away what a killed node left: it may hold secrets."""
    for path in (*spool.glob(f"{PREFIX}*"), *Path(gettempdir()).glob(f"{ELSEWHERE}*")):
        _remove_if_left(path)


def copies_in(place: Path) -> dict[Path, Path]:
    """Each file's absolute path → where its copy is; raises Changing where others are in force meanwhile."""
    try:
        octets = place.joinpath(_NAMES).read_bytes()
    except FileNotFoundError:
        raise Changing from None
    names = msgspec.msgpack.decode(octets, type=list[bytes])
    return {Path(os.fsdecode(name)): place / str(number) for number, name in enumerate(names)}


def _copy(configuration: Configuration, place: Path) -> None:
    digests: dict[Path, bytes | None] = {}
    for number, path in enumerate(configuration.files):
        content = read_octets(path)
        digests[path] = hashlib.sha256(content).digest()
        place.joinpath(str(number)).write_bytes(content)
    if not is_still(configuration, digests):
        raise Changing
    names = [os.fsencode(path.absolute()) for path in configuration.files]
    place.joinpath(_NAMES).write_bytes(msgspec.msgpack.encode(names))


def _locked(folder: Path) -> int:
    """A descriptor that says, while it is open, that somebody uses a folder; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        is_ours = folder.lstat().st_uid == os.geteuid()
        if not is_ours or not all(path.name.isdecimal() for path in folder.iterdir()):
            return
        descriptor = _locked(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
