"""A segment file as a start reads it: through a window that moves forward, so that large contents are passed
over, not read.

Promises: a block that cannot be read counts as zeros and is remembered; everything else is as it stands in
the file.
"""

from __future__ import annotations

from zlib import crc32

from angarium.spool.files import Files
from angarium.spool.record import Record, head_length, parse_record

_WINDOW = 256 * 1024
_MARGIN = 4096
"""Most heads fit; a window that has less left moves on."""
_BLOCK = 4096


class Octets:
    """One file of `size` octets."""

    def __init__(self, files: Files, handle: int, size: int, window: int = _WINDOW) -> None:
        self._files = files
        self._width = window
        self._handle = handle
        self._size = size
        self._base = 0
        self._window = b""
        self._roomy_to = -1
        """The last offset behind which the window has its margin."""
        self.damage: list[str] = []
        """What could not be read."""

    def record_at(self, at: int, salt: bytes) -> Record | None:
        """The record that begins at an offset, if there is a whole one of this salt."""
        if not self._base <= at <= self._roomy_to:
            self._move_to(at)
        record = parse_record(self._window, at - self._base, salt, self._base)
        if record is None:
            head = head_length(self._window[at - self._base :], salt)
            if at + head > self._base + len(self._window):
                self._load(at, head)
                record = parse_record(self._window, 0, salt, at)
        return record

    def find(self, needle: bytes, start: int) -> int:
        """The first offset from `start` on at which the needle stands; -1: none."""
        while start + len(needle) <= self._size:
            self._move_to(start)
            found = self._window.find(needle, start - self._base)
            if found != -1:
                return self._base + found
            start = self._base + len(self._window) - len(needle) + 1
        return -1

    def read(self, start: int, end: int) -> bytes:
        """The octets between two offsets; fewer at the end of the file."""
        try:
            return self._files.read(self._handle, end - start, start)
        except OSError as error:
            self.damage.append(f"octets {start} to {end - 1} cannot all be read: {error.strerror or error}")
            return b"".join(self._read_block(at, min(at + _BLOCK, end)) for at in range(start, end, _BLOCK))

    def checksum(self, start: int, end: int) -> int:
        """CRC-32 of the octets between two offsets."""
        checksum = 0
        for at in range(start, end, _WINDOW):
            checksum = crc32(self.read(at, min(at + _WINDOW, end)), checksum)
        return checksum

    def _move_to(self, at: int) -> None:
        """Have the window hold an offset, with a margin behind it unless the file ends there."""
        end = self._base + len(self._window)
        if not self._base <= at <= self._roomy_to and not (self._base <= at < end == self._size):
            self._load(at, self._width)

    def _load(self, at: int, length: int) -> None:
        self._base = at
        self._window = self.read(at, min(at + length, self._size)) if at < self._size else b""
        self._roomy_to = at + len(self._window) - _MARGIN

    def _read_block(self, start: int, end: int) -> bytes:
        try:
            return self._files.read(self._handle, end - start, start)
        except OSError:
            return bytes(end - start)
