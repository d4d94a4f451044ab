"""What do the octets in a segment mean? The block at the head of a file, and the framing of records
(docs/spool.md).

Pure: octets in, values out. Promises: a record that parses is whole, was written under this very salt, and is
of this use of the file; anything else is None, never an exception. The content of a put has a checksum of its
own, so that a start need not read it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from angarium.spool.files import Part

MAGIC = b"ANGSPOOL"
VERSION = 1
HEADER_SIZE = 4096
SALT_SIZE = 8
FREE, USED = 1, 2
PUT, NOTE, COMMIT = 1, 2, 3
NO_NOTE = 0xFFFFFFFF
MAX_MESSAGES = 0xFFFF
"""Messages that may share one content."""
MAX_LENGTH = 0xFFFFFFFF
"""Octets of a head, of a content, and of a segment."""

_HEADER = struct.Struct("<8sHBxQ8sQQQ")
_FRAME = struct.Struct("<8sIIIB")
_SEAL = struct.Struct("<8sI")
_REST = struct.Struct("<IIB")
_PUT = struct.Struct("<HII")
_PUT_REST = struct.Struct("<IIBHII")
"""`_REST` and `_PUT` in one."""
_ENTRY = struct.Struct("<BIIQ")
_CRC = struct.Struct("<I")
_PLACE = struct.Struct("<Q")
FRAME_SIZE = _FRAME.size
_BODY = _REST.size
_FIRST_ENTRY = _BODY + _PUT.size
PUT_SIZE = FRAME_SIZE + _PUT.size
"""Octets of a put's head besides its messages."""
NOTE_SIZE = FRAME_SIZE + _PLACE.size
"""Octets of a note besides its payload."""
COMMIT_SIZE = FRAME_SIZE + _PLACE.size
"""Octets of a commit without finishes; each finish adds 8."""


class Header(NamedTuple):
    """The block at the head of a segment file."""

    state: int
    generation: int
    salt: bytes
    size: int
    previous: int = 0
    previous_end: int = 0


class ForeignFormatError(Exception):
    """The file has another format, or a newer version of ours."""


def encode_header(header: Header) -> bytes:
    """The block of HEADER_SIZE octets."""
    fields = _HEADER.pack(MAGIC, VERSION, *header)
    return (fields + _CRC.pack(crc32(fields))).ljust(HEADER_SIZE, b"\0")


def parse_header(block: bytes) -> Header | None:
    """Read the block; None where it is damaged; raises ForeignFormatError for what is whole, but not ours to
    touch.
    """
    if len(block) < HEADER_SIZE:
        return None
    magic, version, *fields = _HEADER.unpack_from(block)
    if magic == MAGIC and version > VERSION:
        raise ForeignFormatError(f"format version {version}; this program knows versions up to {VERSION}")
    if magic != MAGIC and any(magic):
        raise ForeignFormatError(f"not a spool file: it begins with {magic!r}")
    if magic != MAGIC or _CRC.unpack_from(block, _HEADER.size) != (crc32(block[: _HEADER.size]),):
        return None
    return Header(*fields)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One message of a put. `origin` is the place it was moved from, or 0."""

    ident: str
    payload: bytes
    note: bytes | None = None
    origin: int = 0


class Put(msgspec.Struct, frozen=True, gc=False):
    """One content and its messages; the first has the ordinal `first` in its segment.

    A start finds a million of these and needs the messages of few at a time: they are read when asked for.
    """

    first: int
    count: int
    content_crc: int
    body: bytes
    """The messages as they are written, from `_BODY` on."""

    def entries(self) -> list[Entry]:
        """Its messages, by ordinal."""
        found, at = [], _FIRST_ENTRY
        for _ in range(self.count):
            entry, at = _parse_entry(self.body, at)
            found.append(entry)
        return found

    def origins(self) -> list[int]:
        """The places that its messages were moved from."""
        if self.count == 1:
            origin = _ENTRY.unpack_from(self.body, _FIRST_ENTRY)[3]
            return [origin] if origin else []
        return [entry.origin for entry in self.entries() if entry.origin]


class Note(msgspec.Struct, frozen=True, gc=False):
    """The latest about a message."""

    place: int
    payload: bytes


class Commit(msgspec.Struct, frozen=True):
    """The end of a batch that began at `start`, and the places finished in it."""

    start: int
    finished: Sequence[int]


class Record(msgspec.Struct, frozen=True):
    """A record found at an offset: its head's value, and where its content is."""

    offset: int
    value: Put | Note | Commit
    content_offset: int
    end: int
    """Offset behind the record."""

    @property
    def content_length(self) -> int:
        """Octets of its content."""
        return self.end - self.content_offset


