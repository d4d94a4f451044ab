"""Where does the content of a message end, as a sink reads it: at the final dot, or after so many octets?

Octets are looked at where they lie, in the buffer that they were read into, and kept only where somebody asks
for them. `take` returns where the content (or the chunk) ended, or NOT_YET.
"""

from __future__ import annotations

NOT_YET = -1

_END = b"\r\n.\r\n"
_OVERLAP = len(_END) - 1


class Dotted:
    """Content after DATA: ends with a line that has nothing but a dot (RFC 5321 section 4.1.1.4)."""

    __slots__ = ("_parts", "_tail", "_taken")

    def __init__(self, *, keeps: bool) -> None:
        self._tail = b"\r\n"  # the last octets so far, which may begin the end
        self._taken = 0
        self._parts: list[bytes] | None = [] if keeps else None

    @property
    def size(self) -> int:
        """Octets as they came, without the final dot; the line end before it is the content's own."""
        return self._taken - len(_END) + 2

    def take(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Take what is there in `data[start:end]`."""
        stop = self._find_end(data, start, end)
        last = end if stop < 0 else stop
        self._taken += last - start
        if self._parts is not None:
            self._parts.append(bytes(data[start:last]))
        if stop < 0:
            self._tail = (self._tail + data[max(start, end - _OVERLAP) : end])[-_OVERLAP:]
        return stop

    def _find_end(self, data: bytes | bytearray, start: int, end: int) -> int:
        seam = self._tail + data[start : min(start + _OVERLAP, end)]
        found = seam.find(_END)
        if found >= 0:
            return start + found + len(_END) - len(self._tail)
        found = data.find(_END, start, end)
        return found + len(_END) if found >= 0 else NOT_YET

    def octets(self) -> bytes:
        """The content before its dots were stuffed, also such as `wire.framing` would refuse."""
        if self._parts is None:
            return b""
        stuffed = b"\r\n" + b"".join(self._parts)
        return stuffed[: 2 - len(_END)].replace(b"\r\n.", b"\r\n")[2:]


class Chunked:
    """Content in chunks, each as long as its BDAT said (RFC 3030 section 2)."""

    __slots__ = ("_parts", "is_last", "missing", "size")

    def __init__(self, *, keeps: bool) -> None:
        self.size = 0
        self.missing = 0
        """Octets of this chunk that have not come yet."""
        self.is_last = False
        self._parts: list[bytes] | None = [] if keeps else None

    def expect(self, octets: int, *, is_last: bool) -> None:
        """Begin a chunk."""
        self.missing, self.is_last = octets, is_last

    def take(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Take what is there in `data[start:end]` of this chunk."""
        stop = min(end, start + self.missing)
        self.missing -= stop - start
        self.size += stop - start
        if self._parts is not None:
            self._parts.append(bytes(data[start:stop]))
        return NOT_YET if self.missing else stop

    def octets(self) -> bytes:
        """The content."""
        return b"".join(self._parts or ())
