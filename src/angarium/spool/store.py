"""Is it safe? The spool as the queue sees it: put, note, finish, commit; load; and what was waiting at start
(docs/spool.md).

Promises: what `commit` resolved for is on stable storage, and comes back from `recover` until it is finished;
contents are stored once and never copied; nothing here blocks the event loop but `open`, `recover`, `close`
and `load` of a content that is no longer in memory. Refuses to know mail: payloads and contents are octets.
One process, one event loop, one folder.
"""

from __future__ import annotations

import contextlib
import time
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from angarium.spool.errors import SpoolError, SpoolFull, SpoolLocked
from angarium.spool.files import DiskFiles, Files, Part
from angarium.spool.journal import RETRY, Journal
from angarium.spool.pool import Pool
from angarium.spool.read import latest_note, read_put, walk_waiting
from angarium.spool.recent import Recent
from angarium.spool.record import MAX_LENGTH, MAX_MESSAGES, content_crc, encode_entry
from angarium.spool.recovery import Recovery
from angarium.spool.segment import generation_of, ordinal_of
from angarium.spool.tidy import Tidier
from angarium.spool.worker import ThreadWorker, Worker

MEMORY = 64 * 1024 * 1024
"""Octets of recent contents that are kept in memory."""
_OVERHEAD = 1024 * 1024
"""Octets that a segment needs besides its largest record."""


class Recovered(NamedTuple):
    """A message that waits, as a start finds it."""

    place: int
    ident: str
    message: bytes
    note: bytes | None


class Loaded(NamedTuple):
    """A message's payload and content."""

    message: bytes
    content: Part


