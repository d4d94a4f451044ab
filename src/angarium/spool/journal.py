"""When is it on stable storage? Group commit: what is assembled in the event loop becomes batches that one
thread writes and syncs.

Promises: one batch is under way at a time, and what arrives meanwhile is the next; batches land in order; a
batch's futures resolve after its synced write, all together, or all fail. A segment of which a write or sync
failed is given up. Notes and finishes are never lost to a failed batch: they are written again. Refuses to
gather: a batch starts at the end of the turn of the loop that asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from angarium.spool import record
from angarium.spool.batch import Batch
from angarium.spool.errors import SpoolError, SpoolFull
from angarium.spool.files import Files, Part, is_full
from angarium.spool.pool import Pool, Spare
from angarium.spool.record import COMMIT_SIZE, HEADER_SIZE, NOTE_SIZE, PUT_SIZE
from angarium.spool.segment import (
    MAX_ORDINALS,
    ORDINAL_BITS,
    ORDINAL_MASK,
    Segment,
    generation_of,
    ordinal_of,
)
from angarium.spool.worker import Worker

LAZY = 0.05
"""Seconds after which notes and finishes get a batch of their own (the contract's group commit)."""
RETRY = 1.0
"""Seconds between two attempts after trouble."""
_RESERVE = 64 * 1024
"""Octets at a segment's end that puts leave to notes and finishes, for the day when there is no next segment.
"""

_HEADROOM = 8 * 1024
"""Octets that are free where another message may be delivered: its end, and those of all under way."""


class Journal:
    """The writing side of a store: segments in order, the last of them current."""

    def __init__(self, files: Files, pool: Pool, syncer: Worker, keeper: Worker) -> None:
        self._files = files
        self._pool = pool
        self._syncer = syncer
        self._keeper = keeper
        self.segments: dict[int, Segment] = {}
        """Generation → segment in which something may still matter, oldest first."""
        self.generation = 0
        """The last generation in use."""
        self.problem: str | None = None
        self.is_failing = False
        """Something worse than a full disk befell it, and nothing has been written since."""
        self.has_news = False
        """A segment became empty or full since somebody looked: it may be time to tidy."""
        self._current: Segment | None = None
        self._fallback: Segment | None = None
        self._tail: Segment | None = None
        self._batches: deque[Batch] = deque()
        self._under_way: Batch | None = None
        self._notes: dict[int, bytes] = {}
        self._finishes: list[int] = []
        self._is_at_work = False
        """A batch is under way, or about to be: its landing starts the next."""
        self._timer: asyncio.TimerHandle | None = None
        self._barred_until = 0.0
        self._spare_size = 0
        """Octets of the spare that is being made; 0: none is."""
        self._heir: Segment | None = None
        """The segment that began meanwhile, and gets it."""
        self._is_closing = False

    def continue_after(self, segments: list[Segment]) -> None:
        """Take up the segments that a start found, oldest first. None of them is appended to."""
        self.segments = {segment.generation: segment for segment in segments}
        if segments:
            self._tail = segments[-1]
            self.generation = self._tail.generation
            self.has_news = True

    def append(self, content: Sequence[Part], length: int, checksum: int, entries: list[bytes]) -> list[int]:
        """Assemble a put of encoded messages; tells their places. Raises SpoolFull where there is no segment
        to be had.
        """
        messages, count = b"".join(entries), len(entries)
        batch = self._batch_for(PUT_SIZE + len(messages) + length + COMMIT_SIZE, count, reserve=_RESERVE)
        first = batch.add_put(content, length, checksum, messages, count)
        return [*range(first, first + count)]

    def note(self, place: int, payload: bytes) -> None:
        """Set a waiting message's note, with the next batch. For a message that is over: nothing."""
        if self.is_waiting(place):
            self._notes[place] = payload
            self._be_lazy()

    def finish(self, place: int) -> bool:
        """End a message, with the next batch; False: it was over before."""
        segment = self.segments.get(place >> ORDINAL_BITS)
        if segment is None or not self._end_message(segment, place & ORDINAL_MASK):
            return False
        if self._notes:
            self._notes.pop(place, None)
        self._finishes.append(place)
        if self._timer is None:
            self._be_lazy()
        return True

    def finish_again(self, places: Sequence[int]) -> None:
        """Write finishes again whose record is about to go."""
        self._finishes.extend(places)
        self._be_lazy()

    def is_waiting(self, place: int) -> bool:
        """Whether a place holds a message that is not finished."""
        segment = self.segments.get(generation_of(place))
        return segment is not None and segment.is_waiting(ordinal_of(place))

    def is_unsynced(self, place: int) -> bool:
        """Whether a place holds a message that is neither on stable storage nor undone."""
        segment = self.segments.get(generation_of(place))
        return segment is not None and segment.is_unsynced(ordinal_of(place))

    def forget_origin(self, place: int, copy: int) -> None:
        """A copy that names this place as its origin is durable: the place is over without a finish, for as
        long as the copy's record is there.
        """
        self._end_message(self.segments[generation_of(place)], ordinal_of(place))
        self._notes.pop(place, None)
        self._finish_landed(self.segments[generation_of(copy)], place)

    def unsynced_note(self, place: int) -> bytes | None:
        """A note that is not on stable storage yet."""
        if place in self._notes:
            return self._notes[place]
        for batch in (*reversed(self._batches), self._under_way):
            if batch is not None and place in batch.notes:
                return batch.notes[place][0]
        return None

    @property
    def has_room(self) -> bool:
        """Whether what ends next has its place already."""
        segment = self._current
        if (
            segment is not None
            and segment.is_ready
            and not segment.failed
            and segment.end + _HEADROOM <= segment.size
        ):
            return True
        return self._pool.has_spare(HEADER_SIZE + _HEADROOM)

    def commit(self) -> asyncio.Future[None]:
        """Resolves when all that was appended so far is on stable storage; fails with SpoolError where a put
        of it is lost.
        """
        waiter = asyncio.get_running_loop().create_future()
        try:
            batch = self._last_batch()
        except SpoolError as error:
            waiter.set_exception(error)
            return waiter
        if batch is None:
            waiter.set_result(None)
        else:
            batch.waiters.append(waiter)
            if not self._is_at_work:
                self._schedule()
        return waiter

    def is_busy(self, segment: Segment) -> bool:
        """Whether something is still to be written to a segment."""
        return (
            segment is self._current
            or (self._under_way is not None and self._under_way.segment is segment)
            or any(batch.segment is segment for batch in self._batches)
        )

    @property
    def unwritten(self) -> int:
        """Ends that no write has kept so far."""
        return len(self._finishes)

    @property
    def is_idle(self) -> bool:
        """Nothing is to be written."""
        return not (self._under_way or self._batches or self._notes or self._finishes)

    def drain(self) -> None:
        """Write all that is left, without a loop; also after trouble, which may be over. New trouble fails
        what waits, and ends it.
        """
        self._is_closing = True
        self._stop_timer()
        self._syncer.stop()
        self._keeper.stop()
        while not self.is_idle and self._write_now():
            pass
        self._fail_all(SpoolError("the spool was closed"))

    def _write_now(self) -> bool:
        try:
            if not self._batches:
                self._last_batch()
        except SpoolError:
            return False
        if (batch := self._next_batch()) is None:
            return False
        try:
            outcome = batch.job(self._files)()
        except OSError as error:
            outcome = error
        self._land(outcome)
        return outcome is None

    # -- batches ------------------------------------------------------------------------------

    def _last_batch(self) -> Batch | None:
        last = self._batches[-1] if self._batches else None
        if (last is None or last.is_closed) and (self._notes or self._finishes):
            note = next(iter(self._notes.values()), b"")
            return self._batch_for(COMMIT_SIZE + NOTE_SIZE + len(note), 0, reserve=0)
        return last or self._under_way

    def _batch_for(self, octets: int, messages: int, *, reserve: int) -> Batch:
        """The last batch, where that is open and its segment has room; else another, of another segment if
        need be. Raises SpoolFull.
        """
        segment = self._current
        if (
            segment is None
            or segment.failed
            or segment.end + octets + min(reserve, segment.size // 8) > segment.size
            or len(segment.offsets) + messages > MAX_ORDINALS
        ):
            needed = HEADER_SIZE + octets
            segment = self._turn_over(needed + min(reserve, needed // 7 + 1), is_urgent=not messages)
        last = self._batches[-1] if self._batches else None
        if last is not None and last.segment is segment and not last.is_closed:
            return last
        return self._begin(segment, last)

    def _begin(self, segment: Segment, last: Batch | None) -> Batch:
        """A new last batch. The one before may be closed: what would have followed it has failed."""
        batch = Batch(segment)
        if last is not None and not last.is_closed and not self._fill(last):
            last.hand_over(batch)
        self._batches.append(batch)
        return batch

    def _fill(self, batch: Batch) -> bool:
        """Close the last batch, with the notes and finishes so far; whether all had room.

        No earlier batch may take them, for what they speak of may have been put in this one; and this one
        must, before another is the last: those who wait for them wait for it.
        """
        if self._notes:
            batch.take_notes(self._notes)
        if self._finishes:
            batch.take_finishes(self._finishes)
        batch.close()
        return not (self._notes or self._finishes)

    def _schedule(self) -> None:
        if not self._is_at_work and not self._is_closing:
            self._is_at_work = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        batch = self._next_batch()
        if batch is not None:
            self._syncer.submit(batch.job(self._files), self._landed)
            self._think_ahead()
        else:
            self._is_at_work = False

    def _next_batch(self) -> Batch | None:
        """The batch to write now, closed; None where one is under way, or its segment is still being made."""
        if self._under_way is not None or not self._batches or not self._batches[0].segment.is_ready:
            return None
        batch = self._under_way = self._batches.popleft()
        if not batch.is_closed and not self._fill(batch):
            self._pass_on(batch)
        self._seal(batch)
        return batch

    def _pass_on(self, batch: Batch) -> None:
        """What had no room goes with a batch of its own, and everybody waits for that."""
        try:
            later = self._last_batch()
        except SpoolError as error:
            batch.fail(error)
            batch.waiters = []
        else:
            assert later is not None
            batch.hand_over(later)

    def _seal(self, batch: Batch) -> None:
        if not batch.segment.synced:
            batch.add_header(self._header(batch.segment))
            self._close_fallback(batch.segment)

    def _close_fallback(self, successor: Segment) -> None:
        """The header being written says where its predecessor ends: nothing may be appended there."""
        if self._fallback is not successor:
            self._fallback = None

    def _header(self, segment: Segment) -> record.Header:
        tail = self._tail
        previous, end = (tail.generation, tail.synced) if tail is not None else (0, 0)
        return segment.header(previous, end, state=record.USED)

    def _landed(self, outcome: OSError | None) -> None:
        self._is_at_work = False
        self._land(outcome)
        if self._batches:
            self._schedule()
        elif self._notes or self._finishes:
            self._be_lazy()

    def _land(self, outcome: OSError | None) -> None:
        batch, self._under_way = self._under_way, None
        assert batch is not None
        if outcome is None:
            self._succeed(batch)
        else:
            self._give_up(batch, outcome)

    def _succeed(self, batch: Batch) -> None:
        segment = batch.segment
        segment.synced = batch.end
        self._tail = segment
        self.problem = None
        self.is_failing = False
        for place, (payload, offset) in batch.notes.items():
            self._note_landed(segment, place, len(payload), offset)
        for place in batch.finishes:
            if place >> ORDINAL_BITS != segment.generation:
                self._finish_landed(segment, place)
        batch.resolve()

    def _note_landed(self, segment: Segment, place: int, length: int, offset: int) -> None:
        segment.notes.append(place)
        segment.note_octets += NOTE_SIZE + length
        target = self.segments.get(generation_of(place))
        if target is not None and target.is_waiting(ordinal_of(place)):
            segment.live_notes += 1
            self._drop_note(target.set_note(ordinal_of(place), segment.generation, offset))

    def _finish_landed(self, segment: Segment, place: int) -> None:
        if generation_of(place) in self.segments:
            segment.add_finish(place)

    def _end_message(self, segment: Segment, ordinal: int) -> bool:
        """End a message; False: it was over before. A current segment is no news while it is the only one:
        nothing could be freed.
        """
        held_in = segment.end_message(ordinal)
        if held_in is None:
            return False
        if held_in:
            self._drop_note(held_in)
        if segment.waiting == 0 and (segment is not self._current or len(self.segments) > 1):
            self.has_news = True
        return True

    def _drop_note(self, generation: int) -> None:
        if generation and (holder := self.segments.get(generation)) is not None:
            holder.live_notes -= 1

    # -- segments -----------------------------------------------------------------------------

    def _think_ahead(self) -> None:
        """Have a spare made when a quarter of the current segment is written.

        It may be twice as large, and the rest should last until it is there.
        """
        segment = self._current
        if segment is None or segment.synced * 4 < segment.size or self._spare_size:
            return
        if self._pool.has_spare() or time.monotonic() < self._barred_until:
            return
        file, self._spare_size = self._pool.plan(0)
        self._keeper.submit(partial(self._pool.make, file, self._spare_size), self._spare_made)

    def _spare_made(self, outcome: Spare | OSError) -> None:
        heir, self._heir, self._spare_size = self._heir, None, 0
        if heir is not None:
            self._segment_made(heir, outcome)
        elif isinstance(outcome, OSError):
            self._bar()
        elif not self._pool.offer(outcome):
            self._files.close(outcome.handle)

    def _turn_over(self, octets: int, *, is_urgent: bool) -> Segment:
        """Begin a new segment: a spare one, or one that is being made while records for it are assembled.

        It is urgent for notes and finishes: what has ended would be there again after a restart.
        """
        spare = self._pool.take(octets)
        if spare is None and not is_urgent and time.monotonic() < self._barred_until:
            raise SpoolFull(self.problem or "no space for another segment")
        if self._current is not None and self._current.is_ready:
            self._fallback = self._current
        self.generation += 1
        segment = Segment(self.generation, self._files.entropy(record.SALT_SIZE), spare.size if spare else 0)
        if spare is not None:
            _equip(segment, spare)
        elif not is_urgent and self._heir is None and self._spare_size >= octets:
            self._heir, segment.size = segment, self._spare_size
        else:
            self._have_made(segment, octets, is_urgent=is_urgent)
        self.segments[segment.generation] = self._current = segment
        self.has_news = True
        return segment

    def _have_made(self, segment: Segment, octets: int, *, is_urgent: bool) -> None:
        file, segment.size = self._pool.plan(octets, is_urgent=is_urgent)
        job = partial(self._pool.make, file, segment.size, is_urgent=is_urgent)
        if not self._is_closing:
            self._keeper.submit(job, partial(self._segment_made, segment))
            return
        try:
            _equip(segment, job())
        except OSError as error:
            raise self._blame(error) from error

    def _segment_made(self, segment: Segment, outcome: Spare | OSError) -> None:
        if isinstance(outcome, Spare):
            _equip(segment, outcome)
            self._schedule()
            return
        segment.failed = True
        del self.segments[segment.generation]
        if self._current is segment:
            self._current = self._fallback if self._fallback and not self._fallback.failed else None
        self._bar()
        self._fail([batch for batch in self._batches if batch.segment is segment], self._blame(outcome))

    def _bar(self) -> None:
        """Do not try to make another segment for a while."""
        self._barred_until = time.monotonic() + RETRY

    # -- trouble ------------------------------------------------------------------------------

    def _blame(self, error: OSError) -> SpoolError:
        kind = SpoolFull if is_full(error) else SpoolError
        self.problem = f"the spool failed: {error.strerror or error}"
        self.is_failing |= kind is SpoolError
        return kind(self.problem)

    def _give_up(self, batch: Batch, error: OSError) -> None:
        """A later sync that succeeds would prove nothing: leave this segment for ever."""
        batch.segment.failed = True
        if self._current is batch.segment:
            self._current = None
        if self._fallback is batch.segment:
            self._fallback = None
        self.has_news = True
        self._fail([batch, *self._batches], self._blame(error))

    def _fail_all(self, error: SpoolError) -> None:
        self._fail(list(self._batches), error)

    def _fail(self, batches: list[Batch], error: SpoolError) -> None:
        for batch in reversed(batches):
            self._undo(batch)
        for batch in batches:
            if batch in self._batches:
                self._batches.remove(batch)
            batch.fail(error)
        self._try_later()

    def _undo(self, batch: Batch) -> None:
        """Its puts never were; its notes and finishes are still to be written."""
        for ordinal in range(batch.first, batch.last):
            self._end_message(batch.segment, ordinal)
        self._finishes[:0] = batch.finishes
        older = {place: payload for place, (payload, _) in batch.notes.items() if self.is_waiting(place)}
        self._notes = older | self._notes
        if not batch.segment.failed:
            batch.segment.end = min(batch.segment.end, batch.start)

    def _be_lazy(self, delay: float = LAZY) -> None:
        if self._timer is None and not self._is_closing:
            self._timer = asyncio.get_running_loop().call_later(delay, self._time_is_up)

    def _try_later(self) -> None:
        """Something is written after a while, be it an empty batch: that is how a healed disk is noticed."""
        self._stop_timer()
        self._be_lazy(RETRY)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        try:
            if self._last_batch() is None and self.problem is not None:
                self._batch_for(COMMIT_SIZE, 0, reserve=0)
        except SpoolFull:
            self._be_lazy(RETRY)
        self._schedule()


def _equip(segment: Segment, spare: Spare) -> None:
    segment.file, segment.handle, segment.size = spare
    segment.is_ready = True
