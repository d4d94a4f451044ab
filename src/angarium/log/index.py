"""In which frames of a segment does an id occur? A small file beside each segment, so that one look finds it.

An index is a row of runs, each the sorted fingerprints of some frames: 8 octets of a key, 8 of the frame's
offset. Keys are ids of messages and sessions, Message-IDs, and those that a record is about. Only a hint:
what it finds is read and compared, and frames that it does not cover (it is missing, torn, or the segment
is still being written) are searched one by one, about a million records in half a second.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from zlib import crc32

import msgspec

from angarium.log.segment import is_finished, read_frames, segments_in

SUFFIX = ".index"
RUN_FRAMES = 64
"""Frames of one run: fewer make more runs to look into, more leave more frames to search one by one."""
NOTICE = "notice about "
"""How the Reception of a notice of our own says which message it is about."""

_MAGIC = b"angidx1\n"
_HEADER = Struct(">QII")  # where the last covered frame ends, entries, checksum of the entries
_ENTRY = Struct(">8sQ")
_OFFSET = Struct(">Q")
_ID_LENGTH = 32


class _Original(msgspec.Struct):
    message_id: str | None = None


class _Account(msgspec.Struct):
    original: _Original | None = None


class Keys(msgspec.Struct):
    """What a record is found by."""

    id: str = ""
    session_id: str = ""
    message_id: str | None = None
    why: str = ""
    report: _Account | None = None

    def all(self) -> list[str]:
        """Every key of the record."""
        keys = [self.id, self.session_id]
        if self.message_id:
            keys.append(self.message_id)
        if self.why.startswith(NOTICE):
            keys.append(self.why[len(NOTICE) :])
        if self.report is not None and self.report.original is not None and self.report.original.message_id:
            keys.append(self.report.original.message_id)
        return [key for key in keys if key]


_decoder = msgspec.json.Decoder(Keys)


def fingerprint(key: str) -> bytes:
    """Eight octets that stand for a key; an id's own random part serves as it is."""
    if len(key) == _ID_LENGTH:
        with contextlib.suppress(ValueError):
            return bytes.fromhex(key[16:])
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def index_of(segment: Path) -> Path:
    """The index beside a segment."""
    return segment.with_name(segment.name + SUFFIX)


class Indexer:
    """Gathers the keys of a segment's frames in order, and writes runs."""

    def __init__(self, path: Path, covered: int = 0) -> None:
        """`path` is the index's, which is whole and covers the segment up to `covered`."""
        self._path = path
        self._covered = self._start = covered
        self._frames = 0
        self._entries: set[bytes] = set()

    def add(self, end: int, lines: bytes) -> None:
        """Take the frame that follows those before, and ends at `end`. Raises OSError."""
        at = _OFFSET.pack(self._covered)
        for line in lines.splitlines():
            try:
                keys = _decoder.decode(line).all()
            except msgspec.MsgspecError:
                continue
            self._entries.update(fingerprint(key) + at for key in keys)
        self._covered = end
        self._frames += 1
        if self._frames >= RUN_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered as a run. Raises OSError."""
        if not self._frames:
            return
        entries = b"".join(sorted(self._entries))
        run = _HEADER.pack(self._covered, len(self._entries), crc32(entries)) + entries
        with self._path.open("ab") as file:
            file.write(run if file.tell() else _MAGIC + run)
        self._frames, self._entries = 0, set()


class _Run:
    """Where one run's entries stand in an index."""

    __slots__ = ("count", "covered", "start")

    def __init__(self, start: int, count: int, covered: int) -> None:
        self.start = start
        self.count = count
        self.covered = covered