def content_crc(parts: Sequence[Part]) -> int:
    """CRC-32 over the parts."""
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return checksum


def encode_entry(ident: str, payload: bytes, note: bytes | None = None, origin: int = 0) -> bytes:
    """One message of a put, wherever that will be. Idents are ASCII of at most 255 octets."""
    name = ident.encode("ascii")
    if note is None:
        return _ENTRY.pack(len(name), len(payload), NO_NOTE, origin) + name + payload
    return _ENTRY.pack(len(name), len(payload), len(note), origin) + name + payload + note


def encode_put(
    salt: bytes, first: int, count: int, entries: bytes, checksum: int, content_length: int
) -> bytes:
    """The head of a put of so many encoded messages, whose first has the ordinal `first`; the content follows
    it in the file.
    """
    head = PUT_SIZE + len(entries)
    return _seal(salt, _PUT_REST.pack(head, content_length, PUT, count, first, checksum) + entries)


def encode_note(salt: bytes, note: Note) -> bytes:
    """A note as a record."""
    rest = _REST.pack(NOTE_SIZE + len(note.payload), 0, NOTE) + _PLACE.pack(note.place) + note.payload
    return _seal(salt, rest)


def encode_commit(salt: bytes, commit: Commit) -> bytes:
    """A commit as a record."""
    places = 1 + len(commit.finished)
    head = FRAME_SIZE + _PLACE.size * places
    return _seal(salt, struct.pack(f"<IIB{places}Q", head, 0, COMMIT, commit.start, *commit.finished))


def _seal(salt: bytes, rest: bytes) -> bytes:
    """A whole head: what every record begins with, and the rest of it."""
    return _SEAL.pack(salt, crc32(rest)) + rest


def parse_record(data: bytes, at: int, salt: bytes, base: int = 0) -> Record | None:
    """The record at `at` of data that begins at the file's offset `base`; None where there is no whole head
    of this salt.
    """
    if at + FRAME_SIZE > len(data):
        return None
    found, checksum, head, content_length, kind = _FRAME.unpack_from(data, at)
    if found != salt or head < FRAME_SIZE or at + head > len(data):
        return None
    rest = data[at + SALT_SIZE + _CRC.size : at + head]
    if crc32(rest) != checksum:
        return None
    content = base + at + head
    return Record(base + at, _parse_body(rest, kind), content, content + content_length)


def head_length(data: bytes, salt: bytes) -> int:
    """The length of the head that data begins with, as its frame claims it; 0 where there is no frame of this
    salt.
    """
    if len(data) < FRAME_SIZE or data[:SALT_SIZE] != salt:
        return 0
    length: int = _FRAME.unpack_from(data)[2]
    return length


def _parse_body(rest: bytes, kind: int) -> Put | Note | Commit:
    """What a record says whose checksum was right; `rest` is what that is over."""
    if kind == PUT:
        count, first, checksum = _PUT.unpack_from(rest, _BODY)
        return Put(first, count, checksum, rest)
    if kind == NOTE:
        return Note(_PLACE.unpack_from(rest, _BODY)[0], rest[_BODY + _PLACE.size :])
    start, *finished = struct.unpack_from(f"<{(len(rest) - _BODY) // _PLACE.size}Q", rest, _BODY)
    return Commit(start, finished)


def _parse_entry(body: bytes, at: int) -> tuple[Entry, int]:
    ident_length, payload_length, note_length, origin = _ENTRY.unpack_from(body, at)
    ident_end = at + _ENTRY.size + ident_length
    payload_end = ident_end + payload_length
    ident = body[at + _ENTRY.size : ident_end].decode("ascii")
    payload = body[ident_end:payload_end]
    if note_length == NO_NOTE:
        return Entry(ident, payload, None, origin), payload_end
    end = payload_end + note_length
    return Entry(ident, payload, body[payload_end:end], origin), end
