"""What does one synced write make durable? A batch: puts one after the other, notes, and a commit record.

Promises: the parts that were handed in are the parts that are written; nothing is added to a closed batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from angarium.spool import record
from angarium.spool.errors import SpoolError
from angarium.spool.files import Files, Part
from angarium.spool.record import COMMIT_SIZE, NOTE_SIZE, Commit, Header, Note
from angarium.spool.segment import Segment


class Batch:
    """Records for the end of one segment."""

    __slots__ = (
        "end",
        "finishes",
        "first",
        "is_closed",
        "last",
        "notes",
        "parts",
        "segment",
        "start",
        "waiters",
    )

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.start = segment.end
        self.end = segment.end
        self.parts: list[Part] = []
        self.first = self.last = len(segment.offsets)
        """Ordinals of the first message of its puts, and behind the last."""
        self.notes: dict[int, tuple[bytes, int]] = {}
        """Place → payload, offset of the record."""
        self.finishes: list[int] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.is_closed = False
        """Whether it has its commit record."""

    def add_put(self, content: Sequence[Part], length: int, checksum: int, entries: bytes, count: int) -> int:
        """Append a put of so many encoded messages; tells the place of the first."""
        segment = self.segment
        first = segment.add(segment.end, count)
        head = record.encode_put(segment.salt, first, count, entries, checksum, length)
        self.parts += (head, *content)
        self.last = first + count
        segment.end += len(head) + length
        return segment.place(first)

    def take_notes(self, notes: dict[int, bytes]) -> None:
        """Append the notes that fit, and take them away."""
        segment = self.segment
        for place, payload in list(notes.items()):
            if segment.end + NOTE_SIZE + len(payload) + COMMIT_SIZE > segment.size:
                break
            self.notes[place] = (payload, segment.end)
            del notes[place]
            self.parts.append(record.encode_note(segment.salt, Note(place, payload)))
            segment.end += NOTE_SIZE + len(payload)

    def take_finishes(self, finishes: list[int]) -> None:
        """Take away the finishes that fit; the commit record will name them."""
        room = max(0, (self.segment.size - self.segment.end - COMMIT_SIZE) // 8)
        self.finishes = finishes[:room]
        del finishes[:room]

    def close(self) -> None:
        """End the batch with its commit record: nothing is added to it any more."""
        segment = self.segment
        self.parts.append(record.encode_commit(segment.salt, Commit(self.start, self.finishes)))
        segment.end += COMMIT_SIZE + 8 * len(self.finishes)
        self.end = segment.end
        self.is_closed = True

    def add_header(self, header: Header) -> None:
        """The first batch of a segment brings the header."""
        self.parts.insert(0, record.encode_header(header))

    def job(self, files: Files) -> partial[None]:
        """The system call that makes a closed batch durable."""
        offset = self.start if self.segment.synced else 0
        return partial(files.write_synced, self.segment.handle, self.parts, offset)

    def hand_over(self, later: Batch) -> None:
        """Whoever waits for this batch waits for a later one."""
        later.waiters += self.waiters
        self.waiters = []

    def resolve(self) -> None:
        """Tell everybody who waits that it is safe."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: SpoolError) -> None:
        """Tell everybody who waits that it is not."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)
