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
"""The same for notes, which are small."""
_NOTE_WINDOW = 16 * 1024
"""Octets read at once where a start reads many notes: those of one batch, not the contents around them."""


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
    octets, notes = Octets(files, segment.handle, segment.end), _Notes(files, segments)
    for offset, ordinals in segment.waiting_puts():
        record = octets.record_at(offset, segment.salt)
        if record is None or not isinstance(record.value, Put):
            raise SpoolError(f"no put at octet {offset} of segment {segment.file}")
        entries = record.value.entries()
        for ordinal in ordinals:
            entry, (generation, at) = entries[ordinal - record.value.first], segment.note_at(ordinal)
            yield ordinal, entry, notes.read(generation, at) if generation else entry.note


class _Notes:
    """Notes as a start reads them: those of messages that were noted together stand together."""

    def __init__(self, files: Files, segments: Mapping[int, Segment]) -> None:
        self._files = files
        self._segments = segments
        self._octets: dict[int, Octets] = {}

    def read(self, generation: int, offset: int) -> bytes:
        segment = self._segments[generation]
        octets = self._octets.get(generation)
        if octets is None:
            octets = Octets(self._files, segment.handle, segment.end, window=_NOTE_WINDOW)
            self._octets[generation] = octets
        record = octets.record_at(offset, segment.salt)
        if record is None or not isinstance(record.value, Note):
            raise SpoolError(f"no note at octet {offset} of segment {segment.file}")
        return record.value.payload


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
