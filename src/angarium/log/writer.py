"""How does a record get into the log? Encoded in the event loop, compressed and written by one thread, frame
by frame.

Promises: `write` costs a few microseconds; a frame is written when it holds 256 KiB or is a second old; what
was written before a `sync` that resolved is on stable storage; lines that could not be written are kept and
tried again, up to a bound. Refuses to lose lines silently: beyond that bound `write` raises LogError, and
`problem` says why.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

from angarium.log.records import Record, RecordType, encode_record
from angarium.log.segment import FRAME_LIMIT
from angarium.log.stream import Limits, Stream

FRAME_AGE = 1.0
"""Seconds after which lines are written, however few."""
RETRY = 1.0
"""Seconds between attempts after trouble."""
MAX_BACKLOG = 64 * 1024 * 1024
"""Octets of lines that wait for a disk in trouble."""
MAX_PIECES = MAX_BACKLOG // FRAME_LIMIT
_TYPE_BEGINS = len(b'{"type":"')


class LogError(Exception):
    """The log cannot be written. A client whose mail would need it is told `452 4.3.1`."""


class Settings(Protocol):
    """What the writer needs to know; `[log]` of the configuration has it (reference 6.4)."""

    @property
    def dir(self) -> str:
        """The folder of the segments."""

    @property
    def max_file_size(self) -> int:
        """Octets of lines (before compression) that end a segment."""

    @property
    def max_segment_duration(self) -> float | None:
        """Seconds that end a segment."""

    @property
    def compression_level(self) -> int:
        """1 to 21 (zstd); 0: the usual one."""

    @property
    def keep_age(self) -> float | None:
        """Seconds after their last record that finished segments are kept."""

    @property
    def keep_size(self) -> int | None:
        """Octets that the segments of one folder may take."""

    @property
    def per_record(self) -> Mapping[str, Mapping[str, Any]]:
        """Record type, or `Any` → `enable`, `suffix`, `log_dir`."""


class Writer:
    """All streams of one worker."""

    def __init__(
        self, settings: Settings, *, worker: int, clock: Callable[[], float], min_free_space: int = 0
    ) -> None:
        """Make the folders, and finish what an earlier run left. Raises LogError."""
        self.on_finished: Callable[[], object] = _nothing
        """Called in the event loop when segments have been finished."""
        self._finished = 0
        self._clock = clock
        self._folder = Path(settings.dir)
        self._min_free_space = min_free_space
        self._streams: dict[tuple[Path, str], Stream] = {}
        self._routes: dict[str, Stream | None] = {}
        self._set_up(settings, worker)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log")
        self._work: list[tuple[Stream, bytes]] = []
        """Lines on their way; what is left after a turn is tried again. A turn's thread owns it."""
        self._waiters: list[asyncio.Future[None]] = []
        self._under_way: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._trouble: str | None = None
        self._look_at = 0.0
        self._is_short = False

    def _set_up(self, settings: Settings, worker: int) -> None:
        limits = Limits(
            settings.max_file_size, settings.max_segment_duration, settings.keep_age, settings.keep_size
        )
        for name in get_args(RecordType):
            rule = settings.per_record.get(name, settings.per_record.get("Any", {}))
            key = (Path(rule.get("log_dir") or settings.dir), str(rule.get("suffix", "")))
            if key not in self._streams:
                self._streams[key] = Stream(*key, worker, limits, settings.compression_level)
            self._routes[name] = self._streams[key] if rule.get("enable", True) else None
        try:
            for stream in self._streams.values():
                stream.prepare(self._clock())
        except OSError as error:
            raise LogError(f"cannot use the log folder {error.filename or ''}: {error.strerror}") from error

    def write(self, record: Record) -> None:
        """Take a record. Raises LogError where too much waits already."""
        stream = self._routes[record.type]
        if stream is not None:
            self._add(stream, encode_record(record))

    def write_encoded(self, line: bytes) -> None:
        """Take a record that was encoded by `encode_record` before. Raises LogError."""
        stream = self._routes[line[_TYPE_BEGINS : line.index(b'"', _TYPE_BEGINS)].decode()]
        if stream is not None:
            self._add(stream, line)

    def _add(self, stream: Stream, line: bytes) -> None:
        buffer = stream.buffer
        if len(buffer) >= MAX_BACKLOG or len(self._work) >= MAX_PIECES:
            raise LogError(self._trouble or "the log falls behind")
        if buffer and len(buffer) + len(line) >= FRAME_LIMIT:
            self._turn()
            buffer = stream.buffer
        buffer += line
        buffer += b"\n"
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FRAME_AGE, self._time_is_up)

    def sync(self) -> asyncio.Future[None]:
        """Resolves when all that was written so far is on stable storage; fails with LogError."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._turn()
        return waiter

    @property
    def problem(self) -> str | None:
        """Why records may be lost soon; looked at again once a second. None: all is well."""
        now = time.monotonic()
        if self._min_free_space and now >= self._look_at:
            self._look_at = now + RETRY
            self._is_short = _free_space(self._folder) < self._min_free_space
        return self._trouble or ("too little space is free for logs" if self._is_short else None)

    def close(self) -> None:
        """Write what is left and finish the segments. Raises LogError where that fails, which says how many
        records are in no log.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        lost, trouble = self._write_last()
        _resolve(self._waiters, LogError("the log was closed") if self._trouble or trouble else None)
        if trouble is not None:
            raise LogError(f"the log failed: {trouble.strerror}: {lost} records are lost, they are in no log")

    def _write_last(self) -> tuple[int, OSError | None]:
        """Write what any stream still takes; how many lines none has taken, and why."""
        now, lost, trouble = self._clock(), 0, None
        for stream, piece in self._take_all():
            try:
                stream.append(piece, now)
            except OSError as error:
                lost, trouble = lost + piece.count(b"\n"), error
        for stream in self._streams.values():
            try:
                stream.finish(now)
            except OSError as error:
                trouble = error
        return lost, trouble

    # -- turns: one at a time, each writes what there is --------------------------------------

    def _turn(self) -> None:
        if self._under_way is not None:
            return
        work = self._take_all()
        waiters, self._waiters = self._waiters, []
        job = partial(_write_frames, list(self._streams.values()), work, self._clock(), bool(waiters))
        self._under_way = asyncio.get_running_loop().run_in_executor(self._thread, job)
        self._under_way.add_done_callback(partial(self._turned, waiters))

    def _take_all(self) -> list[tuple[Stream, bytes]]:
        """All lines that wait, oldest first, in pieces of a frame."""
        for stream in self._streams.values():
            self._work += [(stream, piece) for piece in _pieces(bytes(stream.buffer))]
            stream.buffer = bytearray()
        return self._work

    def _turned(self, waiters: list[asyncio.Future[None]], turn: asyncio.Future[None]) -> None:
        self._under_way = None
        error = turn.exception()
        if error is not None:
            self._trouble = f"the log failed: {getattr(error, 'strerror', None) or error}"
            _resolve(waiters, LogError(self._trouble))
            return
        self._trouble = None
        _resolve(waiters, None)
        finished = sum(stream.finished for stream in self._streams.values())
        if finished > self._finished:
            self._finished = finished
            self.on_finished()
        if self._waiters or any(len(stream.buffer) >= FRAME_LIMIT for stream in self._streams.values()):
            self._turn()

    def _time_is_up(self) -> None:
        self._timer = None
        self._turn()
        if self._trouble is not None or self._has_open_segments():
            self._timer = asyncio.get_running_loop().call_later(FRAME_AGE, self._time_is_up)

    def _has_open_segments(self) -> bool:
        return any(stream.has_deadline for stream in self._streams.values())


def _nothing() -> None:
    """Nobody wants to know."""


def _write_frames(streams: list[Stream], work: list[tuple[Stream, bytes]], now: float, is_sync: bool) -> None:
    """Job of the thread; takes from `work` what it has written, so that the rest is tried again."""
    while work:
        stream, lines = work[0]
        stream.append(lines, now)
        del work[0]
    for stream in streams:
        if is_sync:
            stream.sync()
        stream.finish_if_due(now)


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Cut lines into pieces of at most FRAME_LIMIT octets, but never within a line."""
    while len(lines) > FRAME_LIMIT:
        end = (lines.rfind(b"\n", 0, FRAME_LIMIT) + 1) or lines.index(b"\n") + 1
        yield lines[:end]
        lines = lines[end:]
    if lines:
        yield lines


def _resolve(waiters: list[asyncio.Future[None]], error: LogError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def _free_space(folder: Path) -> int:
    try:
        figures = os.statvfs(folder)
    except OSError:
        return 0
    return figures.f_bavail * figures.f_frsize
