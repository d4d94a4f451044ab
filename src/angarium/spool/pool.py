"""Where do segment files come from, and where do they go? Made and written before use, used again, removed,
set aside.

The methods named `make`, `release`, … are jobs for the keeper's thread: system calls and nothing else; they
raise OSError. Promises: a file that `make` returns has all its blocks and survives a power cut under its
name; a file that `release` returned holds nothing that a start would take up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

from angarium.spool.files import Files
from angarium.spool.record import FREE, HEADER_SIZE, Header, encode_header
from angarium.spool.segment import Segment

FIRST_SIZE = 4 * 1024 * 1024
"""Size of the first segment; each next one is twice as large, up to the configured size."""
URGENT_SIZE = 256 * 1024
"""Size of a segment that is made below `min_free_space`, for what has ended and must not come back."""
_STRIDE = 1024 * 1024
"""Zeros are synced piece by piece, so that a commit under way never waits for a whole segment of them."""
_MAX_SPARES = 2
_ZEROS = bytes(_STRIDE)
_NAME = re.compile(r"segment-(\d{8,})(\.new)?")


class Spare(NamedTuple):
    """A free segment file: number, open handle, octets."""

    file: int
    handle: int
    size: int


def parse_name(name: str) -> tuple[int, bool] | None:
    """The number of a segment file, and whether it was still being made; None for any other file."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), match[2] is not None) if match else None


class Pool:
    """The free segment files of one spool folder."""

    def __init__(self, folder: Path, files: Files, *, segment_size: int, min_free_space: int) -> None:
        self._folder = folder
        self._files = files
        self._segment_size = segment_size
        self._min_free_space = min_free_space
        self._spares: list[Spare] = []
        self.last_file = 0
        self.next_size = min(FIRST_SIZE, segment_size)

    def path(self, file: int) -> Path:
        """The path of a segment file."""
        return self._folder / f"segment-{file:08d}"

    def is_short(self) -> bool:
        """Whether less than the wanted space is free; an unreadable figure counts as short."""
        return self._lacks(0)

    def offer(self, spare: Spare) -> bool:
        """Keep a free file for later; False where it is not wanted."""
        if len(self._spares) >= _MAX_SPARES or spare.size < min(self.next_size, self._segment_size):
            return False
        self._spares.append(spare)
        return True

    def free(self, spare: Spare) -> None:
        """Say in a file's header that it holds nothing, durably."""
        self._files.write_synced(spare.handle, [_free_header(spare.size)], 0)

    def take(self, size: int) -> Spare | None:
        """A free file of at least this size, if there is one."""
        for spare in self._spares:
            if spare.size >= size:
                self._spares.remove(spare)
                return spare
        return None

    def has_spare(self, size: int | None = None) -> bool:
        """Whether a file of that size, or else of the usual one, is ready."""
        wanted = self.next_size if size is None else size
        return any(spare.size >= wanted for spare in self._spares)

    def can_make_urgent(self) -> bool:
        """Whether there is space for a segment that takes what others leave free."""
        try:
            return self._files.free_space(self._folder) >= URGENT_SIZE
        except OSError:
            return False

    def plan(self, size: int, *, is_urgent: bool = False) -> tuple[int, int]:
        """Number and size of the file to make for a record that needs so many octets; sizes grow with use."""
        self.last_file += 1
        planned = max(size, self.next_size)
        if is_urgent and self._lacks(planned):
            return self.last_file, max(size, min(URGENT_SIZE, self.next_size))
        self.next_size = min(self.next_size * 2, self._segment_size)
        return self.last_file, planned

    def _lacks(self, size: int) -> bool:
        """Whether so many octets more would leave less free space than is wanted."""
        try:
            return self._files.free_space(self._folder) - size < self._min_free_space
        except OSError:
            return True

    def make(self, file: int, size: int, *, is_urgent: bool = False) -> Spare:
        """Job: make a file, all of it written and synced, with a free header; an urgent one takes the space
        that others leave free.
        """
        free, kept = self._files.free_space(self._folder), 0 if is_urgent else self._min_free_space
        if free - size < kept:
            text = f"{os.strerror(errno.ENOSPC)} for a segment of {size} octets: {free} are free"
            raise OSError(errno.ENOSPC, f"{text}, and min_free_space keeps {kept}")
        path = self.path(file)
        unfinished = path.with_name(path.name + ".new")
        handle = self._files.create(unfinished)
        try:
            self._write_before(handle, size)
            self._files.rename(unfinished, path)
            self._files.sync_folder(self._folder)
        except OSError:
            self._discard((unfinished, path), handle)
            raise
        return Spare(file, handle, size)

    def _write_before(self, handle: int, size: int) -> None:
        self._files.write(handle, [_free_header(size)], 0)
        for offset in range(HEADER_SIZE, size, _STRIDE):
            self._files.write(handle, [_ZEROS[: size - offset]], offset)
            self._files.sync(handle)

    def _discard(self, paths: tuple[Path, ...], handle: int) -> None:
        """Leave nothing of a file that could not be made; what resists, the next start clears up."""
        for path in paths:
            with contextlib.suppress(OSError):
                self._files.unlink(path)
        with contextlib.suppress(OSError):
            self._files.close(handle)

    def release(self, segment: Segment) -> Spare | None:
        """Job: end a segment for good, durably. The file is free again, or gone, or set aside (None).

        The handle stays open: the loop, which may be closing the store by now, closes it.
        """
        if segment.is_damaged:
            self._set_aside(segment)
            return None
        if segment.failed or segment.size < self.next_size or len(self._spares) >= _MAX_SPARES:
            self._remove(segment)
            return None
        spare = Spare(segment.file, segment.handle, segment.size)
        self.free(spare)
        return spare

    def _remove(self, segment: Segment) -> None:
        with contextlib.suppress(FileNotFoundError):  # a second attempt: it was the folder that did not sync
            self._files.unlink(self.path(segment.file))
        self._files.sync_folder(self._folder)

    def _set_aside(self, segment: Segment) -> None:
        aside = self._folder / f"damaged-{segment.file:08d}-{segment.generation}"
        with contextlib.suppress(FileNotFoundError):
            self._files.rename(self.path(segment.file), aside)
        self._files.sync_folder(self._folder)

    def close(self) -> None:
        """Close the handles of the free files."""
        for spare in self._spares:
            self._files.close(spare.handle)
        self._spares.clear()


def _free_header(size: int) -> bytes:
    return encode_header(Header(FREE, 0, bytes(8), size))
