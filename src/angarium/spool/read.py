"""Reading puts and notes back from a segment. Raises SpoolError where the octets are not what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from angarium.spool.errors import SpoolError
from angarium.spool.files import Files
from angarium.spool.octets import Octets
from angarium.spool.record import Entry, Note, Put, Record, head_length, parse_record
from angarium.spool.segment import Segment

_GLANCE = 4096
"""Octets read at first: most heads fit."""
_NOTE_GLANCE = 512
"""The same for notes, which are small, and of which a start reads a million."""


def read_put(files: Files, segment: Segment, offset: int) -> tuple[Put, bytes]:
    """A put and its content, unverified."""
    record, data = _read_record(files, segment, offset)
    if not isinstance(record.value, Put):
        raise SpoolError(f"no put at octet {offset} of segment {segment.file}")
    at = record.content_offset - offset
    content = data[at : at + record.content_length]
    missing = record.content_length - len(content)
    if missing:
        content += _read(files, segment, missing, record.content_offset + len(content))
    return record.value, content


def read_note(files: Files, segments: Mapping[int, Segment], generation: int, offset: int) -> bytes:
    """A note's payload."""
    segment = segments[generation]
    record, _ = _read_record(files, segment, offset, _NOTE_GLANCE)
    if not isinstance(record.value, Note):
        raise SpoolError(f"no note at octet {offset} of segment {segment.file}")
    return record.value.payload


def walk_waiting(
    files: Files, segment: Segment, segments: Mapping[int, Segment]
) -> Iterator[tuple[int, Entry, bytes | None]]:
    """The waiting messages of a segment with their latest notes, by ordinal."""
    if not segment.waiting:
        return
    octets = Octets(files, segment.handle, segment.end)
    for offset, ordinals in segment.waiting_puts():
        record = octets.record_at(offset, segment.salt)
        if record is None or not isinstance(record.value, Put):
            raise SpoolError(f"no put at octet {offset} of segment {segment.file}")
        for ordinal in ordinals:
            entry = record.value.entries[ordinal - record.value.first]
            yield ordinal, entry, latest_note(files, segment, segments, ordinal, entry)


def latest_note(
    files: Files, segment: Segment, segments: Mapping[int, Segment], ordinal: int, entry: Entry
) -> bytes | None:
    """The synced note of a message: written by itself, or with its put when it was moved."""
    generation, offset = segment.note_at(ordinal)
    return read_note(files, segments, generation, offset) if generation else entry.note


def _read_record(files: Files, segment: Segment, offset: int, glance: int = _GLANCE) -> tuple[Record, bytes]:
    data = _read(files, segment, glance, offset)
    record = parse_record(data, 0, segment.salt, offset)
    if record is None and (head := head_length(data, segment.salt)) > len(data):
        data += _read(files, segment, head - len(data), offset + len(data))
        record = parse_record(data, 0, segment.salt, offset)
    if record is None:
        raise SpoolError(f"no record at octet {offset} of segment {segment.file}")
    return record, data


def _read(files: Files, segment: Segment, length: int, offset: int) -> bytes:
    try:
        return files.read(segment.handle, length, offset)
    except OSError as error:
        raise SpoolError(f"cannot read segment {segment.file}: {error.strerror or error}") from error