class Index:
    """An index that is being asked. Torn at its end, it counts as far as it is whole."""

    def __init__(self, path: Path) -> None:
        self.covered = 0
        """How far into the segment it reaches."""
        self.end = 0
        """Where its last whole run ends."""
        self._runs: list[_Run] = []
        self._octets: mmap.mmap | bytes = b""
        with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
            self._octets = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._read_runs()

    def _read_runs(self) -> None:
        octets = self._octets
        if octets[: len(_MAGIC)] != _MAGIC:
            return
        at = len(_MAGIC)
        while at + _HEADER.size <= len(octets):
            covered, count, _ = _HEADER.unpack_from(octets, at)
            run = _Run(at + _HEADER.size, count, covered)
            end = run.start + count * _ENTRY.size
            if end > len(octets) or covered <= self.covered:
                break
            self._runs.append(run)
            self.covered, self.end, at = covered, end, end
        self._check_last()

    def _check_last(self) -> None:
        """Only what was written last can be damaged by a crash."""
        if not self._runs:
            return
        last = self._runs[-1]
        _, _, checksum = _HEADER.unpack_from(self._octets, last.start - _HEADER.size)
        if crc32(self._octets[last.start : self.end]) != checksum:
            self._runs.pop()
            self.end = last.start - _HEADER.size
            self.covered = self._runs[-1].covered if self._runs else 0

    def find(self, key: str) -> list[int]:
        """The offsets of frames that may hold the key, in order."""
        wanted = fingerprint(key)
        return sorted({offset for run in self._runs for offset in self._find(run, wanted)})

    def _find(self, run: _Run, wanted: bytes) -> Iterator[int]:
        octets, low, high = self._octets, 0, run.count
        while low < high:
            middle = (low + high) // 2
            at = run.start + middle * _ENTRY.size
            if octets[at : at + 8] < wanted:
                low = middle + 1
            else:
                high = middle
        while low < run.count:
            found, offset = _ENTRY.unpack_from(self._octets, run.start + low * _ENTRY.size)
            if found != wanted:
                return
            yield offset
            low += 1

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self._octets, mmap.mmap):
            self._octets.close()


def find_lines(folders: Sequence[Path], keys: Sequence[str]) -> list[bytes]:
    """Every record that has one of the keys, as lines of JSON, in the order of the segments. Raises
    OSError.
    """
    found: list[bytes] = []
    for segment in _segments(folders):
        with contextlib.suppress(FileNotFoundError):
            found += _search(segment, keys)
    return found


def without_index(folders: Sequence[Path]) -> list[Path]:
    """Finished segments whose index is missing or torn: `complete` makes it whole."""
    return [path for path in _segments(folders) if is_finished(path) and not _is_covered(path)]


def _segments(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in dict.fromkeys(folders):
        yield from segments_in(folder)


def _is_covered(segment: Path) -> bool:
    index = Index(index_of(segment))
    try:
        return index.covered >= segment.stat().st_size
    finally:
        index.close()


def _search(segment: Path, keys: Sequence[str]) -> Iterator[bytes]:
    """The index's frames, and one by one those that it does not cover."""
    index = Index(index_of(segment))
    try:
        offsets = sorted({offset for key in keys for offset in index.find(key)})
        for offset in offsets:
            frame = next(read_frames(segment, offset), None)
            if frame is not None:
                yield from _matching(frame.lines, keys)
        if index.covered < segment.stat().st_size:
            for frame in read_frames(segment, index.covered):
                yield from _matching(frame.lines, keys)
    finally:
        index.close()


def _matching(lines: bytes, keys: Sequence[str]) -> Iterator[bytes]:
    needles = [msgspec.json.encode(key)[1:-1] for key in keys]
    if not any(needle in lines for needle in needles):
        return
    for line in lines.splitlines():
        if any(needle in line for needle in needles):
            try:
                own = _decoder.decode(line).all()
            except msgspec.MsgspecError:
                continue
            if any(key in own for key in keys):
                yield line


def complete(segment: Path) -> None:
    """Make the index of a finished segment whole. Raises OSError."""
    path = index_of(segment)
    index = Index(path)
    covered, end = index.covered, index.end
    index.close()
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            if end:
                file.write(path.read_bytes()[:end])
        indexer = Indexer(fresh, covered)
        for frame in read_frames(segment, covered):
            indexer.add(frame.end, frame.lines)
        indexer.flush()
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def remove_orphans(folders: Sequence[Path]) -> None:
    """Remove the indexes of segments that are kept no longer."""
    for folder in dict.fromkeys(folders):
        names = {segment.name for segment in segments_in(folder)}
        with contextlib.suppress(OSError):
            for path in folder.glob(f"*{SUFFIX}"):
                if path.name.removesuffix(SUFFIX) not in names:
                    path.unlink(missing_ok=True)
