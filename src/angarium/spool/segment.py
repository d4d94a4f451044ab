"""What does the store know of one segment? Where its messages are and what still matters in it: 12 octets a
message.

Pure bookkeeping: no input or output. A place is `generation << 24 | ordinal`; ordinals count the messages of
a segment.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from angarium.spool.record import HEADER_SIZE, Header

ORDINAL_BITS = 24
MAX_ORDINALS = 1 << ORDINAL_BITS
ORDINAL_MASK = MAX_ORDINALS - 1
_FINISHED = (1 << 64) - 1
_OFFSET_BITS = 32


def generation_of(place: int) -> int:
    """The generation of the segment that a place lies in."""
    return place >> ORDINAL_BITS


def ordinal_of(place: int) -> int:
    """The ordinal of a place's message in its segment."""
    return place & ORDINAL_MASK


class Segment:
    """One segment file in use: the current one, or one in which something still matters."""

    __slots__ = (
        "end", "failed", "file", "finishes", "generation", "handle", "is_damaged", "is_leaving", "is_ready",
        "latest", "live_notes", "note_octets", "notes", "offsets", "salt", "size", "synced", "waiting",
    )  # fmt: skip

    def __init__(self, generation: int, salt: bytes, size: int) -> None:
        self.generation = generation
        self.salt = salt
        self.size = size
        self.file = 0
        """The file's number; 0 while the file is being made, as `handle` is -1."""
        self.handle = -1
        self.is_ready = False
        """The file exists, written before and free."""
        self.end = HEADER_SIZE
        """Where the next record goes."""
        self.synced = 0
        """Everything before this offset is on stable storage; 0: not even the header."""
        self.failed = False
        """A write or sync failed: nothing is ever written to it again."""
        self.is_damaged = False
        """Octets were found that are no records: the file is kept for the operator."""
        self.is_leaving = False
        """It is being freed; its place in the order still counts."""
        self.waiting = 0
        self.offsets = array("I")
        """Ordinal → offset of its put."""
        self.latest = array("Q")
        """Ordinal → generation and offset of its latest note; 0: none; all ones: finished."""
        self.notes = array("Q")
        """Places that notes in this segment speak of, in the order of writing."""
        self.note_octets = 0
        self.live_notes = 0
        """How many of these notes are their message's latest."""
        self.finishes: dict[int, array[int]] = {}
        """Generation of another segment → places in it that are over by a commit or a copy in this one."""

    def header(self, previous: int, previous_end: int, *, state: int) -> Header:
        """The segment's header block."""
        return Header(state, self.generation, self.salt, self.size, previous, previous_end)

    def place(self, ordinal: int) -> int:
        """The place of a message."""
        return self.generation << ORDINAL_BITS | ordinal

    def add(self, offset: int, count: int) -> int:
        """Take up the messages of a put at an offset; tells the ordinal of the first."""
        first = len(self.offsets)
        self.offsets.fromlist([offset] * count)
        self.latest.fromlist([0] * count)
        self.waiting += count
        return first

    def pad(self, ordinal: int) -> None:
        """Make up for puts that were lost with their batch: their ordinals are over."""
        while len(self.offsets) < ordinal:
            self.offsets.append(0)
            self.latest.append(_FINISHED)

    def is_waiting(self, ordinal: int) -> bool:
        """Whether the message exists and is not finished."""
        return ordinal < len(self.latest) and self.latest[ordinal] != _FINISHED

    def is_unsynced(self, ordinal: int) -> bool:
        """Whether the message waits, but is not on stable storage yet."""
        return self.is_waiting(ordinal) and self.offsets[ordinal] >= self.synced

    def end_message(self, ordinal: int) -> int | None:
        """Mark a message as finished; tells the generation that holds its latest note, or 0.

        None where it does not wait.
        """
        if ordinal >= len(self.latest) or (latest := self.latest[ordinal]) == _FINISHED:
            return None
        self.latest[ordinal] = _FINISHED
        self.waiting -= 1
        return latest >> _OFFSET_BITS

    def add_finish(self, place: int) -> None:
        """Remember that a record in this segment ends a message in another."""
        generation = generation_of(place)
        if generation != self.generation:
            self.finishes.setdefault(generation, array("Q")).append(place)

    def note_at(self, ordinal: int) -> tuple[int, int]:
        """Generation and offset of a waiting message's latest note; (0, 0): none."""
        latest = self.latest[ordinal]
        return latest >> _OFFSET_BITS, latest & 0xFFFFFFFF

    def set_note(self, ordinal: int, generation: int, offset: int) -> int:
        """Remember the latest note; tells the generation that held the one before, or 0."""
        held_in = self.latest[ordinal] >> _OFFSET_BITS
        self.latest[ordinal] = generation << _OFFSET_BITS | offset
        return held_in

    def note_holders(self) -> Iterator[int]:
        """The generations that hold the latest notes of messages that wait."""
        for latest in self.latest:
            if latest not in {0, _FINISHED}:
                yield latest >> _OFFSET_BITS

    def waiting_puts(self) -> Iterator[tuple[int, list[int]]]:
        """Offsets of puts with messages that wait, and their ordinals, in the order of the file."""
        offset, ordinals = 0, list[int]()
        for ordinal, state in enumerate(self.latest):
            if state == _FINISHED:
                continue
            if ordinals and self.offsets[ordinal] != offset:
                yield offset, ordinals
                ordinals = []
            offset = self.offsets[ordinal]
            ordinals.append(ordinal)
        if ordinals:
            yield offset, ordinals

    @property
    def stranger_octets(self) -> int:
        """About how much of it are notes and finishes that must be written again before it can be freed."""
        notes = self.note_octets * self.live_notes // max(len(self.notes), 1)
        return notes + 8 * sum(len(places) for places in self.finishes.values())

    @property
    def live_octets(self) -> int:
        """About how much of it still matters: its share of messages that wait, and the strangers."""
        used = self.end - HEADER_SIZE
        return used * self.waiting // max(len(self.offsets), 1) + self.stranger_octets
