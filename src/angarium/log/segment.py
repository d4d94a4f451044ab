"""What is a log segment? JSON Lines in independent zstd frames; a file that cannot be written to any more is
finished.

Names begin with the UTC time of the first record and carry the worker's number, so that they sort by age.
Frames carry checksums: a frame that is torn or damaged is recognised, and skipped or cut, and nothing else
is.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import zstandard

FRAME_LIMIT = 256 * 1024
"""Octets of lines in one frame; only a single record may be larger."""
_MAGIC = b"\x28\xb5\x2f\xfd"
_STRIDE = 64 * 1024
_NAME = re.compile(r"(\d{8}-\d{6}\.\d{6})-(\d+)(.*)\.zst")


class Name(NamedTuple):
    """What a segment's file name says."""

    began: str
    worker: int
    suffix: str


def make_name(unix_seconds: float, worker: int, suffix: str) -> str:
    """`20250131-235959.123456-0_suffix.zst`."""
    began = datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y%m%d-%H%M%S.%f")
    return f"{began}-{worker}{suffix}.zst"


def parse_name(name: str) -> Name | None:
    """The parts of a segment's name; None for any other file."""
    match = _NAME.fullmatch(name)
    return Name(match[1], int(match[2]), match[3]) if match else None


def segments_in(folder: Path) -> list[Path]:
    """The segments of a folder, oldest first; none where there is no such folder."""
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir())
    return [folder / name for name in names if parse_name(name)]


def is_finished(path: Path) -> bool:
    """Whether nothing is added to a segment any more: nobody may write to it (reference G12)."""
    return not is_open(path.stat())


def is_open(state: os.stat_result) -> bool:
    """Whether a segment in this state is added to."""
    return bool(state.st_mode & 0o222)


class Frame(NamedTuple):
    """One frame: where it ends in the file, and its lines."""

    end: int
    lines: bytes


def read_frames(path: Path, start: int = 0) -> Iterator[Frame]:
    """Whole frames from an offset on; damaged ones are skipped, and a torn one at the end is left."""
    with path.open("rb") as file:
        if file.seek(0, 2) <= start:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            at = start
            while (at := octets.find(_MAGIC, at)) != -1:
                frame = _decode(octets, at)
                if frame is not None:
                    yield frame
                at = at + 1 if frame is None else frame.end


def good_end(path: Path) -> int:
    """Where the last whole frame of a segment ends: what lies behind was torn."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        at = len(octets)
        while (at := octets.rfind(_MAGIC, 0, at)) != -1:
            frame = _decode(octets, at)
            if frame is not None:
                return frame.end
            at += len(_MAGIC) - 1
    return 0


def _decode(octets: mmap.mmap, at: int) -> Frame | None:
    """The frame that begins at an offset, if it is whole and its checksum holds."""
    decoder = zstandard.ZstdDecompressor().decompressobj()
    pieces = []
    try:
        while not decoder.eof and at < len(octets):
            piece = octets[at : at + _STRIDE]
            pieces.append(decoder.decompress(piece))
            at += len(piece)
    except zstandard.ZstdError:
        return None
    return Frame(at - len(decoder.unused_data), b"".join(pieces)) if decoder.eof else None
