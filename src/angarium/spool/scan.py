"""What does a segment file hold? Reading it at start, after whatever happened before.

Promises: everything whole is found, whatever lies between; a torn tail is cut; octets between records that
were once synced are reported as damage; what the successor's header calls void is left out. Refuses to
believe content in the last batch without its checksum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from angarium.spool.octets import Octets
from angarium.spool.record import HEADER_SIZE, Commit, Put, Record


class Scan(NamedTuple):
    """The records to take up, in order, and what is wrong."""

    records: list[Record]
    end: int
    """Offset behind the last record taken up."""
    proven: int
    """Up to where a later record or header proves that it was synced."""
    has_void: bool
    """Records lie behind the end that the successor's header names: the segment was given up."""
    damage: list[str]


def scan_segment(octets: Octets, salt: bytes, *, known_end: int | None) -> Scan:
    """Find the records; `known_end` is up to where the successor's header says that the segment was synced
    (None: unknown).
    """
    records = list(_find_records(octets, salt))
    taken = [record for record in records if known_end is None or record.end <= known_end]
    synced = _synced_end(taken) if known_end is None else known_end
    taken = list(_cut_tail(taken, synced, octets))
    end = taken[-1].end if taken else HEADER_SIZE
    return Scan(
        taken,
        end,
        min(synced, end),
        has_void=len(records) > len(taken),
        damage=list(_find_damage(taken, synced)),
    )


def _find_records(octets: Octets, salt: bytes) -> Iterator[Record]:
    """Every whole head of this salt; contents are skipped, so that what a mail says is never taken for a
    record.
    """
    at = HEADER_SIZE
    while at != -1:
        record = octets.record_at(at, salt)
        if record is None:
            at = octets.find(salt, at + 1)
            continue
        yield record
        at = record.end


def _synced_end(records: list[Record]) -> int:
    """A commit proves that all before its batch was synced."""
    return max((r.value.start for r in records if isinstance(r.value, Commit)), default=HEADER_SIZE)


def _cut_tail(records: list[Record], synced: int, octets: Octets) -> Iterator[Record]:
    """Behind what is known to be synced, the first octet that is not as it was written ends it all."""
    at = HEADER_SIZE
    for record in records:
        if record.end > synced and (record.offset > max(at, synced) or not _is_sound(record, octets)):
            return
        yield record
        at = record.end


def _is_sound(record: Record, octets: Octets) -> bool:
    if not isinstance(record.value, Put):
        return True
    return octets.checksum(record.content_offset, record.end) == record.value.content_crc


def _find_damage(records: list[Record], synced: int) -> Iterator[str]:
    at = HEADER_SIZE
    for record in records:
        if record.offset > at and at < synced:
            yield f"octets {at} to {record.offset - 1} are no record"
        at = max(at, record.end)
    if at < synced:
        yield f"octets {at} to {synced - 1} are no record"
