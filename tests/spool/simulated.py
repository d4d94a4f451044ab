"""A disk in memory that can stop between any two operations, and then has lost or torn whatever was not
synced.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from angarium.spool.errors import SpoolError
from angarium.spool.files import Part

SECTOR = 512


class Inode:
    """A file's octets: as a reader sees them, and as they are on the medium."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.unsynced: list[tuple[int, bytes]] = []


class SimulatedDisk:
    """Implements Files.

    `stop_at` counts operations that change something; from that one on, nothing gets through.
    """

    def __init__(self, *, seed: int = 0, stop_at: int | None = None) -> None:
        self.random = random.Random(seed)
        self.stop_at = stop_at
        self.operations = 0
        self.log: list[str] = []
        self.names_seen: dict[str, Inode] = {}
        self.names_durable: dict[str, Inode] = {}
        self.handles: dict[int, Inode] = {}
        self.free = 1 << 40
        self.fail: Callable[[str], int | None] = lambda _: None

    def power_cut(self, *, tear: bool = True) -> SimulatedDisk:
        """The disk as the next start finds it."""
        after = SimulatedDisk(seed=self.random.randrange(1 << 30))
        names = dict(self.names_durable)
        if self.random.random() < 0.5:
            names = dict(self.names_seen)
        for name, inode in names.items():
            fresh = Inode()
            fresh.durable = self._torn(inode) if tear else bytearray(inode.seen)
            fresh.seen = bytearray(fresh.durable)
            after.names_seen[name] = after.names_durable[name] = fresh
        return after

    def kill(self) -> SimulatedDisk:
        """The disk as the next start finds it when only the process died: what was written is there, synced
        or not.
        """
        after = SimulatedDisk(seed=self.random.randrange(1 << 30))
        after.names_seen, after.names_durable = copy.deepcopy((self.names_seen, self.names_durable))
        return after

    def _torn(self, inode: Inode) -> bytearray:
        medium = bytearray(inode.durable)
        fate = self.random.choice(["none", "all", "some", "prefix"])
        for offset, data in inode.unsynced:
            self._tear(medium, offset, data, fate)
        return medium

    def _tear(self, medium: bytearray, offset: int, data: bytes, fate: str) -> None:
        limit = self.random.randrange(len(data) + 1) if fate == "prefix" else len(data)
        at = 0
        while at < limit:
            end = min(limit, (offset + at) // SECTOR * SECTOR + SECTOR - offset)
            if fate in {"all", "prefix"} or (fate == "some" and self.random.random() < 0.5):
                _place(medium, offset + at, data[at:end])
            at = end

    def _step(self, operation: str) -> None:
        self.operations += 1
        self.log.append(operation)
        if self.stop_at is not None and self.operations >= self.stop_at:
            raise OSError(errno.EIO, "the machine is off")
        if (code := self.fail(operation)) is not None:
            raise OSError(code, os.strerror(code))

    def make_folder(self, path: Path) -> None:
        pass

    def lock(self, path: Path) -> int:
        return self._handle(Inode())

    def names(self, folder: Path) -> list[str]:
        return list(self.names_seen)

    def create(self, path: Path) -> int:
        self._step(f"create {path.name}")
        assert path.name not in self.names_seen
        inode = self.names_seen[path.name] = Inode()
        return self._handle(inode)

    def open(self, path: Path) -> int:
        return self._handle(self.names_seen[path.name])

    def _handle(self, inode: Inode) -> int:
        handle = len(self.handles) + 3
        self.handles[handle] = inode
        return handle

    def size(self, handle: int) -> int:
        return len(self.handles[handle].seen)

    def write(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        inode, data = self.handles[handle], b"".join(parts)
        try:
            self._step(f"write {len(data)} at {offset}")
        except OSError:
            if data and (self.stop_at is None or self.operations == self.stop_at):
                inode.unsynced.append((offset, data[: self.random.randrange(len(data))]))
            raise
        _place(inode.seen, offset, data)
        inode.unsynced.append((offset, data))

    def write_synced(self, handle: int, parts: Sequence[Part], offset: int) -> None:
        self.write(handle, parts, offset)  # the power may fail in the middle
        self.sync(handle)

    def read(self, handle: int, length: int, offset: int) -> bytes:
        return bytes(self.handles[handle].seen[offset : offset + length])

    def sync(self, handle: int) -> None:
        inode = self.handles[handle]
        try:
            self._step("sync")
        except OSError:
            inode.unsynced.clear()  # a failed sync may drop the pages, and the next one succeeds all the same
            raise
        for offset, data in inode.unsynced:
            _place(inode.durable, offset, data)
        inode.unsynced.clear()

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")
        self.names_durable = dict(self.names_seen)

    def rename(self, old: Path, new: Path) -> None:
        self._step(f"rename {old.name} {new.name}")
        if old.name not in self.names_seen:
            raise FileNotFoundError(old)
        self.names_seen[new.name] = self.names_seen.pop(old.name)

    def unlink(self, path: Path) -> None:
        self._step(f"unlink {path.name}")
        if self.names_seen.pop(path.name, None) is None:
            raise FileNotFoundError(path)

    def close(self, handle: int) -> None:
        pass

    def free_space(self, folder: Path) -> int:
        return self.free

    def entropy(self, count: int) -> bytes:
        return self.random.randbytes(count)


def _place(octets: bytearray, offset: int, data: bytes) -> None:
    if len(octets) < offset + len(data):
        octets.extend(bytes(offset + len(data) - len(octets)))
    octets[offset : offset + len(data)] = data


class LoopWorker:
    """A Worker without a thread: each job is one turn of the event loop, so that a test's order is always the
    same.
    """

    def __init__(self, name: str) -> None:
        self.waiting: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.waiting.append((job, done))
        asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        if not self.waiting:
            return
        job, done = self.waiting.pop(0)
        try:
            outcome = job()
        except (OSError, SpoolError) as error:
            outcome = error
        done(outcome)

    def stop(self) -> None:
        while self.waiting:
            self._run()