class Store:
    """One spool folder, open."""

    def __init__(
        self, folder: Path, lock: int, files: Files, pool: Pool, workers: tuple[Worker, Worker], memory: int
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._files = files
        self._pool = pool
        self._journal = Journal(files, pool, *workers)
        self._recent = Recent(memory, self._journal.is_unsynced)
        self._tidier = Tidier(files, pool, self._journal, workers[1])
        self._is_short = False
        self._look_at = 0.0
        self._is_room = False
        self._look_for_room_at = 0.0
        self.reports: list[str] = []
        """What the start found to be damaged, for the operator."""

    @classmethod
    def open(
        cls, path: Path, *, segment_size: int, min_free_space: int, memory: int = MEMORY,
        files: Files | None = None, make_worker: Callable[[str], Worker] = ThreadWorker,
    ) -> Store:  # fmt: skip
        """Lock a folder, make it where needed, and scan it.

        Raises SpoolLocked where another process holds it, SpoolError where it cannot be used or has a foreign
        or newer format.
        """
        files = files or DiskFiles()
        lock = _lock(files, path)
        pool = Pool(path, files, segment_size=segment_size, min_free_space=min_free_space)
        store = cls(path, lock, files, pool, (make_worker("spool-sync"), make_worker("spool-keep")), memory)
        try:
            store._scan()
        except SpoolError:
            files.close(lock)
            raise
        return store

    def _scan(self) -> None:
        recovery = Recovery(self._folder, self._files, self._pool)
        segments = recovery.run()
        self.reports = recovery.reports
        self._journal.continue_after(segments)

    def recover(self) -> Iterator[Recovered]:
        """Every message that waits, in the order of writing.

        To be called before anything is put. Raises SpoolError.
        """
        segments = self._journal.segments
        for segment in list(segments.values()):
            for ordinal, entry, note in walk_waiting(self._files, segment, segments):
                yield Recovered(segment.place(ordinal), entry.ident, entry.payload, note)

    def put(self, content: Sequence[Part], messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Assemble one content and its messages (ident, payload); a place for each.

        Call `commit` in the same turn of the loop; the parts must not change until then. Idents are ASCII, 1
        to 255 octets. Raises SpoolFull where there is no space, ValueError for what no segment can hold.
        """
        if self._lacks_space():
            raise SpoolFull("less space is free than min_free_space")
        length = sum(map(len, content))
        if not 0 < len(messages) <= MAX_MESSAGES or length > MAX_LENGTH - _OVERHEAD:
            raise ValueError(f"{len(messages)} messages with {length} octets do not fit a record")
        entries = [encode_entry(ident, payload) for ident, payload in messages]
        places = self._journal.append(content, length, content_crc(content), entries)
        for place, (_, payload) in zip(places, messages, strict=True):
            self._recent.add(place, payload, content, length // len(places))
        return places

    def note(self, place: int, ident: str, payload: bytes) -> None:
        """Remember something about a waiting message; the latest wins. On stable storage with the next
        commit, at most 50 ms later.
        """
        self._journal.note(place, payload)
        if (twin := self._tidier.twins.get(ident)) is not None:
            self._journal.note(twin, payload)

    def finish(self, place: int, ident: str) -> None:
        """The message is over; once more is nothing. On stable storage with the next commit, at most 50 ms
        later.
        """
        if self._journal.finish(place):
            self._recent.drop(place)
        if (twin := self._tidier.twins.get(ident)) is not None:
            self._journal.finish(twin)
        if self._journal.has_news:
            self._tidier.wake()

    def commit(self) -> Future[None]:
        """Resolves when all that was put, noted and finished so far is on stable storage.

        Fails with SpoolFull or SpoolError: then nothing that was put since is kept, while notes and finishes
        are tried again.
        """
        return self._journal.commit()

    def load(self, place: int) -> Loaded:
        """A waiting message, from memory or from disk.

        Raises SpoolError for a place that is over, and for damaged content.
        """
        kept = self._recent.get(place)
        if kept is not None:
            return Loaded(kept.payload, kept.content[0] if len(kept.content) == 1 else b"".join(kept.content))
        if not self._journal.is_waiting(place):
            raise SpoolError(f"no message waits at place {place}")
        segment = self._journal.segments[generation_of(place)]
        put, content = read_put(self._files, segment, segment.offsets[ordinal_of(place)])
        if content_crc([content]) != put.content_crc:
            raise SpoolError(f"the content at place {place} does not match its checksum")
        return Loaded(put.entries()[ordinal_of(place) - put.first].payload, content)

    def read_note(self, place: int) -> bytes | None:
        """The latest note of a waiting message; None where it has none, or none that can be read yet."""
        if not self._journal.is_waiting(place):
            return None
        if (pending := self._journal.unsynced_note(place)) is not None:
            return pending
        segments = self._journal.segments
        segment, ordinal = segments[generation_of(place)], ordinal_of(place)
        try:
            put, _ = read_put(self._files, segment, segment.offsets[ordinal])
            return latest_note(self._files, segment, segments, ordinal, put.entries()[ordinal - put.first])
        except SpoolError:
            return None

    def set_moved(self, callback: Callable[[str, int], None]) -> None:
        """Who is told (ident, new place) when a waiting message was moved; from then on the old place means
        nothing.
        """
        self._tidier.moved = callback

    @property
    def is_healthy(self) -> bool:
        """Whether a put would probably succeed. Looked at again once a second."""
        return not self._lacks_space() and self._journal.problem is None

    @property
    def can_finish(self) -> bool:
        """Whether what ends now is sure of its place on the disk: without one it comes back at a restart.

        The disk is looked at once a second. One that fails takes nothing, whatever room there is, until
        something was written again.
        """
        if self._journal.is_failing:
            return False
        if self._journal.has_room:
            return True
        now = time.monotonic()
        if now >= self._look_for_room_at:
            self._look_for_room_at = now + RETRY
            self._is_room = self._pool.can_make_urgent()
        return self._is_room

    @property
    def problem(self) -> str | None:
        """What is wrong, for the operator."""
        if self._journal.problem is not None:
            return self._journal.problem
        return "less space is free than min_free_space" if self._lacks_space() else None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be written, and nothing is being written."""
        return self._journal.is_idle

    @property
    def unwritten(self) -> int:
        """Messages whose end `close` could not write: they wait again at the next start."""
        return self._journal.unwritten

    def close(self) -> None:
        """Write what is left, wait for it, release the folder. Commits that cannot be kept fail."""
        self._tidier.stop()
        self._journal.drain()
        self._pool.close()
        for segment in self._journal.segments.values():
            if segment.is_ready:
                self._files.close(segment.handle)
        with contextlib.suppress(OSError):
            self._files.close(self._lock)

    def _lacks_space(self) -> bool:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + RETRY
            self._is_short = self._pool.is_short()
        return self._is_short


def _lock(files: Files, folder: Path) -> int:
    try:
        files.make_folder(folder)
        return files.lock(folder / "lock")
    except BlockingIOError:
        raise SpoolLocked(f"another process uses the spool {folder}") from None
    except OSError as error:
        raise SpoolError(f"cannot use the spool {folder}: {error.strerror or error}") from error
