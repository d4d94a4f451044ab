"""Which segment can go? Frees segments in which nothing matters, and empties the emptiest when they take too
much (docs/spool.md).

Promises: steps of at most 256 KiB or 64 records, read in the keeper's thread, so that the loop never stalls;
a message is at its old place or at its new one at every instant, and never at both after a power cut; shared
content is copied once. A segment that was given up goes first, and nothing else goes before it: its
successor's header says which of its records are void.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from angarium.spool.errors import SpoolError
from angarium.spool.files import Files
from angarium.spool.journal import LAZY, RETRY, Journal
from angarium.spool.pool import Pool, Spare
from angarium.spool.read import read_note, read_put
from angarium.spool.record import Entry, Put, encode_entry
from angarium.spool.segment import Segment, generation_of, ordinal_of
from angarium.spool.worker import Worker

STEP_OCTETS = 256 * 1024
STEP_RECORDS = 64
_SLACK = 4
"""Segments of the usual size that may be all waste."""


_Step = list[tuple[int, list[int]]]
"""Offsets of puts, and the ordinals of their messages."""


class _Copy(NamedTuple):
    """A put as it was read, with the state of its waiting messages at that time."""

    put: Put
    content: bytes
    entries: list[Entry]
    seen: dict[int, tuple[tuple[int, int], bytes | None]]
    """Ordinal → where its latest note was, and that note."""


class Tidier:
    """One task, which runs while there is something to free."""

    def __init__(self, files: Files, pool: Pool, journal: Journal, keeper: Worker) -> None:
        self._files = files
        self._pool = pool
        self._journal = journal
        self._keeper = keeper
        self._task: asyncio.Task[None] | None = None
        self.twins: dict[str, int] = {}
        """Ident → place of a copy that is not on stable storage yet."""
        self.moved: Callable[[str, int], None] = _nobody

    def wake(self) -> None:
        """Look for something to free, unless that is being done."""
        self._journal.has_news = False
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tidy())

    def stop(self) -> None:
        """Leave it for the next time."""
        if self._task is not None:
            self._task.cancel()

    async def _tidy(self) -> None:
        while True:
            try:
                while (segment := self._choose()) is not None:
                    await self._free(segment)
            except SpoolError:
                await asyncio.sleep(RETRY)
            else:
                return

    def _choose(self) -> Segment | None:
        idle = [s for s in self._journal.segments.values() if not self._journal.is_busy(s)]
        given_up = [segment for segment in idle if segment.failed]
        if given_up:
            return given_up[0]
        for segment in idle:
            if segment.is_damaged or (segment.waiting == 0 and segment.stranger_octets * 4 <= segment.end):
                return segment
        return min(idle, key=_fullness, default=None) if self._is_wasteful() else None

    def _is_wasteful(self) -> bool:
        segments = self._journal.segments.values()
        live = sum(segment.live_octets for segment in segments)
        return sum(segment.size for segment in segments) > 2 * live + _SLACK * self._pool.next_size

    async def _free(self, segment: Segment) -> None:
        await self._journal.commit()
        await self._move_messages(segment)
        await self._write_strangers_again(segment)
        segment.is_leaving = True
        outcome = await self._release(segment)
        del self._journal.segments[segment.generation]
        for other in self._journal.segments.values():
            other.finishes.pop(segment.generation, None)
        if outcome is None or not self._pool.offer(outcome):
            self._files.close(segment.handle)

    async def _release(self, segment: Segment) -> Spare | None:
        try:
            spare: Spare | None = await self._in_keeper(partial(self._pool.release, segment))
        except SpoolError:
            segment.failed = True
            raise
        return spare

    # -- messages -----------------------------------------------------------------------------

    async def _move_messages(self, segment: Segment) -> None:
        while segment.waiting:
            for step in _steps(segment):
                await self._move_some(segment, step)

    async def _move_some(self, segment: Segment, step: _Step) -> None:
        where = {n: segment.note_at(n) for _, ordinals in step for n in ordinals if segment.is_waiting(n)}
        copies = await self._in_keeper(partial(self._read_copies, segment, step, where))
        moves: dict[int, tuple[str, int]] = {}
        try:
            for copy in copies:
                moves |= self._append_copy(segment, copy)
        finally:
            await self._settle(moves)

    async def _settle(self, moves: dict[int, tuple[str, int]]) -> None:
        """Wait until each copy is either on stable storage, and then takes over, or undone."""
        while any(self._journal.is_unsynced(new) for _, new in moves.values()):
            try:
                await self._journal.commit()
            except SpoolError:
                await asyncio.sleep(LAZY)
        for old, (ident, new) in moves.items():
            del self.twins[ident]
            if self._journal.is_waiting(old) and self._journal.is_waiting(new):
                self._journal.forget_origin(old, new)
                self.moved(ident, new)

    def _read_copies(self, segment: Segment, step: _Step, where: dict[int, tuple[int, int]]) -> list[_Copy]:
        """Job: reads what was synced when it was asked for."""
        copies = []
        for offset, ordinals in step:
            put, content = read_put(self._files, segment, offset)
            wanted = [ordinal for ordinal in ordinals if ordinal in where]
            entries = put.entries()
            notes = {n: self._read_note(where[n], entries[n - put.first]) for n in wanted}
            copies.append(_Copy(put, content, entries, {n: (where[n], notes[n]) for n in wanted}))
        return copies

    def _read_note(self, where: tuple[int, int], entry: Entry) -> bytes | None:
        return read_note(self._files, self._journal.segments, *where) if where[0] else entry.note

    def _append_copy(self, segment: Segment, copy: _Copy) -> dict[int, tuple[str, int]]:
        """Put again what still waits; its old place → ident, new place."""
        entries: list[Entry] = []
        for ordinal, (where, note) in copy.seen.items():
            if not segment.is_waiting(ordinal):
                continue
            if segment.note_at(ordinal) != where:
                return {}
            entries.append(
                self._copy_entry(segment.place(ordinal), copy.entries[ordinal - copy.put.first], note)
            )
        if not entries:
            return {}
        encoded = [encode_entry(entry.ident, entry.payload, entry.note, entry.origin) for entry in entries]
        places = self._journal.append([copy.content], len(copy.content), copy.put.content_crc, encoded)
        self.twins |= {entry.ident: place for entry, place in zip(entries, places, strict=True)}
        return {e.origin: (e.ident, place) for e, place in zip(entries, places, strict=True)}

    def _copy_entry(self, place: int, entry: Entry, note: bytes | None) -> Entry:
        newer = self._journal.unsynced_note(place)
        return Entry(entry.ident, entry.payload, note if newer is None else newer, place)

    # -- notes and finishes -------------------------------------------------------------------

    async def _write_strangers_again(self, segment: Segment) -> None:
        for generation, finished in segment.finishes.items():
            if generation in self._journal.segments:
                self._journal.finish_again(finished)
        places = sorted({place for place in segment.notes if self._holds_note_of(segment, place)})
        for first in range(0, len(places), STEP_RECORDS):
            await self._write_notes_again(segment, places[first : first + STEP_RECORDS])
        await self._journal.commit()

    def _holds_note_of(self, segment: Segment, place: int) -> bool:
        target = self._journal.segments.get(generation_of(place))
        if target is None or not target.is_waiting(ordinal_of(place)):
            return False
        return target.note_at(ordinal_of(place))[0] == segment.generation

    async def _write_notes_again(self, segment: Segment, places: list[int]) -> None:
        segments = self._journal.segments
        where = {
            p: segments[generation_of(p)].note_at(ordinal_of(p))
            for p in places
            if self._holds_note_of(segment, p)
        }
        notes = await self._in_keeper(partial(self._read_notes, where))
        for place, payload in notes.items():
            if self._holds_note_of(segment, place) and self._journal.unsynced_note(place) is None:
                self._journal.note(place, payload)
        await self._journal.commit()

    def _read_notes(self, where: dict[int, tuple[int, int]]) -> dict[int, bytes]:
        """Job."""
        return {place: read_note(self._files, self._journal.segments, *at) for place, at in where.items()}

    async def _in_keeper(self, job: Callable[[], Any]) -> Any:
        outcome = asyncio.get_running_loop().create_future()
        self._keeper.submit(job, partial(_set_result, outcome))
        result = await outcome
        if isinstance(result, Exception):
            raise SpoolError(str(result)) from result
        return result


def _steps(segment: Segment) -> Iterator[_Step]:
    """The waiting puts in bounded pieces."""
    step: _Step = []
    for offset, ordinals in segment.waiting_puts():
        if step and (len(step) >= STEP_RECORDS or offset - step[0][0] >= STEP_OCTETS):
            yield step
            step = []
        step.append((offset, ordinals))
    if step:
        yield step


def _set_result(outcome: asyncio.Future[Any], result: Any) -> None:
    if not outcome.done():
        outcome.set_result(result)


def _fullness(segment: Segment) -> float:
    return segment.live_octets / segment.size


def _nobody(ident: str, place: int) -> None:
    """Whom the moves are told until somebody wants to know."""
