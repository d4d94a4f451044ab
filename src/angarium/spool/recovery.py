"""What was safe when the last run ended? Opens the files of a folder and builds the segments from their
records.

Promises: opens nothing of another format, and touches nothing then; every message whose commit was synced and
whose finish was not is waiting, once, with its latest note; what cannot be understood is kept aside and
reported. Raises SpoolError where the folder cannot be used.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from angarium.spool.errors import SpoolError
from angarium.spool.files import Files
from angarium.spool.octets import Octets
from angarium.spool.pool import Pool, Spare, parse_name
from angarium.spool.record import (
    HEADER_SIZE,
    NOTE_SIZE,
    USED,
    Commit,
    ForeignFormatError,
    Header,
    Note,
    Put,
    Record,
    parse_header,
)  # fmt: skip
from angarium.spool.scan import Scan, scan_segment
from angarium.spool.segment import Segment, generation_of, ordinal_of


class _Found(NamedTuple):
    file: int
    handle: int
    header: Header | None


class Recovery:
    """One start: files in, segments out."""

    def __init__(self, folder: Path, files: Files, pool: Pool) -> None:
        self._folder = folder
        self._files = files
        self._pool = pool
        self._segments: dict[int, Segment] = {}
        self.reports: list[str] = []
        """What the operator should know: damage, and where the octets are kept."""

    def run(self) -> list[Segment]:
        """The segments, oldest first. Raises SpoolError."""
        try:
            found = self._open_files()
            self._clear_up(found)
            used = sorted((f for f in found if f.header and f.header.state == USED), key=_generation)
            headers = [item.header for item in used]
            for item, following in zip(used, [*headers[1:], None], strict=False):
                self._take_up(item, following)
            self._files.sync_folder(self._folder)
        except OSError as error:
            raise SpoolError(f"cannot use the spool {self._folder}: {error.strerror or error}") from error
        self._count_strangers()
        return list(self._segments.values())

    def _open_files(self) -> list[_Found]:
        """All headers are read before anything is changed."""
        found = []
        for name in sorted(self._files.names(self._folder)):
            parsed = parse_name(name)
            if parsed is None or parsed[1]:
                continue
            handle = self._files.open(self._folder / name)
            try:
                header = parse_header(self._files.read(handle, HEADER_SIZE, 0))
            except ForeignFormatError as error:
                raise SpoolError(f"{self._folder / name}: {error}") from None
            found.append(_Found(parsed[0], handle, header))
        return found

    def _clear_up(self, found: list[_Found]) -> None:
        """Files that were being made go; free ones are offered; unreadable ones are set aside."""
        for name in self._files.names(self._folder):
            parsed = parse_name(name)
            if parsed is not None and parsed[1]:
                self._files.unlink(self._folder / name)
        for item in found:
            self._pool.last_file = max(self._pool.last_file, item.file)
            if item.header is None:
                self._set_aside(item)
            elif item.header.state != USED:
                self._offer(item, item.header)

    def _offer(self, item: _Found, header: Header) -> None:
        """A free header is written again, durably: it may only be in the page cache, and an earlier use of
        the file would come back after the records that ended its messages are gone, under a generation that
        is in use again.
        """
        spare = Spare(item.file, item.handle, header.size)
        if self._pool.offer(spare):
            self._pool.free(spare)
        else:
            self._files.unlink(self._pool.path(item.file))
            self._files.close(item.handle)

    def _set_aside(self, item: _Found) -> None:
        path = self._pool.path(item.file)
        aside = path.with_name(f"damaged-{item.file:08d}-unreadable")
        self._files.rename(path, aside)
        self._files.close(item.handle)
        self.reports.append(f"{path.name}: no valid header; kept as {aside.name}")

    def _take_up(self, item: _Found, following: Header | None) -> None:
        header = item.header
        assert header is not None
        octets = Octets(self._files, item.handle, self._files.size(item.handle))
        scan = scan_segment(octets, header.salt, known_end=_known_end(header, following))
        self._write_again(item.handle, octets, scan)
        segment = Segment(header.generation, header.salt, header.size)
        segment.file, segment.handle, segment.is_ready = item.file, item.handle, True
        segment.end = segment.synced = scan.end
        segment.failed = scan.has_void
        self._segments[segment.generation] = segment
        for record in scan.records:
            self._apply(segment, record)
        self._report(segment, octets.damage + scan.damage)

    def _write_again(self, handle: int, octets: Octets, scan: Scan) -> None:
        """What is taken up, but not proven, may only be in the page cache, where a failed sync has left it as
        clean. So may the header, which says what is void in its predecessor.
        """
        if scan.proven < scan.end or scan.proven <= HEADER_SIZE:
            self._files.write(handle, [octets.read(0, HEADER_SIZE)], 0)
            self._files.write(handle, [octets.read(scan.proven, scan.end)], scan.proven)
            self._files.sync(handle)

    def _report(self, segment: Segment, damage: list[str]) -> None:
        name = self._pool.path(segment.file).name
        for text in damage:
            segment.is_damaged = True
            self.reports.append(f"{name}: {text}; the file is kept once it is emptied")

    def _apply(self, segment: Segment, record: Record) -> None:
        value = record.value
        if isinstance(value, Put):
            self._apply_put(segment, record.offset, value)
        elif isinstance(value, Note):
            self._apply_note(segment, record.offset, value)
        else:
            self._apply_commit(segment, value)

    def _apply_put(self, segment: Segment, offset: int, put: Put) -> None:
        segment.pad(put.first)
        segment.add(offset, put.count)
        for origin in put.origins():
            self._end(segment, origin)

    def _apply_note(self, segment: Segment, offset: int, note: Note) -> None:
        segment.notes.append(note.place)
        segment.note_octets += NOTE_SIZE + len(note.payload)
        target, ordinal = self._segments.get(generation_of(note.place)), ordinal_of(note.place)
        if target is not None and target.is_waiting(ordinal):
            target.set_note(ordinal, segment.generation, offset)

    def _apply_commit(self, segment: Segment, commit: Commit) -> None:
        for place in commit.finished:
            self._end(segment, place)

    def _end(self, segment: Segment, place: int) -> None:
        """A record in this segment says that the message at a place is over."""
        target, ordinal = self._segments.get(generation_of(place)), ordinal_of(place)
        if target is None:
            return
        segment.add_finish(place)
        target.end_message(ordinal)

    def _count_strangers(self) -> None:
        """Which notes are still their message's latest."""
        for segment in self._segments.values():
            for generation, notes in Counter(segment.note_holders()).items():
                if (holder := self._segments.get(generation)) is not None:
                    holder.live_notes += notes


def _generation(item: _Found) -> int:
    assert item.header is not None
    return item.header.generation


def _known_end(header: Header, following: Header | None) -> int | None:
    """Up to where a segment was synced, by its successor's word; 0: nothing of it ever was."""
    if following is None or following.previous > header.generation:
        return None
    return following.previous_end if following.previous == header.generation else 0
