"""Where does a line go? One stream is a row of segments in one folder with one suffix.

Its methods are system calls and compression, made for the writer's thread; they raise OSError. Promises: a
frame is written at one go, and a frame that could not be written leaves nothing behind; a finished segment is
synced, then made read-only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from operator import attrgetter
from pathlib import Path

import zstandard

from angarium.log.segment import good_end, is_finished, is_open, make_name, parse_name, segments_in

_FOLDER_MODE, _OPEN_MODE, _FINISHED_MODE = 0o750, 0o640, 0o440
_DEFAULT_LEVEL = 3


class Limits:
    """When a segment ends, and how long it is kept. Sizes in octets, times in seconds; None: no limit."""

    def __init__(
        self, file_size: int, duration: float | None, keep_age: float | None, keep_size: int | None
    ) -> None:
        self.file_size = file_size
        self.duration = duration
        self.keep_age = keep_age
        self.keep_size = keep_size


class Stream:
    """One row of segments."""

    def __init__(self, folder: Path, suffix: str, worker: int, limits: Limits, level: int) -> None:
        self.buffer = bytearray()
        """Lines for the next frame; belongs to the event loop, everything else here to the thread."""
        self.finished = 0
        """Segments that were finished; counted by the thread."""
        self._folder = folder
        self._suffix = suffix
        self._worker = worker
        self._limits = limits
        self._compressor = zstandard.ZstdCompressor(level=level or _DEFAULT_LEVEL, write_checksum=True)
        self._path: Path | None = None
        self._handle = -1
        self._end = 0
        self._lines_size = 0
        self._began = 0.0
        self._is_dirty = False

    def prepare(self, now: float) -> None:
        """Make the folder, finish what an earlier run left, and drop what is too old."""
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        for path in segments_in(self._folder):
            with contextlib.suppress(FileNotFoundError):  # another worker drops what is too old
                if not is_finished(path):
                    _take_over(path)
        self._prune(now)

    def append(self, lines: bytes, now: float) -> None:
        """Write one frame; the segment it is written to is begun by it, and finished when it is full."""
        frame = self._compressor.compress(lines)
        if self._path is None:
            self._begin(now)
        try:
            _write_all(self._handle, frame, self._end)
        except OSError:
            self._abandon()
            raise
        self._end += len(frame)
        self._lines_size += len(lines)
        self._is_dirty = True
        if self._lines_size >= self._limits.file_size:
            self.finish(now)

    def sync(self) -> None:
        """What was written is on stable storage."""
        if self._is_dirty:
            try:
                os.fdatasync(self._handle)
            except OSError:
                self._abandon()
                raise
            self._is_dirty = False

    def finish_if_due(self, now: float) -> None:
        """Finish the segment when its time is up."""
        if self.is_due(now):
            self.finish(now)

    def is_due(self, now: float) -> bool:
        """Whether the current segment is as old as it may be."""
        return (
            self._path is not None
            and self._limits.duration is not None
            and now >= self._began + self._limits.duration
        )

    @property
    def has_deadline(self) -> bool:
        """Whether a segment is open whose time will be up."""
        return self._path is not None and self._limits.duration is not None

    def finish(self, now: float) -> None:
        """Sync the segment, close it, make it read-only; then see which old ones may go."""
        if self._path is None:
            return
        self.sync()
        os.fchmod(self._handle, _FINISHED_MODE)
        os.close(self._handle)
        self._path = None
        self.finished += 1
        self._prune(now)

    def _begin(self, now: float) -> None:
        self._began = now
        while self._path is None:
            path = self._folder / make_name(now, self._worker, self._suffix)
            with contextlib.suppress(FileExistsError):
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OPEN_MODE)
                self._path = path if _is_ours(self._handle) else None
            now += 1e-6
        _sync_folder(self._folder)
        self._end = self._lines_size = 0

    def _abandon(self) -> None:
        """After trouble the next frame begins a new segment; this one keeps its whole frames."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self._end)
            os.fchmod(self._handle, _FINISHED_MODE)
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._path = None
        self._is_dirty = False

    def _prune(self, now: float) -> None:
        """Remove what is kept no longer. The folder is looked at only where something may be too much, and
        with few objects: this thread and the event loop cannot run Python at the same time.
        """
        limits, kept = self._limits, 0
        if limits.keep_age is None and limits.keep_size is None:
            return
        with os.scandir(self._folder) as entries:
            segments = [entry for entry in entries if parse_name(entry.name)]
        for entry in sorted(segments, key=attrgetter("name"), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                state = entry.stat()
                kept += state.st_size
                if not is_open(state) and self._is_too_much(state, now, kept):
                    Path(entry.path).unlink()

    def _is_too_much(self, state: os.stat_result, now: float, kept: int) -> bool:
        limits = self._limits
        is_old = limits.keep_age is not None and state.st_mtime < now - limits.keep_age
        return is_old or (limits.keep_size is not None and kept > limits.keep_size)


def _is_ours(handle: int) -> bool:
    """Lock a new segment; False, and it is closed, where a worker that just starts believed it abandoned."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_mode & stat.S_IWUSR:
            return True
    except BlockingIOError:
        pass
    os.close(handle)
    return False


def _take_over(path: Path) -> None:
    """Finish a segment whose writer died; one that is still being written is locked, and left alone."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, good_end(path))
        os.fdatasync(handle)
        os.fchmod(handle, _FINISHED_MODE)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes, offset: int) -> None:
    written = os.pwrite(handle, data, offset)
    if written < len(data):
        _write_all(handle, data[written:], offset + written)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
